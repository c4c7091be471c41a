"""Transforms: values against closed forms, nesting, mixing, trees, and what they return."""

import math

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.kernels._jit import COMPILED

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


def test_transforms_inside_transforms_keep_the_outer_gradient() -> None:
    x3 = np.array([0.5, 1.0, 2.0])
    hvp = lambda w: ag.hvp(lambda x: (x**3 * w).sum(), x3, x3).sum()
    np.testing.assert_allclose(ag.grad(hvp)(x3), 6 * x3**2)
    batch = lambda w: ag.vmap(ag.grad(lambda x: (x**3 * w).sum()))(x3).sum()
    np.testing.assert_allclose(ag.grad(batch)(x3), [(3 * x3**2).sum()] * 3)
    inner = lambda x: ag.jvp(lambda y: x * y * ag.grad(lambda z: x * y * z * z)(y), (x,), (1.0,))[1] * x
    assert ag.grad(inner)(2.0) == 480.0
    product = lambda x: ag.jvp(lambda y: y.prod(), (x,), (np.array([1.0, -1.0, 0.5]),))[1]
    np.testing.assert_allclose(ag.grad(product)(x3), [-1.5, 2.25, 0.5])
    w = ag.tensor(x3, requires_grad=True)
    ag.hvp(lambda x: (x**3 * w).sum(), x3, x3).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 6 * x3**2)


def test_pullbacks_and_linearisations_are_functions_too() -> None:
    pull = ag.vjp(lambda x: x**2, X)[1]
    push = ag.linearize(lambda x: x**2, X)[1]
    np.testing.assert_allclose(ag.grad(lambda v: pull(v).sum())(X), 2 * X)
    np.testing.assert_allclose(ag.jacobian(push)(X), np.diag(2 * X))
    np.testing.assert_allclose(ag.jacobian(push, mode="forward")(X), np.diag(2 * X))


def test_linearize_and_jacobian_of_complex_functions() -> None:
    z, t = np.array([1 + 2j, -0.5j]), np.array([0.3 - 1j, 2.0])
    np.testing.assert_allclose(ag.linearize(lambda z: z * z, z)[1](t), 2 * z * t)
    for mode in ("reverse", "forward", "auto"):
        np.testing.assert_allclose(ag.jacobian(lambda z: z**2, mode=mode)(z), np.diag(2 * z))


def test_results_belong_to_the_caller() -> None:
    a = np.ones(3)
    for g in (
        ag.grad(lambda x: x.sum())(a),
        ag.value_and_grad(lambda x: x.mean())(a)[1],
        ag.jacobian(lambda x: x + 0)(a),
    ):
        g *= 0.1
    seed = np.ones(3)
    pulled = ag.vjp(lambda x: x + 0, a)[1](seed)
    pulled *= 5
    same, tangent = ag.jvp(lambda x: x, (a,), (seed,))
    same *= 7
    tangent *= 7
    assert seed.tolist() == [1, 1, 1] and a.tolist() == [1, 1, 1]
    x = ag.tensor(a, requires_grad=True)
    assert ag.gradient(x.sum(), x)[0].add_(1).tolist() == [2, 2, 2]


def test_detach_stops_every_mode() -> None:
    f = lambda x: (x.detach() * x).sum()
    np.testing.assert_allclose(ag.hessian(f)(X), np.zeros((3, 3)))
    np.testing.assert_allclose(ag.jvp(f, (X,), (np.ones(3),))[1], X.sum())
    np.testing.assert_allclose(ag.vmap(lambda x: x.detach().contiguous() * 2)(X), 2 * X)


def test_changes_in_place_inside_transforms() -> None:
    def f(x):
        y = x * 1
        y *= x
        y[y > 1] *= 2.0
        buffer = ag.zeros_like(x)
        buffer[0] = y[0] * 3
        return y.sum() + buffer.sum()

    slopes = 2 * X * np.array([4, 1, 2])
    np.testing.assert_allclose(ag.grad(f)(X), slopes)
    np.testing.assert_allclose(ag.hessian(f)(X), np.diag(2 * np.array([4, 1, 2])))
    np.testing.assert_allclose(ag.jvp(f, (X,), (np.ones(3),))[1], slopes.sum())
    np.testing.assert_allclose(ag.grad(lambda x: ag.jvp(f, (x,), (np.ones(3),))[1])(X), 2 * np.array([4, 1, 2]))

    def g(x):
        y = x * 1
        y *= x
        return y.sum()

    np.testing.assert_allclose(ag.vmap(ag.grad(g))(np.stack([X, -X])), 2 * np.stack([X, -X]))


def test_members_of_a_batch_have_the_type_they_would_have_alone() -> None:
    got = ag.vmap(lambda a, b: a + b, (None, 0))(ag.ones(3), ag.ones(2, dtype=ag.float64))
    assert got.dtype == np.float32


def test_unselected_in_reverse_over_forward() -> None:
    f = lambda x: ag.where(x > 0, ag.log(x) * ag.log(x) * x, 1.0).sum()
    with np.errstate(all="ignore"):
        g = ag.grad(lambda x: ag.jvp(f, (x,), (np.ones(3),))[1])(np.array([-1.0, 0.0, 2.0]))
        assert np.isfinite(g).all() and g[0] == g[1] == 0
        y, t = ag.jvp(lambda x: (x.sqrt() * 0).sum(), (np.array([0.0, 1.0]),), (np.ones(2),))
        assert t == 0


def test_cond_inside_vmap_of_grad() -> None:
    f = lambda x: ag.cond(x > 0, lambda a: a * a, lambda a: -a, x)
    np.testing.assert_allclose(ag.vmap(ag.grad(f))(np.array([3.0, -3.0])), [6.0, -1.0])


def test_a_constant_cotangent_in_a_jacobian() -> None:
    np.testing.assert_allclose(ag.jacobian(lambda x: ag.norm(x, p=0), mode="reverse")(np.ones(3)), np.zeros(3))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_zeros_select_nothing_but_keep_their_derivatives(order: int) -> None:
    """x⁴ + x³ + x² + x at 0, where every factor on the way is zero, in every mix of modes."""
    f = lambda x: x * x * x * x + x * x * x + x * x + x
    expected = [1.0, 2.0, 6.0, 24.0][order - 1]
    forward = lambda g: lambda x: ag.jvp(g, (x,), (1.0,))[1]
    for mix in range(2**order):
        g = f
        for k in range(order):
            g = ag.grad(g) if mix >> k & 1 else forward(g)
        assert g(0.0) == pytest.approx(expected), f"mix {mix:b}"


def test_checkpoint_of_what_differentiates_inside() -> None:
    inner = lambda y: ag.vjp(lambda z: (z**3).sum() * z[0], y)[1](1.0).sum()
    x = ag.tensor(X, requires_grad=True)
    ag.checkpoint(inner, x).backward()
    np.testing.assert_allclose(x.grad.numpy(), ag.grad(inner)(X))
    np.testing.assert_allclose(ag.grad(lambda x: ag.checkpoint(inner, x))(X), ag.grad(inner)(X))


def test_linearize_leaves_nothing_behind() -> None:
    square = lambda x: ag.linalg.matrix_exp(ag.stack([ag.stack([x, x * 0]), ag.stack([x * 0, x])])).sum()
    assert ag.grad(lambda x: ag.linearize(square, x)[1](ag.ones_like(x)))(0.5) == pytest.approx(2 * np.exp(0.5))


def test_the_gradient_of_a_batch_of_changes_in_place() -> None:
    def f(x):
        y = x * 1
        y[1:] += 1.0
        return (y * y).sum()

    w = ag.tensor(np.arange(1.0, 10).reshape(3, 3), requires_grad=True)
    weights = np.array([1.0, 2.0, 3.0])[:, None]
    (ag.vmap(ag.grad(f))(w) * weights).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * weights * np.ones((3, 3)))


def test_everything_returned_can_be_written_to() -> None:
    a = np.ones(3)
    ag.jacobian(lambda x: x.sum())(a)[0] = 3
    ag.linearize(lambda x: x.expand(2, 3), a)[1](a)[0] = 3
    ag.jvp(lambda x: x.expand(2, 3), (a,), (a,))[1][0] = 3
    ag.vmap(lambda x: x)(a)[0] = 3
    assert a.tolist() == [1, 1, 1]


@pytest.mark.parametrize("x", [np.arange(3.0), ag.arange(3.0), ag.arange(3.0, requires_grad=True)], ids=repr)
def test_pullbacks_and_pushes_inside_vmap(x):
    """What was made outside of vmap gives, inside, a value of vmap's own, not a tensor that hides one."""
    f = lambda x: (x**2).sum() * x
    rows = ag.vmap(ag.vjp(f, x)[1])(ag.eye(3))
    columns = ag.vmap(ag.linearize(f, x)[1])(ag.eye(3))
    held = np.asarray(ag.as_tensor(x).detach())
    expected = 2 * np.outer(held, held) + (held**2).sum() * np.eye(3)
    for got in (rows, columns):
        assert type(got.detach().value) is np.ndarray
        np.testing.assert_allclose(got.detach().numpy(), expected)  # the same transposed


def aliased(x):
    y = x * 1.0
    z = y
    z += 1.0
    return y * z


def powers(x):
    y = x
    for _ in range(3):
        y *= x
    return y


@pytest.mark.parametrize("f, value, slope", [(aliased, 6.0, 5.0), (powers, 16.0, 32.0)])
def test_numbers_are_replaced_where_they_are_changed(f, value, slope):
    """As Python does it: a number under another name stays what it was."""
    assert (
        f(2.0) == value and ag.value_and_grad(f)(2.0) == (value, slope) and ag.jvp(f, (2.0,), (1.0,)) == (value, slope)
    )
    assert ag.value_and_grad(f)(np.float32(2)) == (value, slope)
    d = f(ag.Dual(2.0, 1.0))
    assert (d.primal.item(), d.tangent.item()) == (value, slope)
    assert ag.hessian(f)(2.0) == pytest.approx(ag.grad(ag.grad(f))(2.0))
    *_, last = ag.wengert(f, 2.0)
    assert last.value == value
    assert ag.compare(f, 2.0)


def test_arrays_and_tensors_are_changed_in_place():
    """As NumPy and PyTorch do it; but what NumPy makes a number of is one."""

    def f(x):
        y = x * 1.0
        z = y
        z += 1.0
        total = y.sum()
        other = total
        other += 1.0
        return total * other

    x = np.array([1.0, 2.0])
    assert f(x) == 5 * 6 and ag.value_and_grad(f)(x)[0] == 5 * 6
    assert ag.value_and_grad(f)(ag.tensor(x))[0].item() == 6 * 6
    t = total = ag.tensor(1.0)
    t += 1.0
    assert total.item() == 2.0


@pytest.mark.skipif(not COMPILED, reason="Python itself does not divide by zero, so no way is left")
def test_one_way_alone_is_no_comparison():
    assert not ag.compare(lambda x: 1 / 0, 1.0)
    with pytest.raises(AssertionError, match="no gradient with something beside it"):
        ag.compare(lambda x: 1 / 0, 1.0).require()


def test_jvp_of_a_result_that_does_not_depend_gives_a_tensor_of_zeros():
    (_, constant), (_, none) = ag.jvp(lambda x: (x * 2, ag.ones(2)), (ag.tensor([1.0, 2.0]),), (ag.tensor([1.0, 1.0]),))
    assert isinstance(none, ag.Tensor) and none.tolist() == [0, 0] and constant.tolist() == [1, 1]
    (_, none) = ag.jvp(lambda x: np.ones(2), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    assert type(none) is np.ndarray and none.tolist() == [0, 0]
