"""What is minimised: values and derivatives at vectors, checked and counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_core as ag
from autograd_core import Tensor, tape
from autograd_core.op import Traced
from autograd_core.tree import flatten

from .forms import Form

PLAIN = (int, float, np.number, np.ndarray)


def several(args: Any) -> tuple:
    """Further arguments; one that is no tuple is the only one, as SciPy has it."""
    return args if isinstance(args, tuple) else (args,)


def followed(f: Callable, x: Any, args: tuple, who: str) -> Any:
    """f(x, *args); raises if a number is taken out of what depends on x: its part of the derivative would be missing."""
    lost = []

    def look(op: Any, given: tuple, params: dict, result: Any) -> None:
        if params.get("into", "bool") != "bool" and given[0].requires_grad:
            lost.append(params)

    try:
        with tape.using(observers=(*tape.current().observers, look)):
            return f(x, *args)
    finally:
        if lost:  # whatever else went wrong did so for this reason
            raise TypeError(
                f"{who}: f takes a number out of a tensor (float(x), .item(), math.*, or a place in an array that is no "
                "tensor), so what it returns does not depend on x in a way that can be differentiated; compute with "
                "tensors throughout: np.exp for math.exp, np.stack([...]) for an array filled entry by entry; "
                "x.detach().item() is a number to look at"
            ) from None


class Objective:
    """A function of a tree with one number as its result, as a function of a vector."""

    def __init__(self, f: Callable, x0: Any, args: tuple = (), who: str = "minimize"):
        if not callable(f):
            raise TypeError(f"{who}: the first argument is the function, got {type(f).__name__}")
        self.who, self.form, self.nfev, self.njev, self.nhev = who, Form(x0, who), 0, 0, 0
        self.f, self.args = f, several(args)
        self._both = ag.value_and_grad(self._scalar)

    def _scalar(self, x: Any) -> Any:
        """The function, with a check of what it returns."""
        y = followed(self.f, x, self.args, self.who)
        shape: Any = np.shape(y) if isinstance(y, (Tensor, *PLAIN)) else getattr(y, "shape", None)
        if shape is None or np.prod(shape) != 1:
            got = f"shape {shape}" if shape is not None else f"{type(y).__name__} {y!r:.40}"
            hint = "; sum or average it, or use least_squares for the sum of squares" if shape else ""
            raise ValueError(f"{self.who}: f must return one number, got {got}{hint}")
        if not isinstance(y, Traced) or (type(y) is Tensor and not y.requires_grad and ag.is_grad_enabled()):
            raise TypeError(
                f"{self.who}: f returned {type(y).__name__} {y!r:.40} that does not depend on x in a way that can be "
                "differentiated; compute with tensors throughout (np.* and operators do), without float(x), .item(), "
                "math.* or .detach()"
            )
        return ag.reshape(y, ()) if shape else y

    def value_and_gradient(self, v: np.ndarray) -> tuple[float, np.ndarray]:
        """Both in one walk."""
        self.nfev, self.njev = self.nfev + 1, self.njev + 1
        with np.errstate(all="ignore"):
            value, gradient = self._both(self.form.inside(v.copy()))
        return float(value), self.form.vector(flatten(gradient)[0])

    def begin(self, v: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient at the start, which must be finite."""
        value, gradient = self.value_and_gradient(v)
        if not np.isfinite(value):
            raise ValueError(f"{self.who}: f is {value} at x0; start where it is finite")
        if not np.isfinite(gradient).all():
            where = np.flatnonzero(~np.isfinite(gradient))[:5].tolist()
            raise ValueError(f"{self.who}: the gradient is not finite at x0 (entries {where}); start elsewhere")
        return value, gradient

    def product(self, v: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The Hessian times a vector."""
        self.nhev += 1
        with np.errstate(all="ignore"):
            found = ag.hvp(self._scalar, (self.form.inside(v.copy()),), (self.form.inside(p.copy()),))
        return self.form.vector(flatten(found)[0])

    def hessian(self, v: np.ndarray) -> np.ndarray:
        """The matrix of second derivatives."""
        self.nhev += 1
        with np.errstate(all="ignore"):
            H = ag.hessian(lambda u: self._scalar(self.form.inside(u)))(v.copy())
        return (H + H.T) / 2


def squarable(found: np.ndarray) -> bool:
    """Whether all entries are finite, and the sum of their squares will be."""
    return bool(np.abs(found).max(initial=0) <= 1e150)  # false for NaN


class Residuals:
    """A function of a tree with a vector of residuals as its result."""

    def __init__(self, f: Callable, x0: Any, args: tuple = (), who: str = "least_squares"):
        if not callable(f):
            raise TypeError(f"{who}: the first argument is the function of residuals, got {type(f).__name__}")
        self.who, self.form, self.f, self.args = who, Form(x0, who), f, several(args)
        self.nfev, self.njev, self.nhev, self.mode = 0, 0, 0, "auto"

    def _row(self, x: Any, follow: bool = True) -> Any:
        """The residuals, of whatever shape or tree, in a row; dual numbers need not be followed: they refuse by themselves."""
        parts, _ = flatten(followed(self.f, x, self.args, self.who) if follow else self.f(x, *self.args))
        for part in parts:
            if not isinstance(part, (Traced, *PLAIN)):
                raise TypeError(f"{self.who}: the residuals hold {type(part).__name__}; needed are arrays or tensors")
            if np.dtype(getattr(part, "dtype", type(part))).kind == "c":
                raise TypeError(
                    f"{self.who}: the residuals are complex; needed are real ones: give the real and the imaginary parts, "
                    "[r.real, r.imag], whose squares sum up to that of the absolute values"
                )
        if not any(isinstance(part, Traced) for part in parts):
            raise TypeError(
                f"{self.who}: the residuals do not depend on x in a way that can be differentiated; compute with "
                "tensors throughout (np.* and operators do), without float(x), .item(), math.* or np.array([...])"
            )
        rows = [ag.reshape(part if isinstance(part, Traced) else ag.tensor(part), (-1,)) for part in parts]
        return rows[0] if len(rows) == 1 else ag.concatenate(rows)

    def value(self, v: np.ndarray, first: bool = False) -> np.ndarray:
        """The residuals; at first it is seen that nothing gets lost between x and them."""
        self.nfev += 1
        with np.errstate(all="ignore"), ag.set_grad_enabled(first):
            leaves, rebuild = flatten(self.form.inside(v.copy()))
            row = self._row(rebuild([ag.tensor(leaf, requires_grad=first) for leaf in leaves]), first)
            self.mode = "reverse" if row.value.size < v.size else "forward"
            return np.asarray(row.value, np.float64)

    def jacobian(self, v: np.ndarray) -> np.ndarray:
        """Their derivatives, one row for each residual."""
        self.njev += 1
        with np.errstate(all="ignore"):
            row = lambda u: self._row(self.form.inside(u), self.mode == "reverse")
            return np.asarray(ag.jacobian(row, mode=self.mode)(v.copy()), np.float64)

    def begin(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals and Jacobian at the start, which must be finite."""
        r = self._finite(self.value(v, first=True), "a residual")
        return r, self._finite(self.jacobian(v), "a derivative")

    def _finite(self, found: np.ndarray, what: str) -> np.ndarray:
        if not np.isfinite(found).all():
            k = np.argwhere(~np.isfinite(found))[0].tolist()
            raise ValueError(f"{self.who}: {what} is not finite at x0 (entry {k}); start elsewhere")
        if not squarable(found):
            raise ValueError(
                f"{self.who}: {what} is {np.abs(found).max():.3g} at x0, whose square is more than float64 holds; start "
                "elsewhere, or scale the residuals"
            )
        return found
