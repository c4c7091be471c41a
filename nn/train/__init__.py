"""A loop for training, for whoever does not want to write it: progress, validation, checkpoints, early stopping."""

from .callbacks import *
from .fit import *
from .run import *
from .settings import *
from .steps import *
