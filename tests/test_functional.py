"""Transforms: values against closed forms, nesting, mixing, trees, and what they return."""

import math

import numpy as np
import pytest

import autograd_core as ag

X = np.linspace(0.3, 1.1, 3)


def cubic(x):
    return (x * x * x).sum()


def test_results_have_the_form_of_the_arguments() -> None:
    assert isinstance(ag.grad(lambda x: x * x)(3.0), float)
    assert type(ag.grad(cubic)(X)) is np.ndarray
    assert isinstance(ag.grad(cubic)(ag.tensor(X)), ag.Tensor)
    value, g = ag.value_and_grad(cubic)(X)
    assert isinstance(value, float) and type(g) is np.ndarray
    tree = ag.grad(lambda p: (p["w"] * p["b"][0]).sum() + p["b"][1] ** 2)({"w": X, "b": (2.0, ag.tensor(3.0))})
    assert tree["w"].tolist() == [2, 2, 2] and tree["b"][0] == pytest.approx(X.sum()) and tree["b"][1].item() == 6


def test_float32_stays_float32() -> None:
    assert ag.grad(cubic)(X.astype(np.float32)).dtype == np.float32
    assert ag.hessian(cubic)(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("order", range(1, 6))
def test_any_order_by_nesting(order: int) -> None:
    f = lambda x: ag.exp(2 * x) + x**4
    for _ in range(order):
        f = ag.grad(f)
    x = 0.7
    powers = math.perm(4, order) * x ** (4 - order) if order <= 4 else 0.0
    assert f(x) == pytest.approx(2**order * math.exp(2 * x) + powers)


def test_perturbations_are_not_confused() -> None:
    assert ag.grad(lambda x: x * ag.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert ag.jvp(lambda x: x * ag.jvp(lambda y: x + y, (1.0,), (1.0,))[1], (1.0,), (1.0,))[1] == 1.0
    assert ag.grad(lambda x: x * ag.jvp(lambda y: x * y, (x,), (1.0,))[1])(3.0) == 6.0
    assert ag.jvp(lambda x: x * ag.grad(lambda y: x * y)(x), (3.0,), (1.0,))[1] == 6.0


def test_forward_and_reverse_mix_in_every_order() -> None:
    f = lambda x: (x.sin() * x * x).sum()
    h = np.diag(2 * np.sin(X) + 4 * X * np.cos(X) - X**2 * np.sin(X))
    directional = lambda x, u: ag.jvp(f, (x,), (u,))[1]
    u = np.array([0.2, -1.0, 0.5])
    np.testing.assert_allclose(ag.hessian(f)(X), h)
    np.testing.assert_allclose(ag.jacobian(ag.grad(f), mode="reverse")(X), h)
    np.testing.assert_allclose(ag.grad(lambda x: directional(x, u))(X), h @ u)
    np.testing.assert_allclose(ag.jvp(ag.grad(f), (X,), (u,))[1], h @ u)
    np.testing.assert_allclose(ag.jvp(lambda x: directional(x, u), (X,), (u,))[1], u @ h @ u)
    np.testing.assert_allclose(ag.hvp(f, (X,), (u,)), h @ u)
    np.testing.assert_allclose(ag.linearize(ag.grad(f), X)[1](u), h @ u)
    np.testing.assert_allclose(ag.vjp(ag.grad(f), X)[1](u), h @ u)


def test_vmap_of_grad_and_grad_of_vmap() -> None:
    batch = np.stack([X, 2 * X, -X])
    np.testing.assert_allclose(ag.vmap(ag.grad(cubic))(batch), 3 * batch**2)
    np.testing.assert_allclose(ag.grad(lambda b: ag.vmap(cubic)(b).sum())(batch), 3 * batch**2)
    np.testing.assert_allclose(ag.vmap(ag.hessian(cubic))(batch), np.stack([np.diag(6 * row) for row in batch]))
    w = ag.tensor(X, requires_grad=True)
    ag.vmap(lambda row: (row * w).sum())(batch).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), batch.sum(0))


def test_vmap_axes() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    np.testing.assert_allclose(ag.vmap(lambda x, y: x * y, in_dims=(1, 0), out_dims=1)(a, b), a * b)
    np.testing.assert_allclose(ag.vmap(lambda x, y: (x * y).sum(), in_dims=(0, None))(a, b), a @ b)
    both = ag.vmap(lambda x: {"s": x.sum(), "x": x}, out_dims=0)(a)
    np.testing.assert_allclose(both["s"], a.sum(1))
    nested = ag.vmap(ag.vmap(lambda x, y: x * y, in_dims=(None, 0)), in_dims=(0, None))(b, b)
    np.testing.assert_allclose(nested, np.outer(b, b))


@pytest.mark.parametrize("mode", ["auto", "reverse", "forward"])
def test_jacobian(mode: str) -> None:
    A = np.arange(6.0).reshape(2, 3)
    f = lambda x: ag.matmul(A, x.sin())
    np.testing.assert_allclose(ag.jacobian(f, mode=mode)(X), A * np.cos(X))
    g = lambda x, y: (x * y, (x * x).sum())
    (dx, dy), (sx, sy) = ag.jacobian(g, argnums=(0, 1), mode=mode)(X, 2 * X)
    np.testing.assert_allclose(dx, np.diag(2 * X))
    np.testing.assert_allclose(dy, np.diag(X))
    np.testing.assert_allclose(sx, 2 * X)
    np.testing.assert_allclose(sy, 0 * X)


def test_gauss_newton() -> None:
    A = np.random.default_rng(0).standard_normal((5, 3))
    f = lambda x: ag.tanh(ag.matmul(A, x))
    J, u = ag.jacobian(f)(X), np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(ag.ggnvp(f, X, u), J.T @ J @ u)
    loss = lambda y: (y * y * y * y).sum()
    np.testing.assert_allclose(ag.ggnvp(f, X, u, loss=loss), J.T @ ((12 * np.tanh(A @ X) ** 2) * (J @ u)))


def test_linearize_runs_the_function_once() -> None:
    runs = []

    def f(x):
        runs.append(1)
        return x.sin() * 2

    y, push = ag.linearize(f, X)
    for u in np.eye(3):
        np.testing.assert_allclose(push(u), 2 * np.cos(X) * u)
    assert len(runs) == 1


def test_a_gradient_that_depends_on_parameters_can_be_trained() -> None:
    w = ag.tensor([0.5, -1.0, 2.0], dtype=ag.float64, requires_grad=True)
    force = ag.grad(lambda x: (w * x * x).sum())(ag.tensor(X))
    assert force.requires_grad
    (force * force).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 8 * w.detach().numpy() * X**2)


def test_gradients_are_taken_inside_no_grad() -> None:
    with ag.no_grad():
        np.testing.assert_allclose(ag.grad(cubic)(X), 3 * X**2)


def test_auxiliary_results() -> None:
    g, aux = ag.grad(lambda x: (cubic(x), {"y": x * 2}), has_aux=True)(X)
    np.testing.assert_allclose(g, 3 * X**2)
    assert type(aux["y"]) is np.ndarray
    np.testing.assert_allclose(aux["y"], 2 * X)


def test_complex_arguments_follow_the_conjugate_convention() -> None:
    z = np.array([1 + 2j, -0.5j])
    np.testing.assert_allclose(ag.grad(lambda z: (z * z.conj()).real.sum())(z), 2 * z)
    np.testing.assert_allclose(ag.grad(lambda z: (z * z).real.sum())(z), np.conj(2 * z))


def test_checkpoint_gives_the_same_gradient_and_keeps_nothing() -> None:
    w = ag.tensor(X, requires_grad=True)
    runs = []

    def block(x):
        runs.append(1)
        return (x * w).sin() * x

    x = ag.tensor(X + 1, requires_grad=True)
    ag.checkpoint(block, x).sum().backward()
    got = x.grad.numpy().copy(), w.grad.numpy().copy()
    x.grad = w.grad = None
    block(x).sum().backward()
    np.testing.assert_allclose(got[0], x.grad.numpy())
    np.testing.assert_allclose(got[1], w.grad.numpy())
    assert len(runs) == 3


def test_scan_and_cond() -> None:
    f = lambda w, xs: ag.scan(lambda c, x: (c * w + x, c), 0.0 * w, xs)
    carry, ys = f(0.5, X)
    assert float(carry) == pytest.approx(((X[0] * 0.5) + X[1]) * 0.5 + X[2])
    assert ag.grad(lambda w: f(w, X)[0])(0.5) == pytest.approx(2 * 0.5 * X[0] + X[1])
    assert ag.grad(lambda x: ag.cond(x > 0, lambda x: x * x, lambda x: -x, x))(3.0) == 6.0
    assert ag.grad(lambda x: ag.cond(x > 0, lambda x: x * x, lambda x: -x, x))(-3.0) == -1.0
    picked = ag.vmap(lambda x: ag.cond(x > 1, lambda x: x * 10, lambda x: x, x))(np.array([0.5, 2.0]))
    np.testing.assert_allclose(picked, [0.5, 20.0])


def test_loops_branches_and_recursion_differentiate_as_they_ran() -> None:
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    def collatz(x):
        while x < 10:
            x = x * 3 if x < 5 else x + 4
        return x

    assert ag.grad(lambda x: power(x, 6))(2.0) == 6 * 2.0**5
    assert ag.grad(collatz)(2.0) == 3.0
    assert ag.jvp(collatz, (2.0,), (1.0,))[1] == 3.0
