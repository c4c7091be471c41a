"""From how many entries on compiled kernels are quicker than NumPy: what LEAST in kernels/_sizes.py should say.

    python -m benchmarks.thresholds [name ...]

For each choice, its compiled way against its reference on its own samples of more and more entries, in float32, in
turn.  Compiled code also makes who uses it wait for a compiler once, hence no size below USED is of interest.
"""

from __future__ import annotations

import sys

import numpy as np

from autograd_core.__main__ import choices
from autograd_core.kernels._jit import CHOICES, COMPILED
from autograd_core.kernels._sizes import LEAST

from . import method

USED = 64  # entries
SIZES = [2**k for k in range(4, 19)]
ROUNDS = 5


def ratios(name: str) -> dict[int, float]:
    """The time of the compiled way over that of the reference, by size; up to where nothing can change any more."""
    chosen, found = CHOICES[name], {}
    for n in SIZES:
        given = chosen.sample(np.random.default_rng(0), n, np.dtype("f"))
        sides = [lambda given=given: chosen.compiled(*given), lambda given=given: chosen.reference(*given)]
        times = method.pairs(sides, ROUNDS)
        found[int(chosen.size(*given))] = method.compared(*times)["ratio"]
        if len(found) > 6 and max(list(found.values())[-4:]) < 0.7:
            break
    return found


def crossover(found: dict[int, float]) -> int | None:
    """The size from which on compiled code is quicker at every size; None if it is not at the largest."""
    least = None
    for size in sorted(found, reverse=True):
        if found[size] > 1:
            break
        least = size
    return least


def asked(program: str, known: list[str]) -> list[str]:
    """The choices that were named when the program was called, or all."""
    if not COMPILED:
        sys.exit(f"{program}: NUMBA_DISABLE_JIT is set, there is nothing to measure")
    if unknown := set(sys.argv[1:]) - set(known):
        sys.exit(f"{program}: no such choice: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return sys.argv[1:] or known


def main() -> None:
    """Measure and print a line for each choice."""
    names = asked("thresholds", choices())
    print(f"{'choice':32} {'measured':>9} {'LEAST':>9}   compiled / NumPy by entries")
    for name in names:
        found = ratios(name)
        text = "  ".join(f"{size}:{ratio:.2f}" for size, ratio in found.items())
        least, measured = LEAST.get(name, 0), crossover(found)
        far = (
            measured is None or max(measured, USED) > 2 * max(least, USED) or 2 * max(measured, USED) < max(least, USED)
        )
        print(f"{name:32} {measured or 'never':>9} {least:>9}{' !' if far else '  '} {text}", flush=True)


if __name__ == "__main__":
    main()
