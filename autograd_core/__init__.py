"""Reverse-mode automatic differentiation, define-by-run, on NumPy arrays.

The functions on tensors (`ag.tanh`, `ag.matmul`, ...) come from the tables in `ops`; everything else is imported here.
"""

import importlib
from math import e, inf, nan, pi

from . import attributes, autograd, random, testing
from .anomaly import detect_anomaly, explain
from .backward import gradient
from .compiled import compile
from .control import checkpoint, cond, scan
from .custom import Function, custom_jvp, custom_vjp
from .dtypes import *
from .errors import CaptureError
from .forward import Dual
from .functional import grad, jvp, linearize, value_and_grad, vjp, vmap
from .gradcheck import gradcheck, gradgradcheck
from .habits import *
from .habits import absent as _absent
from .interop import from_dlpack
from .jacobians import ggnvp, hessian, hvp, jacobian
from .kernels._threads import get_num_threads, set_num_threads
from .op import elementwise, op
from .ops import NAMESPACES, PUBLIC
from .ops.create import device
from .random import *
from .samples import shapes
from .tape import enable_grad, inference_mode, is_grad_enabled, live, no_grad, saved_tensors_hooks, set_grad_enabled
from .tensor import Tensor

newaxis = None
globals().update({name: function for name, function in PUBLIC.items() if not name.startswith("new_")}, **NAMESPACES)
for _name, _function in PUBLIC.items():
    if globals().get(_name) is _function and _function.__module__ != __name__:  # where pickle looks for it
        _function.__module__, _function.__qualname__ = __name__, _name

# The laboratory is imported when first asked for: where its names come from.  A module stands for itself.
_LATER = dict.fromkeys(("compare", "draw", "lab", "numeric", "wengert"), "lab")
_LATER |= {"source_grad": "source", "symbolic": "symbolic"}
_INTERNAL = {"NAMESPACES", "PUBLIC", "attributes", "importlib"}
_SHOWN = {"autograd", "fft", "linalg", "random", "special", "testing"}  # of the modules
__all__ = sorted(
    set(_LATER).union(
        name
        for name, value in globals().items()
        if not name.startswith("_") and name not in _INTERNAL and (name in _SHOWN or not hasattr(value, "__spec__"))
    )
)


def __getattr__(name: str) -> object:
    """A name of the laboratory; `nn` and `optim`, which stand above this package; else an error that may help."""
    if name in _LATER:
        module = importlib.import_module(f"{__name__}.{_LATER[name]}")
        return globals().setdefault(name, getattr(module, name, module))
    if name in ("nn", "optim"):
        return importlib.import_module(name)
    raise _absent(name)
