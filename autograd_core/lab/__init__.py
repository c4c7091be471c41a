"""The gradient laboratory: every way to differentiate, side by side and visible.  Loaded when first asked for."""

from . import numeric
from .picture import Drawing, draw
from .trace import Trace, wengert
from .routes import Comparison, compare, passes
