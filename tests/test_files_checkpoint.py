"""PyTorch's checkpoints are read as PyTorch reads them, and a pickle that asks for anything else is refused."""

import io
import math
import os
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import handmade as hand
import numpy as np
import pytest
from handmade import loaded, same
from record_files import FOLDER

import autograd_core as ag
from autograd_core.tape import memory
from nn.files import FileError, load, save
from nn.files.checkpoint import _NAMES
from nn.files.pickled import _INSTRUCTIONS

ROOT = Path(__file__).parent.parent


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


HUGE = hand.Raw(b"\x8b" + struct.pack("<I", 9000) + b"\x7f" * 9000)
ODD_ARGUMENTS = [
    None, True, -1, 3, 2**70, HUGE, 0.5, "x", "f8", "cpu", (), (1,), (2, 2), (HUGE,), (0.5,), [], [1], {}, {"conj": True}, {1: 2},
    deep(1, 90), doubling(60), hand.Raw(b"]q\x00h\x00a"), FOUR, tensor_of(FOUR), hand.tensor(FOUR, 0, (2, 2), (1, 1)),
    {"neg": tensor_of(FOUR)},
    hand.name("torch", "float32"), hand.name("torch", "bfloat16"), hand.name("torch", "Size"), hand.name("torch", "FloatStorage"),
    hand.name("torch._utils", "_rebuild_tensor_v2"), hand.name("torch", "Tensor"),
    hand.called("_codecs", "encode", "ab", "latin1"),
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


def test_checksums_find_every_flipped_bit_of_a_checkpoint():
    data = hand.checkpoint(hand.tensor(FOUR, 0, (4,), (1,)), {"0": np.arange(4, dtype="f4")})
    begin = data.index(np.arange(4, dtype="f4").tobytes())
    assert zlib.crc32(data[begin : begin + 16])
    for bit in range(128):
        flipped = bytearray(data)
        flipped[begin + bit // 8] ^= 1 << bit % 8
        with pytest.raises(FileError, match="checksum does not fit"):
            loaded(bytes(flipped))
