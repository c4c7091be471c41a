"""What every traced value can say of itself: sizes, types, conversions, printing."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import dtypes
from .op import REGISTRY, Traced
from .ops import OPERANDS, PUBLIC
from .ops.axes import one_axis
from .ops.create import CPU, as_device
from .ops.create import device as device_type
from .tape import current
from .tensor import Boxed, Tensor, leaving
from .views import base_of


class Attributes(Traced):
    """Methods and properties copied to every traced value."""

    __slots__ = ()

    # --- sizes ---

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[one_axis(self.ndim, dim, "size")]

    def dim(self) -> int:
        """The number of axes."""
        return self.ndim

    def numel(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    nelement = numel
    ndimension = dim
    itemsize = property(lambda self: self.dtype.itemsize, doc="Bytes per entry.")
    nbytes = property(lambda self: self.numel() * self.itemsize, doc="Bytes of all entries.")
    device = property(lambda self: CPU, doc="Where it lives: the CPU.")
    is_cuda = is_sparse = is_quantized = is_meta = False
    is_leaf, grad, grad_fn = True, None, None  # of a value inside jvp or vmap; tensors know better

    def element_size(self) -> int:
        """Bytes per entry."""
        return self.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len: a tensor without axes has no length; numel() counts its entries")
        return self.shape[0]

    def __iter__(self) -> Iterator:
        if not self.shape:
            raise TypeError("iter: a tensor without axes cannot be iterated over; item() is its one number")
        return iter(PUBLIC["unbind"](self, 0))

    def __contains__(self, element: Any) -> bool:
        if not isinstance(element, OPERANDS):
            raise TypeError(f"in: expected a tensor or a number, got {type(element).__name__} {element!r:.40}")
        return bool(PUBLIC["any"](self == element))

    # --- transposes ---

    @property
    def T(self) -> Any:
        """All axes in reverse order."""
        return PUBLIC["permute"](self, tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        if self.ndim < 2:
            raise ValueError(f"mT: a matrix needs two axes, the tensor has shape {self.shape}")
        return PUBLIC["swapaxes"](self, -1, -2)

    @property
    def H(self) -> Any:
        """The conjugate transpose of a matrix."""
        if self.ndim not in (0, 2):
            raise ValueError(f"H: expected a matrix, the tensor has shape {self.shape}; for batches use mH")
        return PUBLIC["conj"](self.T)

    @property
    def mH(self) -> Any:
        """The conjugate, with the last two axes exchanged."""
        return PUBLIC["conj"](self.mT)

    # --- types ---

    def to(
        self, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, non_blocking: bool = False
    ) -> Any:
        """As another type (or like another tensor); itself if nothing changes and no copy is asked for."""
        for a in args:
            if isinstance(a, Traced):
                dtype = a.dtype
            elif isinstance(a, device_type) or (isinstance(a, str) and not hasattr(np, a)):
                device = a
            elif not isinstance(a, bool):
                dtype = a
        as_device(device, "to")
        result = self if dtype is None else self.astype(dtype)
        return PUBLIC["clone"](self) if copy and result is self else result

    def type_as(self, other: Any) -> Any:
        """As the type of another tensor."""
        if not hasattr(other, "dtype"):
            raise TypeError(f"type_as: expected a tensor, got {type(other).__name__} {other!r:.40}")
        return self.astype(other.dtype)

    def float(self) -> Any:
        """As float32."""
        return self.astype(dtypes.float32)

    def double(self) -> Any:
        """As float64."""
        return self.astype(dtypes.float64)

    def half(self) -> Any:
        """As float16."""
        return self.astype(dtypes.float16)

    def int(self) -> Any:
        """As int32."""
        return self.astype(dtypes.int32)

    def long(self) -> Any:
        """As int64."""
        return self.astype(dtypes.int64)

    def short(self) -> Any:
        """As int16."""
        return self.astype(dtypes.int16)

    def bool(self) -> Any:
        """As booleans: whether entries differ from zero."""
        return self.astype(dtypes.bool)

    def byte(self) -> Any:
        """As uint8."""
        return self.astype(dtypes.uint8)

    def char(self) -> Any:
        """As int8."""
        return self.astype(dtypes.int8)

    def type(self, dtype: Any = None, non_blocking: Any = False) -> Any:
        """As another type; without one, the name of its own."""
        return str(self.dtype) if dtype is None else self.to(dtype=dtype)

    def cpu(self) -> Any:
        """Itself: it lives on the CPU."""
        return self

    def cuda(self, device: Any = "cuda", non_blocking: Any = False) -> Any:
        """There is no such device here: an error that says so."""
        as_device("cuda" if device is None or isinstance(device, int) else device, "cuda")
        return self

    def is_floating_point(self) -> Any:
        """Whether entries are real floating-point numbers."""
        return self.dtype.kind == "f"

    def is_complex(self) -> Any:
        """Whether entries are complex numbers."""
        return self.dtype.kind == "c"

    def is_signed(self) -> Any:
        """Whether its type has negative numbers."""
        return self.dtype.kind in "ifc"

    def is_nonzero(self) -> Any:
        """Whether its one entry is not zero."""
        if self.numel() != 1:
            raise ValueError(f"is_nonzero: expected one entry, the tensor has shape {self.shape}; use any() or all()")
        return bool(self)

    def get_device(self) -> Any:
        """The number of its device: -1, that of the CPU."""
        return -1

    def resolve_conj(self) -> Any:
        """Itself: conjugates are computed at once."""
        return self

    resolve_neg = resolve_conj

    # --- memory ---

    def contiguous(self) -> Any:
        """Itself if its memory is contiguous, else a copy that is."""
        return self if self.is_contiguous() else REGISTRY["compact"].call(self)

    def is_contiguous(self) -> Any:
        """Whether entries follow each other in memory, last axis fastest."""
        value = self
        while isinstance(value, Traced):
            value = value.innermost()
        return value.flags.c_contiguous

    def copy_(self, source: Any, non_blocking: Any = False) -> Any:
        """Take on the values of another tensor, in place; gradients flow to it."""
        return _take(self, source, "copy_")

    def fill_(self, value: Any) -> Any:
        """Set every entry to one number, in place."""
        if np.ndim(value) != 0:
            raise ValueError(f"fill_: expected one number, got shape {np.shape(value)}")
        return _take(self, value, "fill_")

    def zero_(self) -> Any:
        """Set every entry to zero, in place."""
        return _take(self, 0, "zero_")

    @property
    def data(self) -> Any:
        """The values without history."""
        return self.detach()

    def requires_grad_(self, requires_grad: Any = True) -> Any:
        """Ask for gradients of a value inside a transform: not this way."""
        raise RuntimeError("requires_grad_: inside jvp and vmap take gradients with ag.grad, which can be nested")

    # --- one number ---

    def item(self) -> Any:
        """The one entry as a Python number."""
        if self.numel() != 1:
            raise ValueError(f"item: a tensor of shape {self.shape} is not one number; use tolist() or index it")
        return _concrete(self, "item").item()

    def tolist(self) -> Any:
        """The entries as nested lists of Python numbers."""
        return _concrete(self, "tolist").tolist()

    def __bool__(self) -> Any:
        if self.numel() != 1:
            raise ValueError(
                f"bool: the truth value of a tensor of shape {self.shape} is ambiguous; use any() or all()"
            )
        return bool(_concrete(self, "bool").reshape(()))

    def __float__(self) -> Any:
        return float(self.item())

    def __int__(self) -> Any:
        return int(self.item())

    def __complex__(self) -> Any:
        return complex(self.item())

    def __index__(self) -> Any:
        if self.dtype.kind not in "biu" or self.numel() != 1:
            raise TypeError(
                f"index: only a tensor of one integer can be an index, not {self.dtype} of shape {self.shape}"
            )
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    # --- what only tensors have ---

    def numpy(self, *, force: Any = False) -> np.ndarray:
        """Inside a transform, an error that says so."""
        return _concrete(self, "numpy")

    def backward(self, *args: Any, **options: Any) -> None:
        """Inside a transform, an error that says so."""
        raise RuntimeError("backward: inside jvp or vmap gradients are taken by grad or vjp, which nest")


class TensorAttributes:
    """The same for tensors alone: what needs the array itself."""

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The array, sharing memory; a tensor that requires gradients must be detached first (or use force=True)."""
        if self.requires_grad and not force and current().grad:
            raise RuntimeError(
                "numpy: this tensor requires gradients, which the array would lose; use t.detach().numpy()"
            )
        return _concrete(self, "numpy")

    def stride(self, dim: int | None = None) -> Any:
        """The steps between neighbours along each axis, in entries."""
        strides = tuple(s // self.value.itemsize for s in self.value.strides)
        return strides if dim is None else strides[one_axis(self.ndim, dim, "stride")]

    def data_ptr(self) -> int:
        """The address of the first entry."""
        return self.value.__array_interface__["data"][0]

    def is_shared(self) -> bool:
        """Whether it is a view of another tensor's memory."""
        return self.origin is not None

    def _is_view(self) -> bool:
        """Whether it is a view of another tensor."""
        return self.origin is not None

    @property
    def _base(self) -> Tensor | None:
        """The tensor of which it is a view."""
        return self.origin and base_of(self)

    def detach_(self) -> Tensor:
        """Cut it off from its history; returns the tensor."""
        if self.origin is not None:
            raise RuntimeError("detach_: a view cannot be detached in place; use detach()")
        self.node = None
        return self

    def __repr__(self) -> str:
        leaving(self, "text")
        return _printed(self)

    __str__ = __repr__


def _take(t: Tensor, source: Any, who: str) -> Tensor:
    """Let t take on other values, in its own type."""
    try:
        value = source.astype(t.dtype) if isinstance(source, Traced) else np.asarray(source, t.dtype)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{who}: {type(source).__name__} {source!r:.40} does not fit a tensor of {t.dtype}") from None
    t.write(value, who)
    return t


def _concrete(t: Any, what: str) -> np.ndarray:
    """The array behind a value, unless a transform needs to keep track of it."""
    while isinstance(t, Traced):
        if type(t).__name__ == "Batched":
            raise RuntimeError(f"{what}: inside vmap the value differs over the batch; use where() or cond()")
        if type(t).__name__ == "Dual" and what != "bool":
            raise RuntimeError(
                f"{what}: inside jvp this would lose the tangent, as of any dual number; keep to operations on the value "
                "itself, or ask for its .primal"
            )
        if isinstance(t, Tensor):
            leaving(t, what)
        t = t.innermost()
    return t


PRINTING: dict[str, Any] = {"precision": 4, "suppress_small": False}  # as `set_printoptions` has it


def _printed(t: Tensor) -> str:
    name = "tensor" if type(t) in (Tensor, Boxed) else type(t).__name__
    if not isinstance(t.value, np.ndarray):
        return f"{name}({t.value!r})"
    body = np.array2string(t.value, separator=", ", prefix=f"{name}(", **PRINTING)
    usual = (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool)
    notes = [] if t.dtype in usual and t.numel() else [f"dtype={t.dtype}"]
    if not t.numel() and t.ndim != 1:
        notes.insert(0, f"size={t.shape}")
    if t.grad_fn is not None:
        notes.append(f"grad_fn=<{t.grad_fn.name}>")
    elif t.requires_grad:
        notes.append("requires_grad=True")
    return f"{name}({', '.join([body, *notes])})"


for source, target in ((Attributes, Traced), (TensorAttributes, Tensor)):
    for name, value in vars(source).items():
        if inspect.isfunction(value):
            value.__qualname__ = f"Tensor.{value.__name__}"
        if name not in ("__module__", "__doc__", "__slots__", "__dict__", "__weakref__", "__hash__", "__qualname__"):
            setattr(target, name, value)
