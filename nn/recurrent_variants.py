"""Variations on recurrent networks, as parts that go with any cell or layer.

A cell is a module called on one step (batch, inputs) and a state, which gives the next state: a tensor, or several of
which the first is the output.  `initial_state(batch)` is where it starts.  `begin(state)`, if a cell has it, gives what
makes the steps of one sequence.  `Recurrent` takes cells over sequences; everything else here is a cell, is made around
one, or goes before or around whole layers, those of nn/recurrent.py included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from autograd_core import Tensor, cat, empty, ones, ones_like, rand, stack, tensor, where, zeros
from autograd_core.ops.arguments import innermost_of
from autograd_core.tree import flatten, tree_map

from . import functional as F
from .containers import ModuleList
from .linear import Linear, uniform
from .module import Module
from .parameter import Parameter
from .recurrent import RNNCellBase, known
from .utils.rnn import PackedSequence

__all__ = [
    "JordanRNN", "LearnableInitialState", "PeepholeLSTM", "PeepholeLSTMCell", "Recurrent", "RecurrentDropout",
    "VariationalDropout",
]  # fmt: skip


class Steps:
    """A sequence in one of the forms that layers take, as a list of steps (batch, inputs)."""

    def __init__(self, input: Any, batch_first: bool, width: int | None = None):
        self.packed = input if isinstance(input, PackedSequence) else None
        x = input.data if self.packed else input
        if (
            not hasattr(x, "ndim")
            or x.ndim not in ((2,) if self.packed else (2, 3))
            or width not in (None, x.shape[-1])
        ):
            axes = "(batch, time, inputs)" if batch_first else "(time, batch, inputs)"
            given = tuple(x.shape) if hasattr(x, "shape") else type(x).__name__
            wanted = "" if width is None else f" with {width} inputs"
            raise ValueError(f"expected {axes}, (time, inputs) or a PackedSequence{wanted}, got {given}")
        self.alone, self.axis = not self.packed and x.ndim == 2, int(batch_first)
        if self.packed:
            self.list = list(x.split(innermost_of(input.batch_sizes).tolist()))
        else:
            self.list = list((x.unsqueeze(1 - self.axis) if self.alone else x).unbind(self.axis))
        if not self.list:
            raise ValueError(f"the sequences have no steps: input is {tuple(x.shape)}")
        self.batch = self.list[0].shape[0]

    def whole(self, steps: list) -> Any:
        """Steps in the form of the input."""
        if self.packed:
            return PackedSequence(cat(steps), *self.packed[1:])
        y = stack(steps, self.axis)
        return y.squeeze(1 - self.axis) if self.alone else y

    def entering(self, state: Any) -> Any:
        """A state (..., batch, size) as it was given, in the order of the steps."""
        order = self.packed.sorted_indices if self.packed else None
        turn = lambda s: s.unsqueeze(-2) if self.alone else s if order is None else s.index_select(-2, order)
        return tree_map(turn, state)

    def leaving(self, state: Any) -> Any:
        """A state in the order of the input."""
        back = self.packed.unsorted_indices if self.packed else None
        turn = lambda s: s.squeeze(-2) if self.alone else s if back is None else s.index_select(-2, back)
        return tree_map(turn, state)


def rows(state: Any, count: int) -> Any:
    """The state of the first sequences, which go on when others have ended."""
    return tree_map(lambda s: s if s.shape[0] == count else s[:count], state)


def renewed(state: Any, now: Any) -> Any:
    """The state with that of the first sequences replaced."""
    return tree_map(lambda new, old: new if len(new) == len(old) else cat([new, old[len(new) :]]), now, state)


def output_of(state: Any) -> Tensor:
    """The first tensor of a state."""
    return state[0] if isinstance(state, (tuple, list)) else state


# --- cells over sequences --------------------------------------------------------------------------------------------


class Recurrent(Module):
    """Cells over whole sequences; each argument is a layer: a cell, or a pair of cells, one for each direction.

    Called as RNN, LSTM and GRU are, on all the forms they take, and gives what they give.  `dropout` acts between layers:
    a probability, or a module such as VariationalDropout.

    >>> Recurrent(PeepholeLSTMCell(3, 4))
    >>> Recurrent((GRUCell(3, 4), GRUCell(3, 4)), (GRUCell(8, 4), GRUCell(8, 4)), dropout=0.5)
    """

    def __init__(self, *layers: Any, batch_first: bool = False, dropout: float | Module = 0.0):
        pairs = [layer if isinstance(layer, (tuple, list)) else (layer,) for layer in layers]
        if not pairs or any(not isinstance(c, Module) for p in pairs for c in p) or {len(p) for p in pairs} - {1, 2}:
            raise TypeError("Recurrent: each argument is a cell or a pair of cells, one for each direction")
        shapes = {str([tuple(s.shape) for s in flatten(_initial(c, 1))[0]]) for p in pairs for c in p}
        if len(shapes) > 1 or len({len(p) for p in pairs}) > 1:
            raise ValueError(
                f"Recurrent: all layers must have states of the same sizes and the same directions, got {sorted(shapes)}; "
                "others go into a Recurrent of their own"
            )
        self.layers = ModuleList([ModuleList(p) if len(p) > 1 else p[0] for p in pairs])
        self.batch_first, self.bidirectional = batch_first, len(pairs[0]) > 1
        self.dropout = dropout if isinstance(dropout, Module) else _probability(dropout, "Recurrent: dropout")

    def cells(self) -> list[list[Any]]:
        """The cells of each layer."""
        return [list(layer) if isinstance(layer, ModuleList) else [layer] for layer in self.layers]

    def initial_state(self, batch: int) -> Any:
        """The states of all cells, in which sequences start if none are given."""
        return _together([_initial(cell, batch) for layer in self.cells() for cell in layer])

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Outputs of the last layer after each step, in the form of input, and the states of all cells after the last."""
        steps = Steps(input, self.batch_first)
        state = self.initial_state(steps.batch) if hx is None else steps.entering(self._checked(hx, steps))
        after, x = [], input
        for n, layer in enumerate(self.cells()):
            if n:
                steps = Steps(self._between(x), self.batch_first)
            outputs = []
            for k, cell in enumerate(layer):
                own = tree_map(lambda s: s[n * len(layer) + k], state)  # noqa: B023
                ys, last = over(cell, steps.list, own, reverse=k == 1)
                outputs.append(ys)
                after.append(last)
            x = steps.whole(outputs[0] if len(outputs) == 1 else [cat(pair, -1) for pair in zip(*outputs)])
        return x, steps.leaving(_together(after))

    def _between(self, x: Any) -> Any:
        """What a layer gives to the next."""
        if isinstance(self.dropout, Module):
            return self.dropout(x)
        drop = lambda v: F.dropout(v, self.dropout, self.training)
        return PackedSequence(drop(x.data), *x[1:]) if isinstance(x, PackedSequence) else drop(x)

    def extra_repr(self) -> str:
        usual = {"batch_first": False, "dropout": 0}
        given = {k: vars(self)[k] for k, v in usual.items() if vars(self)[k] != v}
        return ", ".join(f"{k}={v}" for k, v in given.items() if not isinstance(v, Module))

    def _checked(self, hx: Any, steps: Steps) -> Any:
        """hx, if it has the form that states have."""
        wanted = self.initial_state(1 if steps.alone else steps.batch)
        like = [tuple(s.squeeze(-2).shape if steps.alone else s.shape) for s in flatten(wanted)[0]]
        given = [tuple(getattr(s, "shape", ())) for s in flatten(hx)[0]]
        if given != like:
            raise ValueError(f"the first states must have the shapes {like}, got {given}")
        return hx


def over(cell: Any, steps: list, state: Any, reverse: bool = False) -> tuple[list, Any]:
    """The outputs of a cell after each step and its state after the last; steps may have fewer rows than the first."""
    step, outputs = begun(cell, state), {}
    for t in range(len(steps))[:: -1 if reverse else 1]:
        now = step(steps[t], rows(state, steps[t].shape[0]))
        outputs[t], state = output_of(now), renewed(state, now)
    return [outputs[t] for t in range(len(steps))], state


def begun(cell: Any, state: Any) -> Callable:
    """What makes the steps of one sequence that starts in this state."""
    return cell.begin(state) if hasattr(cell, "begin") else cell


def _initial(cell: Any, batch: int) -> Any:
    if not hasattr(cell, "initial_state"):
        raise TypeError(
            f"a cell has a method initial_state(batch), which {type(cell).__name__} has not; see RNNCellBase"
        )
    return cell.initial_state(batch)


def _together(states: list) -> Any:
    """States of several cells along a first axis."""
    return tree_map(lambda *each: stack(each), states[0], *states[1:])


# --- dropout that keeps its mask ---------------------------------------------------------------------------------------


class VariationalDropout(Module):
    """In training, features of each sequence set to 0 with probability p, the same at all steps; others are scaled.

    For inputs and outputs of layers, between them too: (time, batch, features), with `batch_first` (batch, time,
    features), (time, features), or packed.
    """

    def __init__(self, p: float = 0.5, batch_first: bool = False):
        self.p, self.batch_first = _probability(p, "VariationalDropout: p"), batch_first

    def forward(self, input: Any) -> Any:
        """The same sequences without some of their features."""
        if not self.training or not self.p:
            return input
        if isinstance(input, PackedSequence):
            sizes = innermost_of(input.batch_sizes)
            place = tensor(np.concatenate([np.arange(n) for n in sizes]))
            mask = F.dropout(ones(int(sizes[0]), *input.data.shape[1:], dtype=input.data.dtype), self.p)
            return PackedSequence(input.data * mask[place], *input[1:])
        time = 1 if self.batch_first and input.ndim > 2 else 0
        shape = [1 if axis == time else n for axis, n in enumerate(input.shape)]
        return input * F.dropout(ones(shape, dtype=input.dtype), self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}" + (", batch_first=True" if self.batch_first else "")


class RecurrentDropout(Module):
    """A cell that in training sees its last output with entries set to 0 with probability p, and others scaled.

    They are the same entries at all steps of a sequence, others for each sequence; or new ones at each step if not
    `variational`.  What else belongs to the state, as the cells of an LSTM, is left alone.  With what comes in dropped too:

    >>> Sequential(VariationalDropout(0.2), Recurrent(RecurrentDropout(LSTMCell(3, 4), 0.2)))
    """

    def __init__(self, cell: Module, p: float = 0.5, variational: bool = True):
        self.cell, self.p, self.variational = cell, _probability(p, "RecurrentDropout: p"), variational

    def initial_state(self, batch: int) -> Any:
        """That of the cell."""
        return _initial(self.cell, batch)

    def begin(self, state: Any) -> Callable:
        """Steps that share one mask."""
        step = begun(self.cell, state)
        if not self.training or not self.p:
            return step
        mask = F.dropout(ones_like(output_of(state)), self.p) if self.variational else None

        def dropped(h: Tensor) -> Tensor:
            return F.dropout(h, self.p) if mask is None else h * rows(mask, h.shape[0])

        return lambda x, s: step(x, (dropped(s[0]), *s[1:]) if isinstance(s, (tuple, list)) else dropped(s))

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """One step, with a mask of its own."""
        state = self.initial_state(input.shape[0]) if hx is None else hx
        return self.begin(state)(input, state)

    def extra_repr(self) -> str:
        return f"p={self.p}" + ("" if self.variational else ", variational=False")


def _probability(p: Any, what: str) -> float:
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p <= 1:
        raise ValueError(f"{what} is a probability from 0 to 1, got {p!r:.40}")
    return p


# --- a learned beginning -----------------------------------------------------------------------------------------------


class LearnableInitialState(Module):
    """A layer or a cell whose first state is a parameter, zeros before training: `h0`, and `c0` if there are cells.

    >>> LearnableInitialState(LSTM(3, 4, num_layers=2))
    """

    def __init__(self, layer: Module):
        self.layer = layer
        first = _initial(layer, 1)
        self.several = isinstance(first, (tuple, list))
        for name, state in zip(("h0", "c0"), first if self.several else (first,)):
            self.register_parameter(name, Parameter(state.detach().squeeze(-2)))

    def initial_state(self, batch: int) -> Any:
        """The parameters, for each sequence of a batch."""
        return self._spread(lambda p: p.unsqueeze(-2).expand(*p.shape[:-1], batch, p.shape[-1]))

    def _spread(self, change: Callable) -> Any:
        held = cast(Any, self)
        return (change(held.h0), change(held.c0)) if self.several else change(held.h0)

    def forward(self, input: Any, hx: Any = None, **options: Any) -> Any:
        """What the layer gives, from the learned state if none is given."""
        return self.layer(input, self._first(input) if hx is None else hx, **options)

    def _first(self, input: Any) -> Any:
        """The state for this input."""
        if isinstance(input, PackedSequence):
            return self.initial_state(int(input.batch_sizes[0]))
        cell = cast(Any, self).h0.ndim == 1
        if input.ndim == (1 if cell else 2):
            return self._spread(lambda p: p)
        return self.initial_state(input.shape[0 if cell or getattr(self.layer, "batch_first", False) else 1])


# --- peepholes ---------------------------------------------------------------------------------------------------------


class PeepholeLSTMCell(RNNCellBase):
    """One step of an LSTM whose gates see its cells: the gates i and f those before the step, o those after.

    `weight_ch` has the weights of the cells, which each gate takes one by one, for i, f and o in three rows; everything
    else is as in LSTMCell.  The functions of the gates, of the candidate and of the output may be others.
    """

    cells = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        gate: Callable = F.sigmoid,
        candidate: Callable = F.tanh,
        output: Callable = F.tanh,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)
        self.weight_ch = Parameter(empty(3, hidden_size, device=device, dtype=dtype))
        uniform(hidden_size, self.weight_ch)
        self.gate, self.candidate, self.output = gate, candidate, output

    def step(self, input: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Any, b_hh: Any) -> Any:
        """The next (h, c)."""
        h, c = hx
        i, f, g, o = (F.linear(input, w_ih, b_ih) + F.linear(h, w_hh, b_hh)).split(self.hidden_size, -1)
        see_i, see_f, see_o = self.weight_ch.unbind()
        c = self.gate(f + see_f * c) * c + self.gate(i + see_i * c) * self.candidate(g)
        return self.gate(o + see_o * c) * self.output(c), c


class PeepholeLSTM(Recurrent):
    """Layers of PeepholeLSTMCell over whole sequences, with the arguments of LSTM."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        directions = 2 if bidirectional else 1
        widths = [input_size] + [hidden_size * directions] * (num_layers - 1)
        cell = lambda width: PeepholeLSTMCell(width, hidden_size, bias, device=device, dtype=dtype)
        layers = [[cell(width) for _ in range(directions)] for width in widths]
        super().__init__(*layers, batch_first=batch_first, dropout=dropout)


# --- recurrence from the output ----------------------------------------------------------------------------------------


class JordanRNN(Module):
    """A network whose next step sees its last output: h = tanh(U x + W y + b), where y is the output V h + c before.

    In training with a `target`, the true outputs take the place of its own, all of them, or each with the probability
    `teacher_forcing`, which may be changed as training goes on (scheduled sampling).  In evaluation, and without a
    target, it runs freely.  `feedback` makes of an output what is fed back, for instance probabilities of scores;
    targets are of that kind.  `nonlinearity` is "tanh" or "relu".
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        feedback: Callable | None = None,
        teacher_forcing: float = 1.0,
        device: Any = None,
        dtype: Any = None,
    ):
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size
        self.nonlinearity, self.batch_first, self.feedback = known(nonlinearity, "JordanRNN"), batch_first, feedback
        self.teacher_forcing = _probability(teacher_forcing, "JordanRNN: teacher_forcing")
        self.ahead = Linear(input_size, hidden_size, bias, device, dtype)
        self.back = Linear(output_size, hidden_size, False, device, dtype)
        self.out = Linear(hidden_size, output_size, bias, device, dtype)

    def initial_state(self, batch: int) -> Tensor:
        """Zeros, which the first step sees if no state is given."""
        return zeros(1, batch, self.output_size, dtype=self.back.weight.dtype)

    def forward(self, input: Any, hx: Tensor | None = None, target: Any = None) -> tuple[Any, Tensor]:
        """Outputs at each step, in the form of input, and (1, batch, outputs) what the last of them feeds back.

        `target` has the form of input too; `hx` (1, batch, outputs) is what the first step sees.
        """
        steps = Steps(input, self.batch_first, self.input_size)
        first = self.initial_state(steps.batch) if hx is None else steps.entering(hx)
        if tuple(first.shape) != (1, steps.batch, self.output_size):
            raise ValueError(
                f"the first state must be (1, {steps.batch}, {self.output_size}), got {tuple(first.shape)}"
            )
        true = self._true(target, steps) if self.training and target is not None else None
        if true is not None and self.teacher_forcing == 1:
            ys = self._forced(steps.list, [first[0], *true[:-1]])
        else:
            ys = self._free(steps.list, first[0], true)
        last = first[0]
        for y in ys:
            last = renewed(last, y)
        last = last if self.feedback is None else self.feedback(last)
        return steps.whole(ys), steps.leaving(last.unsqueeze(0))

    def _true(self, target: Any, steps: Steps) -> list:
        """The true outputs, step by step."""
        true = Steps(target, self.batch_first, self.output_size)
        if [len(t) for t in true.list] != [len(x) for x in steps.list]:
            raise ValueError("target must have as many steps and sequences as input")
        return true.list

    def _step(self, x: Tensor, before: Tensor) -> Tensor:
        a = x + self.back(before)
        return self.out(F.tanh(a) if self.nonlinearity == "tanh" else F.relu(a))

    def _forced(self, steps: list, before: list) -> list:
        """All steps at once: none waits for another if what each sees is known."""
        seen = [rows(b, len(x)) for b, x in zip(before, steps)]
        return list(self._step(self.ahead(cat(steps)), cat(seen)).split([len(x) for x in steps]))

    def _free(self, steps: list, before: Tensor, true: list | None) -> list:
        """One step after the other; each sees the true output before it with the probability of teacher forcing."""
        ys: list = []
        for t, (x, a) in enumerate(zip(steps, self.ahead(cat(steps)).split([len(x) for x in steps]))):
            if t:
                before = ys[-1] if self.feedback is None else self.feedback(ys[-1])
            if t and true is not None:
                before = where(rand(len(before), 1) < self.teacher_forcing, true[t - 1], before)
            ys.append(self._step(a, rows(before, len(x))))
        return ys

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}, {self.output_size}"
        usual = {"nonlinearity": "tanh", "batch_first": False, "teacher_forcing": 1.0}
        return text + "".join(f", {k}={getattr(self, k)!r}" for k, v in usual.items() if getattr(self, k) != v)
