"""The state of an optimizer in PyTorch's layout: numbers stand for parameters, in the order of the groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from autograd_core import Tensor, from_numpy

from .hooks import hooks_of


def packed(optimizer: Any) -> dict[str, Any]:
    """The state of an optimizer; tensors are those it uses, not copies."""
    for hook in hooks_of(optimizer, "state_before"):
        hook(optimizer)
    numbers = {id(p): k for k, p in enumerate(optimizer.parameters())}
    groups = [
        {n: v for n, v in group.items() if n != "params"} | {"params": [numbers[id(p)] for p in group["params"]]}
        for group in optimizer.param_groups
    ]
    state = {numbers[id(p)] if isinstance(p, Tensor) else p: shown(values) for p, values in optimizer.state.items()}
    result: dict[str, Any] = {"state": state, "param_groups": groups}
    for hook in hooks_of(optimizer, "state_after"):
        changed = hook(optimizer, result)
        result = result if changed is None else changed
    return result


def shown(values: Any) -> Any:
    """What is remembered of a parameter, without what an optimizer can work out again."""
    if not isinstance(values, dict):
        return values
    return {n: v for n, v in values.items() if not (isinstance(n, str) and n.startswith("_"))}


def loaded(optimizer: Any, given: Mapping[str, Any]) -> None:
    """Take on a state, after everything about it has been checked."""
    who = f"{type(optimizer).__name__}.load_state_dict"
    if not isinstance(given, Mapping):
        raise TypeError(f"{who}: expected what state_dict() gave, got {type(given).__name__} {given!r:.40}")
    given = dict(given)
    for hook in hooks_of(optimizer, "load_before"):
        changed = hook(optimizer, given)
        given = given if changed is None else changed
    if missing := {"state", "param_groups"} - set(given):
        raise ValueError(
            f"{who}: {' and '.join(sorted(missing))} missing; it has {', '.join(map(repr, given)) or 'nothing'}"
        )
    groups = matched(optimizer, given["param_groups"], who)
    places = {number: (group, p) for group, saved in groups for number, p in zip(saved["params"], group["params"])}
    state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
    for key, values in given["state"].items():
        group, p = places.get(key, (None, None))
        state[key if p is None else p] = copied(optimizer, group, p, values, f"{who}: parameter {key}")
    settings = [settled(group, saved) for group, saved in groups]
    for group, new in zip(optimizer.param_groups, settings):
        optimizer.check({**group, **new})
    optimizer.__setstate__({"state": state, "param_groups": settings})
    for hook in hooks_of(optimizer, "load_after"):
        hook(optimizer)


def matched(optimizer: Any, saved: Any, who: str) -> list[tuple[dict, dict]]:
    """Each group with what was saved of it."""
    sizes = [[len(g["params"]) for g in groups] for groups in (optimizer.param_groups, saved)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"{who}: groups of {', '.join(map(str, sizes[0]))} parameters do not fit what was saved, groups of "
            f"{', '.join(map(str, sizes[1]))}; build the optimizer as the saved one was built"
        )
    return list(zip(optimizer.param_groups, saved))


def settled(group: dict[str, Any], saved: dict[str, Any]) -> dict[str, Any]:
    """The settings that were saved, of the parameters that are there; those that PyTorch does not know stay."""
    new = {n: own(v) for n, v in saved.items() if n != "params"} | {"params": group["params"]}
    return {n: v for n, v in group.items() if n not in new} | new


def copied(optimizer: Any, group: Any, p: Any, values: Any, who: str) -> Any:
    """What is remembered of a parameter: copies, of its type, of the shape they must have."""
    if p is None or not isinstance(values, Mapping):
        return own(values)
    result = {}
    for key, value in values.items():
        wanted = optimizer.expected_shape(group, p, key)
        result[key] = value = own(value, None if key == "step" else p.dtype, wanted is not None)
        wanted = wanted if isinstance(value, Tensor) else None
        if wanted is not None and tuple(value.shape) != wanted:
            raise ValueError(
                f"{who}, of shape {tuple(p.shape)}: {key} must have shape {wanted}, the saved one has "
                f"{tuple(value.shape)}; the saved optimizer had other parameters, or in another order"
            )
    return result


def own(value: Any, dtype: Any = None, always: bool = False) -> Any:
    """A copy; what can become an array, tensors of other libraries too, becomes a Tensor, of a type if it has axes."""
    if isinstance(value, Mapping):
        return {k: own(v, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(own(v, dtype) for v in value)
    if isinstance(value, Tensor) or (hasattr(value, "__array__") and not isinstance(value, np.generic)):
        array = np.array(value.value if isinstance(value, Tensor) else np.asarray(value))
        fits = dtype is not None and array.dtype.kind in "fc" and dtype.kind in "fc" and (array.ndim or always)
        return from_numpy(array.astype(dtype) if fits else array)
    return deepcopy(value)
