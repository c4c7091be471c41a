from . import backward
from .ops import PUBLIC, NAMESPACES
from .tensor import Tensor
globals().update(PUBLIC)
