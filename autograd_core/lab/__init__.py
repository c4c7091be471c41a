"""The gradient laboratory: every way to differentiate, side by side and visible.  Loaded when first asked for."""

from . import numeric as numeric
from .picture import Drawing as Drawing
from .picture import draw as draw
from .routes import Comparison as Comparison
from .routes import Passes as Passes
from .routes import compare as compare
from .routes import passes as passes
from .trace import Trace as Trace
from .trace import wengert as wengert
