"""What was found, and why the search ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

MESSAGES = {
    0: "the gradient is as small as asked",
    1: "the value cannot be lowered further in float64",
    2: "steps are as small as asked",
    10: "the iterations allowed are used up",
    11: "the evaluations allowed are used up",
    12: "no lower value was found along the direction",
    13: "stopped by the callback",
    14: "the value falls without bound",
    15: "the constraints cannot be met",
}
SUCCESS = 10  # statuses below are


@dataclass(kw_only=True)
class Result:
    """The best point, in the form of x0, with value and gradient there, and what it took."""

    x: Any
    value: float
    grad: Any
    grad_norm: float
    success: bool
    message: str
    status: int
    method: str
    iterations: int
    nfev: int
    njev: int
    nhev: int

    @property
    def fun(self) -> Any:
        """The value, under SciPy's name."""
        return self.value

    @property
    def nit(self) -> int:
        """The iterations, under SciPy's name."""
        return self.iterations

    def __getattr__(self, name: str) -> Any:
        if name == "jac":  # SciPy's name of the gradient; a fit has its Jacobian there
            return self.grad
        raise AttributeError(f"{type(self).__name__} has no {name!r}; it has {', '.join(f.name for f in fields(self))}")

    def __getitem__(self, name: str) -> Any:
        """SciPy's results are dicts, too."""
        return getattr(self, name)

    def keys(self) -> list[str]:
        """The names of all that was found, with those that SciPy has for it."""
        own = [f.name for f in fields(self)]
        return own + [
            name for name in ("fun", "nit", "jac", "cost", "optimality") if hasattr(self, name) and name not in own
        ]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    @property
    def evaluations(self) -> dict[str, int]:
        """How often values, derivatives and Hessians (or products with them) were computed."""
        return {"nfev": self.nfev, "njev": self.njev, "nhev": self.nhev}

    def __repr__(self) -> str:
        shown = ((f.name, getattr(self, f.name)) for f in fields(self))
        return f"{type(self).__name__}(\n{_lines(shown)})"


@dataclass(kw_only=True, repr=False)
class LeastSquaresResult(Result):
    """The best fit: `value` is half the sum of squares; matrices are of the parameters in a row."""

    residuals: np.ndarray
    jac: np.ndarray
    rank: int
    covariance: np.ndarray
    standard_errors: Any
    active: Any

    @property
    def fun(self) -> Any:
        """The residuals, under SciPy's name."""
        return self.residuals

    @property
    def cost(self) -> float:
        """Half the sum of squares, under SciPy's name."""
        return self.value

    @property
    def optimality(self) -> float:
        """The size of the gradient, under SciPy's name."""
        return self.grad_norm


@dataclass(kw_only=True, repr=False)
class ConstrainedResult(Result):
    """The best point that is allowed, with the multipliers of the constraints."""

    equal: Any
    below: Any
    violation: float


def _lines(shown: Any) -> str:
    lines = []
    for name, value in shown:
        text = repr(value) if not isinstance(value, np.ndarray) else np.array2string(value, threshold=20, precision=8)
        lines.append(f"  {name:>15}: " + text.replace("\n", "\n" + " " * 19) + "\n")
    return "".join(lines)


def gather(objective: Any, x: np.ndarray, value: float, g: np.ndarray, norm: float, status: int, **more: Any) -> dict:
    """The fields that all results share."""
    form = objective.form
    counts = {"nfev": objective.nfev, "njev": objective.njev, "nhev": objective.nhev}
    found = {"x": form.outside(x), "value": float(value), "grad": form.outside(g), "grad_norm": float(norm)}
    ending = {"status": status, "success": status < SUCCESS, "message": MESSAGES[status]}
    return found | counts | ending | more
