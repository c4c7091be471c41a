"""States come back from files as they were saved, other libraries' files are read, and bad files say what is wrong."""

import errno
import gzip
import io
import json
import math
import os
import pickle
import resource
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections import OrderedDict, namedtuple
from pathlib import Path

import handmade as hand
import numpy as np
import pytest
from record_files import FOLDER, METADATA, arrays

import autograd_core as ag
from autograd_core.tape import memory
from nn.files import FileError, load, save
from nn.files.checkpoint import _NAMES
from nn.files.encodings import ENCODINGS, eight_bits
from nn.files.pickled import _INSTRUCTIONS

ROOT = Path(__file__).parent.parent


def saved(state, **options) -> bytes:
    file = io.BytesIO()
    save(file, state, **options)
    return file.getvalue()


def loaded(data: bytes, **options):
    return load(io.BytesIO(data), **options)


def npz(state, folder: Path) -> bytes:
    save(folder / "state.npz", state)
    return (folder / "state.npz").read_bytes()


def same(a, b) -> bool:
    """Whether two states are equal to the bit, in types and order; an array comes back as a tensor."""
    if isinstance(a, (ag.Tensor, np.ndarray)):
        x, y = (np.asarray(v.value if isinstance(v, ag.Tensor) else v) for v in (a, b))
        x = x.astype(x.dtype.newbyteorder("="))
        return isinstance(b, ag.Tensor) and (x.dtype, x.shape) == (y.dtype, y.shape) and x.tobytes() == y.tobytes()
    if isinstance(a, dict):
        return type(b) is dict and same(list(a), list(b)) and same(list(a.values()), list(b.values()))
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, complex):
        return same([a.real, a.imag], [b.real, b.imag])
    return a == b


NAN_WITH_BITS = struct.unpack("<d", bytes.fromhex("010000000000f8ff"))[0]
NESTED = {
    "model": {"weight": ag.tensor([[1.0, 2.0]]), "bias": np.float64([math.pi]), "": np.int8(3)},
    "optimizer": {
        "state": {0: {"step": 3, "exp_avg": np.ones((2, 1), np.float32)}, 1: {}, (2, ("x", None)): np.zeros((0, 2))},
        "param_groups": [
            {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "params": [0, 1], "foreach": None, "amsgrad": False},
        ],
    },
    "odd": [-0.0, 5e-324, math.inf, -math.inf, math.nan, NAN_WITH_BITS, 0.1, 1e308, 2**70, -(2**64), True, 1 + 2j],
    "complex": [complex(math.nan, -0.0), np.array([1 + 2j]), np.array(3j), np.complex128(1j)],
    "numbers": (np.float32(0.1), np.float64(math.nan), np.bool_(True), np.uint64(2**64 - 1), np.float16(1)),
    "text": ["", "\u00e9\n\0\"\\", "\ud800", "nan", "{}"],
    "empty": [[], (), {}, ((),)],
    "epoch": 3,
    True: {None: 1.5, 2.5: "x", "a.b": {"c": np.ones(1)}, "a": {"b.c": np.zeros(1), "b.c~": np.full(1, 2.0)}},
}  # fmt: skip


# --- safetensors ---


def test_the_same_bytes_as_the_reference():
    golden = (FOLDER / "types.safetensors").read_bytes()
    assert saved(arrays(), metadata=METADATA) == golden
    state, metadata = loaded(golden, return_metadata=True)
    assert metadata == METADATA
    assert set(state) == set(arrays()) and all(same(value, state[name]) for name, value in arrays().items())


def test_the_same_bytes_as_the_reference_on_random_states(tmp_path):
    reference = pytest.importorskip("safetensors.numpy")
    rng = np.random.default_rng(0)
    types = "uint64 int64 float64 complex64 float32 uint32 int32 float16 uint16 int16 int8 uint8 bool".split()
    letters = list('ab.Z_0 "\\/\n\x01\x7f\u00e9\u2028\u6f22\U0001f600')
    for count in range(60):
        state = {}
        for _ in range(rng.integers(0, 8)):
            shape = tuple(rng.integers(0, 4, rng.integers(0, 4)))
            array = (rng.standard_normal(shape) * 50).astype(rng.choice(types))
            state["".join(rng.choice(letters, rng.integers(1, 6)))] = np.asarray(array)
        metadata = {"".join(rng.choice(letters, 3)): "".join(rng.choice(letters, 9))} if count % 3 == 0 else None
        ours, theirs = saved(state, metadata=metadata), reference.save(state, metadata=metadata)
        assert ours == theirs
        assert all(same(state[name], value) for name, value in loaded(theirs).items())
        assert all(state[name].tobytes() == value.tobytes() for name, value in reference.load(ours).items())
    save(tmp_path / "ours", arrays())
    reference.save_file(arrays(), tmp_path / "theirs")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_the_order_is_that_of_the_file():
    info = hand.tensor_info
    header = {"b": info("U8", [1], 1, 2), "a": info("U8", [1], 0, 1), "c": info("U8", [0], 2, 2)}
    assert list(loaded(hand.safetensors(header, b"xy"))) == ["b", "a", "c"]
    assert loaded(hand.safetensors(header, b"xy"))["b"].tolist() == [ord("y")]


def test_numbers_that_are_not_aligned_are_moved(tmp_path):
    header = {"a": hand.tensor_info("U8", [1], 0, 1), "b": hand.tensor_info("F64", [1], 1, 9)}
    (tmp_path / "x").write_bytes(hand.safetensors(header, b"x" + struct.pack("<d", 1.5)))
    for mmap in (False, True):
        b = load(tmp_path / "x", mmap=mmap)["b"]
        assert b.tolist() == [1.5] and b.value.flags.aligned and b.value.flags.writeable


def test_a_nested_file_is_an_ordinary_one_to_others():
    reference = pytest.importorskip("safetensors.numpy")
    read = reference.load(saved({"model": {"w": np.ones(2)}, "epoch": 1}))
    assert list(read) == ["model.w"] and read["model.w"].tolist() == [1, 1]


def test_metadata_goes_in_and_out():
    for state in ({"a": np.ones(1)}, {"a": {"b": np.ones(1)}}, {}):
        assert loaded(saved(state, metadata={"z": "1", "a": "\u00e9"}), return_metadata=True)[1] == {
            "z": "1",
            "a": "\u00e9",
        }
        assert loaded(saved(state), return_metadata=True)[1] == {}
    assert saved({}, metadata={}) == saved({})


SHORT = {
    "bfloat16": 16,
    "float8_e5m2": 8,
    "float8_e4m3fn": 8,
    "float8_e5m2fnuz": 8,
    "float8_e4m3fnuz": 8,
    "float8_e8m0fnu": 8,
}
CODES = {
    "bfloat16": "BF16", "float8_e5m2": "F8_E5M2", "float8_e4m3fn": "F8_E4M3", "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e8m0fnu": "F8_E8M0",
}  # fmt: skip


@pytest.mark.parametrize("name", SHORT)
def test_all_numbers_of_short_types_become_float32(name):
    expected = pytest.importorskip("ml_dtypes")
    bits = np.arange(2 ** SHORT[name], dtype=f"<u{SHORT[name] // 8}")
    header = {"a": hand.tensor_info(CODES[name], list(bits.shape), 0, bits.nbytes)}
    read = loaded(hand.safetensors(header, bits.tobytes()))["a"].value
    numbers = bits.view(getattr(expected, name)).astype(np.float32)
    assert read.dtype == np.float32 and np.array_equal(np.isnan(read), np.isnan(numbers))
    known = ~np.isnan(numbers)
    assert np.array_equal(read[known].view(np.uint32), numbers[known].view(np.uint32))


def test_some_numbers_of_short_types():
    """Without a library to compare with: largest, smallest, special."""
    finite, ieee, only = eight_bits(3, 7, "finite"), eight_bits(2, 15, "ieee"), eight_bits(3, 8, "no minus zero")
    assert finite[0x7E] == 448 and np.isnan(finite[[0x7F, 0xFF]]).all() and finite[1] == 2**-9
    assert ieee[0x7B] == 57344 and ieee[0x7C] == np.inf and ieee[0xFC] == -np.inf and np.isnan(ieee[0x7D])
    assert (
        ieee[1] == 2**-16
        and np.signbit(ieee[0x80])
        and only[0x7F] == 240
        and np.isnan(only[0x80])
        and only[0xFF] == -240
    )
    scale = ENCODINGS["float8_e8m0fnu"].decode(np.uint8([0, 127, 255]), False)
    assert scale[0] == 2.0**-127 and scale[1] == 1 and np.isnan(scale[2])
    assert ENCODINGS["bfloat16"].decode(np.uint8([0xC0, 0x3F]), False) == 1.5
    assert ENCODINGS["bfloat16"].decode(np.uint8([0x3F, 0xC0]), True) == 1.5


# --- what goes in comes out ---


def test_arrays_of_any_layout(tmp_path):
    whole = np.arange(24.0).reshape(2, 3, 4)
    state = {
        "strided": whole[:, ::2, ::-1], "columns": np.asfortranarray(whole[0]), "turned": whole.T,
        "wide": np.broadcast_to(3.0, (2, 2)),
        "foreign": whole.astype(">f8"), "foreign16": np.arange(3, dtype=">u2"), "none": whole[:0], "one": whole[0, 0, 0, ...],
        "scalar": np.array(2 + 1j, np.complex64), "locked": np.frombuffer(b"abcd", np.uint8),
    }  # fmt: skip
    state["tensor"] = ag.tensor([1.0, 2.0], requires_grad=True)
    state["view"] = ag.tensor([[1.0, 2.0], [3.0, 4.0]]).T
    for data in (saved(state), npz(state, tmp_path)):
        read = loaded(data)
        assert set(read) == set(state) and all(same(value, read[name]) for name, value in state.items())
        assert all(type(value) is ag.Tensor and not value.requires_grad for value in read.values())
        assert all(value.value.flags.writeable for value in read.values())
    assert whole.tolist() == np.arange(24.0).reshape(2, 3, 4).tolist()


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ""])
def test_nested_states_come_back_exactly(tmp_path, suffix):
    path = tmp_path / f"state{suffix}"
    save(path, NESTED)
    for mmap in (False, True):
        assert same(NESTED, load(path, mmap=mmap))
    save(path, load(path))
    assert same(NESTED, load(path))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_empty_state_and_mappings_of_other_classes(tmp_path):
    save(tmp_path / "x", {})
    assert load(tmp_path / "x") == {} == load(tmp_path / "x", mmap=True)
    save(tmp_path / "x.npz", {})
    assert load(tmp_path / "x.npz") == {}
    assert same({"b": np.ones(1), "a": {}}, loaded(saved(OrderedDict(b=np.ones(1), a=OrderedDict()))))


def test_names_that_files_use_themselves(tmp_path):
    state = {
        "__metadata__": np.ones(1),
        "nn.structure": np.ones(2),
        "file": np.ones(3),
        "a/b": np.ones(4),
        "..": np.ones(5),
    }
    for data in (saved(state), npz(state, tmp_path)):
        assert same(state, loaded(data))


def test_npz_is_numpys(tmp_path):
    state = arrays()
    save(tmp_path / "x.npz", state)
    with np.load(tmp_path / "x.npz") as read:
        for name, value in state.items():
            assert read[name].dtype == value.dtype and read[name].tobytes() == value.tobytes()
            assert read[name].shape == value.shape


def test_complex128_is_stored_where_the_format_has_none():
    state = {"a": np.array([[1 + 2j, complex(np.nan, -0.0)]])}
    assert same(state, loaded(saved(state)))


def test_paths_and_open_files(tmp_path):
    state = {"a": np.arange(3.0)}
    for path in (tmp_path / "x", str(tmp_path / "y"), os.fsencode(tmp_path / "z")):
        save(path, state)
        assert same(state, load(path))
    with open(tmp_path / "x", "wb", buffering=0) as file:
        file.write(b"before")
        save(file, state)
    with open(tmp_path / "x", "rb") as file:
        file.seek(6)
        assert same(state, load(file))
    with gzip.open(tmp_path / "x", "wb") as file:
        save(file, state)
    with gzip.open(tmp_path / "x", "rb") as file:
        assert same(state, load(file))
    reader, writer = os.pipe()
    with open(reader, "rb") as received, open(writer, "wb") as sent:
        save(sent, state)
        sent.close()
        assert same(state, load(received))

    class Slow(io.RawIOBase):
        """Takes and gives a few bytes at a time."""

        def __init__(self):
            self.data = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.data += bytes(data)[:7]
            return min(len(data), 7)

    slow = Slow()
    save(slow, state)
    assert bytes(slow.data) == saved(state)


def test_mapped_tensors_are_copied_when_written(tmp_path):
    path = tmp_path / "x"
    save(path, {"a": np.arange(1000.0), "b": np.ones(3)})
    before = path.read_bytes()
    state = load(path, mmap=True)
    state["a"].zero_()
    assert path.read_bytes() == before and load(path)["a"][1].item() == 1
    save(path, {"a": np.full(1000, 7.0)})
    assert state["b"].tolist() == [1, 1, 1] and state["a"].sum().item() == 0 and load(path)["a"][0].item() == 7


@pytest.mark.parametrize("mmap", [False, True])
def test_a_write_to_one_tensor_is_none_to_another(tmp_path, mmap):
    """All may come from one piece of memory, but what backward checks is each array by itself."""
    save(tmp_path / "x", {"w": np.ones(3), "running": np.zeros(3)})
    state = load(tmp_path / "x", mmap=mmap)
    w = state["w"].requires_grad_()
    loss = (w * w).sum()
    state["running"].add_(1)
    loss.backward()
    assert w.grad.tolist() == [2, 2, 2] and state["w"]._version == 0
    assert memory(state["w"].value) is not memory(state["running"].value)


# --- what cannot be saved ---

Point = namedtuple("Point", "x y")
circle: list = []
circle.append(circle)


@pytest.mark.parametrize(
    "state, error, words",
    [
        (ag.tensor([1.0]), TypeError, "expected a dict of tensors, got autograd_core.tensor.Tensor"),
        ({"a": {"b": object()}}, TypeError, "'a.b' is a object; .*can be stored"),
        ({"a": Point(1, 2)}, TypeError, "'a' is a .*Point"),
        ({"a": {1, 2}}, TypeError, "'a' is a set"),
        ({"a": b"x"}, TypeError, "'a' is a bytes"),
        ({"a": np.array(["x"])}, TypeError, "'a' has the type <U1"),
        ({"a": np.array([object()])}, TypeError, "'a' has the type object"),
        ({"a": np.ones(1, np.longdouble)}, TypeError, "'a' has the type float128.*astype"),
        ({"a": np.ma.masked_array([1.0], [True])}, TypeError, "'a' is a masked array"),
        ({"a": {frozenset(): 1}}, TypeError, "key frozenset"),
        ({"a": circle}, ValueError, "nested more than 100 deep, or holds itself"),
        ({"\ud800": np.ones(1)}, ValueError, "not valid Unicode"),
        ({"a": {"\ud800": np.ones(1)}}, ValueError, "not valid Unicode"),
    ],
)
def test_what_cannot_be_stored_is_refused_before_the_file_is_touched(tmp_path, state, error, words):
    for name in ("x", "x.npz"):
        (tmp_path / name).write_text("old")
        with pytest.raises(error, match=rf"^save: .*{words}"):
            save(tmp_path / name, state)
        assert (tmp_path / name).read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2


def test_values_inside_transforms_are_refused():
    with pytest.raises(TypeError, match="save: 'a' is a value inside vmap or jvp"):
        ag.vmap(lambda x: saved({"a": x}) and x)(ag.tensor([1.0, 2.0]))


def test_arguments_that_cannot_be_meant(tmp_path):
    state = {"a": np.ones(1)}
    with pytest.raises(TypeError, match="expected a path and then a state, got dict first"):
        save(state, tmp_path / "x")
    with pytest.raises(ValueError, match=r"\.pt is for PyTorch's files; what is written is \.safetensors or \.npz"):
        save(tmp_path / "x.pt", state)
    with pytest.raises(TypeError, match="metadata should be a dict of text.*json.dumps"):
        save(tmp_path / "x", state, metadata={"epoch": 3})
    with pytest.raises(ValueError, match="the library's own"):
        save(tmp_path / "x", state, metadata={"nn.structure": "x"})
    with pytest.raises(ValueError, match=r"\.npz has no place for metadata"):
        save(tmp_path / "x.npz", state, metadata={"a": "b"})
    with pytest.raises(ValueError, match="has a zero byte"):
        save(tmp_path / "x.npz", {"a\0b": np.ones(1)})
    with pytest.raises(TypeError, match="mmap=True needs the path of a file"):
        load(io.BytesIO(saved(state)), mmap=True)
    with pytest.raises(TypeError, match=r"is open as text; open it with open\(\.\.\., 'rb'\)"):
        load(io.StringIO("x"))
    assert list(tmp_path.iterdir()) == []


# --- whole or not at all ---


def test_the_new_file_is_on_disk_before_it_takes_the_place_of_the_old(tmp_path, monkeypatch):
    path, steps = tmp_path / "x", []
    save(path, {"a": np.ones(1)})
    real_sync, real_replace = os.fsync, os.replace

    def sync(descriptor):
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        if steps[-1] == "file":
            (part,) = (p for p in tmp_path.iterdir() if p != path)
            assert part.stat().st_size == path.stat().st_size
        real_sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", lambda *a: (steps.append("replace"), real_replace(*a)))
    save(path, {"a": np.zeros(1)})
    assert steps == ["file", "replace", "folder"]


@pytest.mark.parametrize("place", ["fsync", "replace", "open"])
@pytest.mark.parametrize("name", ["x", "x.npz"])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, place, name):
    path = tmp_path / name
    save(path, {"a": np.ones(100)})
    before = path.read_bytes()

    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, place, fail)
    with pytest.raises(OSError, match="No space left"):
        save(path, {"a": np.zeros(100)})
    monkeypatch.undo()
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    """Here the limit of a file's size stands for the end of the disk: writing stops in the middle."""
    path = tmp_path / "x"
    save(path, {"a": np.ones(100)})
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError):
            save(path, {"a": np.zeros(50_000), "b": np.ones(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


KILLED = """
import os, signal, sys
import numpy as np
from nn import files
from nn.files import atomic, safetensors

path, place = sys.argv[1:]
die = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
real = {"write": safetensors.little_endian, "fsync": os.fsync, "replace": os.replace, "folder": atomic._synchronize}[place]
calls = []
def stop(*a):
    calls.append(a)
    die() if place != "write" or len(calls) > 5 else None
    return real(*a)
if place == "write":
    safetensors.little_endian = stop
elif place == "folder":
    atomic._synchronize = stop
else:
    setattr(os, place, stop)
files.save(path, {f"a{i}": np.full(10_000, 2.0) for i in range(10)})
"""


@pytest.mark.parametrize("place, survives", [("write", "old"), ("fsync", "old"), ("replace", "old"), ("folder", "new")])
def test_a_process_that_is_killed_leaves_the_old_file_or_the_new_one(tmp_path, place, survives):
    path = tmp_path / "x"
    save(path, {"old": np.ones(3)})
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), place], cwd=ROOT, capture_output=True)
    assert done.returncode == -9, done.stderr
    state = load(path)
    assert list(state) == ["old"] if survives == "old" else len(state) == 10
    save(path, {"next": np.ones(1)})  # what is left behind is in nobody's way
    assert list(load(path)) == ["next"]


def test_permissions_are_those_of_any_new_file_or_of_the_old_one(tmp_path):
    old = os.umask(0o027)
    try:
        save(tmp_path / "x", {})
        (tmp_path / "usual").touch()
    finally:
        os.umask(old)
    mode = lambda p: stat.S_IMODE(p.stat().st_mode)
    assert mode(tmp_path / "x") == mode(tmp_path / "usual") == 0o640
    (tmp_path / "x").chmod(0o604)
    save(tmp_path / "x", {"a": np.ones(1)})
    assert mode(tmp_path / "x") == 0o604


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is allowed to the superuser")
def test_what_may_not_be_written_is_not(tmp_path):
    path = tmp_path / "x"
    save(path, {})
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="may not be written"):
        save(path, {"a": np.ones(1)})
    path.chmod(0o644)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(PermissionError, match="no file can be made in its folder"):
            save(path, {"a": np.ones(1)})
    finally:
        tmp_path.chmod(0o755)
    assert load(path) == {}


def test_a_file_that_may_not_be_written_to_is_left(tmp_path, monkeypatch):
    save(tmp_path / "x", {})
    monkeypatch.setattr(os, "access", lambda *a: False)
    with pytest.raises(PermissionError, match="may not be written"):
        save(tmp_path / "x", {"a": np.ones(1)})
    assert load(tmp_path / "x") == {}


def test_links_folders_and_devices(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "x")  # a link to what does not exist yet
    for count in (1, 2):
        save(tmp_path / "link", {"a": np.full(1, count)})
        assert (tmp_path / "link").is_symlink() and load(tmp_path / "there" / "x")["a"].item() == count
    assert [p.name for p in (tmp_path / "there").iterdir()] == ["x"]
    with pytest.raises(IsADirectoryError, match="this is a folder"):
        save(tmp_path / "there", {})
    with pytest.raises(IsADirectoryError):
        load(tmp_path / "there")
    with pytest.raises(FileNotFoundError, match="no file can be made in its folder"):
        save(tmp_path / "nowhere" / "x", {})
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere")
    with pytest.raises(OSError, match="a pipe or a device"):
        save(os.devnull, {})
    with pytest.raises(FileError, match="a pipe or a device"):
        load(os.devnull)


# --- PyTorch's checkpoints ---


def check_golden(state: dict) -> None:
    """What record_files.py put into checkpoint.pt."""
    model, adam = state["model"], state["optimizer"]
    assert list(model) == [
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
    ]  # fmt: skip
    step = 0.25 / (1 + 1e-8)
    assert np.allclose(model["0.weight"].value, np.arange(6.0).reshape(3, 2) - step)
    assert np.allclose(model["1.bias"].value, np.arange(3.0) + 3 - step)
    assert model["1.num_batches_tracked"].dtype == np.int64 and model["1.num_batches_tracked"].shape == ()
    assert list(adam["state"]) == [0, 1, 2, 3] and adam["state"][0]["step"].item() == 1
    assert np.allclose(adam["state"][0]["exp_avg"].value, 0.1)
    (group,) = adam["param_groups"]
    assert group["lr"] == 0.25 and group["betas"] == (0.9, 0.999) and group["params"] == [0, 1, 2, 3]
    assert state["epoch"] == 3 and state["best"] == math.inf and state["size"] == (3, 4)
    whole, part, turned, wide = state["views"]
    assert part.tolist() == [[4, 6], [8, 10]] and turned.shape == (4, 3) and wide.tolist() == [1, 1, 1, 1]
    assert state["bfloat16"].dtype == np.float32 and state["bfloat16"].tolist() == [1.5, -2]
    assert state["uint16"].dtype == np.uint16 and state["uint16"].tolist() == [1, 65535]
    assert state["conjugate"].tolist() == [1 - 2j] and state["dtype"] == np.float32
    assert state["parameter"].requires_grad and not model["0.weight"].requires_grad
    version = part._version
    whole.zero_()
    assert part.tolist() == [[0, 0], [0, 0]] and turned.sum().item() == 0 and part._version == version + 1


@pytest.mark.parametrize("mmap", [False, True])
def test_a_checkpoint_of_pytorch(mmap):
    check_golden(load(FOLDER / "checkpoint.pt", mmap=mmap))


def test_a_checkpoint_is_saved_again_here(tmp_path):
    state = load(FOLDER / "checkpoint.pt")
    del state["dtype"]
    save(tmp_path / "x", state)
    assert same(state, load(tmp_path / "x"))


def test_nothing_of_pytorch_is_imported():
    code = "import sys; from nn.files import load; load(sys.argv[1]); print('torch' in sys.modules, 'pickle' in sys.modules)"
    path = str(FOLDER / "checkpoint.pt")
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "False"


def torch_saved(state, **options) -> bytes:
    file = io.BytesIO()
    pytest.importorskip("torch").save(state, file, **options)
    return file.getvalue()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_type_and_protocol_of_pytorch(protocol):
    torch = pytest.importorskip("torch")
    types = (
        "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 float32 float64 complex64 complex128".split()
    )
    short = "bfloat16 float8_e5m2 float8_e4m3fn float8_e5m2fnuz float8_e4m3fnuz float8_e8m0fnu".split()
    state = {name: torch.arange(6).reshape(2, 3).to(getattr(torch, name)) for name in types}
    state |= {name: torch.tensor([0.25, 1.0, 2.0, 64.0]).to(getattr(torch, name)) for name in short}
    state |= {
        "none": torch.empty(0, 3),
        "one": torch.tensor(1.5),
        "long text " * 40: [2**31, -1, 2**63, -(2**90), 255, 256],
    }
    state |= {
        "pair": (1, (2,), ()),
        ("a", 1): b"bytes \xff",
        "no bytes": b"",
        None: 1.5,
        "other": [True, False, None, 1 + 2j, "\u00e9\n"],
    }
    state |= {
        "number": np.float32(0.1),
        "flag": np.bool_(True),
        "device": torch.device("cuda", 1),
        "types": [torch.bfloat16],
    }
    read = loaded(torch_saved(state, pickle_protocol=protocol))
    assert list(read) == list(state)
    for name in types:
        assert same(state[name].numpy(), read[name])
    for name in short:
        assert read[name].dtype == np.float32 and read[name].tolist() == [0.25, 1, 2, 64]
    assert read["none"].shape == (0, 3) and read["one"].item() == 1.5
    for name in ("long text " * 40, "pair", ("a", 1), None, "other", "number", "flag", "no bytes"):
        assert same(state[name], read[name])
    assert read["device"] == "cuda:1" and read["types"] == ["bfloat16"]


def test_views_of_pytorch_are_views_here():
    torch = pytest.importorskip("torch")
    x = torch.arange(60.0).reshape(3, 4, 5)
    views = [
        x,
        x[1],
        x[:, ::2],
        x.permute(2, 0, 1),
        x[..., 3:4],
        x[0, 0].expand(2, 5),
        x[2:2],
        x.diagonal(),
        x[2, 3, 4],
    ]
    read = loaded(torch_saved(views))
    assert all(same(a.contiguous().numpy(), ag.tensor(b.value.copy())) for a, b in zip(views, read))
    assert len({id(memory(b.value)) for b in read if b.numel()}) == 1
    read[0].add_(100)
    assert read[3].value[4, 2, 3] == 159
    z = torch.tensor([1 + 2j, 3 - 1j])
    marked = {"conj": z.conj(), "neg": z.clone().conj().imag, "both": -z.clone().conj().imag, "real": z.clone().real}
    for name, value in loaded(torch_saved(marked)).items():
        assert value.tolist() == marked[name].tolist()


def test_states_of_pytorchs_modules_optimizers_and_schedules():
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.LSTM(2, 2))
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.note = "kept by the parameter"  # PyTorch writes such parameters and tensors in another way
    tensor = torch.ones(3)
    tensor.note = "kept by the tensor"
    for kind in (torch.optim.SGD, torch.optim.AdamW, torch.optim.Adagrad, torch.optim.LBFGS):
        optimizer = kind(model.parameters(), lr=0.5)
        schedule = torch.optim.lr_scheduler.MultiStepLR(torch.optim.SGD([parameter], lr=1.0), [3, 3, 5])
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
        read = loaded(torch_saved(state | {"parameter": parameter, "tensor": tensor, "all": list(model.parameters())}))
        for name, value in model.state_dict().items():
            assert same(value.numpy(), read["model"][name])
        assert read["optimizer"]["param_groups"][0]["lr"] == 0.5
        assert dict(read["schedule"]["milestones"]) == {3: 2, 5: 1}
        assert read["parameter"].requires_grad and not read["tensor"].requires_grad


def test_a_checkpoint_without_checksums_and_one_of_a_foreign_machine():
    torch = pytest.importorskip("torch")
    torch.serialization.set_crc32_options(False)
    try:
        assert loaded(torch_saved({"a": torch.ones(2)}))["a"].tolist() == [1, 1]
    finally:
        torch.serialization.set_crc32_options(True)


def test_byte_order_is_read():
    value = {
        "f": hand.tensor(hand.storage("Float", "0", 2), 0, (2,), (1,)),
        "b": hand.tensor(hand.storage("BFloat16", "1", 1), 0, (1,), (1,)),
    }
    for order, letter in (("little", "<"), ("big", ">"), (None, "<")):
        data = {"0": np.array([1.5, 2.5], f"{letter}f4"), "1": np.array([0x3FC0], f"{letter}u2")}
        read = loaded(hand.checkpoint(value, data, order))
        assert read["f"].tolist() == [1.5, 2.5] and read["f"].value.dtype.isnative and read["b"].tolist() == [1.5]
    with pytest.raises(FileError, match="byteorder is b'middle'"):
        loaded(hand.checkpoint(value, data, "middle"))


FOUR = hand.storage("Float", "0", 4)


@pytest.mark.parametrize(
    "offset, shape, strides",
    [
        (1, (4,), (1,)), (-1, (2,), (1,)), (0, (5,), (1,)), (0, (2, 2), (3, 2)), (0, (2,), (-1,)), (3, (2,), (-1,)),
        (2**70, (1,), (1,)), (0, (2,), (2**62,)), (4, (), ()), (0, (2**40, 2**40), (0, 0)), (0, (-1,), (1,)),
        (0, (1,) * 65, (1,) * 65),
        (0, (2,), (1, 1)), (0, (2,), ()), (0, [2], (1,)), (0, (2.0,), (1,)), (True, (1,), (1,)), (0, (True,), (1,)), (0, (2,), 1),
        (0, (0, 2**62, 4), (1, 1, 1)), (0, "2", (1,)), (None, (1,), (1,)),
    ],
)  # fmt: skip
def test_tensors_outside_their_storage_are_refused(offset, shape, strides):
    data = hand.checkpoint(hand.tensor(FOUR, offset, shape, strides), {"0": np.zeros(4, "f4")})
    if shape == [2]:
        assert loaded(data).shape == (2,)  # a list of sizes does no harm
        return
    with pytest.raises(FileError):
        loaded(data)


@pytest.mark.parametrize(
    "offset, shape, strides, expected",
    [
        (0, (4,), (1,), [0, 1, 2, 3]), (3, (), (), 3), (1, (2, 2), (0, 1), [[1, 2], [1, 2]]), (3, (1,), (2**62,), [3]),
        (0, (0, 7), (1, 1), []), (9, (0,), (1,), []), (0, (2, 2), (1, 1), [[0, 1], [1, 2]]),
        (0, (2, 1, 2), (2, 9, 1), [[[0, 1]], [[2, 3]]]),
    ],
)  # fmt: skip
def test_any_strides_inside_a_storage(offset, shape, strides, expected):
    data = hand.checkpoint(hand.tensor(FOUR, offset, shape, strides), {"0": np.arange(4, dtype="f4")})
    assert loaded(data).tolist() == expected


def tensor_of(kept) -> hand.Raw:
    return hand.tensor(kept, 0, (1,), (1,))


def deep(value, count: int):
    for _ in range(count):
        value = [value]
    return value


def doubling(count: int) -> hand.Raw:
    """A list that holds the same list twice, and so on: a few bytes that are read as very many."""
    code = b"]q\x00"
    for _ in range(count):
        code += b"0](h\x00h\x00eq\x00"
    return hand.Raw(code)


BAD_PICKLES = {
    "calls the shell": (hand.called("os", "system", "echo"), "asks for 'os.system'.*nothing was run.*weights_only=False"),
    "calls the shell by its other name": (hand.called("posix", "system", "echo"), "asks for 'posix.system'"),
    "evaluates": (hand.called("builtins", "eval", "1"), "asks for 'builtins.eval'"),
    "imports": (hand.called("builtins", "__import__", "os"), "asks for"),
    "looks inside": (hand.name("torch", "Size.__class__"), "asks for 'torch.Size.__class__'"),
    "a class": (hand.name("argparse", "Namespace"), "asks for 'argparse.Namespace'"),
    "a sparse tensor": (hand.called("torch._utils", "_rebuild_sparse_tensor", 1), "asks for 'torch._utils._rebuild_sparse"),
    "names on the stack": (hand.Raw(hand.pickled("os") + hand.pickled("system") + b"\x93)R"), "asks for 'os.system'"),
    "names that are none": (hand.Raw(b"NN\x93"), "a name is no text"),
    "an instruction for objects": (hand.Raw(b"(ios\nsystem\n"), "0x69 is no instruction"),
    "an object of a class": (hand.Raw(b"NN\x81"), "0x81 is no instruction"),
    "an extension": (hand.Raw(b"\x82\x01"), "0x82 is no instruction"),
    "calls a text": (hand.Raw(hand.pickled("f") + b")R"), "what is to be called is not a function"),
    "calls a tensor": (hand.Raw(tensor_of(FOUR).code + b")R"), "what is to be called"),
    "wrong arguments": (hand.called("torch._utils", "_rebuild_tensor_v2"), "0 values that do not suit it"),
    "no storage": (hand.called("torch._utils", "_rebuild_tensor_v2", 1, 0, (1,), (1,), False, {}), "no storage"),
    "no entry": (tensor_of(hand.storage("Float", "7", 4)), "no entry 'archive/data/7'"),
    "another folder's entry": (tensor_of(hand.storage("Float", "../data.pkl", 4)), "no entry"),
    "another size": (tensor_of(hand.storage("Float", "0", 5)), "has 16 bytes, and 5 numbers of float32 are wanted"),
    "another type": (tensor_of(hand.storage("Double", "0", 4)), "has 16 bytes, and 4 numbers of float64"),
    "a huge size": (tensor_of(hand.storage("Float", "0", 2**60)), "has 16 bytes"),
    "a size that is none": (tensor_of(hand.storage("Float", "0", 4.0)), "lacks its type, key or size"),
    "a type that is none": (tensor_of(hand.storage("QInt8", "0", 4)), "asks for 'torch.QInt8Storage'"),
    "a storage that is none": (hand.Raw(b"NQ"), "what should be a storage"),
    "a storage as a value": (FOUR, "a _Storage is left"),
    "a function as a value": ([hand.name("torch", "Size")], "a Known is left"),
    "a class as a value": ({"a": hand.name("torch", "FloatStorage")}, "a Encoding is left"),
    "unknown marks": (hand.tensor(FOUR, 0, (1,), (1,), {"sparse": True}), "unknown marks"),
    "attributes of a list": (hand.Raw(b"]}b"), "a list is given attributes"),
    "a list as a key": (hand.Raw(b"}]Ns"), "a key is a list"),
    "a tensor as a key": (hand.Raw(b"}" + tensor_of(FOUR).code + b"Ns"), "a key is a Tensor"),
    "a deep tuple as a key": (hand.Raw(b"})" + b"\x85" * 10_000 + b"Ns"), "a key is a tuple"),
    "a key without a value": (hand.Raw(b"}(Nu"), "a key has no value"),
    "deep": (deep(1, 200), "nested more than 100 deep"),
    "very deep": (hand.Raw(b"]" * 100_000 + b"a" * 99_999), "nested more than 100 deep"),
    "holds itself": (hand.Raw(b"]q\x00h\x00a"), "holds itself"),
    "holds itself in a tuple": (hand.Raw(b"]q\x00(h\x00ta"), "holds itself"),
    "doubling": (doubling(60), "over 10000000 values"),
    "nothing to work on": (hand.Raw(b"a"), "nothing to work on"),
    "nothing below the mark": (hand.Raw(b"](a"), "nothing to work on"),
    "nothing to join": (hand.Raw(b"N\x87"), "nothing to work on"),
    "appends to text": (hand.Raw(hand.pickled("x") + b"Na"), "a list is to be changed, and str is there"),
    "two values": (hand.Raw(b"NN"), "more or less than one value"),
    "a mark": (hand.Raw(b"N("), "more or less than one value"),
    "never remembered": (hand.Raw(b"h\x05"), "never remembered"),
    "a far place": (hand.Raw(b"Nr\xff\xff\xff\xff0j\xff\xff\xff\x7f"), "value 2147483647 was never remembered"),
    "long text": (hand.Raw(b"X\xff\xff\xff\xff"), "4294967295 bytes are wanted"),
    "very long text": (hand.Raw(b"\x8d" + b"\xff" * 8), "bytes are wanted"),
    "long bytes": (hand.Raw(b"\x8e" + b"\xff" * 7 + b"\x7f"), "bytes are wanted"),
    "a long number": (hand.Raw(b"\x8b\xff\xff\xff\x7f"), "bytes are wanted"),
    "text that is none": (hand.Raw(b"X\x01\x00\x00\x00\xff"), "not UTF-8"),
    "a line without an end": (hand.Raw(b"ctorch"), "a line has no end"),
    "a high protocol": (hand.Raw(b"\x80\x09N"), "protocol above 5"),
    "sizes that are none": (hand.called("torch", "Size", "ab"), "torch.Size is given"),
    "a device that is none": (hand.called("torch", "device", 3), "torch.device is given"),
    "a number of objects": (hand.called("numpy", "dtype", "O8", False, True), "has the type 'O8'"),
    "a number without bytes": (
        hand.called("numpy._core.multiarray", "scalar", hand.called("numpy", "dtype", "f8"), "x"), "lacks its type or its bytes",
    ),
    "bytes that are none": (hand.called("_codecs", "encode", "x", "rot13"), "what should be bytes"),
    "a counter that is none": (hand.called("collections", "Counter", "x"), "a Counter is given"),
    "a number of texts": (hand.called("builtins", "complex", "1", "2"), "a complex number lacks its parts"),
    "a class that is called": (hand.called("torch", "Tensor", 1), "a class is to be called"),
    "a subclass": (
        hand.called("torch._tensor", "_rebuild_from_type_v2", hand.name("torch", "Size"), hand.name("torch", "Tensor"), (), None),
        "unknown way",
    ),
    "a parameter of nothing": (hand.called("torch._utils", "_rebuild_parameter", None, True, None), "no tensor"),
    "an unknown type": (
        hand.called("torch._utils", "_rebuild_tensor_v3", FOUR, 0, (1,), (1,), False, {}, "int4"), "unknown type 'int4'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_PICKLES)
def test_bad_pickles_are_refused(case):
    value, words = BAD_PICKLES[case]
    with pytest.raises(FileError, match=f"^load: <BytesIO>: .*{words}"):
        loaded(hand.checkpoint(value, {"0": np.zeros(4, "f4")}))


class Malicious:
    def __reduce__(self):
        return os.system, ("echo harm",)


def test_what_python_pickles_itself_is_refused(tmp_path):
    data = pickle.dumps(Malicious(), protocol=2)
    with pytest.raises(FileError, match="asks for '(posix|nt).system'"):
        loaded(hand.zipped([("archive/data.pkl", data)]))
    for protocol in (2, 5):
        with pytest.raises(FileError, match=r"it is a pickle, which may run any code.*torch.save\(torch.load\("):
            loaded(pickle.dumps({"a": 1}, protocol=protocol))
    assert not [code for code in b"io\x81\x92\x82\x83\x84\x97\x98" if code in _INSTRUCTIONS]


def test_other_files_of_pytorch_say_how_to_convert_them():
    with pytest.raises(FileError, match=r"the format that torch.save had before PyTorch 1.6.*torch.save\(torch.load\("):
        load(FOLDER / "legacy.pt")
    with pytest.raises(FileError, match=r"a program \(TorchScript\).*torch.jit.load\(path\).state_dict\(\)"):
        load(FOLDER / "script.pt")


# --- archives ---


def ended(data: bytes, **changes: int) -> bytes:
    """An archive with other numbers in its end: here, count, size, begin, comment."""
    names = ["signature", "disk", "first", "here", "count", "size", "begin", "comment"]
    values = dict(zip(names, struct.unpack("<4s4H2IH", data[-22:]))) | changes
    return data[:-22] + struct.pack("<4s4H2IH", *values.values())


def patched(data: bytes, signature: bytes, offset: int, new: bytes, which: int = 0) -> bytes:
    """An archive with other bytes at an offset from one of its headers."""
    place = -1
    for _ in range(which + 1):
        place = data.index(signature, place + 1)
    return data[: place + offset] + new + data[place + offset + len(new) :]


NPY = io.BytesIO()
np.save(NPY, np.arange(3.0))
NPY = NPY.getvalue()
TWO = hand.zipped([("a.npy", NPY), ("b.npy", NPY)])
CENTRAL, LOCAL = b"PK\1\2", b"PK\3\4"
BAD_ARCHIVES = {
    "cut short": (TWO[:-30], "has no end"),
    "no end": (TWO[:100], "has no end"),
    "more after the end": (TWO + b"x", "is not at the end of the file"),
    "several parts": (ended(TWO, disk=1), "one of several parts"),
    "many entries": (ended(TWO, here=60000, count=60000), "60000 entries in"),
    "fewer entries": (ended(TWO, here=1, count=1), "bytes after the last entry"),
    "a far directory": (ended(TWO, begin=2**31), "its directory would be at"),
    "a huge directory": (ended(TWO, size=2**31), "its directory would be at"),
    "a shifted directory": (ended(TWO, begin=5), "has no entry at 0|bytes after"),
    "a large archive that is none": (ended(TWO, begin=2**32 - 1), "should be the locator"),
    "twice": (hand.zipped([("a.npy", NPY)]) and patched(patched(TWO, b"b.npy", 0, b"a"), b"b.npy", 0, b"a"), "stands twice"),
    "another name": (patched(TWO, LOCAL, 30, b"c"), "something else is there"),
    "over each other": (patched(TWO, CENTRAL, 42, bytes(4), which=1), "something else is there"),
    "beyond the file": (patched(TWO, CENTRAL, 42, b"\xf0\xff\xff\x7f"), "would be bytes"),
    "longer than the file": (patched(TWO, CENTRAL, 20, b"\xf0\xff\xff\x7f\xf0\xff\xff\x7f"), "inside the directory"),
    "overlapping": (patched(TWO, CENTRAL, 20, struct.pack("<2I", 300, 300)), "overlap at"),
    "two sizes": (patched(TWO, CENTRAL, 24, b"\xf0\xff\xff\x7f"), "is said to have"),
    "encrypted": (patched(TWO, CENTRAL, 8, b"\x01"), "is encrypted"),
    "an unknown method": (patched(TWO, CENTRAL, 10, b"\x0c"), "compressed by method 12"),
    "a wrong checksum": (patched(TWO, CENTRAL, 16, b"\0\0\0\0"), "its checksum does not fit"),
    "damaged": (patched(TWO, b"\x93NUMPY", 130, b"!"), "its checksum does not fit"),
    "a name that is no text": (patched(TWO, CENTRAL, 46, b"\xff"), "not UTF-8"),
    "no size": (patched(TWO, CENTRAL, 24, b"\xff\xff\xff\xff"), "lacks its size"),
    "a compressed checkpoint": (hand.zipped([("a/data.pkl", b"\x80\x02N.")], zipfile.ZIP_DEFLATED), "is compressed, which torch"),
    "two descriptions": (hand.zipped([("a/data.pkl", b"N."), ("b/data.pkl", b"N.")]), "one entry data.pkl"),
    "a deep description": (hand.zipped([("a/b/data.pkl", b"N.")]), "one entry data.pkl"),
    "something else": (hand.zipped([("word/document.xml", b"")]), "neither a checkpoint of PyTorch nor arrays of NumPy"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_bad_archives_are_refused(case):
    data, words = BAD_ARCHIVES[case]
    with pytest.raises(FileError, match=f"^load: <BytesIO>: .*({words})"):
        loaded(data)


def test_large_archives_and_comments_are_read(tmp_path):
    """The numbers of large archives stand elsewhere; here they are small, but stand there too."""
    begin = TWO.index(CENTRAL)
    second = TWO.index(CENTRAL, begin + 1)
    size, where = len(NPY), struct.unpack_from("<I", TWO, second + 42)[0]
    extra = struct.pack("<2HI", 9, 4, 1) + struct.pack("<2H3Q", 1, 24, size, size, where)
    entry = bytearray(TWO[second : len(TWO) - 22] + extra)
    entry[20:28], entry[42:46], entry[30:32] = b"\xff" * 8, b"\xff" * 4, struct.pack("<H", len(extra))
    text = TWO[begin:second] + bytes(entry)
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, len(text), begin)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, begin + len(text), 1)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 7) + b"comment"
    whole = TWO[:begin] + text + end64 + locator + end
    assert zipfile.ZipFile(io.BytesIO(whole)).namelist() == ["a.npy", "b.npy"]
    assert same({"a": np.arange(3.0), "b": np.arange(3.0)}, loaded(whole))
    for bad in (whole.replace(b"PK\6\6", b"PK\6\5"), whole[: begin + 5] + whole[begin + 20 :]):
        with pytest.raises(FileError):
            loaded(bad)


def test_names_in_archives_are_only_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["../../up.npy", "/root.npy", "C:\\x.npy", ".npy", "a/../b.npy"]
    assert list(loaded(hand.zipped((name, NPY) for name in names))) == [name[:-4] for name in names]
    assert list(tmp_path.iterdir()) == []


# --- NumPy's files ---


def npy(array, version=None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def dialect(header: str, data: bytes = bytes(24)) -> bytes:
    text = header.encode("latin-1")
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_single_arrays_of_numpy(version):
    for array in (
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.ones((2, 3))),
        np.array(3),
        np.arange(3, dtype=">c16"),
        np.zeros((0, 2), bool),
    ):
        assert same(array, loaded(npy(array, version)))


def test_archives_of_numpy(tmp_path):
    golden = {"a": np.arange(3.0), "b": np.arange(6, dtype=np.int32).reshape(2, 3)}
    for mmap in (False, True):
        assert same(golden, load(FOLDER / "arrays.npz", mmap=mmap))
    np.savez_compressed(tmp_path / "x", a=np.arange(1000.0), zeros=np.zeros(100_000))
    assert same({"a": np.arange(1000.0), "zeros": np.zeros(100_000)}, load(tmp_path / "x.npz"))


def test_dialects_of_headers():
    for header in (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n",
        "{'shape':(3L,),'fortran_order':False,'descr':'<f8'}",
        '{"descr" : "<f8" , "fortran_order" : False , "shape" : ( 3 , ) }   \n',
        "{'descr': '<f8', 'fortran_order': True, 'shape': (1, 3)}",
    ):
        assert loaded(dialect(header)).numel() == 3


DESCRIBED = "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }"
BAD_NPY = {
    "objects": (npy(np.array([1, "x"], object)), "holds objects, which only pickle can read"),
    "text": (npy(np.array(["x"])), "holds text"),
    "bytes": (npy(np.array([b"x"])), "holds bytes"),
    "records": (npy(np.zeros(1, [("a", "f4")])), "its header is"),
    "times": (npy(np.array(["2020-01-01"], "M8[D]")), "numbers of type '<M8"),
    "long doubles": (npy(np.ones(1, np.longdouble)), "numbers of type '<f16'"),
    "cut short": (npy(np.ones(3))[:-1], "takes 24 bytes, and after its header are 23"),
    "more": (npy(np.ones(3)) + b"x", "after its header are 25"),
    "an unknown version": (b"\x93NUMPY\x07\0" + npy(np.ones(3))[8:], "formats 1 to 3"),
    "a long header": (b"\x93NUMPY\1\0\xff\xff" + bytes(70000), "said to have 65535 bytes"),
    "a very long header": (b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(100), "said to have 4294967295 bytes"),
    "an expression": (dialect(DESCRIBED.replace("(3,)", "(1+2,)")), "its header is"),
    "a call": (dialect(DESCRIBED.replace("(3,)", "print()")), "its header is"),
    "a negative size": (dialect(DESCRIBED.replace("(3,)", "(-3,)")), "its header is"),
    "a huge size": (dialect(DESCRIBED.replace("(3,)", "(4611686018427387904, 4)")), "larger than any memory"),
    "a very long size": (dialect(DESCRIBED.replace("(3,)", "(" + "9" * 5000 + ",)")), "its header is"),
    "twice": (dialect(DESCRIBED.replace("}", "'shape': (3,)}")), "its header is"),
    "something more": (dialect(DESCRIBED.replace("}", "'more': True}")), "its header is"),
    "something after": (dialect(DESCRIBED + "{}"), "its header is"),
    "nothing": (dialect(""), "its header is"),
    "truth that is none": (npy(np.zeros(2, bool))[:-1] + b"\x07", "entry 1 is the byte 7"),
    "in an archive": (hand.zipped([("a.npy", b"x" * 200)]), "'a.npy' does not begin"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_NPY)
def test_bad_arrays_of_numpy_are_refused(case):
    data, words = BAD_NPY[case]
    with pytest.raises(FileError, match=f"^load: <BytesIO>: .*{words}"):
        loaded(data)


def test_archives_that_unfold_to_more_than_is_let(monkeypatch):
    header = dialect(DESCRIBED.replace("(3,)", f"({2**24},)"), b"")
    bomb = hand.zipped([("a.npy", header + bytes(2**27))], zipfile.ZIP_DEFLATED)
    with pytest.raises(
        FileError, match=r"'a.npy' unfolds \d+ bytes to 1342\d+, more than the 67108864 that are let.*numpy.load"
    ):
        loaded(bomb)
    small = hand.zipped([("a.npy", npy(np.zeros(3)))], zipfile.ZIP_DEFLATED)
    for size, words in ((2**26, "does not unfold"), (5, "does not unfold"), (2**27, "more than the")):
        with pytest.raises(FileError, match=words):
            loaded(patched(small, CENTRAL, 24, struct.pack("<I", size)))
    with pytest.raises(FileError, match="is damaged|does not unfold"):
        loaded(patched(small, LOCAL, 45, b"\xff\xff\xff\xff"))
    monkeypatch.setattr("nn.files.npz._ALWAYS", 1000)
    monkeypatch.setattr("nn.files.npz._UNFOLDS", 0)
    several = hand.zipped([(f"{i}.npy", npy(np.zeros(40))) for i in range(9)], zipfile.ZIP_DEFLATED)
    with pytest.raises(FileError, match="'2.npy' unfolds"):  # all together may not be more
        loaded(several)


# --- bad safetensors ---

INFO = hand.tensor_info
SOUND = {"a": INFO("F32", [2], 0, 8), "b": INFO("U8", [1], 8, 9)}
BAD_SAFETENSORS = {
    "a long header": (hand.safetensors(b"{}", length=3), "the header would be bytes 8 to 11 of a file that has 10"),
    "a huge header": (hand.safetensors(b"{}", length=2**63), "has at most 100000000"),
    "a short header": (hand.safetensors(b'{"a":{}}', length=4), "its header: "),
    "not text": (hand.safetensors(b'{"\xff":1}'), "its header: 'utf-8'"),
    "not JSON": (hand.safetensors(b"{1}"), "its header: Expecting property name"),
    "not an object": (hand.safetensors(b"{}") and hand.safetensors(b'{"a":[1,2]}'), "tensor 'a' should have dtype"),
    "deep": (hand.safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "nested too deeply"),
    "twice": (hand.safetensors(b'{"a":1,"a":2}'), "'a' stands twice"),
    "twice inside": (hand.safetensors(b'{"a":{"dtype":"U8","dtype":"U8"}}'), "'dtype' stands twice"),
    "an unknown type": (hand.safetensors({"a": INFO("F128", [1], 0, 16)}, bytes(16)), "has the type 'F128', and known are"),
    "a packed type": (hand.safetensors({"a": INFO("F4", [2], 0, 1)}, b"x"), "has the type 'F4'"),
    "a type that is none": (hand.safetensors({"a": INFO([], [1], 0, 1)}, b"x"), "has the type"),
    "a negative size": (hand.safetensors({"a": INFO("U8", [-1], 0, 1)}, b"x"), "should be a list of sizes"),
    "a broken size": (hand.safetensors({"a": INFO("U8", [1.0], 0, 1)}, b"x"), "should be a list of sizes"),
    "a true size": (hand.safetensors({"a": INFO("U8", [True], 0, 1)}, b"x"), "should be a list of sizes"),
    "no shape": (hand.safetensors({"a": INFO("U8", None, 0, 1)}, b"x"), "should be a list of sizes"),
    "a huge shape": (hand.safetensors({"a": INFO("U8", [2**32, 2**32], 0, 1)}, b"x"), "larger than any memory"),
    "a huge empty shape": (hand.safetensors({"a": INFO("U8", [0, 2**62, 2**62], 0, 0)}), "larger than any memory"),
    "a shape of many": (hand.safetensors({"a": INFO("U8", [1] * 65, 0, 1)}, b"x"), "has 65 axes"),
    "a large shape": (hand.safetensors({"a": INFO("U8", [10**12], 0, 1)}, b"x"), "takes 1000000000000 bytes, and has 1"),
    "a wrong shape": (hand.safetensors({"a": INFO("F32", [2], 0, 4)}, b"xxxx"), "takes 8 bytes, and has 4"),
    "one offset": (hand.safetensors({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0]}}, b"x"), "two data_offsets"),
    "broken offsets": (hand.safetensors({"a": INFO("U8", [1], 0.0, 1)}, b"x"), "two data_offsets"),
    "negative offsets": (hand.safetensors({"a": INFO("U8", [1], -1, 0)}, b"x"), "data_offsets -1 to 0"),
    "offsets backwards": (hand.safetensors({"a": INFO("U8", [1], 1, 0)}, b"x"), "data_offsets 1 to 0"),
    "offsets outside": (hand.safetensors({"a": INFO("U8", [2], 0, 2)}, b"x"), "0 to 2, and there are 1 bytes"),
    "huge offsets": (hand.safetensors({"a": INFO("U8", [1], 2**70, 2**70 + 1)}, b"x"), "and there are 1 bytes"),
    "a gap": (hand.safetensors({"a": INFO("U8", [1], 1, 2)}, b"xy"), "begins at 1 of the data: what is at 0 belongs to no"),
    "a gap between": (hand.safetensors(SOUND | {"b": INFO("U8", [1], 9, 10)}, bytes(10)), "begins at 9 .* at 8 belongs to no"),
    "one in another": (hand.safetensors(SOUND | {"b": INFO("U8", [1], 7, 8)}, bytes(8)), "at 7 is in a tensor before"),
    "something after": (hand.safetensors(SOUND, bytes(10)), "at 9 of the data, 1 bytes are left over"),
    "cut short": (hand.safetensors(SOUND, bytes(8)), "'b' has data_offsets 8 to 9, and there are 8 bytes"),
    "a name that is none": (hand.safetensors(b'{"\\ud800":{}}'), "should have dtype"),
    "metadata of numbers": (hand.safetensors({"__metadata__": {"a": 1}}), "__metadata__ should name strings"),
    "metadata that is none": (hand.safetensors({"__metadata__": "x"}), "__metadata__ should name strings"),
    "no dtype": (hand.safetensors({"a": {"shape": [1], "data_offsets": [0, 1]}}, b"x"), "should have dtype"),
    "infinity": (hand.safetensors(b'{"a":Infinity}'), "Infinity is no number"),
    "a very long number": (hand.safetensors(b'{"a":' + b"9" * 5000 + b"}"), "its header: "),
    "truth that is none": (hand.safetensors({"a": INFO("BOOL", [2], 0, 2)}, b"\1\2"), "'a': entry 1 is the byte 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_SAFETENSORS)
def test_bad_safetensors_are_refused(case, tmp_path):
    data, words = BAD_SAFETENSORS[case]
    with pytest.raises(FileError, match=f"^load: <BytesIO>: .*{words}"):
        loaded(data)
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    for mmap in (False, True):
        with pytest.raises(FileError, match=f"^load: {path}: .*{words}"):
            load(path, mmap=mmap)


def described(value, arrays: dict | None = None) -> bytes:
    """A file whose state is described by a text of ours."""
    text = value if isinstance(value, str) else json.dumps(value)
    return saved(arrays or {}, metadata=None) if text is None else rewritten(arrays or {}, text)


def rewritten(arrays: dict, text: str) -> bytes:
    plain = saved(arrays)
    length = int.from_bytes(plain[:8], "little")
    header = {"__metadata__": {"nn.structure": text}} | json.loads(plain[8 : 8 + length])
    return hand.safetensors(header, plain[8 + length :])


def deep_json(count: int) -> list:
    value: list = []
    for _ in range(count):
        value = [value]
    return value


BAD_DESCRIPTIONS = {
    "no JSON": "{",
    "deep": deep_json(200),
    "very deep": "[" * 100_000,
    "an unknown kind": {"function": "os.system"},
    "two kinds": {"tuple": [], "float": "00"},
    "no kind": {},
    "no tensor": {"tensor": "b"},
    "a tensor that is none": {"tensor": ["a"]},
    "no complex tensor": {"complex128": "a"},
    "no pairs": {"dict": [["a"]]},
    "no list of pairs": {"dict": {"a": 1}},
    "a list as a key": {"dict": [[[], 1], ["x", {"tensor": "a"}]]},
    "a tensor as a key": {"dict": [[{"tensor": "a"}, 1]]},
    "a list in a key": {"dict": [[{"tuple": [[]]}, 1]]},
    "a key twice": {"dict": [["x", 1], ["x", {"tensor": "a"}]]},
    "no tuple": {"tuple": {}},
    "no float": {"float": "nan"},
    "a short float": {"float": "00"},
    "a float that is none": {"float": 1.5},
    "no complex": {"complex": "00"},
    "a number of an unknown type": {"number": ["object", "00"]},
    "a number that is none": {"number": ["float32", "00"]},
    "truth that is none": {"number": ["bool", "07"]},
    "a tensor without a place": [],
    "infinity": "[Infinity]",
}


@pytest.mark.parametrize("case", BAD_DESCRIPTIONS)
def test_bad_descriptions_of_states_are_refused(case, tmp_path):
    value = BAD_DESCRIPTIONS[case]
    with pytest.raises(FileError, match="description of its state"):
        loaded(described(value, {"a": np.ones(3)}))


def test_unknown_files_say_what_is_understood(tmp_path):
    for data, words in (
        (b"", "it is empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "it begins with b'.*HDF.*what can be read is safetensors"),
    ):
        with pytest.raises(FileError, match=words):
            loaded(data)
        (tmp_path / "x.safetensors").write_bytes(data)
        for mmap in (False, True):
            with pytest.raises(FileError, match=words):
                load(tmp_path / "x.safetensors", mmap=mmap)
    for size in range(40):
        with pytest.raises(FileError):
            loaded(bytes(size))


def test_content_decides_and_not_the_name(tmp_path):
    save(tmp_path / "x", {"a": np.ones(1)})
    os.rename(tmp_path / "x", tmp_path / "x.npz")
    assert list(load(tmp_path / "x.npz")) == ["a"]
    (tmp_path / "y.safetensors").write_bytes((FOLDER / "checkpoint.pt").read_bytes())
    assert load(tmp_path / "y.safetensors")["epoch"] == 3


def test_a_file_that_becomes_shorter_while_it_is_read():
    class Shrinking(io.BytesIO):
        def seek(self, *place):
            answer = super().seek(*place)
            if place == (100,):
                self.truncate(110)
            return answer

    data = saved({"a": np.zeros(100)})
    file = Shrinking(data + bytes(0))
    begin = 8 + int.from_bytes(data[:8], "little")
    file.seek = lambda *place: (
        file.truncate(begin + 10) if place == (begin,) else None,
        io.BytesIO.seek(file, *place),
    )[1]
    with pytest.raises(FileError, match="became shorter while it was read"):
        load(file)


def test_checksums_find_every_flipped_bit_of_a_checkpoint():
    data = hand.checkpoint(hand.tensor(FOUR, 0, (4,), (1,)), {"0": np.arange(4, dtype="f4")})
    begin = data.index(np.arange(4, dtype="f4").tobytes())
    assert zlib.crc32(data[begin : begin + 16])
    for bit in range(128):
        flipped = bytearray(data)
        flipped[begin + bit // 8] ^= 1 << bit % 8
        with pytest.raises(FileError, match="checksum does not fit"):
            loaded(bytes(flipped))


HUGE = hand.Raw(b"\x8b" + struct.pack("<I", 9000) + b"\x7f" * 9000)
ODD_ARGUMENTS = [
    None, True, -1, 3, 2**70, HUGE, 0.5, "x", "f8", "cpu", (), (1,), (2, 2), (HUGE,), (0.5,), [], [1], {}, {"conj": True}, {1: 2},
    deep(1, 90), doubling(60), hand.Raw(b"]q\x00h\x00a"), FOUR, tensor_of(FOUR), hand.tensor(FOUR, 0, (2, 2), (1, 1)), {"neg": tensor_of(FOUR)},
    hand.name("torch", "float32"), hand.name("torch", "bfloat16"), hand.name("torch", "Size"), hand.name("torch", "FloatStorage"),
    hand.name("torch._utils", "_rebuild_tensor_v2"), hand.name("torch", "Tensor"), hand.called("_codecs", "encode", "ab", "latin1"),
]  # fmt: skip


@pytest.mark.parametrize("full", sorted(_NAMES))
def test_whatever_a_pickle_may_ask_for_takes_whatever_it_is_given(full):
    """No argument makes an error of another kind, or one that is longer than a line or two."""
    rng = np.random.default_rng(0)
    module, _, attribute = full.rpartition(".")
    sound = [FOUR, 0, (2,), (1,), False, {}, hand.name("torch", "float32"), {}]
    data = {"0": np.arange(4, dtype="f4")}
    for _ in range(150):
        count = rng.integers(0, 9)
        args = (
            sound[:count]
            if rng.integers(2)
            else [ODD_ARGUMENTS[i] for i in rng.integers(len(ODD_ARGUMENTS), size=count)]
        )
        for _ in range(rng.integers(3) if count else 0):
            args[rng.integers(count)] = ODD_ARGUMENTS[rng.integers(len(ODD_ARGUMENTS))]
        value = hand.called(module, attribute, *args)
        for state in (
            value,
            hand.Raw(value.code + hand.pickled(ODD_ARGUMENTS[rng.integers(len(ODD_ARGUMENTS))]) + b"b"),
        ):
            try:
                loaded(hand.checkpoint(state, data))
            except FileError as error:
                assert len(str(error)) < 1000


def test_odd_storages():
    for kind in ("Float", "Untyped", "BFloat16"):
        for place in range(5):
            for odd in ODD_ARGUMENTS:
                parts = ["storage", hand.name("torch", f"{kind}Storage"), "0", "cpu", 4]
                parts[place] = odd
                kept = hand.Raw(hand.pickled(tuple(parts)) + b"Q")
                try:
                    loaded(hand.checkpoint(hand.tensor(kept, 0, (1,), (1,)), {"0": np.arange(4, dtype="f4")}))
                except FileError as error:
                    assert len(str(error)) < 1000


def test_marks_of_a_tensor_take_no_more_memory_than_its_storage():
    """A view may show one number very often; what is computed for it is the storage."""
    kept = hand.storage("ComplexFloat", "0", 2)
    for marks in ({"conj": True}, {"neg": True}, {"conj": True, "neg": True}):
        value = hand.tensor(kept, 1, (2**40,), (0,), marks)
        read = loaded(hand.checkpoint(value, {"0": np.array([0, 1 + 2j], "c8")}))
        expected = 1 + 2j
        expected = np.conj(expected) if "conj" in marks else expected
        assert read.shape == (2**40,) and read.value[7] == (-expected if "neg" in marks else expected)


def test_one_storage_has_one_type():
    untyped = hand.storage("Untyped", "0", 16)
    as_type = lambda kept, kind: hand.called(
        "torch._utils", "_rebuild_tensor_v3", kept, 0, (1,), (1,), False, {}, hand.name("torch", kind)
    )
    data = {"0": np.arange(4, dtype="f4")}
    assert len(loaded(hand.checkpoint([as_type(untyped, "uint16"), as_type(untyped, "uint16")], data))) == 2
    with pytest.raises(FileError, match="is read as uint16 and as uint32"):
        loaded(hand.checkpoint([as_type(untyped, "uint16"), as_type(untyped, "uint32")], data))


@pytest.mark.parametrize("depth", range(10, 1000, 7))
def test_nests_of_any_depth_are_refused_alike(depth):
    nest = b"[" * depth + b"]" * depth
    for header in (
        b'{"a":' + nest + b"}",
        b'{"a":{"dtype":"U8","shape":' + nest + b',"data_offsets":[0,0]}}',
        b'{"__metadata__":' + nest + b"}",
    ):
        with pytest.raises(FileError):
            loaded(hand.safetensors(header))
    for kind in ("tensor", "dict", "number", "float", "unknown"):
        with pytest.raises(FileError):
            loaded(described(f'{{"{kind}":{nest.decode()}}}', {"a": np.ones(1)}))


def test_a_very_long_number_is_refused():
    with pytest.raises(ValueError, match="save: 'a' is a number of 16001 bits"):
        saved({"a": 1 << 16000})
