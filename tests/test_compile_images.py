"""Passes over chains of convolutions, norms, activations and pooling: the same bits as without them, and what eager gives."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.compiled import passes
from autograd_core.compiled.passes.normalize import normalized
from autograd_core.compiled.passes.recompute import recomputed
from autograd_core.kernels._jit import COMPILED
from nn import functional as F

NEW = (normalized, recomputed)
TOLERANCE = {np.float32: 2e-4, np.float64: 1e-11}


class Chain:
    """Layers that are drawn once, over images of odd sizes; values are also used later, returned, viewed, written in place."""

    def __init__(self, seed, dtype, training):
        self.rng, self.dtype, self.training = np.random.default_rng(seed), dtype, training
        self.parameters, self.buffers, self.layers = [], [], []
        self.shape = (4, int(self.rng.choice([6, 12])), int(self.rng.integers(35, 45)), int(self.rng.integers(33, 47)))
        shape, kept = self.shape, 0
        for _ in range(int(self.rng.integers(3, 6))):
            shape, kept = self.block(shape, kept)

    def parameter(self, *shape):
        t = ag.tensor((self.rng.standard_normal(shape) * 0.5).astype(self.dtype), requires_grad=True)
        self.parameters.append(t)
        return t

    def buffer(self, channels):
        self.buffers.append(ag.tensor(self.rng.uniform(0.5, 2, channels).astype(self.dtype)))
        return self.buffers[-1]

    def block(self, shape, kept):
        """A convolution, and some of what may follow."""
        rng = self.rng
        groups, k = int(rng.choice([1, 1, 2])), int(rng.choice([1, 3]))
        stride = int(rng.choice([1, 1, 2])) if min(shape[2:]) > 20 else 1
        channels = int(rng.choice([shape[1], 12, 20]))
        w = self.parameter(channels, shape[1] // groups, k, k)
        b = self.parameter(channels) if rng.random() < 0.5 else None
        self.layers.append(lambda x, old: F.conv2d(x, w, b, stride, k // 2, 1, groups))
        same = channels == shape[1] and stride == 1
        shape = (shape[0], channels, *(-(-n // stride) for n in shape[2:]))
        if rng.random() < 0.7:
            self.norm(channels)
        if same and rng.random() < 0.7:
            self.layers.append(lambda x, old: x + old)
        self.layers.append(self.activation(int(rng.choice(7, p=[0.4, 0.15, 0.1, 0.05, 0.1, 0.1, 0.1]))))
        if min(shape[2:]) > 24 and rng.random() < 0.3:
            self.layers.append(lambda x, old: F.max_pool2d(x, 2))
            shape = (*shape[:2], shape[2] // 2, shape[3] // 2)
        self.layers.append(None)  # from here on this is the old value
        return shape, kept

    def activation(self, k):
        """One of several, plain or in place."""
        plain = [F.relu, lambda x: F.relu(x, inplace=True), F.leaky_relu, ag.tanh, self.viewed, self.written]
        return lambda x, old: plain[k](x) if k < len(plain) else x

    def norm(self, channels):
        w, b = (self.parameter(channels), self.parameter(channels)) if self.rng.random() < 0.7 else (None, None)
        mean, var = self.buffer(channels), self.buffer(channels)
        self.layers.append(lambda x, old: F.batch_norm(x, mean, var, w, b, self.training))

    def viewed(self, x):
        """Half of the channels another way."""
        return ag.cat([x[:, : x.shape[1] // 2].tanh(), x[:, x.shape[1] // 2 :]], 1)

    def written(self, x):
        """Changed in place, through a view, and used before and after."""
        before = (x * 2).sum((2, 3)).sum()
        x = x * 1
        x[:, 0] *= 0.5
        x += 0.25
        return x + before * 1e-6

    def __call__(self, x):
        old, outputs = x, []
        for layer in self.layers:
            if layer is None:
                old = x
                outputs.append(x)
            else:
                x = layer(x, old)
        return outputs

    def step(self, x):
        """A loss, one of the values on the way, and all gradients."""
        outputs = self(x)
        loss = (outputs[-1] ** 2).mean((2, 3)).mean() + outputs[0].mean((2, 3)).mean()
        return loss, outputs[len(outputs) // 2] * 1, *ag.gradient(loss, [x, *self.parameters])


def run(chain, xs, monkeypatch, without=()):
    """What a compiled chain gives on its replays, and what is in its buffers afterwards."""
    with monkeypatch.context() as patch:
        patch.setattr(passes, "PASSES", [p for p in passes.PASSES if p not in without])
        compiled = ag.compile(chain.step)
        found = [[t.detach().numpy().copy() for t in compiled(x)] for x in xs]
    assert compiled.cache_info().replays
    return found, [b.numpy().copy() for b in chain.buffers]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(8))
def test_passes_change_no_bit_and_agree_with_eager(seed, dtype, monkeypatch):
    make = lambda: Chain(seed, dtype, training=seed % 2 == 0)
    eager, chain, bare = make(), make(), make()
    rng = np.random.default_rng(seed)
    xs = [ag.tensor(rng.standard_normal(eager.shape).astype(dtype), requires_grad=True) for _ in range(4)]
    found, buffers = run(chain, xs, monkeypatch)
    without, buffers_without = run(bare, xs, monkeypatch, NEW)
    for a, b in zip((*found[-1], *buffers), (*without[-1], *buffers_without), strict=True):
        np.testing.assert_array_equal(a, b)
    for x, got in zip(xs, found):
        for a, b in zip(got, eager.step(x), strict=True):
            scale = max(np.abs(b.detach().numpy()).max(initial=0), 1e-3)
            np.testing.assert_allclose(a, b.detach().numpy(), rtol=0, atol=TOLERANCE[dtype] * scale)


def loops(compiled):
    """What is in each loop of a replay, and the bytes of its arena."""
    parts = [p for r in compiled.replays() for p in r.parts()]
    names = [" ".join(c.settings["names"]) for p in parts for c in p.program.calls if c.op.name == "fused"]
    return names, sum(p.memory.size for p in parts)


def results(f, *args):
    """What the last of four calls gives, and what it is compiled to."""
    compiled = ag.compile(f)
    found = [compiled(*args) for _ in range(4)][-1]
    assert compiled.cache_info().replays
    return [t.numpy().copy() for t in (found if isinstance(found, tuple) else (found,))], compiled


def draw(*shape, seed=0):
    return ag.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def test_a_norm_shares_the_loop_of_its_relu_and_residual():
    x, w, b = draw(4, 6, 40, 40), draw(6, seed=1), draw(6, seed=2)
    found, compiled = results(lambda x: F.relu(F.batch_norm(x, None, None, w, b, True) + x), x)
    assert loops(compiled)[0] == ["affine add relu"] or not COMPILED
    expected = F.relu(F.batch_norm(x, None, None, w, b, True) + x).numpy()
    np.testing.assert_allclose(found[0], expected, rtol=1e-6, atol=1e-6)
    mean, var = draw(6, seed=3), draw(6, seed=4).abs() + 1
    found, compiled = results(lambda x: F.relu(F.batch_norm(x, mean, var, w, b)), x)
    assert loops(compiled)[0] == ["affine relu"] or not COMPILED
    np.testing.assert_allclose(found[0], F.relu(F.batch_norm(x, mean, var, w, b)).numpy(), rtol=1e-6, atol=1e-6)


def long(x, count=16):
    """Something that takes so many calls, none of which is a loop."""
    for _ in range(count):
        x = x.cumsum(-1)[..., ::-1] * 1
        x = x / x.abs().max()
    return x


@pytest.mark.skipif(not COMPILED, reason="there are no loops to run again")
def test_what_is_made_again_takes_no_memory_meanwhile(monkeypatch):
    ws = [ag.tensor(draw(8, 8, 3, 3, seed=k).numpy() * 0.2, requires_grad=True) for k in range(8)]

    def step(x):
        for w in ws:
            x = F.relu(F.batch_norm(F.conv2d(x, w, None, 1, 1), None, None, None, None, True))
        return ag.gradient((x * x).mean((2, 3)).sum(), ws)

    x = draw(4, 8, 40, 40)
    found, compiled = results(step, x)
    monkeypatch.setattr(passes, "PASSES", [p for p in passes.PASSES if p is not recomputed])
    expected, kept = results(step, x)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert len(loops(compiled)[0]) > len(loops(kept)[0]) and loops(compiled)[1] < 0.8 * loops(kept)[1]


CHANGED = {
    "what it is made of": lambda x, y, b: x.add_(1),
    "a number of each channel": lambda x, y, b: b.add_(1),
    "the value itself": lambda x, y, b: y.add_(1),
    "a part of it": lambda x, y, b: y[:, 1:].mul_(2),
    "nothing": lambda x, y, b: None,
}


@pytest.mark.parametrize("what", CHANGED)
def test_what_changed_in_between_is_seen_or_not_as_without_compiling(what):
    def f(x, b):
        x, b = x * 1, b * 1
        y = F.relu(x + b)
        CHANGED[what](x, y, b)
        z = long(x[:1, :1] + y[:1, 1:2] + b[:1])
        return y @ z, x @ z

    x, b = draw(4, 6, 40, 40), draw(6, 1, 1, seed=1)
    found, compiled = results(f, x, b)
    assert (loops(compiled)[0].count("add relu") == 2) == (what == "nothing") or not COMPILED
    for a, e in zip(found, f(x, b), strict=True):
        np.testing.assert_allclose(a, e.numpy(), rtol=1e-5)
