"""The parameters of a group as one native call wants them: addresses in a table, counters in a matrix.

Everything that a step can find out beforehand is found out once.  A step then looks whether all arrays are still the
same ones, enters the gradients in the table, and asks the rule of the step for its numbers: once, if all parameters
have been stepped equally often.
"""

from __future__ import annotations

from operator import is_
from typing import Any, NoReturn

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


def changeable(a: Any) -> bool:
    """Whether an array may be written to."""
    return bool(getattr(getattr(a, "flags", None), "writeable", True))


def check_writable(v: Any) -> None:
    """Raise if a parameter cannot be changed."""
    if not changeable(v):
        raise RuntimeError(f"step: a parameter of shape {v.shape} is read-only memory; clone() it first")


def fits(held: Any, shape: tuple[int, ...]) -> bool:
    """Whether something can be what is remembered of a parameter."""
    return isinstance(held, Tensor) and tuple(held.shape) == shape and changeable(held.value)


def refuse_misfit(held: Any, shape: tuple[int, ...], what: str) -> NoReturn:
    """Say why it cannot."""
    if not isinstance(held, Tensor):
        raise TypeError(f"{what} must be a Tensor, got {type(held).__name__} {held!r:.40}; put ag.tensor(...) there")
    if tuple(held.shape) != shape:
        raise ValueError(
            f"{what} must have shape {shape}, got {tuple(held.shape)}: it was put into the state, or the parameter was "
            "given data of another shape; put zeros of its shape there, or delete state[parameter] to begin anew"
        )
    raise RuntimeError(f"{what} is read-only memory; put a clone() of it into the state")


def dense(a: np.ndarray) -> bool:
    """Whether the entries fill a stretch of memory, in whatever order of the axes."""
    along = sorted(range(a.ndim), key=lambda i: -a.strides[i])
    return bool(a.flags.aligned and a.transpose(along).flags.c_contiguous)


def alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether entries with the same indices follow each other alike in the memory of two arrays of one shape."""
    return bool(a.flags.aligned and all(n < 2 or s == t for n, s, t in zip(a.shape, a.strides, b.strides)))


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


def in_order(update: Any, p: Any, gradient: Any, state: dict[str, Any], room: dict[Any, np.ndarray]) -> None:
    """Step one parameter by an op that looks at it as a whole; arrays whose entries are not in order are copied.

    The memory of copies is kept in `room`: parameters of one shape, which are stepped one after the other, share it.
    """
    values = [None if key is None or state.get(key) is None else state[key].value for key in update.keys]
    own = [None if a is None else plain(a) for a in (p.value, gradient.value, *values)]
    given = [a if a is None or a.flags.c_contiguous else kept(room, (i, a.shape, a.dtype)) for i, a in enumerate(own)]
    copied: list[tuple[Any, Any]] = [(a, b) for a, b in zip(own, given) if a is not b]
    if not copied:
        single(update, p, gradient, state)
        return
    if "step" in state and "step" not in update.keys:
        state["step"] += 1
    for a, b in copied:
        np.copyto(b, a)
    update.op(*given, *(r.value if isinstance(r, Tensor) else r for r in update.rates), **update.settings)
    for a, b in copied:
        if a is not own[1]:  # the gradient, which stays as it is
            np.copyto(a, b)
    tape.mark_all([tape.writes_of(tape.memory(v)) for v in (p.value, *values) if v is not None])


def kept(room: dict[Any, np.ndarray], key: tuple[int, tuple[int, ...], np.dtype]) -> np.ndarray:
    """An array for some purpose, of a shape and a type; the same one whenever it is asked for."""
    if key not in room:
        room[key] = np.empty(*key[1:])
    return room[key]


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
        dtype, state = p.value.dtype, self.state.get(p, {})
        return dtype.char.lower() if together.known(dtype) and all(state[n].dtype == dtype for n in slots) else ""

    def holds(self, params: list[Any], names: tuple[str, ...]) -> bool:
        """Whether these are the parameters, and all arrays still those that were laid out."""
        if self.names != names or len(params) != len(self.params) or not all(map(is_, params, self.params)):
            return False
        try:
            return all(map(is_, self._arrays(params), self.arrays))
        except (KeyError, AttributeError):
            return False

    def accept(self, gradients: list[Any], who: str) -> None:
        """Enter the gradients, in copies where their entries lie in another order; raises if one does not fit."""
        for k in self.alone:
            check_writable(self.params[k].value)
            check_gradient(gradients[k], self.params[k].value, who)
        if all([part.accepts(gradients) for part in self.parts]):
            return
        for p, g in zip(self.params, gradients):
            check_writable(p.value)
            check_gradient(g, p.value, who)
        for part in self.parts:
            part.accept_copies()

    def step(self, update: Any) -> None:
        """One step of all parameters, by the gradients that were accepted."""
        for part in self.parts:
            part.step(update)
        for k in self.alone:
            p = self.params[k]
            (alone if p.value.dtype.kind == "f" else single)(update, p, p.leaf.grad, self.state.get(p, {}))


class Part:
    """Parameters of one type, for one call.

    It goes through the memory that the entries of a parameter fill, in whatever order of axes.  Where there are gaps
    between them, a row without any stands for the parameter, and also for what is remembered if that lies otherwise.
    """

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
        self.stood_for: list[tuple[np.ndarray, np.ndarray]] = []
        stand = [self._stand(v, h) for v, h in zip(self.values, self.held)]
        self.likes = [row[0] for row in stand]
        self.copies: dict[int, np.ndarray] = {}
        self.records = np.array([[id(row[0]), 0, *map(id, row[1:])] for row in stand])
        self.which = self.zeros = np.zeros(len(rows), np.int64)
        self.given: list[np.ndarray] = []

    def _stand(self, v: np.ndarray, held: dict[str, np.ndarray]) -> list[np.ndarray]:
        """What the call is given for a parameter and what is remembered of it: themselves, or what stands for them."""
        own = [v, *(held[n] for n in self.slots)]
        like = v if dense(v) else np.empty_like(v, subok=False)
        row = [like, *(a if alike(a, like) else np.empty_like(like, subok=False) for a in own[1:])]
        self.stood_for += [(a, b) for a, b in zip(own, row) if a is not b]
        return row

    def accepts(self, gradients: list[Any]) -> bool:
        """Enter the gradients, and hold them until the step; whether they are like the parameters, and these can change."""
        if not all([changeable(a) for a, _ in self.stood_for]):
            return False
        self.given = gradients if self.all else [gradients[k] for k in self.rows]
        self.records[:, 1] = list(map(id, self.given))
        return together.fit(id(self.records), *self.records.shape)

    def accept_copies(self) -> None:
        """Enter copies of the gradients that lie otherwise than the parameters, in memory that is kept."""
        self.given = [self._copy(k, g) for k, g in enumerate(self.given)]
        self.records[:, 1] = list(map(id, self.given))

    def _copy(self, k: int, g: np.ndarray) -> np.ndarray:
        """A gradient whose entries lie as those of its parameter do."""
        like = self.likes[k]
        if alike(g, like):
            return g
        if k not in self.copies:
            self.copies[k] = np.empty_like(like, subok=False)
        np.copyto(self.copies[k], g)
        return self.copies[k]

    def step(self, update: Any) -> None:
        """One step of all."""
        kernel, keys, numbers = self._numbers(update)
        columns = [0, 1, *(2 + self.slots.index(key) for key in keys)]
        usual = len(columns) == self.records.shape[1] and columns == sorted(columns)
        records = self.records if usual else np.ascontiguousarray(self.records[:, columns])
        which = self.which if len(numbers) > 1 else self.zeros
        for a, b in self.stood_for:
            np.copyto(b, a)
        together.run(kernel, self.kind, self.starts, records, which, numbers)
        for a, b in self.stood_for:
            np.copyto(a, b)
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
