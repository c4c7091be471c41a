"""What all optimizers share: groups of parameters with their settings, what is remembered of each parameter, hooks."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from operator import is_
from typing import Any, NoReturn

from autograd_core import Tensor, enable_grad, tape

from .checks import refuse_misspelt
from .hooks import Hooked, hooks_of
from .state import loaded, packed


class _Required:
    """Stands where a setting has no default: each group must say what it is."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class Optimizer(Hooked):
    """Changes parameters by their gradients.

    `params` are tensors, (name, tensor) pairs, or dicts that each describe a group: its "params" and any settings that
    differ from the defaults.  A subclass defines `step`.
    """

    def __init__(self, params: Any, defaults: dict[str, Any]):
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        for group in groups_of(params, type(self).__name__):
            self.add_param_group(group)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in vars(cls):
            setattr(cls, "step", hooked(vars(cls)["step"]))  # noqa: B010 - a type checker forbids to assign to a method

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters; `closure` computes the loss and its gradients anew, and is what step returns."""
        raise TypeError(f"{type(self).__name__}: a subclass of Optimizer must define step(closure=None)")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to zero."""
        for p in self.parameters():
            if set_to_none:
                if p.leaf is not None:
                    p.grad = None
            elif p.grad is not None:
                p.grad = p.grad.detach()
                p.grad.zero_()

    def parameters(self) -> list[Any]:
        """Those of all groups, in order."""
        return [p for group in self.param_groups for p in group["params"]]

    def check(self, group: dict[str, Any]) -> None:
        """Raise if the settings of a group cannot be used; a subclass says what they must be."""

    def check_again(self) -> None:
        """Check the settings of groups that have others than at the last step, and forget what followed from them."""
        known: dict[int, list[Any]] = {} if watched() else vars(self).setdefault("_known", {})
        for k, group in enumerate(self.param_groups):
            values = list(group.values())
            if k not in known or len(known[k]) != len(values) or not all(map(is_, known[k], values)):
                vars(self).setdefault("_planned", {}).pop(k, None)
                with tape.unwatched():
                    self.check(group)
                known[k] = values

    def expected_shape(self, group: dict[str, Any], p: Any, key: str) -> tuple[int, ...] | None:
        """The shape that something remembered of a parameter must have; None if any will do."""
        return None

    def needed(self, group: dict[str, Any], p: Any) -> set[str]:
        """What must be remembered of a parameter that was stepped."""
        return set()

    def expected_dtype(self, group: dict[str, Any], p: Any) -> Any:
        """The type of what is remembered of a parameter."""
        return p.dtype

    def counters(self, group: dict[str, Any]) -> dict[str, float]:
        """The numbers that are remembered of a parameter, and what they are at first."""
        return {}

    def check_state(self, group: dict[str, Any], p: Any, values: dict[str, Any], who: str) -> None:
        """Raise if what was saved of a parameter does not go together; entries and counters have been looked at."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take on more parameters, with settings of their own; what is not set is as it is by default."""
        who = type(self).__name__
        if not isinstance(param_group, dict):
            raise TypeError(f"{who}: a group is a dict like {{'params': [...]}}, got {type(param_group).__name__}")
        if "params" not in param_group:
            raise ValueError(f"{who}: the group has no 'params', only {', '.join(map(repr, param_group)) or 'nothing'}")
        params, names = listed(param_group["params"], who)
        group = {**param_group, "params": params} | ({"param_names": names} if names else {})
        self._check_new(group, who)
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(
                    f"{who}: {name} has no default: give the group one, as in {{'params': ..., {name!r}: ...}}"
                )
            group.setdefault(name, default)
        refuse_differentiable(group, who)
        refuse_two_ways(group, who)
        refuse_misspelt(group, self.defaults, who)
        self.check(group)
        param_group.update(group)
        self.param_groups.append(param_group)

    def _check_new(self, group: dict[str, Any], who: str) -> None:
        """Raise if one of the parameters cannot be optimized, or is optimized already."""
        known = {id(p) for p in self.parameters()}
        for k, p in enumerate(group["params"]):
            name = name_at(group, k)
            check_parameter(p, f"{who}: parameter {name}")
            if id(p) in known:
                raise ValueError(
                    f"{who}: parameter {name}, of shape {tuple(p.shape)}, is there already: it would be changed twice in "
                    "a step; take it out of one of the groups or lists (tied weights appear in both places)"
                )
            known.add(id(p))
        if self.param_groups and ("param_names" in group) != ("param_names" in self.param_groups[0]):
            which = ("without", "with") if "param_names" in group else ("with", "without")
            raise ValueError(
                f"{who}: groups {which[0]} names are there already, this one is {which[1]}: use one way for all"
            )

    # --- state ---

    def state_dict(self) -> dict[str, Any]:
        """What is remembered, with numbers in place of parameters, and the settings of the groups: PyTorch's layout."""
        return packed(self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, here or in PyTorch; parameters are matched by their order."""
        self._forget_layout()
        loaded(self, state_dict)

    def _forget_layout(self) -> None:
        """What has been worked out from the state no longer holds."""

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget_layout()

    def __repr__(self) -> str:
        groups = [
            [f"Parameter Group {i}", *(f"    {key}: {group[key]}" for key in sorted(group) if key != "params")]
            for i, group in enumerate(self.param_groups)
        ]
        return f"{type(self).__name__} (\n" + "\n\n".join("\n".join(lines) for lines in groups) + "\n)"


def hooked(step: Callable) -> Callable:
    """A step with the hooks around it: those of all optimizers, then those of this one."""

    @functools.wraps(step)
    def run(self: Any, *args: Any, **options: Any) -> Any:
        if vars(self).get("_inside"):  # a step that calls that of its parent class is one step
            return step(self, *args, **options)
        self._inside = True
        try:
            for hook in hooks_of(self, "step_before"):
                args, options = hook_result(hook(self, args, options), args, options)
            result = step(self, *args, **options)
            for hook in hooks_of(self, "step_after"):
                hook(self, args, options)
            self._opt_called = True  # schedulers want to know whether they are called in the right order
            return result
        finally:
            self._inside = False

    return run


def hook_result(given: Any, args: tuple, options: dict) -> tuple[tuple, dict]:
    """What a hook before a step wants the step to be called with."""
    if given is None:
        return args, options
    if isinstance(given, tuple) and len(given) == 2:
        return given
    raise RuntimeError(
        f"step: a hook before a step returns None or (args, kwargs), got {type(given).__name__} {given!r:.40}"
    )


def evaluated(closure: Callable[[], Any] | None) -> Any:
    """The loss that a closure computes, with gradients being recorded."""
    if closure is None:
        return None
    with enable_grad():
        return closure()


def watched() -> bool:
    """Whether somebody records what is done, and must see every change as an op."""
    mode = tape.state.mode
    return mode is not None and bool(mode.observers)


def groups_of(params: Any, who: str) -> list[dict[str, Any]]:
    """What a user gave an optimizer, as groups."""
    if isinstance(params, Tensor):
        raise TypeError(f"{who}: expected several parameters, got one Tensor; put it in a list: [parameter]")
    if not isinstance(params, Iterable) or isinstance(params, (str, Mapping)):
        raise TypeError(
            f"{who}: expected parameters, like model.parameters(), got {type(params).__name__} {params!r:.40}"
        )
    given = list(params) if not isinstance(params, (set, frozenset)) else refuse_set(who)
    if not given:
        raise ValueError(
            f"{who}: the list of parameters is empty; a generator like model.parameters() can be used once: call it again"
        )
    return given if isinstance(given[0], dict) else [{"params": given}]


def refuse_set(who: str) -> NoReturn:
    """Sets have no order, so what is saved of one could not be matched with another."""
    raise TypeError(f"{who}: parameters come in an order, which a set has not; give a list")


def listed(params: Any, who: str) -> tuple[list[Any], list[str]]:
    """The parameters of a group, and their names if they have any."""
    if isinstance(params, (set, frozenset)):
        refuse_set(who)
    given = [params] if isinstance(params, Tensor) else list(params)
    named = [p for p in given if isinstance(p, tuple) and len(p) == 2]
    if named and len(named) < len(given):
        raise ValueError(f"{who}: {len(given) - len(named)} of {len(given)} parameters have no names: name all or none")
    return ([p for _, p in named], [n for n, _ in named]) if named else (given, [])


def name_at(group: dict[str, Any], k: int) -> str:
    """What a parameter of a group is called, by its place."""
    return group["param_names"][k] if "param_names" in group else f"number {k}"


def called(group: dict[str, Any], p: Any) -> str:
    """What errors say of a parameter of a group."""
    return f"parameter {name_at(group, next(k for k, q in enumerate(group['params']) if q is p))}"


def check_parameter(p: Any, who: str) -> None:
    """Raise if something cannot be optimized."""
    if not isinstance(p, Tensor):
        raise TypeError(f"{who}: an optimizer changes Tensors, got {type(p).__name__} {p!r:.40}")
    if not (p.is_leaf or p.retains_grad):
        raise ValueError(
            f"{who} was computed (by {p.grad_fn}): only leaves have gradients of their own; optimize what it was computed "
            "from, or make it a leaf by detach().requires_grad_()"
        )


def refuse_differentiable(group: dict[str, Any], who: str) -> None:
    """Steps cannot themselves be differentiated."""
    if group.get("differentiable"):
        raise ValueError(
            f"{who}: differentiable=True is not possible: a step changes parameters in place, which leaves nothing to "
            "differentiate; write the update as a function of the parameters and use autograd_core.grad on it"
        )


def refuse_two_ways(group: dict[str, Any], who: str) -> None:
    """PyTorch's two ways to step many parameters exclude each other."""
    if group.get("foreach") and group.get("fused"):
        raise ValueError(
            f"{who}: foreach=True and fused=True are two ways to do one step: give one of them, or none, which is as "
            "quick: all parameters of a group are stepped by one call here in any case"
        )
