"""What is kept of a compiled function: replays, by all that decides which one fits.

Calls are told apart by the forms of their arguments, by the values of those that decide what is computed (lengths, masks),
and then by what the run read around it: modes, settings, which gradients are there.  Of the last there may be several
replays for one kind of call, of which the first that is still right is taken.
"""

from __future__ import annotations

import warnings
from typing import Any

from .signature import value_of

VARIANTS = 4  # replays for one kind of call
VAIN = 4  # times as many captures as replays are kept, none of which was of use


class Eager:
    """Stands for a replay where there can be none."""

    ready, hopeless = False, True


EAGER = Eager()


class Entries:
    """Replays, and runs that may become such; the kinds of calls that were last captured are kept."""

    def __init__(self, most: int):
        self.most = most
        self.kinds: dict[tuple, tuple] = {}  # those used last first; replaced as a whole, since several threads look
        self.deciding: dict[tuple, tuple[int, ...]] = {}  # by form, the arguments that decide by their values
        self.vain = 0  # captures since a run was last replayed
        self.last: tuple | None = None  # what was last captured, or would have been
        self.alike = 0  # calls in a row that were of that kind

    def key(self, form: tuple, leaves: list) -> tuple:
        """What decides which replays fit."""
        places = self.deciding.get(form)
        return form if places is None else (form, *(value_of(leaves[k]).tobytes() for k in places))

    def decided_by(self, form: tuple, places: tuple[int, ...]) -> None:
        """A run depended on the values of these arguments."""
        if places:
            self.deciding[form] = tuple(sorted({*places, *self.deciding.get(form, ())}))

    def worthwhile(self, key: tuple, name: str) -> bool:
        """Whether to watch another run: if many were watched in vain, only two in a row, ever more rarely, of calls that are
        like the one before."""
        self.alike = self.alike + 1 if key == self.last else 0
        self.last = key
        if self.vain < VAIN * self.most:
            self.vain += 1
            return True
        if self.vain == VAIN * self.most:
            self.vain += 1
            warnings.warn(
                f"compile: {name} was watched {self.vain - 1} times, and no run was like one before: its numbers, shapes, "
                "lengths or the settings around it are others each time. It runs as it is until calls are alike; give tensors "
                "in place of numbers, and pad to a few lengths",
                RuntimeWarning,
                stacklevel=3,
            )
        return any(n > 0 and n & (n - 1) == 0 for n in (self.alike, self.alike - 1))

    def first(self, key: tuple, entry: Any) -> None:
        """An entry is used."""
        self.vain = 0
        kinds = self.kinds.get(key, ())
        if kinds and kinds[0] is not entry:
            self.kinds[key] = (entry, *(e for e in kinds if e is not entry))

    def keep(self, key: tuple, entry: Any) -> None:
        """Remember an entry; once it is known how one is replayed, what was seen in between goes."""
        if entry.hopeless:
            others: tuple = ()
        else:
            there = (e for e in self.kinds.get(key, ()) if not (e.hopeless or e.back.stale))
            others = tuple(e for e in there if e.ready or not entry.agreed)
        self.kinds.pop(key, None)
        self.kinds[key] = (EAGER,) if entry.hopeless else (entry, *others)[:VARIANTS]
        while len(self.kinds) > self.most:
            del self.kinds[next(iter(self.kinds))]

    def drop(self, key: tuple) -> None:
        """Forget a kind of call."""
        self.kinds.pop(key, None)

    def replays(self) -> list:
        """What is ready to be replayed."""
        return [e for kinds in list(self.kinds.values()) for e in kinds if e.ready]

    def __len__(self) -> int:
        return len(self.kinds)
