"""Every layer, optimizer, schedule and average in a compiled training step: as without, and replayed, or named as refused."""

import warnings
import zlib

import layers
import numpy as np
import optimizers
import pytest
import schedules

import autograd_core as ag
import nn
import optim
from autograd_core.compiled import passes
from autograd_core.tree import flatten
from nn import functional as F

RUNS = 4
BY_DATA = {"LBFGS"}  # what it computes depends on values: refused
TOLD_APART = {"CTCLoss", "AdaptiveLogSoftmaxWithLoss"}  # calls, by labels, which are others in each of these runs
OTHERWISE = {
    "RNNBase",
    "RNNCellBase",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
}  # whose line does not call the layer
CASES = {c.name: c for c in reversed(layers.cases()) if c.name not in OTHERWISE}


@pytest.fixture(autouse=True)
def without_loops(monkeypatch):
    """To compile a loop for everything would take half an hour; test_compile.py has loops."""
    monkeypatch.setattr(passes, "PASSES", [p for p in passes.PASSES if p is not passes.fused])


class Compiling:
    """`compile`, which remembers what it made."""

    def __call__(self, f):
        self.made = ag.compile(f)
        return self.made


def compare(make, name, rtol=1e-4):
    """Programs made with and without compiling give the same; replayed, unless the name stands among those refused."""
    compiling = Compiling()
    plain, fast = make(lambda f: f), make(compiling)
    if name in BY_DATA:
        with pytest.raises(ag.CaptureError, match="a value leaves the tensors"):
            fast(0)
        return
    for k in range(RUNS):
        for n, (a, b) in enumerate(zip(plain(k), fast(k), strict=True)):
            assert (a is None) == (b is None), (k, n)
            if a is not None:
                np.testing.assert_allclose(b, a, rtol=rtol, atol=2e-5, err_msg=f"run {k}, value {n}")
    assert compiling.made.cache_info().replays or name in TOLD_APART


def values(*tensors):
    return [None if t is None else np.array(t.detach().numpy()) for t in tensors]


def given(v):
    """An input of a layer, as a tensor that asks for gradients if it can."""
    if not isinstance(v, np.ndarray):
        return v
    t = ag.tensor(np.asarray(v))
    return t.requires_grad_() if v.dtype.kind in "fc" and not isinstance(v, layers.Fixed) else t


def drawn(case, k):
    *args, named = [*(inputs := case.inputs(layers.Draw(np.random.default_rng(k), np.dtype("f")))), {}]
    if isinstance(inputs[-1], dict):
        *args, named = inputs
    leaves, build = flatten((args, named))
    return [given(v) for v in leaves], build


def layer_and(case):
    ag.manual_seed(0)
    layer = layers.layer_of(nn, case)
    if "Lazy" in case.name:
        layers.run(layer, case, case.inputs(layers.Draw(np.random.default_rng(9), np.dtype("f"))), given)
    held = list(layer.parameters())
    return layer, optim.SGD(held, lr=0.01) if held else None


def loss_of(outputs):
    size = lambda y: (y * y * (y + 1)).mean() if y.dtype.kind != "c" else (y.abs() ** 2).sum()
    terms = [size(y) for y in outputs if y.requires_grad]
    return sum(terms[1:], terms[0]) if terms else None


@pytest.mark.parametrize("name", sorted(CASES))
def test_layers(name):
    case, whole = CASES[name], zlib.crc32(name.encode()) % 2

    def make(compile):
        layer, descent = layer_and(case)
        called = layer if whole else compile(layer)
        build = drawn(case, 0)[1]

        def step(*leaves):
            args, named = build(list(leaves))
            outputs = layers.tensors(case.call(called, *args, **named))
            if descent:
                descent.zero_grad()
            if (loss := loss_of(outputs)) is not None:
                loss.backward()
            if descent:
                descent.step()
            return [y.detach() for y in outputs]

        step = compile(step) if whole else step

        def run(k):
            leaves = drawn(case, k)[0]
            ag.manual_seed(k)
            outputs = step(*leaves)
            grads = [x.grad for x in leaves if isinstance(x, ag.Tensor)]
            return values(*outputs, *grads, *layer.parameters(), *layer.buffers())

        return run

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare(make, name, rtol=3e-4)


def data(k):
    rng = np.random.default_rng(k)
    return ag.tensor(rng.standard_normal((6, 4)).astype("f")), ag.tensor(rng.integers(0, 3, 6))


@pytest.mark.parametrize("name", list(optimizers.GRID))
def test_optimizers(name):
    def make(compile):
        ag.manual_seed(0)
        bias = name != "Muon"
        net = nn.Sequential(nn.Linear(4, 8, bias=bias), nn.Tanh(), nn.Linear(8, 3, bias=bias))
        optimizer = getattr(optim, name)(net.parameters())

        def step(x, y):
            def closure():
                optimizer.zero_grad()
                loss = F.cross_entropy(net(x), y)
                loss.backward()
                return loss

            return (optimizer.step(closure) if name == "LBFGS" else [closure(), optimizer.step()][0]).detach()

        step = compile(step)
        return lambda k: values(step(*data(k)), *net.parameters())

    compare(make, name)


@pytest.mark.parametrize("name", list(schedules.SCHEDULES))
def test_schedules_between_steps(name):
    def make(compile):
        ag.manual_seed(0)
        net = nn.Linear(4, 3)
        groups = [{"params": [net.weight]}, {"params": [net.bias], "lr": 0.05}]
        kind = optim.Adam if "Cycle" in name and "own" not in name and len(name) % 2 else optim.SGD
        descent = kind(groups, lr=0.1, **({"momentum": 0.9} if kind is optim.SGD else {}))
        schedule = schedules.SCHEDULES[name](optim.lr_scheduler, descent)

        @compile
        def step(x, y):
            descent.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            descent.step()
            return loss.detach()

        def run(k):
            loss = step(*data(k))
            schedule.step(*([float(loss)] if "Plateau" in name else []))
            return values(*net.parameters())

        return run

    compare(make, name)


@pytest.mark.parametrize("average", ["exponential", "mean", "own", "buffers"])
def test_averages_of_parameters(average):
    def make(compile):
        ag.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
        descent = optim.SGD(net.parameters(), lr=0.1)
        options = {
            "exponential": {"multi_avg_fn": optim.swa_utils.get_ema_multi_avg_fn(0.9)},
            "own": {"avg_fn": lambda a, c, n: a + (c - a) / (n + 2)},
            "buffers": {"use_buffers": True, "multi_avg_fn": optim.swa_utils.get_ema_multi_avg_fn(0.9)},
        }
        averaged = optim.swa_utils.AveragedModel(net, **options.get(average, {}))

        @compile
        def step(x, y):
            descent.zero_grad()
            F.cross_entropy(net(x), y).backward()
            descent.step()
            averaged.update_parameters(net)

        def run(k):
            step(*data(k))
            return values(*averaged.parameters(), *averaged.module.buffers(), averaged.n_averaged)

        return run

    compare(make, average)


class Keeping(nn.Module):
    """A recurrent cell that keeps its state, in one of several ways."""

    def __init__(self, how):
        self.cell, self.how = nn.LSTMCell(4, 5), how
        self.register_buffer("hidden", ag.zeros(6, 5))
        self.memory, self.state, self.calls = ag.zeros(6, 5), (ag.zeros(6, 5), ag.zeros(6, 5)), nn.Buffer(ag.zeros(()))

    def forward(self, x):
        self.calls += 1
        before = self.state if "nest" in self.how else (self.hidden.clone(), self.memory.clone())
        h, c = self.cell(x, before)
        if self.how == "in place":
            self.hidden.copy_(h.detach())
            self.memory.copy_(c.detach())
        elif "nest" in self.how:
            self.state = (h.detach(), c.detach())
        elif self.how == "one and the same":
            self.hidden = self.memory = c.detach()
        else:
            self.hidden, self.memory = h.detach(), c.detach()
        return h.sum() + c.square().mean()


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("how", ["in place", "anew", "a nest"])
def test_what_modules_keep_between_calls(how, whole):
    def make(compile):
        ag.manual_seed(0)
        net = Keeping(how)
        f = compile(lambda x: net(x).backward()) if whole else compile(net)

        def run(k):
            net.zero_grad()
            y = f(data(k)[0])
            if y is not None:
                y.backward()
            if k == 3:
                net.hidden = ag.ones(6, 5) * 3
            grads = [p.grad for p in net.parameters()]
            return values(net.hidden, net.memory, net.calls, *net.state, *grads, *net.buffers())

        return lambda k: [*run(2 * k), *run(2 * k + 1)]

    compare(make, how)


def test_what_is_kept_under_two_names_or_with_a_history():
    def make(compile):
        ag.manual_seed(0)
        net = Keeping("one and the same")
        f = compile(lambda x: net(x).detach())

        def run(k):
            y = f(data(k)[0])
            assert net.hidden is net.memory
            return values(y, net.hidden, net.memory)

        return run

    with pytest.raises(ag.CaptureError, match="changes (hidden|memory)"):
        compare(make, "one and the same")
    hidden = {"h": ag.zeros(3)}
    w = nn.Parameter(ag.ones(3))

    def growing(x):
        hidden["h"] = hidden["h"] * w + x
        return hidden["h"].sum()

    f = ag.compile(growing)
    for k in range(6):
        y = f(ag.ones(3))
        assert y.item() == 3 * (k + 1)
    (g,) = ag.gradient(y, w)
    assert g.tolist() == [15, 15, 15] and f.cache_info().replays == 0
