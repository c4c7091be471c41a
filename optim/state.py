"""The state of an optimizer in PyTorch's layout: numbers stand for parameters, in the order of the groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from autograd_core import Tensor, from_numpy

from .hooks import hooks_of

NEVER_NEGATIVE = {  # of what optimizers remember: means and sums of squares, and sizes
    "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "square_avg", "acc_delta", "sum", "variance", "row_var", "col_var",
    "step_size", "square_sum",
}  # fmt: skip


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
    if not isinstance(given["state"], Mapping):
        raise TypeError(
            f"{who}: 'state' is a dict of dicts, got {type(given['state']).__name__} {given['state']!r:.40}"
        )
    groups = matched(optimizer, given["param_groups"], who)
    settings = [settled(group, saved) for group, saved in groups]
    for new in settings:
        optimizer.check(new)
    places = {n: (new, p) for new, (_, saved) in zip(settings, groups) for n, p in zip(saved["params"], new["params"])}
    state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
    for key, values in given["state"].items():
        group, p = places.get(key, (None, None))
        state[key if p is None else p] = copied(optimizer, group, p, values, f"{who}: parameter {key}")
    optimizer.__setstate__({"state": state, "param_groups": settings})
    for hook in hooks_of(optimizer, "load_after"):
        hook(optimizer)


def matched(optimizer: Any, saved: Any, who: str) -> list[tuple[dict, dict]]:
    """Each group with what was saved of it."""
    if not isinstance(saved, (list, tuple)) or not all(isinstance(g, Mapping) and "params" in g for g in saved):
        raise TypeError(
            f"{who}: 'param_groups' is a list of dicts with 'params', got {type(saved).__name__} {saved!r:.60}"
        )
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
    if p is None:
        return own(values)
    if not isinstance(values, Mapping):
        raise TypeError(f"{who}: what is remembered of it is a dict, got {type(values).__name__} {values!r:.40}")
    if values and (missing := optimizer.needed(group, p) - set(values)):
        raise ValueError(
            f"{who}, of shape {tuple(p.shape)}: {', '.join(sorted(missing))} missing, there is "
            f"{', '.join(map(str, values))}: this seems to be the state of another optimizer than "
            f"{type(optimizer).__name__}; build the one that was saved, or begin anew without its state"
        )
    counters, result = optimizer.counters(group), {}
    for key, value in values.items():
        where = f"{who}, of shape {tuple(p.shape)}: {key}"
        wanted = optimizer.expected_shape(group, p, key)
        if key in counters:
            result[key] = counted(value, where)
        elif wanted is not None and value is not None:
            result[key] = fitted(value, wanted, p.dtype, where)
            if key in NEVER_NEGATIVE:
                check_not_negative(result[key].value, where)
        else:
            result[key] = own(value, None if key == "step" else optimizer.expected_dtype(group, p))
    optimizer.check_state(group, p, result, who)
    return result


def check_not_negative(a: np.ndarray, where: str) -> None:
    """Raise if there are numbers below 0 in what is made of squares or sizes: steps by their roots would be NaN."""
    parts = (a.real, a.imag) if a.dtype.kind == "c" else (a,)
    if count := sum(int((part < 0).sum()) for part in parts):
        least = min(float(part.min()) for part in parts)
        raise ValueError(
            f"{where} is made of squares or sizes, never below 0; of the saved one {count} entries are, the least "
            f"{least:g}: it was changed or damaged"
        )


def array_of(value: Any) -> np.ndarray | None:
    """A copy of numbers as an array, from tensors of other libraries too; None if they are none."""
    try:
        array = np.array(value.value if isinstance(value, Tensor) else np.asarray(value))
    except (TypeError, ValueError):
        return None
    return array if array.dtype.kind in "biufc" else None


def counted(value: Any, where: str) -> Tensor:
    """A counter that was saved."""
    array = array_of(value)
    if array is None or array.shape or array.dtype.kind == "c" or not 0 <= array < np.inf:
        raise ValueError(f"{where} must be a number from 0 on, the saved one is {type(value).__name__} {value!r:.40}")
    return from_numpy(array if array.dtype.kind == "f" else array.astype(np.float64))


def fitted(value: Any, shape: tuple[int, ...], dtype: np.dtype, where: str) -> Tensor:
    """What was saved of each entry of a parameter, or of its rows, in the type of the parameter."""
    array = array_of(value)
    if array is None or (array.dtype.kind == "c" and dtype.kind != "c"):
        raise TypeError(f"{where} must be an array of {dtype}, the saved one is {type(value).__name__} {value!r:.40}")
    if array.shape != shape:
        raise ValueError(
            f"{where} must have shape {shape}, the saved one has {array.shape}; the saved optimizer had other "
            "parameters, or in another order"
        )
    return from_numpy(array.astype(dtype))


def own(value: Any, dtype: Any = None) -> Any:
    """A copy; what can become an array, tensors of other libraries too, becomes a Tensor, of a type if it has axes."""
    if isinstance(value, Mapping):
        return {k: own(v, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(own(v, dtype) for v in value)
    if isinstance(value, Tensor) or (hasattr(value, "__array__") and not isinstance(value, np.generic)):
        array = np.array(value.value if isinstance(value, Tensor) else np.asarray(value))
        fits = dtype is not None and array.dtype.kind in "fc" and dtype.kind in "fc" and array.ndim
        return from_numpy(array.astype(dtype) if fits else array)
    return deepcopy(value)
