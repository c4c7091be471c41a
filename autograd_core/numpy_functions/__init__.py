"""NumPy's functions on traced values: NumPy's names, arguments, types and results, computed by our functions.

A function of these files stands in for the one NumPy has under the same name, those of `linalg` and `fft` for
`np.linalg` and `np.fft`.  Only arguments that were given arrive, by NumPy's names; `out` is dealt with by the caller.
"""

from __future__ import annotations

import numpy as np

from . import (
    applying,
    creation,
    differences,
    elementwise,
    fft,
    indexing,
    linalg,
    polynomials,
    products,
    reductions,
    shapes,
    sorting,
    statistics,
)

SUBJECTS = (
    reductions, shapes, creation, differences, sorting, indexing, elementwise, products, polynomials, statistics,
    applying,
)  # fmt: skip
SPACES = (
    (np, {name: value for subject in SUBJECTS for name, value in vars(subject).items()}),
    (np.linalg, vars(linalg)),
    (np.fft, fft.FFT),
)

# Answered by NumPy itself, from shapes and types alone, or from values where there is nothing to differentiate.
FORM = """can_cast common_type diag_indices_from iscomplexobj isrealobj ndim result_type shape size
    tril_indices_from triu_indices_from""".split()
VALUES = """array2string array_equal array_equiv array_repr array_str lexsort may_share_memory min_scalar_type
    packbits ravel_multi_index shares_memory unpackbits unravel_index""".split()
