"""Recurrent networks: layers that go over whole sequences, and cells that make one step."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from autograd_core import (
    Tensor,
    empty,
    gru,
    gru_cell,
    lstm,
    lstm_cell,
    rnn_relu,
    rnn_relu_cell,
    rnn_tanh,
    rnn_tanh_cell,
    zeros,
)
from autograd_core.ops.arguments import innermost_of

from .errors import demand_type
from .linear import uniform
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]

MODES = {
    "LSTM": (4, lstm),
    "GRU": (3, gru),
    "RNN_TANH": (1, rnn_tanh),
    "RNN_RELU": (1, rnn_relu),
}


# --- whole sequences -------------------------------------------------------------------------------------------------


class RNNBase(Module):
    """What RNN, LSTM and GRU have in common; `mode` is "RNN_TANH", "RNN_RELU", "LSTM" or "GRU".

    Called on input (time, batch, inputs), with `batch_first` (batch, time, inputs), without a batch (time, inputs), or
    packed, and on the first states, zeros if there are none; gives the outputs of the last layer after each step and
    the states of all layers after the last: (layers * directions, batch, size).
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ):
        if mode not in MODES:
            raise ValueError(f"{type(self).__name__}: mode must be one of {', '.join(MODES)}, got {mode!r:.40}")
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._check_settings()
        self.dropout = float(dropout)
        self._all_weights = []
        for layer in range(num_layers):
            width = input_size if not layer else self._output_size * self._directions
            for suffix in ("", "_reverse")[: self._directions]:
                shapes = self._shapes(width, f"_l{layer}{suffix}")
                self._all_weights.append(list(shapes))
                for name, shape in shapes.items():
                    self.register_parameter(name, Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _output_size(self) -> int:
        return self.proj_size or self.hidden_size

    def _shapes(self, width: int, suffix: str) -> dict[str, tuple[int, ...]]:
        """The parameters of one layer in one direction, in order."""
        gates = MODES[self.mode][0] * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates, width), "weight_hh": (gates, self._output_size)}
        shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)} if self.bias else {}
        shapes |= {"weight_hr": (self.proj_size, self.hidden_size)} if self.proj_size else {}
        return {name + suffix: shape for name, shape in shapes.items()}

    def _check_settings(self) -> None:
        name = type(self).__name__
        for what in ("input_size", "hidden_size", "num_layers"):
            _check_size(getattr(self, what), f"{name}: {what}")
        for what in ("bias", "batch_first", "bidirectional"):
            if not isinstance(getattr(self, what), bool):
                hint = "what comes after the sizes is best given by name, as dropout=0.5"
                raise TypeError(f"{name}: {what} is True or False, got {getattr(self, what)!r:.40}; {hint}")
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout <= 1:
            raise ValueError(f"{name}: dropout is a probability from 0 to 1, got {self.dropout!r:.40}")
        if not 0 <= self.proj_size < self.hidden_size:
            raise ValueError(
                f"{name}: proj_size must be less than hidden_size={self.hidden_size}, to which it is 0 if states keep "
                f"their size; got {self.proj_size}"
            )
        if self.dropout and self.num_layers == 1:
            text = f"{name}: dropout={self.dropout} is between layers, of which there is one: nothing will be dropped"
            warnings.warn(text, stacklevel=4)

    def reset_parameters(self) -> None:
        """Uniform within one over the root of the hidden size."""
        uniform(self.hidden_size, *self.parameters())

    def flatten_parameters(self) -> None:
        """Nothing to do: parameters need not lie side by side in memory here."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Parameter]:
        return [getattr(self, name) for names in self._all_weights for name in names]

    def initial_state(self, batch: int) -> Any:
        """Zeros, from which a batch of sequences starts if no state is given."""
        h, c = (
            zeros(self.num_layers * self._directions, batch, size, dtype=self._flat_weights[0].dtype)
            for size in (self._output_size, self.hidden_size)
        )
        return (h, c) if self.mode == "LSTM" else h

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Outputs after each step, packed if the input is; and the states after the last: h, or (h, c) of an LSTM."""
        x, sizes, order, back = input if isinstance(input, PackedSequence) else (input, None, None, None)
        self._check_input(x, packed=sizes is not None)
        alone = sizes is None and x.ndim == 2
        axis = 0 if self.batch_first else 1
        x = x.unsqueeze(axis) if alone else x
        state = self._state(hx, int(innermost_of(sizes)[0]) if sizes is not None else x.shape[axis], alone, order)
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        run, weights = MODES[self.mode][1], self._flat_weights
        y: Any
        if sizes is not None:
            y, *last = run(x, sizes, state, weights, *options)
            y = PackedSequence(y, sizes, order, back)
        else:
            y, *last = run(x, state, weights, *options, self.batch_first)
        if back is not None:
            last = [s.index_select(1, back) for s in last]
        if alone:
            y, last = y.squeeze(axis), [s.squeeze(1) for s in last]
        return y, (last[0] if len(last) == 1 else tuple(last))

    def _check_input(self, x: Any, packed: bool) -> None:
        if not hasattr(x, "ndim"):
            raise TypeError(f"expected a tensor or a PackedSequence, got {type(x).__name__}")
        shape = "(batch, time, inputs)" if self.batch_first else "(time, batch, inputs)"
        wanted = "packed data (rows, inputs)" if packed else f"{shape}, or (time, inputs) of one sequence"
        if x.ndim not in ((2,) if packed else (2, 3)) or x.shape[-1] != self.input_size:
            raise ValueError(f"expected {wanted} with {self.input_size} inputs, got shape {tuple(x.shape)}")
        demand_type(x, self._flat_weights[0])

    def _state(self, hx: Any, batch: int, alone: bool, order: Any) -> Any:
        """The first states, (layers * directions, batch, size) each, in the order of the packed sequences."""
        zero = self.initial_state(0 if hx is not None else batch)
        if hx is None:
            return zero
        cells = isinstance(zero, tuple)
        given = _states_given(hx, cells)
        found = []
        for name, state, like in zip(("h", "c"), given, zero if cells else (zero,)):
            count, _, size = like.shape
            wanted = (count, size) if alone else (count, batch, size)
            if tuple(state.shape) != wanted:
                why = "(layers * directions, size)" if alone else "(layers * directions, batch, size)"
                batched = "; input is one sequence without a batch axis" if alone else ""
                raise ValueError(f"the first state {name} must be {wanted}, {why}, got {tuple(state.shape)}{batched}")
            demand_type(state, like, f"the first state {name}")
            state = state.unsqueeze(1) if alone else state
            found.append(state if order is None else state.index_select(1, order))
        return tuple(found) if cells else found[0]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        usual = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        return text + "".join(f", {k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v)


class RNN(RNNBase):
    """h = tanh(W x + b + U h + c), or relu, over whole sequences: `nonlinearity` is "tanh" or "relu"."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        self.nonlinearity = known(nonlinearity, "RNN")
        mode = f"RNN_{nonlinearity.upper()}"
        sizes = (input_size, hidden_size, num_layers)
        super().__init__(mode, *sizes, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype)


class LSTM(RNNBase):
    """Long short-term memory over whole sequences; with `proj_size` the state h is a shorter product of what a step gives.

    Weights have the rows of the gates i, f, g, o below each other: c = f c + i g, h = o tanh(c).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ):
        sizes = (input_size, hidden_size, num_layers)
        super().__init__("LSTM", *sizes, bias, batch_first, dropout, bidirectional, proj_size, device, dtype)


class GRU(RNNBase):
    """Gated recurrent units over whole sequences.

    Weights have the rows of the gates r, z, n below each other: n = tanh(W x + b + r (U h + c)), h = (1 - z) n + z h.
    """

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
        sizes = (input_size, hidden_size, num_layers)
        super().__init__("GRU", *sizes, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype)


# --- single steps ----------------------------------------------------------------------------------------------------


class RNNCellBase(Module):
    """What cells have in common: weights of `num_chunks` gates below each other."""

    cells: bool = False  # whether the state is a pair (h, c)

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ):
        for what, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            _check_size(size, f"{type(self).__name__}: {what}")
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = num_chunks * hidden_size
        new: Any = lambda *shape: Parameter(empty(shape, device=device, dtype=dtype))
        self.weight_ih, self.weight_hh = new(gates, input_size), new(gates, hidden_size)
        self.bias_ih: Any = new(gates) if bias else None
        self.bias_hh: Any = new(gates) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform within one over the root of the hidden size."""
        uniform(self.hidden_size, *self.parameters())

    def initial_state(self, batch: int) -> Any:
        """Zeros, from which a batch starts if no state is given."""
        h = zeros(batch, self.hidden_size, dtype=self.weight_ih.dtype)
        return (h, h) if self.cells else h

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """The next state, h or (h, c), of input (batch, inputs) or (inputs), and the state before, zeros if there is none."""
        if not hasattr(input, "ndim") or input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            given = tuple(input.shape) if hasattr(input, "shape") else type(input).__name__
            raise ValueError(f"expected one step (batch, {self.input_size}) or ({self.input_size},), got {given}")
        demand_type(input, self.weight_ih)
        alone = input.ndim == 1
        x = input.unsqueeze(0) if alone else input
        state = self._state(hx, x.shape[0], alone)
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        after = self.step(x, state, *weights)
        if alone:
            return tuple(s.squeeze(0) for s in after) if self.cells else after.squeeze(0)
        return after

    def step(self, input: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Any, b_hh: Any) -> Any:
        """The next state; classes define it."""
        raise TypeError(f"{type(self).__name__}: step is not defined; RNNCell, LSTMCell and GRUCell have one")

    def _state(self, hx: Any, batch: int, alone: bool) -> Any:
        """The state before, with a batch axis."""
        if hx is None:
            return self.initial_state(batch)
        found = []
        for name, state in zip(("h", "c"), _states_given(hx, self.cells)):
            wanted = (self.hidden_size,) if alone else (batch, self.hidden_size)
            if tuple(state.shape) != wanted:
                raise ValueError(f"the state {name} must be {wanted}, as input is, got {tuple(state.shape)}")
            demand_type(state, self.weight_ih, f"the state {name}")
            found.append(state.unsqueeze(0) if alone else state)
        return tuple(found) if self.cells else found[0]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        usual = {"bias": True, "nonlinearity": "tanh"}
        return text + "".join(f", {k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k, v) != v)


class RNNCell(RNNCellBase):
    """One step h = tanh(W x + b + U h + c), or relu: `nonlinearity` is "tanh" or "relu"."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ):
        self.nonlinearity = known(nonlinearity, "RNNCell")
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)

    def step(self, *given: Any) -> Tensor:
        """By tanh or relu."""
        return (rnn_tanh_cell if self.nonlinearity == "tanh" else rnn_relu_cell)(*given)


class LSTMCell(RNNCellBase):
    """One step of an LSTM: (h, c) of an input and the (h, c) before."""

    cells = True

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def step(self, *given: Any) -> Any:
        """The next (h, c)."""
        return lstm_cell(*given)


class GRUCell(RNNCellBase):
    """One step of a GRU."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def step(self, *given: Any) -> Tensor:
        """The next h."""
        return gru_cell(*given)


# --- checks ----------------------------------------------------------------------------------------------------------


def _check_size(size: Any, what: str) -> None:
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
        raise TypeError(f"{what} must be a whole number, got {size!r:.40}")
    if size <= 0:
        raise ValueError(f"{what} must be positive, got {size}")


def known(nonlinearity: Any, name: str) -> str:
    if nonlinearity not in ("tanh", "relu"):
        hint = "; bias= and what follows are best given by name" if isinstance(nonlinearity, bool) else ""
        raise ValueError(f"{name}: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r:.40}{hint}")
    return nonlinearity


def _states_given(hx: Any, cells: bool) -> tuple:
    """hx as a tuple of one or two tensors."""
    if cells and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
        raise TypeError(f"the state of an LSTM is a pair (h, c), got {_told(hx)}")
    states = tuple(hx) if cells else (hx,)
    if any(not hasattr(s, "ndim") for s in states):
        raise TypeError(f"the state must be {'a pair of tensors (h, c)' if cells else 'one tensor h'}, got {_told(hx)}")
    return states


def _told(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}: {', '.join(type(v).__name__ for v in value)}"[:80]
    return f"shape {tuple(value.shape)}" if hasattr(value, "shape") else type(value).__name__
