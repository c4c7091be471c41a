"""What settings of optimizers must be, said in the user's words."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from autograd_core import Tensor


def settings(given: dict[str, Any]) -> dict[str, Any]:
    """What a constructor was given besides the parameters, from its `locals()`."""
    return {n: v for n, v in given.items() if n not in ("self", "params", "__class__")}


def chosen(group: dict[str, Any], *names: str, **renamed: str) -> dict[str, Any]:
    """Settings of a group, some under the names that an op has for them."""
    return {n: group[n] for n in names} | {n: group[there] for n, there in renamed.items()}


def number(value: Any, who: str, name: str) -> float:
    """A setting as a number; a tensor must have one entry."""
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"{who}: {name} must be one number, got a Tensor of shape {tuple(value.shape)}")
    try:
        if isinstance(value, str):  # not even one that reads like a number
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{who}: {name} must be a number, got {type(value).__name__} {value!r:.40}") from None


def at_least(group: dict[str, Any], who: str, least: float, *names: str) -> None:
    """Raise if a setting is smaller."""
    for name in names:
        if not number(group[name], who, name) >= least:
            raise ValueError(f"{who}: {name} must be at least {least:g}, got {group[name]}")


def whole(group: dict[str, Any], who: str, *names: str) -> None:
    """Raise if a setting is not a whole number from 1 on."""
    for name in names:
        if not isinstance(group[name], (int, np.integer)) or group[name] < 1:
            raise ValueError(f"{who}: {name} must be a whole number from 1 on, got {group[name]!r}")


def numbers(group: dict[str, Any], who: str, name: str, count: int, example: Any) -> list[float]:
    """A setting that is several numbers."""
    values = group[name]
    if not isinstance(values, (tuple, list)) or len(values) != count:
        raise ValueError(f"{who}: {name} must be {count} numbers, like {example}, got {values!r}")
    return [number(v, who, f"{name}[{k}]") for k, v in enumerate(values)]


def not_negative(group: dict[str, Any], who: str, *names: str) -> None:
    """Raise if a setting is below 0, infinite, or not a number."""
    at_least(group, who, 0, *names)
    finite(group, who, *names)


def finite(group: dict[str, Any], who: str, *names: str) -> None:
    """Raise if a setting is infinite, or not a number."""
    for name in names:
        if not math.isfinite(number(group[name], who, name)):
            raise ValueError(f"{who}: {name} must be finite, got {group[name]}")


def refuse_misspelt(group: dict[str, Any], known: Iterable[str], who: str) -> None:
    """Raise for what is nearly the name of a setting; names of the user's own may stand in a group."""
    for key in set(map(str, group)) - {*known, "params", "param_names"}:
        for near in difflib.get_close_matches(key, known, 1, 0.8):
            if not (key.endswith("_" + near) or key.startswith(near + "_")):
                raise ValueError(f"{who}: the group has {key!r}, which is no setting; did you mean {near!r}?")


def shares(group: dict[str, Any], who: str, name: str, count: int = 2) -> None:
    """Raise if what averages keep of the past is not from 0 up to, but not, 1."""
    values = group[name]
    if not isinstance(values, (tuple, list)) or len(values) != count:
        raise ValueError(f"{who}: {name} must be {count} numbers, like {(0.9, 0.999)[:count]}, got {values!r}")
    for k, value in enumerate(values):
        if not 0 <= number(value, who, f"{name}[{k}]") < 1:
            raise ValueError(
                f"{who}: {name}[{k}] must be from 0 up to, but not, 1, got {value}: 1 would forget nothing"
            )


def share(group: dict[str, Any], who: str, name: str) -> None:
    """Raise if what an average keeps of the past is not from 0 to 1."""
    if not 0 <= number(group[name], who, name) <= 1:
        raise ValueError(f"{who}: {name} must be from 0 to 1, got {group[name]}")


def refuse_complex(params: list[Any], who: str) -> None:
    """Raise if a parameter is complex."""
    for p in params:
        if p.dtype.kind == "c":
            raise ValueError(
                f"{who}: its rule has no meaning for complex parameters, like this one of {p.dtype}; use Adam"
            )
