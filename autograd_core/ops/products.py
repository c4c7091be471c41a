"""Products of matrices and tensors: two primitives, the matrix product and the contraction, and what follows."""

from __future__ import annotations

import functools
import math
from string import ascii_letters
from typing import Any

import numpy as np

from ..kernels.matmul import DOT, LARGE, ROWWISE, SINGLE, WIDE, two, work
from ..kernels.matmul import matmul as matrix_product
from ..op import SHORTCUTS, elementwise, op
from ..samples import shapes
from ..tape import state
from ..tensor import Tensor
from ..views import refresh
from ..vmap import aligned
from .axes import one_axis, spelled
from .base import conj
from .index import index_select
from .math import where
from .reduce import reduce_norm, reduce_sum
from .shape import afford, expand_dims, reshape_to

__all__ = [
    *("addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "cdist", "cross", "dot", "einsum", "ger", "inner"),
    *("kron", "matmul", "mm", "mv", "outer", "pdist", "tensordot", "vdot"),
]
ndarray, new = np.ndarray, object.__new__
INPLACE = ["addbmm", "addmm", "addmv", "addr", "baddbmm"]


# --- the product of matrices -----------------------------------------------------------------------------------------


def adjoint(x: Any) -> Any:
    """The conjugate transpose of matrices."""
    return conj(x).mT if x.dtype.kind == "c" else x.mT


def rows(x: Any) -> Any:
    """A batch of matrices as one matrix: all their rows."""
    return reshape_to(x, shape=(math.prod(x.shape[:-1]), x.shape[-1])) if x.ndim > 2 else x


def _of_right(g, a, b_shape):
    """The cotangent of b; where b is one matrix for many, one product adds up what they contribute."""
    return product(adjoint(rows(a)), rows(g)) if len(b_shape) == 2 else product(adjoint(a), g)


@op(
    lambda g, b: product(g, adjoint(b)),
    _of_right,
    linear=True,
    promotes=True,
    batch=lambda size, values, batched: product(*aligned(values, batched)),
    samples="n k, k m | b n k, k m | b n k, b k m | n k, b k m | n k, b k 1 | b 1 n k, c k m "
    "| n k:complex, k m:complex | b n k, k m:complex",
    name="matmul",
)
def product(a, b):
    """The products of matrices; the leading axes broadcast."""
    if a.__class__ is ndarray and (y := two(a, b)) is not None:
        return y
    multiply = matrix_product if b.ndim > 1 and work(a, b) >= LARGE else np.matmul  # of which small ones know nothing
    if b.ndim == 2 < a.ndim:  # one large product is faster than many small ones
        y = multiply(a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), b)
        return y.reshape(*a.shape[:-1], b.shape[-1])
    if a.ndim == 2 < b.ndim and b.shape[-1] == 1:  # as are many columns as rows of one
        y = multiply(b.reshape(math.prod(b.shape[:-2]), b.shape[-2]), a.T)
        return y.reshape(*b.shape[:-2], len(a), 1)
    return multiply(a, b)


_recorded = SHORTCUTS[2](product.op, product)  # the usual call, of two plain tensors


def _matmul(a, b):
    """The product of matrices, of a matrix and a vector, or of two vectors; axes in front are batches and broadcast."""
    try:
        if a.ndim > 1 and b.ndim > 1:
            return _recorded(a, b)
        if a.ndim == 1 == b.ndim:
            return reshape_to(product(reshape_to(a, shape=(1, *a.shape)), expand_dims(b, axis=-1)), shape=())
        if b.ndim == 1:
            y = product(a, expand_dims(b, axis=-1))
            return reshape_to(y, shape=y.shape[:-1])
        y = product(expand_dims(a, axis=-2), b)
        return reshape_to(y, shape=(*y.shape[:-2], y.shape[-1]))
    except (ValueError, AttributeError) as error:
        raise mismatch("matmul", a, b, error) from None


_matmul.__name__ = _matmul.__qualname__ = "matmul"
_general = spelled(_matmul)


@functools.wraps(_general)
def matmul(a=None, b=None, input=None, other=None):
    if a.__class__ is b.__class__ is Tensor and input is other is None:
        if a.origin is not None:
            refresh(a)
        if b.origin is not None:
            refresh(b)
        x, y = a.value, b.value
        if a.node is b.node is state.mode is None and x.__class__ is ndarray:
            dtype = x.dtype
            if (dtype is SINGLE or dtype is WIDE) and y.dtype is dtype and x.ndim == 2 == y.ndim:
                try:  # what `two` does with small ones, which are done before it could be called
                    size = x.size * y.shape[1]
                    small = size < ROWWISE or (size < LARGE and (y.flags.c_contiguous or x.flags.f_contiguous))
                    value = x.dot(y) if small and x.size < DOT else two(x, y)
                except ValueError:
                    value = None
                if value is not None:
                    t = new(Tensor)
                    t.value = value
                    t.leaf = t.origin = t.node = None
                    return t
        return _matmul(a, b)
    names = {"a": a, "b": b, "input": input, "other": other}
    return _general(**{name: value for name, value in names.items() if value is not None})


matmul.as_method = matmul  # type: ignore[attr-defined]  # what `spelled` does for others is done


def mismatch(name: str, a: Any, b: Any, error: Exception) -> Exception:
    """The error of a product that does not fit, with what would fit if there is something."""
    if not (hasattr(a, "ndim") and hasattr(b, "ndim")):
        return TypeError(f"{name}: expected tensors or arrays, got {type(a).__name__} and {type(b).__name__}")
    a_shape, b_shape = tuple(a.shape), tuple(b.shape)
    given = f"a is {a_shape}, b is {b_shape}"
    if not a_shape or not b_shape:
        return ValueError(f"{name}: both need at least one axis, {given}; use * to multiply by a number")
    if a_shape[-1] == (b_shape[-2] if len(b_shape) > 1 else b_shape[-1]):
        try:
            np.broadcast_shapes(a_shape[:-2], b_shape[:-2])
            return error
        except ValueError:
            return ValueError(f"{name}: the leading axes do not broadcast: {given}")
    fits = [text for text, p, q in _transposed(a_shape, b_shape) if p[-1] == q[-2 if len(q) > 1 else -1]]
    return ValueError(f"{name}: inner dimensions differ: {given}" + (f"; did you mean {fits[0]}?" if fits else ""))


def _transposed(p: tuple, q: tuple) -> list:
    """The other ways to multiply: with one of the two transposed, or in the other order."""
    flip = lambda s: (*s[:-2], s[-1], s[-2]) if len(s) > 1 else s
    ways = [("a @ b.mT", p, flip(q))] if len(q) > 1 else []
    return ways + ([("a.mT @ b", flip(p), q)] if len(p) > 1 else []) + [("b @ a", q, p)]


def _with_axes(name: str, **wanted: tuple) -> None:
    """Raise unless each argument (given with its value) has as many axes as wanted."""
    for argument, (x, ndim) in wanted.items():
        if not hasattr(x, "ndim"):
            raise TypeError(f"{name}: {argument} must be a tensor or an array, got {type(x).__name__}")
        if x.ndim != ndim:
            kind = ("a number", "a vector", "a matrix", "a batch of matrices (3 axes)")[ndim]
            raise ValueError(f"{name}: {argument} must be {kind}, got shape {tuple(x.shape)}; matmul takes any shapes")


def mm(x, mat2):
    """The product of two matrices."""
    _with_axes("mm", x=(x, 2), mat2=(mat2, 2))
    return _fitting("mm", x, mat2)


def mv(x, vec):
    """The product of a matrix and a vector."""
    _with_axes("mv", x=(x, 2), vec=(vec, 1))
    return _fitting("mv", x, vec)


def bmm(x, mat2):
    """The products of two batches of matrices, one by one."""
    _with_axes("bmm", x=(x, 3), mat2=(mat2, 3))
    if x.shape[0] != mat2.shape[0]:
        raise ValueError(
            f"bmm: batches of different lengths: x is {tuple(x.shape)}, mat2 is {tuple(mat2.shape)}; matmul broadcasts"
        )
    return _fitting("bmm", x, mat2)


def dot(x, tensor):
    """The sum of products of two vectors' entries, not conjugated."""
    _with_axes("dot", x=(x, 1), tensor=(tensor, 1))
    return _fitting("dot", x, tensor)


def vdot(x, other):
    """The inner product of two vectors; the first is conjugated."""
    _with_axes("vdot", x=(x, 1), other=(other, 1))
    return _fitting("vdot", conj(x), other)


def _fitting(name: str, a: Any, b: Any) -> Any:
    """The product, or an error in the name of the function that was called."""
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else -1]:
        raise mismatch(name, a, b, ValueError())
    return matmul(a, b)


def addmm(x, mat1, mat2, *, beta=1, alpha=1):
    """beta x + alpha mat1 @ mat2; with beta = 0, x is not looked at."""
    _with_axes("addmm", mat1=(mat1, 2), mat2=(mat2, 2))
    return _added("addmm", x, _fitting("addmm", mat1, mat2), beta, alpha)


def addmv(x, mat, vec, *, beta=1, alpha=1):
    """beta x + alpha mat @ vec."""
    _with_axes("addmv", mat=(mat, 2), vec=(vec, 1))
    return _added("addmv", x, _fitting("addmv", mat, vec), beta, alpha)


def addr(x, vec1, vec2, *, beta=1, alpha=1):
    """beta x + alpha times the outer product of two vectors."""
    _with_axes("addr", vec1=(vec1, 1), vec2=(vec2, 1))
    return _added("addr", x, outer(vec1, vec2), beta, alpha)


def addbmm(x, batch1, batch2, *, beta=1, alpha=1):
    """beta x + alpha times the sum of the products of two batches of matrices."""
    _with_axes("addbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    return _added("addbmm", x, reduce_sum(bmm(batch1, batch2), axis=(-3,)), beta, alpha)


def baddbmm(x, batch1, batch2, *, beta=1, alpha=1):
    """beta x + alpha times the products of two batches of matrices."""
    _with_axes("baddbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    return _added("baddbmm", x, bmm(batch1, batch2), beta, alpha)


def _added(name: str, x: Any, y: Any, beta: Any, alpha: Any) -> Any:
    """beta x + alpha y, in the shape of y; what has the factor 0 is left out, infinite or NaN."""
    lead = (1,) * (len(y.shape) - len(x.shape))
    if len(x.shape) > len(y.shape) or any(n not in (1, m) for n, m in zip((*lead, *x.shape), y.shape)):
        raise ValueError(f"{name}: x of shape {tuple(x.shape)} cannot be added to a product of shape {tuple(y.shape)}")
    whole = x.dtype if x.dtype.kind in "biu" and y.dtype.kind in "biu" else None  # which it stays, as in PyTorch
    y = y if alpha == 1 else _nothing(y) if alpha == 0 else _scaled(y, alpha, whole)
    y = y - _nothing(x) if beta == 0 else (x if beta == 1 else _scaled(x, beta, whole)) + y
    return y if whole is None else y.astype(whole)


def _nothing(x: Any) -> Any:
    """Zeros that x has a part in, and so a gradient of zeros; taken away they leave even -0 as it is."""
    return where(np.False_, x, np.zeros((), x.dtype))


def _scaled(x: Any, factor: Any, whole: Any) -> Any:
    """x times a number, of which tensors of integers take the whole part."""
    return x * factor if whole is None else x * int(factor)


def outer(x, vec2):
    """All products of an entry of one vector and an entry of another."""
    _with_axes("outer", x=(x, 1), vec2=(vec2, 1))
    afford((*x.shape, *vec2.shape), x.dtype, "outer")
    return expand_dims(x, axis=-1) * vec2


ger = outer


def kron(x, other):
    """The Kronecker product: each entry of x replaced by itself times `other`."""
    rank = max(x.ndim, other.ndim)
    a, b = ((1,) * (rank - t.ndim) + tuple(t.shape) for t in (x, other))
    spread = reshape_to(x, shape=tuple(n for size in a for n in (size, 1)))
    tile = reshape_to(other, shape=tuple(n for size in b for n in (1, size)))
    return reshape_to(spread * tile, shape=tuple(m * n for m, n in zip(a, b)))


# --- contractions ----------------------------------------------------------------------------------------------------


def _of_operand(g, i, xs, xs_shape, spec):
    """The cotangent of operand i: the contraction of g with the others; diagonals are put back, sums spread."""
    operands, result = _split(spec)
    terms = [(g, result)] + [(conj(x), labels) for k, (x, labels) in enumerate(zip(xs, operands)) if k != i]
    free = iter(c for c in ascii_letters if c not in spec)
    wanted = ""
    for label, size in zip(operands[i], xs_shape[i]):
        if label in wanted:
            twin = next(free)
            terms.append((np.eye(size, dtype=g.dtype), label + twin))
            label = twin
        wanted += label
    known = set().union(*(labels for _, labels in terms))
    missing = tuple(k - len(wanted) for k, label in enumerate(wanted) if label not in known)
    reached = "".join(label for label in wanted if label in known)
    y = contract(*(x for x, _ in terms), spec=f"{','.join(labels for _, labels in terms)}->{reached}")
    return expand_dims(y, axis=missing) if missing else y


def _batched(size, values, batched, *, spec):
    """A batch is one more index."""
    operands, result = _split(spec)
    extra = next(c for c in ascii_letters if c not in spec)
    labels = [extra * b + labels for b, labels in zip(batched, operands)]
    return contract(*values, spec=f"{','.join(labels)}->{extra}{result}")


def _split(spec: str) -> tuple[list[str], str]:
    operands, result = spec.split("->")
    return operands.split(","), result


def _contractions(*specs: str) -> list:
    """Samples: in each, an index has one size throughout."""
    return [
        shapes(", ".join(" ".join(labels) or "()" for labels in _split(spec)[0]), spec=[spec]) for spec in specs
    ] + [
        shapes("i j:complex, j k:complex", spec=["ij,jk->ik", "ij,jk->k", "ij,jk->ijk"]),
        shapes("i i:complex, i:complex", spec=["ii,i->i", "ii,i->"]),
    ]


@op(
    _of_operand,
    linear=True,
    promotes=True,
    batch=_batched,
    samples=_contractions(
        *(
            "ij->ji",
            "ij->",
            "ii->i",
            "ii->",
            "iij->ji",
            "ij,jk->ik",
            "ij,jk->ki",
            "ij,kj->",
            "bij,bjk->bik",
            "ij,ij->i",
            "i,j->ij",
        ),
        *("ii,ij->j", "ij,k->k", "i,i,i->", "ij,jk,kl->il", "ij,jk,ki->", "i,,j->ji", "abc,cd,be->ade"),
    ),
    name="einsum",
)
def contract(*xs, spec):
    """The sum of products that `spec` describes: labels of each operand's axes, and of the result's."""
    operands, result = _split(spec)
    terms = list(zip(xs, operands))
    for chosen in _order(spec, tuple(x.shape for x in xs)):
        taken = [terms[k] for k in chosen]
        terms = [t for k, t in enumerate(terms) if k not in chosen]
        while len(taken) > 1:
            (x, a), (y, b) = taken[:2]
            needed = set(result).union(*(labels for _, labels in terms + taken[2:]))
            taken[:2] = [_pair(x, a, y, b, needed)]
        terms += taken
    y, labels = _simplified(*terms[0], set(result))
    y = y.transpose([labels.index(label) for label in result])
    return y.copy() if any(np.may_share_memory(y, x) for x in xs) else y


@functools.lru_cache(maxsize=512)
def _order(spec: str, sizes: tuple) -> list:
    """Which operands to take together, one step after another."""
    if len(sizes) < 3:
        return [tuple(range(len(sizes)))]
    stand_ins = [np.broadcast_to(np.float64(0), s) for s in sizes]
    return np.einsum_path(spec, *stand_ins, optimize="optimal" if len(sizes) < 6 else "greedy")[0][1:]


def _simplified(x: np.ndarray, labels: str, needed: set) -> tuple[np.ndarray, str]:
    """x with the diagonal taken where a label is repeated, and summed over labels that nobody needs."""
    unique = "".join(dict.fromkeys(labels))
    if unique != labels:
        x = np.einsum(f"{labels}->{unique}", x)
    summed = tuple(k for k, label in enumerate(unique) if label not in needed)
    return (np.add.reduce(x, axis=summed) if summed else x), "".join(c for c in unique if c in needed)


def _pair(x: np.ndarray, a: str, y: np.ndarray, b: str, needed: set) -> tuple[np.ndarray, str]:
    """Two operands contracted by one product of matrices, and the labels of what comes out."""
    (x, a), (y, b) = _simplified(x, a, needed | set(b)), _simplified(y, b, needed | set(a))
    both = [c for c in a if c in b]
    batch, inner = [c for c in both if c in needed], [c for c in both if c not in needed]
    left, right = [c for c in a if c not in both], [c for c in b if c not in both]
    size = dict(zip(a + b, x.shape + y.shape))
    count = lambda labels: math.prod(size[c] for c in labels)
    lead = [size[c] for c in batch]
    x = x.transpose([a.index(c) for c in batch + left + inner]).reshape(*lead, count(left), count(inner))
    y = y.transpose([b.index(c) for c in batch + inner + right]).reshape(*lead, count(inner), count(right))
    labels = batch + left + right
    z = product.op.forward(x, y) if inner else x * y
    return z.reshape([size[c] for c in labels]), "".join(labels)


def einsum(equation, *operands):
    """Sums of products by index notation: "ij,jk->ik", with `...`, repeated and omitted indices.

    Or with lists of numbers, each after its operand, and the result's last: einsum(x, [0, 1], y, [1, 2], [0, 2]).
    """
    if not isinstance(equation, str):
        equation, operands = _from_sublists((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    spec = _explicit(equation.replace(" ", ""), operands)
    operands, labels = _agreeing(operands, *_split(spec))
    return contract(*operands, spec=f"{','.join(labels)}->{_split(spec)[1]}")


def _from_sublists(arguments: tuple) -> tuple[str, tuple]:
    """The equation and operands of einsum(x, [0, 1], y, [1, 2], [0, 2])."""

    def text(labels: Any) -> str:
        for k in labels:
            if k is not Ellipsis and not (isinstance(k, int) and 0 <= k < len(ascii_letters)):
                raise ValueError(
                    f"einsum: an index in a list must be ... or an integer from 0 to {len(_SORTED) - 1}, got {k!r}"
                )
        return "".join("..." if k is Ellipsis else _SORTED[k] for k in labels)

    pairs, rest = arguments[: len(arguments) // 2 * 2], arguments[len(arguments) // 2 * 2 :]
    if not pairs or not all(isinstance(s, (list, tuple)) for s in (*pairs[1::2], *rest)):
        raise TypeError("einsum: expected an equation and operands, or operands each followed by a list of indices")
    return ",".join(map(text, pairs[1::2])) + "".join(f"->{text(r)}" for r in rest), pairs[::2]


_SORTED = sorted(ascii_letters)


def _explicit(equation: str, operands: tuple) -> str:
    """The equation with letters for `...` and with the result written out."""
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands) or not operands:
        raise ValueError(f"einsum: {equation!r} has {len(terms)} operands, but {len(operands)} were given")
    strange = next((c for c in (left + result).replace("...", "") if c not in ascii_letters + ","), None)
    if strange:
        raise ValueError(f"einsum: {strange!r} in {equation!r} is not a letter, a comma, `...` or `->`")
    extra = [_hidden_axes(equation, term, x) for term, x in zip(terms, operands)]
    free = [c for c in ascii_letters if c not in equation][: max(extra)]
    if len(free) < max(extra):
        raise ValueError(f"einsum: {equation!r} needs more than {len(ascii_letters)} indices")
    terms = [term.replace("...", "".join(free[len(free) - n :])) for term, n in zip(terms, extra)]
    letters = left.replace("...", "").replace(",", "")
    if not arrow:
        result = "..." * ("..." in left) + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    result = result.replace("...", "".join(free))
    bad = next((c for c in result if result.count(c) > 1 or c not in "".join(terms)), None)
    if bad:
        why = "twice in the result" if bad in letters else "in the result but in no operand"
        raise ValueError(f"einsum: index {bad!r} is {why} of {equation!r}")
    return f"{','.join(terms)}->{result}"


def _hidden_axes(equation: str, term: str, x: Any) -> int:
    """How many axes of an operand the `...` in its term stands for."""
    if not hasattr(x, "ndim"):
        raise TypeError(f"einsum: operands must be tensors or arrays, got {type(x).__name__}")
    named = len(term.replace("...", ""))
    if term.count("...") > 1 or x.ndim < named or ("..." not in term and x.ndim > named):
        raise ValueError(
            f"einsum: {term!r} in {equation!r} names {named} axes, but the operand has shape {tuple(x.shape)}"
        )
    return x.ndim - named


def _agreeing(operands: tuple, terms: list[str], _result: str) -> tuple[list, list[str]]:
    """Operands without the axes of length one that broadcast; the sizes of an index must agree otherwise."""
    size: dict[str, int] = {}
    for x, term in zip(operands, terms):
        for c, n in zip(term, x.shape):
            if size.setdefault(c, n) == 1:
                size[c] = n
            if n not in (1, size[c]):
                shown = " and ".join(f"{t!r} {tuple(o.shape)}" for o, t in zip(operands, terms) if c in t)
                raise ValueError(f"einsum: index {c!r} has sizes {size[c]} and {n}: {shown}")
    kept = [[k for k, (c, n) in enumerate(zip(term, x.shape)) if n == size[c]] for x, term in zip(operands, terms)]
    whole = [len(k) == len(term) for k, term in zip(kept, terms)]
    fit = [x if w else reshape_to(x, shape=tuple(x.shape[i] for i in k)) for x, k, w in zip(operands, kept, whole)]
    return fit, ["".join(term[i] for i in k) for k, term in zip(kept, terms)]


def tensordot(a, b, dims=2):
    """The contraction of the last axes of a with the first of b (dims is a number), or of pairs of axes (two lists)."""
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise ValueError(f"tensordot: dims must be from 0 to {min(a.ndim, b.ndim)}, got {dims}")
        dims = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(first) != len(second):
        raise ValueError(f"tensordot: {len(first)} axes of a cannot be contracted with {len(second)} axes of b")
    labels = [list(ascii_letters[: a.ndim]), list(ascii_letters[a.ndim : a.ndim + b.ndim])]
    for i, j in zip(first, second):
        if a.shape[i] != b.shape[j]:
            raise ValueError(
                f"tensordot: axis {i} of a {tuple(a.shape)} and axis {j} of b {tuple(b.shape)} differ in length"
            )
        labels[1][j] = labels[0][i]
    shared = {labels[0][i] for i in first}
    left, right = ("".join(side) for side in labels)
    return contract(a, b, spec=f"{left},{right}->{''.join(c for c in left + right if c not in shared)}")


def inner(x, other):
    """The sums of products along the last axes of both; a number multiplies."""
    if not x.ndim or not other.ndim:
        return x * other
    if x.shape[-1] != other.shape[-1]:
        raise ValueError(f"inner: the last axes differ in length: x is {tuple(x.shape)}, other is {tuple(other.shape)}")
    return tensordot(x, other, dims=([-1], [-1]))


# --- cross product and distances -------------------------------------------------------------------------------------


@op(
    lambda g, b, axis: cross_product(conj(b), g, axis=axis),
    lambda g, a, axis: cross_product(g, conj(a), axis=axis),
    linear=True,
    promotes=True,
    batch=lambda size, values, batched, axis: cross_product(*aligned(values, batched), axis=axis),
    samples=[
        shapes("n 3, n 3 | n 3, 1 3 | 3, 3 | 3:complex, 3:complex", axis=[-1]),
        shapes("n 3 m, n 3 m | 3 1, 3 m", axis=[-2]),
    ],
    name="cross",
)
def cross_product(a, b, *, axis):
    """The cross product of vectors along an axis."""
    at = lambda x, k: x[(..., k, *(slice(None),) * (-axis - 1))]
    parts = [at(a, i) * at(b, j) - at(a, j) * at(b, i) for i, j in ((1, 2), (2, 0), (0, 1))]
    return np.stack(parts, axis)


def cross(x, other, dim=None):
    """The cross product along `dim`, by default the first axis of length 3."""
    if dim is None:
        dim = next((k for k, n in enumerate(x.shape) if n == 3), None)
        if dim is None:
            raise ValueError(f"cross: no axis of x has length 3, its shape is {tuple(x.shape)}")
        dim -= x.ndim
    return crossed(x, other, dim)


def crossed(x: Any, other: Any, dim: int) -> Any:
    """The cross product along one axis, counted alike in both."""
    if x.ndim != other.ndim:
        raise ValueError(
            f"cross: both need the same number of axes, x is {tuple(x.shape)}, other is {tuple(other.shape)}"
        )
    axis = one_axis(x.ndim, dim, "cross")
    if x.ndim == 0 or x.shape[axis] != 3 or other.shape[axis] != 3:
        raise ValueError(f"cross: axis {dim} must have length 3, x is {tuple(x.shape)}, other is {tuple(other.shape)}")
    return cross_product(x, other, axis=axis)


def _inverse_or_zero(x):
    with np.errstate(all="ignore"):
        return np.where(x == 0, np.zeros((), x.dtype), 1 / x)


inverse_or_zero = elementwise(
    _inverse_or_zero, lambda y: -y * y, name="inverse_or_zero", inputs=("x",), samples="n m:nonzero"
)


def _pull(g, y, a, b):
    """The force on each a of all b, each along the unit vector that joins them; none where they coincide."""
    force = g * inverse_or_zero(y)
    return reduce_sum(force, axis=(-1,), keepdims=True) * a - product(force, b)


@op(
    lambda g, y, a, b: _pull(g, y, a, b),
    lambda g, y, a, b: _pull(g.mT, y.mT, b, a),
    promotes=True,
    batch=lambda size, values, batched, by_product: euclidean(*aligned(values, batched), by_product=by_product),
    samples=shapes(
        "n k:small, m k:large | b n k:small, b m k:large | b n k:small, m k:large", by_product=[False, True], smallest=1
    ),
    name="cdist",
)
def euclidean(a, b, *, by_product):
    """The distances between all rows of a and all rows of b; by a product of matrices it is faster and less exact."""
    if not by_product:
        difference = a[..., :, None, :] - b[..., None, :, :]
        return np.sqrt(np.einsum("...k,...k->...", difference, difference))
    squares = (a * a).sum(-1)[..., :, None] + (b * b).sum(-1)[..., None, :]
    return np.sqrt(np.maximum(squares - 2 * product.op.forward(a, b.mT), 0))


_MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


def cdist(x1, x2, p=2.0, compute_mode=_MODES[0]):
    """The p-norm distances between all rows of x1 and all rows of x2; the gradient is 0 where two coincide."""
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"cdist: needs (..., n, k) and (..., m, k), got {tuple(x1.shape)} and {tuple(x2.shape)}")
    if p < 0 or x1.dtype.kind != "f" or x2.dtype.kind != "f":
        raise ValueError(f"cdist: needs p >= 0 and real floating-point rows, got p={p}, {x1.dtype} and {x2.dtype}")
    if compute_mode not in _MODES:
        raise ValueError(f"cdist: compute_mode must be one of {_MODES}, got {compute_mode!r}")
    if p == 2:
        many = max(x1.shape[-2], x2.shape[-2]) > 25
        return euclidean(x1, x2, by_product=compute_mode == _MODES[1] or (many and compute_mode == _MODES[0]))
    return reduce_norm(expand_dims(x1, axis=-2) - expand_dims(x2, axis=-3), p=float(p), axis=(-1,), keepdims=False)


def pdist(input, p=2):
    """The p-norm distances between each row and those after it; the gradient is 0 where two coincide."""
    if input.ndim != 2 or p < 0 or input.dtype.kind != "f":
        given = f"{tuple(input.shape)} {input.dtype} and p={p}"
        raise ValueError(f"pdist: needs a matrix of real floating-point numbers and p >= 0, got {given}")
    first, second = np.triu_indices(input.shape[0], 1)
    difference = index_select(input, 0, first) - index_select(input, 0, second)
    return reduce_norm(difference, p=float(p), axis=(-1,), keepdims=False)
