from . import backward
from .ops import PUBLIC
from .tensor import Tensor
