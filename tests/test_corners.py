"""Corner cases as in PyTorch: types of integers, tensors without axes, empty batches, divisions by zero."""

import math

import numpy as np
import pytest

import autograd_core as ag

torch = pytest.importorskip("torch")

A, B = [[[1, 2], [3, 4]]], [[[2, 1], [0, 2]]]
BOTH = {
    "sum dtype": lambda m: m.tensor([200, 100], dtype=m.uint8).sum(dtype=m.uint8),
    "nansum dtype": lambda m: m.tensor([2.0, math.nan]).nansum(dtype=m.float64),
    "prod dtype": lambda m: m.prod(m.ones(3), dtype=m.int32),
    "prod dtype along": lambda m: m.tensor([[200, 2]], dtype=m.uint8).prod(1, dtype=m.uint8),
    "cumsum dtype": lambda m: m.tensor([200, 100], dtype=m.uint8).cumsum(0, dtype=m.uint8),
    "cumprod dtype": lambda m: m.tensor([200, 100], dtype=m.uint8).cumprod(0, dtype=m.int32),
    "sum_to_size": lambda m: m.tensor([200, 100], dtype=m.uint8).sum_to_size(1),
    "addmv": lambda m: m.addmv(m.tensor([1, 2]), m.tensor(A[0]), m.tensor([1, 1]), beta=2.5, alpha=2),
    "addmm": lambda m: m.addmm(m.tensor([1, 2]), m.tensor(A[0]), m.tensor(B[0]), beta=2.5),
    "addbmm": lambda m: m.addbmm(*(m.tensor(v, dtype=m.int32) for v in ([1, 2], A, B)), beta=2.5),
    "addbmm plain": lambda m: m.addbmm(*(m.tensor(v, dtype=m.int32) for v in ([1, 2], A, B))),
    "baddbmm": lambda m: m.baddbmm(*(m.tensor(v, dtype=m.uint8) for v in ([1, 2], A, B)), beta=2.0),
    "square": lambda m: m.square(m.tensor([True, False])),
    "arange": lambda m: m.arange(0.0, -8.000001, -4.0, dtype=m.int32),
    "arange int64": lambda m: m.arange(0.0, -8.000001, -4.0, dtype=m.int64),
    "vander": lambda m: m.linalg.vander(m.tensor([200, 3], dtype=m.uint8), N=3),
    "vander 0-d": lambda m: m.linalg.vander(m.tensor(2.0), N=3),
    "index_fill": lambda m: m.tensor(3.0).index_fill(0, m.tensor([0]), 2.0),
    "index_fill tensor": lambda m: m.tensor(3.0).index_fill(0, m.tensor(0), m.tensor(2.0)),
    "index_add": lambda m: m.tensor(3.0).index_add(0, m.tensor([0]), m.tensor(2.0)),
    "index_copy": lambda m: m.tensor(3.0).index_copy(0, m.tensor(0), m.tensor(2.0)),
    "scatter": lambda m: m.tensor(3.0).scatter(0, m.tensor(0), m.tensor(2.0)),
    "scatter value": lambda m: m.tensor(3.0).scatter(-1, m.tensor([0]), 2.0),
    "scatter_add": lambda m: m.tensor(3.0).scatter_add(0, m.tensor(0), m.tensor(2.0)),
    "scatter_add 0-d index": lambda m: m.tensor([3.0, 1.0]).scatter_add(0, m.tensor(0), m.tensor(2.0)),
    "scatter_reduce": lambda m: m.tensor(3.0).scatter_reduce(0, m.tensor(0), m.tensor(2.0), "amax"),
    "scatter_": lambda m: m.tensor(3.0).scatter_(0, m.tensor(0), 2.0),
    "unfold": lambda m: m.tensor(3.0).unfold(0, 1, 1),
    "unfold nothing": lambda m: m.tensor(3.0).unfold(0, 0, 1),
    "fftn": lambda m: m.fft.fftn(m.arange(6.0).reshape(2, 3), dim=-1),
    "fftn s": lambda m: m.fft.fftn(m.arange(6.0).reshape(2, 3), s=4, dim=0),
    "fft2": lambda m: m.fft.fft2(m.arange(6.0).reshape(2, 3), dim=0),
    "irfftn": lambda m: m.fft.irfftn(m.arange(6.0).reshape(2, 3), s=4, dim=-1),
    "tensorsolve": lambda m: m.linalg.tensorsolve(m.eye(6).reshape(6, 2, 3).movedim(0, 2) * 2, m.ones(2, 3)),
    "cond empty": lambda m: m.linalg.cond(m.zeros(0, 2, 2), 1),
    "cond no rows": lambda m: m.linalg.cond(m.zeros(3, 0, 0), 1),
    "cond no columns": lambda m: m.linalg.cond(m.zeros(2, 0)),
    "matrix_norm": lambda m: m.linalg.matrix_norm(m.zeros(2, 2, 0), 1),
    "matrix_norm 2": lambda m: m.linalg.matrix_norm(m.zeros(2, 2, 0), 2),
    "index_reduce": lambda m: m.tensor(3.0).index_reduce(0, m.tensor([0]), m.tensor(2.0), "prod"),
}


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("name", BOTH)
def test_values_and_types(name):
    mine, theirs = BOTH[name](ag), BOTH[name](torch)
    assert str(mine.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5)
    assert mine.shape == tuple(theirs.shape)


def test_tensorsolve_moves_axes():
    a, b = np.random.default_rng(0).standard_normal((2, 3, 6)), np.ones((2, 3))
    mine = ag.linalg.tensorsolve(ag.tensor(a), ag.tensor(b), dims=(0, 2))
    theirs = torch.linalg.tensorsolve(torch.tensor(a), torch.tensor(b), dims=(0, 2))
    np.testing.assert_allclose(mine.numpy(), theirs.numpy())


SLOPES = {
    "by zero": ([3.0, 0.0], lambda m, x: x / 0),
    "by a float": ([3.0, 0.0], lambda m, x: x / 0.0),
    "by minus zero": ([3.0, 0.0], lambda m, x: x / -0.0),
    "var": ([3.0], lambda m, x: m.var(x)),
    "std": ([3.0], lambda m, x: m.std(x)),
    "var_mean": ([3.0], lambda m, x: m.var_mean(x)[0]),
    "std_mean": ([3.0], lambda m, x: m.std_mean(x)[0]),
    "std of two": ([3.0, 4.0], lambda m, x: m.std(x, correction=2)),
    "cov": ([[3.0], [2.0]], lambda m, x: m.cov(x)),
    "scatter_add": (3.0, lambda m, x: x.scatter_add(0, m.tensor(0), 2 * x)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SLOPES)
def test_gradients(name):
    data, f = SLOPES[name]
    x, t = ag.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    y, z = f(ag, x), f(torch, t)
    y.sum().backward()
    z.sum().backward()
    np.testing.assert_array_equal(y.detach().numpy(), z.detach().numpy())
    np.testing.assert_array_equal(x.grad.numpy(), t.grad.numpy())


@pytest.mark.filterwarnings("ignore")
def test_variance_of_fewer_than_correction():
    x = ag.tensor([3.0, 4.0], requires_grad=True)
    y = x.var(correction=2)
    y.backward()
    assert y.item() == math.inf and not np.isfinite(x.grad.numpy()).any()
    c = ag.tensor([[3.0], [2.0]], requires_grad=True)
    ag.corrcoef(c).sum().backward()
    assert c.grad.shape == (2, 1)


def test_masks_that_differ_over_a_batch():
    mask, source = ag.tensor([[True, False], [True, True], [False, False]]), ag.tensor([5.0, 6.0])
    y = ag.vmap(lambda x, m: x.masked_scatter(m, source))(ag.zeros(3, 2), mask)
    assert y.tolist() == [[5, 0], [5, 6], [0, 0]]
