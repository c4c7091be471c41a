"""Parts of neural networks, under PyTorch's names."""

from . import functional, init, utils
from .activations import *
from .attention import *
from .containers import *
from .convolution import *
from .distance import *
from .dropout import *
from .embedding import *
from .files import *
from .linear import *
from .losses import *
from .module import *
from .normalization import *
from .padding import *
from .parameter import *
from .pooling import *
from .recurrent import *
from .recurrent_variants import *
from .resampling import *
from .shape import *
from .summary import *
from .transformer import *


def __getattr__(name: str) -> object:
    """The packages that not every program needs, when they are first asked for."""
    if name in {"data", "metrics", "models", "modules", "plot", "train"}:
        import importlib

        return importlib.import_module(f".{name}", __name__)
    if name == "parallel":
        raise AttributeError(
            "nn.parallel: there is one device and one process; use the module itself, or nn.DataParallel"
        )
    raise AttributeError(f"module 'nn' has no attribute {name!r}")
