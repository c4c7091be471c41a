"""Functions of the user's own that are called when a module is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from autograd_core import Function, Tensor
from autograd_core.tree import flatten


@dataclass(eq=False)
class Hook:
    """One function and how it wants to be called."""

    function: Callable
    with_kwargs: bool = False
    always_call: bool = False


@dataclass(eq=False)
class Handle:
    """Takes a hook away again, by `remove()` or at the end of a `with`."""

    hooks: list
    hook: Hook

    def remove(self) -> None:
        """Take the hook away; once is enough."""
        self.hooks[:] = [h for h in self.hooks if h is not self.hook]

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.remove()


@dataclass
class Hooks:
    """The hooks of one module, in the order in which they are called."""

    before: list = field(default_factory=list)
    after: list = field(default_factory=list)
    backward_before: list = field(default_factory=list)
    backward_after: list = field(default_factory=list)
    state_before: list = field(default_factory=list)
    state_after: list = field(default_factory=list)
    load_before: list = field(default_factory=list)
    load_after: list = field(default_factory=list)

    def add(self, slot: str, function: Callable, prepend: bool = False, **options: bool) -> Handle:
        """Enter a function, last or first."""
        if not callable(function):
            raise TypeError(f"a hook must be a function, got {type(function).__name__} {function!r:.40}")
        hooks, hook = getattr(self, slot), Hook(function, **options)
        hooks.insert(0 if prepend else len(hooks), hook)
        return Handle(hooks, hook)

    def recomputed(self) -> set[str]:
        """The names of weights that are computed before each call."""
        return {h.function.name for h in self.before if hasattr(h.function, "compute_weight")}

    def run(self, slot: str, *args: Any) -> None:
        """Call those whose results do not matter."""
        for hook in list(getattr(self, slot)):
            hook.function(*args)


def joined(everywhere: Hooks | None, own: Hooks | None) -> Hooks:
    """The hooks of all modules, and after them those of one."""
    if everywhere is None or own is None:
        return own or everywhere or Hooks()
    slots = ("before", "after", "backward_before", "backward_after")
    return Hooks(**{s: getattr(everywhere, s) + getattr(own, s) for s in slots})


def run(module: Any, slot: str, *args: Any) -> None:
    """Call the hooks of a module, if it has any, whose results do not matter."""
    if module._hooks is not None:
        module._hooks.run(slot, module, *args)


def called(module: Any, hooks: Hooks, args: tuple, kwargs: dict) -> Any:
    """A call of a module with all its hooks."""
    told = None
    try:
        args, kwargs = _before(module, hooks, args, kwargs)
        watch = Watch(module, hooks) if hooks.backward_before or hooks.backward_after else None
        if watch is not None:
            args = watch.inputs(args)
        y = module.forward(*args, **kwargs)
        for told in list(hooks.after):
            y = _after(told, module, args, kwargs, y)
        return y if watch is None else watch.outputs(y)
    except Exception:
        waiting = hooks.after if told is None else hooks.after[hooks.after.index(told) + 1 :]
        for hook in [h for h in waiting if h.always_call]:
            _after(hook, module, args, kwargs, None)
        raise


def _before(module: Any, hooks: Hooks, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    for hook in list(hooks.before):
        new = hook.function(module, args, kwargs) if hook.with_kwargs else hook.function(module, args)
        if new is None:
            continue
        if not hook.with_kwargs:
            args = new if isinstance(new, tuple) else (new,)
        elif isinstance(new, tuple) and len(new) == 2:
            args, kwargs = new
        else:
            raise RuntimeError(f"a forward pre-hook with kwargs must return None or (args, kwargs), got {new!r:.60}")
    return args, kwargs


def _after(hook: Hook, module: Any, args: tuple, kwargs: dict, y: Any) -> Any:
    new = hook.function(module, args, kwargs, y) if hook.with_kwargs else hook.function(module, args, y)
    return y if new is None else new


class Watch:
    """One call whose gradients are watched: inputs and outputs pass through gates that tell of what passes back."""

    def __init__(self, module: Any, hooks: Hooks):
        self.module, self.hooks = module, hooks
        self.grad_output: Any = None
        self.positions: list[int] = []
        self.count = 0

    def inputs(self, args: tuple) -> tuple:
        """The arguments, those that are tensors behind a gate."""
        self.count = len(args)
        self.positions = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        wanted = [args[i] for i in self.positions]
        if not any(t.requires_grad for t in wanted):
            self.positions = []
            return args
        through = dict(zip(self.positions, Gate.apply(self._arrived, *wanted)))
        return tuple(through.get(i, a) for i, a in enumerate(args))

    def outputs(self, y: Any) -> Any:
        """The results, those that are tensors behind a gate."""
        leaves, build = flatten(y)
        wanted = [t for t in leaves if isinstance(t, Tensor)]
        if not any(t.requires_grad for t in wanted):
            return y
        through = iter(Gate.apply(self._left, *wanted))
        return build([next(through) if isinstance(t, Tensor) else t for t in leaves])

    def _left(self, grads: tuple) -> tuple:
        for hook in list(self.hooks.backward_before):
            grads = replaced(grads, hook.function(self.module, grads), "full backward pre-hook", "grad_output")
        self.grad_output = grads
        if not self.positions:
            if any(g is not None for g in self._tell((None,) * max(self.count, 1))):
                raise RuntimeError(
                    "full backward hook: no input requires gradients, so it must return None, or only Nones"
                )
        return grads

    def _arrived(self, grads: tuple) -> tuple:
        known = dict(zip(self.positions, grads))
        told = self._tell(tuple(known.get(i) for i in range(self.count)))
        return tuple(told[i] for i in self.positions)

    def _tell(self, grads: tuple) -> tuple:
        for hook in list(self.hooks.backward_after):
            new = hook.function(self.module, grads, self.grad_output)
            grads = replaced(grads, new, "full backward hook", "grad_input")
        return grads


def replaced(grads: tuple, new: Any, who: str, what: str) -> tuple:
    """What a hook made of gradients: as many, each with the shape and type of the one whose place it takes."""
    if new is None:
        return grads
    new = new if isinstance(new, tuple) else (new,)
    if len(new) != len(grads):
        raise RuntimeError(f"{who}: it must return None or {len(grads)} {what}, one for each, got {len(new)}")
    for i, (old, grad) in enumerate(zip(grads, new)):
        if grad is None or old is None:
            continue
        if not isinstance(grad, Tensor):
            raise TypeError(f"{who}: {what}[{i}] must be a Tensor or None, got {type(grad).__name__}")
        if grad.shape != old.shape or grad.dtype != old.dtype:
            given, needed = (f"{tuple(g.shape)} {g.dtype}" for g in (grad, old))
            raise RuntimeError(f"{who}: {what}[{i}] was {needed}, and the hook returned {given}; both must stay")
    return new


class Gate(Function):
    """Passes tensors on unchanged, and their gradients through a function, all at once."""

    @staticmethod
    def forward(ctx: Any, tell: Callable, *tensors: Tensor) -> tuple:
        ctx.tell = tell
        ctx.set_materialize_grads(False)
        return tuple(t.view_as(t) for t in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple:
        return None, *ctx.tell(grads)
