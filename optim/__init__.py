"""Minima of smooth functions, and optimizers under PyTorch's names."""

from .smooth.constrained import constrained_least_squares
from .smooth.least_squares import least_squares
from .smooth.minimize import minimize
from .smooth.step_length import step_length

__all__ = ["constrained_least_squares", "least_squares", "minimize", "step_length"]
