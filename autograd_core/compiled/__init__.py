"""Whole functions as fused native code: captured once, replayed in planned memory."""

from .capture import Refused
from .function import Compiled, compile

__all__ = ["Compiled", "Refused", "compile"]
