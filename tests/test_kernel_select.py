"""Ranks, medians, the best and sorting: compiled against references, whatever is equal, NaN, infinite or subnormal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.kernels import _jit, select
from autograd_core.kernels._threads import get_num_threads, set_num_threads

compiled = pytest.mark.skipif(not _jit.COMPILED, reason="nothing is compiled")

ENTRIES = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "close": lambda rng, shape: 1 + rng.standard_normal(shape) / 1e3,
    "few": lambda rng, shape: rng.integers(-2, 3, shape) / 2,
    "wide": lambda rng, shape: rng.standard_normal(shape) * 10.0 ** rng.integers(-30, 30, shape),
    "special": lambda rng, shape: rng.choice([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-42, -1e-42, 1.0], shape),
    "equal": lambda rng, shape: np.full(shape, 2.5),
}


@st.composite
def arrays(draw):
    shape = draw(st.lists(st.sampled_from([1, 2, 25, 70, 300]), min_size=1, max_size=2))
    x = ENTRIES[draw(st.sampled_from(sorted(ENTRIES)))](np.random.default_rng(draw(st.integers(0, 99))), shape)
    x = x.astype(draw(st.sampled_from("fd")))
    x = draw(st.sampled_from([x, x.T, x[..., ::-1], np.broadcast_to(x[..., :1], x.shape)]))
    axis = draw(st.integers(-x.ndim, -1))
    return x, axis, draw(st.integers(1, x.shape[axis]))


@compiled
@settings(max_examples=100, deadline=None)
@given(arrays(), st.booleans())
def test_compiled_and_reference(given_, flag):
    x, axis, k = given_
    for f, args in (
        (select.kth, (k, axis, flag)), (select.best, (k, axis, flag)), (select.median, (axis, flag, flag)),
        (select.sorted_places, (axis, flag)),
    ):  # fmt: skip
        a, b = f.compiled(x, *args), f.reference(x, *args)
        assert a.shape == b.shape and a.dtype == b.dtype == np.int64 and np.array_equal(a, b)


@compiled
@pytest.mark.parametrize("kind", ENTRIES)
def test_long_rows(kind):
    x = ENTRIES[kind](np.random.default_rng(0), 60_000).astype(np.float32)
    order = np.argsort(x, kind="stable")
    assert np.array_equal(select.sorted_places.compiled(x, -1), order)
    for k in (1, 20, 40, 30_000, 60_000):
        assert np.array_equal(select.best.compiled(x, k, -1, False), order[:k])
        assert select.kth.compiled(x, k, -1, True) == order[k - 1]


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ENTRIES)
@pytest.mark.parametrize("n", [63, 64, 65, select.RANKED, select.RANKED + 1, select.SHORT, select.SHORT + 1, 900])
def test_rows_about_as_long_as_where_ways_part(n, kind, dtype):
    x = ENTRIES[kind](np.random.default_rng(n), (4, n)).astype(dtype)
    assert np.array_equal(select.median.compiled(x, -1, False, True), select.median.reference(x, -1, False, True))
    for k in {1, 10, select.RANKED, n // 2, n - 1, n} & set(range(n + 1)):
        assert np.array_equal(select.kth.compiled(x, k, -1, True), select.kth.reference(x, k, -1, True))
        for largest in (False, True):
            got, wanted = (f(x, k, -1, largest) for f in (select.best.compiled, select.best.reference))
            assert np.array_equal(got, wanted)


@compiled
def test_empty_arrays():
    for f, args in ((select.best, (0, -1, True)), (select.sorted_places, (-1,))):
        assert f.compiled(np.zeros((3, 0)), *args).shape == (3, 0)


@pytest.mark.parametrize("name, call", [
    ("topk", lambda m, x: m.topk(x, 7, 1)[0]),
    ("topk smallest", lambda m, x: m.topk(x, 40, 0, False)[0]),
    ("median", lambda m, x: m.median(x, 1)[0]),
    ("kthvalue", lambda m, x: m.kthvalue(x, 9, 0)[0]),
    ("sort", lambda m, x: m.sort(x, 1)[0]),
])  # fmt: skip
def test_values_and_gradients_are_torchs(name, call):
    torch = pytest.importorskip("torch")
    data, found = np.random.default_rng(0).permutation(60 * 80).reshape(60, 80) / 7, []
    for module in (ag, torch):
        x = ag.tensor(data).requires_grad_() if module is ag else torch.tensor(data, requires_grad=True)
        y = call(module, x)
        (y * y).sum().backward()
        found.append((y.detach().numpy(), x.grad.numpy()))
    for ours, theirs in zip(*found):
        np.testing.assert_array_equal(ours, theirs)


@compiled
def test_any_number_of_threads_gives_the_same_places():
    x, before, results = np.random.default_rng(0).integers(0, 99, (900, 310)).astype(np.float32), get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            results.append((select.best.compiled(x, 50, -1, True), select.median.compiled(x, -2, False, True)))
    finally:
        set_num_threads(before)
    assert all(np.array_equal(a, b) for r in results[1:] for a, b in zip(results[0], r))


CHOOSING = {
    "topk": (lambda x: ag.topk(x, 10), -1),
    "topk half, smallest": (lambda x: ag.topk(x, 50, largest=False), -1),
    "topk all": (lambda x: ag.topk(x, 100), -1),
    "topk none": (lambda x: ag.topk(x, 0), -1),
    "topk one": (lambda x: ag.topk(x, 1), -1),
    "topk, first axis": (lambda x: ag.topk(x, 2, 0), 0),
    "kthvalue": (lambda x: ag.kthvalue(x, 70), -1),
    "kthvalue, first axis": (lambda x: ag.kthvalue(x, 2, 0), 0),
    "median": (lambda x: ag.median(x, -1), -1),
    "median, kept": (lambda x: ag.median(x, 0, True), 0),
    "nanmedian": (lambda x: ag.nanmedian(x, -1), -1),
}


@pytest.mark.parametrize("kind", ENTRIES)
@pytest.mark.parametrize("name", CHOOSING)
def test_entries_and_places_are_the_same_recorded_or_not(kind, name):
    """Where nothing is recorded one kernel finds both."""
    call, axis = CHOOSING[name]
    data = ENTRIES[kind](np.random.default_rng(0), 300).reshape(3, 100)
    for dtype in "fd":
        for x in (data.astype(dtype), np.asfortranarray(data.astype(dtype)), data[0].astype(dtype)):
            (y, places), (expected, where) = call(ag.tensor(x)), call(ag.tensor(x).requires_grad_())
            np.testing.assert_array_equal(y.numpy(), expected.detach().numpy(), strict=True)
            np.testing.assert_array_equal(places.numpy(), where.numpy(), strict=True)
            at = places.numpy() if places.ndim == x.ndim else np.expand_dims(places.numpy(), axis)
            np.testing.assert_array_equal(y.numpy(), np.take_along_axis(x, at, axis).reshape(y.shape), strict=True)
