"""Functions with gradients of the user's own, in every mode."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.op import REGISTRY

X = np.array([0.4, 1.3])


class Exp(ag.Function):
    """Saves its output; differentiable any number of times."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class Product(ag.Function):
    """Two inputs, two outputs, a static argument, an explicit jvp."""

    @staticmethod
    def forward(ctx, a, b, scale):
        ctx.save_for_backward(a, b)
        ctx.scale = scale
        return a * b * scale, a + b

    @staticmethod
    def backward(ctx, g, h):
        a, b = ctx.saved_tensors
        return g * b * ctx.scale + h, g * a * ctx.scale + h, None

    @staticmethod
    def jvp(ctx, da, db, dscale):
        a, b = ctx.saved_tensors
        return (da * b + db * a) * ctx.scale, da + db


def test_function_to_third_order() -> None:
    f = lambda x: Exp.apply(x * 2).sum()
    for order in range(1, 4):
        g = f
        for _ in range(order):
            inner = g
            g = lambda x, inner=inner: ag.grad(inner)(x).sum()
        assert float(g(X)) == pytest.approx((2**order * np.exp(2 * X)).sum())


def test_function_in_every_transform() -> None:
    e = np.exp(X)
    y, t = ag.jvp(Exp.apply, (X,), (np.ones(2),))
    np.testing.assert_allclose(y, e)
    np.testing.assert_allclose(t, e)
    np.testing.assert_allclose(ag.vmap(Exp.apply)(np.stack([X, X])), [e, e])
    np.testing.assert_allclose(ag.jacobian(Exp.apply)(X), np.diag(e))
    np.testing.assert_allclose(ag.hessian(lambda x: Exp.apply(x).sum())(X), np.diag(e))
    np.testing.assert_allclose(ag.vmap(ag.grad(lambda x: Exp.apply(x) * 3))(X), 3 * e)


def test_function_of_several() -> None:
    a, b = (ag.tensor(v, dtype=ag.float64, requires_grad=True) for v in ([2.0, 3.0], [5.0, 7.0]))
    p, s = Product.apply(a, b, 10.0)
    (p.sum() + (s * s).sum()).backward()
    assert a.grad.tolist() == [50 + 14, 70 + 20] and b.grad.tolist() == [20 + 14, 30 + 20]
    p, s = Product.apply(a, b, 10.0)
    assert ag.gradient(s.sum(), [a])[0].tolist() == [1, 1]
    (tangent, _) = ag.jvp(lambda x, y: Product.apply(x, y, 10.0), (X, X), (X, 0 * X))[1]
    np.testing.assert_allclose(tangent, 10 * X * X)


def test_function_leaves_no_cycle() -> None:
    import gc

    gc.collect()
    gc.disable()
    try:
        x = ag.tensor(X, requires_grad=True)
        y = Exp.apply(x)
        (g,) = ag.gradient(y.sum(), [x], create_graph=True)
        g.sum().backward()
        del y, g
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("backward", "message"),
    [
        (lambda ctx, g: (g, g, g), "returned 3 gradients for 1 arguments"),
        (lambda ctx, g: 3.0, "gradient 0 is float; it must be a tensor or None"),
        (
            lambda ctx, g: g[:1].expand(7) if False else ag.zeros(7, dtype=ag.float64),
            r"returned shape \(7,\) for an input of shape",
        ),
    ],
)
def test_a_wrong_backward_is_explained(backward, message) -> None:
    wrong = type(
        "Wrong", (ag.Function,), {"forward": staticmethod(lambda ctx, x: x * 2), "backward": staticmethod(backward)}
    )
    x = ag.tensor(X, requires_grad=True)
    with pytest.raises((RuntimeError, TypeError), match=message):
        wrong.apply(x).sum().backward()
    assert x.grad is None


def test_a_saved_tensor_that_changed_is_refused() -> None:
    x = ag.tensor(X, requires_grad=True)
    h = x * 1.0
    p, _ = Product.apply(h, h, 1.0)
    h.add_(1.0)
    with pytest.raises(RuntimeError, match="saved for backward has been changed in place"):
        p.sum().backward()


def test_custom_vjp() -> None:
    @ag.custom_vjp
    def clipped(x, limits):
        return x * 1.0

    clipped.defvjp(lambda x, limits: (x * 1.0, limits), lambda kept, g: (ag.clamp(g, kept["low"], kept["high"]), None))
    f = lambda x: (clipped(x, {"low": -1.0, "high": 1.0}) * np.array([5.0, 0.5])).sum()
    np.testing.assert_allclose(ag.grad(f)(X), [1.0, 0.5])


def test_custom_vjp_with_static_arguments_and_second_order() -> None:
    @ag.custom_vjp
    def power(x, n):
        return x**n

    power = ag.custom_vjp(power.f, nondiff_argnums=(1,))
    power.defvjp(lambda x, n: (x**n, x), lambda n, x, g: (g * n * power(x, n - 1),))
    assert ag.grad(power)(2.0, 5) == 80.0
    assert ag.grad(ag.grad(power))(2.0, 5) == 160.0


def test_custom_jvp_gives_both_modes() -> None:
    @ag.custom_jvp
    def log1pexp(x):
        return ag.log1p(ag.exp(x))

    @log1pexp.defjvp
    def _(primals, tangents):
        (x,), (t,) = primals, tangents
        return log1pexp(x), t / (1 + ag.exp(-x))

    s = 1 / (1 + np.exp(-0.3))
    assert ag.jvp(log1pexp, (0.3,), (1.0,))[1] == pytest.approx(s)
    assert ag.grad(log1pexp)(0.3) == pytest.approx(s)
    assert ag.grad(ag.grad(log1pexp))(0.3) == pytest.approx(s * (1 - s))
    assert ag.jvp(ag.grad(log1pexp), (0.3,), (1.0,))[1] == pytest.approx(s * (1 - s))


def test_missing_rules_are_explained() -> None:
    with pytest.raises(RuntimeError, match=r"call defvjp\(fwd, bwd\)"):
        ag.custom_vjp(lambda x: x)(1.0)
    with pytest.raises(RuntimeError, match=r"call defjvp\(rule\)"):
        ag.custom_jvp(lambda x: x)(1.0)


def test_an_op_of_one_array_may_have_several_results():
    halves = ag.op(None, name="halves_of_one", differentiable=False)(lambda x: (x[:1], x[1:]))
    try:
        a, b = halves(ag.tensor([1.0, 2.0, 3.0]))
        assert a.tolist() == [1.0] and b.tolist() == [2.0, 3.0]
    finally:
        REGISTRY.pop("halves_of_one")
