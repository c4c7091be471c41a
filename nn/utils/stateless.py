"""A model as a function of its parameters: called with others in their place, and left as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import numpy as np

from autograd_core import Tensor
from autograd_core.op import Traced
from autograd_core.tensor import at

from ..module import Module


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """module(*args, **kwargs) with tensors or arrays in place of the parameters and buffers that they are named like.

    So `ag.grad(lambda p: loss(functional_call(model, p, x)))(dict(model.named_parameters()))` is a gradient by all
    parameters, and `jacobian`, `vmap` and the others go the same way.  Parameters that are one tensor under several
    names stay one unless `tie_weights` is False.  With `strict` every name must be given, and no other.  A buffer that
    the call replaces is replaced in the dict too.
    """
    given = parameters_and_buffers
    dicts = [given] if isinstance(given, Mapping) else list(given)
    values = {name: value for d in dicts for name, value in d.items()}
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with replaced(module, values, tie_weights, strict) as now:
        y = module(*args, **(kwargs or {}))
        moved = {name: t for name, t in now().items() if t is not values[name]}
    for d in dicts if moved else ():
        d.update({name: t for name, t in moved.items() if name in d})  # type: ignore[attr-defined]
    return y


@contextmanager
def replaced(module: Module, values: Mapping[str, Any], tie_weights: bool, strict: bool) -> Iterator[Any]:
    """A module with other tensors in the place of its own; what it is given tells what stands there now."""
    if not isinstance(module, Module):
        raise TypeError(f"functional_call: expected a Module, got {type(module).__name__}")
    own: dict[str, Tensor] = {**dict(module.named_parameters(remove_duplicate=False))}
    own |= dict(module.named_buffers(remove_duplicate=False))
    if strict:
        _check_names(own, values)
    everything = _tied(own, values) if tie_weights else values
    places = [(*_place(module, name), name, as_tensor(name, value)) for name, value in everything.items()]
    spaces = [(vars(m), attribute, name, value) for m, attribute, name, value in places if m is not None]
    before = [(space, attribute, attribute in space, space.get(attribute)) for space, attribute, _, _ in spaces]
    for space, attribute, _, value in spaces:
        space[attribute] = value

    def now() -> dict[str, Any]:
        stands = {name: space[attribute] for space, attribute, name, _ in spaces}
        given = {name: value for _, _, name, value in spaces}
        return {n: values[n] if t is given[n] else t for n, t in stands.items() if n in values}

    try:
        yield now
    finally:
        for space, attribute, there, value in reversed(before):
            if there:
                space[attribute] = value
            else:
                space.pop(attribute, None)


def as_tensor(name: str, value: Any) -> Any:
    """A value as a module holds it: arrays become tensors on their memory."""
    if isinstance(value, Traced):
        return value
    if isinstance(value, (np.ndarray, np.generic, float, int)):
        return at(np.asarray(value))
    raise TypeError(f"functional_call: {name} must be a tensor or an array, got {type(value).__name__}")


def _place(module: Module, name: str) -> tuple[Module | None, str]:
    """The module that holds a name, and the name there; None if there is no such module or attribute."""
    path, _, attribute = name.rpartition(".")
    try:
        holder = module.get_submodule(path)
    except AttributeError:
        return None, attribute
    there = attribute in vars(holder) or hasattr(type(holder), attribute)  # not hasattr of it: that may compute
    return (holder if there else None), attribute


def _check_names(own: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    missing, unexpected = [n for n in own if n not in values], [n for n in values if n not in own]
    if missing or unexpected:
        lines = [f"  missing: {', '.join(missing)}"] if missing else []
        for n in unexpected:
            close = get_close_matches(n, own, 1)
            lines.append(f"  unexpected: {n}" + (f"; is {close[0]!r} meant?" if close else ""))
        raise RuntimeError("functional_call: the names are not those of the module:\n" + "\n".join(lines))


def _tied(own: Mapping[str, Tensor], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, under all names of the tensors that they replace."""
    names: dict[int, list[str]] = {}
    for name, tensor in own.items():
        names.setdefault(id(tensor), []).append(name)
    full = dict(values)
    for name in values:
        group = names[id(own[name])] if name in own else []
        if any(n in values and values[n] is not values[name] for n in group):
            raise ValueError(
                f"functional_call: {', '.join(group)} are one tensor, and several values are given for it; "
                "give one, or say tie_weights=False"
            )
        full |= dict.fromkeys(group, values[name])
    return full
