"""What Python calls of kernels that are written: code for each choice of types, and the others' in line behind it."""

import numpy as np
import pytest

from autograd_core.kernels._jit import COMPILED, kernel

if not COMPILED:
    pytest.skip("nothing is compiled", allow_module_level=True)

from autograd_core.kernels import _entries


@kernel(written=True)
def weighed(x, k, scale, on):
    """The sum of x (n) times a scale, if that is on, plus a whole number."""
    total = x.dtype.type(0)
    for i in range(len(x)):
        total += x[i]
    return (total * scale if on else total * 1.0) + k


@kernel(written=True)
def weighed_too(x, k, scale, on):
    """The same, for another test."""
    total = x.dtype.type(0)
    for i in range(len(x)):
        total += x[i]
    return (total * scale if on else total * 1.0) + k


@kernel(written=True, chunks=True)
def doubled(begin, end, x, out):
    """out (n) = 2 x (n)."""
    for i in range(begin, end):
        out[i] = x[i] + x[i]


@kernel(numbers="iid", written=True)
def larger(i, k, x):
    """Whether i k is more than x."""
    return i * k > x


@kernel(numbers="i", written=True, nogil=False)
def nothing(i):
    """Nothing."""


class Named(np.ndarray):
    pass


LINE = np.arange(6.0)
READ_ONLY = np.arange(6.0)
READ_ONLY.flags.writeable = False
ARRAYS = {
    "double": LINE, "single": LINE.astype("f"), "whole": np.arange(6), "short": np.arange(6, dtype=np.int16),
    "empty": LINE[:0], "apart": np.arange(12.0)[::2], "read only": READ_ONLY, "a class of its own": LINE.view(Named),
    "swapped": LINE.astype(LINE.dtype.newbyteorder()).view().astype(LINE.dtype),
}  # fmt: skip
NUMBERS = [(3, 0.5, True), (np.int64(3), np.float64(0.5), np.bool_(True)), (3, np.float32(0.5), False), (True, 2, 1)]


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("name", ARRAYS)
def test_arguments_of_all_kinds_give_what_python_gives(name, numbers):
    x, (k, scale, on) = ARRAYS[name], numbers
    assert weighed(x, k, scale, on) == (float(x.sum()) * float(scale) if on else float(x.sum())) + int(k)


def test_types_that_take_turns_have_their_code_made_once(monkeypatch):
    made, load = [], _entries.load
    monkeypatch.setattr(
        _entries, "load", lambda name, words, *rest, **how: made.append(words) or load(name, words, *rest, **how)
    )
    for _ in range(3):
        for x in (LINE, LINE.astype("f"), np.arange(6)):
            assert weighed_too(x, 1, 2.0, True) == 31
            assert weighed_too(x, np.int64(1), 2.0, np.bool_(False)) == 16
    assert made == [(f"{char}1", "int", "float", "bool") for char in "dfl"]


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_chunks_of_what_is_written(count):
    x = np.arange(1000.0)
    out = np.zeros(1000)
    doubled(count, 10, x, out)
    np.testing.assert_array_equal(out, np.where(np.arange(1000) < count, 2 * x, 0))
    doubled(count, np.int64(10), x.astype("f"), out)
    np.testing.assert_array_equal(out, np.where(np.arange(1000) < count, 2 * x, 0))


def test_numbers_are_taken_as_they_come():
    assert (
        larger(2, 3, 5.5) is True and larger(np.int32(2), True, 2) is False and larger(-2, 3, np.float32(-6.5)) is True
    )
    assert nothing(1) is None


@pytest.mark.parametrize(
    "args, error, said",
    [((1, 2), TypeError, "takes 3"), ((1, "2", 3), TypeError, "str"), ((1, 2**70, 3), OverflowError, "int")],
)
def test_what_is_no_number_is_refused(args, error, said):
    with pytest.raises(error, match=said):
        larger(*args)


def test_too_few_arrays_are_refused():
    assert weighed(LINE, 1, 2.0, True) == 31
    with pytest.raises(TypeError, match="takes 4 arguments, not 2"):
        weighed(LINE, 1)
    with pytest.raises(TypeError, match="takes 5 arguments, not 4"):  # the first is the pool
        doubled(3, 1, LINE)
