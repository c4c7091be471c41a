"""Embeddings: kernels against NumPy, functions against PyTorch, and what they must be on their own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.kernels import embedding as kernel
from autograd_core.kernels._jit import COMPILED
from autograd_core.kernels._threads import get_num_threads, set_num_threads
from autograd_core.ops.embedding import embedding, embedding_bag, one_hot

FAST = settings(max_examples=30, deadline=None)


def table_and_index(seed, rows, columns, count, dtype):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, columns)).astype(dtype), rng.integers(0, rows, count if rows else 0)


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
@FAST
@given(
    st.integers(0, 99), st.integers(0, 40), st.integers(0, 70), st.integers(0, 60), st.sampled_from("fd"), st.booleans()
)
def test_kernels_equal_their_references(seed, rows, columns, count, dtype, odd):
    table, index = table_and_index(seed, rows, columns, count, dtype)
    if odd:  # columns first, backwards, and other integers
        table, index = np.asfortranarray(table)[::-1], index.astype(np.int32)[::-1]
    if table.size:
        table.flat[0] = np.nan
    for skip in (-1, 1):
        taken = kernel.rows_at.compiled(table, index, skip)
        np.testing.assert_array_equal(taken, kernel.rows_at.reference(table, index, skip))
        added = kernel.add_rows.compiled(taken, index, rows, skip)
        np.testing.assert_array_equal(added, kernel.add_rows.reference(taken, index, rows, skip))
        assert taken.dtype == added.dtype == dtype


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
@pytest.mark.parametrize("rows, columns, count", [(20_000, 64, 5000), (7, 500, 4000), (3000, 3, 50_000)])
def test_the_number_of_threads_changes_no_bit(rows, columns, count):
    table, index = table_and_index(0, rows, columns, count, "f")
    x = np.random.default_rng(1).standard_normal((count, columns)).astype("f")
    usual, found = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found.append((kernel.rows_at.compiled(table, index), kernel.add_rows.compiled(x, index, rows)))
    finally:
        set_num_threads(usual)
    for taken, added in found:
        np.testing.assert_array_equal(taken, table[index])
        np.testing.assert_array_equal(added, found[0][1])
    expected = np.zeros((rows, columns), "f")
    np.add.at(expected, index, x)
    np.testing.assert_array_equal(found[0][1], expected)


def gradients(f, *arrays):
    leaves = [ag.tensor(a, requires_grad=True) for a in arrays]
    y = f(*leaves)
    weights = ag.tensor(np.random.default_rng(5).standard_normal(y.shape))
    (y * weights).sum().backward()
    return y.value, [x.grad.value for x in leaves]


def compared(ours, theirs, *arrays):
    """Values and gradients of the same function here and in PyTorch."""
    torch = pytest.importorskip("torch")
    y, gs = gradients(ours, *arrays)
    leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
    z = theirs(*leaves)
    (z * torch.tensor(np.random.default_rng(5).standard_normal(tuple(z.shape)))).sum().backward()
    np.testing.assert_allclose(y, z.detach().numpy(), rtol=1e-12, atol=1e-12)
    for g, x in zip(gs, leaves, strict=True):
        np.testing.assert_allclose(g, x.grad.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(6,), (3, 4), (), (0,), (2, 0, 3)])
@pytest.mark.parametrize("options", [
    {}, {"padding_idx": 2}, {"padding_idx": -1}, {"scale_grad_by_freq": True},
    {"padding_idx": 1, "scale_grad_by_freq": True}, {"max_norm": 1.0}, {"max_norm": 0.5, "norm_type": 1.0},
])  # fmt: skip
def test_embedding_is_that_of_pytorch(shape, options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    table, index = rng.standard_normal((5, 4)), rng.integers(0, 5, shape)
    once = {"max_norm", "norm_type"} & set(options)  # in place, so not on leaves
    ours = lambda w: embedding(index, w * 1 if once else w, **options)
    theirs = lambda w: torch.nn.functional.embedding(torch.tensor(index), w * 1 if once else w, **options)
    if once:
        with torch.no_grad(), ag.no_grad():
            a, b = ag.tensor(table), torch.tensor(table)
            y = embedding(index, a, **options)
            z = torch.nn.functional.embedding(torch.tensor(index), b, **options)
        np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-12)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)
    else:
        compared(ours, theirs, table)


BAGS = [
    ((3, 4), None, {}), ((3, 4), None, {"padding_idx": 2}), ((0, 4), None, {}),
    ((7,), [0, 2, 2, 5], {}), ((7,), [0, 3], {"padding_idx": 0}), ((7,), [0, 3, 7], {"include_last_offset": True}),
    ((7,), [0, 3, 3, 7], {"include_last_offset": True, "padding_idx": 4}), ((0,), [0, 0], {}),
]  # fmt: skip


@pytest.mark.parametrize("mode", ["sum", "mean", "max", "weighted"])
@pytest.mark.parametrize("shape, offsets, options", BAGS)
def test_embedding_bag_is_that_of_pytorch(shape, offsets, options, mode):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    table, index = rng.standard_normal((5, 3)), rng.integers(0, 5, shape)
    start = None if offsets is None else torch.tensor(offsets)
    where = None if offsets is None else np.array(offsets)
    options = {**options, "mode": "sum" if mode == "weighted" else mode}
    call = torch.nn.functional.embedding_bag
    if mode == "weighted":
        compared(
            lambda w, s: embedding_bag(index, w, where, per_sample_weights=s, **options),
            lambda w, s: call(torch.tensor(index), w, start, per_sample_weights=s, **options),
            table, rng.standard_normal(shape),
        )  # fmt: skip
    else:
        compared(
            lambda w: embedding_bag(index, w, where, **options),
            lambda w: call(torch.tensor(index), w, start, **options),
            table,
        )  # fmt: skip


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_nothing_give_zeros(mode):
    for index, offsets in [(np.zeros((3, 0), int), None), (np.zeros(0, int), np.zeros(3, int))]:
        table = ag.tensor(np.ones((5, 2)), requires_grad=True)
        y = embedding_bag(index, table, offsets, mode=mode)
        np.testing.assert_array_equal(y.value, np.zeros((3, 2)))
        y.sum().backward()
        np.testing.assert_array_equal(table.grad.value, np.zeros((5, 2)))


def test_one_hot():
    np.testing.assert_array_equal(one_hot(np.array([0, 2, 1])), np.eye(3)[[0, 2, 1]])
    assert one_hot(np.array([[1]]), 4).tolist() == [[[0, 1, 0, 0]]]
    assert one_hot(ag.tensor([1, 0])).dtype == np.int64
    assert one_hot(np.zeros((2, 0), int), 3).shape == (2, 0, 3)
    together = ag.vmap(lambda i: one_hot(i, 3))(ag.tensor([[0, 1], [2, 2]]))
    np.testing.assert_array_equal(together.numpy(), np.eye(3)[[[0, 1], [2, 2]]])


def test_no_gradient_reaches_the_padding_row_to_second_order():
    table, index = ag.tensor(np.arange(6.0).reshape(3, 2), requires_grad=True), np.array([0, 1, 1, 2])
    y = (embedding(index, table, padding_idx=1) ** 2).sum()
    (g,) = ag.gradient(y, [table], create_graph=True)
    np.testing.assert_array_equal(g.value, [[0, 2], [0, 0], [8, 10]])
    (h,) = ag.gradient((g**2).sum(), [table])
    np.testing.assert_array_equal(h.numpy(), [[0, 8], [0, 0], [32, 40]])


def test_tables_of_a_batch():
    rng = np.random.default_rng(0)
    tables, index = rng.standard_normal((3, 5, 2)), rng.integers(0, 5, (3, 4))
    y = ag.vmap(lambda i, w: embedding(i, w, padding_idx=0))(ag.tensor(index), ag.tensor(tables))
    np.testing.assert_array_equal(y.numpy(), np.stack([w[i] for i, w in zip(index, tables)]))


TABLE = np.zeros((4, 2))
MISUSES = [
    (lambda: embedding(np.array([0, 4]), TABLE), IndexError, "embedding: index 4 is out of range for an axis of 4"),
    (lambda: embedding(ag.tensor([-1]), TABLE), IndexError, "embedding: index -1 is out of range"),
    (lambda: embedding(np.array([0.5]), TABLE), TypeError, "embedding: input must hold integers, got float64"),
    (lambda: embedding(np.array([0]), np.zeros(3)), ValueError, r"embedding: weight must be a matrix .* \(3,\)"),
    (lambda: embedding(np.array([0]), TABLE, padding_idx=4), ValueError, "padding_idx is 4, but weight has 4 rows"),
    (lambda: embedding_bag(np.array([0, 1]), TABLE), ValueError, "embedding_bag: takes input"),
    (lambda: embedding_bag(np.array([0, 1]), TABLE, np.array([1])), ValueError, "offsets must begin with 0"),
    (lambda: embedding_bag(np.array([[0, 1]]), TABLE, mode="min"), ValueError, "mode must be"),
    (
        lambda: embedding_bag(np.array([[0]]), TABLE, mode="mean", per_sample_weights=np.ones((1, 1))),
        ValueError, "per_sample_weights go with mode='sum'",
    ),
    (lambda: one_hot(np.array([-1])), ValueError, "one_hot: classes must not be negative, got -1"),
    (lambda: one_hot(np.array([3]), 3), ValueError, "one_hot: class 3 does not fit num_classes=3"),
    (lambda: one_hot(np.array([], int)), ValueError, "one_hot: of no integers"),
]  # fmt: skip


@pytest.mark.parametrize("call, kind, text", MISUSES)
def test_misuse(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
