"""States come back from files as they were saved, and a file is replaced whole or not at all."""

import errno
import gzip
import io
import math
import os
import re
import resource
import stat
import struct
import subprocess
import sys
from collections import OrderedDict, namedtuple
from pathlib import Path

import handmade as hand
import numpy as np
import pytest
from handmade import loaded, same, saved
from record_files import FOLDER, METADATA, arrays

import autograd_core as ag
from autograd_core.tape import memory
from nn.files import FileError, load, save
from nn.files.encodings import ENCODINGS, eight_bits

ROOT = Path(__file__).parent.parent


def npz(state, folder: Path) -> bytes:
    save(folder / "state.npz", state)
    return (folder / "state.npz").read_bytes()


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
        read = load(file)
    assert same(state, read) and read["a"].add_(1).tolist() == [1, 2, 3]
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
    with pytest.raises(TypeError, match=r"is open as text; open it with open\(\.\.\., 'wb'\)"):
        save(io.StringIO(), state)
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


def test_a_very_long_number_is_refused():
    with pytest.raises(ValueError, match="save: 'a' is a number of 16001 bits"):
        saved({"a": 1 << 16000})


def test_the_page_on_files_prints_what_its_comments_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "files.md").read_text(), flags=re.DOTALL)
    exec(code, {})
    promised = re.findall(r"^print\(.*?\)  # (.*)$", code, flags=re.MULTILINE)
    assert len(promised) == 2 and capsys.readouterr().out.split() == " ".join(promised).split()


def test_load_takes_what_scripts_for_pytorch_say(tmp_path):
    path = tmp_path / "state.npz"
    save(path, {"w": ag.ones(2)})
    for where in ("cpu", ag.ones(1).device, {"cuda:0": "cpu"}, lambda storage, place: storage):
        assert load(path, where, weights_only=True)["w"].tolist() == [1, 1]
    for where in ("cuda", {"cpu": "cuda:0"}):
        with pytest.raises(ValueError, match="load: device 'cuda.*tensors live on .cpu. here"):
            load(path, map_location=where)
    with pytest.raises(ValueError, match="weights_only=False would run code"):
        load(path, weights_only=False)
