"""Minima of smooth functions, and optimizers under PyTorch's names."""

from .smooth.least_squares import least_squares
from .smooth.minimize import minimize

__all__ = ["least_squares", "minimize"]
