"""Two threads beside one: where does a second thread not pay?

    python -m benchmarks.threads [name ...]

For each choice of kernels, its compiled way on its own samples of more and more entries, in float32, in turn.  A line for
each: two threads' time over one's by entries; `!` marks those of which three quarters of the rounds were slower by more
than a twentieth.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import autograd_core as ag
from autograd_core.__main__ import choices
from autograd_core.kernels._jit import CHOICES

from . import method
from .thresholds import asked

SIZES = [4**k for k in range(3, 12)]
ROUNDS = 7
MUCH = 1.05


def with_threads(count: int, work: Callable[[], object], repeat: int) -> Callable[[], float]:
    """A turn with so many threads."""

    def task() -> float:
        ag.set_num_threads(count)
        return method.turn(work, repeat, 0, method.SETTLE)

    return task


def compared(name: str, n: int) -> tuple[int, dict]:
    """The size that samples of n entries have, and two threads' time beside one's."""
    chosen = CHOICES[name]
    given = chosen.sample(np.random.default_rng(0), n, np.dtype("f"))
    work = lambda: chosen.compiled(*given)
    work()
    repeat, _ = method.often_enough(work, 0.005)
    one, two = method.in_turn([with_threads(1, work, repeat), with_threads(2, work, repeat)], ROUNDS)
    return int(chosen.size(*given)), method.compared(two, one)


def main() -> None:
    """Measure and print a line for each choice."""
    usual = ag.get_num_threads()
    print(f"{'choice':32}  two threads / one by entries")
    for name in asked("threads", choices()):
        found = dict(compared(name, n) for n in SIZES)
        text = "  ".join(f"{n}:{c['ratio']:.2f}{'!' * (c['low'] > MUCH)}" for n, c in found.items())
        print(f"{name:32}  {text}", flush=True)
    ag.set_num_threads(usual)


if __name__ == "__main__":
    main()
