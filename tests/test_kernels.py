"""What must hold of every kernel, on the samples that its choice declares: it does what its reference does, no more."""

import functools
import zlib

import numpy as np
import pytest

from autograd_core.__main__ import choices
from autograd_core.kernels._jit import CHOICES, COMPILED
from autograd_core.kernels._threads import get_num_threads, set_num_threads

NAMES = choices()
pytestmark = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
cases = lambda *sizes: pytest.mark.parametrize(
    ("name", "n", "char"), [(name, n, char) for name in NAMES for n in sizes for char in "fd"]
)


@functools.lru_cache(1)
def sample(name, n, char):
    """Arguments; drawn anew for each case, always the same."""
    return CHOICES[name].sample(np.random.default_rng(zlib.crc32(name.encode()) + n), n, np.dtype(char))


def leaves(value):
    """The arrays and numbers in a result or in arguments, in order."""
    if isinstance(value, (tuple, list)):
        return [leaf for part in value for leaf in leaves(part)]
    return [np.asarray(value)] if isinstance(value, (np.ndarray, np.generic, int, float)) else []


def each_array(value, change):
    """The same nest with every array changed."""
    if isinstance(value, (tuple, list)):
        parts = [each_array(part, change) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return change(value) if isinstance(value, np.ndarray) else value


def copied(arguments):
    """Arguments that may be changed: some kernels work in place."""
    return each_array(arguments, np.copy)


def outcome(compute, arguments):
    """All that a call leaves: its results, and its arguments afterwards."""
    given = copied(arguments)
    return [x.copy() for x in (*leaves(compute(*given)), *leaves(given))]


def same_bits(a, b):
    return len(a) == len(b) and all(
        x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True)
    )


def widened(x):
    return x.astype("d") if x.dtype == "f" else x


def near(x, y, ulps, scale):
    """Whether results are equal but for rounding, relative to the largest number around."""
    if x.shape != y.shape or x.dtype.kind != y.dtype.kind:
        return False
    if x.dtype.kind not in "fc":
        return np.array_equal(x, y)
    return np.allclose(x, y, rtol=0, atol=ulps * np.finfo(x.dtype).eps * scale, equal_nan=True)


@cases(30, 1000, 70_000)
def test_compiled_is_as_the_reference(name, n, char):
    """Or at least as good: sums in single precision may be further from the truth in NumPy."""
    chosen, arguments = CHOICES[name], sample(name, n, char)
    ours, theirs = outcome(chosen.compiled, arguments), outcome(chosen.reference, arguments)
    assert [(x.shape, x.dtype) for x in ours] == [(y.shape, y.dtype) for y in theirs]
    scale = max((np.abs(x[np.isfinite(x)]).max(initial=0) for x in theirs if x.dtype.kind in "fc"), default=0)
    far = [i for i, (x, y) in enumerate(zip(ours, theirs, strict=True)) if not near(x, y, chosen.ulps, scale)]
    if far:
        exact = outcome(chosen.reference, each_array(arguments, widened))
        for i in far:
            assert near(ours[i], exact[i], chosen.ulps, scale), np.abs(ours[i] - exact[i]).max() / scale


@cases(200_000)
def test_the_number_of_threads_changes_no_bit(name, n, char):
    usual, found = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found.append(outcome(CHOICES[name].compiled, sample(name, n, char)))
    finally:
        set_num_threads(usual)
    assert same_bits(found[0], found[1]) and same_bits(found[0], found[2])


def strided(x):
    """The same entries, far apart and backwards in memory."""
    wide = np.zeros((*x.shape, 2), x.dtype)[..., 0][..., *[slice(None, None, -1)] * x.ndim]
    wide[...] = x
    return wide


@cases(1000)
def test_layout_in_memory_changes_no_bit(name, n, char):
    """Of kernels that work in place, no more than rounding: they may leave arrays that lie otherwise to NumPy."""
    chosen, arguments = CHOICES[name], sample(name, n, char)
    usual = outcome(chosen.compiled, arguments)
    spread = each_array(arguments, strided)
    found = [np.ascontiguousarray(x).reshape(x.shape) for x in (*leaves(chosen.compiled(*spread)), *leaves(spread))]
    if changes(name, n, char):
        assert all(near(x, y, chosen.ulps, np.abs(y).max(initial=0)) for x, y in zip(found, usual, strict=True))
    else:
        assert same_bits(usual, found)


def changes(name, n, char):
    """Whether a kernel works in place, by what its reference does."""
    arguments = sample(name, n, char)
    given = copied(arguments)
    CHOICES[name].reference(*given)
    return not same_bits(leaves(arguments), leaves(given))


@cases(1000)
def test_what_is_only_read_may_be_locked_and_stays(name, n, char):
    if changes(name, n, char):
        pytest.skip("works in place, as its reference does")
    given = copied(sample(name, n, char))
    for x in leaves(given):
        x.flags.writeable = False
    ours = leaves(CHOICES[name].compiled(*given))
    assert same_bits([*ours, *leaves(given)], outcome(CHOICES[name].compiled, sample(name, n, char)))
