"""Optimizers that treat each entry by itself: all parameters of a group are stepped by one native call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from autograd_core import Tensor, from_numpy, tape

from .layout import Layout, check_gradient, check_writable, fits, in_order, refuse_misfit, single, stepped
from .optimizer import Optimizer, called, evaluated, watched


class Update(NamedTuple):
    """How a group is stepped: an op on (parameter, gradient, *what the keys name, *rates), and its settings."""

    op: Callable
    keys: tuple[str | None, ...]
    rates: tuple[Any, ...]
    settings: dict[str, Any]


class Elementwise(Optimizer):
    """An optimizer whose step is an op of `autograd_core.ops.updates` on each parameter.

    What is remembered of a parameter is made when it is first stepped.  Names that begin with an underscore are no part
    of the state that is saved.
    """

    later: tuple[str, ...] = ()  # what may come midway, when a setting that wants it is changed
    order: Literal["C", "K"] = "K"  # in which entries are remembered: "K" is that of the parameter
    _layouts: dict[int, Layout]
    _copies: dict[Any, np.ndarray]
    _planned: dict[int, tuple[Update, tuple[str, ...]]]

    def counters(self, group: dict[str, Any]) -> dict[str, float]:
        """The numbers that are remembered of a parameter, and what they are at first."""
        return {"step": 0.0}

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        """What is remembered of each entry, and what it is at first."""
        return {}

    def update(self, group: dict[str, Any]) -> Update:
        """How the group is stepped, at its present settings."""
        raise TypeError(f"{type(self).__name__}: a subclass of Elementwise must define update(group)")

    def _forget_layout(self) -> None:
        self._layouts, self._copies, self._planned = {}, {}, {}

    def expected_shape(self, group: dict[str, Any], p: Any, key: str) -> tuple[int, ...] | None:
        """As the parameter, for what is remembered of each entry."""
        return tuple(p.shape) if key in self.slots(group) else None

    def needed(self, group: dict[str, Any], p: Any) -> set[str]:
        """What the step is given, but for what comes midway."""
        return {key for key in self.update(group).keys if key and not key.startswith("_")} - {*self.later}

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters that have gradients; `closure` computes the loss anew, and is what step returns."""
        loss = evaluated(closure)
        self.check_again()
        ready = [self._ready(k, group) for k, group in enumerate(self.param_groups)]
        for go in ready:
            go()
        return loss

    def _ready(self, k: int, group: dict[str, Any]) -> Callable[[], None]:
        """What steps a group, after all that can be wrong has been looked at."""
        params, gradients = stepped(group)
        (update, names), who = self._plan(k, group), f"{type(self).__name__}.step"
        if not params:
            return lambda: None
        if watched() or not hasattr(update.op, "rule"):
            rates = tuple(tape.live(group, "lr") if r is group["lr"] else r for r in update.rates)
            update = update._replace(rates=rates, settings=live_settings(group, update.settings))
            for p, g in zip(params, gradients):
                check_gradient(g, p.value, who)
                check_writable(p.value)
            self._check_remembered(group, params, who)
            return lambda: self._one_by_one(group, params, update)
        laid = self._layout(k, group, names, params, who)
        laid.accept(gradients, who)
        return lambda: laid.step(update)

    def _plan(self, k: int, group: dict[str, Any]) -> tuple[Update, tuple[str, ...]]:
        """How a group is stepped, and what is remembered; kept until its settings are others, if these cannot change."""
        plans = vars(self).setdefault("_planned", {})
        if k not in plans:
            plan = self.update(group), (*self.counters(group), *self.slots(group))
            if watched() or not all(lasting(v) for n, v in group.items() if n not in ("params", "param_names")):
                return plan
            plans[k] = plan
        return plans[k]

    def _layout(self, k: int, group: dict[str, Any], names: tuple[str, ...], params: list[Any], who: str) -> Layout:
        """The arrangement of these parameters for one call; made anew if anything has changed."""
        layouts = vars(self).setdefault("_layouts", {})
        if k not in layouts or layouts[k].state is not self.state or not layouts[k].holds(params, names):
            self._check_remembered(group, params, who)
            for p in params:
                self.remembered(group, p)
            layouts[k] = Layout(params, self.state, names, len(self.counters(group)))
        return layouts[k]

    def _check_remembered(self, group: dict[str, Any], params: list[Any], who: str) -> None:
        """Raise if something was put into the state that does not fit its parameter."""
        for p in params:
            for key, held in self.state.get(p, {}).items():
                shape = None if held is None else self.expected_shape(group, p, key)
                if shape is not None and not fits(held, shape):
                    refuse_misfit(held, shape, f"{who}: {key} of {called(group, p)}")

    def remembered(self, group: dict[str, Any], p: Any) -> None:
        """See to it that all is there that is remembered of a parameter."""
        counters, slots = self.counters(group), self.slots(group)
        if not counters and not slots:
            return
        state = self.state.setdefault(p, {})  # which may be a plain dict, if a user put one there
        for name, value in counters.items():
            if not isinstance(state.get(name), Tensor):
                state[name] = from_numpy(np.array(state.get(name, value), np.float64))
        for name, value in slots.items():
            if state.get(name) is None:
                state[name] = self.first(p, name, value)

    def first(self, p: Any, name: str, value: float) -> Tensor:
        """What is remembered of each entry before the first step."""
        return from_numpy(np.full_like(p.value, value, order=self.order))

    def _one_by_one(self, group: dict[str, Any], params: list[Any], update: Update) -> None:
        """Steps as ops on tensors: for whoever watches, and for rules that look at a parameter as a whole."""
        copies = vars(self).setdefault("_copies", {})
        for p in params:
            with tape.unwatched():  # what is made once is no part of the step
                self.remembered(group, p)
            if watched():
                single(update, p, p.grad, self.state.get(p, {}))
            else:
                in_order(update, p, p.grad, self.state.get(p, {}), copies)


def lasting(value: Any) -> bool:
    """Whether a setting stays what it is as long as it is the same object."""
    if isinstance(value, tuple):
        return all(map(lasting, value))
    return value is None or isinstance(value, (bool, int, float, str, np.number))


def live_settings(group: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of which those that are numbers of the group are asked for anew in replays: schedules change momentum, too."""
    number = lambda v: isinstance(v, float) or (isinstance(v, tuple) and all(isinstance(x, float) for x in v))
    same = lambda n, v: n in group and number(v) and (tuple(group[n]) if isinstance(v, tuple) else group[n]) == v
    return {n: tape.live(group, n, static=True) if same(n, v) else v for n, v in settings.items()}
