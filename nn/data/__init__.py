"""Data for training: collections of samples, orders, batches, files and where to get them."""

from .collate import *
from .dataset import *
from .download import *
from .images import *
from .loader import *
from .readers import *
from .sampler import *
from .sets import *
from .workers import *
