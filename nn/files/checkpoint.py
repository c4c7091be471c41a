"""PyTorch's checkpoints: an archive with a pickle that describes the state, and a file of bytes for each storage.

They are read without PyTorch and without running anything: see `pickled`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core import Tensor, from_numpy

from . import archive
from .encodings import ENCODINGS, NUMPY, Encoding
from .pickled import Known, PickleError, require_plain, unpickle
from .source import LARGEST_HEADER, Source, entries_of, shown

_CONVERT = (
    "where PyTorch is installed and the file can be trusted, "
    "torch.save(torch.load(path, weights_only=False), new_path) writes what can be read here"
)
_LEGACY = bytes.fromhex("8a0a6cfc9c46f9206aa850192e")  # the number with which torch.save began before PyTorch 1.6
_BYTES = Encoding("bytes", 1, lambda data, big: data)
_STORAGES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
    "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
    "ComplexFloat": "complex64", "ComplexDouble": "complex128",
}  # fmt: skip
_PLAIN = (bool, int, float, complex, str, bytes, type(None), Tensor, np.dtype, np.generic)


def recognized(entries: dict[str, archive.Entry]) -> bool:
    """Whether an archive is one of PyTorch's."""
    return any(name.endswith("/data.pkl") for name in entries)


def refuse_pickle(source: Source) -> None:
    """Raise if a file is a pickle by itself: PyTorch's old format, or anything."""
    head = source.read(0, min(source.size, 2 + len(_LEGACY)), "")
    if head[:1] != b"\x80" or len(head) < 2 or head[1] > 5:
        return
    kind = (
        "the format that torch.save had before PyTorch 1.6"
        if head[2:] == _LEGACY
        else "a pickle, which may run any code"
    )
    raise source.fault(f"it is {kind}, and is not read; {_CONVERT}")


def read(source: Source, entries: dict[str, archive.Entry]) -> Any:
    """What torch.save was given: tensors share memory where they did."""
    described = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(described) != 1:
        raise source.fault("it should have one entry data.pkl, in a folder")
    folder = described[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in entries or any(name.startswith(f"{folder}code/") for name in entries):
        raise source.fault(
            "it is a program (TorchScript), not a state; where PyTorch is installed and the file can be trusted, "
            "torch.save(torch.jit.load(path).state_dict(), new_path) writes what can be read here"
        )
    entry = entries[described[0]]
    if entry.stored > LARGEST_HEADER:
        raise source.fault(f"its description data.pkl has {entry.stored} bytes, and may have {LARGEST_HEADER}")
    storages = _Storages(source, entries, folder)
    try:
        data = archive.contents(source, entry, trust_no_checksum=True).tobytes()
        state = unpickle(data, _NAMES, storages.storage, _built)
        require_plain(state, _PLAIN)
    except PickleError as error:
        raise source.fault(f"{error}; {_CONVERT}" if "asks for" in str(error) else str(error)) from None
    return state


class _Storages:
    """The memory of an archive's tensors, read when first needed."""

    def __init__(self, source: Source, entries: dict[str, archive.Entry], folder: str):
        self.source, self.entries, self.folder = source, entries, folder
        self.arrays: dict[tuple[str, bool, bool], np.ndarray] = {}
        self.encodings: dict[str, Encoding] = {}
        order = entries.get(f"{folder}byteorder")
        text = archive.contents(source, order, trust_no_checksum=True).tobytes() if order else b"little"
        if text not in (b"little", b"big"):
            raise source.fault(f"its byteorder is {shown(text)}, and should be little or big")
        self.big = text == b"big"

    def storage(self, found: Any) -> _Storage:
        """What a pickle means by ("storage", type, key, device, entries)."""
        if type(found) is not tuple or len(found) != 5 or type(found[0]) is not str or found[0] != "storage":
            raise PickleError("what should be a storage is none")
        _, encoding, key, _, count = found
        if type(encoding) is not Encoding or type(key) is not str or type(count) is not int:
            raise PickleError("a storage lacks its type, key or size")
        entry = self.entries.get(f"{self.folder}data/{key}")
        if entry is None:
            raise PickleError(f"there is no entry {shown(f'{self.folder}data/{key}')} for a tensor's storage")
        if entry.stored != count * encoding.size:
            raise PickleError(
                f"the entry {shown(entry.name)} has {entry.stored} bytes, and {shown(count)} numbers of {encoding.name} are "
                "wanted"
            )
        return _Storage(self, entry, encoding)

    def array(self, entry: archive.Entry, encoding: Encoding, conjugate: bool, negative: bool) -> np.ndarray:
        """The entries of a storage, in one memory however often it is asked for; where marked, what they stand for."""
        known = self.encodings.setdefault(entry.name, encoding)
        if known is not encoding:
            raise PickleError(f"the entry {shown(entry.name)} is read as {known.name} and as {encoding.name}")
        key = entry.name, conjugate, negative
        if key not in self.arrays:
            if conjugate or negative:
                array = self.array(entry, encoding, False, False)
                array = array.conj() if conjugate else array
                self.arrays[key] = -array if negative else array
            else:
                self.arrays[key] = self._decoded(entry, encoding)
        return self.arrays[key]

    def _decoded(self, entry: archive.Entry, encoding: Encoding) -> np.ndarray:
        data = archive.contents(self.source, entry, trust_no_checksum=True)
        try:
            return encoding.decode(data[: data.size - data.size % encoding.size], self.big)
        except ValueError as error:
            raise self.source.fault(f"the entry {shown(entry.name)}: {error}") from None


class _Storage:
    """One storage, of which tensors are views."""

    def __init__(self, storages: _Storages, entry: archive.Entry, encoding: Encoding):
        self.storages, self.entry, self.encoding = storages, entry, encoding

    def view(self, encoding: Encoding, offset: Any, shape: Any, strides: Any, marks: dict) -> np.ndarray:
        """The entries at an offset, with sizes and strides, if all of them are in the storage."""
        what = f"a tensor in {shown(self.entry.name)}"
        entries_of(self.storages.source, shape, encoding.size, what)
        numbers = (offset, *strides) if type(strides) is tuple and len(strides) == len(shape) else ()
        if not numbers or not all(type(n) is int and 0 <= n < 2**63 for n in numbers):
            raise PickleError(f"{what} has sizes {shown(shape)}, strides {shown(strides)} and offset {shown(offset)}")
        conjugate = marks.get("conj") is True and encoding.name.startswith("complex")
        memory = self.storages.array(self.entry, encoding, conjugate, marks.get("neg") is True)
        if 0 in shape:
            return memory[:0].reshape(shape)
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides))
        if last >= memory.size:
            raise PickleError(
                f"{what} has sizes {shown(shape)}, strides {shown(strides)} and offset {offset}, which reach to entry "
                f"{last} of {memory.size}"
            )
        size = memory.itemsize
        steps = tuple(stride * size if n > 1 else size for n, stride in zip(shape, strides))
        return np.ndarray(shape, memory.dtype, memory, offset * size, steps)


def _tensor(array: np.ndarray, requires_grad: Any) -> Tensor:
    tensor = from_numpy(array)
    return tensor.requires_grad_() if requires_grad is True and array.dtype.kind in "fc" else tensor


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    return _rebuild_tensor_v2(storage, offset, shape, strides, False, None)


def _rebuild_tensor_v2(
    storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any, hooks: Any, metadata: Any = None
) -> Tensor:
    if type(storage) is not _Storage:
        raise PickleError("a tensor has no storage")
    return _rebuilt(storage, storage.encoding, offset, shape, strides, requires_grad, metadata)


def _rebuild_tensor_v3(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    name = dtype.name if isinstance(dtype, np.dtype) else dtype
    if type(storage) is not _Storage or type(name) is not str or name not in ENCODINGS:
        raise PickleError(f"a tensor has no storage, or the unknown type {shown(name)}")
    return _rebuilt(storage, ENCODINGS[name], offset, shape, strides, requires_grad, metadata)


def _rebuilt(
    storage: _Storage, encoding: Encoding, offset: Any, shape: Any, strides: Any, requires_grad: Any, metadata: Any
) -> Tensor:
    """A tensor; one that PyTorch had only marked as conjugate or negative is computed."""
    marks = {} if metadata is None else metadata
    if type(marks) is not dict or not marks.keys() <= {"conj", "neg"}:
        raise PickleError(f"a tensor has the unknown marks {shown(marks)}")
    return _tensor(storage.view(encoding, offset, shape, strides, marks), requires_grad)


def _rebuild_parameter(data: Any, requires_grad: Any, hooks: Any, state: Any = None) -> Tensor:
    if not isinstance(data, Tensor):
        raise PickleError("a parameter has no tensor")
    return _tensor(data.value, requires_grad)


def _rebuild_from_type(rebuild: Any, cls: Any, args: Any, state: Any) -> Tensor:
    known = type(rebuild) is Known and rebuild.call in _REBUILD and (cls is _TENSOR or cls is _PARAMETER)
    if not known or type(args) is not tuple:
        raise PickleError("a tensor is to be made in an unknown way")
    return rebuild.call(*args)


_REBUILD = (_rebuild_tensor, _rebuild_tensor_v2, _rebuild_tensor_v3, _rebuild_parameter)


def _size(sizes: Any = ()) -> tuple[int, ...]:
    if type(sizes) is not tuple or not all(type(n) is int for n in sizes):
        raise PickleError(f"torch.Size is given {shown(sizes)}")
    return sizes


def _device(kind: Any, index: Any = None) -> str:
    if type(kind) is not str or not (index is None or type(index) is int):
        raise PickleError(f"torch.device is given {shown(kind)}, {shown(index)}")
    return kind if index is None else f"{kind}:{index}"


def _counter(counts: Any = None) -> dict:
    if counts is not None and type(counts) is not dict:
        raise PickleError(f"a Counter is given {type(counts).__name__}")
    return {} if counts is None else counts


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise PickleError("a complex number lacks its parts")
    return complex(real, imaginary)


def _dtype(code: Any, align: Any = False, copy: Any = True) -> np.dtype:
    names = {np.dtype(name).str[1:]: name for name in NUMPY}
    if type(code) is not str or code not in names:
        raise PickleError(f"a number of NumPy has the type {shown(code)}, and known are {', '.join(names)}")
    return np.dtype(names[code])


def _number(dtype: Any, data: Any) -> Any:
    if not isinstance(dtype, np.dtype) or type(data) is not bytes or len(data) != dtype.itemsize:
        raise PickleError("a number of NumPy lacks its type or its bytes")
    try:
        return ENCODINGS[dtype.name].decode(np.frombuffer(data, np.uint8), False)[0]
    except ValueError as error:
        raise PickleError(f"a number of NumPy: {error}") from None


def _encode(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or type(encoding) is not str or encoding != "latin1" or any(ord(c) > 255 for c in text):
        raise PickleError("what should be bytes is not")
    return text.encode("latin-1")


def _built(value: Any, state: Any) -> Any:
    """A value into which the file would put a state: attributes of dicts and tensors are dropped."""
    if isinstance(value, np.dtype):
        if type(state) is not tuple or len(state) < 2 or type(state[1]) is not str or state[1] not in "<|":
            raise PickleError("a type of NumPy is not in the order of bytes that is least significant first")
    elif not isinstance(value, (dict, Tensor)):
        raise PickleError(f"a {type(value).__name__} is given attributes")
    return value


def _not_called(*args: Any) -> Any:
    raise PickleError("a class is to be called")


_TENSOR, _PARAMETER = Known("torch.Tensor", _not_called), Known("torch.nn.parameter.Parameter", _not_called)
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "torch.Size": _size,
    "torch.device": _device,
    "collections.OrderedDict": lambda: {},
    "collections.defaultdict": lambda factory=None: {},
    "collections.Counter": _counter,
    "builtins.dict": lambda: {},
    "builtins.list": lambda: [],
    "builtins.bytes": lambda: b"",
    "builtins.complex": _complex,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray.scalar": _number,
    "numpy._core.multiarray.scalar": _number,
    "_codecs.encode": _encode,
}
# All that a pickle may ask for; torch's types are what NumPy has, or their names.
_NAMES: dict[str, Any] = {
    **{name: Known(name, function) for name, function in _FUNCTIONS.items()},
    **{f"torch.{kind}Storage": ENCODINGS[name] for kind, name in _STORAGES.items()},
    "torch.storage.UntypedStorage": _BYTES,
    "torch.Tensor": _TENSOR,
    "torch.nn.parameter.Parameter": _PARAMETER,
    **{f"torch.{name}": np.dtype(name) if name in NUMPY else name for name in ENCODINGS},
}
