"""Recurrent networks over whole sequences: LSTM, GRU and the plain RNN, and one step of each.

One primitive runs one layer in one direction over all steps, and its pull runs back.  Sequences of several lengths are
packed: longest first, the steps one after the other, each with a row for every sequence that is that long.
"""

from __future__ import annotations

import numpy as np

from ..direct import unrecorded
from ..kernels import recurrent as kernel
from ..kernels._steps import added, copied
from ..op import op
from ..tensor import at
from .arguments import innermost_of
from .arranging import along, cat_along, permuted, reshape_to, split_at, stack_along, view_at
from .base import broadcast_to
from .composed import OnDemand, arrived, pulled_back
from .dropout import dropout as dropped_out
from .gather import whole_numbers
from .math import relu, sigmoid, tanh
from .products import product

__all__ = [
    "gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell",
]  # fmt: skip

GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}
NAMES = {"lstm": "lstm", "gru": "gru", "tanh": "rnn_tanh", "relu": "rnn_relu"}
WORDS = {2: np.dtype("int16"), 4: np.dtype("int32"), 8: np.dtype("int64")}


# --- as a composition ------------------------------------------------------------------------------------------------


def _lstm_step(a, b, h, c):
    i, f, g, o = split_at(a + b, axis=-1, sizes=(c.shape[-1],) * 4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def _gru_step(a, b, h, c):
    (r, z, n), (s, t, m) = (split_at(v, axis=-1, sizes=(h.shape[-1],) * 3) for v in (a, b))
    r, z = sigmoid(r + s), sigmoid(z + t)
    n = tanh(n + r * m)
    return (1 - z) * n + z * h, c


STEPS = {
    "lstm": _lstm_step,
    "gru": _gru_step,
    "tanh": lambda a, b, h, c: (tanh(a + b), c),
    "relu": lambda a, b, h, c: (relu(a + b), c),
}


def _rows(x, first, last):
    """Some rows of a matrix."""
    return x if (first, last) == (0, x.shape[0]) else view_at(x, index=along(-2, slice(first, last)))


def stepped(a, bias_h, h, c, w, kind, sizes, reverse, shorter=None):
    """The states after each step and after the last, step by step; a is what the inputs give to the gates."""
    batch, order, ys = h.shape[0], range(len(sizes)), {}
    starts = kernel.starts_of(sizes).tolist()
    for t in reversed(order) if reverse else order:
        m = sizes[t]
        before, cell = _rows(h, 0, m), _rows(c, 0, m)
        now, cell = STEPS[kind](_rows(a, starts[t], starts[t + 1]), product(before, w.mT) + bias_h, before, cell)
        ys[t] = now = now if shorter is None else product(now, shorter.mT)
        h = now if m == batch else cat_along(now, _rows(h, m, batch), axis=-2)
        c = cell if m == batch else cat_along(cell, _rows(c, m, batch), axis=-2)
    return cat_along(*[ys[t] for t in order], axis=-2), h, c


# --- primitives ------------------------------------------------------------------------------------------------------


def _rule(g, y, x, v, bias, bias_h, h0, c0, w, kind, sizes, reverse):
    """The pull gives what arrives at the gates; what arrives at x and v follows if it is asked for."""
    gs = [arrived(ct, like) for ct, like in zip(g[:3], y)]
    da, db, db_h, dh, dc, dw = sequence_pull(
        *gs, y[3], x, v, bias, bias_h, h0, c0, w, kind=kind, sizes=sizes, reverse=reverse
    )
    return OnDemand(lambda: product(da, v), lambda: product(da.mT, x), db, db_h, dh, dc, dw)


def _rule_of_pull(g, g_hs, g_h, g_c, x, v, bias, bias_h, h0, c0, w, kind, sizes, reverse):
    """By differentiating the composition twice."""

    def back(g_hs, g_h, g_c, x, v, bias, bias_h, h0, c0, w):
        run = lambda a, bias_h, h0, c0, w: stepped(a, bias_h, h0, c0, w, kind, sizes, reverse)
        da, db_h, dh, dc, dw = pulled_back(run, (product(x, v.mT) + bias, bias_h, h0, c0, w), (g_hs, g_h, g_c))
        return da, da.sum(-2), db_h, dh, dc, dw

    found = pulled_back(back, (g_hs, g_h, g_c, x, v, bias, bias_h, h0, c0, w), g)
    return (*found[:3], None, *found[3:])


def _together(size, values, batched, *, sizes, **params):
    """A batch of inputs and states is a larger batch, unless the weights differ too, or lengths do."""
    from ..vmap import one_by_one

    if len(set(sizes)) != 1 or any(batched[1:4]) or batched[6] or not size:
        return one_by_one(run_sequence.op, values, batched, size, {"sizes": sizes, **params})
    x, v, bias, bias_h, h, c, w = values
    steps, rows = len(sizes), sizes[0]
    spread = lambda a, b: a if b else broadcast_to(a, shape=(size, *a.shape))
    x = permuted(reshape_to(spread(x, batched[0]), shape=(size, steps, rows, x.shape[-1])), axes=(-3, -4, -2, -1))
    h, c = (reshape_to(spread(a, b), shape=(size * rows, a.shape[-1])) for a, b in zip((h, c), batched[4:6]))
    x = reshape_to(x, shape=(steps * size * rows, x.shape[-1]))
    hs, h, c, words = run_sequence(x, v, bias, bias_h, h, c, w, sizes=(size * rows,) * steps, **params)
    apart = lambda a: reshape_to(
        permuted(reshape_to(a, shape=(steps, size, rows, a.shape[-1])), axes=(-3, -4, -2, -1)),
        shape=(size, steps * rows, a.shape[-1]),
    )
    last = lambda a: reshape_to(a, shape=(size, rows, a.shape[-1]))
    return apart(hs), last(h), last(c), apart(words)


def _sample(kind):
    """Sequences of one length, and of several."""

    def draw(rng):
        h, m = int(rng.integers(1, 4)), int(rng.integers(0, 4))
        sizes = [(2, 2), (3,), (3, 2, 2, 1), (1, 1, 1)][rng.integers(4)]
        k, n, wide = GATES[kind] * h, sum(sizes), h if kind == "lstm" else 0
        shapes = (n, m), (k, m), (k,), (k,), (sizes[0], h), (sizes[0], wide), (k, h)
        params = {"kind": kind, "sizes": sizes, "reverse": bool(rng.integers(2))}
        away = (rng.uniform(0.2, 1.0, s) * rng.choice([-1, 1], s) for s in shapes)
        return [a if i != 2 else a + 3 * (kind == "relu") for i, a in enumerate(away)], params

    return draw


@op(together=_rule, batch=_together, samples=[_sample(kind) for kind in GATES])
def run_sequence(x, v, bias, bias_h, h0, c0, w, *, kind, sizes, reverse):
    """States after all steps and after the last, cells after the last, and words in which the pull finds the gates.

    x: (n, m), v: (k h, m), w: (k h, h), h0: (batch, h); c0 has no columns where there are no cells.
    """
    if kind == "lstm":
        hs, h, c, saved = kernel.lstm(x, v, added(bias, bias_h), h0, c0, w, sizes, reverse)
    elif kind == "gru":
        (hs, h, saved), c = kernel.gru(x, v, bias, bias_h, h0, w, sizes, reverse), copied(c0)
    else:
        (hs, h, saved), c = kernel.rnn(x, v, added(bias, bias_h), h0, w, sizes, reverse, kind == "relu"), copied(c0)
    return hs, h, c, saved.view(WORDS[saved.itemsize])


@op(together=_rule_of_pull)
def sequence_pull(g_hs, g_h, g_c, words, x, v, bias, bias_h, h0, c0, w, *, kind, sizes, reverse):
    """What arrives at x @ v.T, at the biases, the first states and w."""
    saved = words.view(w.dtype)
    if kind == "lstm":
        da, db, dh, dc, dw = kernel.lstm_pull(g_hs, g_h, g_c, saved, w, sizes, reverse)
        return da, db, copied(db), dh, dc, dw
    if kind == "gru":
        da, db, db_h, dh, dw = kernel.gru_pull(g_hs, g_h, saved, w, sizes, reverse)
        return da, db, db_h, dh, copied(g_c), dw
    da, db, dh, dw = kernel.rnn_pull(g_hs, g_h, saved, w, sizes, reverse, kind == "relu")
    return da, db, copied(db), dh, copied(g_c), dw


# --- layers ----------------------------------------------------------------------------------------------------------


class Layers:
    """A call of lstm, gru or rnn on packed rows: its layers one after the other, each in one direction or in both."""

    def __init__(self, kind, sizes, h0, c0, params, has_biases, num_layers, dropout, train, bidirectional):
        self.kind, self.name, self.sizes, self.h0, self.c0 = kind, NAMES[kind], sizes, h0, c0
        self.directions, self.layers = 2 if bidirectional else 1, num_layers
        self.dropout = dropout if train else 0
        self.shorter = c0 is not None and c0.shape[-1] != h0.shape[-1]
        self.biases, each = has_biases, 2 + 2 * bool(has_biases) + self.shorter
        count = self.directions * num_layers
        if len(params) != each * count:
            raise ValueError(
                f"{self.name}: {count} times {each} weights are needed for num_layers={num_layers}, "
                f"bidirectional={bool(bidirectional)}, has_biases={bool(has_biases)}, got {len(params)}"
            )
        self.params = [params[k * each : (k + 1) * each] for k in range(count)]

    def run(self, x):
        """The states of the last layer after each step; those of all layers after the last; and cells."""
        hs, cs = [], []
        for layer in range(self.layers):
            ys = []
            for k in range(layer * self.directions, (layer + 1) * self.directions):
                y, h, c = self.one(x, k)
                ys.append(y), hs.append(h), cs.append(c)
            x = ys[0] if len(ys) == 1 else cat_along(*ys, axis=-1)
            if self.dropout and layer < self.layers - 1:
                x = dropped_out(x, self.dropout)
        return x, _stacked(hs), _stacked(cs) if self.c0 is not None else None

    def one(self, x, k):
        """One layer in one direction, from its part of the states."""
        return self.along(x, *(s if s is None else view_at(s, index=(k,)) for s in (self.h0, self.c0)), k)

    def along(self, x, h, c, k):
        """One layer in one direction from states (batch, size)."""
        v, w, *rest = self.params[k]
        c = np.empty((h.shape[-2], 0), x.dtype) if c is None else c
        nothing = np.zeros(v.shape[0], x.dtype)
        bias, bias_h = rest[:2] if self.biases else (nothing, nothing)
        self.check(x, v, w, bias, bias_h, h, c, k)
        reverse = bool(k % self.directions)
        if self.shorter:
            return stepped(product(x, v.mT) + bias, bias_h, h, c, w, self.kind, self.sizes, reverse, rest[-1])
        return run_sequence(x, v, bias, bias_h, h, c, w, kind=self.kind, sizes=self.sizes, reverse=reverse)[:3]

    def check(self, x, v, w, bias, bias_h, h, c, k):
        """Raise unless everything fits."""
        size = (c if self.kind == "lstm" else h).shape[-1]
        gates, batch = GATES[self.kind] * size, self.sizes[0]
        wanted = {
            "w_ih": (v, (gates, x.shape[-1])), "w_hh": (w, (gates, h.shape[-1])), "b_ih": (bias, (gates,)),
            "b_hh": (bias_h, (gates,)), "the first state": (h, (batch, h.shape[-1])),
            "the first cell": (c, (batch, c.shape[-1])),
        }  # fmt: skip
        for what, (value, shape) in wanted.items():
            if tuple(value.shape) != shape:
                hint = ""
                if what.startswith("the first") and value.shape[-1] == shape[-1]:
                    hint = f"; the batch has {batch} rows: input is (time, batch, inputs) unless batch_first=True"
                raise ValueError(f"{self.name}: {what} number {k} must be {shape}, got {tuple(value.shape)}{hint}")
            if value.dtype != x.dtype:
                raise TypeError(f"{self.name}: {what} is {value.dtype}, input is {x.dtype}; they must be of one type")


def _stacked(states):
    """States of all layers along a first axis."""
    if len(states) == 1:
        return reshape_to(states[0], shape=(1, *states[0].shape))
    return stack_along(*states, axis=-1 - states[0].ndim)


def _whole(kind, input, hx, params, *rest):
    """Sequences of one length: on their arrays where nothing is recorded, since for few numbers views take longest."""
    states = tuple(hx) if kind == "lstm" else (hx,)
    values = unrecorded((input, *states, *params)) if hasattr(input, "ndim") else None
    if values is None:
        return _of_one_length(kind, input, hx, params, *rest)
    x, states, params = values[0], values[1 : 1 + len(states)], values[1 + len(states) :]
    made = _of_one_length(kind, x, states if kind == "lstm" else states[0], params, *rest)
    return tuple([at(y, None, 0) for y in made])


def _of_one_length(kind, input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first):
    """Sequences of one length: (time, batch, inputs), or (batch, time, inputs)."""
    name = NAMES[kind]
    if not hasattr(input, "ndim") or input.ndim != 3:
        given = f"shape {tuple(input.shape)}" if hasattr(input, "shape") else type(input).__name__
        raise ValueError(f"{name}: input must have 3 axes, (time, batch, inputs) or with batch_first, got {given}")
    x = permuted(input, axes=(-2, -3, -1)) if batch_first else input
    steps, batch, width = x.shape
    if not steps:
        raise ValueError(f"{name}: the sequences have no steps: input is {tuple(input.shape)}")
    h0, c0 = _states(kind, hx, num_layers * (1 + bool(bidirectional)))
    x = reshape_to(x, shape=(steps * batch, width))
    layers = Layers(kind, (batch,) * steps, h0, c0, params, has_biases, num_layers, dropout, train, bidirectional)
    y, h, c = layers.run(x)
    y = reshape_to(y, shape=(steps, batch, y.shape[-1]))
    y = permuted(y, axes=(-2, -3, -1)) if batch_first else y
    return (y, h) if c is None else (y, h, c)


def _packed(kind, data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional):
    """Sequences of several lengths: data has the rows of each step after those of the step before."""
    name, sizes = NAMES[kind], whole_numbers(batch_sizes, NAMES[kind], "batch_sizes")
    sizes = tuple(innermost_of(sizes, f"{name}: batch_sizes").tolist())
    falling = all(a >= b > 0 for a, b in zip((sizes[:1] + sizes)[:-1], sizes))
    if not sizes or not falling or data.ndim != 2 or data.shape[0] != sum(sizes):
        what = f"{sizes}"[:60]
        raise ValueError(
            f"{name}: batch_sizes must be positive, not rise, and add up to the rows of data (rows, inputs); "
            f"got {what} for data of shape {tuple(data.shape)}"
        )
    h0, c0 = _states(kind, hx, num_layers * (1 + bool(bidirectional)))
    layers = Layers(kind, sizes, h0, c0, params, has_biases, num_layers, dropout, train, bidirectional)
    y, h, c = layers.run(data)
    return (y, h) if c is None else (y, h, c)


def _states(kind, hx, count):
    """The first states, and cells if there are any."""
    h0, c0 = hx if kind == "lstm" else (hx, None)
    for what, value in (("h0", h0), ("c0", c0)):
        if value is not None and (value.ndim != 3 or value.shape[0] != count):
            raise ValueError(f"{NAMES[kind]}: {what} must be ({count}, batch, size), got {tuple(value.shape)}")
    return h0, c0


def _public(kind, name, doc):
    """PyTorch's function, in both of its forms."""

    def run(input, *args, **options):
        if "batch_sizes" in options or len(args) > 2 and isinstance(args[2], (list, tuple)):
            return _packed(kind, *_bound(name, PACKED, input, args, options))
        return _whole(kind, *_bound(name, WHOLE, input, args, options))

    run.__name__ = run.__qualname__ = name
    run.__doc__ = doc
    return run


REST = ["params", "has_biases", "num_layers", "dropout", "train", "bidirectional"]
WHOLE, PACKED = ["input", "hx", *REST, "batch_first"], ["data", "batch_sizes", "hx", *REST]


def _bound(name, names, first, args, options):
    """The arguments in order."""
    given = dict(zip(names, (first, *args)))
    twice, unknown = set(given) & set(options), set(options) - set(names)
    if len(args) >= len(names) or twice or unknown:
        raise TypeError(f"{name}: takes ({', '.join(names)})")
    given = {"has_biases": True, "num_layers": 1, "dropout": 0.0, "train": False, "bidirectional": False,
             "batch_first": False} | given | options  # fmt: skip
    if missing := [n for n in names if n not in given]:
        raise TypeError(f"{name}: {missing[0]} is missing; takes ({', '.join(names)})")
    return [given[n] for n in names]


lstm = _public("lstm", "lstm", "Long short-term memory: (output, h, c) of (input, hx, params, has_biases, num_layers, "
               "dropout, train, bidirectional, batch_first), or of (data, batch_sizes, hx, ...) packed.")  # fmt: skip
gru = _public("gru", "gru", "Gated recurrent units: (output, h) of (input, hx, params, has_biases, num_layers, "
              "dropout, train, bidirectional, batch_first), or of (data, batch_sizes, hx, ...) packed.")  # fmt: skip
rnn_tanh = _public("tanh", "rnn_tanh", "The plain recurrent network with tanh; arguments as for gru.")
rnn_relu = _public("relu", "rnn_relu", "The plain recurrent network with relu; arguments as for gru.")


# --- single steps ----------------------------------------------------------------------------------------------------


def _cell(kind, input, h, c, w_ih, w_hh, b_ih, b_hh):
    """One step of one layer."""
    name = f"{NAMES[kind]}_cell"
    for what, value in (("input", input), ("hx", h)):
        if value.ndim != 2:
            raise ValueError(f"{name}: {what} must be (batch, size), got {tuple(value.shape)}")
    params = [w_ih, w_hh]
    nothing = np.zeros(w_ih.shape[0], input.dtype)
    params += [nothing if b is None else b for b in (b_ih, b_hh)]
    layer = Layers(kind, (input.shape[0],), h, c, params, True, 1, 0, False, False)
    layer.name = name
    return layer.along(input, h, c, 0)[1:]


def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of an LSTM from hx = (h, c): the next (h, c)."""
    return _cell("lstm", input, *hx, w_ih, w_hh, b_ih, b_hh)


def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of a GRU."""
    return _cell("gru", input, hx, None, w_ih, w_hh, b_ih, b_hh)[0]


def rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """tanh of what the input and the state give."""
    return _cell("tanh", input, hx, None, w_ih, w_hh, b_ih, b_hh)[0]


def rnn_relu_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """relu of what the input and the state give."""
    return _cell("relu", input, hx, None, w_ih, w_hh, b_ih, b_hh)[0]
