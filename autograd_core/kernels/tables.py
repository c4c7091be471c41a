"""Tables of weights for neighbours along an axis: what `resize` adds up, and its gradient, which is such a table too.

A `Table` says for each place of the result at which entry its neighbours begin and what each of them counts.  Its
transpose is again such a table, so one kernel does every mode of resizing, forward and backward, to any order.
"""

from __future__ import annotations

import functools

import numpy as np

from ._kept import hold, remembering

LONG = 16  # neighbours from which on each result is a sum of its own, and not results side by side


class Table:
    """Weights (n_out, K) of the K entries from each of `start` on, in an axis of length n_in."""

    still = False  # whether it leaves everything as it is

    def __init__(self, n_in: int, start: np.ndarray, weights: np.ndarray):
        self.n_in, self.n_out, self.start, self.weights = n_in, len(start), start.astype(np.int64), weights
        hold(self.start.nbytes, weights.nbytes)

    @functools.cached_property
    def T(self) -> Table:
        """The table of the gradient."""
        k = self.weights.shape[1]
        out, tap = np.nonzero(self.weights)
        source, weights = self.start[out] + tap, self.weights[out, tap]
        low, high = np.full(self.n_in, self.n_out, np.int64), np.full(self.n_in, -1, np.int64)
        np.minimum.at(low, source, out)
        np.maximum.at(high, source, out)
        low = np.minimum.accumulate(low[::-1])[::-1]  # rows of a ring are made in order, and none again
        low = np.minimum(low, max(self.n_out - 1, 0))
        k = int((high - low).max(initial=0)) + 1
        if self.n_in > 1 and self._steady(step := max(1, round(self.n_out / self.n_in)), low, k):
            first = int((low - step * np.arange(self.n_in))[high >= 0].min())
            start = first + step * np.arange(self.n_in)
            k = int((high - start).max(initial=0)) + 1
            low = start
        table = np.zeros((self.n_in, k))
        np.add.at(table, (source, out - low[source]), weights)
        transposed = Table(self.n_out, low, table)
        transposed.__dict__["T"] = self
        return transposed

    @staticmethod
    def _steady(step: int, low: np.ndarray, k: int) -> bool:
        """Whether the neighbours of each place begin about `step` after those of the one before."""
        gaps = low - step * np.arange(len(low))
        return step <= 2 and int(gaps.max() - gaps.min()) <= 2 and k <= 8

    @functools.cached_property
    def step(self) -> int:
        """1 or 2 if the neighbours of each place begin so many after those of the one before, else 0."""
        steps = np.diff(self.start)
        same = self.n_out > 1 and (steps == steps[0]).all() and self.weights.shape[1] < LONG
        return int(steps[0]) if same and steps[0] in (1, 2) else 0

    @functools.cached_property
    def margins(self) -> tuple[int, int]:
        """How far the neighbours reach beyond the axis on either side, where they count nothing."""
        k = self.weights.shape[1]
        return max(0, -int(self.start.min(initial=0))), max(0, int(self.start.max(initial=0)) + k - self.n_in)

    @functools.cached_property
    def even(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Where the neighbours of each place stop and what they count, if that is the same for many at a time."""
        counts = (self.weights != 0).sum(1)
        inside = np.arange(self.weights.shape[1]) < counts[:, None]
        if self.weights.shape[1] < LONG or not (self.weights == np.where(inside, self.weights[:, :1], 0)).all():
            return None
        return self.start + counts, self.weights[:, 0]


@remembering(512)
def identity(n: int) -> Table:
    """Everything as it is."""
    table = Table(n, np.arange(n), np.ones((n, 1)))
    table.__dict__["T"], table.still = table, True
    return table


def boxes(n_in: int, start: np.ndarray, stop: np.ndarray, share: np.ndarray) -> Table:
    """The entries from start to before stop, all of the same weight."""
    taps = np.arange(int((stop - start).max(initial=1)))
    return Table(n_in, start, np.where(taps < (stop - start)[:, None], share[:, None], 0.0))
