"""Gradients that are there before a run, which adds to them, changes or reads them; and those of leaves that a run makes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
import nn
import optim

ACTIONS = {
    "step": lambda w, step, x: step(x),
    "none": lambda w, step, x: setattr(w, "grad", None),
    "zero": lambda w, step, x: w.grad is not None and w.grad.zero_(),
    "scale": lambda w, step, x: w.grad is not None and w.grad.mul_(0.5),
    "another": lambda w, step, x: setattr(w, "grad", ag.ones_like(w).detach()),
    "view": lambda w, step, x: setattr(w, "grad", ag.zeros(2, *w.shape)[1]),
}


def added(compiled: bool, actions: list[str]) -> tuple[list, object]:
    """What a weight has gathered after each action, and the function that adds to it."""
    w = ag.tensor([1.0, -2.0, 3.0], requires_grad=True)

    def step(x):
        loss = (w * x).sin().sum()
        loss.backward()
        return loss.detach()

    step, found = ag.compile(step) if compiled else step, []
    for k, action in enumerate(actions):
        ACTIONS[action](w, step, ag.tensor([0.1 * k, 1.0, -k]))
        found.append(None if w.grad is None else w.grad.numpy().copy())
    return found, step


@pytest.mark.parametrize("clear", ["none", "zero"])
def test_gradients_gathered_over_several_steps(clear):
    actions = (["step"] * 4 + [clear]) * 10
    (expected, _), (actual, step) = added(False, actions), added(True, actions)
    for a, b in zip(expected, actual, strict=True):
        assert (a is None) == (b is None)
        np.testing.assert_array_equal(a, b)
    assert step.cache_info().replays >= 34


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([*ACTIONS, "step", "step", "step"]), max_size=24))
def test_whatever_is_done_to_them_in_between(actions):
    (expected, _), (actual, _) = added(False, actions), added(True, actions)
    for a, b in zip(expected, actual, strict=True):
        assert (a is None) == (b is None)
        np.testing.assert_allclose(0 if a is None else a, 0 if b is None else b, rtol=1e-6)


def test_they_are_added_to_where_they_are():
    w = ag.ones(3, requires_grad=True)
    step = ag.compile(lambda x: (w * x).sum().backward())
    step(ag.ones(3))
    held = w.grad
    for k in range(2, 6):
        step(ag.ones(3))
        assert w.grad is held and held.tolist() == [k] * 3
    assert step.cache_info().replays


def test_one_gradient_of_two_leaves():
    v, w = ag.ones(3, requires_grad=True), ag.ones(3, requires_grad=True)
    step = ag.compile(lambda x: (v * x + 2 * w * x).sum().backward())
    v.grad = w.grad = ag.zeros(3)
    for k in range(1, 6):
        step(ag.ones(3))
        assert v.grad is w.grad and v.grad.tolist() == [3 * k] * 3


def losses(program, compiled: bool) -> tuple[list, list]:
    """What a program returns in twenty rounds, and what it compiled."""
    made: list = []
    ag.manual_seed(0)
    turn = program((lambda f: made.append(ag.compile(f)) or made[-1]) if compiled else lambda f: f)
    return [float(v) for k in range(20) for v in turn(ag.randn(8, 4), k)], made


def adversaries(compiled):
    judge, make = nn.Linear(4, 1), nn.Linear(4, 4)
    judged, maker = optim.SGD(judge.parameters(), 0.1), optim.SGD(make.parameters(), 0.1)

    @compiled
    def first(x):
        judge.zero_grad()
        loss = judge(x).sigmoid().mean() - judge(make(x).detach()).sigmoid().mean()
        loss.backward()
        judged.step()
        return loss.detach()

    @compiled
    def second(x):
        make.zero_grad()
        loss = -judge(make(x)).sigmoid().mean()
        loss.backward()  # adds to what `first` left in the judge
        maker.step()
        return loss.detach()

    return lambda x, k: (first(x), second(x))


def in_parts(compiled):
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = optim.Adam(net.parameters(), lr=0.01)

    @compiled
    def part(x):
        loss = net(x).square().mean()
        loss.backward()
        return loss.detach()

    @compiled
    def update():
        nn.utils.clip_grad_value_(net.parameters(), 0.05)
        optimizer.step()
        optimizer.zero_grad()

    def turn(x, k):
        found = [part(x), part(x * 2)]
        update()
        return found

    return turn


def update_alone(compiled):
    net = nn.Linear(4, 1)
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    update = compiled(lambda: optimizer.step())

    def turn(x, k):
        optimizer.zero_grad()
        loss = net(x).square().mean()
        loss.backward()
        update()
        return [loss]

    return turn


def attacked(compiled):
    net = nn.Linear(4, 3)

    @compiled
    def attack(x):
        x = x.detach().requires_grad_()
        net(x).logsumexp(1).sum().backward()
        return x.grad.sign().sum()

    return lambda x, k: [attack(x), net.zero_grad() or net.weight.sum()]


def physical(compiled):
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = optim.SGD(net.parameters(), lr=0.01)

    @compiled
    def step(x):
        optimizer.zero_grad()
        x = x.detach().requires_grad_()
        u = net(x)
        (slope,) = ag.gradient(u.sum(), [x], create_graph=True)
        loss = (slope - 1).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return lambda x, k: [step(x)]


@pytest.mark.parametrize("program", [adversaries, in_parts, update_alone, attacked, physical], ids=lambda p: p.__name__)
def test_programs_in_several_compiled_parts(program):
    expected, _ = losses(program, False)
    actual, made = losses(program, True)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    assert all(f.cache_info().replays >= 14 for f in made), [f.cache_info() for f in made]


def test_a_leaf_of_the_run_that_is_returned_has_its_gradient():
    def f(x):
        y = (2 * x).detach().requires_grad_()
        (y * y).sum().backward()
        return y

    compiled = ag.compile(f)
    for k in range(5):
        y = compiled(ag.ones(3) * k)
        assert y.requires_grad and y.grad.tolist() == [4.0 * k] * 3


def test_settings_that_others_change_are_no_reason_to_refuse():
    net = nn.Sequential(*[layer for _ in range(3) for layer in (nn.Linear(4, 4), nn.Dropout(0.5))])
    step = ag.compile(lambda x: net(x).sum())
    for k in range(16):
        for i in range(3):
            net[2 * i + 1].train(bool(k >> i & 1))
        step(ag.ones(2, 4))
    for _ in range(40):
        step(ag.ones(2, 4))
    assert step.cache_info().replays >= 37


def test_a_state_that_begins_anew():
    class Holder:
        state = None

    holder, x = Holder(), ag.ones(2)

    @ag.compile
    def step(x):
        holder.state = (x if holder.state is None else x + holder.state) * 0.5
        return holder.state

    for k in range(40):
        if k % 10 == 0:
            holder.state, expected = None, None
        expected = (x if expected is None else x + expected) * 0.5
        assert step(x).tolist() == expected.tolist()
    assert step.cache_info().replays >= 28


def test_settings_that_are_others_each_time_are_watched_ever_more_rarely():
    class Setting:
        beta = 0.0

    setting = Setting()
    step = ag.compile(lambda x: x * setting.beta, cache_size=2)
    with pytest.warns(RuntimeWarning, match="or the settings around it are others each time"):
        for k in range(100):
            setting.beta = float(k)
            assert step(ag.ones(1)).item() == k
    assert step.cache_info().captures <= 20
    for _ in range(100):
        assert step(ag.ones(1)).item() == 99
    assert step.cache_info().replays >= 60
