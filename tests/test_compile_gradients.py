"""Compiled functions whose results gradients flow back from: as the functions themselves, whatever is asked of them."""

import copy
import os
import pickle
import threading
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
import nn
import optim
from autograd_core.compiled import passes
from autograd_core.compiled.passes import fuse
from autograd_core.op import REGISTRY
from nn import functional as F

RUNS = 6


def alike(make, *, replays=True, tolerance=1e-5):
    """Programs made with and without compiling give the same, again and again; whether replays took part."""
    plain, fast = make(lambda f: f), make(counted := Counted())
    for k in range(RUNS):
        ag.manual_seed(k)
        expected = plain(np.random.default_rng(k))
        ag.manual_seed(k)
        actual = fast(np.random.default_rng(k))
        assert len(expected) == len(actual)
        for n, (a, b) in enumerate(zip(expected, actual)):
            assert (a is None) == (b is None), (k, n)
            if a is not None:
                a, b = (np.asarray(v.detach().numpy() if isinstance(v, ag.Tensor) else v) for v in (a, b))
                assert a.shape == b.shape and a.dtype == b.dtype, (k, n)
                # A bias before a batch norm has the gradient 0, of which rounding leaves a few 1e-6 on either side.
                np.testing.assert_allclose(b, a, rtol=tolerance, atol=1e-5, err_msg=f"run {k}, value {n}")
    done = sum(f.cache_info().replays for f in counted.made)
    assert bool(done) == replays, [f.cache_info() for f in counted.made]


class Counted:
    """`compile`, and what it has made."""

    def __init__(self):
        self.made = []

    def __call__(self, f):
        self.made.append(ag.compile(f))
        return self.made[-1]


class Net(nn.Module):
    def __init__(self, norm=True, p=0.4):
        self.first, self.last, self.p = nn.Linear(5, 8), nn.Linear(8, 3), p
        self.norm = nn.BatchNorm1d(8) if norm else nn.Identity()

    def forward(self, x):
        return self.last(F.dropout(F.relu(self.norm(self.first(x))), self.p, self.training))


def draw(rng, *shape):
    return ag.tensor(rng.standard_normal(shape).astype("f"))


def net_and(compile, **options):
    ag.manual_seed(1)
    net = Net(**options)
    return net, compile(net)


@pytest.mark.parametrize("norm", [False, True])
def test_training_with_a_compiled_model(norm):
    def make(compile):
        net, f = net_and(compile, norm=norm)
        descent = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

        def step(rng):
            loss = F.cross_entropy(f(draw(rng, 6, 5)), ag.tensor(rng.integers(0, 3, 6)))
            descent.zero_grad()
            loss.backward()
            descent.step()
            return [loss, *net.parameters(), *net.buffers(), *(p.grad for p in net.parameters())]

        return step

    alike(make)


def test_frozen_parameters_modes_and_batches_that_change():
    def make(compile):
        net, f = net_and(compile)

        def step(rng, count=[0]):  # noqa: B006
            count[0] += 1
            net.train(count[0] % 5 != 0)
            net.first.weight.requires_grad_(count[0] % 7 < 5)
            net.zero_grad()
            f(draw(rng, 6 if count[0] % 4 else 4, 5)).square().sum().backward()
            return [p.grad for p in net.parameters()]

        return lambda rng: [g for _ in range(12) for g in step(rng)]

    alike(make)


scalar = lambda x: (x.tanh() * x).sum() + (x * x * x).mean()
vector = lambda x: ag.stack([(x * x).sum(), x.sin().sum(), x.prod()])
TRANSFORMS = {
    "grad": lambda f, x: [ag.grad(f)(x)],
    "value_and_grad": lambda f, x: list(ag.value_and_grad(f)(x)),
    "grad of grad": lambda f, x: [ag.grad(lambda z: (ag.grad(f)(z) ** 2).sum())(x)],
    "hessian": lambda f, x: [ag.hessian(f)(x)],
    "hvp": lambda f, x: [ag.hvp(f, (x,), (x * 0.5,))[-1]],
    "jvp": lambda f, x: list(ag.jvp(f, (x,), (x * 0.5,))),
    "jvp of grad": lambda f, x: list(ag.jvp(ag.grad(f), (x,), (x * 0.5,))),
    "vmap": lambda f, x: [ag.vmap(f)(ag.stack([x, x * 2]))],
    "vmap of grad": lambda f, x: [ag.vmap(ag.grad(f))(ag.stack([x, x * 2]))],
    "grad of vmap": lambda f, x: [ag.grad(lambda z: ag.vmap(f)(ag.stack([z, z * 2])).sum())(x)],
    "linearize": lambda f, x: [ag.linearize(f, x)[1](x * 3)],
    "vjp": lambda f, x: [ag.vjp(f, x)[1](ag.tensor(2.0).double())],
    "checkpoint": lambda f, x: [ag.grad(lambda z: ag.checkpoint(f, z))(x)],
    "twice": lambda f, x: [ag.grad(lambda z: f(z) * f(z * 2))(x)],
    "number": lambda f, x: [f(x).detach()],
}


@pytest.mark.parametrize("name", list(TRANSFORMS))
def test_transforms_of_compiled_functions_and_compiled_transforms(name):
    transform = TRANSFORMS[name]
    outside = lambda f: lambda rng: transform(f, draw(rng, 4).double())
    inside = lambda f: lambda rng: f(draw(rng, 4).double())

    replayed = name in ("grad", "value_and_grad", "grad of grad", "linearize", "vjp", "twice", "number")
    alike(lambda compile: outside(compile(scalar)), replays=replayed, tolerance=1e-9)
    alike(lambda compile: outside(compile(compile(scalar))), replays=replayed, tolerance=1e-9)
    alike(lambda compile: inside(compile(lambda x: transform(scalar, x))), tolerance=1e-9)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_jacobians_of_compiled_functions_and_compiled_jacobians(mode):
    outside = lambda f: lambda rng: [ag.jacobian(f, mode=mode)(draw(rng, 4).double())]
    inside = lambda f: lambda rng: [f(draw(rng, 4).double())]
    alike(lambda compile: outside(compile(vector)), replays=mode == "reverse")
    alike(lambda compile: inside(compile(ag.jacobian(vector, mode=mode))))


def test_several_calls_before_their_gradients():
    def make(compile):
        net, f = net_and(compile)

        def step(rng):
            net.zero_grad()
            a, b = f(draw(rng, 6, 5)), f(draw(rng, 6, 5))
            c = f(draw(rng, 6, 5))
            (a * b).sum().backward(retain_graph=True)
            first = [p.grad.clone() for p in net.parameters()]
            (a * b).sum().backward()
            (c * 2).sum().backward()
            return [*first, *(p.grad for p in net.parameters()), *net.buffers()]

        return step

    alike(make, tolerance=2e-5)


def test_what_is_asked_for_may_change():
    def make(compile):
        net, f = net_and(compile, p=0.0, norm=False)
        g = compile(lambda x: (f(x), x.exp(), x.detach() * 2))

        def step(rng):
            x = draw(rng, 6, 5).requires_grad_()
            y, z, fixed = g(x)
            found = [fixed, *ag.gradient(y.sum(), [x], retain_graph=True)]
            found += ag.gradient([y.sum(), z.sum()], [x, net.first.weight], retain_graph=True)
            found += ag.gradient(z.sum(), [x], retain_graph=True)
            net.zero_grad()
            (y.sum() + z.sum()).backward()
            return [*found, x.grad, *(p.grad for p in net.parameters())]

        return step

    alike(make)


def test_a_penalty_on_gradients_with_dropout_and_running_statistics():
    def make(compile):
        net, f = net_and(compile)

        def step(rng):
            x = draw(rng, 6, 5).requires_grad_()
            net.zero_grad()
            y = f(x)
            (g,) = ag.gradient(y.sum(), x, create_graph=True)
            (y.mean() + (g.square().sum(1) - 1).square().mean()).backward()
            return [x.grad, *(p.grad for p in net.parameters()), *net.buffers(), ag.rand(2)]

        return step

    alike(make, tolerance=2e-5)


def test_in_the_middle_of_a_network_and_in_a_loop():
    def make(compile):
        ag.manual_seed(2)
        before, after = nn.Linear(5, 4), nn.Linear(4, 2)
        cell = nn.Linear(4, 4)
        f = compile(lambda h: cell(h).tanh())

        def step(rng):
            x = draw(rng, 3, 5)
            h = before(x)
            for _ in range(5):
                h = f(h)
            for m in (before, after, cell):
                m.zero_grad()
            after(h).square().sum().backward()
            return [p.grad for m in (before, after, cell) for p in m.parameters()]

        return step

    alike(make)


def test_hooks_are_called_once_and_see_the_whole():
    def make(compile):
        net, f = net_and(compile, norm=False)
        seen = []
        net.first.weight.register_hook(lambda g: seen.append(g.sum().item()) or g * 2)
        net.last.bias.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.sum().item()))

        def step(rng):
            net.zero_grad()
            seen.clear()
            x = draw(rng, 6, 5).requires_grad_()
            h = x * 2
            h.retain_grad()
            y = f(h)
            y.register_hook(lambda g: g * 3)
            y.retain_grad()
            (y.square().sum() + net.first.weight.sum()).backward()
            return [np.array(seen), x.grad, h.grad, y.grad, *(p.grad for p in net.parameters())]

        return step

    alike(make)


def test_hooks_inside_and_functions_of_the_users_own():
    class Double(ag.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * x * 5

    def body(x):
        h = Double.apply(x * 2)
        h.register_hook(lambda g: g.clamp(-1, 1))
        return h.sin()

    outside = lambda f: lambda rng: [ag.grad(lambda x: f(x).sum())(draw(rng, 4))]
    alike(lambda compile: outside(compile(body)))


def test_views_and_results_that_share_memory():
    def body(x, w):
        y = x * w
        return y, y[1:], y.reshape(-1), x[0], x.T, x, y, w, w[:1], (x + 1).T

    def make(compile):
        w = ag.tensor([1.0, 2.0, 3.0]).requires_grad_()
        f = compile(body)

        def step(rng):
            x = draw(rng, 2, 3).requires_grad_()
            h = x * 1
            y, part, flat, row, turned, same, again, weight, head, other = f(h, w)
            assert same is h and again is y and weight is w and row.value.base is not None
            assert np.shares_memory(row.value, h.value) and np.shares_memory(part.value, y.value)
            assert other.value.strides == (4, 12)
            w.grad = None
            with ag.no_grad():
                part.zero_()
            (y.sum() + part.sum() + flat.square().sum() + row.sum() * 2 + turned.sum() + head.sum() * 3).backward()
            return [y, flat, x.grad, w.grad, other]

        return step

    alike(make)


def test_changes_in_place_of_results_and_of_arguments():
    def make(compile):
        f = compile(lambda x: x.exp())

        def step(rng):
            x = draw(rng, 3).requires_grad_()
            y = f(x)
            y.mul_(3)
            y.sum().backward()
            return [y, x.grad]

        return step

    alike(make)
    square = lambda x: (x * 1).mul_(x).mul_(3)
    alike(lambda compile: lambda rng, f=compile(square): [ag.grad(lambda x: f(x).sum())(draw(rng, 3))])  # noqa: B008

    def changing(compile):
        f = compile(lambda x: x.mul_(2) * 1)

        def step(rng):
            x = draw(rng, 3).requires_grad_()
            h = x.exp()
            y = f(h)
            (y.sum() + h.sum()).backward()
            return [x.grad, h]

        return step

    alike(changing, replays=False)


def test_parameters_changed_before_their_gradients_are_an_error():
    net = nn.Linear(3, 3)
    f = ag.compile(lambda x: net(net(x)))
    for _ in range(4):
        f(ag.randn(2, 3)).sum().backward()
    y = f(ag.randn(2, 3))
    with ag.no_grad():
        net.weight.mul_(2)
    with pytest.raises(RuntimeError, match="changed in place since"):
        y.sum().backward()
    y = f(ag.randn(2, 3))
    y.sum().backward()
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        y.sum().backward()
    y = f(ag.randn(2, 3))
    net.weight.register_hook(lambda g: g)
    (g,) = ag.gradient(y.sum(), [net.bias], retain_graph=True)
    assert g.shape == (3,)


def test_a_history_that_a_function_closes_over_is_kept():
    def make(compile):
        w = ag.tensor([1.0, 2.0]).requires_grad_()
        h = w * 3
        f = compile(lambda x: x * h)

        def step(rng):
            return [*ag.gradient(f(draw(rng, 2)).sum(), [w], retain_graph=True)]

        return step

    alike(make, replays=False)


def test_backward_inside_that_goes_on_outside():
    def make(compile):
        f = compile(lambda x: (x * x).sum().backward())

        def step(rng):
            x = draw(rng, 3).requires_grad_()
            f(x * 2)
            return [x.grad]

        return step

    alike(make, replays=False)


def test_without_gradients_asked_for_it_is_replayed_too():
    def make(compile):
        net, f = net_and(compile, norm=False, p=0.0)
        return lambda rng: [f(draw(rng, 6, 5)).detach()]

    alike(make)


def test_a_compiled_module_is_a_module():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    fast = ag.compile(model)
    assert isinstance(fast, nn.Sequential) and repr(fast) == repr(model) and len(fast) == 3
    assert list(fast.state_dict()) == list(model.state_dict())
    assert all(p is q for p, q in zip(fast.parameters(), model.parameters()))
    fast.eval()
    assert not model.training and not model[1].training
    model.train()
    assert fast.training
    fast.extra = nn.Parameter(ag.ones(1))
    assert "extra" in dict(model.named_parameters())
    del fast.extra
    outer = nn.Sequential(fast, nn.Linear(2, 1))
    assert "0.2.weight" in outer.state_dict()
    x = ag.randn(3, 4)
    for _ in range(4):
        outer(x).sum().backward()
    assert fast.cache_info().replays == 2
    with pytest.raises(ValueError, match=r"0\.0 \(Linear"):
        outer(ag.randn(3, 5))
    for twin in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast)), copy.deepcopy(outer)[0]):
        assert type(twin) is type(fast) and twin[0].weight is not fast[0].weight
        np.testing.assert_allclose(twin(x).detach().numpy(), model(x).detach().numpy(), rtol=1e-6)
    average = optim.swa_utils.AveragedModel(fast)
    average.update_parameters(fast)
    np.testing.assert_allclose(average(x).detach().numpy(), model(x).detach().numpy(), rtol=1e-6)


def test_methods_attributes_and_functions_with_attributes():
    class Holder:
        def __init__(self):
            self.w = ag.tensor([1.0, 2.0]).requires_grad_()

        def method(self, x):
            return (self.w * x).sum()

        def __call__(self, x):
            return self.method(x) * 2

    holder = Holder()
    for f in (ag.compile(holder.method), ag.compile(holder)):
        for k in range(5):
            x = ag.ones(2) * (k + 1.0)
            (g,) = ag.gradient(f(x), holder.w)
            np.testing.assert_allclose(g.numpy(), x.numpy() * (2 if f.__name__ == "Holder" else 1))
        assert f.cache_info().replays == 3
    assert ag.compile(holder).w is holder.w
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        ag.compile(holder).nothing_of_the_kind  # noqa: B018


def test_the_kernels_can_be_read(capsys, monkeypatch):
    net = Net()
    f = ag.compile(explain=True)(net)
    before = [b.numpy().copy() for b in net.buffers()]
    for _ in range(3):
        f(ag.randn(6, 5)).sum().backward()
    printed = capsys.readouterr().out
    assert "of peak" in printed and "Net: " in printed and "test_compile_gradients.py" in printed
    state = [b.numpy().copy() for b in net.buffers()]
    assert not np.array_equal(before[0], state[0])
    drawn = ag.get_rng_state()
    assert f.explain().splitlines()[0].startswith("Net: ")
    for b, value in zip(net.buffers(), state):
        assert np.array_equal(b.numpy(), value)
    assert np.array_equal(np.asarray(drawn), np.asarray(ag.get_rng_state()))
    for level, said in ((1, "= "), (2, "arena of"), (3, "of peak"), (4, "def replay():")):
        monkeypatch.setenv("AG_DEBUG", str(level))
        g = ag.compile(lambda x: (x * 2).sum())
        for _ in range(3):
            g(ag.ones(3))
        text = capsys.readouterr().err
        assert said in text


def test_identity_and_memory_of_results_without_gradients():
    table = ag.randn(3, 4)

    def body(x, y):
        z = x + y
        return z, z, z[0], z.T, x, x[1:], x.T, x.detach(), table, table[0], (y * 2)[:1], [y, None, 3]

    f = ag.compile(body)
    for n in range(6):
        x, y = ag.randn(3, 4), ag.randn(3, 4)
        total = (x + y).numpy()
        for got in (body(x, y), f(x, y)):
            z, again, row, turned, same, tail, x_turned, cut, outer, outer_row, part, (given, none, three) = got
            assert again is z and same is x and outer is table and given is y and none is None and three == 3
            pairs = [(row, z), (turned, z), (tail, x), (x_turned, x), (cut, x), (outer_row, table)]
            for view, base in pairs:
                assert np.shares_memory(view.value, base.value), n
            assert not np.shares_memory(z.value, x.value) and turned.value.strides == (4, 16)
            np.testing.assert_array_equal(turned.numpy(), total.T)
            np.testing.assert_array_equal(part.numpy(), 2 * y.numpy()[:1])
            tail.zero_()
            assert not x.numpy()[1:].any()
    assert f.cache_info().replays == 4
    overlapping = ag.compile(lambda x: ((x * 2)[1:], (x * 2).reshape(-1)))
    shared = ag.compile(lambda x: (lambda h: (h[1:], h[:2]))(x * 2))
    for _ in range(4):
        overlapping(ag.ones(3))
        a, b = shared(ag.ones(3))
        a.zero_()
        assert b.tolist() == [2, 0]


def test_surroundings_that_change_with_every_call():
    settings = {"scale": 0.0}
    f = ag.compile(lambda x: x * settings["scale"])
    for k in range(20):
        settings["scale"] = float(k // 2)
        assert f(ag.ones(2)).tolist() == [k // 2] * 2
    assert f.cache_info().eager > 5


layer = nn.Linear(3, 2)
ARRAYS = {
    "NumPy's functions": lambda x: np.tanh(x) * 2 + x[0],
    "one number": lambda x: (x * x).sum(),
    "the library's functions": lambda x: (F.relu(x), ag.softmax(x, -1), x[1:], x.T, x),
    "a gradient": ag.grad(lambda x: (x * x).sum()),
    "a Hessian": ag.hessian(lambda x: (x * x * x).sum()),
    "forward mode": lambda x: ag.jvp(lambda z: z * z, (x,), (x,)),
    "a Jacobian": ag.jacobian(lambda x: x * x),
    "with parameters": lambda x: x * layer.bias[0],
    "made a tensor": lambda x: (ag.tensor(x) * 2, ag.from_numpy(x), ag.as_tensor(x), layer(ag.tensor(x).float())),
    "beside tensors": lambda x: [x + 1, ag.zeros(3) + x],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(ARRAYS))
def test_arrays_in_arrays_out(name, dtype):
    f = ARRAYS[name]
    g = ag.compile(f)
    for k in range(5):
        x = np.random.default_rng(k).standard_normal(3).astype(dtype)
        expected, actual = (ag.tree.flatten(v)[0] for v in (f(x), g(x)))
        for a, b in zip(expected, actual, strict=True):
            assert (
                type(a) is type(b)
                and a.dtype == b.dtype
                and np.shares_memory(value(a), x) == np.shares_memory(value(b), x)
            )
            np.testing.assert_allclose(value(b), value(a), rtol=1e-5)
    assert g.cache_info().replays


def value(v):
    return v.value if isinstance(v, ag.Tensor) else np.asarray(v)


def test_arrays_that_numpy_would_compute_with_in_another_type_are_refused():
    for f in (lambda x: x * 2.5, ag.sqrt, lambda x: x / 2):
        with pytest.raises(ag.CaptureError, match="is float64 for NumPy, but float32 for tensors"):
            ag.compile(f)(np.arange(4))
    assert ag.compile(lambda x: x * 2 > 3)(np.arange(4)).tolist() == [False, False, True, True]


def test_gradients_kept_while_parameters_let_go_of_them():
    p, q = nn.Parameter(ag.ones(3)), nn.Parameter(ag.ones(2))

    def step(x):
        p.grad = q.grad = None
        ((p * x).sum() * q.sum()).backward()

    f, kept = ag.compile(step), []
    for k in range(12):
        f(ag.ones(3) * k)
        g = p.grad
        kept.append([g.numpy(), g, g.numpy()[:1]][k % 3])
        if k % 2:
            p.grad = None
        del g
    assert [value(g)[0] for g in kept] == [2 * k for k in range(12)] and f.cache_info().replays == 10
    f, kept = ag.compile(lambda x: (x * x).sum().backward()), []
    for k in range(6):
        x = (ag.ones(3) * k).requires_grad_()
        f(x)
        kept.append(x.grad.numpy())
    assert [g[0] for g in kept] == [2 * k for k in range(6)]


class Scaled:
    def __init__(self):
        self.scale_1, self.scale_2, self.which = 2.0, 3.0, 1

    def __call__(self, x):
        return x * getattr(self, f"scale_{self.which}")


def test_settings_read_by_computed_names():
    scaled = Scaled()
    f = ag.compile(scaled)
    for k in range(12):
        if k == 4:
            scaled.scale_1 = 5.0
        if k == 8:
            scaled.which = 2
        assert f(ag.ones(2)).tolist() == [[2, 2], [5, 5], [3, 3]][k // 4]
    assert f.cache_info().replays == 6


def test_errors_and_interrupts_in_the_middle_leave_it_usable(monkeypatch):
    net = nn.Linear(3, 3)
    stop = {"now": None}

    def body(x):
        y = net(x)
        if stop["now"]:
            raise stop["now"]
        return y.tanh()

    f = ag.compile(body)
    x = ag.randn(2, 3)
    expected = body(x).detach().numpy()

    def agrees():
        net.zero_grad()
        y = f(x)
        y.sum().backward()
        np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-6)
        np.testing.assert_allclose(net.bias.grad.numpy(), (1 - expected**2).sum(0), rtol=1e-5)

    agrees()
    stop["now"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        f(x)
    stop["now"] = None
    for _ in range(4):
        agrees()
    before = f.cache_info().replays
    assert before
    stop["now"] = ValueError("in the middle")
    with pytest.raises(ValueError, match="in the middle"):
        f(x)
    stop["now"] = None
    for _ in range(4):
        agrees()
    entry = f.replays()[0]
    run = entry.back.halves.backward.placed.run

    def interrupted():
        run()
        raise KeyboardInterrupt

    y = f(x)
    monkeypatch.setattr(entry.back.halves.backward.placed, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        y.sum().backward()
    monkeypatch.undo()
    agrees()
    monkeypatch.setattr(entry.back.halves.forward.placed, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        f(x)
    monkeypatch.undo()
    agrees()


def test_threads_and_forks_with_gradients():
    net = Net(norm=False, p=0.0)
    f = ag.compile(net)
    inputs = [ag.randn(6, 5) for _ in range(24)]
    for x in inputs[:4]:
        f(x).square().sum().backward()
    grad = lambda g, x: ag.gradient(g(x).square().sum(), [net.first.weight])[0].numpy()
    expected = [grad(net, x) for x in inputs]
    found = [[] for _ in range(3)]

    def work(out):
        results = [f(x) for x in inputs]
        out.extend(ag.gradient(y.square().sum(), [net.first.weight])[0].numpy() for y in results)

    threads = [threading.Thread(target=work, args=(out,)) for out in found]
    [t.start() for t in threads], [t.join() for t in threads]
    for out in found:
        np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)
    y, before = f(inputs[0]), f.compiled.replays()[0].lock
    before.acquire()  # as if another thread were in it
    child = os.fork()
    if not child:
        good = np.allclose(ag.gradient(y.square().sum(), [net.first.weight])[0].numpy(), expected[0], atol=1e-4)
        good = good and np.allclose(grad(f, inputs[1]), expected[1], atol=1e-4)
        os._exit(0 if good else 1)
    before.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_views_kept_across_calls_are_not_changed_by_later_ones():
    net = Net(norm=False, p=0.0)
    f = ag.compile(lambda x: (lambda h: (h, h[0], h.T.detach()))(net(x)))
    kept = []
    for _ in range(8):
        x = ag.randn(6, 5)
        results = f(x)
        results[0].sum().backward()
        gradient = net.first.weight.grad
        kept.append([(t, t.detach().numpy().copy()) for t in (*results, gradient, gradient[:1])])
        net.zero_grad()
    for tensors in kept:
        for t, value_then in tensors:
            assert np.array_equal(t.detach().numpy(), value_then)
    assert f.cache_info().replays


def test_an_op_that_has_nothing_to_do_keeps_the_history():
    fit = REGISTRY["fit_shape"].call

    def make(compile):
        f = compile(lambda x: fit(x, shape=(1, 4)))
        return lambda rng: [f(x := draw(rng, 1, 4).requires_grad_()), *ag.gradient((f(x) ** 2).sum(), [x])]

    alike(make, replays=False)


WEIGHT = ag.tensor([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7], [0.1, 0.9, -0.2]]).requires_grad_()
STEPS = [
    lambda a, b: a * b,
    lambda a, b: a + b.T,
    lambda a, b: a.tanh(),
    lambda a, b: a @ b,
    lambda a, b: a * WEIGHT,
    lambda a, b: a.T,
    lambda a, b: a[:, :1] * b,
    lambda a, b: a[1:2] + b,
    lambda a, b: a.clone().add_(b),
    lambda a, b: (a * 1).mul_(b),
    lambda a, b: put(a, b),
    lambda a, b: scaled(a, b),
    lambda a, b: ag.where(a > 0, a, b),
    lambda a, b: a.detach() * b,
    lambda a, b: a.reshape(9)[ag.tensor([8, 1, 1, 0, 4, 5, 6, 2, 3])].reshape(3, 3),
    lambda a, b: a.sum(0) * b,
    lambda a, b: ag.softmax(a, 1) + b.mean(),
]


def put(a, b):
    c = a * 2
    c[1:] = b[:2]
    c.T[0].mul_(3)
    return c


def scaled(a, b):
    c = a * 1
    c[1:] = c[1:] * b.sum()
    c[0].mul_(WEIGHT.sum())
    return c


def reordered(program):
    """What fusing does to the order of calls, without compiling a loop for each group."""
    return program.having([c for group in fuse.later(program.calls, fuse.grouped(program.calls)) for c in group])


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_programs_that_differentiate_inside(data):
    place = st.integers(0, 20)
    program = data.draw(st.lists(st.tuples(st.integers(0, len(STEPS) - 1), place, place), min_size=1, max_size=8))

    def body(x, y):
        values = [x, y]
        for step, i, j in program:
            values.append(STEPS[step](values[i % len(values)], values[j % len(values)]))
        loss = (values[-1] * values[-1]).sum() + sum(v.mean() for v in values)
        return values[-1].detach(), *ag.gradient(loss, [x, WEIGHT], allow_unused=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "PASSES", [reordered if p is passes.fused else p for p in passes.PASSES])
        f = ag.compile(body)
        for k in range(5):
            x, y = (draw(np.random.default_rng([k, n]), 3, 3).requires_grad_(n == 0) for n in range(2))
            for a, b in zip(body(x, y), f(x, y), strict=True):
                assert (a is None) == (b is None)
                if a is not None:
                    np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-4, atol=1e-4)
    assert f.cache_info().replays == 3


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_programs_of_any_kind(data):
    place = st.integers(0, 20)
    program = data.draw(st.lists(st.tuples(st.integers(0, len(STEPS) - 1), place, place), min_size=1, max_size=8))
    returned = data.draw(st.lists(place, min_size=1, max_size=3))
    whole = data.draw(st.booleans())

    def body(x, y):
        values = [x, y]
        for step, i, j in program:
            values.append(STEPS[step](values[i % len(values)], values[j % len(values)]))
        return [values[-1 - k % len(values)] for k in returned]

    def run(f, k):
        x, y = (draw(np.random.default_rng([k, n]), 3, 3).requires_grad_(n == 0) for n in range(2))
        given = x * 1 if k % 2 and whole else x
        results = f(given, y)
        roots = [t for t in results if t.requires_grad]
        loss = sum([(t * (n + 1)).sum() for n, t in enumerate(roots)])
        found = list(ag.gradient(loss, [x, WEIGHT], allow_unused=True)) if roots else []
        same = [[a is b, np.shares_memory(a.value, b.value)] for a in [*results, given, y] for b in results]
        return [None if t is None else t.detach().numpy() for t in [*results, *found]], same

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "PASSES", [p for p in passes.PASSES if p is not passes.fused])
        f = ag.compile(body)
        for k in range(8):
            (expected, same), (actual, other) = run(body, k), run(f, k)
            assert same == other, k
            for a, b in zip(expected, actual, strict=True):
                assert (a is None) == (b is None)
                if a is not None:
                    np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)
    assert f.cache_info().replays or f.cache_info().eager


@pytest.mark.parametrize("calls", [1, 2, 3, 4, 5, 6, 9])
def test_several_calls_before_each_walk_back(calls):
    w = ag.ones(2, requires_grad=True)
    f = ag.compile(lambda x: (x * w).exp().sum())
    for _ in range(12):
        w.grad = None
        sum(f(ag.ones(2) * k) for k in range(calls)).backward()
        assert w.grad.tolist() == pytest.approx([sum(k * np.exp(k) for k in range(calls))] * 2)
    assert f.cache_info().replays >= 10 * calls - 2, "the run that is walked back first is the one that is kept"


def clipped_outside(compiling):
    """Steps whose gradient is returned, or kept, and is changed outside before the optimizer sees it."""
    w, v = nn.Parameter(ag.ones(3)), nn.Parameter(ag.ones(3))
    optimizer, state = optim.SGD([w, v], lr=0.1), types.SimpleNamespace(last=None)

    def step(x):
        optimizer.zero_grad()
        loss = (w * x).pow(2).sum() + (v * x).sum()
        loss.backward()
        state.last = v.grad
        return loss, w.grad

    run = compiling(step)
    for k in range(8):
        loss, g = run(ag.ones(3) * (k + 1))
        assert g is w.grad and state.last is v.grad
        g.clamp_(-0.1, 0.1)
        state.last.mul_(0.5)
        optimizer.step()
        yield loss.item(), w.tolist(), v.tolist(), g.tolist()
    assert run is step or run.cache_info().replays == 5


def test_a_gradient_that_is_returned_is_that_of_the_parameter():
    assert list(clipped_outside(ag.compile)) == list(clipped_outside(lambda f: f))


def test_the_gradient_of_an_argument_that_is_returned_is_its_own():
    def step(x):
        (x * x).sum().backward()
        return x.grad

    run = ag.compile(step)
    for _ in range(6):
        x = ag.ones(3).requires_grad_()
        assert run(x) is x.grad and x.grad.tolist() == [2, 2, 2]
    assert run.cache_info().replays == 4


def test_gradients_that_are_parts_of_one_array_stay_in_it():
    def program():
        w, v, flat = nn.Parameter(ag.ones(2)), nn.Parameter(ag.ones(2)), ag.zeros(4)
        w.grad, v.grad = flat[:2], flat[2:]
        return lambda x: ((w * x).sum() + (v * x * 2).sum()).backward(), w, v, flat

    (eager, *wanted), (step, *found) = program(), program()
    run = ag.compile(step)
    for _ in range(6):
        eager(ag.ones(2)), run(ag.ones(2))
        for t, u in zip(wanted, found):
            assert t.tolist() == u.tolist() and (t.grad is None or t.grad.tolist() == u.grad.tolist())


def test_a_result_whose_graph_was_freed_stays_one():
    """What is computed of it further has no gradient, and says so, as without compiling."""
    w = nn.Parameter(ag.ones(3))

    def step(x):
        loss = (w * x).pow(2).sum()
        loss.backward()
        return loss

    run = ag.compile(step)
    for k in range(6):
        loss = run(ag.ones(3))
        assert loss.requires_grad and loss.item() == 3 and w.grad.tolist() == [2 * k + 2] * 3
        for further in (loss, loss + w.sum()):
            with pytest.raises(RuntimeError, match="has been freed by an earlier backward"):
                further.backward()
    assert run.cache_info().replays
