"""Source transformation: a function's source in, the source of its gradient out."""

from .function import SourceGradient, source_grad
from .read import SourceError

__all__ = ["SourceError", "SourceGradient", "source_grad"]
