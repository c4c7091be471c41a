"""Data for training: collections of samples, orders, batches, files and where to get them."""

from .collate import *
from .dataset import *
from .loader import *
from .sampler import *
from .workers import *
