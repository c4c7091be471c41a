"""Modules made without their first values, for those that are about to be loaded."""

from __future__ import annotations

from typing import Any

from .. import init
from ..module import Module


def skip_init(module_cls: type, *args: Any, **kwargs: Any) -> Any:
    """A module whose parameters hold whatever their memory held; no random number is drawn."""
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(
            f"skip_init: expected a class of modules, got {module_cls!r:.60}; write skip_init(nn.Linear, 3, 4)"
        )
    with init.skipped():
        return module_cls(*args, **kwargs)
