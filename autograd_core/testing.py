"""The properties that every op must have; public, so that users can check ops of their own.

Each property takes an op, arrays to call it on and its static parameters, and raises AssertionError with what differed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .backward import gradient
from .forward import Dual, new_level
from .op import Op
from .tensor import Tensor, at
from .vmap import Batched


def outputs(y: Any) -> list:
    """The results of a call as a list, however many there are."""
    return list(y) if isinstance(y, tuple) else [y]


def direction(shape: tuple, dtype: Any, rng: np.random.Generator) -> np.ndarray:
    """A random array of a shape, complex if need be."""
    u = rng.standard_normal(shape)
    return u + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else u


def inner(a: Any, b: Any) -> Any:
    """The real inner product of two arrays."""
    return np.real(np.vdot(a, b))


def differentiable(a: Any) -> bool:
    """Whether an array can have a gradient."""
    return np.asarray(a).dtype.kind in "fc"


def slope(f: Callable, xs: list, us: list, eps: float = 1e-3) -> np.ndarray:
    """The directional derivative of f by central differences, twice Richardson-extrapolated."""
    central = lambda h: (f(*_moved(xs, us, h)) - f(*_moved(xs, us, -h))) / (2 * h)
    a, b, c = central(eps), central(eps / 2), central(eps / 4)
    ab, bc = (4 * b - a) / 3, (4 * c - b) / 3
    return (16 * bc - ab) / 15


def _moved(xs: list, us: list, h: float) -> list:
    return [x if u is None else x + h * u for x, u in zip(xs, us)]


def close(actual: Any, expected: Any, what: str, rtol: float = 1e-6, atol: float = 1e-7) -> None:
    """Assert that two results agree, and show them side by side if they do not."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape or not np.allclose(actual, expected, rtol=rtol, atol=atol, equal_nan=True):
        raise AssertionError(f"{what}:\n  got      {actual!r}\n  expected {expected!r}")


class Case:
    """One op on one sample: its arrays, its static parameters, and weights that make its results one number."""

    def __init__(self, op: Op, arrays: list, params: dict, rng: np.random.Generator):
        self.op, self.arrays, self.params, self.rng = op, arrays, params, rng
        self.where = [k for k, a in enumerate(arrays) if differentiable(a)]
        self.ys = outputs(op.call(*arrays, **params))
        self.vs = [direction(np.shape(y), y.dtype, rng) if differentiable(y) else None for y in self.ys]

    def us(self) -> list:
        """A random direction for each differentiable input."""
        return [direction(a.shape, a.dtype, self.rng) if differentiable(a) else None for a in self.arrays]

    def number(self, *arrays: Any) -> Any:
        """The weighted results as one number, on plain arrays."""
        ys = outputs(self.op.call(*arrays, **self.params))
        return sum(inner(v, y) for y, v in zip(ys, self.vs) if v is not None)

    def pull(self, leaves: list, *, create_graph: bool = False) -> list:
        """Gradients of the weighted results at the differentiable inputs, zero where there is none."""
        ys = outputs(self.op.call(*leaves, **self.params))
        pairs = [(y, at(v)) for y, v in zip(ys, self.vs) if v is not None and isinstance(y, Tensor) and y.requires_grad]
        return pulled([y for y, _ in pairs], [v for _, v in pairs], [leaves[k] for k in self.where], create_graph)

    def leaves(self, arrays: list | None = None) -> list:
        """The arrays as tensors that ask for gradients where they can have them."""
        return [Tensor(a, requires_grad=True) if differentiable(a) else Tensor(a) for a in arrays or self.arrays]

    def skip(self) -> bool:
        """Whether there is nothing to differentiate."""
        return not self.op.differentiable or not self.where or all(v is None for v in self.vs)


def pulled(ys: list, seeds: list, wanted: list, create_graph: bool = False) -> list:
    """Gradients at the wanted tensors, zero where there is none."""
    found = (
        gradient(ys, wanted, seeds, create_graph=create_graph, allow_unused=True, retain_graph=True)
        if ys
        else [None] * len(wanted)
    )
    return [at(np.zeros_like(x.value)) if g is None else g for g, x in zip(found, wanted)]


def reverse_matches_differences(case: Case) -> None:
    """<v, J u> by differences equals <Jᵀ v, u> by the tape."""
    if not case.skip():
        us = case.us()
        gs = case.pull(case.leaves())
        close(paired(gs, us, case.where), slope(case.number, case.arrays, us), f"{case.op}: gradient")


def second_order_matches(case: Case) -> None:
    """The same of the gradient itself, in a fixed direction."""
    if case.skip():
        return
    us, ws = case.us(), case.us()
    along = lambda *arrays: paired(case.pull(case.leaves(list(arrays))), us, case.where)
    leaves = case.leaves()
    gs = case.pull(leaves, create_graph=True)
    pairs = [(g, at(us[k])) for g, k in zip(gs, case.where) if g.requires_grad]
    seconds = pulled([g for g, _ in pairs], [u for _, u in pairs], [leaves[k] for k in case.where])
    close(paired(seconds, ws, case.where), slope(along, case.arrays, ws), f"{case.op}: second gradient", 1e-5, 1e-6)


def paired(gs: list, us: list, where: list) -> Any:
    """The inner product of gradients and directions."""
    return sum(inner(us[k], g.value) for g, k in zip(gs, where))


def arrays_agree_with_tensors(case: Case) -> None:
    """A rule gives the same on arrays and on tensors."""
    if not case.skip():
        plain = case.pull(case.leaves())
        recorded = case.pull(case.leaves(), create_graph=True)
        for a, b in zip(plain, recorded):
            close(a.value, b.value, f"{case.op}: gradient on arrays and on tensors", 1e-9, 1e-12)


def forward_matches_differences(case: Case) -> None:
    """The tangent of each result is its directional derivative."""
    if case.skip():
        return
    us = case.us()
    with new_level() as level:
        duals = [a if u is None else Dual(a.copy(), u, level) for a, u in zip(case.arrays, us)]
        ys = outputs(case.op.call(*duals, **case.params))
    for k, (y, v) in enumerate(zip(ys, case.vs)):
        if v is not None:
            pick = lambda *xs, k=k: np.asarray(outputs(case.op.call(*xs, **case.params))[k])
            tangent = y.tangent if isinstance(y, Dual) else np.zeros(np.shape(y))
            close(tangent, slope(pick, case.arrays, us), f"{case.op}: tangent of result {k}", 1e-6, 1e-6)


def batch_matches_loop(case: Case, size: int = 3) -> None:
    """A batch of inputs gives the batch of results, whichever inputs are batched."""
    count = len(case.arrays)
    masks = [[True] * count] + [[j == k for j in range(count)] for k in range(count) if count > 1]
    for mask in masks:
        stacked = [
            np.stack([a] + [jiggled(a, k) for k in range(1, size)]) if b else a for a, b in zip(case.arrays, mask)
        ]
        members = [[a[k] if b else a for a, b in zip(stacked, mask)] for k in range(size)]
        expected = [outputs(case.op.call(*xs, **case.params)) for xs in members]
        if len({tuple(np.shape(y) for y in ys) for ys in expected}) > 1:
            refuses_to_stack(case, stacked, mask)
            continue
        ys = in_a_batch(case, stacked, mask)
        for k in range(size):
            for y, e in zip(ys, expected[k]):
                close(y.batch[k], e, f"{case.op}: member {k} of a batch {mask}", 1e-9, 1e-12)


def in_a_batch(case: Case, stacked: list, mask: list[bool]) -> list:
    """The op on arrays of which some are batches of values."""
    with new_level() as level:
        boxed = [Batched(a, level) if b else a for a, b in zip(stacked, mask)]
        return outputs(case.op.call(*boxed, **case.params))


def refuses_to_stack(case: Case, stacked: list, mask: list[bool]) -> None:
    """Results whose shapes depend on the entries (as those of unique do) have no batch: that must be an error."""
    try:
        in_a_batch(case, stacked, mask)
    except ValueError:
        return
    raise AssertionError(f"{case.op}: made a batch {mask} of results that differ in shape")


def jiggled(a: np.ndarray, k: int) -> np.ndarray:
    """Another member of a's kind: numbers scaled a little; integers and truth values the same ones, rolled k places."""
    if differentiable(a):
        return a * (1 + 0.01 * k)
    return np.roll(a, k)


def batch_has_the_gradient_of_the_loop(case: Case, size: int = 2) -> None:
    """The gradient of a batched call is the batch of the gradients."""
    if case.skip():
        return
    stacked = [np.stack([jiggled(a, k) for k in range(size)]) for a in case.arrays]
    leaves = case.leaves(stacked)
    try:
        with new_level() as level:
            ys = outputs(case.op.call(*[Batched(x, level) for x in leaves], **case.params))
    except ValueError:
        return  # results whose shapes depend on values; `batch_matches_loop` sees to these
    pairs = [(y.batch, np.stack([v] * size)) for y, v in zip(ys, case.vs) if v is not None and isinstance(y, Batched)]
    pairs = [(y, v) for y, v in pairs if isinstance(y, Tensor) and y.requires_grad and y.shape == v.shape]
    got = pulled([y for y, _ in pairs], [at(v) for _, v in pairs], [leaves[k] for k in case.where])
    for k in range(size):
        members = case.leaves([a[k] for a in stacked])
        for g, e in zip(got, case.pull(members)):
            close(g.value[k], e.value, f"{case.op}: gradient of member {k} of a batch", 1e-8, 1e-10)


def inputs_untouched(case: Case) -> None:
    """Neither forward nor backward changes the arrays they are given."""
    before = [np.array(a) for a in case.arrays]
    if not case.skip():
        case.pull(case.leaves())
    case.op.call(*case.arrays, **case.params)
    for a, b in zip(case.arrays, before):
        assert np.array_equal(a, b, equal_nan=differentiable(a)), f"{case.op}: an input was changed"


def float32_kept(case: Case) -> None:
    """float32 in, float32 out, float32 gradients (complex64 likewise)."""
    narrow = {"f": np.float32, "c": np.complex64}
    arrays = [a.astype(narrow[a.dtype.kind]) if differentiable(a) else a for a in case.arrays]
    if not case.where or "dtype" in case.params:
        return
    leaves = case.leaves(arrays)
    ys = [y for y in outputs(case.op.call(*leaves, **case.params)) if isinstance(y, Tensor)]
    for y in ys:
        assert y.dtype.itemsize <= 4 or y.dtype.kind in "iu" or y.dtype == np.complex64, (
            f"{case.op}: {y.dtype} from float32"
        )
    if not case.skip():
        seeds = [at(v.astype(y.dtype)) for y, v in zip(ys, case.vs) if y.requires_grad]
        wanted = [leaves[k] for k in case.where]
        ys = [y for y in ys if y.requires_grad]
        gs = gradient(ys, wanted, seeds, allow_unused=True) if ys else []
        for g, x in zip(gs, wanted):
            assert g is None or g.dtype == x.dtype, f"{case.op}: gradient of {g.dtype} for {x.dtype}"


def strides_irrelevant(case: Case) -> None:
    """Transposed, reversed and spaced memory gives the same result."""
    for scatter in (_spaced, _reversed, _columns_first):
        odd = [scatter(a) for a in case.arrays]
        for y, e in zip(outputs(case.op.call(*odd, **case.params)), case.ys):
            close(y, e, f"{case.op}: on {scatter.__name__} memory", 1e-9, 1e-12)


def _spaced(a: np.ndarray) -> np.ndarray:
    wide = np.zeros((*a.shape, 2), a.dtype)
    wide[..., 0] = a
    return wide[..., 0]


def _reversed(a: np.ndarray) -> np.ndarray:
    flip = (slice(None, None, -1),) * a.ndim
    return np.array(a[flip], order="C")[flip]


def _columns_first(a: np.ndarray) -> np.ndarray:
    return np.array(a, order="F")


def keeps_only_what_is_read(case: Case) -> None:
    """The tape holds no array that no rule reads."""
    if not case.skip():
        y = next(
            (
                y
                for y in outputs(case.op.call(*case.leaves(), **case.params))
                if isinstance(y, Tensor) and y.requires_grad
            ),
            None,
        )
        if y is not None:
            node = y.grad_fn.parents[0] if y.grad_fn.__class__.__name__ == "Pick" else y.grad_fn
            kept = {n for n, k in case.op.slots.items() if node.env and node.env[k] is not None}
            assert kept <= node.plan.reads, f"{case.op}: keeps {kept - node.plan.reads}, which no rule reads"


PROPERTIES = [
    reverse_matches_differences,
    second_order_matches,
    arrays_agree_with_tensors,
    forward_matches_differences,
    batch_matches_loop,
    batch_has_the_gradient_of_the_loop,
    inputs_untouched,
    float32_kept,
    strides_irrelevant,
    keeps_only_what_is_read,
]


def check(op: Op | Callable, seed: int = 0, rounds: int = 5, properties: list | None = None) -> int:
    """Every property of an op on every one of its samples; the number of checks made."""
    op, made = getattr(op, "op", op), 0
    for k, sample in enumerate(op.samples):
        for r in range(rounds):
            for prop in properties or PROPERTIES:
                rng = np.random.default_rng([seed, k, r])
                arrays, params = sample.draw(rng) if hasattr(sample, "draw") else sample(rng)
                prop(Case(op, arrays, params, rng))
                made += 1
    return made
