"""Products of tensors, summed over axes that they share: one primitive, `contract`, and its spellings."""

from __future__ import annotations

import functools
import math
from string import ascii_letters
from typing import Any

import numpy as np

from ..op import op
from ..samples import shapes
from .arranging import expand_dims, reshape_to
from .base import conj
from .products import product

__all__ = ["einsum", "inner", "tensordot"]


def _of_operand(g, i, xs, xs_shape, spec):
    """The cotangent of operand i: the contraction of g with the others; diagonals are put back, sums spread."""
    operands, result = labels_of(spec)
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
    operands, result = labels_of(spec)
    extra = next(c for c in ascii_letters if c not in spec)
    labels = [extra * b + labels for b, labels in zip(batched, operands)]
    return contract(*values, spec=f"{','.join(labels)}->{extra}{result}")


def labels_of(spec: str) -> tuple[list[str], str]:
    """The axes of each operand, and those of the result."""
    operands, result = spec.split("->")
    return operands.split(","), result


def _contractions(*specs: str) -> list:
    """Samples: in each, an index has one size throughout."""
    return [
        shapes(", ".join(" ".join(labels) or "()" for labels in labels_of(spec)[0]), spec=[spec]) for spec in specs
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
    operands, result = labels_of(spec)
    terms = list(zip(xs, operands))
    for chosen in order_of(spec, tuple(x.shape for x in xs)):
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
def order_of(spec: str, sizes: tuple) -> list:
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
    operands, labels = _agreeing(operands, *labels_of(spec))
    return contract(*operands, spec=f"{','.join(labels)}->{labels_of(spec)[1]}")


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
