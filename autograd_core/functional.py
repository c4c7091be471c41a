"""Transforms of functions: gradients, products with Jacobians and Hessians, batching.  Compositions, nothing else.

They take and return numbers, arrays, tensors and trees of these, nest to any order and mix.  Each argument is replaced
by a stand-in, so that its gradient is found apart from everything else's.  What comes out is differentiable in turn if,
and only if, it depends on something else that requires gradients.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backward import pullback
from .errors import require_callable
from .forward import Dual, new_level
from .op import REGISTRY, Traced
from .ops import PUBLIC
from .reach import ancestors
from .tape import Leaf, current, enable_grad, is_grad_enabled, memory, standing_for, state
from .tensor import Tensor, at
from .tree import flatten, tree_map
from .vmap import Batched

NUMBERS = (int, float, complex, np.generic)


def differentiable(x: Any, who: str, where: str) -> Any:
    """A leaf of an argument as an array or traced value that can have a gradient, or an error that names it."""
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, (Traced, np.ndarray, *NUMBERS)):
        raise TypeError(
            f"{who}: {where} is {type(x).__name__}; gradients are of numbers, arrays and tensors, or trees of them"
        )
    if isinstance(x, (int, float, complex)) and not isinstance(x, np.generic):
        return np.asarray(x, np.complex128 if isinstance(x, complex) else np.float64)
    if x.dtype.kind not in "fc":
        raise TypeError(f"{who}: {where} holds {x.dtype}; gradients need floating-point or complex numbers")
    return x if isinstance(x, Traced) else np.asarray(x)


def require_value(y: Any, what: str) -> None:
    """Raise if something is not what transforms take and return."""
    if not isinstance(y, (Traced, np.ndarray, *NUMBERS)):
        raise TypeError(
            f"{what} {type(y).__name__} {y!r:.40}, needed are numbers, arrays and tensors, or trees of them"
        )


def stand_in(x: Any, who: str, where: str) -> Tensor:
    """A tensor equal to x whose node is its own."""
    form, x, level = x, differentiable(x, who, where), 2 * state.depth
    if isinstance(x, Tensor) and x.level == level:
        if x.requires_grad and is_grad_enabled():
            return REGISTRY["alias"].call(x)
        x = x.value
    return resembling(at(x, Leaf(x.shape, x.dtype), level), form)


def outward(value: Any, form: Any, level: int) -> Any:
    """A value in the form of an argument: a number, an array or a tensor; as it is if it is still being traced."""
    if isinstance(value, Tensor) and value.level == level:
        if value.requires_grad:
            return value
        value = value.value
    if isinstance(value, Traced) and (value.level > level or not (isinstance(form, Tensor) and form.level == level)):
        return value
    if isinstance(form, NUMBERS):
        return np.asarray(value).item() if np.ndim(value) == 0 else np.asarray(value)
    return resembling(at(value, None, level), form) if isinstance(form, Traced) else writable(np.asarray(value))


def resembling(t: Tensor, form: Any) -> Tensor:
    """A tensor in place of another, which may stand for an array in a run that is captured."""
    capture = current().capture
    return t if capture is None else capture.like(form, t)


def writable(v: np.ndarray) -> np.ndarray:
    """An array that its owner may write to: itself unless broadcasting made it."""
    return v if v.flags.writeable else v.copy()


class Run:
    """One run of a function on stand-ins for its arguments, ready to be pulled back."""

    def __init__(self, f: Callable, arguments: Any, who: str, has_aux: bool = False):
        self.who, self.level, self.follow = who, 2 * state.depth, None if is_grad_enabled() else False
        self.given, self.rebuild = flatten(arguments)
        self.xs = [stand_in(x, who, f"leaf {k} of the arguments") for k, x in enumerate(self.given)]
        self.nodes = [x.node for x in self.xs]
        with enable_grad(), standing_for(self.given):
            result = f(*self.rebuild(self.xs))
        for node in self.nodes:
            if isinstance(node, Leaf):
                node.over = True
        self.aux = None
        if has_aux:
            result, self.aux = _with_aux(result, who)
        self.ys, self.build = flatten(result)
        for y in self.ys:
            require_value(y, f"{who}: the function returned")
        self.form = next((x for x in self.given if isinstance(x, Traced)), next(iter(self.given), 0.0))

    def mine(self, y: Any) -> bool:
        """Whether a result depends on a stand-in, or at least may."""
        return isinstance(y, Tensor) and y.level == self.level and y.requires_grad

    def pull(self, cotangents: Sequence, retain: bool = False) -> list:
        """The cotangents of the arguments' leaves, given those of the results."""
        pairs = [(y, g) for y, g in zip(self.ys, cotangents) if self.mine(y)]
        found: dict = {}
        if pairs:
            outputs, seeds = zip(*pairs)
            found = pullback(outputs, seeds, self.nodes, retain=retain, tracked=self.follow, only_wanted=True)
        zero = lambda x: (np.zeros(x.shape, x.dtype), True)
        own = lambda g, ours: g if ours or not isinstance(g, np.ndarray) else g.copy()
        return [
            outward(own(*found.get(n, zero(x))), form, self.level)
            for n, x, form in zip(self.nodes, self.xs, self.given)
        ]

    def results(self) -> Any:
        """What the function returned, with only that history that outlives the run."""
        return self.build([self._outside(y) for y in self.ys])

    def auxiliary(self) -> Any:
        """What the function returned beside its result."""
        return tree_map(self._outside, self.aux)

    def _outside(self, y: Any) -> Any:
        if not isinstance(y, Tensor) or y.level != self.level:
            return y
        if self.mine(y) and self.follow is None:
            if any(isinstance(n, Leaf) and not (n.over and not state.again) for n in ancestors([y.grad_fn or y.node])):
                return y
        return outward(y.value, self.form_of(y), self.level)

    def form_of(self, y: Any) -> Any:
        """The form a result takes: a tensor if an argument was one, else a number or an array as it has axes."""
        return self.form if isinstance(self.form, Traced) else np.zeros(0) if np.ndim(y) else 0.0


def array_form(form: Any) -> Any:
    return form if isinstance(form, Traced) else np.zeros(0)


def _with_aux(result: Any, who: str) -> tuple:
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"{who}: with has_aux=True the function must return (value, aux), not {type(result).__name__}")
    return result


def chosen_arguments(args: tuple, argnums: int | Sequence[int], who: str) -> tuple[list[int], Callable]:
    """The positions meant by argnums, and how to call a function with only those arguments replaced."""
    numbers = [argnums] if isinstance(argnums, int) else argnums
    if not isinstance(numbers, (tuple, list)) or not all(isinstance(n, int) for n in numbers):
        raise TypeError(f"{who}: argnums must be an integer or a tuple of integers, got {argnums!r}")
    for n in numbers:
        if not -len(args) <= n < len(args):
            raise ValueError(f"{who}: argnums={n}, but the function was called with {len(args)} positional arguments")
    numbers = [n % len(args) for n in numbers]

    def put(chosen: Sequence) -> list:
        full = list(args)
        for n, x in zip(numbers, chosen):
            full[n] = x
        return full

    return numbers, put


def _scalar(run: Run) -> Tensor:
    """The one number that a gradient is of."""
    y = run.ys[0] if len(run.ys) == 1 else None
    shape = getattr(y, "shape", () if isinstance(y, NUMBERS) else None)
    if shape != ():
        got = f"shape {shape}" if shape is not None else f"{len(run.ys)} values" if run.ys else "None"
        raise ValueError(
            f"{run.who}: the function must return one number, got {got}; use jacobian, or reduce it (sum, mean)"
        )
    if getattr(y, "dtype", np.dtype(float)).kind == "c":
        raise TypeError(f"{run.who}: the function returned a complex number; take its abs, real or imag")
    return y


def value_and_grad(f: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable:
    """A function that returns f's value and its gradient with respect to the arguments in `argnums`."""
    return _valued(f, argnums, has_aux, "value_and_grad")


def _valued(f: Callable, argnums: int | Sequence[int], has_aux: bool, who: str) -> Callable:
    require_callable(f, who)

    @functools.wraps(f)
    def call(*args, **options):
        numbers, put = chosen_arguments(args, argnums, who)
        run = Run(lambda *xs: f(*put(xs), **options), tuple(args[n] for n in numbers), who, has_aux)
        y = _scalar(run)
        gradients = run.rebuild(run.pull([np.ones((), getattr(y, "dtype", float))]))
        value = (run.results(), run.auxiliary()) if has_aux else run.results()
        return value, gradients[0] if isinstance(argnums, int) else gradients

    return call


def grad(f: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable:
    """A function that returns the gradient of f; with has_aux, the gradient and the second thing f returns."""
    return derivative(f, argnums, has_aux, "grad")


def derivative(f: Callable, argnums: int | Sequence[int], has_aux: bool, who: str) -> Callable:
    both = _valued(f, argnums, has_aux, who)

    @functools.wraps(f)
    def call(*args, **options):
        value, gradients = both(*args, **options)
        return (gradients, value[1]) if has_aux else gradients

    return call


def vjp(f: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """f's result and a function from a cotangent of the result to those of the arguments (one, or a tuple)."""
    require_callable(f, "vjp")
    run = Run(f, primals, "vjp", has_aux)

    def pull(cotangent: Any) -> Any:
        gs, _ = flatten(cotangent)
        _same_shapes(gs, run.ys, "vjp: the cotangent")
        pulled = run.rebuild(run.pull([_as_value(g, y) for g, y in zip(gs, run.ys)], retain=True))
        return pulled[0] if len(primals) == 1 else pulled

    return (run.results(), pull, run.auxiliary()) if has_aux else (run.results(), pull)


def _as_value(t: Any, like: Any) -> Any:
    """A tangent or cotangent as a value of the type of what it belongs to."""
    t = t if isinstance(t, Traced) else np.asarray(t)
    dtype = getattr(like, "dtype", t.dtype)
    return t if t.dtype == dtype else t.astype(dtype)


def _same_shapes(given: list, wanted: list, what: str) -> None:
    if len(given) != len(wanted):
        raise ValueError(f"{what} has {len(given)} leaves, needed are {len(wanted)}")
    kind = lambda v: np.dtype(getattr(v, "dtype", type(v))).kind
    for k, (a, b) in enumerate(zip(given, wanted)):
        require_value(a, f"{what} is, at leaf {k},")
        if np.shape(a) != np.shape(b):
            raise ValueError(f"{what} has shape {np.shape(a)} at leaf {k}, needed is {np.shape(b)}")
        if kind(a) == "c" != kind(b):
            raise TypeError(f"{what} is complex at leaf {k}, where the value is real; give its real part")


def jvp(f: Callable, primals: Any, tangents: Any, has_aux: bool = False) -> tuple:
    """f's result and its derivative along the tangents, by forward mode."""
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (tuple, list)):
            raise TypeError(f"jvp: {name} must be a tuple with one entry per argument, got {type(given).__name__}")
    return push_through(f, tuple(primals), tuple(tangents), has_aux, "jvp")


def push_through(f: Callable, primals: tuple, tangents: tuple, has_aux: bool, who: str) -> tuple:
    require_callable(f, who)
    xs, rebuild = flatten(primals)
    ts, _ = flatten(tangents)
    values = [differentiable(x, who, f"leaf {k} of the primals") for k, x in enumerate(xs)]
    _same_shapes(ts, values, f"{who}: the tangent")
    form = next((x for x in xs if isinstance(x, Traced)), next(iter(xs), 0.0))
    with new_level() as level, enable_grad(), standing_for(xs):
        duals = [
            Dual(as_tensor(x, copy=True), as_tensor(_as_value(t, x), copy=True), level) for x, t in zip(values, ts)
        ]
        y = f(*rebuild(duals))
        y, aux = _with_aux(y, who) if has_aux else (y, None)
        for v in flatten(y)[0]:
            require_value(v, f"{who}: the function returned")
    mine = lambda v: isinstance(v, Dual) and v.level == level
    primal = lambda v: _outward(v.primal if mine(v) else v, form)
    none = lambda v: as_tensor(np.zeros(np.shape(v), getattr(v, "dtype", float)))
    tangent = lambda v: _outward(v.tangent if mine(v) else none(v), form)
    result = tree_map(primal, y), tree_map(tangent, y)
    return (*result, tree_map(primal, aux)) if has_aux else result


def _outward(v: Any, form: Any) -> Any:
    if isinstance(v, Tensor) and v.level == 0 and not v.requires_grad and not isinstance(form, Traced):
        return v.value.item() if v.ndim == 0 else writable(v.value)
    return v


def as_tensor(x: Any, copy: bool = False) -> Any:
    """A traced value as it is, an array as a tensor."""
    if isinstance(x, Traced):
        return REGISTRY["clone"].call(x) if copy else x
    return at(np.array(x) if copy else np.asarray(x))


def linearize(f: Callable, *primals: Any) -> tuple:
    """f's result and its derivative as a linear function of the tangents; f runs once, however often that is called."""
    require_callable(f, "linearize")
    run = Run(f, primals, "linearize")
    dummies = [
        at(np.zeros(y.shape, y.dtype), Leaf(y.shape, y.dtype), run.level) if run.mine(y) else None for y in run.ys
    ]
    pairs = [(y, d) for y, d in zip(run.ys, dummies) if d is not None]
    found: dict = {}
    if pairs:
        ys, ds = zip(*pairs)
        found = pullback(ys, ds, run.nodes, retain=True, tracked=True, only_wanted=True)
        for d in ds:
            d.node.over = True

    def push(*tangents: Any) -> Any:
        ts, _ = flatten(tangents)
        _same_shapes(ts, run.given, "linearize: the tangent")
        reached = [(found[n][0], _as_value(t, x)) for n, t, x in zip(run.nodes, ts, run.xs) if n in found]
        reached = [(g, t) for g, t in reached if isinstance(g, Tensor) and g.requires_grad]
        wanted = [d.node for d in dummies if d is not None]
        back: dict = {}
        if reached:
            gs, seeds = zip(*reached)
            back = pullback(gs, seeds, wanted, retain=True, tracked=run.follow, only_wanted=True, aside=run.nodes)
        pushed = [
            back[d.node][0] if d is not None and d.node in back else np.zeros(np.shape(y))
            for y, d in zip(run.ys, dummies)
        ]
        return run.build([outward(t, run.form_of(y), run.level) for t, y in zip(pushed, run.ys)])

    return run.results(), push


def vmap(f: Callable, in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error") -> Callable:
    """f over a batch: arguments have an extra axis at `in_dims` (None: shared by all), results one at `out_dims`.

    Random draws inside are an error, or the "same" for all members, or "different": each draws anew.
    """
    require_callable(f, "vmap")
    if randomness not in ("error", "different", "same"):
        raise ValueError(f"vmap: randomness must be 'error', 'different' or 'same', got {randomness!r:.40}")

    @functools.wraps(f)
    def call(*args, **options):
        dims = _spread_dims(in_dims, args, "in_dims")
        leaves, rebuild = flatten(args)
        size = _batch_size(leaves, dims)
        with new_level(size, randomness) as level:
            boxed = [x if d is None else Batched(_to_front(x, d), level) for x, d in zip(leaves, dims)]
            result = f(*rebuild(boxed), **options)
        ys, build = flatten(result)
        for y in ys:
            require_value(y, "vmap: the function returned")
        plain = not any(isinstance(x, Traced) for x in leaves)
        outs = _spread_dims(out_dims, result, "out_dims")
        return build([_from_front(y, d, size, level, plain, leaves) for y, d in zip(ys, outs)])

    return call


def _spread_dims(dims: Any, tree: Any, who: str) -> list:
    """One entry of dims for each leaf of a tree; an entry for a nest holds for all of it."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(flatten(tree)[0])
    if not isinstance(dims, (tuple, list, dict)):
        raise TypeError(f"vmap: {who} must be an integer, None, or a tuple of these, one for each value; got {dims!r}")
    if not isinstance(tree, type(dims)) and not (isinstance(dims, (tuple, list)) and isinstance(tree, (tuple, list))):
        raise ValueError(f"vmap: {who}={dims!r} does not fit {type(tree).__name__}")
    if len(dims) != len(tree):
        raise ValueError(f"vmap: {who}={dims!r} has {len(dims)} entries for {len(tree)} values")
    rows = ((dims[k], tree[k]) for k in tree) if isinstance(tree, dict) else zip(dims, tree)
    return [d for part in rows for d in _spread_dims(*part, who)]


def _batch_size(leaves: list, dims: list) -> int:
    sizes = set()
    for x, d in zip(leaves, dims):
        if d is not None:
            require_value(x, "vmap: an argument to map over is")
            if not -np.ndim(x) <= d < np.ndim(x):
                raise ValueError(
                    f"vmap: in_dims={d}, but that argument has shape {np.shape(x)}; None shares it with all"
                )
            sizes.add(np.shape(x)[d])
    if len(sizes) != 1:
        different = f"the mapped axes have different sizes: {', '.join(map(str, sorted(sizes)))}"
        raise ValueError(f"vmap: {different if sizes else 'no argument has an axis to map over'}")
    return sizes.pop()


def _to_front(x: Any, d: int) -> Any:
    x = as_tensor(x)
    return x if d == 0 else PUBLIC["movedim"](x, d, 0)


def _from_front(y: Any, d: int | None, size: int, level: int, plain: bool, given: list) -> Any:
    """A result with its batch axis where the caller wants it."""
    mine = isinstance(y, Batched) and y.level == level
    if d is None:
        if mine:
            raise ValueError("vmap: out_dims=None for a result that differs over the batch")
        return y
    if not mine:
        y = as_tensor(np.asarray(y) if not isinstance(y, Traced) else y)
        y = REGISTRY["broadcast_to"].call(y, shape=(size, *y.shape))
    else:
        y = as_tensor(y.batch)
    if not -y.ndim <= d < y.ndim:
        raise ValueError(f"vmap: out_dims={d}, but with the mapped axis the result has {y.ndim} axes")
    y = y if d == 0 else PUBLIC["movedim"](y, 0, d)
    if not (plain and isinstance(y, Tensor) and y.level == 0 and not y.requires_grad):
        return y
    return y.value.copy() if any(memory(y.value) is memory(x) for x in given) else writable(y.value)
