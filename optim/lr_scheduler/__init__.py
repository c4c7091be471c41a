"""Schedules of learning rates, under PyTorch's names."""

from .base import LRScheduler
from .composed import ChainedScheduler, SequentialLR
from .cycles import CosineAnnealingLR, CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from .measured import BoldDriver, ReduceLROnPlateau, RestartFromBest
from .simple import (
    ConstantLR,
    ExponentialLR,
    InverseSquareRootLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
    WarmUp,
)

__all__ = [
    "BoldDriver",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "InverseSquareRootLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "RestartFromBest",
    "SequentialLR",
    "StepLR",
    "WarmUp",
]
