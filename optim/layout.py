"""The parameters of a group as one native call wants them: addresses in a table, counters in a matrix.

Everything that a step can find out beforehand is found out once.  A step then looks whether all arrays are still the
same ones, enters the gradients in the table, and asks the rule of the step for its numbers: once, if all parameters
have been stepped equally often.
"""

from __future__ import annotations

from operator import is_
from typing import Any

import numpy as np

from autograd_core import Tensor, tape
from autograd_core.kernels import together

SMALL = 16  # entries: with fewer, NumPy is quick enough, and nothing waits for a compiler


def stepped(group: dict[str, Any]) -> tuple[list[Any], list[np.ndarray]]:
    """The parameters of a group that have gradients, and these."""
    try:
        return group["params"], [p.leaf.grad.value for p in group["params"]]
    except AttributeError:  # some have none
        params = [p for p in group["params"] if p.grad is not None]
        return params, [p.grad.value for p in params]


def check_gradient(g: Any, v: Any, who: str) -> None:
    """Raise if a gradient does not belong to a parameter."""
    if not isinstance(g, np.ndarray) or not isinstance(v, np.ndarray):
        raise TypeError(
            f"{who}: a parameter or its gradient belongs to a transform that has not ended; step outside of it"
        )
    if g.shape != v.shape or g.dtype != v.dtype:
        raise ValueError(
            f"{who}: a parameter of shape {v.shape} {v.dtype} has a gradient of shape {g.shape} {g.dtype}: the parameter "
            "was given other data after the backward; call zero_grad() and backward() again"
        )


def check_writable(v: Any) -> None:
    """Raise if a parameter cannot be changed."""
    if not getattr(getattr(v, "flags", None), "writeable", True):
        raise RuntimeError(f"step: a parameter of shape {v.shape} is read-only memory; clone() it first")


def plain(a: np.ndarray) -> np.ndarray:
    """An array whose complex entries, if it has any, are shown as pairs of real ones, in the same memory."""
    if a.dtype.kind != "c":
        return a
    real = a.real
    return np.lib.stride_tricks.as_strided(real, (*a.shape, 2), (*a.strides, real.itemsize))


def single(update: Any, p: Any, gradient: Any, state: dict[str, Any]) -> None:
    """Step one parameter by the op, on tensors or, where entries are complex, on what lies below."""
    held = [state.get(key) for key in update.keys]
    if "step" in state and "step" not in update.keys:
        state["step"] += 1
    if p.dtype.kind == "c":
        held = [None if t is None else plain(t.value) for t in held]
        update.op(plain(p.value), plain(gradient.value), *held, *update.rates, **update.settings)
        tape.mark_written(p.value)
    else:
        update.op(p, gradient, *held, *update.rates, **update.settings)


def alone(update: Any, p: Any, gradient: Any, state: dict[str, Any]) -> None:
    """The same on arrays, for parameters of floats while nobody watches: what an op costs more than a few entries do."""
    held = [None if key is None or state.get(key) is None else state[key].value for key in update.keys]
    if "step" in state and "step" not in update.keys:
        state["step"] += 1
    rates = [r.value if isinstance(r, Tensor) else r for r in update.rates]
    kernel, arrays, numbers = update.op.rule(p.value, gradient.value, *held, *rates, **update.settings)
    kernel(p.value, gradient.value, *arrays, *numbers)
    tape.mark_all([tape.writes_of(tape.memory(v)) for v in (p.value, *arrays)])


class Layout:
    """Parameters with what is remembered of them: parts that go in one call each, by type, and those that go alone."""

    def __init__(self, params: list[Any], state: dict[Any, dict[str, Any]], names: tuple[str, ...], counters: int):
        self.params, self.state, self.names = list(params), state, names
        kinds = [self._kind(p, names[counters:]) for p in params]
        parts = {kind: [k for k, other in enumerate(kinds) if other == kind] for kind in {*kinds} - {""}}
        small = {kind for kind, rows in parts.items() if sum(params[k].value.size for k in rows) < SMALL}
        self.alone = [k for k, kind in enumerate(kinds) if not kind or kind in small]
        self.parts = [Part(self, kind, rows, counters) for kind, rows in parts.items() if kind not in small]
        self.arrays = self._arrays(params)

    def _arrays(self, params: list[Any]) -> list[Any]:
        """All arrays: the parameters, then for each what is remembered of it."""
        names, state = self.names, self.state
        if not names:
            return [p.value for p in params]
        return [p.value for p in params] + [s[n].value for s in map(state.__getitem__, params) for n in names]

    def _kind(self, p: Any, slots: tuple[str, ...]) -> str:
        """The letter of the type in which a parameter can be part of one call; empty if it cannot."""
        state = self.state.get(p, {})
        arrays = [p.value, *(state[n].value for n in slots)]
        fit = all(together.usual(a) and a.dtype == p.value.dtype and a.shape == p.value.shape for a in arrays)
        return p.value.dtype.char.lower() if fit else ""

    def holds(self, params: list[Any], names: tuple[str, ...]) -> bool:
        """Whether these are the parameters, and all arrays still those that were laid out."""
        if self.names != names or len(params) != len(self.params) or not all(map(is_, params, self.params)):
            return False
        try:
            return all(map(is_, self._arrays(params), self.arrays))
        except (KeyError, AttributeError):
            return False

    def accept(self, gradients: list[Any], who: str) -> None:
        """Enter the gradients, in copies whose entries lie in order where they do not; raises if one does not fit."""
        for v in self.arrays[: len(self.params)]:
            if not v.flags.writeable:
                check_writable(v)
        for k in self.alone:
            check_gradient(gradients[k], self.params[k].value, who)
        if all([part.accepts(gradients) for part in self.parts]):
            return
        for p, g in zip(self.params, gradients):
            check_gradient(g, p.value, who)
        ordered = [np.ascontiguousarray(g) for g in gradients]
        for part in self.parts:
            part.accepts(ordered)

    def step(self, update: Any) -> None:
        """One step of all parameters, by the gradients that were accepted."""
        for part in self.parts:
            part.step(update)
        for k in self.alone:
            p = self.params[k]
            (alone if p.value.dtype.kind == "f" else single)(update, p, p.leaf.grad, self.state.get(p, {}))


class Part:
    """Parameters of one type, for one call."""

    def __init__(self, layout: Layout, kind: str, rows: list[int], counters: int):
        self.kind, self.rows, self.all = kind, rows, len(rows) == len(layout.params)
        params = [layout.params[k] for k in rows]
        states = [layout.state.get(p, {}) for p in params]
        self.counted, self.slots = layout.names[:counters], layout.names[counters:]
        self.counters = np.array([[s[n].item() for n in self.counted] for s in states]).reshape(len(rows), counters)
        for s, numbers in zip(states, self.counters):
            for i, n in enumerate(self.counted):
                s[n].value = numbers[i, ...]
        self.values = [p.value for p in params]
        self.held = [{n: s[n].value for n in layout.names} for s in states]
        self.writes = [tape.writes_of(tape.memory(v)) for v in self.values]
        wide = [v.size * (2 if v.dtype.kind == "c" else 1) for v in self.values]
        self.starts = together.starts_of(wide)
        self.records = np.array([[id(v), 0, *(id(h[n]) for n in self.slots)] for v, h in zip(self.values, self.held)])
        self.which = self.zeros = np.zeros(len(rows), np.int64)
        self.given: list[np.ndarray] = []

    def accepts(self, gradients: list[Any]) -> bool:
        """Enter the gradients, and hold them until the step; whether they are like the parameters."""
        self.given = gradients if self.all else [gradients[k] for k in self.rows]
        self.records[:, 1] = list(map(id, self.given))
        return together.fit(id(self.records), *self.records.shape)

    def step(self, update: Any) -> None:
        """One step of all."""
        kernel, keys, numbers = self._numbers(update)
        columns = [0, 1, *(2 + self.slots.index(key) for key in keys)]
        usual = len(columns) == self.records.shape[1] and columns == sorted(columns)
        records = self.records if usual else np.ascontiguousarray(self.records[:, columns])
        which = self.which if len(numbers) > 1 else self.zeros
        together.run(kernel, self.kind, self.starts, records, which, numbers)
        tape.mark_all(self.writes)
        self.given = []

    def _numbers(self, update: Any) -> tuple[Any, list[str], np.ndarray]:
        """What the rule says: the kernel, what it takes, and a row of numbers for each kind of history."""
        counters = self.counters
        alike = counters.tobytes() == counters[0].tobytes() * len(counters)
        leaders = [0] if alike else self._kinds()
        found = [self._asked(update, k, self.given[k]) for k in leaders]
        if "step" in self.counted and "step" not in update.keys:
            counters[leaders, self.counted.index("step")] += 1
        if alike:
            counters[1:] = counters[0]
        else:
            counters[:] = counters[np.array(leaders)[self.which]]
        return found[0][0], found[0][1], np.array([numbers for _, _, numbers in found], np.float64)

    def _kinds(self) -> list[int]:
        """One parameter of each history; whose history each of them has is noted."""
        _, leaders, which = np.unique(self.counters, axis=0, return_index=True, return_inverse=True)
        self.which = which.reshape(-1)
        return leaders.tolist()

    def _asked(self, update: Any, k: int, gradient: np.ndarray) -> tuple[Any, list[str], tuple]:
        """The rule's answer for one parameter, whose counters it moves on."""
        held = [None if key is None else self.held[k][key] for key in update.keys]
        kernel, arrays, numbers = update.op.rule(self.values[k], gradient, *held, *update.rates, **update.settings)
        names = {id(a): key for a, key in zip(held, update.keys)}
        return kernel, [names[id(a)] for a in arrays], numbers
