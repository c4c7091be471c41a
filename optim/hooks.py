"""Functions of the user's that are called before and after steps, and when state is saved or loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

GLOBAL: dict[str, list[Any]] = {"step_before": [], "step_after": []}


class Handle:
    """Takes a hook away again."""

    def __init__(self, hooks: list[Any], hook: Callable, first: bool = False):
        self.hooks, self.entry = hooks, [hook]  # a list of its own: the same function may be registered twice
        hooks.insert(0 if first else len(hooks), self.entry)

    def remove(self) -> None:
        """Take the hook away; once is enough."""
        self.hooks[:] = [entry for entry in self.hooks if entry is not self.entry]

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.remove()


def hooks_of(owner: Any, when: str) -> list[Callable]:
    """The hooks of all optimizers, then those of this one."""
    entries = [*GLOBAL.get(when, ()), *vars(owner).get("_hooks", {}).get(when, ())]
    return [hook for (hook,) in entries]


def register_optimizer_step_pre_hook(hook: Callable) -> Handle:
    """Call `hook(optimizer, args, kwargs)` before each step of any optimizer."""
    return Handle(GLOBAL["step_before"], hook)


def register_optimizer_step_post_hook(hook: Callable) -> Handle:
    """Call `hook(optimizer, args, kwargs)` after each step of any optimizer."""
    return Handle(GLOBAL["step_after"], hook)


class Hooked:
    """What an optimizer can call functions of the user's for."""

    def _hook(self, when: str, hook: Callable, prepend: bool = False) -> Handle:
        if not callable(hook):
            raise TypeError(f"{type(self).__name__}: a hook is a function, got {type(hook).__name__} {hook!r:.40}")
        return Handle(vars(self).setdefault("_hooks", {}).setdefault(when, []), hook, prepend)

    def register_step_pre_hook(self, hook: Callable) -> Handle:
        """Call `hook(optimizer, args, kwargs)` before a step; it may return other (args, kwargs)."""
        return self._hook("step_before", hook)

    def register_step_post_hook(self, hook: Callable) -> Handle:
        """Call `hook(optimizer, args, kwargs)` after a step."""
        return self._hook("step_after", hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call `hook(optimizer)` before its state is collected."""
        return self._hook("state_before", hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call `hook(optimizer, state_dict)` once it is; what it returns, if anything, is used instead."""
        return self._hook("state_after", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call `hook(optimizer, state_dict)` before a state is loaded; what it returns, if anything, is loaded instead."""
        return self._hook("load_before", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call `hook(optimizer)` after a state was loaded."""
        return self._hook("load_after", hook, prepend)
