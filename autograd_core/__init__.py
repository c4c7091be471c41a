"""Reverse-mode automatic differentiation, define-by-run, on NumPy arrays."""

from . import dtypes, testing
from .anomaly import detect_anomaly, explain
from . import attributes
from .backward import gradient
from .custom import Function, custom_jvp, custom_vjp
from .dtypes import (
    bool,
    cdouble,
    cfloat,
    complex64,
    complex128,
    double,
    float,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    int,
    int8,
    int16,
    int32,
    int64,
    long,
    promote_types,
    result_type,
    set_default_dtype,
    short,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .forward import Dual
from .functional import ggnvp, grad, hessian, hvp, jacobian, jvp, linearize, value_and_grad, vjp, vmap
from .gradcheck import gradcheck, gradgradcheck
from .op import Op, elementwise, op
from .ops import NAMESPACES, PUBLIC
from .samples import Samples, shapes
from .tape import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    saved_tensors_hooks,
    set_grad_enabled,
)
from .tensor import Tensor

try:
    from .control import checkpoint, cond, scan
    from .random import *
    from . import random
    from . import interop
except ImportError as e: print(e)
globals().update({k:v for k,v in PUBLIC.items()})
globals().update(NAMESPACES)
import math as _math

inf, nan, pi, e = _math.inf, _math.nan, _math.pi, _math.e
