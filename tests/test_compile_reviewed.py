"""Programs that were once replayed wrongly, or not at all: each must now be as the function itself, or be refused."""

import functools
import random
import types

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from autograd_core.compiled.emit import writable

ONE = ag.ones(2)
RATE = 2.0


class Settings:
    scale = 2.0


def warm(f, *args):
    """A compiled function that has been called often enough to be replayed, if it ever is."""
    g = ag.compile(f)
    for _ in range(3):
        g(*args)
    return g


def test_arguments_that_nobody_reads_again_are_changed_all_the_same():
    g = warm(lambda x: [x.mul_(2), None][1], ag.ones(2))
    x = ag.ones(2)
    g(x)
    assert x.tolist() == [2, 2]


def test_how_arguments_are_nested_counts():
    g = warm(lambda d: d["a"] - d["b"], {"a": ONE * 3, "b": ONE})
    assert g({"b": ONE, "a": ONE * 3}).tolist() == [2, 2]
    g = warm(lambda x, y: x if y is None else -y, ONE, None)
    assert g(None, ONE).tolist() == [-1, -1]


def test_with_fallback_a_function_runs_once_for_each_call():
    w = ag.zeros(2)

    def f(x):
        w.add_(1)
        return x if x.sum() > 0 else -x

    ag.compile(f, fallback=True)(ONE)
    assert w.tolist() == [1, 1]


def test_settings_deep_in_the_surroundings_are_noticed(monkeypatch):
    config, inner, item = {"s": 2.0}, types.SimpleNamespace(a=types.SimpleNamespace(s=2.0)), nn.Linear(2, 2)
    item.scale, layers = 2.0, nn.ModuleList([item])
    helper = lambda x: x * config["s"] + inner.a.s

    def model(x):
        for layer in layers:
            x = layer(x) * layer.scale
        return helper(x).detach() * RATE * Settings.scale

    g = warm(model, ONE)
    changes = [
        lambda: config.update(s=5.0),
        lambda: setattr(inner.a, "s", 7.0),
        lambda: setattr(item, "scale", -1.0),
        lambda: monkeypatch.setattr(Settings, "scale", 3.0),
        lambda: monkeypatch.setitem(globals(), "RATE", 4.0),
        lambda: setattr(item, "forward", lambda x: x + 9),
    ]
    for change in changes:
        change()
        for _ in range(4):
            np.testing.assert_allclose(g(ONE).numpy(), model(ONE).numpy(), rtol=1e-6)


def test_what_is_written_by_numpy_is_captured_or_refused():
    norm = nn.BatchNorm1d(3)
    g = ag.compile(lambda x: norm(x).detach())
    for _ in range(6):
        g(ag.randn(4, 3))
    assert norm.num_batches_tracked.item() == 6
    p = nn.Parameter(ag.ones(3))

    def clipped(how):
        def step(x):
            p.grad = None
            (p * x).sum().backward()
            how([p], 0.01)

        warm(step, ag.ones(3))
        return p.grad.numpy()

    for how in (nn.utils.clip_grad_value_, nn.utils.clip_grad_norm_):
        assert np.abs(clipped(lambda ps, limit, how=how: how(iter(ps), limit))).max() < 0.0101
    np.testing.assert_allclose(clipped(nn.utils.clip_grad_value_), [0.01] * 3, rtol=1e-5)
    np.testing.assert_allclose(clipped(nn.utils.clip_grad_norm_), [0.01 / 3**0.5] * 3, rtol=1e-4)


def scheduled():
    p = nn.Parameter(ag.ones(3))
    descent = optim.SGD([p], lr=1.0)
    schedule = optim.lr_scheduler.ExponentialLR(descent, 0.5)

    def step(x):
        descent.zero_grad()
        (p * x).sum().backward()
        descent.step()
        schedule.step()

    return step


def kept():
    history = []
    return lambda x: history.append(x) or x * 2


def counted():
    n = [0]

    def f(x):
        n[0] += 1
        return x * 2, n[0]

    return f


REFUSED = {
    "a schedule inside": (scheduled, "changes param_groups"),
    "a list that grows": (kept, "changes history"),
    "a counter": (counted, "a number or text that is returned"),
    "an object": (lambda: lambda x: types.SimpleNamespace(y=x), "returns SimpleNamespace; return tensors"),
    "a seed": (lambda: lambda x: (ag.seed(), x)[1], "started over from an unpredictable seed"),
    "random numbers of Python's": (lambda: lambda x: x * random.random(), "draws random numbers"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_a_replay_would_not_do_again_is_refused(name):
    make, said = REFUSED[name]
    with pytest.raises(ag.CaptureError, match=said):
        g = ag.compile(make())
        for _ in range(8):
            g(ag.ones(3))


def test_gradients_that_an_argument_has_are_added_to():
    g = ag.compile(lambda x: (x * x).sum().backward())
    for _ in range(3):
        g(ag.ones(2).requires_grad_())
    x = ag.ones(2).requires_grad_()
    x.grad = ag.ones(2) * 5
    g(x)
    assert x.grad.tolist() == [7, 7]


def test_memory_that_arguments_share():
    w = ag.zeros(2)
    g = warm(lambda x: x.add_(1) * w, ag.ones(2))
    assert g(w).tolist() == [1, 1]
    t = ag.zeros(8)
    assert ag.compile(lambda x, y: x.add_(1) * 1 * y)(t[:4], t[2:6]).tolist() == [1, 1, 0, 0]

    def shifted(x):
        x[1:] = x[:-1]
        return x * 1

    assert warm(shifted, ag.arange(5).float())(ag.arange(5).float()).tolist() == [0, 0, 1, 2, 3]


def test_hooks_that_tensors_get_later_are_noticed():
    p = nn.Parameter(ag.ones(2))

    def step(x):
        p.grad = None
        (p * x).sum().backward()

    g = warm(step, ONE)
    p.register_hook(lambda grad: grad * 10)
    g(ONE)
    assert p.grad.tolist() == [10, 10]


def test_bits_are_those_of_the_ops_one_by_one():
    a, b = ag.randn(1000), ag.randn(1000)
    z = a * b
    f = lambda x, y: x * y - z
    assert np.array_equal(warm(f, a, b)(a, b).numpy(), f(a, b).numpy())


@pytest.mark.parametrize("name", ["RMSprop", "Lion", "Adadelta", "Rprop", "Adam", "SGD", "NAdam"])
def test_steps_of_optimizers_are_replayed(name):
    def trained(compiled):
        ag.manual_seed(0)
        layer = nn.Linear(3, 1)
        optimizer = getattr(optim, name)(layer.parameters(), lr=0.01)

        def step(x):
            optimizer.zero_grad()
            (layer(x) ** 2).sum().backward()
            optimizer.step()

        step = ag.compile(step) if compiled else step
        for k in range(8):
            step(ag.ones(4, 3) * (1 + k / 10))
        return layer, step

    (a, _), (b, fast) = trained(False), trained(True)
    np.testing.assert_allclose(a.weight.detach().numpy(), b.weight.detach().numpy(), rtol=2e-6)
    np.testing.assert_allclose(a.bias.detach().numpy(), b.bias.detach().numpy(), rtol=2e-6)
    assert fast.cache_info().replays


def test_counters_of_one_entry_and_partial_functions():
    count = ag.zeros(1)
    warm(lambda x: x * count.add_(1), ag.ones(3))
    assert count.tolist() == [3]
    assert warm(functools.partial(lambda x, k: x * k, k=2), ONE)(ONE).tolist() == [2, 2]


def gradient_step():
    """A parameter, and a compiled step that leaves x + 1 as its gradient."""
    w = ag.tensor([1.0, 2.0], requires_grad=True)

    @ag.compile
    def step(x):
        w.grad = None
        (w * (x + 1)).sum().backward()

    for k in range(4):
        step(ag.tensor([k, k + 1.0]))
    assert step.cache_info().replays
    return w, step


def test_gradients_are_the_same_tensors_at_each_replay():
    w, step = gradient_step()
    first = id(w.grad)
    step(ag.tensor([5.0, 6.0]))
    assert id(w.grad) == first and w.grad.tolist() == [6, 7]


@pytest.mark.parametrize("emptied", [False, True])
@pytest.mark.parametrize("what", [lambda g: g, lambda g: g.numpy(), lambda g: g[:1], lambda g: g.numpy()[:1]])
def test_a_gradient_that_somebody_holds_stays(what, emptied):
    w, step = gradient_step()
    held = what(w.grad)
    before = np.array(held)
    if emptied:
        w.grad = None
    for k in range(3):
        step(ag.tensor([k + 50.0, k]))
        np.testing.assert_array_equal(np.array(held), before)
        assert w.grad.tolist() == [k + 51, k + 1]


CHANGES = [
    lambda g: g.requires_grad_(), lambda g: setattr(g, "data", ag.zeros(2)), lambda g: g.mul_(3), lambda g: g.zero_()
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_gradient_that_was_changed_is_right_again(change):
    w, step = gradient_step()
    change(w.grad)
    step(ag.tensor([5.0, 6.0]))
    assert w.grad.tolist() == [6, 7] and not w.grad.requires_grad


def test_surroundings_that_are_equal_but_other_objects_do():
    settings = {"scale": 2.5, "name": "a b", "sizes": [1, 2, (3, 4)]}

    @ag.compile
    def f(x):
        return x * settings["scale"] + len(settings["sizes"])

    x = ag.ones(2)
    for _ in range(3):
        f(x)
    settings.update(scale=float("2.5"), name="".join(["a", " b"]), sizes=[1, 2, (3, 4)])
    replays = f.cache_info().replays
    assert f(x).tolist() == [5.5, 5.5] and f.cache_info().replays == replays + 1
    settings["sizes"].append(5)
    assert f(x).tolist() == [6.5, 6.5]
    settings["scale"] = 1
    assert f(x).tolist() == [5, 5]


def test_names_that_are_swapped_count():
    one, two = (lambda x: x + 1), (lambda x: x * 2)
    ways = {"first": one, "second": two}

    @ag.compile
    def f(x):
        return next(iter(ways.values()))(x) if "first" in ways else ways["other"](x) * 10

    for _ in range(3):
        assert f(ag.ones(1)).tolist() == [2]
    ways.clear()
    ways.update(other=one, second=two)  # the same objects in the same order
    assert f(ag.ones(1)).tolist() == [20]


def test_a_variable_that_is_emptied_counts():
    scale = 2.0

    @ag.compile
    def f(x):
        return x * scale  # noqa: F821

    for _ in range(3):
        f(ag.ones(1))
    del scale
    with pytest.raises(NameError):
        f(ag.ones(1))


LARGE = 100, 100  # arguments of this size are looked at where they lie


def large(k):
    return ag.tensor(np.random.default_rng(k).standard_normal(LARGE).astype(np.float32))


def as_read_only(t):
    a = t.numpy().copy()
    a.flags.writeable = False
    return ag.from_numpy(a)


def misaligned(t):
    raw = np.zeros(t.numel() * 4 + 1, np.uint8)
    a = raw[1:].view(np.float32).reshape(t.shape)
    a[...] = t.numpy()
    return ag.from_numpy(a)


@pytest.mark.parametrize("form", [lambda t: t, lambda t: t.T, as_read_only, misaligned, lambda t: t.numpy()])
def test_large_arguments_of_any_form(form):
    f = lambda x, y: ((x * y).tanh().sum(0), x.mean(1))
    if not isinstance(form(large(0)), ag.Tensor):
        f = lambda x, y: (x * y).sum(0)  # arrays know no tanh
    compiled = ag.compile(f)
    for k in range(5):
        x, y = form(large(k)), form(large(k + 1))
        for a, b in zip(compiled(x, y), f(x, y), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-6, atol=1e-5)
    assert compiled.cache_info().replays


def test_large_arguments_are_not_looked_at_when_they_are_gone():
    f = ag.compile(lambda x: (x * 2 + 1, x.view(-1)[:5], x))
    for k in range(4):
        doubled, seen, same = f(x := large(k))
        assert same is x
    before = doubled.numpy().copy()
    x.zero_()
    np.testing.assert_array_equal(doubled.numpy(), before)
    np.testing.assert_array_equal(seen.numpy(), 0)
    del x, same, seen
    assert "fused" in f.explain()
    np.testing.assert_array_equal(f(large(9))[0].numpy(), (large(9) * 2 + 1).numpy())


def test_large_arguments_that_are_changed():
    def f(x):
        x.mul_(2)
        return x.sum()

    compiled = ag.compile(f)
    for k in range(4):
        x, y = large(k), large(k)
        np.testing.assert_allclose(compiled(x).numpy(), f(y).numpy(), rtol=1e-4)
        np.testing.assert_array_equal(x.numpy(), y.numpy())
    assert compiled.cache_info().replays


def test_many_looks_at_memory_that_the_function_changes():
    """They are read anew in each replay, whoever was compiled before: what NumPy may not write to was once copied for good."""

    def program():
        w = nn.Parameter(ag.tensor(np.random.default_rng(0).standard_normal((4, 4))))

        def step():
            y = w.expand(2, 4, 4).sum(0)
            with ag.no_grad():
                w.mul_(0.9)
            return y

        return step

    for _ in range(3):
        eager, compiled = program(), ag.compile(program())
        for _ in range(6):
            np.testing.assert_array_equal(compiled().detach().numpy(), eager().detach().numpy())
        assert compiled.cache_info().replays == 3


def test_memory_that_may_not_be_written_to_is_the_same_memory_for_kernels():
    x = np.arange(6.0)
    for look in (np.broadcast_to(x, (2, 6)), np.broadcast_to(x[::-2], (2, 3)), x[1:].view()):
        look.flags.writeable = False
        given = writable(look)
        assert given.flags.writeable and np.shares_memory(given, x) and given.strides == look.strides
        np.testing.assert_array_equal(given, look)
