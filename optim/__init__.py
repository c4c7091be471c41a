"""Optimizers, under PyTorch's names; schedules of their rates in `lr_scheduler`, averages of parameters in `swa_utils`.

`minimize` and `least_squares` find minima of smooth functions to many digits; they are loaded when first asked for.
"""

from typing import TYPE_CHECKING, Any

from . import lr_scheduler, swa_utils
from .adam import Adam, Adamax, AdamW, NAdam, RAdam
from .books import EquilibratedSGD, GradientNoise, Perceptron
from .hooks import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from .layerwise import LAMB, LARS, Adafactor, Muon, SparseAdam
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .rates import Adadelta, Adagrad, RMSprop
from .sgd import SGD
from .signs import ASGD, Lion, Rprop

if TYPE_CHECKING:
    from .smooth.constrained import constrained_least_squares
    from .smooth.least_squares import least_squares
    from .smooth.minimize import minimize
    from .smooth.step_length import step_length

__all__ = [
    "ASGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "EquilibratedSGD",
    "GradientNoise",
    "LAMB",
    "LARS",
    "LBFGS",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "Perceptron",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
    "constrained_least_squares",
    "least_squares",
    "lr_scheduler",
    "minimize",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
    "step_length",
    "swa_utils",
]

_SMOOTH = {"constrained_least_squares": "constrained", "least_squares": "least_squares"}
_SMOOTH |= {"minimize": "minimize", "step_length": "step_length"}


def __getattr__(name: str) -> Any:
    """Functions that are loaded when they are first asked for."""
    if name in _SMOOTH:
        import importlib

        globals()[name] = value = getattr(importlib.import_module(f".smooth.{_SMOOTH[name]}", __name__), name)
        return value
    raise AttributeError(f"module 'optim' has no attribute {name!r}")
