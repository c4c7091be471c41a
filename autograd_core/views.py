"""Views and changes in place: two tensors over one memory stay one value, in gradients too.

A change in place is a call like any other followed by a write: the tensor takes on the result, in memory and in
history.  If it is a view, its base is given the history `put_view(base before, result)`, and every other view of that
base looks its own history up again when it is next used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import called
from .op import REGISTRY, Op, Traced
from .tape import Leaf, Node, Pick, current, enable_grad, mark_written, memory, observe, state, user_line, write_after


class View:
    """What a view is a view of, by which ops, and the node its base had when the view was last brought up to date."""

    __slots__ = ("base", "path", "seen")

    def __init__(self, base: Traced, path: tuple, seen: Any):
        self.base, self.path, self.seen = base, path, seen

    @classmethod
    def of(cls, source: Any, op: Op, params: dict, k: int | None) -> View:
        """The link of a result to the tensor whose memory it shares, through the source if that is itself a view."""
        step = ((op, params, k),)
        if source.origin is None:
            return cls(source, step, source.node)
        return cls(source.origin.base, source.origin.path + step, source.origin.base.node)


def base_of(t: Any) -> Any:
    """The tensor that t is a view of, or t; one that was reshaped in place since is itself a view of what it was."""
    if t.origin is None:
        return t
    if t.origin.base.origin is not None:
        t.origin.base = t.origin.base.origin.base
    return t.origin.base


def follow(path: tuple, x: Any) -> Any:
    """Take the view of x that a path describes."""
    for op, params, k in path:
        x = op.call(x, **params) if k is None else op.call(x, **params)[k]
    return x


def refresh(t: Any) -> None:
    """Give a view the history its base has gained by a change in place."""
    now, seen = t.origin.base.node, t.origin.seen
    if now is not seen and (now := base_of(t).node) is not seen:
        t.origin.seen = now
        if (now is None or isinstance(now, Leaf)) and (seen is None or isinstance(seen, Leaf)):
            return  # the base was frozen or thawed, not changed
        with enable_grad():
            t.node = follow(t.origin.path, t.origin.base).node


def write(target: Any, new: Any, who: str = "write") -> None:
    """Overwrite an array or a traced value."""
    if isinstance(target, Traced):
        target.write(new, who)
    else:
        np.copyto(target, new, casting="same_kind")


def require_writable(target: Any, who: str) -> None:
    """Raise if a value cannot be changed in place, whatever by."""
    if isinstance(target, np.ndarray):
        if not target.flags.writeable:
            why = "its entries share memory, as after expand, or its memory is read-only"
            raise RuntimeError(f"{called(who)}: this tensor cannot be changed in place: {why}; clone() it first")
        return
    base = base_of(target) if getattr(target, "origin", None) is not None else target
    if current().grad and isinstance(getattr(base, "node", None), Leaf):
        what = "a leaf that requires gradients" if base is target else "a view of a leaf that requires gradients"
        why = "its gradient would be lost; use no_grad(), or clone() it first"
        raise RuntimeError(f"{called(who)}: {what} cannot be changed in place: {why}")
    require_writable(target.innermost(), who)


def overwrite(t: Any, new: Any, who: str = "write") -> None:
    """Let tensor t take on the value and the history of `new`; nothing changes if it cannot."""
    base, recording = base_of(t), current().grad
    require_writable(t, who)
    new = _fitting(t, new, who)
    if not isinstance(new, type(t)) and isinstance(new, Traced) and new.level > t.level:
        raise RuntimeError(
            f"{called(who)}: a tensor from outside this transform cannot take on a value from inside it; "
            "return it instead"
        )
    if getattr(new, "origin", None) is not None:
        refresh(new)
    _keep_result(t)
    node = _history(t, new) if recording else None
    write(t.value, new.value if isinstance(new, Traced) and new.level == t.level else new, who)
    mark_written(t.value, user_line() if current().anomaly else None)
    if recording:
        _rebase(t, base, new, node)
    if state.mode is not None:
        observe(REGISTRY["overwrite"], (t, new), {}, None)


def _keep_result(t: Any) -> None:
    """Give the node that made a tensor, if its rule reads the result, a copy of it before the tensor changes."""
    node, k = (t.node.parents[0], t.node.k) if t.node.__class__ is Pick else (t.node, None)
    if t.origin is not None or node.__class__ is not Node or not node.env:
        return
    kept = node.env[0] if k is None else node.env[0] and node.env[0][k]
    if kept is t.value and isinstance(kept, np.ndarray):
        copy = apart(kept)
        node.env[0] = copy if k is None else (*node.env[0][:k], copy, *node.env[0][k + 1 :])


def apart(v: np.ndarray) -> np.ndarray:
    """A copy of what a node has kept; whoever captures is told of it."""
    from .tensor import at

    return v.copy() if current().capture is None else REGISTRY["clone"].call(at(v)).value


def take_history(t: Any, node: Any) -> None:
    """Give a tensor that was changed in place by a user's function the node of that call."""
    base = base_of(t)
    if isinstance(base.node, Leaf):
        raise RuntimeError("mark_dirty: a leaf that requires gradients cannot be changed in place; clone() it first")
    mark_written(t.value)
    _rebase(t, base, t, node)


def _fitting(t: Any, new: Any, who: str) -> Any:
    """`new` in the shape and type of t, or an error that says why not."""
    if not isinstance(new, Traced):
        new = as_array(new, t.dtype, who)
    if not np.can_cast(new.dtype, t.dtype, "same_kind"):
        raise TypeError(
            f"{called(who)}: {new.dtype} cannot be stored in place in a tensor of {t.dtype}; convert one of them"
        )
    if new.shape != t.shape:
        try:
            fits = np.broadcast_shapes(new.shape, t.shape) == t.shape
        except ValueError:
            fits = False
        if not fits:
            shapes = f"a value of shape {new.shape} cannot be stored in place in a tensor of shape {t.shape}"
            raise ValueError(f"{called(who)}: {shapes}")
        new = REGISTRY["broadcast_to"].call(new, shape=t.shape)
    return new if new.dtype == t.dtype else new.astype(t.dtype)


def as_array(new: Any, dtype: np.dtype, who: str) -> np.ndarray:
    """What is to be stored, as an array; Python numbers take on the type of the tensor."""
    if isinstance(new, (np.ndarray, np.generic)):
        return np.asarray(new)
    try:
        return np.asarray(new, None if np.iscomplexobj(new) and dtype.kind != "c" else dtype)
    except (TypeError, ValueError):
        given = f"{type(new).__name__} {new!r:.40}"
        raise TypeError(f"{called(who)}: expected a number, an array or a tensor, got {given}") from None


def _history(t: Any, new: Any) -> Any:
    """Where the gradient of the overwritten tensor goes; what `new`'s node has kept of t's memory is kept apart."""
    node = getattr(new, "node", None) if isinstance(new, Traced) and new.level == t.level else None
    if isinstance(node, Leaf):
        node = REGISTRY["alias"].call(new).node
    if node.__class__ is Node and node.env and not isinstance(t.value, Traced):
        owner, since = memory(t.value), node.index
        kept = lambda v: isinstance(v, np.ndarray) and memory(v) is owner and not write_after(v, since)
        node.env = tuple(apart(v) if kept(v) else v for v in node.env)
    return node


def _rebase(t: Any, base: Any, new: Any, node: Any) -> None:
    """Hand the new history on to the base of a view."""
    if base is not t and (node is not None or base.node is not None):
        from .tensor import at, record

        part = at(new.value if isinstance(new, Traced) and new.level == t.level else new, node, t.level)
        parents = [n for n in (base.node, node) if n is not None]
        key = 4 | (base.node is not None) | (node is not None) << 1
        base.node = record(
            REGISTRY["put_view"], base.value, [base.value, part.value], {"path": t.origin.path}, parents, key
        )
        t.origin.seen = base.node
    t.node = node
