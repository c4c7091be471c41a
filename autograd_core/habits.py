"""Names that scripts written for PyTorch use beside computing: old constructors, questions about devices, settings.

What a script asks before it chooses a device is answered, there is none but the CPU; what it sets for reproducible
runs on a GPU it may set.  Names that mean nothing here say so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes, functional, jacobians
from .attributes import PRINTING
from .errors import called
from .numpy_functions.indexing import fill_diagonal
from .op import Traced
from .ops import PUBLIC
from .ops.create import empty, tensor
from .tape import Leaf, current
from .tensor import Tensor, at

__all__ = [
    "BoolTensor", "ByteTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor", "LongTensor", "ShortTensor",
    "Size", "accelerator", "backends", "broadcast_shapes", "cuda", "finfo", "func", "iinfo", "is_tensor", "set_printoptions",
    "use_deterministic_algorithms",
]  # fmt: skip

Size = tuple
ABSENT = {
    "bfloat16": "NumPy has no such type; use float32, or float16 for storage",
    "save": "write nn.save(path, state), which needs no pickle",
    "load": "write nn.load(path), which reads PyTorch's files too and runs nothing that is in them",
    "jit": "to run a function faster, write @ag.compile",
    "amp": "there is no mixed precision here; leave it out",
    "autocast": "there is no mixed precision here; leave it out",
    "channels_last": "the order of axes in memory is chosen by the library; leave memory_format= out",
    "contiguous_format": "leave memory_format= out: a tensor is in memory as its shape says, or a view",
    "set_default_tensor_type": "write set_default_dtype(ag.float64)",
}


def is_tensor(obj: Any) -> bool:
    """Whether it is a tensor of this library."""
    return isinstance(obj, Traced)


def finfo(type: Any = None) -> np.finfo:
    """The limits of a floating-point type, by default those of the default type."""
    return np.finfo(dtypes.get_default_dtype() if type is None else dtypes.as_dtype(type))


def iinfo(type: Any) -> np.iinfo:
    """The limits of an integer type."""
    return np.iinfo(dtypes.as_dtype(type))


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that arrays of these shapes have together."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"broadcast_shapes: {', '.join(map(str, shapes))} do not broadcast together") from None


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Nothing to do: the same calls give the same results here, always."""


def set_printoptions(
    precision: int | None = None,
    threshold: int | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors are printed; what is left out stays as it is, or is what the profile says."""
    profiles = {"default": (4, 1000, 3, 80), "short": (2, 1000, 2, 80), "full": (4, sys.maxsize, 3, 80)}
    if profile is not None and profile not in profiles:
        raise ValueError(f"set_printoptions: profile must be 'default', 'short' or 'full', got {profile!r:.40}")
    given = precision, threshold, edgeitems, linewidth
    for name, own, usual in zip(
        ("precision", "threshold", "edgeitems", "max_line_width"), given, profiles.get(str(profile), (None,) * 4)
    ):
        if own is not None or usual is not None:
            PRINTING[name] = usual if own is None else own
    if sci_mode is not None:
        PRINTING["suppress_small"] = not sci_mode


def _made(dtype: np.dtype, *data: Any) -> Tensor:
    """A tensor of a type, of a list's numbers or of sizes, as PyTorch's first constructors had it."""
    if data and all(isinstance(n, (int, np.integer)) for n in data):
        return empty(*data, dtype=dtype)
    return tensor(data[0] if data else [], dtype=dtype)


def _constructor(name: str, dtype: np.dtype) -> Callable:
    def make(*data: Any) -> Tensor:
        return _made(dtype, *data)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"A tensor of {dtype}: {name}([1, 2]) has these numbers, {name}(2, 3) this size."
    return make


FloatTensor = _constructor("FloatTensor", dtypes.float32)
DoubleTensor = _constructor("DoubleTensor", dtypes.float64)
HalfTensor = _constructor("HalfTensor", dtypes.float16)
LongTensor = _constructor("LongTensor", dtypes.int64)
IntTensor = _constructor("IntTensor", dtypes.int32)
ShortTensor = _constructor("ShortTensor", dtypes.int16)
ByteTensor = _constructor("ByteTensor", dtypes.uint8)
BoolTensor = _constructor("BoolTensor", dtypes.bool)


class func:
    """The functions of `torch.func`, which stand at the top here; `functional_call` is in `nn.utils`."""

    grad, vmap, vjp, jvp, linearize = map(
        staticmethod, (functional.grad, functional.vmap, functional.vjp, functional.jvp, functional.linearize)
    )
    hessian = staticmethod(jacobians.hessian)

    @staticmethod
    def jacrev(f: Callable, argnums: Any = 0) -> Callable:
        """`jacobian`, by rows."""
        return jacobians.jacobian(f, argnums, "reverse")

    @staticmethod
    def jacfwd(f: Callable, argnums: Any = 0) -> Callable:
        """`jacobian`, by columns."""
        return jacobians.jacobian(f, argnums, "forward")

    @staticmethod
    def grad_and_value(f: Callable, argnums: Any = 0, has_aux: bool = False) -> Callable:
        """`value_and_grad`, with the gradient first."""
        both = functional.value_and_grad(f, argnums, has_aux)
        return lambda *args, **options: both(*args, **options)[::-1]


class cuda:
    """There is none: what scripts ask before they choose a device, and what they do to all devices there are."""

    is_available = staticmethod(lambda: False)
    device_count = staticmethod(lambda: 0)
    manual_seed = manual_seed_all = staticmethod(lambda seed: None)
    empty_cache = synchronize = staticmethod(lambda *device: None)


class accelerator:
    """There is none."""

    is_available = staticmethod(lambda: False)
    device_count = staticmethod(lambda: 0)
    current_accelerator = staticmethod(lambda: None)


class backends:
    """Settings of backends that are not here, which may be set all the same."""

    class cudnn:
        """Reproducible or fast: it is both here."""

        enabled, deterministic, benchmark = False, True, False
        is_available = staticmethod(lambda: False)

    class mps:
        """There is none."""

        is_available = is_built = staticmethod(lambda: False)


def absent(name: str) -> AttributeError:
    """What is said of a name that is not here."""
    hint = f": {ABSENT[name]}" if name in ABSENT else ""
    return AttributeError(f"module 'autograd_core' has no attribute {name!r}{hint}", name=name)


def bfloat16(self: Tensor) -> Tensor:
    """NumPy has no such type: an error that says so."""
    raise TypeError(f"bfloat16: {ABSENT['bfloat16']}")


def reshaped(t: Any, view: Callable, name: str) -> Any:
    """Let t become a view of itself; what was a view of it before is one of what it was."""
    if not isinstance(t, Tensor):  # inside jvp or vmap
        after = view(t)
        for slot in type(t).__slots__:
            setattr(t, slot, getattr(after, slot))
        return t
    if current().grad and isinstance(t.node, Leaf):
        fix = f"use x = x.{name}(...), or no_grad()"
        raise RuntimeError(f"{called(name)}_: a leaf that requires gradients cannot be changed in place; {fix}")
    before = at(t.value, t.node, t.level)
    before.origin = t.origin
    after = view(before)
    if isinstance(t.node, Leaf):
        t.data = after
    else:
        t.value, t.node, t.origin, t.leaf = after.value, after.node, after.origin, None
    return t


def _in_place(name: str) -> Callable:
    def change(self: Any, *args: Any, **options: Any) -> Any:
        return reshaped(self, lambda t: PUBLIC[name](t, *args, **options), name)

    change.__name__ = change.__qualname__ = f"{name}_"
    change.__doc__ = f"Become its own `{name}`; returns the tensor."
    return change


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Set the main diagonal to a number; with `wrap`, of a tall matrix again after each square."""
    fill_diagonal(self, fill_value, wrap)
    return self


for _name in ("unsqueeze", "squeeze", "transpose", "t", "swapaxes", "swapdims"):
    setattr(Traced, f"{_name}_", _in_place(_name))


def new(self: Tensor, *data: Any) -> Tensor:
    """A tensor of the same type, of a list's numbers or of sizes."""
    return _made(self.dtype, *data)


for _method in (bfloat16, fill_diagonal_, new):
    setattr(Tensor, _method.__name__, _method)
