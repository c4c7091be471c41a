"""LSTM, GRU and the plain RNN over whole sequences, forward and back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import autograd_core as ag
from benchmarks.rows import Row

try:
    import torch
except ImportError:
    torch = None

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1}
SIZES = [(28, 128, 28, 128), (100, 32, 256, 256), (10, 4, 16, 16)]  # steps, batch, inputs, states


def _ours(name, x, states, params, g, back):
    weights, seed = [ag.tensor(p, requires_grad=back) for p in params], ag.tensor(g)
    hx = states if name == "lstm" else states[0]

    def step():
        y = getattr(ag, name)(x, hx, weights)[0]
        return ag.gradient(y, weights, seed) if back else y

    x, hx = ag.tensor(x), [ag.tensor(s) for s in hx] if name == "lstm" else ag.tensor(hx)
    return step


def _theirs(name, x, states, params, g, back):
    if torch is None:
        return None
    weights, seed, x = [torch.tensor(p, requires_grad=back) for p in params], torch.tensor(g), torch.tensor(x)
    hx = [torch.tensor(s) for s in states]
    hx = hx if name == "lstm" else hx[0]

    def step():
        y = getattr(torch, name)(x, hx, weights, True, 1, 0.0, back, False, False)[0]
        return torch.autograd.grad(y, weights, seed) if back else y

    return step


def rows() -> Iterator[Row]:
    """Pictures read row by row, a longer sequence, and a small one."""
    rng = np.random.default_rng(0)
    for steps, batch, inputs, h in SIZES:
        draw = lambda *shape: (rng.standard_normal(shape) * 0.1).astype("f")
        for name, gates in GATES.items():
            k = gates * h
            params = [draw(k, inputs), draw(k, h), draw(k), draw(k)]
            states = [draw(1, batch, h) for _ in range(1 + (name == "lstm"))]
            x, g = draw(steps, batch, inputs), draw(steps, batch, h)
            flops = 2.0 * steps * batch * k * (inputs + h)
            for back in (False, True):
                what = f"{name}{', forward and back' * back}"
                size = f"{steps} steps, {batch} x {inputs}, {h} states"
                calls = [f(name, x, states, params, g, back) for f in (_ours, _theirs)]
                yield Row(
                    "recurrent",
                    what,
                    size,
                    *calls,
                    flops=flops * (3 if back else 1) - back * flops * inputs / (inputs + h),
                )
