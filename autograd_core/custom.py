"""Functions with gradients of the user's own: PyTorch's Function, and the functional form."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backward import pullback
from .errors import require_callable
from .forward import Dual
from .functional import as_tensor, require_value
from .op import REGISTRY, Traced
from .tape import (
    Leaf,
    Node,
    Pick,
    current,
    enable_grad,
    expect_user_code,
    is_grad_enabled,
    no_grad,
    places,
    state,
    user_line,
)
from .tensor import Tensor, at
from .tree import flatten
from .views import take_history
from .vmap import Batched


class Context:
    """What a Function's forward hands to its backward."""

    def __init__(self, needs: tuple, name: str = "Function"):
        self._name = name
        self.needs_input_grad, self.materialize_grads = needs, True
        self._saved: tuple = ()
        self._packed: list = []
        self._unpack: Callable | None = None
        self._outputs: list = []
        self._node: Callable = lambda: None
        self._constant: set[int] = set()
        self._dirty: tuple = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors for backward; they are watched for changes in place."""
        self._saved = tuple((t, t._version if isinstance(t, Tensor) else 0) for t in tensors)
        pack = current().pack
        if pack is not None and all(isinstance(t, Tensor) and not t.level for t in tensors):
            self._packed, self._saved = [pack[0](t) for t in tensors], ()
            self._unpack = pack[1]

    save_for_forward = save_for_backward

    @property
    def saved_tensors(self) -> tuple:
        """The tensors kept by `save_for_backward`, part of the graph if gradients of gradients are wanted."""
        if self._unpack is not None:
            return tuple(map(self._unpack, self._packed))
        return tuple(self._unchanged(t, v) for t, v in self._saved)

    def _unchanged(self, t: Any, version: int) -> Any:
        if not isinstance(t, Tensor):
            return t
        if t._version != version:
            what = f"a tensor of shape {t.shape} saved for backward has been changed in place since"
            raise RuntimeError(f"{self._name}: {what}; save a clone() of it")
        node = self._node()
        for k, y in enumerate(self._outputs):
            if y is t and node is not None:
                return at(t.value, Pick.of(node, k, t.shape, t.dtype), t.level)
        return t

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """These results have no gradient."""
        self._constant |= {id(t) for t in tensors}

    def mark_dirty(self, *tensors: Any) -> None:
        """These arguments were changed in place."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (the default) or None for results that no gradient reached."""
        self.materialize_grads = value


class Call:
    """The plan of one call of a user's function: its name, and how to pull a cotangent back through it."""

    __slots__ = ("op", "wrt", "fast")
    careful = property(lambda self: self.fast)
    reads, keeps, owns = frozenset(), True, False

    def __init__(self, op: Any, wrt: tuple, pull: Callable):
        self.op, self.wrt, self.fast = op, wrt, pull

    def restricted(self, keep: Sequence[bool]) -> Call:
        """The same with only some of the gradients handed on."""
        return Call(self.op, self.wrt, lambda g, env: tuple(c for c, k in zip(self.fast(g, env), keep) if k))


class Named:
    """What the tape shows of a user's function."""

    variadic, inputs, slots = False, (), {"y": 0}

    def __init__(self, name: str):
        self.name = name


class Function:
    """Subclass with static `forward(ctx, ...)` and `backward(ctx, *grads)` (and `jvp(ctx, *tangents)`); use `apply`."""

    @staticmethod
    def forward(ctx: Context, *args: Any) -> Any:
        """Compute the results; called without recording."""
        raise NotImplementedError("a Function needs a static forward(ctx, ...)")

    @staticmethod
    def backward(ctx: Context, *grads: Any) -> Any:
        """The gradients of forward's arguments, one for each (None where there is none)."""
        raise NotImplementedError("this Function has no backward(ctx, ...), so gradients cannot flow through it")

    jvp: Any = None

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Call the function on tensors, and record how gradients flow back."""
        return applied(cls, args)


def applied(rule: Any, args: tuple) -> Any:
    """Call a rule (anything with `forward`, `backward` and `jvp`) on whatever the arguments are."""
    traced = [a for a in args if isinstance(a, Traced)]
    top = max(traced, key=lambda a: a.level, default=None)
    if isinstance(top, Dual):
        return _pushed(rule, top.level, args)
    if isinstance(top, Batched):
        return _one_by_one(rule, top.level, args)
    return _recorded(rule, 0 if top is None else top.level, args)[0]


def _recorded(cls: type[Function], level: int, args: tuple) -> tuple[Any, Context]:
    """Run forward on tensors of one level, and make the node."""
    nodes = [a.grad_fn or a.node if isinstance(a, Tensor) and a.level == level else None for a in args]
    ctx = Context(tuple(n is not None for n in nodes), cls.__name__)
    inputs = {id(a) for a in args if isinstance(a, Tensor)}
    with no_grad():
        result = _forward(cls, ctx, args)
    ys = list(result) if isinstance(result, tuple) else [result]
    for k, y in enumerate(ys):
        if not isinstance(y, Traced):
            raise TypeError(f"{cls.__name__}.forward: result {k} is {type(y).__name__}; it must return tensors")
    wrt = tuple(i for i, n in enumerate(nodes) if n is not None)
    if not wrt or not is_grad_enabled():
        return result, ctx
    expect_user_code()
    plan = Call(Named(cls.__name__), wrt, lambda g, env: _pulled(cls, ctx, env[0], g, level))
    node = Node(plan, [nodes[i] for i in wrt], [ys_like(ys)], len(ys), None)
    if current().anomaly:
        places[node] = user_line()
    dirty, ctx._dirty = ctx._dirty, ()
    ctx._node, ctx._outputs = weakref.ref(node), [None if any(y is d for d in dirty) else y for y in ys]
    results = []
    for k, y in enumerate(ys):
        constant = id(y) in ctx._constant or y.dtype.kind not in "fc"
        value = y.value if isinstance(y, Tensor) and y.level == level else y
        pick = None if constant else Pick.of(node, k, y.shape, y.dtype)
        if any(y is d for d in dirty):
            take_history(y, pick)
            results.append(y)
        else:
            results.append(
                at(value.view() if id(y) in inputs and isinstance(value, np.ndarray) else value, pick, level)
            )
    return tuple(results) if isinstance(result, tuple) else results[0], ctx


def _forward(cls: type[Function], ctx: Context, args: tuple) -> Any:
    if cls.forward is Function.forward:
        raise NotImplementedError(f"{cls.__name__}: a Function needs a static forward(ctx, ...)")
    if hasattr(cls, "setup_context"):
        result = cls.forward(*args)
        cls.setup_context(ctx, args, result)
        return result
    return cls.forward(ctx, *args)


def ys_like(ys: list) -> list:
    """Shapes and types of results, to make zeros of."""
    return [(y.shape, y.dtype) for y in ys]


def _pulled(cls: type[Function], ctx: Context, like: list, g: tuple, level: int) -> tuple:
    """Call the user's backward on tensors and take its results apart."""
    tracked = any(isinstance(c, Tensor) and c.level == level for c in g if c is not None)
    grads = []
    for c, (shape, dtype) in zip(g, like):
        if c is None and ctx.materialize_grads:
            c = np.zeros(shape, dtype)
        grads.append(c if c is None or (isinstance(c, Traced) and c.level >= level and tracked) else at(c, None, level))
    if cls.backward is Function.backward:
        raise NotImplementedError(f"{cls.__name__}: has no static backward(ctx, ...), so no gradient flows through it")
    found = cls.backward(ctx, *grads)
    found = found if isinstance(found, tuple) else (found,)
    needs = ctx.needs_input_grad
    if len(found) < len(needs) or any(c is not None for c in found[len(needs) :]):
        raise RuntimeError(
            f"{cls.__name__}.backward returned {len(found)} gradients for {len(needs)} arguments of forward"
        )
    for k, c in enumerate(found):
        if c is not None and not isinstance(c, Traced):
            raise TypeError(f"{cls.__name__}.backward: gradient {k} is {type(c).__name__}; it must be a tensor or None")
    strip = lambda c: c if c is None or tracked or not (isinstance(c, Tensor) and c.level == level) else c.value
    return tuple(strip(c) for c, needed in zip(found, needs) if needed)


def _pushed(cls: type[Function], level: int, args: tuple) -> Any:
    """Forward mode: the user's jvp, or the transpose of the user's backward."""
    mine = [isinstance(a, Dual) and a.level == level for a in args]
    xs = [a.primal if m else a for a, m in zip(args, mine)]
    ts = [a.tangent if m else None for a, m in zip(args, mine)]
    below = level - 1
    if cls.jvp is not None:
        result, ctx = _recorded(cls, below, tuple(xs))
        tangents = cls.jvp(ctx, *ts)
        tangents = tangents if isinstance(tangents, tuple) else (tangents,)
        _fit(tangents, result if isinstance(result, tuple) else (result,), f"{cls.__name__}.jvp")
    else:
        stand_ins = [_stand_in(x, below) if m else x for x, m in zip(xs, mine)]
        with enable_grad():
            result, ctx = _recorded(cls, below, tuple(stand_ins))
        made = [s.node for s, x in zip(stand_ins, xs) if s is not x]
        tangents = _transposed(result if isinstance(result, tuple) else (result,), stand_ins, ts, below, made)
    ys = result if isinstance(result, tuple) else (result,)
    followed = any(isinstance(x, Tensor) and x.level == below and x.requires_grad for x in xs)
    bare = [y if followed else _stripped(y, below) for y in ys]
    duals = [Dual(y, as_tensor(np.zeros(y.shape, y.dtype)) if t is None else t, level) for y, t in zip(bare, tangents)]
    return tuple(duals) if isinstance(result, tuple) else duals[0]


def _fit(tangents: tuple, ys: tuple, who: str) -> None:
    """Raise unless there is a tangent, or None, for every result."""
    if len(tangents) != len(ys):
        raise ValueError(f"{who}: {len(tangents)} tangents for {len(ys)} results")
    for k, (t, y) in enumerate(zip(tangents, ys)):
        if t is not None and (not isinstance(t, Traced) or t.shape != y.shape):
            got = f"has shape {tuple(t.shape)}" if hasattr(t, "shape") else f"is {type(t).__name__}"
            raise ValueError(f"{who}: tangent {k} {got}; it must be a tensor of shape {y.shape}, or None")


def _stripped(y: Any, level: int) -> Any:
    """A result without the history of stand-ins."""
    if not (isinstance(y, Tensor) and y.level == level):
        return y
    return y.value if isinstance(y.value, Traced) else at(y.value)


def _stand_in(x: Any, level: int) -> Any:
    """A tensor equal to x with a node of its own, unless x has one."""
    if isinstance(x, Tensor) and x.level == level:
        return x if x.requires_grad else at(x.value, Leaf(x.shape, x.dtype), level)
    return at(x, Leaf(x.shape, x.dtype), level)


def _transposed(ys: tuple, xs: list, ts: list, level: int, aside: list) -> list:
    """Tangents of results by pulling a dummy cotangent back and then the tangents through that."""
    outputs = [(k, y) for k, y in enumerate(ys) if isinstance(y, Tensor) and y.requires_grad]
    dummies = [at(np.zeros(y.shape, y.dtype), Leaf(y.shape, y.dtype), level) for _, y in outputs]
    wanted = [x.grad_fn or x.node for x, t in zip(xs, ts) if t is not None]
    tangents: list = [None] * len(ys)
    if not outputs:
        return tangents
    found = pullback([y for _, y in outputs], dummies, wanted, retain=True, tracked=True, only_wanted=True)
    pairs = [(found[n][0], t) for n, t in zip(wanted, [t for t in ts if t is not None]) if n in found]
    pairs = [(g, t) for g, t in pairs if isinstance(g, Tensor) and g.requires_grad]
    if pairs:
        gs, seeds = zip(*pairs)
        wanted = [d.node for d in dummies]
        back = pullback(gs, seeds, wanted, retain=True, tracked=None, only_wanted=True, aside=aside)
        for (k, _), d in zip(outputs, dummies):
            if d.node in back:
                tangents[k] = as_tensor(back[d.node][0])
    return tangents


def _one_by_one(cls: type[Function], level: int, args: tuple) -> Any:
    """Batching: the function on each member, and the results stacked."""
    mine = [isinstance(a, Batched) and a.level == level for a in args]
    size = next(a.batch.shape[0] for a, m in zip(args, mine) if m)
    if size == 0:
        raise ValueError(f"{cls.__name__}: vmap cannot tell its results from an empty batch")
    rows = [applied(cls, tuple(a.batch[k] if m else a for a, m in zip(args, mine))) for k in range(size)]
    stack = lambda column: Batched(REGISTRY["stack"].call(*map(as_tensor, column), axis=-1 - column[0].ndim), level)
    return tuple(map(stack, zip(*rows))) if isinstance(rows[0], tuple) else stack(rows)


# --- the functional form ---------------------------------------------------------------------------------------------


class custom_vjp:
    """A function whose pullback is given: `f.defvjp(fwd, bwd)`, fwd(*args) -> (y, kept), bwd(kept, g) -> gradients."""

    def __init__(self, f: Callable, nondiff_argnums: Sequence[int] = ()):
        require_callable(f, "custom_vjp")
        functools.update_wrapper(self, f)
        self.f, self.nondiff = f, frozenset(nondiff_argnums)
        self.fwd: Callable | None = None
        self.bwd: Callable | None = None

    def defvjp(self, fwd: Callable, bwd: Callable) -> None:
        """Say how to compute the result together with what the pullback needs, and the pullback."""
        require_callable(fwd, "defvjp")
        require_callable(bwd, "defvjp")
        self.fwd, self.bwd = fwd, bwd

    def __call__(self, *args: Any, **options: Any) -> Any:
        if self.fwd is None or self.bwd is None:
            raise RuntimeError(f"{self.__name__}: call defvjp(fwd, bwd) before using a custom_vjp function")  # type: ignore[attr-defined]
        bound = _bound(self.f, args, options)
        static = {i: a for i, a in enumerate(bound) if i in self.nondiff}
        leaves, rebuild = flatten(tuple(a for i, a in enumerate(bound) if i not in self.nondiff))
        return _through(VjpCall(self, static, rebuild), leaves)


class VjpCall:
    """One call of a `custom_vjp` function.  (Not a class made for the call: classes are cycles.)"""

    jvp = None

    def __init__(self, rule: custom_vjp, static: dict, rebuild: Callable):
        self.rule, self.static, self.rebuild = rule, static, rebuild
        self.__name__ = getattr(rule, "__name__", "custom_vjp")
        self.build: Callable = tuple

    def forward(self, ctx: Context, *xs: Any) -> tuple:
        """Run the user's fwd and keep what it says."""
        made = self.rule.fwd(*_interleaved(self.rebuild(list(xs)), self.static))
        y, ctx.kept = _pair(made, f"{self.__name__}: fwd must return (result, what bwd needs)")
        ys, self.build = flatten(y)
        return tuple(map(as_tensor_of_any, ys))

    def backward(self, ctx: Context, *gs: Any) -> tuple:
        """Run the user's bwd and take its result apart."""
        back = self.rule.bwd(*self.static.values(), ctx.kept, self.build(list(gs)))
        count = len(ctx.needs_input_grad)
        wanted = self.rebuild([None] * count)
        if not isinstance(back, tuple) or len(back) != len(wanted):
            raise TypeError(f"{self.__name__}: bwd must return a tuple of {len(wanted)} gradients, got {back!r:.60}")
        return _leaf_gradients(back, self.rebuild, count)


def _pair(made: Any, needs: str) -> tuple:
    if not (isinstance(made, tuple) and len(made) == 2):
        raise TypeError(f"{needs}, got {made!r:.60}")
    return made


def _leaf_gradients(back: tuple, rebuild: Callable, count: int) -> tuple:
    """Gradients leaf by leaf; None for a whole argument stands for all of its leaves."""
    places = rebuild(list(range(count)))
    grads: list = [None] * count
    for place, g in zip(places, back):
        if g is not None:
            for k, leaf in zip(flatten(place)[0], flatten(g)[0]):
                grads[k] = as_tensor_of_any(leaf)
    return tuple(grads)


def as_tensor_of_any(x: Any) -> Any:
    """A number, an array or a traced value as something traced."""
    require_value(x, "custom rule: returned")
    return x if isinstance(x, Traced) else at(np.asarray(x))


def _bound(f: Callable, args: tuple, options: dict) -> tuple:
    """All arguments by position, with defaults filled in."""
    if not options:
        return args
    bound = inspect.signature(f).bind(*args, **options)
    bound.apply_defaults()
    return bound.args


def _interleaved(arguments: tuple, static: dict) -> list:
    rest = iter(arguments)
    return [static[i] if i in static else next(rest) for i in range(len(arguments) + len(static))]


def _through(rule: Any, leaves: list) -> Any:
    """Apply a rule to leaves, and give its results the form and kind the plain function would give."""
    numbers = not any(isinstance(x, Traced) for x in leaves)
    ys = applied(rule, tuple(leaves))
    ys = [y.value if numbers and isinstance(y, Tensor) and not y.requires_grad else y for y in ys]
    return rule.build(list(ys))


class custom_jvp:
    """A function whose derivative is given: `f.defjvp(rule)`, rule(primals, tangents) -> (y, tangent of y)."""

    def __init__(self, f: Callable):
        require_callable(f, "custom_jvp")
        functools.update_wrapper(self, f)
        self.f, self.rule = f, None

    def defjvp(self, rule: Callable) -> Callable:
        """Say how tangents travel; usable as a decorator."""
        require_callable(rule, "defjvp")
        self.rule = rule  # type: ignore[assignment]
        return rule

    def __call__(self, *args: Any, **options: Any) -> Any:
        if self.rule is None:
            raise RuntimeError(f"{self.__name__}: call defjvp(rule) before using a custom_jvp function")  # type: ignore[attr-defined]
        leaves, rebuild = flatten(_bound(self.f, args, options))
        return _through(JvpCall(self, rebuild), leaves)


class JvpCall:
    """One call of a `custom_jvp` function."""

    def __init__(self, owner: custom_jvp, rebuild: Callable):
        self.owner, self.rebuild = owner, rebuild
        self.__name__ = getattr(owner, "__name__", "custom_jvp")
        self.build: Callable = tuple

    def forward(self, ctx: Context, *xs: Any) -> tuple:
        """Run the function itself."""
        ctx.xs = xs
        ys, self.build = flatten(self.owner.f(*self.rebuild(list(xs))))
        return tuple(map(as_tensor_of_any, ys))

    def rule(self, xs: list, ts: list) -> list:
        """The tangents of the results, leaf by leaf."""
        made = self.owner.rule(self.rebuild(xs), self.rebuild(ts))
        return flatten(_pair(made, f"{self.__name__}: the rule must return (result, tangent)")[1])[0]

    def backward(self, ctx: Context, *gs: Any) -> tuple:
        """The rule is linear in the tangents: pull the cotangents back through it."""
        level = max((g.level for g in gs if isinstance(g, Tensor)), default=2 * state.depth)
        with enable_grad():
            zeros = [_dummy(x, level) for x in ctx.xs]
            ts = self.rule(list(ctx.xs), zeros)
        _fit(tuple(map(as_tensor_of_any, ts)), gs, f"{self.__name__}: the rule")
        mine = [(t, g) for t, g in zip(ts, gs) if isinstance(t, Tensor) and t.requires_grad]
        if not mine:
            return (None,) * len(zeros)
        outputs, seeds = zip(*mine)
        nodes = [z.node if isinstance(z, Tensor) else None for z in zeros]
        wanted = [n for n in nodes if n]
        found = pullback(outputs, seeds, wanted, retain=False, tracked=is_grad_enabled(), only_wanted=True)
        return tuple(as_tensor_of_any(found[n][0]) if n in found else None for n in nodes)

    def jvp(self, ctx: Context, *ts: Any) -> tuple:
        """The rule itself."""
        full = [np.zeros(np.shape(x)) if t is None else t for x, t in zip(ctx.xs, ts)]
        return tuple(map(as_tensor_of_any, self.rule(list(ctx.xs), full)))


def _dummy(x: Any, level: int) -> Any:
    """A zero tangent with a node of its own, so that what depends on it linearly can be pulled back."""
    x = np.asarray(x) if not isinstance(x, Traced) else x
    if x.dtype.kind not in "fc":
        return np.zeros(x.shape)
    return at(np.zeros(x.shape, x.dtype), Leaf(x.shape, x.dtype), level)
