"""Memory that is used again: never while anybody looks at it, never more than a fixed amount."""

import threading

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.kernels import _jit, _memory

LARGE = 1 << 19
double, single = np.dtype("d"), np.dtype("f")


@pytest.fixture(autouse=True)
def nothing_kept():
    _memory.trim()
    yield
    _memory.trim()


def address(x):
    return x.__array_interface__["data"][0]


def test_memory_is_used_again_once_nobody_looks_at_it():
    x = _memory.empty((LARGE,), double)
    view, place = x[5:10], address(x)
    del x
    assert address(_memory.empty((LARGE,), double)) != place, "a view is still there"
    view[:] = 1
    del view
    assert address(_memory.empty((LARGE // 2, 2), double)) == place


@pytest.mark.parametrize("shape", [(LARGE,), (3, LARGE, 1), (7, 11, 20_011)])
@pytest.mark.parametrize("dtype", [single, double])
def test_results_are_ordinary_arrays(shape, dtype):
    x = _memory.empty(shape, dtype)
    assert x.shape == shape and x.dtype == dtype and x.flags.carray and address(x) % _memory.LINE == 0
    x[...] = 2
    assert x.copy().sum(dtype="d") == 2.0 * x.size


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (100,)])
def test_what_is_small_is_left_to_numpy(shape):
    x = _memory.empty(shape, double)
    assert x.shape == shape and x.flags.owndata


@pytest.mark.parametrize("shape", [(), (3, 4), (1 << 12,), (300, 70), (300, 0)])
@pytest.mark.parametrize("dtype", ["f", "d", "?", "D", ">f"])
def test_tensors_begin_where_a_line_of_the_cache_does(shape, dtype):
    """Those that are not small; all are copies, and lie as their arrays do."""
    x = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    for given in (x, x.T, x[..., ::-1] if shape else x):
        y = ag.tensor(given).numpy()
        np.testing.assert_array_equal(y, given)
        assert not np.shares_memory(y, given) and y.flags.writeable
        assert y.flags.f_contiguous == given.flags.f_contiguous or not given.flags.forc
        assert y.nbytes < _memory.SOME or not given.flags.c_contiguous or address(y) % _memory.LINE == 0


def test_no_more_is_kept_than_allowed(monkeypatch):
    keep = lambda block, most: _memory.Block.__del__(block, most=most)
    blocks = [_memory.Block() for _ in range(4)]
    for block, size in zip(blocks, [600, 300, 200, 2000], strict=True):
        block.raw = np.empty(size, np.uint8), 0
    keep(blocks[0], 1000), keep(blocks[1], 1000)
    assert _memory._kept == [900] and set(_memory._free) == {600, 300}
    keep(blocks[2], 1000)
    assert _memory._kept == [200] and set(_memory._free) == {200}, "all that was kept makes room"
    keep(blocks[3], 1000)
    assert _memory._kept == [200], "what is larger than all room is let go"
    _memory.trim()


def test_several_threads_never_get_the_same_memory():
    bad = []

    def use(number):
        for k in range(50):
            x = _memory.empty((LARGE // 4 + (number + k) % 3 * 50_000,), double)
            x[:] = number
            if not (x == number).all():
                bad.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not bad and _memory._kept[0] == sum(size * len(found) for size, found in _memory._free.items())


@pytest.mark.skipif(not _jit.COMPILED, reason="only kernels of ours use memory again")
def test_what_watched_runs_needed_is_given_back():
    w = ag.ones(LARGE, requires_grad=True)

    @ag.compile
    def step(x):
        w.grad = None
        y = (x * w).tanh().sum()
        y.backward()
        return y

    x = ag.randn(LARGE)
    kept = [step(x) and _memory._kept[0] for _ in range(3)]
    assert step.cache_info().replays == 1
    assert kept[0] >= 4 * LARGE, "an eager run leaves memory for the next"
    assert kept[1:] == [0, 0]
