"""Errors that arise inside a model say where: the path of the module, as `get_submodule` takes it."""

from __future__ import annotations

from typing import Any

TOLD = (ValueError, TypeError, IndexError, RuntimeError, AttributeError)


def placed(error: Exception, module: Any) -> None:
    """Begin an error's text with the path from this module to the one in which it arose; called from the inside out."""
    if not isinstance(error, TOLD) or len(error.args) != 1 or not isinstance(error.args[0], str):
        return
    inner, text = vars(error).setdefault("arose_in", (module, error.args[0]))
    path = next(
        (path for path, m in module.named_modules() if vars(m) is vars(inner)), None
    )  # a compiled one has its attributes
    if path is not None:
        error.args = (f"{path}{' ' if path else ''}{described(inner, bool(path))}: {text}",)


def described(module: Any, inside: bool = False) -> str:
    """A module in a few words: its class and what is printed of it, in parentheses after a path."""
    extra = module.extra_repr()
    text = type(module).__name__ + (f"({extra})" if extra and "\n" not in extra else "")
    return f"({text})" if inside else text
