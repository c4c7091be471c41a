"""Compiled functions: as the function itself, or refused; never something else in silence."""

import os
import threading

import numpy as np
import pytest

import autograd_core as ag
import nn
from autograd_core import CaptureError, compile
from nn import functional as F


class Net(nn.Module):
    """Two layers with dropout between them."""

    def __init__(self, p=0.0, width=8):
        self.first, self.last, self.p = nn.Linear(5, width), nn.Linear(width, 3), p

    def forward(self, x):
        return self.last(F.dropout(F.relu(self.first(x)), self.p, self.training))


class Descent:
    """Gradient descent with momentum, whose rate may change between steps."""

    def __init__(self, parameters, lr=0.1, momentum=0.9):
        self.parameters, self.settings, self.momentum = list(parameters), {"lr": lr}, momentum
        self.moving = [ag.zeros_like(p).detach() for p in self.parameters]

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None

    def step(self):
        lr = ag.live(self.settings, "lr")
        with ag.no_grad():
            for p, m in zip(self.parameters, self.moving):
                if p.grad is not None:
                    m.mul_(self.momentum).add_(p.grad)
                    p.sub_(m * lr)


def trainer(compiled, **options):
    """A step of training, the model and the optimizer."""
    ag.manual_seed(0)
    net = Net(**options)
    descent = Descent(net.parameters())

    def step(x, y):
        loss = F.cross_entropy(net(x), y)
        descent.zero_grad()
        loss.backward()
        descent.step()
        return loss.detach()

    return (compile(step) if compiled else step), net, descent


def batches(count=12, size=6, seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda: (rng.standard_normal((size, 5)).astype("f"), rng.integers(0, 3, size))
    return [(ag.tensor(x), ag.tensor(y)) for x, y in (draw() for _ in range(count))]


def same(a, b):
    for (n, p), q in zip(a.named_parameters(), b.parameters()):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=2e-6, atol=1e-7, err_msg=n)
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=2e-5, atol=1e-7, err_msg=n)


def both(**options):
    return trainer(False, **options), trainer(True, **options)


def test_a_training_step_is_the_same_compiled():
    (step, net, _), (fast, other, _) = both()
    for x, y in batches():
        assert step(x, y).item() == pytest.approx(fast(x, y).item(), rel=1e-6)
        same(net, other)
    assert fast.cache_info()[:3] == (10, 2, 0)


def test_dropout_draws_anew_and_follows_the_seed():
    (step, net, _), (fast, other, _) = both(p=0.5)
    seen = []
    for k, (x, y) in enumerate(batches()):
        ag.manual_seed(k % 7)
        a = step(x, y)
        ag.manual_seed(k % 7)
        seen.append((a.item(), fast(x, y).item()))
    np.testing.assert_allclose(*zip(*seen), rtol=1e-5)
    same(net, other)
    x, y = batches(1)[0]
    assert len({fast(x, y).item() for _ in range(5)}) == 5


def test_rates_are_read_at_each_step_other_settings_are_noticed():
    (step, net, one), (fast, other, two) = both()
    for k, (x, y) in enumerate(batches(20)):
        for descent in (one, two):
            descent.settings["lr"] = 0.1 * 0.9**k
            if k == 10:
                descent.momentum = 0.5
        step(x, y), fast(x, y)
    same(net, other)
    assert fast.cache_info()[:3] == (16, 4, 0)


def test_modes_sizes_hooks_and_frozen_parameters_are_noticed():
    (step, net, _), (fast, other, _) = both(p=0.3)
    data, larger = batches(30), batches(30, size=9)

    def change(net, k):
        if k == 5:
            net.eval()
        elif k == 12:
            net.last.register_forward_hook(lambda m, args, y: y * 0.5)
        elif k == 18:
            net.first.weight.requires_grad_(False)
        elif k == 24:
            net.first.weight.requires_grad_(True)
            net.last.weight.data = net.last.weight.data * 0.5

    for k in range(30):
        x, y = (larger if k % 3 == 0 else data)[k]
        for run, model in ((step, net), (fast, other)):
            change(model, k)
            if k == 18:
                model.first.weight.grad = ag.zeros_like(model.first.weight).detach()
            ag.manual_seed(k)
            run(x, y)
        if 18 <= k < 24:
            continue
        same(net, other)


def test_a_replaced_parameter_is_noticed():
    net = nn.Linear(2, 2)
    f = compile(lambda x: net(x).detach())
    x = ag.randn(3, 2)
    for k in range(8):
        if k == 4:
            net.weight = nn.Parameter(ag.randn(2, 2))
        np.testing.assert_allclose(f(x).numpy(), net(x).detach().numpy(), rtol=1e-6)


def test_values_that_leave_are_refused_with_the_line():
    net = Net()

    def step(x):
        y = net(x).detach()
        return y * 2 if y.sum() > 0 else y

    with pytest.raises(CaptureError, match=r"test_compile.py:\d+ in step.*fallback=True"):
        compile(step)(ag.randn(4, 5))
    eager = compile(step, fallback=True)
    x = ag.randn(4, 5)
    for _ in range(3):
        assert np.array_equal(eager(x).numpy(), step(x).numpy())
    assert eager.cache_info().replays == 0
    for leave in (lambda x: float(x.sum()), lambda x: x.tolist(), lambda x: x.numpy(), lambda x: x[x > 0]):
        with pytest.raises(CaptureError):
            compile(leave)(ag.randn(3))


def test_what_differs_each_time_is_refused():
    rng = np.random.default_rng(0)
    noisy = compile(lambda x: x + ag.tensor(rng.standard_normal(3)))
    with pytest.raises(CaptureError, match="something else each time: an array that is neither an argument"):
        for _ in range(9):
            noisy(ag.ones(3))
    counter = [0]

    def counting(x):
        counter[0] += 1
        return x * counter[0]

    compiled = compile(counting)
    with pytest.raises(CaptureError, match="a number was"):
        for _ in range(9):
            compiled(ag.ones(3))


def test_gradients_that_are_held_stay_as_they_were():
    step, net, _ = trainer(True)
    held, copies = [], []
    for x, y in batches(8):
        step(x, y)
        held.append((net.first.weight.grad, net.last.weight.grad.numpy()[:1]))
        copies.append((net.first.weight.grad.numpy().copy(), net.last.weight.grad.numpy()[:1].copy()))
    for (a, b), (c, d) in zip(held, copies):
        assert np.array_equal(a.numpy(), c) and np.array_equal(b, d)


def test_results_that_are_held_stay_as_they_were():
    f = compile(lambda x: (x * 2, x + 1))
    inputs = [ag.randn(3) for _ in range(5)]
    results = [f(x) for x in inputs]
    for x, (a, b) in zip(inputs, results):
        assert np.array_equal(a.numpy(), (x * 2).numpy()) and np.array_equal(b.numpy(), (x + 1).numpy())


def test_gradients_add_up_as_without():
    def make():
        ag.manual_seed(3)
        net = Net()

        def step(x, y):
            F.cross_entropy(net(x), y).backward()

        return net, step

    (net, step), (other, fast) = make(), make()
    fast = compile(fast)
    for k, (x, y) in enumerate(batches(12)):
        if k == 8:
            net.zero_grad(), other.zero_grad()
        step(x, y), fast(x, y)
        same(net, other)


def test_arguments_changed_in_place_returned_or_shared():
    def f(x, y):
        x.add_(1)
        return x, x * y, y[1:]

    g = compile(f)
    for _ in range(5):
        a, b = ag.randn(4), ag.randn(4)
        c, d = a.clone(), b.clone()
        x, p, q = f(a, b)
        y, r, s = g(c, d)
        assert y is c and np.array_equal(c.numpy(), a.numpy())
        assert np.array_equal(p.numpy(), r.numpy()) and np.array_equal(q.numpy(), s.numpy())
    t = ag.randn(4)
    u = t.clone()
    f(t, t), g(u, u)
    assert np.array_equal(t.numpy(), u.numpy())
    views = ag.randn(8)
    strided = compile(lambda x: x * 2)
    for _ in range(4):
        assert np.array_equal(strided(views[::2]).numpy(), views.numpy()[::2] * 2)


def test_an_argument_that_the_function_knows_otherwise_is_refused():
    w = ag.randn(3)
    f = compile(lambda x: x * w, fallback=True)
    for _ in range(4):
        assert np.array_equal(f(w).numpy(), (w * w).numpy())
    for _ in range(4):
        x = ag.randn(3)
        assert np.array_equal(f(x).numpy(), (x * w).numpy())


def test_under_transforms_it_runs_as_it_is():
    f = lambda x: (x * x).sum()
    g = compile(f)
    for _ in range(3):
        g(ag.ones(3))
    x = ag.randn(3).double()
    np.testing.assert_allclose(ag.grad(g)(x).numpy(), 2 * x.numpy())
    np.testing.assert_allclose(ag.hessian(g)(x).numpy(), 2 * np.eye(3))
    np.testing.assert_allclose(ag.vmap(g)(ag.ones(2, 3)).numpy(), [3, 3])


def test_transforms_inside_are_captured():
    w = ag.tensor([[1.0, 2.0], [0.5, -1.0]])

    def newton(x):
        f = lambda x: ((w @ x).tanh() ** 2).sum() + (x * x).sum()
        return ag.linalg.solve(ag.hessian(f)(x), ag.grad(f)(x))

    fast = compile(newton)
    for _ in range(5):
        x = ag.randn(2)
        np.testing.assert_allclose(fast(x).numpy(), newton(x).numpy(), rtol=1e-4, atol=1e-6)
    assert fast.cache_info().replays == 3


def test_errors_inside_a_replay_are_those_of_the_function():
    step, _, _ = trainer(True)
    for x, y in batches(4):
        step(x, y)
    with pytest.raises(IndexError, match="target 7 is no class"):
        step(x, ag.full_like(y, 7))
    step(x, y)


def test_arrays_and_numbers_as_arguments():
    f = compile(lambda x, scale, flip=False: -x * scale if flip else x * scale)
    for k in range(4):
        x = np.full(3, float(k))
        assert f(x, 2.0).tolist() == [2.0 * k] * 3 and f(x, 3.0, flip=True).tolist() == [-3.0 * k] * 3


def test_methods_and_decorators():
    class Model(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)

        @compile
        def predict(self, x):
            with ag.no_grad():
                return self.layer(x)

    one, two = Model(), Model()
    x = ag.randn(3, 2)
    for _ in range(4):
        for m in (one, two):
            np.testing.assert_allclose(m.predict(x).numpy(), m.layer(x).detach().numpy(), rtol=1e-6)

    @compile(cache_size=2)
    def twice(x):
        """Two times x."""
        return x * 2

    for n in (1, 2, 3, 4):
        twice(ag.ones(n))
    assert twice.__doc__ == "Two times x." and twice.cache_info().size == 2
    with pytest.raises(ValueError, match="cache_size must be a positive whole number, got 0"):
        compile(cache_size=0)(len)
    with pytest.raises(TypeError, match="expected a function, got int"):
        compile(3)


def test_threads_and_forks():
    step = compile(lambda x: (x @ x).tanh().sum())
    data = [ag.randn(20, 20) for _ in range(40)]
    expected = [(x @ x).tanh().sum().item() for x in data]
    step(data[0]), step(data[1])
    got = [[] for _ in range(3)]
    run = lambda out: out.extend(step(x).item() for x in data)
    threads = [threading.Thread(target=run, args=(out,)) for out in got]
    [t.start() for t in threads], [t.join() for t in threads]
    for out in got:
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-4)  # sums of 400 numbers up to 1 that cancel
    child = os.fork()
    if not child:
        good = all(abs(step(x).item() - e) < 1e-4 * max(1, abs(e)) for x, e in zip(data, expected))
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_nested_compiled_functions():
    inner = compile(lambda x: x.exp() + 1)
    outer = compile(lambda x: inner(x) * 2)
    for _ in range(5):
        x = ag.randn(3)
        np.testing.assert_allclose(outer(x).numpy(), 2 * (np.exp(x.numpy()) + 1), rtol=1e-6)


def test_the_plan_can_be_read():
    step, _, _ = trainer(True)
    for x, y in batches(3):
        step(x, y)
    assert "arena of" in step.memory_plan() and "cross_entropy" in step.source()
    step.cache_clear()
    assert step.cache_info().size == 0


def test_draws_come_from_the_generator_in_force() -> None:
    f = ag.compile(lambda x: x * nn.functional.dropout(ag.ones(50), 0.5) + ag.rand(50))
    x = ag.ones(50)
    for _ in range(3):
        f(x)
    assert f.cache_info().replays
    with ag.drawing_from(ag.Generator(7)):
        found = f(x)
    with ag.drawing_from(ag.Generator(7)):
        wanted = x * nn.functional.dropout(ag.ones(50), 0.5) + ag.rand(50)
    np.testing.assert_array_equal(found, wanted)


def test_hooks_of_all_modules_are_called_though_they_came_later() -> None:
    model = nn.Linear(3, 2)
    f = ag.compile(lambda x: model(x).sum().detach())
    for _ in range(3):
        f(ag.ones(2, 3))
    assert f.cache_info().replays
    seen = []
    with nn.modules.module.register_module_forward_hook(lambda module, args, y: seen.append(module)):
        f(ag.ones(2, 3))
        assert seen == [model]
    before = f.cache_info().replays
    f(ag.ones(2, 3))
    assert seen == [model] and f.cache_info().replays == before + 1
