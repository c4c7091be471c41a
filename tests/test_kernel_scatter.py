"""Gather and scatter: compiled against references, against PyTorch with gradients of two orders, on any threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.kernels import _jit, gather, scatter
from autograd_core.kernels._threads import get_num_threads, set_num_threads

compiled = pytest.mark.skipif(not _jit.COMPILED, reason="nothing is compiled")


@st.composite
def meetings(draw):
    """x, values for it, where they go along an axis, and whether each has a place of its own."""
    shape = draw(st.lists(st.sampled_from([1, 2, 7, 40]), min_size=1, max_size=3))
    axis, n = draw(st.integers(-len(shape), -1)), draw(st.sampled_from([0, 1, 5, 90]))
    rng, dtype = np.random.default_rng(draw(st.integers(0, 99))), draw(st.sampled_from("fd"))
    values = [*shape]
    values[axis] = n
    x, v = (rng.choice([-2, -1, -0.5, 0, 0.5, 1, 1, 2], s).astype(dtype) for s in (shape, values))
    if draw(st.booleans()):
        x, v = (np.array(a, order="F") for a in (x, v))
    each = draw(st.booleans())
    return x, v, rng.integers(-shape[axis], shape[axis], values if each else n), axis, each


@compiled
@settings(max_examples=80, deadline=None)
@given(meetings())
def test_compiled_and_reference(given_):
    x, v, index, axis, each = given_
    same = lambda f, *args: np.testing.assert_array_equal(f.compiled(*args), f.reference(*args))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-30)
    same(gather.taken, x, index, axis, each)
    same(scatter.winners, index, v.shape, x.shape[axis], axis, each)
    for how in scatter.JOINS:
        close(*(f(x, v, index, axis, each, how) for f in (scatter.scattered.compiled, scatter.scattered.reference)))
    close(*(f(v, index, x.shape[axis], axis, each) for f in (scatter.added.compiled, scatter.added.reference)))
    for a, b in zip(*(f(x, v, index, axis, each) for f in (scatter.others.compiled, scatter.others.reference))):
        close(a, b)
    top = scatter.scattered(x, v, index, axis, each, scatter.LARGEST)
    g = np.random.default_rng(0).standard_normal(x.shape).astype(x.dtype)
    for a, b in zip(*(f(g, x, v, top, index, axis, each) for f in (scatter.ties.compiled, scatter.ties.reference))):
        close(a, b)


LAYOUTS = {
    "in order": lambda a: a,
    "reversed": lambda a: np.flip(np.ascontiguousarray(np.flip(a))),
    "back to front": np.asfortranarray,
}
JOINED = {
    scatter.PUT: lambda a, b: b, scatter.ADD: lambda a, b: a + b, scatter.MULTIPLY: lambda a, b: a * b,
    scatter.LARGEST: max, scatter.SMALLEST: min,
}  # fmt: skip


@pytest.mark.parametrize("way", ["compiled", "reference"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("how", JOINED)
def test_what_meets_is_joined_in_the_order_of_the_list(how, layout, way):
    if way == "compiled" and not _jit.COMPILED:
        pytest.skip("nothing is compiled")
    rng, laid = np.random.default_rng(0), LAYOUTS[layout]
    for _ in range(20):
        x, v, index = rng.standard_normal((2, 4)), rng.standard_normal((2, 9)), rng.integers(0, 4, (2, 9))
        expected = x.copy()
        won = np.zeros(index.shape, bool)
        for r in range(2):
            for k in range(9):
                expected[r, index[r, k]] = JOINED[how](expected[r, index[r, k]], v[r, k])
                won[r, index[r] == index[r, k]] = False
                won[r, k] = True
        y = getattr(scatter.scattered, way)(laid(x), laid(v), laid(index), -1, True, how)
        np.testing.assert_allclose(y, expected, rtol=1e-12)
        assert np.array_equal(getattr(scatter.winners, way)(laid(index), v.shape, 4, -1, True), won)


@compiled
@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("place", [5, -6])
def test_a_place_out_of_range_is_an_error(each, place):
    x, v = np.zeros((300, 5)), np.ones((300, 9))
    index = np.zeros((300, 9) if each else 9, np.int64)
    index.flat[-1] = place
    for call in (
        lambda: gather.taken.compiled(x, index, -1, each),
        lambda: scatter.added.compiled(v, index, 5, -1, each),
        lambda: scatter.scattered.compiled(x, v, index, -1, each, scatter.PUT),
    ):
        with pytest.raises(IndexError, match=f"index {place} is out of bounds for axis .*size 5"):
            call()


def test_an_error_leaves_the_tensor_as_it_was():
    x = ag.tensor(np.zeros((20, 8)))
    with pytest.raises(IndexError, match="scatter_add.*index 20 is out of range"):
        x.scatter_add_(0, ag.tensor(np.full((3, 8), 20)), ag.tensor(np.ones((3, 8))))
    assert (x.numpy() == 0).all()


@pytest.mark.parametrize("size", [1, 100])
def test_what_is_put_in_one_place_is_added_in_turn(size):
    """One after the other to what is there: two ones are lost on 2^24 in float32, which their sum is not."""
    x = np.full((size, 1), 2.0**24, np.float32)
    y = ag.index_put(ag.tensor(x), (ag.tensor([0, 0]),), ag.tensor(np.ones((2, 1), np.float32)), accumulate=True)
    assert (y.numpy() == x).all()


def test_places_that_do_not_differ_over_a_batch_and_places_that_do():
    """An index in front of which nothing is batched, or everything, or only the index: each as a loop over the members."""
    x, rng = np.random.default_rng(0).standard_normal((4, 3, 30)), np.random.default_rng(1)
    places = rng.integers(0, 30, (4, 3))
    chosen = lambda a, p: ag.gather(a, 1, p.reshape(3, 1)).reshape(3)
    for axes in ((0, 0), (0, None), (None, 0)):
        given = [v if axis == 0 else v[0] for v, axis in zip((x, places), axes)]
        y = ag.vmap(chosen, axes)(*map(ag.tensor, given))
        for k in range(4):
            a, p = (v[k] if axis == 0 else v for v, axis in zip(given, axes))
            assert np.array_equal(y.numpy()[k], a[np.arange(3), p])


CALLS = {
    **{f"scatter_reduce {how}": (True, lambda m, x, v, i, how=how: m.scatter_reduce(x, 0, i, v, how))
       for how in ("sum", "prod", "mean", "amax", "amin")},
    **{f"scatter_reduce {how} without": (
        True, lambda m, x, v, i, how=how: m.scatter_reduce(x, 0, i, v, how, include_self=False)
       ) for how in ("sum", "prod", "mean", "amax", "amin")},
    **{f"index_reduce {how}": (False, lambda m, x, v, i, how=how: m.index_reduce(x, 0, i, v, how))
       for how in ("prod", "mean", "amax", "amin")},
    "scatter": (True, lambda m, x, v, i: m.scatter(x, 0, m.arange(12).reshape(12, 1).expand(12, 16).flip(0), v[:12])),
    "scatter_add": (True, lambda m, x, v, i: m.scatter_add(x, 0, i, v)),
    "scatter_add of a part": (True, lambda m, x, v, i: m.scatter_add(x, 0, i[:9, :5], v[:9, :5])),
    "index_add": (False, lambda m, x, v, i: m.index_add(x, 0, i, v, alpha=2)),
    "index_put": (False, lambda m, x, v, i: m.index_put(x, (i,), v, accumulate=True)),
    "gather": (True, lambda m, x, v, i: m.gather(x, 0, i) * v),
    "index_select": (False, lambda m, x, v, i: m.index_select(x, 0, i) * v),
    "take": (True, lambda m, x, v, i: m.take(x, i) * v),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients_are_torchs(name, zeros):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    x0, v0 = rng.permutation(12 * 16).reshape(12, 16) / 50 + 0.3, rng.permutation(30 * 16).reshape(30, 16) / 125 + 0.3
    if zeros and "prod" in name:
        v0[::5] = 0
        x0[3] = 0
    each, call = CALLS[name]
    index, found = rng.integers(0, 12, (30, 16) if each else 30), []
    for module in (ag, torch):
        leaf = lambda a, m=module: ag.tensor(a).requires_grad_() if m is ag else torch.tensor(a, requires_grad=True)
        x, v = leaf(x0), leaf(v0)
        y = call(module, x, v, module.tensor(index))
        w = module.tensor(np.random.default_rng(1).standard_normal(tuple(y.shape)))
        gradient = ag.gradient if module is ag else torch.autograd.grad
        first = gradient([(y * w).sum()], [x, v], create_graph=True)
        total = (first[0] * first[0]).sum() + (first[1] * first[1]).sum()
        exact = module is ag or not (zeros and "prod" in name)  # torch has no second gradient where there are zeros
        second = gradient([total], [x, v], allow_unused=True) if exact and total.requires_grad else (None, None)
        found.append([y.detach().numpy(), *(None if g is None else g.detach().numpy() for g in (*first, *second))])
    for k, (ours, theirs) in enumerate(zip(*found)):
        if ours is not None and theirs is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9, err_msg=str(k))


def test_second_gradients_of_products_with_zeros():
    x = ag.tensor(np.array([2.0, 0.0, 3.0])).requires_grad_()
    v = ag.tensor(np.array([0.0, 5.0, 0.0, 7.0])).requires_grad_()
    index = ag.tensor(np.array([0, 0, 1, 2]))
    f = lambda x, v: ag.scatter_reduce(x, 0, index, v, "prod").sum()
    assert ag.gradcheck(f, (x, v)) and ag.gradgradcheck(f, (x, v))


@compiled
def test_any_number_of_threads_gives_the_same_bits():
    rng, before, results = np.random.default_rng(0), get_num_threads(), []
    x, v = rng.standard_normal((40, 500, 70)).astype("f"), rng.standard_normal((40, 900, 70)).astype("f")
    index = rng.integers(0, 500, v.shape)
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            results.append([
                scatter.scattered.compiled(x, v, index, -2, True, scatter.ADD),
                gather.taken.compiled(x, index, -2, True),
                *scatter.others.compiled(x, v, index, -2, True),
            ])  # fmt: skip
    finally:
        set_num_threads(before)
    assert all(np.array_equal(a, b) for r in results[1:] for a, b in zip(results[0], r))


@compiled
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_slices_of_every_length_are_read_whole_and_nothing_beside_them(dtype):
    """Short ones are moved by two vectors that overlap, of a width for each length."""
    rng = np.random.default_rng(0)
    for inner in range(1, 80):
        x, index = rng.standard_normal((9, inner)).astype(dtype), rng.integers(-9, 9, 300)
        assert np.array_equal(gather.taken.compiled(x, index, -2, False), x[index])


def reading_and_joining(m, x, v, places, rows):
    """What goes to its kernel at once where nothing is recorded, and through ops where something is."""
    yield m.gather(x, 0, places)
    yield m.gather(x, -1, places % 7)
    yield m.take(x, places)
    yield m.index_select(x, 0, rows)
    yield m.scatter_add(x, 0, places, v)
    yield m.index_add(x, 0, rows, v)
    yield m.index_put(x, (rows,), v, accumulate=True)
    for reduce in ("sum", "prod", "mean", "amax", "amin"):
        yield m.scatter_reduce(x, 0, places, v, reduce)
        yield m.scatter_reduce(x, -2, places, v, reduce, include_self=False)
    for reduce in ("prod", "mean", "amax", "amin"):
        yield m.index_reduce(x, 0, rows, v, reduce)


@pytest.mark.filterwarnings("ignore:index_reduce.. is in beta")
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("laid", [lambda a: a, np.asfortranarray], ids=["in order", "back to front"])
@pytest.mark.parametrize("records", [False, True])
def test_plain_calls_give_what_torch_gives_recorded_or_not(dtype, laid, records):
    torch, rng = pytest.importorskip("torch"), np.random.default_rng(0)
    x, v = (laid(rng.uniform(0.5, 2, (30, 7)).astype(dtype)) for _ in range(2))
    places, rows, found = laid(rng.integers(0, 30, (30, 7))), rng.integers(0, 30, 30), []
    for m in (ag, torch):
        given = [(ag.tensor if m is ag else torch.tensor)(a) for a in (x, v, places, rows)]
        given[0].requires_grad_(records)
        found.append([y.detach().numpy() for y in reading_and_joining(m, *given)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5 if dtype == "f" else 1e-12, strict=True)


@pytest.mark.parametrize("records", [False, True])
@pytest.mark.parametrize("size", [3, 40])
def test_a_place_out_of_range_is_told_of_by_whoever_was_called(size, records):
    x, v = (ag.tensor(np.ones((size, 5))) for _ in range(2))
    x.requires_grad_(records)
    places, rows = ag.tensor(np.full((size, 5), size)), ag.tensor(np.full(size, -size - 1))
    for call, place, entries in (
        (lambda: ag.gather(x, 0, places), size, size),
        (lambda: ag.take(x, 5 * places), 5 * size, 5 * size),
        (lambda: ag.index_select(x, 0, rows), -size - 1, size),
        (lambda: ag.scatter_add(x, 0, places, v), size, size),
        (lambda: ag.scatter_reduce(x, 0, places, v, "amax"), size, size),
        (lambda: ag.index_add(x, 0, rows, v), -size - 1, size),
        (lambda: ag.index_put(x, (rows,), v), -size - 1, size),
    ):
        with pytest.raises(IndexError, match=f": index {place} is out of range for an axis of {entries} entries; the"):
            call()


@pytest.mark.parametrize("dim", [0.0, "0", None])
def test_an_axis_is_a_whole_number(dim):
    x, places = ag.tensor(np.ones((40, 5))), ag.tensor(np.zeros((40, 5), np.int64))
    ag.gather(x, 0, places)  # what is found out for it is remembered
    for call in (lambda: ag.gather(x, dim, places), lambda: ag.scatter_add(x, dim, places, x)):
        with pytest.raises(TypeError, match="dim must be an integer"):
            call()
