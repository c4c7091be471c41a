"""Copies of arrays whose entries lie in order, or are spread over axes."""

import numpy as np
import pytest

from autograd_core.kernels.copying import copied

SHAPES = [
    ((), (400, 300)), ((400, 1), (400, 300)), ((300,), (400, 300)), ((400, 300), (400, 300)), ((1, 300), (40000, 300)),
    ((40, 1, 30), (40, 50, 30)), ((40, 1, 1, 1), (40, 5, 6, 30)), ((40000, 3), (40000, 3)), ((70001,), (70001,)),
]  # fmt: skip


@pytest.mark.parametrize("char", "fdil")
@pytest.mark.parametrize(("small", "large"), SHAPES)
def test_spread_arrays(small, large, char):
    x = np.broadcast_to(np.random.default_rng(0).normal(0, 100, small).astype(char), large)
    y = copied(x)
    assert y.dtype == x.dtype and y.shape == x.shape and y.flags.carray and not np.shares_memory(x, y)
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize(
    "part",
    [np.s_[:, :200], np.s_[:, ::2], np.s_[::2], np.s_[::-1], np.s_[:, ::-1], np.s_[50:, 7:], np.s_[:, :1]],
    ids=str,
)
def test_parts_of_arrays(part):
    whole = np.random.default_rng(0).standard_normal((40000, 300))
    for x in (whole[part], whole.T[part[::-1] if isinstance(part, tuple) else part]):
        y = copied(x)
        np.testing.assert_array_equal(y, x)
        assert y.flags.carray
