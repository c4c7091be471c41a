"""What torch.optim does on the cases of `optimizers` and `schedules`, recorded for where PyTorch is not installed.

    python tests/record_optim.py

rewrites tests/data/optim.npz, which holds numbers only: parameters after some steps, each network in four numbers, and
the rates of schedules at every tenth step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from optimizers import GRID, built, cases, follow, label, ours, problem, shadow
from schedules import SCHEDULES, STEPS, advance, start

FILE = Path(__file__).parent / "data" / "optim.npz"
RECORDED = {"Muon", "SparseAdam", "LBFGS"} ^ set(GRID)  # those that see no more than the gradients, in full precision


def record() -> None:
    """Ask PyTorch, and write the file."""
    import torch

    import optim

    torch.set_default_dtype(torch.float64)
    found: dict[str, Any] = {}
    for name, options in cases(sorted(RECORDED)):
        arrays, x, y = problem(name, np.float64)
        params, theirs = ours(arrays), [torch.tensor(a, requires_grad=True) for a in arrays]
        other = built(name, options, torch.optim, theirs)
        follow(built(name, options, optim, params), params, x, y, 20, [(other.step, theirs, torch.tensor)])
        found[label(name, options)] = shadow([p.detach().numpy() for p in theirs])
    for name in SCHEDULES:
        found[name] = np.array(advance(*start(torch.optim, torch.tensor, name), STEPS)[::10])
    np.savez_compressed(FILE, numbers=np.concatenate([v.ravel() for v in found.values()]))
    print(f"{FILE}: {len(found)} cases, {FILE.stat().st_size} bytes")


def recorded() -> dict[str, np.ndarray]:
    """What was recorded, by case."""
    numbers, result, begin = np.load(FILE)["numbers"], {}, 0
    sizes = {label(*case): (4,) for case in cases(sorted(RECORDED))} | {name: (STEPS // 10, 4) for name in SCHEDULES}
    for name, shape in sizes.items():
        result[name] = numbers[begin : begin + int(np.prod(shape))].reshape(shape)
        begin += int(np.prod(shape))
    assert begin == len(numbers), "the file was recorded from other cases: run record_optim.py again"
    return result


if __name__ == "__main__":
    record()
