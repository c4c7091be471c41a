"""Tensor: an array, the node that made it, and what follows from recording calls."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np

from . import dtypes
from .errors import explained, require_callable
from .op import Op, Traced
from .tape import (
    Keep,
    Leaf,
    Mode,
    Node,
    Packed,
    Pick,
    current,
    expect_user_code,
    mark_written,
    memory,
    no_grad,
    observe,
    places,
    state,
    user_line,
    version,
)
from .views import View, overwrite, refresh

_float64 = dtypes.float64


PLAIN: set[type] = set()  # Tensor, and classes made of it that do not say themselves how ops act on them


class Tensor(Traced):
    """An array that remembers how it was made, so that gradients can flow back through it.

    `value` is the array (inside nested transforms, the traced value of the level below); `node` is where its gradient
    goes, None if it needs none; `leaf` holds the gradient that has arrived; `origin` says of what it is a view.
    """

    __slots__ = ("value", "node", "leaf", "origin", "__weakref__")

    def __init__(self, data: Any = (), requires_grad: bool = False):
        self.value, self.node, self.leaf, self.origin = _array(data, copy=True), None, None, None
        if state.mode is not None and state.mode.capture is not None:
            state.mode.capture.copied_from(self, data)
        if requires_grad:
            self.requires_grad = True

    def __init_subclass__(cls) -> None:
        if not {"apply", "level"} & set(vars(cls)):
            PLAIN.add(cls)

    def apply(self, op: Op, args: tuple, params: dict) -> Any:
        """Call an op on values of which this tensor is one: compute, and record if a gradient will be wanted."""
        level = self.level
        values: list = []
        parents: list = []
        needs, bit, dtype, mixed = 0, 1, None, False
        for a in args:
            if isinstance(a, Traced):
                if a.level > level:
                    return a.apply(op, args, params)
                if a.level == level:
                    if a.origin is not None:
                        refresh(a)
                    if a.node is not None:
                        needs |= bit
                        parents.append(a.node)
                    a = a.value
                if a.dtype is not dtype:
                    mixed, dtype = dtype is not None, a.dtype
            values.append(a)
            bit += bit
        forward = op.call if level else op.forward
        try:
            y = forward(*values, **params)
            if op.promotes and (mixed or y.dtype is not dtype):
                if state.mode is not None and state.mode.capture is not None and unlike(values, op, args):
                    return op.call(*dtypes.promoted(args, op.promotes == "inexact"), **params)
                values = dtypes.promoted(values, op.promotes == "inexact")
                y = forward(*values, **params)
        except Exception as error:
            raise explained(op, args, error) from error
        if op.mutates:
            return _mutated(op, args, params, y)
        if y.__class__ is tuple:
            return results_of(self, op, args, params, y, values, parents, bit + needs)
        if y.__class__ is not np.ndarray:
            y = as_entry(y)
        result = at(y, record(op, y, values, params, parents, bit + needs) if needs else None, level)
        if op.view:
            link(result, self, op, params)
        if state.mode is not None:
            observe(op, args, params, result)
        return result

    def write(self, new: Any, who: str = "write") -> None:
        """Take on another value in place, in memory and in history."""
        overwrite(self, new, who)

    # --- what it is ---

    shape = property(lambda self: self.value.shape, doc="Its sizes.")
    dtype = property(lambda self: self.value.dtype, doc="The type of its entries.")
    ndim = property(lambda self: self.value.ndim, doc="The number of its axes.")
    is_leaf = property(lambda self: not isinstance(node_of(self), (Node, Pick)), doc="Whether no call made it.")
    grad_fn = property(lambda self: None if self.is_leaf else node_of(self), doc="The call that made it.")
    _version = property(lambda self: version(self.value), doc="How often its memory was changed in place.")

    def innermost(self) -> Any:
        """The value one level below."""
        return self.value

    def memory(self) -> Any:
        """The array that owns its memory."""
        return memory(self.value)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow back to it."""
        return node_of(self) is not None

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        if not self.is_leaf:
            if not flag:
                raise RuntimeError(
                    "requires_grad: this tensor was computed; use detach() to cut it off from its history"
                )
        elif not flag:
            self.node = None
        else:
            if self.dtype.kind not in "fc":
                raise TypeError(f"requires_grad: {self.dtype} numbers have no gradients; use t.float() or t.double()")
            if self.leaf is None:
                self.leaf = Leaf(self.shape, self.dtype)
            self.node = self.leaf

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward accumulated here."""
        if state.mode is not None and state.mode.capture is not None and self.leaf is not None:
            state.mode.capture.gradient(self.leaf, self.leaf.grad)
        return self.leaf and self.leaf.grad

    @grad.setter
    def grad(self, g: Tensor | None) -> None:
        if g is not None:
            if not isinstance(g, Tensor):
                raise TypeError(f"grad: expected a Tensor or None, got {type(g).__name__}")
            if g.shape != self.shape or g.dtype != self.dtype:
                raise ValueError(f"grad: expected {self.shape} {self.dtype} like the tensor, got {g.shape} {g.dtype}")
        if self.leaf is None:
            self.leaf = Leaf(self.shape, self.dtype)
        if state.mode is not None and state.mode.capture is not None:
            state.mode.capture.gradient(self.leaf)
        self.leaf.grad = g

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

    @property
    def data(self) -> Tensor:
        """The same memory without history; changes made through it are not recorded."""
        return at(self.value, None, self.level)

    @data.setter
    def data(self, other: Any) -> None:
        value = other.value if isinstance(other, Tensor) else _array(other, who="data")
        if state.mode is not None and state.mode.capture is not None and not isinstance(other, Traced):
            state.mode.capture.of_data(at(value), shared=isinstance(other, np.ndarray))
        if self.leaf is not None and (value.shape, value.dtype) != (self.shape, self.dtype):
            self.leaf.shape, self.leaf.dtype = value.shape, value.dtype
        self.value, self.origin = value, None

    def detach(self) -> Tensor:
        """The same memory, cut off from its history and from every transform around it."""
        result = at(self.value.detach() if isinstance(self.value, Traced) else self.value, None, self.level)
        if state.mode is not None:
            observe(DETACH, (self,), {}, result)
        return result

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for gradients, or stop asking; returns the tensor."""
        self.requires_grad = requires_grad
        return self

    def retain_grad(self) -> None:
        """Keep the gradient of a computed tensor in `.grad`, as if it were a leaf."""
        node = node_of(self)
        if node is None:
            raise RuntimeError("retain_grad: this tensor does not require gradients")
        if self.leaf is None:
            expect_user_code()  # like a hook, it must hear of a gradient once
            self.leaf = Leaf(self.shape, self.dtype)
            node.hooks = [*(node.hooks or ()), Keep(self.leaf)]

    @property
    def retains_grad(self) -> bool:
        """Whether it is a computed tensor that keeps its gradient."""
        return not self.is_leaf and self.leaf is not None

    def register_hook(self, hook: Callable) -> Handle:
        """Call `hook(grad)` when its gradient is known; what the hook returns, if anything, replaces the gradient."""
        node = node_of(self)
        if node is None:
            raise RuntimeError("register_hook: this tensor does not require gradients")
        require_callable(hook, "register_hook")
        expect_user_code()
        entry = partial(hook)  # the same function may be registered twice and removed once
        node.hooks = [*(node.hooks or ()), entry]
        return Handle(node, "hooks", entry)

    def register_post_accumulate_grad_hook(self, hook: Callable) -> Handle:
        """Call `hook(tensor)` after a backward has added to this leaf's `.grad`."""
        if not isinstance(self.node, Leaf):
            raise RuntimeError("register_post_accumulate_grad_hook: only leaves that require gradients accumulate them")
        require_callable(hook, "register_post_accumulate_grad_hook")
        entry = (weakly(self), hook)
        self.node.after = [*(self.node.after or ()), entry]
        return Handle(self.node, "after", entry)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError("deepcopy: only leaf tensors can be copied deeply; use clone(), or detach() first")
        leaving(self, "a copy")
        copy = type(self).__new__(type(self))
        memo[id(self)] = copy
        own = deepcopy(getattr(self, "__dict__", None), memo)
        copy.__setstate__((np.array(self.value), self.requires_grad, deepcopy(self.grad, memo), own))
        return copy

    def __reduce__(self):
        if not self.is_leaf:
            raise RuntimeError("pickle: only leaf tensors can be pickled; use detach() first")
        leaving(self, "a file")
        own = getattr(self, "__dict__", None)  # what users have set on tensors of classes of theirs
        return _blank, (type(self),), (self.value, self.requires_grad, self.grad, own)

    def __setstate__(self, saved: tuple) -> None:
        self.value, self.node, self.leaf, self.origin = saved[0], None, None, None
        self.requires_grad = saved[1]
        if saved[2] is not None:
            self.grad = saved[2]
        if saved[3]:
            vars(self).update(saved[3])


DETACH = Op(lambda x: x, (), name="detach")  # not for calling: what those who watch calls are told
LEAVE = Op(lambda x: x, (), name="item, tolist or numpy")


def leaving(t: Any, into: str) -> None:
    """Tell whoever watches that a value goes where nobody watches."""
    if state.mode is not None:
        observe(LEAVE, (t,), {"into": into}, None)


PLAIN.add(Tensor)


class Boxed(Tensor):
    """A tensor inside a forward-mode or batching transform: its value is itself traced, one level below."""

    __slots__ = ("level",)


class Handle:
    """Removes a hook again."""

    __slots__ = ("owner", "slot", "hook")

    def __init__(self, owner: Any, slot: str, hook: Any):
        self.owner, self.slot, self.hook = owner, slot, hook

    def remove(self) -> None:
        """Take the hook away; once is enough."""
        hooks = [h for h in getattr(self.owner, self.slot) or () if h is not self.hook]
        setattr(self.owner, self.slot, hooks or None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def unlike(values: list, op: Op, args: tuple) -> bool:
    """Whether an array is of another type than that to which an op brings all of them; the capture is told which."""
    target = dtypes.promoted(values, op.promotes == "inexact")[0].dtype
    state.mode.capture.typed(op, args, target)
    return any(isinstance(v, (np.ndarray, Traced)) and v.dtype != target for v in values)


def at(value: Any, node: Leaf | Node | Pick | None = None, level: int = 0) -> Tensor:
    """The tensor of a value whose gradient goes to `node`."""
    if level:
        t = Boxed.__new__(Boxed)
        t.level = level
    else:
        t = Tensor.__new__(Tensor)
    t.value, t.node, t.leaf, t.origin = value, node, None, None
    if node.__class__ is Leaf:
        t.leaf = node
    return t


def _blank(cls: type) -> Tensor:
    return cls.__new__(cls)


def weakly(tensor: Tensor) -> Callable[[], Tensor | None]:
    """A reference that does not keep the tensor alive."""
    return weakref.ref(tensor)


def as_entry(y: Any) -> Any:
    """NumPy returns bare entries where the result has no axes; a tensor holds an array."""
    return y if isinstance(y, (np.ndarray, Traced)) else np.asarray(y)


def node_of(t: Tensor) -> Any:
    """The node or leaf to which its gradient goes, as it is after all changes in place; None if there is none."""
    if t.origin is not None:
        refresh(t)
    return t.node


# --- recording -------------------------------------------------------------------------------------------------------


def record(op: Op, y: Any, values: list, params: dict, parents: list, key: int) -> Node | None:
    """The node of a call whose result is y; `key` has a bit for each input that needs a gradient, and one above all."""
    mode = state.mode
    if not op.differentiable or (mode is not None and not mode.grad):
        return None
    several = y.__class__ is tuple
    if not several and y.dtype.kind not in "fc":
        return None
    plan = op.plan(key, not several and y.dtype.kind == "c")
    if len(plan.wrt) != len(parents):
        parents = _differentiable(parents, key, plan.wrt)
        if not parents:
            return None
    env = plan.save(y, *values, **params)
    node = Node(plan, parents, env, len(y), None) if several else Node(plan, parents, env, y.shape, y.dtype)
    return node if mode is None else _unusual(mode, node)


def _differentiable(parents: list, key: int, wrt: tuple) -> list:
    """The parents of those inputs that have a rule."""
    needed = [i for i in range(key.bit_length() - 1) if key >> i & 1]
    return [p for i, p in zip(needed, parents) if i in wrt]


def _unusual(mode: Mode, node: Node) -> Node:
    """A node of a mode that packs what it keeps, or remembers the line that made it."""
    if mode.pack is not None:
        pack, unpack = mode.pack
        env, node = node.env, Packed(node.plan, node.parents, None, node.shape, node.dtype)
        node.packed = [_pack(pack, v) for v in env]
        node.unpack = lambda handle, shape: _unpacked(unpack(handle), shape)
    if mode.anomaly:
        places[node] = user_line()
    return node


def _pack(pack: Callable, v: Any) -> tuple:
    """What is kept in the place of an array, or of each of several results, and how `Packed.taken` is to read it."""
    if v.__class__ is tuple:
        return [_pack(pack, x) for x in v], tuple
    with no_grad():
        return (pack(at(v)), v.shape) if isinstance(v, np.ndarray) else (v, None)


def _unpacked(t: Any, shape: tuple) -> np.ndarray:
    if not isinstance(t, (Tensor, np.ndarray)) or t.shape != shape:
        got = f"{tuple(t.shape)} {t.dtype}" if hasattr(t, "shape") else f"{type(t).__name__} {t!r:.40}"
        raise ValueError(
            f"saved_tensors_hooks: unpack must return what was packed, a Tensor of shape {shape}, got {got}"
        )
    return t.value if isinstance(t, Tensor) else np.asarray(t)


def _mutated(op: Op, args: tuple, params: dict, y: Any) -> Any:
    """After an op that changes its arguments: note which."""
    for name, a in zip(op.inputs, args):
        if name in op.mutates:
            mark_written(a)
    if state.mode is not None:
        observe(op, args, params, y)
    return y


def results_of(tensor: Tensor, op: Op, args, params, y, values, parents, key) -> tuple:
    """The results of an op that has several."""
    y = tuple(map(as_entry, y))
    node = record(op, y, values, params, parents, key) if parents else None
    pick = lambda k, v: Pick.of(node, k, v.shape, v.dtype) if node and v.dtype.kind in "fc" else None
    results = tuple(at(v, pick(k, v), tensor.level) for k, v in enumerate(y))
    if op.view:
        for k, result in enumerate(results):
            link(result, tensor, op, params, k)
    if state.mode is not None:
        observe(op, args, params, results)
    return results


def link(result: Tensor, source: Tensor, op: Op, params: dict, k: int | None = None) -> None:
    """Note that a result shares the memory of its source."""
    if not current().inference and memory(result.value) is memory(source.value):
        result.origin = View.of(source, op, params, k)


def _array(data: Any, copy: bool = False, who: str = "Tensor") -> np.ndarray:
    """An array of a user's data: Python floats become the default type, Python ints int64, arrays keep theirs."""
    if isinstance(data, Tensor):
        data = data.value
    if isinstance(data, Traced):
        return data
    if isinstance(data, (list, tuple)) and any(isinstance(x, Traced) for x in data):
        data = [x.tolist() if isinstance(x, Tensor) else x for x in data]
    try:
        array = np.array(data) if copy or not isinstance(data, np.ndarray) else data
    except ValueError as error:
        raise ValueError(f"{who}: rows of different lengths do not make a tensor ({error})") from None
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{who}: expected numbers, got {type(data).__name__} {data!r:.40}")
    if not isinstance(data, (np.ndarray, np.generic)):
        if array.dtype == _float64:
            return array.astype(dtypes.get_default_dtype(), copy=False)
        if array.dtype == dtypes.complex128:
            return array.astype(dtypes.default_complex(), copy=False)
    return array
