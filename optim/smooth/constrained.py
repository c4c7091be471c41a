"""Linear least squares with linear equations that must hold, and with a bound on the norm."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from autograd_core import Tensor, from_numpy

from .levenberg import secular

WHO = "constrained_least_squares"


class Constrained(NamedTuple):
    """The solution; multipliers of the equations (None without); the multiplier of the bound on xᵀx."""

    x: Any
    multipliers: Any
    norm_multiplier: float


def constrained_least_squares(A: Any, b: Any, C: Any = None, d: Any = None, norm: float | None = None) -> Constrained:
    """The x that minimises |A x - b|² / 2 where C x = d and |x| <= norm; of several, the shortest.

    With the multipliers v of the equations and m of the bound, Aᵀ(A x - b) + Cᵀ v + 2 m x = 0, the condition of Karush,
    Kuhn and Tucker; m is zero where the bound does not bind.
    """
    tensor = isinstance(A, Tensor)
    A, b = _array(A, "A", 2), _array(b, "b", 1)
    if len(A) != len(b):
        raise ValueError(f"{WHO}: A has {len(A)} rows, but b has {len(b)} entries")
    if (C is None) != (d is None):
        raise ValueError(f"{WHO}: the equations C x = d need both C and d")
    start, free, C = _equations(C, d, A.shape[1])
    room = _room(norm, start)
    z, m = _in_ball(A @ free, b - A @ start, room)
    x = start + free @ z
    out = from_numpy if tensor else (lambda v: v)
    if C is None:
        return Constrained(out(x), None, m)
    v = np.linalg.lstsq(C.T, -(A.T @ (A @ x - b) + 2 * m * x), rcond=None)[0]
    return Constrained(out(x), out(v), m)


def _equations(C: Any, d: Any, n: int) -> tuple[np.ndarray, np.ndarray, Any]:
    """The shortest solution of the equations, and a basis of the directions they leave free."""
    if C is None:
        return np.zeros(n), np.eye(n), None
    C, d = _array(C, "C", 2), _array(d, "d", 1)
    if C.shape != (len(d), n):
        raise ValueError(f"{WHO}: C has shape {C.shape}, needed is {(len(d), n)}: entries of d, columns of A")
    U, s, V = np.linalg.svd(C)
    rank = int((s > max(C.shape) * 2.3e-16 * s.max(initial=0)).sum())
    start = V[:rank].T @ ((U.T @ d)[:rank] / s[:rank])
    off = float(np.abs(C @ start - d).max(initial=0))
    if off > 1e-10 * max(1.0, float(np.abs(d).max(initial=0))):
        raise ValueError(f"{WHO}: no x meets all the equations C x = d; the nearest misses by {off:.3g}")
    return start, V[rank:].T, C


def _room(norm: float | None, start: np.ndarray) -> float | None:
    """How long the free part of x may be."""
    if norm is None:
        return None
    if not norm > 0:
        raise ValueError(f"{WHO}: norm must be above 0, got {norm!r}")
    least = float(np.linalg.norm(start))
    if least > norm:
        raise ValueError(f"{WHO}: the shortest x with C x = d has norm {least:.6g}, above norm={norm}")
    return float(np.sqrt(norm * norm - least * least))


def _in_ball(A: np.ndarray, b: np.ndarray, radius: float | None) -> tuple[np.ndarray, float]:
    """The shortest solution if it is short enough, else that on the sphere, by the secular equation; its multiplier."""
    U, s, V = np.linalg.svd(A, full_matrices=False)
    c = U.T @ b
    full = s > max(A.shape) * 2.3e-16 * s.max(initial=0)
    q = np.where(full, c / np.where(full, s, 1), 0.0)
    if radius is None or float(np.linalg.norm(q)) <= radius:
        return V.T @ q, 0.0
    if radius == 0:
        return np.zeros(A.shape[1]), 0.0
    q, m = secular(s, -c, radius)
    return V.T @ q, m / 2


def _array(v: Any, name: str, axes: int) -> np.ndarray:
    v = np.asarray(v.value if isinstance(v, Tensor) else v, np.float64)
    if v.ndim != axes:
        raise ValueError(f"{WHO}: {name} must have {axes} {'axis' if axes == 1 else 'axes'}, got shape {v.shape}")
    if not np.isfinite(v).all():
        raise ValueError(f"{WHO}: {name} holds NaN or infinity")
    return v
