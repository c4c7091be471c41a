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
        for k, y in enumerate(ys):
            if isinstance(y, Tensor) and y.dtype.kind in "fc":
                _check_output(f, inputs, wanted, k, eps, atol, rtol, fast_mode)
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


def _check_output(
    f: Callable, inputs: tuple, wanted: list, k: int, eps: float, atol: float, rtol: float, fast: bool
) -> None:
    value = lambda *xs: _outputs(f(*xs))[k].value
    y = _outputs(f(*inputs))[k]
    rng = np.random.default_rng(0)
    for j in wanted:
        compare = _projection if fast else _whole
        analytic, numeric = compare(value, y, inputs, j, eps, rng)
        if not np.allclose(analytic, numeric, rtol=rtol, atol=atol, equal_nan=False):
            raise GradientMismatch(_side_by_side(k, j, analytic, numeric, rtol, atol, fast))


def _grad(y: Tensor, x: Tensor, g: np.ndarray) -> np.ndarray:
    if not y.requires_grad:
        return np.zeros(x.shape, x.dtype)
    (found,) = gradient(y, x, at(g), retain_graph=True, allow_unused=True)
    return np.zeros(x.shape, x.dtype) if found is None else found.value


def _moved(value: Callable, inputs: tuple, j: int, step: np.ndarray) -> np.ndarray:
    x = inputs[j]
    shifted = Tensor(x.value + step.astype(x.dtype), requires_grad=True)
    return value(*inputs[:j], shifted, *inputs[j + 1 :])


def _difference(value: Callable, inputs: tuple, j: int, u: np.ndarray, eps: float) -> np.ndarray:
    return (_moved(value, inputs, j, eps * u) - _moved(value, inputs, j, -eps * u)) / (2 * eps)


def _units(shape: tuple, dtype: np.dtype) -> list[np.ndarray]:
    """A step along each real direction of an array."""
    size = int(np.prod(shape))
    eye = [row.reshape(shape) for row in np.eye(size)]
    return eye + [1j * e for e in eye] if dtype.kind == "c" else eye


def _whole(value: Callable, y: Tensor, inputs: tuple, j: int, eps: float, rng: Any) -> tuple[np.ndarray, np.ndarray]:
    """The Jacobian, a row per real direction of the output and a column per real direction of the input."""
    x = inputs[j]
    steps, weights = _units(x.shape, x.dtype), _units(y.shape, y.dtype)
    empty = np.zeros((len(weights), len(steps)))
    if not empty.size:
        return empty, empty
    pulled = [_grad(y, x, w.astype(y.dtype)) for w in weights]
    pushed = [_difference(value, inputs, j, u, eps) for u in steps]
    analytic = np.array([[_dot(u, g) for u in steps] for g in pulled])
    numeric = np.array([[_dot(w, d) for d in pushed] for w in weights])
    return analytic, numeric


def _projection(
    value: Callable, y: Tensor, inputs: tuple, j: int, eps: float, rng: Any
) -> tuple[np.ndarray, np.ndarray]:
    """One random weighting of the outputs along one random direction of the input."""
    x = inputs[j]
    draw = lambda t: rng.standard_normal(t.shape) + (1j * rng.standard_normal(t.shape) if t.dtype.kind == "c" else 0)
    u, w = draw(x), draw(y)
    u = u / max(1.0, float(np.linalg.norm(u)))
    return np.asarray(_dot(u, _grad(y, x, w.astype(y.dtype)))), np.asarray(
        _dot(w, _difference(value, inputs, j, u, eps))
    )


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
