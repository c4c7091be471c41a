"""Arguments whose values decide what is computed: lengths of sequences, masks, where bags begin.

Calls are told apart by these values as they are by shapes, once a capture has found such arguments.  What is other values
each time is not worth watching: after some captures without a replay the function is run as it is, which is said once.
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

from .signature import value_of


class Deciding:
    """By signature, the arguments that decide, and how often a run was captured since one was last replayed."""

    def __init__(self, most: int):
        self.most = most
        self.places: dict[tuple, tuple[int, ...]] = {}
        self.tried: Counter = Counter()

    def key(self, signature: tuple, leaves: list) -> tuple:
        """What decides which replay fits."""
        places = self.places.get(signature)
        return signature if places is None else (signature, *(value_of(leaves[k]).tobytes() for k in places))

    def learn(self, signature: tuple, places: tuple[int, ...], name: str) -> bool:
        """A captured run depended on the values of these arguments; whether more of this signature are to be watched."""
        self.places[signature] = tuple(sorted({*places, *self.places.get(signature, ())}))
        self.tried[signature] += 1
        if self.tried[signature] <= self.most:
            return True
        del self.places[signature], self.tried[signature]
        where = ", ".join(map(str, places))
        warnings.warn(
            f"compile: the values of {name}'s arguments (arrays number {where}, from 0) decide what is computed, as lengths "
            f"do, and were others so often that none of {self.most} captures was of use: from now on it runs as it is; give "
            "it few different ones, padded to a few lengths perhaps, or leave that part out of the compiled function",
            RuntimeWarning,
            stacklevel=4,
        )
        return False

    def replayed(self, signature: Any) -> None:
        """It was worth while."""
        if self.tried:
            self.tried.pop(signature, None)
