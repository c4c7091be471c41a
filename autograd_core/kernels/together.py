"""One native call for a step of many parameters: the loops of `optimizer`, over all entries of a group as if in one row.

`records` (parameters, arrays) are the addresses of NumPy's records (`id`): whoever calls keeps the arrays.  `starts`
says where in the row each parameter begins, `which` the row of `numbers` that it is stepped with.  Entries that lie in
memory are fetched some way ahead: there are so many rows of them that processors by themselves fetch too late.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import optimizer
from ._jit import COMPILED, WRITTEN, Kernel, Late, choice, generated, kernel
from ._products import HEAD
from ._scalars import pick
from ._sizes import CHUNK

entries, fetch = Late("_borrowed", "entries"), Late("_borrowed", "fetch")
word, set_word = Late("_pack", "word"), Late("_pack", "set_word")
GRAIN = CHUNK // 4
FAR = 1 << 17  # entries in all that do not stay in the caches of a core from step to step
PIECE, AHEAD = 128, 512  # those that are then fetched at a time, and how long before they are wanted
WRITEABLE = 0x400  # NumPy's flag
ZEROS = {c: np.dtype(c).type(0) for c in "fd"}

# The first of the loops finds the parameter that an entry lies in: `np.searchsorted` takes half a second to compile.
SOURCE = """def together(begin, end, zero, starts, records, which, numbers):
    k, after = 0, len(starts) - 1
    while after - k > 1:
        middle = (k + after) // 2
        if starts[middle] <= begin:
            k = middle
        else:
            after = middle
    while begin < end:
        low, n, w = starts[k], starts[k + 1] - starts[k], which[k]
        stop = n if low + n < end else end - low
        {names} = {arrays}
        at = begin - low
        while at < stop:
            after = at + PIECE if starts[-1] >= FAR and at + PIECE < stop else stop
            if starts[-1] >= FAR:
                for i in range(at + AHEAD, after + AHEAD, pick(zero, 16, 8)):
                    {fetches}
            loop(at, after, {names}, {numbers})
            at = after
        begin, k = low + stop, k + 1
"""


def joined(name: str, step: Any) -> Kernel:
    """The kernel that does a step for the parameters that lie within a range of all entries."""
    names = [f"a{i}" for i in range(step.arrays)]
    arrays = [f"entries(zero, records[k, {i}], n)" for i in range(step.arrays)]
    taken = [f"numbers[w, {i}]" + " != 0" * isinstance(v, bool) for i, v in enumerate(step.scalars)]
    parts = {"names": names, "arrays": arrays, "fetches": [f"fetch({a}, i)" for a in names], "numbers": taken}
    scope = {"loop": step.loop, "entries": entries, "fetch": fetch, "pick": pick, "__name__": __name__}
    scope |= {"FAR": FAR, "PIECE": PIECE, "AHEAD": AHEAD}
    source = SOURCE.format(**{part: ", ".join(words) for part, words in parts.items()})
    made = generated(source, f"{name}_together", scope)
    return kernel(made, chunks=True, fastmath=WRITTEN, name=f"{name}_together", written=True, level=2)


def declare(name: str, step: Any) -> None:
    """Let a step have `.together`, the kernel, and a choice that tests and `warm` know of."""
    run = step.together = joined(name, step)

    def compiled(columns, numbers):
        if not all(usual(a) and a.dtype == columns[0][0].dtype for column in columns for a in column):
            return reference(columns, numbers)
        starts = np.cumsum([0, *(p.size for p in columns[0])])
        records = np.array([[id(a) for a in row] for row in zip(*columns)])
        which = np.arange(len(columns[0])) % len(numbers)
        if starts[-1]:
            run(starts[-1], GRAIN, ZEROS[columns[0][0].dtype.char], starts, records, which, numbers)
        return columns

    def reference(columns, numbers):
        for k, row in enumerate(zip(*columns)):
            given = [bool(v) if isinstance(s, bool) else v for v, s in zip(numbers[k % len(numbers)], step.scalars)]
            step.reference(*row, *given)
        return columns

    def sample(rng, n, dtype):
        parts = [step.sample(rng, k, dtype) for k in (n // 2, 0, n - n // 2)]
        columns = tuple(tuple(part[i] for part in parts) for i in range(step.arrays))
        return columns, np.array([parts[0][step.arrays :]], np.float64)

    compiled.__module__ = __name__
    size = lambda columns, numbers: sum(p.size for p in columns[0])
    choice(reference=reference, sample=sample, size=size, name=f"{name}_together")(compiled)


STEPS = {name: step for name, step in vars(optimizer).items() if hasattr(step, "loop")}
for _name, _step in STEPS.items():
    declare(_name, _step)


def starts_of(sizes: Any) -> np.ndarray:
    """Where parameters of these sizes begin in a row of all, and its length."""
    return np.cumsum([0, *sizes])


def run(step: Any, char: str, starts: np.ndarray, records: np.ndarray, which: np.ndarray, numbers: np.ndarray) -> None:
    """Do a step for all parameters of a type."""
    step.together(*given(char, starts, records, which, numbers))


def given(char: str, starts: np.ndarray, records: np.ndarray, which: np.ndarray, numbers: np.ndarray) -> tuple:
    """What `.together` is called with."""
    return starts[-1], GRAIN, ZEROS[char], starts, records, which, numbers


def alone(step: Any, arrays: tuple, numbers: tuple) -> None:
    """Do a step for one parameter; the entries of all arrays lie in order."""
    records, starts = np.array([list(map(id, arrays))]), np.array([0, arrays[0].size])
    run(step, arrays[0].dtype.char, starts, records, np.zeros(1, np.int64), np.array([numbers], np.float64))


@kernel(numbers="iii", written=True, glue=True)
def fit(records, count, width):
    """Whether the first array in each row of records may be written to, and the second is of its class, type and form."""
    table = word(records, HEAD)
    for k in range(count):
        p, g = word(table, k * width), word(table, k * width + 1)
        axes = word(p, HEAD + 1) & 0xFFFFFFFF
        same = word(p, HEAD - 1) == word(g, HEAD - 1) and word(p, HEAD + 5) == word(g, HEAD + 5)
        if not same or word(g, HEAD + 1) & 0xFFFFFFFF != axes or not word(p, HEAD + 6) & WRITEABLE:
            return False
        for i in range(axes):
            for lengths in range(HEAD + 2, HEAD + 4):
                if word(word(p, lengths), i) != word(word(g, lengths), i):
                    return False
    return True


@kernel(numbers="iiii", written=True, glue=True)
def follow(table, kinds, count, before):
    """Let counters move on as the first ones have, if all were where these were: whether that is so.

    `table` has the addresses of numbers of 64 bits, rows of `count` for each kind; the first has been at `before`.
    """
    for kind in range(kinds):
        for k in range(1, count):
            if word(word(table, kind * count + k), 0) != word(before, kind):
                return False
    for kind in range(kinds):
        for k in range(1, count):
            set_word(word(table, kind * count + k), 0, word(word(table, kind * count), 0))
    return True


def known(dtype: np.dtype) -> bool:
    """Whether `run` can be given arrays of a type: of floats or complex numbers, which are pairs of floats."""
    return COMPILED and dtype.char in "fdFD" and dtype.isnative


def usual(a: np.ndarray) -> bool:
    """Whether `run` can be given an array: its entries lie in order besides."""
    return known(a.dtype) and a.flags.carray
