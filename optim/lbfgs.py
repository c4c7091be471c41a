"""L-BFGS: steps by an inverse Hessian that is known from the last gradients and steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core import Tensor, from_numpy, tape
from autograd_core.kernels.matmul import inner

from .checks import not_negative, number, settings, whole
from .layout import check_gradient, check_writable, plain
from .line_search import Point, Search
from .optimizer import Optimizer, evaluated

REMEMBERED = "d", "prev_flat_grad", "t", "old_dirs", "old_stps", "ro", "H_diag"  # from the first iteration on


class LBFGS(Optimizer):
    """Limited-memory BFGS; `line_search_fn="strong_wolfe"` looks for a good length along each direction.

    A step is up to `max_iter` iterations, hence needs a closure that computes the loss and its gradients.  What is
    remembered stands with the first parameter.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        whole({"max_iter": max_iter}, "LBFGS", "max_iter")
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "LBFGS", "lr", "tolerance_grad", "tolerance_change")
        whole(group, "LBFGS", "max_iter", "max_eval", "history_size")
        if not group["params"]:
            raise ValueError("LBFGS: the group has no parameters; its steps are of all parameters together")
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS: line_search_fn is 'strong_wolfe' or None, got {group['line_search_fn']!r}")
        if self.param_groups and group["params"] is not self.param_groups[0]["params"]:
            raise ValueError(
                "LBFGS: all parameters are in one group, with the same settings: its steps are of all together"
            )

    def expected_dtype(self, group: dict[str, Any], p: Any) -> Any:
        """That of the vector of all parameters, in which complex entries are pairs of real ones."""
        return np.result_type(*(plain(q.value) for q in group["params"]))

    def check_state(self, group: dict[str, Any], p: Any, values: dict[str, Any], who: str) -> None:
        """All that the next iteration needs must be there, and belong to as many entries as there are."""
        if p is not group["params"][0] or not values.get("n_iter"):
            return
        if missing := [n for n in REMEMBERED if values.get(n) is None]:
            raise ValueError(f"{who}: {', '.join(missing)} missing: what LBFGS remembers goes together")
        size = sum(plain(q.value).size for q in group["params"])
        counts = {len(values[n]) for n in ("old_dirs", "old_stps", "ro")}
        for v in (values["d"], values["prev_flat_grad"], *values["old_dirs"], *values["old_stps"]):
            if np.shape(v) != (size,):
                raise ValueError(
                    f"{who}: LBFGS remembers vectors of all {size} entries of the parameters, the saved one has shape "
                    f"{np.shape(v)}; the saved optimizer had other parameters"
                )
        if len(counts) > 1:
            raise ValueError(f"{who}: old_dirs, old_stps and ro must have the same length, got {sorted(counts)}")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Go down by up to `max_iter` iterations; returns the loss before."""
        if closure is None:
            raise TypeError(
                "LBFGS.step: needs a function that computes the loss and calls backward: it asks several times"
            )
        self.check_again()
        group = self.param_groups[0]
        for p in group["params"]:
            check_writable(p.value)
        first = evaluated(closure)
        value = loss_number(first)
        Descent(group, self.state.setdefault(group["params"][0], {}), closure, value).run()
        return first


class Descent:
    """One call of step: the parameters as one vector, and what is known of the function."""

    def __init__(self, group: dict[str, Any], state: dict[str, Any], closure: Callable[[], Any], loss: float):
        self.params, self.group, self.closure, self.value = group["params"], group, closure, loss
        self.lr, self.state, self.evaluations = number(group["lr"], "LBFGS", "lr"), state, 1
        for name, value in {
            "func_evals": 0,
            "n_iter": 0,
            "old_dirs": [],
            "old_stps": [],
            "ro": [],
            "H_diag": 1,
        }.items():
            if state.get(name) is None:
                state[name] = value
        for name in "d", "prev_flat_grad":
            if name in state:
                state[name] = vector(state[name])
        for name in "old_dirs", "old_stps":
            state[name] = [vector(v) for v in state[name]]
        state["ro"], state["H_diag"] = [float(r) for r in state["ro"]], float(state["H_diag"])
        state["t"] = float(state.get("t") or 0.0)
        self.lay_out()

    def lay_out(self) -> None:
        """Find memory for vectors that are needed on the way, which is kept from step to step."""
        flat = [plain(p.value) for p in self.params]
        ends = np.cumsum([0, *(v.size for v in flat)]).tolist()
        self.parts = [slice(*ends[k : k + 2]) for k in range(len(flat))]
        dtype, rows = np.result_type(*flat), self.state.setdefault("_rows", [])
        if not rows or rows[0].shape != (ends[-1],) or rows[0].dtype != dtype:
            rows[:] = [np.empty(ends[-1], dtype) for _ in range(4 + Search.HELD)]
        self.work, self.before, *self.gradients = rows[:-2]  # the last two are the pair to be remembered next

    def run(self) -> None:
        """Iterate until there is no more to gain, or no more is allowed."""
        try:
            self.gradient = self.flat_gradient(self.gradients[0])
            self.state["func_evals"] += 1
            if not self.largest(self.gradient) <= self.group["tolerance_grad"]:
                for k in range(self.group["max_iter"]):
                    if not self.iterate(last=k == self.group["max_iter"] - 1):
                        break
        finally:
            self.leave()

    def leave(self) -> None:
        """Leave tensors in the state."""
        for name in "d", "prev_flat_grad":
            if name in self.state:
                self.state[name] = from_numpy(self.state[name])
        for name in "old_dirs", "old_stps":
            self.state[name] = [from_numpy(v) for v in self.state[name]]

    def iterate(self, last: bool) -> bool:
        """One iteration; whether another is worth while."""
        state, group, began = self.state, self.group, self.value
        state["n_iter"] += 1
        d = self.direction()
        state["prev_flat_grad"][...], state["prev_loss"] = self.gradient, self.value
        t = state["t"] = self.first_length() if state["n_iter"] == 1 else self.lr
        slope = inner(self.gradient, d)
        if slope > -group["tolerance_change"]:
            return False
        evaluations = self.evaluations
        if group["line_search_fn"]:
            t = state["t"] = self.searched(t, slope)
        else:
            self.move(t, d)
            if not last:
                self.value = self.loss()
                self.flat_gradient(self.gradient)
        state["func_evals"] += self.evaluations - evaluations
        return not (
            last
            or self.evaluations >= group["max_eval"]
            or self.largest(self.gradient) <= group["tolerance_grad"]
            or self.largest(self.times(d, t)) <= group["tolerance_change"]
            or abs(self.value - began) < group["tolerance_change"]
        )

    def searched(self, t: float, slope: float) -> float:
        """Move to a good point along the direction; how far that is."""
        d = self.state["d"]
        for v, start in self.along(self.before):
            start[...] = v

        def evaluate(t: float, row: np.ndarray) -> tuple[float, np.ndarray]:
            self.move(t, d)
            try:
                return self.loss(), self.flat_gradient(row)
            finally:
                for v, start in self.along(self.before):
                    v[...] = start

        most = self.group["max_eval"] - self.evaluations
        begin = Point(0.0, self.value, self.gradient, slope)
        point = Search(evaluate, d, begin, most, self.group["tolerance_change"], self.gradients).run(t)
        self.value, self.gradient = point.value, point.gradient
        self.move(point.t, d)
        return point.t

    def direction(self) -> np.ndarray:
        """The gradient, turned round and multiplied by what is known of the inverse Hessian: the two-loop recursion."""
        state = self.state
        if state["n_iter"] == 1:
            state["prev_flat_grad"] = np.empty_like(self.gradient)
            state["d"] = -self.gradient
            return state["d"]
        self.remember()
        d, dirs, steps, weights = state["d"], state["old_dirs"], state["old_stps"], state["ro"]
        np.negative(self.gradient, out=d)
        shares = [0.0] * len(dirs)
        for i in range(len(dirs) - 1, -1, -1):
            shares[i] = inner(steps[i], d) * weights[i]
            d -= self.times(dirs[i], shares[i])
        d *= d.dtype.type(state["H_diag"])
        for i in range(len(dirs)):
            d += self.times(steps[i], shares[i] - inner(dirs[i], d) * weights[i])
        return d

    def remember(self) -> None:
        """Take the last step, and what it did to the gradient, into account; what is forgotten makes room."""
        state, rows = self.state, self.state["_rows"]
        y = np.subtract(self.gradient, state["prev_flat_grad"], out=rows[-2])
        s = np.multiply(state["d"], y.dtype.type(state["t"]), out=rows[-1])
        product = inner(y, s)
        if not product > 1e-10:
            return
        for name, value in ("old_dirs", y), ("old_stps", s), ("ro", 1.0 / product):
            state[name].append(value)
        state["H_diag"] = product / inner(y, y)
        full = len(state["ro"]) > self.group["history_size"]
        rows[-2:] = [state[n][0] if full else np.empty_like(y) for n in ("old_dirs", "old_stps")]
        for name in "old_dirs", "old_stps", "ro":
            state[name] = state[name][-self.group["history_size"] :]

    def loss(self) -> float:
        """Call the closure."""
        self.evaluations += 1
        return loss_number(evaluated(self.closure))

    def flat_gradient(self, row: np.ndarray) -> np.ndarray:
        """The gradients of all parameters, written in a row; zeros where there is none."""
        for p, part in zip(self.params, self.parts):
            if p.grad is None:
                row[part] = 0
            else:
                check_gradient(p.grad.value, p.value, "LBFGS.step")
                g = plain(p.grad.value)
                row[part].reshape(g.shape)[...] = g
        return row

    def along(self, row: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """The parameters, each with its part of a row, both as numbers that are real."""
        flat = [plain(p.value) for p in self.params]
        return [(v, row[part].reshape(v.shape)) for v, part in zip(flat, self.parts)]

    def move(self, t: float, d: np.ndarray) -> None:
        """Add a multiple of a direction to the parameters."""
        for v, way in self.along(self.times(d, t)):
            v += way
        for p in self.params:
            tape.mark_written(p.value)

    def times(self, v: np.ndarray, t: float) -> np.ndarray:
        """A multiple of a vector, until the next is asked for."""
        return np.multiply(v, v.dtype.type(t), out=self.work)

    def largest(self, v: np.ndarray) -> float:
        """The largest size of an entry."""
        return float(np.abs(v, out=self.work).max(initial=0))

    def first_length(self) -> float:
        """How far to go while nothing is known of the curvature."""
        return min(1.0, 1.0 / float(np.abs(self.gradient, out=self.work).sum())) * self.lr


def loss_number(loss: Any) -> float:
    """What a closure returned, as a number."""
    size = loss.numel() if isinstance(loss, Tensor) else np.size(loss)
    if loss is None or size != 1:
        got = "None" if loss is None else f"{size} numbers"
        hint = "end it with `return loss`" if loss is None else "sum or average them before backward"
        raise TypeError(f"LBFGS.step: the closure returned {got}, needed is the loss, one number: {hint}")
    return float(loss)


def vector(v: Any) -> np.ndarray:
    """The array of what may be a tensor."""
    return v.value if hasattr(v, "value") else np.asarray(v)
