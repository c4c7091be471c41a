"""Tensors of a module as functions of others: `module.weight` is computed from what is trained.

A parametrized module is of a class of its own, in which the name is a property; what is trained is held by a
ParametrizationList at `module.parametrizations.<name>`, under `original`, or `original0`, `original1`, ...
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from autograd_core import Tensor, no_grad

from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Buffer, Parameter, is_uninitialized

_computed: ContextVar[dict | None] = ContextVar("computed", default=None)


@contextmanager
def cached() -> Iterator[None]:
    """Inside, each parametrized tensor is computed once, at its first use; inside another it changes nothing."""
    token = _computed.set({}) if _computed.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _computed.reset(token)


class ParametrizationList(ModuleList):
    """Parametrizations of one tensor, the first of which is given what is trained and each other what the last gave."""

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False):
        super().__init__(modules)
        if not len(self):
            raise ValueError("ParametrizationList: there must be one parametrization at least")
        self.unsafe = unsafe
        with no_grad():
            new = self._inverted(original, strict=False)
        self.is_tensor = isinstance(new, Tensor)
        parts = _parts(new, self[0])
        self.ntensors = len(parts)
        if self.is_tensor:
            _same("right_inverse", parts[0], original, ("dtype",))
        if not unsafe:
            _same(f"{type(self[-1]).__name__}", self._composed(parts), original)
        if self.is_tensor:
            if new is not original:
                original.data = new
            hold(self, "original", original)
        for i, part in enumerate(() if self.is_tensor else parts):
            held = Parameter(part, original.requires_grad) if isinstance(original, Parameter) else part
            hold(self, f"original{i}", held)

    def forward(self) -> Tensor:
        """The tensor, computed from what is trained."""
        return self._composed(self.originals())

    def originals(self) -> list[Tensor]:
        """What is trained."""
        return [getattr(self, name) for name in self._trained()]

    def _trained(self) -> list[str]:
        return ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]

    def _composed(self, parts: Sequence[Tensor]) -> Tensor:
        first, *rest = self
        x = first(*parts)
        for module in rest:
            x = module(x)
        return x

    def _inverted(self, value: Any, strict: bool = True) -> Any:
        """Through all inverses, the last first; those that have none are passed by unless `strict`."""
        for module in reversed(list(self)):
            inverse = getattr(module, "right_inverse", None)
            try:
                if inverse is not None:
                    value = inverse(value)
                    continue
            except NotImplementedError:
                pass
            if strict:
                raise RuntimeError(
                    f"{type(module).__name__} has no right_inverse, so its tensor cannot be assigned; "
                    f"define right_inverse, or change parametrizations.<name>.{self._trained()[0]}"
                )
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Set what is trained so that the tensor becomes `value`, or what of it is possible."""
        if not isinstance(value, Tensor):
            raise TypeError(f"a parametrized tensor is assigned a Tensor, got {type(value).__name__}")
        with no_grad():
            new = self._inverted(value)
        parts, held = _parts(new, self[0]), self.originals()
        if isinstance(new, Tensor) is not self.is_tensor or len(parts) != len(held):
            raise ValueError(f"right_inverse must return {len(held)} tensors as it did at first, got {len(parts)}")
        for part, old in zip(parts, held):
            _same("right_inverse", part, old, ("dtype",))
        for part, old in zip(parts, held):
            old.data = part.detach()


def _parts(new: Any, module: Module) -> list[Tensor]:
    """What a right inverse returned, one or several, as a list."""
    parts = [new] if isinstance(new, Tensor) else new
    if not isinstance(parts, (list, tuple)) or not all(isinstance(p, Tensor) for p in parts):
        raise ValueError(
            f"{type(module).__name__}: right_inverse must return a tensor or a sequence of tensors, "
            f"got {type(new).__name__}"
        )
    return list(parts)


def _same(who: str, new: Any, old: Tensor, what: Sequence[str] = ("dtype", "shape")) -> None:
    if not isinstance(new, Tensor):
        raise ValueError(f"{who}: a parametrization must return a tensor, got {type(new).__name__}")
    for kind in what:
        if getattr(new, kind) != getattr(old, kind):
            raise ValueError(
                f"{who}: the {kind} may not change, but it was {getattr(old, kind)} and is {getattr(new, kind)}; "
                "if that is meant, say unsafe=True"
            )


def hold(module: Module, name: str, tensor: Tensor) -> None:
    """Register as a parameter or as a buffer, whichever it is."""
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _property(name: str) -> property:
    def get(self: Module) -> Tensor:
        """The tensor, computed when it is asked for."""
        given = vars(self).get(name)  # by functional_call
        if given is not None:
            return given
        known = _computed.get()
        if known is None:
            return vars(self)["parametrizations"][name]()
        key = (id(self), name)
        if key not in known:
            known[key] = vars(self)["parametrizations"][name]()
        return known[key]

    def put(self: Module, value: Tensor) -> None:
        vars(self)["parametrizations"][name].right_inverse(value)
        if (known := _computed.get()) is not None:
            known.pop((id(self), name), None)

    return property(get, put)


@functools.cache
def parametrized_class(cls: type, names: tuple[str, ...]) -> type:
    """A class whose objects compute some of their tensors: shared by all that compute the same, so none is changed."""

    def reduce(self: Module, protocol: Any) -> tuple:
        return blank, (cls, names), vars(self)

    members = {name: _property(name) for name in names} | {"__reduce_ex__": reduce, "__module__": cls.__module__}
    return type(f"Parametrized{cls.__name__}", (cls,), cast(dict, members))


def blank(cls: type, names: tuple[str, ...]) -> Any:
    """An object of such a class, without anything in it yet: for copies and pickles."""
    return object.__new__(parametrized_class(cls, names))


def type_before_parametrizations(module: Module) -> type:
    """The class of a module as it was before anything of it was parametrized."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of a module, or any of them, is computed from others."""
    held = vars(module).get("parametrizations")
    if not isinstance(held, ModuleDict):
        return False
    return len(held) > 0 if tensor_name is None else tensor_name in held


def _settle(module: Any, base: type) -> None:
    """Give a module the class that its parametrizations ask for."""
    names = tuple(module.parametrizations)
    module.__class__ = parametrized_class(base, names) if names else base
    if not names:
        del module.parametrizations


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """From now on `module.<tensor_name>` is parametrization(what is trained), which begins as what the tensor is now.

    `parametrization.right_inverse`, if there is one, makes of a value of the tensor what is trained.  A second one on
    the same tensor is applied to what the first gives.  `unsafe` lets shape and type change.
    """
    if not isinstance(parametrization, Module):
        raise TypeError(f"register_parametrization: expected a Module, got {type(parametrization).__name__}")
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        _add(cast(Any, module), tensor_name, parametrization, unsafe)
        return module
    original = dict([*module.held(Parameter), *module.held(Buffer)]).get(tensor_name)
    if original is None:
        there = ", ".join(n for kind in (Parameter, Buffer) for n, _ in module.held(kind)) or "none"
        raise ValueError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer {tensor_name!r}; it has {there}"
        )
    if is_uninitialized(original):
        raise ValueError(f"register_parametrization: {tensor_name} has no shape yet; call the model on a batch first")
    held = ParametrizationList([parametrization], original, unsafe)
    base = type_before_parametrizations(module)
    forget(module, tensor_name)
    if not is_parametrized(module):
        vars(module)["parametrizations"] = ModuleDict()
    vars(module)["parametrizations"][tensor_name] = held
    _settle(module, base)
    return module


def forget(module: Module, name: str) -> None:
    """Take a parameter or buffer out of a module."""
    del vars(module)[name]
    vars(module).get("_buffer_names", {}).pop(name, None)


def _add(module: Any, name: str, parametrization: Any, unsafe: bool) -> None:
    """One more parametrization of a tensor that has some."""
    if not unsafe:
        y = getattr(module, name)
        x = parametrization(y)
        _same(type(parametrization).__name__, x, y)
        inverse = getattr(parametrization, "right_inverse", None)
        if inverse is not None:
            try:
                _same(f"{type(parametrization).__name__}.right_inverse", inverse(x), y)
            except NotImplementedError:
                pass
    held = module.parametrizations[name]
    held.append(parametrization)
    held.unsafe |= unsafe


def remove_parametrizations(module: Any, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make a tensor an ordinary one again, with the value that was computed, or else with what was trained."""
    if not is_parametrized(module, tensor_name):
        have = ", ".join(module.parametrizations) if is_parametrized(module) else "none"
        raise ValueError(f"remove_parametrizations: {tensor_name!r} is not parametrized; those that are: {have}")
    held = module.parametrizations[tensor_name]
    if not held.is_tensor and not leave_parametrized:
        raise ValueError(
            f"remove_parametrizations: {tensor_name} is computed from {held.ntensors} tensors, so it has no value without "
            "that; leave_parametrized=True keeps the computed one"
        )
    if held.is_tensor:
        original = held.original
        if leave_parametrized:
            with no_grad():
                original.data = getattr(module, tensor_name)
    else:
        value = getattr(module, tensor_name)
        original = Parameter(value.detach()) if value.requires_grad else value
    base = type_before_parametrizations(module)
    del module.parametrizations[tensor_name]
    _settle(module, base)
    hold(module, tensor_name, original)
    return module


def transfer_parametrizations_and_params(from_module: Any, to_module: Any, tensor_name: str | None = None) -> Any:
    """Parametrize a module as another one is, with the same tensors trained by both."""
    if not is_parametrized(from_module):
        return to_module
    for name in list(from_module.parametrizations) if tensor_name is None else [tensor_name]:
        source = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            to_module.register_parameter(name, Parameter(getattr(from_module, name).detach()))
        for parametrization in source:
            register_parametrization(to_module, name, parametrization, unsafe=source.unsafe)
        for part in source._trained():
            setattr(to_module.parametrizations[name], part, getattr(source, part))
    return to_module
