"""The mini-language in which an op says what to test it on.

"n k, k m | b n k, k m" is two alternatives of two arrays each.  A letter is a size drawn anew for each example (0 and 1
included), a number is itself, `...` stands for any leading axes.  A suffix names the domain of the entries:
"n n:spd", "...:positive".  Static parameters are lists to choose from: shapes("n m", axis=[-1, -2]).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np


class Samples:
    """One way to draw inputs: a pattern per array, choices for each static parameter, the smallest size of a letter."""

    __slots__ = ("pattern", "params", "smallest")

    def __init__(self, pattern: str, params: dict[str, list] | None = None, smallest: int = 0):
        self.pattern, self.params, self.smallest = pattern, params or {}, smallest
        for domain in (text.partition(":")[2].split("(")[0].strip() for text in pattern.split(",")):
            if domain not in DOMAINS:
                raise ValueError(
                    f"samples: {pattern!r} asks for {domain!r}; there are: {', '.join(filter(None, DOMAINS))}"
                )

    def draw(self, rng: np.random.Generator, sizes: Callable[[], int] | None = None) -> tuple[list[np.ndarray], dict]:
        """Arrays and static parameters; `sizes()` gives each letter its size."""
        sizes = sizes or (lambda: int(rng.integers(0, 4)))
        bound: dict[str, int] = {}
        lead = tuple(max(self.smallest, sizes()) for _ in range(int(rng.integers(0, 3))))
        arrays = [self._array(text, rng, sizes, bound, lead) for text in self.pattern.split(",")]
        return arrays, {name: choices[int(rng.integers(len(choices)))] for name, choices in self.params.items()}

    def _array(self, text: str, rng, sizes, bound: dict, lead: tuple) -> np.ndarray:
        dims, _, domain = text.strip().partition(":")
        shape: tuple[int, ...] = ()
        for token in dims.split():
            if token == "...":
                shape += lead
            elif token.isdigit():
                shape += (int(token),)
            elif token != "()":
                shape += (bound.setdefault(token, max(self.smallest, sizes())),)
        return DOMAINS[domain.split("(")[0]](rng, shape, domain)


def shapes(pattern: str, *, smallest: int = 0, **params: list) -> list[Samples]:
    """Samples from a pattern, with lists of static parameters to choose from."""
    return [Samples(alternative.strip(), params, smallest) for alternative in pattern.split("|")]


def parse(samples: Any) -> list:
    """Samples however they were written: a pattern, one Samples, or a nest of these; a function draws for itself."""
    if isinstance(samples, str):
        return shapes(samples)
    if isinstance(samples, Samples) or callable(samples):
        return [samples]
    return [s for part in samples for s in parse(part)]


@functools.cache
def elementwise_samples(arity: int, domain: str) -> list[Samples]:
    """Scalars, any shape, and every kind of broadcasting pair."""
    suffixes = [f":{d}" if d else "" for d in (domain.split(",") * arity)[:arity]]
    patterns = {1: ["...", "()", "n m"], 2: ["..., ...", "n m, m", "(), n m", "n 1, 1 m", "n m, n m"]}
    rows = patterns.get(arity, [", ".join(["..."] * arity), "n m, m, ()" if arity == 3 else ", ".join(["n"] * arity)])
    return [Samples(", ".join(p.strip() + s for p, s in zip(row.split(","), suffixes))) for row in rows]


def _uniform(low: float, high: float) -> Callable:
    return lambda rng, shape, _: rng.uniform(low, high, shape)


def _away_from_zero(low: float, high: float) -> Callable:
    return lambda rng, shape, _: rng.uniform(low, high, shape) * rng.choice([-1.0, 1.0], shape)


def _distinct(rng, shape, _):
    """Entries at least 0.1 apart, so that no difference quotient crosses a tie."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) - size / 2 + rng.uniform(0.3, 0.7)) * 0.3).reshape(shape)


def _integers(rng, shape, domain):
    low, high = (int(v) for v in domain.partition("(")[2].rstrip(")").split(";"))
    return rng.integers(low, high, shape)


def _well_conditioned(rng, shape, _):
    n = shape[-1]
    return rng.uniform(-1, 1, shape) + (n + 1) * np.eye(*shape[-2:])


def _spd(rng, shape, _):
    a = rng.uniform(-1, 1, shape)
    return a @ np.swapaxes(a, -1, -2) + np.eye(shape[-1]) * shape[-1]


def _symmetric(rng, shape, _):
    a = rng.uniform(-1, 1, shape) + np.diag(3.0 * np.arange(shape[-1]))
    return (a + np.swapaxes(a, -1, -2)) / 2


def _complex(rng, shape, _):
    return rng.uniform(-1, 1, shape) + 1j * rng.uniform(-1, 1, shape)


def _complex_well_conditioned(rng, shape, _):
    return _complex(rng, shape, _) + (shape[-1] + 1) * np.eye(*shape[-2:])


def _hermitian_spd(rng, shape, _):
    a = _complex(rng, shape, _)
    return a @ np.conj(np.swapaxes(a, -1, -2)) + np.eye(shape[-1]) * shape[-1]


def _spread_spectrum(rng, shape, _):
    """Matrices whose singular values, and eigenvalues, are real, well apart and away from zero."""
    return rng.uniform(-0.2, 0.2, shape) + 1.5 * np.eye(*shape[-2:]) * np.arange(1, 1 + shape[-1])[::-1]


def _singular(rng, shape, _):
    """Square matrices of rank one less than full."""
    n = shape[-1]
    return rng.uniform(-1, 1, (*shape[:-1], n - 1)) @ rng.uniform(-1, 1, (*shape[:-2], n - 1, n))


DOMAINS: dict[str, Callable] = {
    "": _uniform(-2, 2),
    "unit": _uniform(-0.9, 0.9),
    "probability": _uniform(0.1, 0.9),
    "positive": _uniform(0.3, 3),
    "above1": _uniform(1.2, 3),
    "large": _uniform(3, 8),
    "small": _uniform(-0.5, 0.5),
    "nonzero": _away_from_zero(0.4, 2),
    "distinct": _distinct,
    "integers": _integers,
    "bool": lambda rng, shape, _: rng.random(shape) < 0.5,
    "complex": _complex,
    "invertible": _well_conditioned,
    "spd": _spd,
    "symmetric": _symmetric,
    "complex_invertible": _complex_well_conditioned,
    "hermitian_spd": _hermitian_spd,
    "spread": _spread_spectrum,
    "singular": _singular,
}
