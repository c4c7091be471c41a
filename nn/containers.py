"""Modules that hold others: in a row, in a list, under names."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Self, cast

from autograd_core import Tensor

from .module import Module, _indented, shown
from .parameter import Parameter

__all__ = ["DataParallel", "Held", "ModuleDict", "ModuleList", "Named", "ParameterDict", "ParameterList", "Sequential"]


def meant(entry: Any) -> str:
    """What was probably meant by something that is no module."""
    if isinstance(entry, type) and issubclass(entry, Module):
        return f"; a class becomes a module by parentheses: {entry.__name__}(...)"
    if isinstance(entry, (list, tuple)):
        return "; a list is taken apart by a star: *layers"
    return "; a function is no module: there are classes such as nn.ReLU()" if callable(entry) else ""


class Held:
    """A list of things that a module holds under the names "0", "1", ..."""

    def _entries(self) -> list:
        return [vars(self)[name] for name in self._names()]

    def _names(self) -> list[str]:
        return [n for n in vars(self) if n.isdecimal()]

    def _name(self, index: Any) -> str:
        names = self._names()
        i = operator.index(index)
        if not -len(names) <= i < len(names):
            raise IndexError(f"{type(self).__name__}: index {i} is out of range for {len(names)} entries")
        return names[i]

    def _renew(self, entries: Iterable) -> None:
        for name in self._names():
            del vars(self)[name]
        for i, entry in enumerate(entries):
            vars(self)[str(i)] = entry

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator:
        return iter(self._entries())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._like(self._entries()[index])
        return vars(self)[self._name(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            entries = self._entries()
            entries[index] = map(self._checked, value)
            self._renew(entries)
        else:
            vars(self)[self._name(index)] = self._checked(value)

    def __delitem__(self, index: Any) -> None:
        entries = self._entries()
        del entries[index if isinstance(index, slice) else self._names().index(self._name(index))]
        self._renew(entries)

    def __add__(self, other: Iterable) -> Any:
        return self._like([*self, *other])

    def __iadd__(self, other: Iterable) -> Self:
        return self.extend(other)

    def append(self, entry: Any) -> Self:
        """Add one at the end."""
        vars(self)[str(len(self))] = self._checked(entry)
        return self

    def extend(self, entries: Iterable) -> Self:
        """Add several at the end."""
        if not isinstance(entries, Iterable):
            raise TypeError(f"extend: expected several in a list or the like, got {type(entries).__name__}")
        for entry in [self._checked(entry) for entry in entries]:
            self.append(entry)
        return self

    def insert(self, index: int, entry: Any) -> Any:
        """Put one in before another."""
        entries = self._entries()
        entries.insert(index, self._checked(entry))
        self._renew(entries)
        return self

    def pop(self, key: Any = -1) -> Any:
        """Take one out."""
        entry = self[key]
        del self[key]
        return entry

    def _checked(self, entry: Any) -> Any:
        if not isinstance(entry, Module):
            raise TypeError(
                f"{type(self).__name__} holds modules, got {type(entry).__name__} {entry!r:.40}{meant(entry)}"
            )
        return entry

    def _like(self, entries: list) -> Any:
        return cast(Any, type(self))(entries)


class Sequential(Held, Module):
    """Modules called one after another: `Sequential(a, b)`, or with names, `Sequential({"first": a, "second": b})`."""

    def __init__(self, *args: Any):
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self.add_module(name, self._checked(module))
        else:
            self.extend(args)

    def forward(self, input: Any) -> Any:
        """Each module takes what the one before it gave."""
        for module in self._entries():
            input = module(input)
        return input

    def _entries(self) -> list:
        return [v for v in vars(self).values() if isinstance(v, Module)]

    def _names(self) -> list[str]:
        return [n for n, v in vars(self).items() if isinstance(v, Module)]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):  # names stay, so that a part of a model knows the state of the whole
            return type(self)({n: vars(self)[n] for n in self._names()[index]})
        return super().__getitem__(index)

    def _like(self, entries: list) -> Any:
        return Sequential(*entries)

    def __mul__(self, times: int) -> Sequential:
        if not isinstance(times, int) or times < 1:
            raise ValueError(f"Sequential: expected how many times as a positive whole number, got {times!r}")
        return Sequential(*self._entries() * times)

    __rmul__ = __mul__


class ModuleList(Held, Module):
    """A list of modules that are part of the model."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """There is none."""
        raise NotImplementedError("a ModuleList only holds modules: call them one by one in forward, or use Sequential")

    def __init__(self, modules: Iterable[Module] | None = None):
        self.extend(() if modules is None else modules)

    def __repr__(self) -> str:
        texts = [repr(m) for m in self]
        lines, start = [], 0
        for i, text in enumerate(texts):
            if i + 1 == len(texts) or texts[i + 1] != text:
                where = f"{start}" if start == i else f"{start}-{i}"
                lines.append(f"({where}): {'' if start == i else f'{i + 1 - start} x '}{_indented(text)}")
                start = i + 1
        return shown(type(self).__name__, self.extra_repr(), lines)


class DataParallel(Module):
    """A module as it is, under the name `module`: there is one device, so calls are only passed on."""

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0):
        self.module = module

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module gives."""
        return self.module(*inputs, **kwargs)


class Named(MutableMapping):
    """A dict of things that a module holds; the methods of a dict follow from these few."""

    __eq__ = object.__eq__  # modules are told apart by what they are, not by what they hold
    __hash__ = object.__hash__  # type: ignore[assignment]

    def _keys(self) -> list[str]:
        return [n for n, v in vars(self).items() if isinstance(v, Module)]

    def __len__(self) -> int:
        return len(self._keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys())

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys():
            raise KeyError(f"{type(self).__name__} has no {key!r}; it has {', '.join(self._keys()) or 'nothing'}")
        return vars(self)[key]

    def __delitem__(self, key: str) -> None:
        self[key]
        del vars(self)[key]


class ModuleDict(Named, Module):
    """A dict of modules that are part of the model."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """There is none."""
        raise NotImplementedError("a ModuleDict only holds modules: call one of them in forward, by its name")

    def __init__(self, modules: Any = None):
        self.update({} if modules is None else modules)

    def __setitem__(self, key: str, module: Module) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"ModuleDict holds modules, got {type(module).__name__} under {key!r}")
        self.add_module(key, module)


class ParameterList(Held, Module):
    """A list of parameters that are part of the model; tensors become parameters, other things are only kept."""

    def __init__(self, values: Iterable | None = None):
        self.extend(() if values is None else values)

    def _checked(self, entry: Any) -> Any:
        return Parameter(entry) if isinstance(entry, Tensor) and not isinstance(entry, Parameter) else entry

    def __repr__(self) -> str:
        return shown(type(self).__name__, self.extra_repr(), [f"({i}): {told(p)}" for i, p in enumerate(self)])


class ParameterDict(Named, Module):
    """A dict of parameters that are part of the model; tensors become parameters, other things are only kept."""

    def __init__(self, parameters: Any = None):
        self._held: dict[str, None] = {}
        if type(parameters) is dict:
            parameters = sorted(parameters.items())  # as PyTorch orders them, by which states of optimizers go
        self.update({} if parameters is None else parameters)

    def _keys(self) -> list[str]:
        return list(self._held)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"ParameterDict: keys are strings, got {key!r}")
        value = Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value
        if key not in self._held:
            self._set_new(key, value)
        vars(self)[key] = value
        self._held[key] = None

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        del self._held[key]

    def copy(self) -> ParameterDict:
        """Another dict of the same parameters."""
        return ParameterDict(self.items())

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """Another dict, in which all keys have one value."""
        return ParameterDict((key, default) for key in keys)

    def popitem(self) -> tuple[str, Any]:
        """Take the last one out, with its name."""
        key = next(reversed(self), None)
        if key is None:
            raise KeyError("popitem: the ParameterDict is empty")
        return key, self.pop(key)

    def __or__(self, other: Mapping) -> ParameterDict:
        return self.copy().__ior__(other) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping) -> ParameterDict:
        return ParameterDict(other).__ior__(self) if isinstance(other, Mapping) else NotImplemented

    def __ior__(self, other: Mapping) -> Self:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return shown(type(self).__name__, self.extra_repr(), [f"({key}): {told(p)}" for key, p in self.items()])


def told(entry: Any) -> str:
    """A parameter in a few words."""
    if not isinstance(entry, Tensor):
        return f"Object of type: {type(entry).__name__}"
    kind = "Parameter" if isinstance(entry, Parameter) else "Tensor"
    return f"{kind} containing: [{entry.dtype} of size {'x'.join(map(str, entry.shape))}]"
