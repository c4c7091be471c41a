"""LSTM, GRU and the plain RNN over whole sequences, forward and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.rows import Row

from .calls import call, normal, slopes

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1}
SIZES = [(28, 128, 28, 128), (100, 32, 256, 256), (10, 4, 16, 16)]  # steps, batch, inputs, states


def over(name: str, train: bool) -> Callable:
    """The function, of weights, input and first states."""

    def f(l: Any, w: Any, u: Any, a: Any, b: Any, x: Any, *states: Any) -> Any:
        hx = states if name == "lstm" else states[0]
        return getattr(l.m, name)(x, hx, [w, u, a, b], True, 1, 0.0, train, False, False)[0]

    return f


def rows() -> Iterator[Row]:
    """Pictures read row by row, a longer sequence, and a small one."""
    for steps, batch, n, h in SIZES:
        for name, gates in GATES.items():
            k, count = gates * h, 1 + (name == "lstm")
            shapes = [(k, n), (k, h), (k,), (k,), (steps, batch, n), *[(1, batch, h)] * count]
            scale = h**-0.5  # larger weights make of rounding something else in a hundred steps
            arrays = lambda s=shapes, c=scale: [normal(*shape, seed=i) * c for i, shape in enumerate(s)]
            flops = 2.0 * steps * batch * k * (n + h)
            back = flops + 2.0 * steps * batch * k * (n + 2 * h)
            title = f"{name}, {steps} steps, {batch} x {n}, {h} states"
            yield call("recurrent", title, arrays, over(name, False), "ours", "torch", flops=flops)
            yield slopes(
                "recurrent and gradients",
                title,
                arrays,
                over(name, True),
                4,
                "ours",
                "torch",
                flops=back,
                tolerance=1e-3,
            )
