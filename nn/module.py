"""Module: parts of a model that hold parameters and other modules, and can be called.

There is no registry.  What a module holds is what stands in its attributes: parameters, buffers and modules are found by
walking `vars(self)` in the order in which they were set.  So a subclass need not call `super().__init__()`.  Setting an
attribute is watched for one thing only: that what is part of the state does not leave it unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Self

import numpy as np

from autograd_core import Tensor, empty_like, no_grad
from autograd_core.tape import everywhere

from . import state
from .errors import placed
from .hooks import Hooks, called, joined, run
from .parameter import Buffer, Parameter, Uninitialized

__all__ = ["Module"]


class Module:
    """The base of every layer and model: set parameters and modules as attributes, and define `forward`."""

    training: bool = True
    _version: int = 1  # of the state, for classes to tell older ones by
    _hooks: Hooks | None = None
    _everywhere: Hooks | None = None  # those of all modules, once there are any

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; subclasses define it."""
        name = type(self).__name__
        raise NotImplementedError(f"{name}: forward is not defined; write `def forward(self, x): ...` in class {name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks is None and self._everywhere is None:
                return self.forward(*args, **kwargs)
            return called(self, joined(self._everywhere, self._hooks), args, kwargs)
        except Exception as error:
            placed(error, self, (*args, *kwargs.values()))
            raise

    def __setattr__(self, name: str, value: Any) -> None:
        old = vars(self).get(name, self)
        if isinstance(value, (Parameter, Module)):
            vars(self).get("_buffer_names", {}).pop(name, None)
            if old is None:  # it takes its place in the order when it is set
                del vars(self)[name]
        elif isinstance(old, (Parameter, Module)) and old is not self and value is not None:
            kind, fix = "module", f"set another module or None, or `del` {name} first if something else is meant"
            if isinstance(old, Parameter):
                kind, fix = (
                    "Parameter",
                    f"write {name}.data, wrap it in nn.Parameter, or change it in place under no_grad()",
                )
            raise TypeError(
                f"{type(self).__name__}.{name} is a {kind}, and {type(value).__name__} is none: it would no longer be "
                f"part of the model; {fix}"
            )
        elif isinstance(old, Buffer) and isinstance(value, Tensor):
            vars(self).setdefault("_buffer_names", {})[name] = old.persistent  # whatever takes its place is one, too
        object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy begins with: weights that the next call computes anew are cut off from what they come from."""
        own, again = dict(vars(self)), () if self._hooks is None else self._hooks.recomputed()
        for name, value in own.items():
            if not isinstance(value, Tensor) or value.is_leaf:
                continue
            if name not in again:
                raise RuntimeError(
                    f"{type(self).__name__}.{name} was computed from tensors that require gradients, and what it comes "
                    f"from is not copied or pickled with it; keep {name}.detach() there, or set it to None before"
                )
            own[name] = value.detach()
        return own

    # --- what it holds ---

    def held(self, kind: Any) -> Iterator[tuple[str, Any]]:
        """Names and values of the attributes of a kind: Parameter, Buffer or Module."""
        attributes = list(vars(self).items())  # whoever goes through them may set others
        if kind is Buffer:
            listed = vars(self).get("_buffer_names", {})
            return ((n, v) for n, v in attributes if isinstance(v, Buffer) or n in listed and v is not None)
        return ((n, v) for n, v in attributes if isinstance(v, kind))

    _parameters = property(lambda self: View(self, Parameter), doc="Its own parameters by name, to read and to set.")
    _buffers = property(lambda self: View(self, Buffer), doc="Its own buffers by name, to read and to set.")
    _modules = property(lambda self: View(self, Module), doc="The modules directly inside by name, to read and to set.")

    def is_persistent(self, name: str) -> bool:
        """Whether a buffer is part of the state."""
        value = vars(self)[name]
        return value.persistent if isinstance(value, Buffer) else vars(self)["_buffer_names"][name]

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """The module itself and all inside it, with their paths; one that occurs twice is named once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self.submodules():
            yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def _named(self, kind: Any, prefix: str, recurse: bool, once: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=once) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in module.held(kind):
                if id(value) not in seen:
                    yield f"{path}.{name}" if path else name, value
                if once:
                    seen.add(id(value))

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Parameters with their paths; one that is shared is named once."""
        return self._named(Parameter, prefix, recurse, remove_duplicate)

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Buffers with their paths."""
        return self._named(Buffer, prefix, recurse, remove_duplicate)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside, with their names."""
        seen: set[Module] = set()
        for name, child in self.submodules():
            if child not in seen:
                seen.add(child)
                yield name, child

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter, once."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Every buffer, once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def modules(self) -> Iterator[Module]:
        """The module itself and all inside it."""
        return (m for _, m in self.named_modules())

    def children(self) -> Iterator[Module]:
        """The modules directly inside."""
        return (m for _, m in self.named_children())

    def submodules(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside, one that is shared under each of its names."""
        return self.held(Module)

    # --- adding and finding by name ---

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set a parameter under a name that may be computed; None says that there is none."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter: {name!r} must be a Parameter or None, got {type(param).__name__}")
        self._set_new(name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Set a buffer under a name; whatever tensor is assigned to that name later remains one."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer: {name!r} must be a Tensor or None, got {type(tensor).__name__}")
        listed = vars(self).setdefault("_buffer_names", {})
        if name not in listed:
            self._set_new(name, tensor)
        setattr(self, name, tensor)
        listed[name] = persistent

    def add_module(self, name: str, module: Module | None) -> None:
        """Set a module under a name that may be computed."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module: {name!r} must be a Module or None, got {type(module).__name__}")
        if name not in dict(self.submodules()):
            self._set_new(name, module)
        setattr(self, name, module)

    register_module = add_module

    def _set_new(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a name must be a string, got {name!r}")
        if not name or "." in name:
            raise KeyError(f"a name must not be empty and must not have dots, which part the names of a path: {name!r}")
        if vars(self).get(name) is not None or hasattr(type(self), name):
            raise KeyError(f"{type(self).__name__} has an attribute {name!r} already")
        setattr(self, name, value)

    def get_submodule(self, target: str) -> Module:
        """The module of a path such as "encoder.0.linear"; the empty path is the module itself."""
        module: Any = self
        for n, name in enumerate(target.split(".") if target else ()):
            found = getattr(module, name, None)
            if not isinstance(found, Module):
                there = ", ".join(n for n, _ in module.held(Module)) or "nothing"
                above = ".".join(target.split(".")[:n]) or type(self).__name__
                raise AttributeError(f"get_submodule: {above} has no module {name!r}; inside it: {there}")
            module = found
        return module

    def _get(self, target: str, kind: Any, who: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        held = dict(module.held(kind))
        if name not in held:
            raise AttributeError(f"{who}: {type(module).__name__} has no {name!r}; it has {', '.join(held) or 'none'}")
        return held[name]

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a path."""
        return self._get(target, Parameter, "get_parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of a path."""
        return self._get(target, Buffer, "get_buffer")

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put another module at a path; with `strict` there must have been one."""
        path, _, name = target.rpartition(".")
        if not target or not isinstance(module, Module):
            raise ValueError(f"set_submodule: expected a path and a Module, got {target!r} and {type(module).__name__}")
        if strict:
            self.get_submodule(target)
        setattr(self.get_submodule(path), name, module)

    # --- all at once ---

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call fn on every module inside, then on this one."""
        try:
            for child in self.children():
                child.apply(fn)
        except RecursionError:
            state.refuse_cycle(self, "apply")
            raise
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Switch to training: dropout drops, running statistics run."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: the mode is True or False, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation, the opposite of `train`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze every parameter (False), or thaw it."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to zero."""
        for p in self.parameters():
            if p.grad is not None:
                p.grad = None if set_to_none else Tensor(np.zeros_like(p.grad.value))

    def _tensors(self) -> Iterator[Tensor]:
        """Every parameter and every buffer."""
        yield from self.parameters()
        yield from self.buffers()

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Change the type of floating-point parameters and buffers: `to(dtype)`, `to("cpu")`, `to(like_this_tensor)`."""
        np_dtype = Tensor(np.empty(0, np.float32)).to(*args, **kwargs).dtype if args or kwargs else None
        given = any(not isinstance(a, str) or hasattr(np, a) for a in (*args, kwargs.get("dtype", "cpu")))
        return self._cast(np_dtype) if given and np_dtype is not None else self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Put what a function makes of each parameter and buffer, and of gradients, in its place."""
        for t in self._tensors() if recurse else [*self.parameters(False), *self.buffers(False)]:
            grad, t.grad = t.grad, None
            with no_grad():
                t.data = fn(t.data)
                t.grad = grad if grad is None else fn(grad)
        return self

    def to_empty(self, *, device: Any = None, recurse: bool = True) -> Self:
        """Give parameters and buffers memory of their own, whose numbers are yet to be set."""
        return self._apply(lambda t: empty_like(t, device=device), recurse)

    def share_memory(self) -> Self:
        """Nothing to do: there is one process."""
        return self

    def _get_name(self) -> str:
        """The name of its class."""
        return type(self).__name__

    def _cast(self, dtype: Any) -> Self:
        for t in self._tensors():
            if isinstance(t, Uninitialized):
                t.recast(dtype)
            elif t.dtype.kind in "fc" and t.dtype != dtype:
                grad = t.grad
                t.grad = None
                with no_grad():
                    t.data = t.data.to(dtype)
                t.grad = grad if grad is None else grad.to(dtype)
        return self

    def type(self, dst_type: Any) -> Self:
        """Change the type of every parameter and buffer, integers included."""
        for t in self._tensors():
            t.grad = None
            t.data = t.data.to(dst_type)
        return self

    def double(self) -> Self:
        """64 bits."""
        return self._cast(np.dtype(np.float64))

    def half(self) -> Self:
        """16 bits."""
        return self._cast(np.dtype(np.float16))

    bfloat16 = Tensor.bfloat16

    def cpu(self) -> Self:
        """Where everything is."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """There is no such device here: an error that says so."""
        return self.to("cuda" if device is None else device)

    # --- state ---

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> dict[str, Any]:
        """Names and tensors of all parameters and persistent buffers; the memory is shared."""
        try:
            return state.collected(self, state.State() if destination is None else destination, prefix, keep_vars)
        except RecursionError:
            if not prefix:
                state.refuse_cycle(self, "state_dict")
            raise

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> state.Keys:
        """Copy values in from what `state_dict` gave, here or in PyTorch; nothing changes unless all of it fits."""
        try:
            return state.loaded(self, state_dict, strict, assign)
        except RecursionError:
            state.refuse_cycle(self, "load_state_dict")
            raise

    def before_load(self, state: dict[str, Any], prefix: str) -> None:
        """What a class does to a state that is about to be loaded, to bring older ones up to date."""

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Put the module's own part into a state; classes may define another."""
        state.collect_own(self, destination, prefix, keep_vars)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """The module's turn at a state, which it may change; values are copied in when all modules had theirs.

        Classes may define another, and call this one for what is to be checked and loaded as usual.
        """
        if not isinstance(local_metadata, state.Loading):
            raise TypeError("_load_from_state_dict: hand on the local_metadata that was given")
        self.before_load(state_dict, prefix)
        told = state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        run(self, "load_before", *told)
        local_metadata.register(self, prefix)

    # --- hooks ---

    def _add_hook(self, slot: str, hook: Callable, prepend: bool = False, **options: bool) -> Any:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks.add(slot, hook, prepend, **options)

    def register_forward_pre_hook(self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False) -> Any:
        """Call `hook(module, args)` before forward; what it returns, if anything, replaces the arguments."""
        return self._add_hook("before", hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> Any:
        """Call `hook(module, args, output)` after forward; what it returns, if anything, replaces the output."""
        return self._add_hook("after", hook, prepend, with_kwargs=with_kwargs, always_call=always_call)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> Any:
        """Call `hook(module, grad_output)` when the gradients of the outputs are known; a result replaces them."""
        return self._add_hook("backward_before", hook, prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> Any:
        """Call `hook(module, grad_input, grad_output)` when those of the inputs are; a result replaces grad_input."""
        return self._add_hook("backward_after", hook, prepend)

    register_backward_hook = register_full_backward_hook

    def register_state_dict_pre_hook(self, hook: Callable) -> Any:
        """Call `hook(module, prefix, keep_vars)` before the state is collected."""
        return self._add_hook("state_before", hook)

    def register_state_dict_post_hook(self, hook: Callable) -> Any:
        """Call `hook(module, state_dict, prefix, local_metadata)` after the module's state was collected."""
        return self._add_hook("state_after", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> Any:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)` before loading."""
        return self._add_hook("load_before", hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def _register_load_state_dict_pre_hook(self, hook: Callable, with_module: bool = False) -> Any:
        """The form of old, `hook(state_dict, prefix, ...)`, without the module unless it is asked for."""
        return self.register_load_state_dict_pre_hook(hook if with_module else lambda module, *told: hook(*told))

    def register_load_state_dict_post_hook(self, hook: Callable) -> Any:
        """Call `hook(module, incompatible_keys)` after loading."""
        return self._add_hook("load_after", hook)

    # --- printing ---

    def extra_repr(self) -> str:
        """What is printed between the parentheses; classes define it."""
        return ""

    def __repr__(self) -> str:
        try:
            lines = [f"({name}): {_indented(repr(child))}" for name, child in self.submodules()]
        except RecursionError:
            state.refuse_cycle(self, "repr")
            raise
        return shown(type(self).__name__, self.extra_repr(), lines)

    def float(self) -> Self:
        """32 bits."""
        return self._cast(np.dtype(np.float32))


class View(MutableMapping):
    """What a module holds of one kind, by name: entries set and deleted here are set and deleted there."""

    def __init__(self, module: Module, kind: Any):
        self.module, self.kind = module, kind

    def __getitem__(self, name: str) -> Any:
        return dict(self.module.held(self.kind))[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if self.kind is Buffer and name not in self:
            self.module.register_buffer(name, value)
        else:
            setattr(self.module, name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        delattr(self.module, name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.module.held(self.kind))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


def shown(name: str, extra: str, lines: list[str]) -> str:
    """A module as it is printed: on one line if there is nothing inside it."""
    own = extra.split("\n") if extra else []
    if not lines and len(own) < 2:
        return f"{name}({extra})"
    return f"{name}(\n  " + "\n  ".join(own + lines) + "\n)"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


# --- hooks of all modules --------------------------------------------------------------------------------------------


def _hook_everywhere(slot: str, hook: Callable, **options: bool) -> Any:
    if Module._everywhere is None:
        Module._everywhere = hooks = Hooks()
        everywhere.extend([hooks.before, hooks.after, hooks.backward_before, hooks.backward_after])
    return Module._everywhere.add(slot, hook, **options)


def register_module_forward_pre_hook(hook: Callable) -> Any:
    """`register_forward_pre_hook` for every module there is, before its own."""
    return _hook_everywhere("before", hook)


def register_module_forward_hook(hook: Callable, *, with_kwargs: bool = False, always_call: bool = False) -> Any:
    """`register_forward_hook` for every module there is, before its own."""
    return _hook_everywhere("after", hook, with_kwargs=with_kwargs, always_call=always_call)


def register_module_full_backward_pre_hook(hook: Callable) -> Any:
    """`register_full_backward_pre_hook` for every module there is, before its own."""
    return _hook_everywhere("backward_before", hook)


def register_module_full_backward_hook(hook: Callable) -> Any:
    """`register_full_backward_hook` for every module there is, before its own."""
    return _hook_everywhere("backward_after", hook)


register_module_backward_hook = register_module_full_backward_hook
