"""Check gradients of a function of the user's against differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backward import gradient
from .tensor import Tensor, at


def gradcheck(
    f: Callable,
    inputs: Any,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    fast_mode: bool = False,
) -> bool:
    """Whether the gradients of f at the inputs agree with central differences: each entry, or one random projection.

    Inputs that require gradients should be float64; in float32 differences have few digits, and that is said.
    """
    inputs = _tuple(inputs)
    wanted = [k for k, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError("gradcheck: no input requires gradients")
    narrow = [k for k in wanted if inputs[k].dtype not in (np.float64, np.complex128)]
    try:
        ys = _outputs(f(*inputs))
        if not any(isinstance(y, Tensor) for y in ys):
            raise TypeError(
                f"gradcheck: the function must return a Tensor or several, got {ys[0]!r:.40}"
                if ys
                else "gradcheck: the function returned nothing"
            )
        _compare(f, inputs, wanted, ys, eps, atol, rtol, fast_mode)
    except GradientMismatch as mismatch:
        if not raise_exception:
            return False
        hint = (
            f"\n(input {narrow[0]} is {inputs[narrow[0]].dtype}: use float64 to tell an error from rounding)"
            if narrow
            else ""
        )
        raise RuntimeError(f"{mismatch}{hint}") from None
    return True


class GradientMismatch(Exception):
    """Analytic and numeric derivatives differ."""


def _tuple(inputs: Any) -> tuple:
    if not isinstance(inputs, (Tensor, tuple, list)):
        raise TypeError(
            f"gradcheck: inputs must be a Tensor or a tuple of them, got {type(inputs).__name__} {inputs!r:.40}"
        )
    return (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)


def _outputs(result: Any) -> list:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _compare(
    f: Callable, inputs: tuple, wanted: list, ys: list, eps: float, atol: float, rtol: float, fast: bool
) -> None:
    """Pull every weighting of an output back to all inputs at once, push every step of an input to all outputs."""
    rng, sources = np.random.default_rng(0), [inputs[j] for j in wanted]
    checked = [k for k, y in enumerate(ys) if isinstance(y, Tensor) and y.dtype.kind in "fc"]
    weights = {k: _draws(ys[k], fast, rng) for k in checked}
    steps = {j: [u / max(1.0, np.linalg.norm(u)) for u in _draws(inputs[j], fast, rng)] for j in wanted}
    pushed = {j: [_difference(f, inputs, j, u, eps, checked) for u in steps[j]] for j in wanted}
    for k in checked:
        pulled = [_gradients(ys[k], sources, w) for w in weights[k]]
        for number, j in enumerate(wanted):
            shape = len(weights[k]), len(steps[j])
            analytic = np.array([[_dot(u, pull[number]) for u in steps[j]] for pull in pulled]).reshape(shape)
            numeric = np.array([[_dot(w, push[k]) for push in pushed[j]] for w in weights[k]]).reshape(shape)
            if not np.allclose(analytic, numeric, rtol=rtol, atol=atol, equal_nan=False):
                raise GradientMismatch(_side_by_side(k, j, analytic, numeric, rtol, atol, fast))


def _gradients(y: Tensor, sources: list, weights: np.ndarray) -> list[np.ndarray]:
    found: Any = [None] * len(sources)
    if y.requires_grad:
        found = gradient(y, sources, at(weights.astype(y.dtype)), retain_graph=True, allow_unused=True)
    return [np.zeros(x.shape, x.dtype) if g is None else g.value for x, g in zip(sources, found)]


def _moved(f: Callable, inputs: tuple, j: int, step: np.ndarray) -> list:
    x = inputs[j]
    return _outputs(f(*inputs[:j], Tensor(x.value + step.astype(x.dtype), requires_grad=True), *inputs[j + 1 :]))


def _difference(f: Callable, inputs: tuple, j: int, u: np.ndarray, eps: float, checked: list) -> dict[int, np.ndarray]:
    """By how much each output changes for a step of an input."""
    above, below = _moved(f, inputs, j, eps * u), _moved(f, inputs, j, -eps * u)
    return {k: (above[k].value - below[k].value) / (2 * eps) for k in checked}


def _draws(t: Tensor, fast: bool, rng: np.random.Generator) -> list[np.ndarray]:
    """Every real direction of an array, or one random one."""
    if not fast:
        return _units(t.shape, t.dtype)
    return [rng.standard_normal(t.shape) + (1j * rng.standard_normal(t.shape) if t.dtype.kind == "c" else 0)]


def _units(shape: tuple, dtype: np.dtype) -> list[np.ndarray]:
    """A step along each real direction of an array."""
    size = int(np.prod(shape))
    eye = [row.reshape(shape) for row in np.eye(size)]
    return eye + [1j * e for e in eye] if dtype.kind == "c" else eye


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.real(np.vdot(a, b)))


def _side_by_side(
    k: int, j: int, analytic: np.ndarray, numeric: np.ndarray, rtol: float, atol: float, fast: bool
) -> str:
    what = "along a random direction" if fast else "(a row per output entry, a column per input entry)"
    lines = [
        f"gradcheck: output {k} by input {j} {what} disagrees; "
        f"largest difference {np.nanmax(np.abs(analytic - numeric)):.3g}"
    ]
    wrong = ~np.isclose(analytic, numeric, rtol=rtol, atol=atol)
    for place in list(zip(*np.nonzero(np.atleast_2d(wrong))))[:12]:
        a, n = np.atleast_2d(analytic)[place], np.atleast_2d(numeric)[place]
        lines.append(f"  {tuple(map(int, place))}: analytic {a: .8g}   numeric {n: .8g}")
    return "\n".join(lines)


def gradgradcheck(f: Callable, inputs: Any, grad_outputs: Sequence | None = None, **options: Any) -> bool:
    """Whether the second gradients of f agree with differences of the first."""
    inputs = _tuple(inputs)
    rng = np.random.default_rng(1)
    ys = [y for y in _outputs(f(*inputs)) if isinstance(y, Tensor) and y.requires_grad]
    if grad_outputs is None:
        grad_outputs = [Tensor(rng.standard_normal(y.shape).astype(y.dtype), requires_grad=True) for y in ys]
    count = len(inputs)

    def first(*xs: Any) -> tuple:
        outputs = [y for y in _outputs(f(*xs[:count])) if isinstance(y, Tensor) and y.requires_grad]
        wanted = [x for x in xs[:count] if isinstance(x, Tensor) and x.requires_grad]
        found = gradient(outputs, wanted, list(xs[count:]), create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(first, (*inputs, *grad_outputs), **options)
