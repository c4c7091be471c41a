"""The state of a model: collecting it under names, and loading it from what was collected here or in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np

from autograd_core import Tensor, no_grad

from .hooks import run
from .parameter import Buffer, Parameter, is_uninitialized

EXTRA = "_extra_state"
MANY = 12  # names that an error lists


class Keys(NamedTuple):
    """What did not match when a state was loaded."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        text = f"Keys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"
        return text if any(self) else "<All keys matched successfully>"


class State(dict):
    """A state as it was collected: a dict that also knows the version of each module, under its path."""

    _metadata: dict[str, dict[str, Any]]

    def __init__(self, *args: Any):
        super().__init__(*args)
        self._metadata = {}


def own(module: Any) -> dict[str, Tensor]:
    """What of the state belongs to the module itself: its parameters, then its persistent buffers."""
    buffers = {n: b for n, b in module.held(Buffer) if module.is_persistent(n)}
    return dict(module.held(Parameter)) | buffers


def has_extra(module: Any) -> bool:
    """Whether its class defines a state besides tensors, by `get_extra_state` and `set_extra_state`."""
    return hasattr(type(module), "get_extra_state")


def collected(module: Any, into: Any, prefix: str, keep_vars: bool) -> Any:
    """The state of a module and of all inside it, under `prefix`."""
    run(module, "state_before", prefix, keep_vars)
    told = {"version": module._version}
    if hasattr(into, "_metadata"):
        into._metadata[prefix[:-1]] = told
    module._save_to_state_dict(into, prefix, keep_vars)
    for name, child in module.submodules():
        child.state_dict(destination=into, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    run(module, "state_after", into, prefix, told)
    return into


def collect_own(module: Any, into: Any, prefix: str, keep_vars: bool) -> None:
    """What of the state is the module's own."""
    for name, tensor in own(module).items():
        into[prefix + name] = tensor if keep_vars or is_uninitialized(tensor) else tensor.detach()
    if has_extra(module):
        into[prefix + EXTRA] = module.get_extra_state()


class Loading(dict):
    """What modules are told beside the state that is loaded, and where they say which names in it are theirs."""

    def __init__(self, metadata: Mapping, places: dict[str, tuple[Any, str]]):
        super().__init__(metadata)
        self.places, self.registered = places, False

    def register(self, module: Any, prefix: str) -> None:
        """The module's own part is to be checked and loaded as that of others is."""
        self.places |= {prefix + name: (module, name) for name in own(module)}
        if has_extra(module):
            self.places[prefix + EXTRA] = (module, EXTRA)
        self.registered = True


class Prepared:
    """A state before it is loaded, after every module has had its turn at it."""

    def __init__(self, module: Any, state: Mapping, strict: bool):
        self.given, self.strict = dict(state), strict
        self.places: dict[str, tuple[Any, str]] = {}  # for every name, the module that holds it and the name there
        self.missing, self.unexpected, self.errors = [], [], []  # type: ignore[var-annotated]
        self.metadata = getattr(state, "_metadata", None) or {}
        self.visit(module, "")

    def visit(self, module: Any, prefix: str) -> None:
        """The turn of a module, and then of those inside it."""
        told = Loading(self.metadata.get(prefix[:-1], {}), self.places)
        module._load_from_state_dict(self.given, prefix, told, self.strict, self.missing, self.unexpected, self.errors)
        children = dict(module.submodules())
        if not told.registered:  # it has loaded its part itself
            rest = lambda n: n.removeprefix(prefix).partition(".")[0]
            for name in [n for n in self.given if n.startswith(prefix) and rest(n) not in children]:
                del self.given[name]
        for name, child in children.items():
            self.visit(child, f"{prefix}{name}.")


def refuse_cycle(module: Any, who: str) -> None:
    """Raise if a module is inside itself."""
    if path := cycle(module, "", ()):
        raise RuntimeError(
            f"{who}: {path!r} leads back to a module that it is inside of, so this would have no end; keep what stands "
            "above a module in a list, self.parent = [parent], which is not part of the model"
        ) from None


def cycle(module: Any, prefix: str, above: tuple) -> str:
    """The path of the first module that is also one above itself; "" if none is."""
    for name, child in module.submodules():
        if child is module or child in above:
            return prefix + name
        if found := cycle(child, f"{prefix}{name}.", (*above, module)):
            return found
    return ""


def loaded(module: Any, state: Mapping[str, Any], strict: bool, assign: bool) -> Keys:
    """Copy a state into a model, after everything about it has been checked."""
    if not isinstance(state, Mapping):
        hint = "; call state_dict() on it first" if hasattr(state, "state_dict") else ""
        hint = "; read the file first, with load" if isinstance(state, str) else hint
        raise TypeError(f"load_state_dict: expected names and tensors in a dict, got {type(state).__name__}{hint}")
    ready = Prepared(module, state, strict)
    given, places, errors = ready.given, ready.places, ready.errors
    missing, unexpected = ready.missing, ready.unexpected
    missing += [n for n in places if n not in given]
    unexpected += [n for n in given if n not in places]
    values = {n: given[n] if n.endswith(EXTRA) else array_of(n, given[n], errors) for n in places if n in given}
    errors += [text for n, (m, name) in places.items() if n in values for text in misfit(n, m, name, values[n], assign)]
    if strict:
        errors = told(missing, unexpected) + errors
        errors += [f"  {n!r} holds a dict: is state[{n!r}] meant?" for n in unexpected if isinstance(given[n], Mapping)]
    if errors:
        raise RuntimeError(f"load_state_dict: this state is not one of {type(module).__name__}:\n" + "\n".join(errors))
    for n, value in values.items():
        put(*places[n], value, assign)
    keys = Keys(missing, unexpected)
    for m in module.modules():
        run(m, "load_after", keys)
    return keys


def array_of(name: str, value: Any, errors: list[str]) -> Any:
    """The array of an entry: a tensor of ours or of PyTorch's, an array or a number."""
    if is_uninitialized(value):
        return value
    if isinstance(value, Tensor):
        return value.value
    try:
        array = np.asarray(value.detach() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError) as error:
        errors.append(f"  {name}: {type(value).__name__} does not become an array ({error})")
        return None
    if array.dtype.kind not in "biufc":
        errors.append(f"  {name}: expected a tensor or an array of numbers, got {type(value).__name__}")
        return None
    return array


def misfit(name: str, module: Any, attribute: str, value: Any, assign: bool) -> list[str]:
    """What is wrong with the shape of a value, and what it may come from."""
    if attribute == EXTRA or value is None or is_uninitialized(value):
        return []
    want = vars(module)[attribute]
    if value.dtype.kind == "c" != want.dtype.kind and not assign:
        what = f"{value.dtype} in the state, {want.dtype} in the model, which would lose the imaginary parts"
        return [f"  {name}: {what}; is its .real meant?"]
    if is_uninitialized(want) or want.shape == value.shape or _is_one(want, value):
        return []
    hint = ""
    if value.shape == want.shape[::-1]:
        hint = "; it looks transposed: a weight is (out, in) here, as in PyTorch"
    elif value.size == want.numel():
        hint = "; the number of entries is right, so a reshape may be missing"
    return [f"  {name}: shape {tuple(value.shape)} in the state, {tuple(want.shape)} in the model{hint}"]


def _is_one(want: Any, value: Any) -> bool:
    """Whether a single number is wanted, and given as a vector of one, as programs once saved them."""
    return want.shape == () and value.shape == (1,)


def told(missing: list[str], unexpected: list[str]) -> list[str]:
    """The names that do not match, with what is likely the cause."""
    lines = [f"  missing: {_some(missing)}"] if missing else []
    lines += [f"  unexpected: {_some(unexpected)}"] if unexpected else []
    heads = {n.partition(".")[0] + "." for n in unexpected}
    if missing and len(heads) == 1 and {n.removeprefix(*heads) for n in unexpected} >= set(missing):
        lines.append(f"  every name begins with {heads.pop()!r}: take it off, or load into the module of that name")
    elif missing and unexpected:
        pairs = [(n, get_close_matches(n, unexpected, 1, 0.8)) for n in missing]
        lines += [f"  is {close[0]!r} meant for {n!r}?" for n, close in pairs[:3] if close]
    return lines


def _some(names: list[str]) -> str:
    """Names as they are listed in an error: not all of them if there are many."""
    rest = len(names) - MANY
    more = f", and {rest} more: with strict=False all are in what load_state_dict returns" if rest > 0 else ""
    return ", ".join(names[:MANY]) + more


def put(module: Any, name: str, value: Any, assign: bool) -> None:
    """Set one entry of the state."""
    if name == EXTRA:
        module.set_extra_state(value)
        return
    old = vars(module)[name]
    if is_uninitialized(value):
        return
    if is_uninitialized(old):
        old.materialize(value.shape)
    elif _is_one(old, value):
        value = value.reshape(())
    if assign:
        new = Tensor(value)
        new.value = value
        if isinstance(old, Parameter):
            new = Parameter(new, requires_grad=old.requires_grad)
        elif isinstance(old, Buffer):
            new = Buffer(new, persistent=old.persistent)
        setattr(module, name, new)
        return
    with no_grad():
        old.copy_(Tensor(value))
