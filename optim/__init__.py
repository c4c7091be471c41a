"""Optimizers, under PyTorch's names; schedules of their rates in `lr_scheduler`, averages of parameters in `swa_utils`."""

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
    "lr_scheduler",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
    "swa_utils",
]
