"""Errors in the user's terms: which function was called, with what, and what it takes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import numpy as np

MISUSES = (np.linalg.LinAlgError, IndexError, ValueError, TypeError, MemoryError)
_HERE, _STANDARD = os.path.dirname(__file__), os.path.dirname(os.__file__)
_LIBRARY = re.compile("|".join(map(re.escape, (_HERE, os.path.dirname(np.__file__), "<string>", "<frozen"))))
_BESIDE = "|".join(re.escape(os.path.join(os.path.dirname(_HERE), name, "")) for name in ("nn", "optim"))
_NOT_THE_USERS = re.compile(
    rf"{_LIBRARY.pattern}|{_BESIDE}|{re.escape(_STANDARD + os.sep)}(?!site-packages|dist-packages)"
)
_ACCEPTED = {"i": "integers", "bi": "booleans and integers", **dict.fromkeys(("f", "fi", "bfi"), "real numbers")}


class CaptureError(RuntimeError):
    """A function that is to be compiled does something that a replay could not do again."""


def called(name: str) -> str:
    """The public function of ours that the user called, found on the stack: what an error is to name first."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((_HERE, "<string>")):
        module = frame.f_globals
        if frame.f_code.co_name in (*module.get("__all__", ()), *module.get("METHODS", ())):
            name = frame.f_code.co_name
        frame = frame.f_back  # type: ignore[assignment]
    return name


def explained(op: Any, args: tuple, error: Exception) -> Exception:
    """The error of a forward function in the user's terms: the operation and what it was given."""
    text, name = str(error), called(op.name)
    named = text.startswith(f"{op.name}:")
    if getattr(error, "explained", False) or named and name == op.name or not isinstance(error, MISUSES):
        return error
    if (found := of_another_library(args)) is not None:
        return TypeError(f"{name}: {found}")
    kind = next(k for k in MISUSES if isinstance(error, k))
    names = map(str, range(99)) if op.variadic else op.inputs
    given = [f"{n} is {_shape_of(a)}" for n, a in zip(names, args)] + [f"in {op.name}"] * (name != op.name)
    reason = text.removeprefix(f"{op.name}: ") if named else said(error, op.forward, op.elementwise)
    better = kind(f"{name}: {reason}" if named else f"{name}: {reason} ({', '.join(given)})")
    better.explained = reason  # type: ignore[attr-defined]
    return better


def users_frame() -> FrameType:
    """The innermost frame outside these packages; one in ours, or in the standard library, only if nobody called that."""
    first = _outside(_LIBRARY, sys._getframe(1)) or sys._getframe(1)
    return _outside(_NOT_THE_USERS, first) or first


def _outside(inside: re.Pattern, frame: FrameType | None) -> FrameType | None:
    """The first frame, from one outward, of which the file is elsewhere."""
    while frame is not None and inside.match(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def module_path() -> str:
    """Said after a line: the innermost module whose call is running, with its path in the outermost one, if there is any."""
    frame, calls = sys._getframe(1), []  # type: ignore[var-annotated]
    while frame is not None:
        holder = frame.f_locals.get("self") if frame.f_code.co_name == "__call__" else None
        if hasattr(type(holder), "named_modules"):
            calls.append(holder)
        frame = frame.f_back  # type: ignore[assignment]
    if not calls:
        return ""
    path = next((path for path, m in calls[-1].named_modules() if m is calls[0]), "")
    return f", module {path} ({type(calls[0]).__name__})" if path else f", module {type(calls[0]).__name__}"


def of_another_library(values: Iterable) -> str | None:
    """What is said of a tensor of PyTorch, JAX or the like among some values; None if there is none."""
    for v in values:
        if hasattr(v, "__dlpack__") and not isinstance(v, (np.ndarray, np.generic)) and not hasattr(v, "innermost"):
            library, kind = type(v).__module__.partition(".")[0], type(v).__name__
            return f"got a {library}.{kind}, which is of another library; ag.tensor(x) makes a tensor of this one"
    return None


def said(error: Exception, forward: Callable | None = None, elementwise: bool = False) -> str:
    """What NumPy said, in words that hold for tensors."""
    text = str(error)
    if "broadcast" in text and elementwise:
        return "shapes do not broadcast together"
    if isinstance(error, TypeError) and ("ufunc" in text or "DType" in text):
        ufunc = getattr(np, (re.findall(r"ufunc '(\w+)'", text) or [""])[0], forward)
        kinds = {np.dtype(t[0]).kind.replace("u", "i") for t in getattr(ufunc, "types", ()) if t[0] not in "OmM"}
        return f"takes {_ACCEPTED.get(''.join(sorted(kinds)), 'numbers')}"
    if found := re.search(r"index (-?\d+) is out of bounds .*?size (\d+)", text):
        return f"index {found[1]} is out of range for an axis of {found[2]} entries"
    return text.removeprefix("result_type: ").replace("numpy boolean", "boolean")


def require_callable(f: Any, who: str) -> None:
    """Raise if what should be a function is none."""
    if not callable(f):
        raise TypeError(f"{who}: expected a function, got {type(f).__name__} {f!r:.40}")


def _shape_of(a: Any) -> str:
    shaped = hasattr(a, "shape") and hasattr(a, "dtype")
    return f"{tuple(a.shape)} {a.dtype}" if shaped else f"{type(a).__name__} {a!r:.40}"
