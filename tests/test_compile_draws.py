"""Random numbers in compiled code: what goes back to an earlier state, and memory that is drawn into."""

import types

import numpy as np
import pytest

import autograd_core as ag
import nn.functional as F
from autograd_core import CaptureError
from autograd_core.ops import create
from autograd_core.random import default_generator


def in_turn(make, *given, calls=7):
    """What calls return, and what is drawn after each, from one seed."""
    ag.manual_seed(5)
    found = []
    for k in range(calls):
        if k == 4:
            ag.manual_seed(6)
        found.append(make(*given))
        found.append(ag.rand(2))
    return [np.asarray(t.detach()) for t in found]


def same(eager, compiled, *given, replays=4, within=0.0):
    """Whether all calls are the same, the draws between them to the bit, and the last ones were replays."""
    for k, (a, b) in enumerate(zip(in_turn(eager, *given), in_turn(compiled, *given), strict=True)):
        bound = 0.0 if k % 2 else within * max(1.0, np.abs(a).max())  # of sums whose terms are as large as the largest
        np.testing.assert_allclose(a, b, rtol=0, atol=bound)
    assert compiled.cache_info().replays >= replays, compiled.cache_info()


def data(*shape):
    return ag.tensor(np.random.default_rng(3).standard_normal(shape).astype(np.float32))


def forked(x):
    a = ag.randn(3)
    with ag.fork_rng():
        b = ag.randn(3) + ag.rand(3)
        with ag.fork_rng(enabled=False):
            c = ag.rand(3)
    return x + a * b - c * ag.rand(3)


def test_fork_rng():
    same(forked, ag.compile(forked), data(3))


def step(w):
    def run(x):
        h = ag.checkpoint(lambda x: F.dropout(F.dropout(x @ w, 0.5).tanh(), 0.3), x)
        h = ag.checkpoint(lambda x: F.dropout((x @ w).sin()), h) + F.dropout(h)
        loss = (h**2).sum()
        loss.backward()
        slope, w.grad = w.grad, None
        return slope

    return run


def test_dropout_in_checkpoints_that_are_differentiated_inside():
    compiled = ag.compile(step(data(4, 4).requires_grad_()))
    same(step(data(4, 4).requires_grad_()), compiled, data(5, 4), within=2e-6)


def test_dropout_in_a_checkpoint_within_another():
    w = data(4, 4)
    inner = lambda x: F.dropout(x @ w).tanh()
    outer = lambda x: ag.checkpoint(inner, F.dropout(x)) * ag.checkpoint(inner, x)
    run = lambda x: ag.grad(lambda x: ag.checkpoint(outer, x).sum())(x)
    same(run, ag.compile(run), data(5, 4), within=2e-6)


def test_dropout_in_a_checkpoint_that_is_differentiated_outside():
    w = data(4, 4).requires_grad_()
    f = lambda x: ag.checkpoint(lambda x: F.dropout((x @ w).tanh()), x)
    compiled = ag.compile(f)

    def slope(f):
        def run(x):
            y, noise = f(x), ag.rand(5, 4)  # what is drawn before the way back, too, must not count there
            return ag.gradient((y * noise).sum(), [w])[0]

        return run

    for a, b in zip(in_turn(slope(f), data(5, 4)), in_turn(slope(compiled), data(5, 4)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    assert compiled.cache_info().replays >= 4, compiled.cache_info()


def test_a_checkpoint_is_run_again_on_what_it_is_given_by_each_replay():
    w = data(4, 4).requires_grad_()
    f = lambda x: ag.checkpoint(lambda x: (x @ w).tanh(), x)
    compiled, first = ag.compile(f), data(5, 4)
    for x in (first, first, first, first, first + 1, first * 3):
        found, expected = (ag.gradient(g(x).sum(), [w])[0] for g in (compiled, f))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert compiled.cache_info().replays >= 3


def test_second_derivatives_draw_what_was_drawn():
    for f in (lambda x: ag.checkpoint(lambda x: F.dropout(x**3), x), lambda x: inside_a_fork(x**3)):
        compiled = ag.compile(f)

        def curvature(x, f):
            x = x.detach().requires_grad_()
            slope = ag.gradient(f(x).sum(), [x], create_graph=True)[0]
            ag.rand(2)
            return ag.gradient(slope.sum(), [x])[0]

        for a, b in zip(in_turn(curvature, data(4), f), in_turn(curvature, data(4), compiled), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def inside_a_fork(x):
    with ag.fork_rng():
        return x * ag.rand(4)


def seeded(x):
    with ag.fork_rng():
        ag.manual_seed(3)
        y = x * ag.rand(4)
    return y + ag.rand(4)


@pytest.mark.parametrize("f", [inside_a_fork, seeded])
def test_blocks_after_which_nothing_was_drawn(f):
    same(f, ag.compile(f), data(4))


def test_a_seed_that_changes_is_refused_and_an_unpredictable_one():
    seeds = iter(range(100))
    compiled = ag.compile(lambda x: (ag.manual_seed(next(seeds)), x * ag.rand(3))[1])
    with pytest.raises(CaptureError):
        for _ in range(8):
            compiled(data(3))
    with pytest.raises(CaptureError, match="an unpredictable seed: do that before the call"):
        ag.compile(lambda x: (ag.seed(), x * ag.rand(3))[1])(data(3))


def test_a_checkpoint_that_does_not_preserve_the_state():
    w = data(4, 4).requires_grad_()
    f = lambda x: ag.checkpoint(lambda x: F.dropout(x * w), x, preserve_rng_state=False).sum()
    run = lambda x: ag.grad(f)(x)
    same(run, ag.compile(run), data(4, 4))


@pytest.mark.parametrize("f", [lambda g: g.get_state(), lambda g: g.set_state(np.zeros(3, np.uint64))])
def test_states_that_leave_or_come_are_refused_and_the_fix_is_named(f):
    with pytest.raises(CaptureError, match=r"state.*with fork_rng\(\) leaves it as it was"):
        ag.compile(lambda x: (x + 1, f(default_generator))[0])(data(3))


FILLS = {
    "exponential_": lambda x: x + ag.empty(4).exponential_(),
    "normal_, empty_like": lambda x: x * ag.empty_like(x).normal_(),
    "new_empty": lambda x: x * x.new_empty(2, 4).uniform_(),
    "copy_": lambda x: ag.empty(4).copy_(x) + 1,
    "never written": lambda x: (x + ag.empty(4)) * 0 + x,
    "in vmap": lambda x: ag.vmap(lambda v: v + ag.empty_like(v).fill_(2.0))(x),
}


@pytest.mark.parametrize("name", FILLS)
def test_memory_that_is_not_initialised_is_not_compared(name, monkeypatch):
    scope = {"np": np, "dirt": iter(range(1, 1000))}
    text = "def empty(shape, dtype=float, **options): return np.full(shape, next(dirt), dtype)"
    exec(
        compile(text, "<loop>", "exec"), scope
    )  # of that name, for what the user's code takes from iterators is refused
    # there alone, for Numba would take it for NumPy's, in what it compiles meanwhile and later
    monkeypatch.setattr(create, "np", types.SimpleNamespace(**vars(np) | {"empty": scope["empty"]}))
    f, compiled = FILLS[name], ag.compile(FILLS[name])
    same(f, compiled, data(4), replays=5)
    assert compiled.cache_info().captures == 2
