"""Linear and bilinear layers: values, gradients of first and second order, batches, errors."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.ops.linear import bilinear, linear

SHAPES = [
    ((5, 3), (4, 3)),
    ((3,), (4, 3)),
    ((2, 5, 3), (4, 3)),
    ((0, 3), (4, 3)),
    ((5, 0), (4, 0)),
    ((70, 80), (90, 80)),
]


def numbers(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize(("x_shape", "w_shape"), SHAPES)
def test_linear_is_the_product_with_the_transpose(x_shape, w_shape, with_bias):
    x, w, b = numbers(x_shape, w_shape, w_shape[:1])
    y = linear(x, w, b) if with_bias else linear(x, w)
    np.testing.assert_allclose(y, x @ w.T + b * with_bias, atol=1e-12)
    assert linear(*(v.astype("f") for v in (x, w, b))).dtype == np.float32


@pytest.mark.parametrize(("x_shape", "w_shape"), SHAPES)
def test_gradients_are_those_of_the_parts(x_shape, w_shape):
    arrays = numbers(x_shape, w_shape, w_shape[:1])
    grads = []
    for f in (linear, lambda x, w, b: ag.matmul(x, w.mT) + b):
        leaves = [ag.tensor(a, requires_grad=True) for a in arrays]
        y = ag.sin(f(*leaves)).sum()
        first = ag.gradient(y, leaves, create_graph=True)
        second = ag.gradient(sum((g * g).sum() for g in first), leaves)
        grads.append([g.detach().numpy() for g in (*first, *second)])
    for ours, theirs in zip(*grads):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_forms_with_fewer_axes():
    x, w, b = numbers((5, 3), (3,), ())
    np.testing.assert_allclose(linear(x, w), x @ w)
    np.testing.assert_allclose(linear(x, w, b), x @ w + b)
    x, w, b = numbers((5, 3), (4, 3), ())
    np.testing.assert_allclose(linear(x, w, b), x @ w.T + b)


def test_transforms():
    x, w, b = numbers((6, 5, 3), (4, 3), (4,))
    ys = ag.vmap(lambda x: linear(x, w, b))(ag.tensor(x))
    np.testing.assert_allclose(ys.numpy(), linear(x, w, b), atol=1e-12)
    many = numbers((6, 4, 3), (6, 4), seed=1)
    ys = ag.vmap(linear)(ag.tensor(x), *map(ag.tensor, many))
    np.testing.assert_allclose(ys.numpy(), np.stack([linear(*v) for v in zip(x, *many)]), atol=1e-12)
    tangents = numbers((6, 5, 3), (4, 3), (4,), seed=2)
    _, t = ag.jvp(linear, tuple(map(ag.tensor, (x, w, b))), tuple(map(ag.tensor, tangents)))
    expected = tangents[0] @ w.T + x @ tangents[1].T + tangents[2]
    np.testing.assert_allclose(t.numpy(), expected, atol=1e-12)


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    cases = [(linear, torch.nn.functional.linear, [(2, 5, 3), (4, 3), (4,)])]
    cases += [(bilinear, torch.nn.functional.bilinear, [(2, 5, 3), (2, 5, 4), (6, 3, 4), (6,)])]
    for ours, theirs, shapes in cases:
        arrays = numbers(*shapes)
        leaves = [ag.tensor(a, requires_grad=True) for a in arrays]
        others = [torch.tensor(a, requires_grad=True) for a in arrays]
        y, z = ours(*leaves), theirs(*others)
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), atol=1e-12)
        g = np.random.default_rng(5).standard_normal(y.shape)
        y.backward(ag.tensor(g))
        z.backward(torch.tensor(g))
        for a, b in zip(leaves, others):
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), atol=1e-11)


def test_bilinear_is_the_sum_it_says():
    x, y, w, b = numbers((5, 3), (5, 4), (6, 3, 4), (6,))
    np.testing.assert_allclose(bilinear(x, y, w, b), np.einsum("ni,oij,nj->no", x, w, y) + b, atol=1e-12)
    np.testing.assert_allclose(bilinear(x[0], y[0], w), np.einsum("i,oij,j->o", x[0], w, y[0]), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linear(np.ones((2, 3)), np.ones((3, 4))), r"^linear: input is \(2, 3\), weight is \(3, 4\).*weight.T"),
        (lambda: linear(np.ones((2, 3)), np.ones((4, 5))), r"^linear: input is \(2, 3\), weight is \(4, 5\)"),
        (lambda: linear(np.ones((2, 3)), np.ones((2, 4, 3))), r"^linear: weight must be \(out, in\)"),
        (lambda: linear(np.ones((2, 3)), np.ones((4, 3)), np.ones(3)), r"^linear: bias must have one entry"),
        (lambda: bilinear(np.ones((2, 3)), np.ones((2, 4)), np.ones((3, 4))), r"^bilinear: weight must be"),
        (lambda: bilinear(np.ones((2, 3)), np.ones((3, 4)), np.ones((6, 3, 4))), r"^bilinear: input1 is"),
        (lambda: bilinear(np.ones(3), np.ones(4), np.ones((6, 3, 4)), np.ones(5)), r"^bilinear: bias must have"),
    ],
)
def test_errors_say_what_is_needed(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_no_array_is_an_error():
    with pytest.raises(TypeError, match="^linear: weight must be a tensor or an array, got list"):
        linear(np.ones((2, 3)), [[1.0]])


def test_linear_takes_a_bias_of_one_for_all():
    x, w, b = ag.randn(2, 3), ag.randn(4, 3), ag.randn(1, requires_grad=True)
    y = linear(x, w, b)
    np.testing.assert_allclose(y.detach(), linear(x, w) + b.detach())
    y.sum().backward()
    assert b.grad.tolist() == [8]
