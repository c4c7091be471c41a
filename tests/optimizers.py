"""What optimizers are tested on: settings that PyTorch's have too, and a small network that both can train."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

import autograd_core as ag

STEPS = 200
COMMON = {"maximize": [False, True]}
DECAYS = COMMON | {"weight_decay": [0, 0.05]}
BETAS = {"betas": [(0.9, 0.999), (0.6, 0.8)]}

# For each optimizer the settings to combine; rates are such that nothing grows without bounds when it maximizes.
GRID: dict[str, dict[str, list[Any]]] = {
    "SGD": DECAYS | {"lr": [0.01], "momentum": [0, 0.9], "dampening": [0, 0.3], "nesterov": [False, True]},
    "Adam": DECAYS | BETAS | {"amsgrad": [False, True], "eps": [1e-8, 1e-3], "decoupled_weight_decay": [False, True]},
    "AdamW": COMMON | BETAS | {"weight_decay": [1e-2, 0.3], "amsgrad": [False, True]},
    "Adamax": DECAYS | BETAS,
    "NAdam": DECAYS | BETAS | {"momentum_decay": [4e-3, 0.1], "decoupled_weight_decay": [False, True]},
    "RAdam": DECAYS | BETAS | {"decoupled_weight_decay": [False, True]},
    "Adagrad": DECAYS | {"lr_decay": [0, 0.01], "initial_accumulator_value": [0, 0.1], "eps": [1e-10, 1e-2]},
    "Adadelta": DECAYS | {"rho": [0.9, 0.5], "lr": [1.0, 0.1]},
    "RMSprop": DECAYS | {"lr": [1e-3], "momentum": [0, 0.8], "centered": [False, True], "alpha": [0.99, 0.7]},
    "Rprop": COMMON | {"lr": [1e-3], "etas": [(0.5, 1.2), (0.7, 1.1)], "step_sizes": [(1e-6, 50), (1e-5, 1e-2)]},
    "ASGD": DECAYS | {"lambd": [1e-4, 0.01], "alpha": [0.75, 0.5], "t0": [1e6, 50]},
    "Adafactor": DECAYS | {"beta2_decay": [-0.8, -0.5], "eps": [(None, 1e-3), (1e-4, 1e-2)], "d": [1.0, 2.0]},
    "Muon": {
        "weight_decay": [0.1, 0], "momentum": [0.95, 0.5], "nesterov": [True, False],
        "adjust_lr_fn": [None, "match_rms_adamw"], "ns_steps": [5, 3],
    },
    "SparseAdam": COMMON | BETAS | {"eps": [1e-8, 1e-3]},
    "LBFGS": {"lr": [1, 0.1], "line_search_fn": [None, "strong_wolfe"], "history_size": [100, 3], "max_iter": [3]},
}  # fmt: skip


def possible(name: str, options: dict[str, Any]) -> bool:
    """Whether a combination makes sense."""
    if name == "SGD":
        plain = not options["momentum"] and (options["dampening"] or options["nesterov"])
        return not plain and not (options["nesterov"] and options["dampening"])
    return not (name == "LBFGS" and options["lr"] == 1 and not options["line_search_fn"])


def cases(names: Any = GRID) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every combination of every optimizer's settings."""
    for name in names:
        for values in itertools.product(*GRID[name].values()):
            options = dict(zip(GRID[name], values))
            if possible(name, options):
                yield name, options


def label(name: str, options: dict[str, Any]) -> str:
    """A case in a few characters."""
    return "-".join([name, *(f"{n}={v}" for n, v in options.items() if v != GRID[name][n][0])])


SHAPES = [(6, 16), (16,), (16, 3), (3,)]


def problem(name: str, dtype: Any, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Parameters, inputs and targets of a network of two layers; of matrices only for Muon."""
    rng = np.random.default_rng(seed)
    shapes = [s for s in SHAPES if len(s) == 2] if name == "Muon" else SHAPES
    params = [(rng.standard_normal(s) * 0.5).astype(dtype) for s in shapes]
    x = rng.standard_normal((20, 6)).astype(dtype)
    y = rng.standard_normal((20, 3)).astype(dtype)
    return params, x, y


def network(params: list[Any], x: Any, y: Any) -> Any:
    """The loss, which is bounded: in both directions nothing grows for ever."""
    w1, b1, w2, b2 = params if len(params) == 4 else (params[0], 0, params[1], 0)
    return ((((x @ w1 + b1).tanh() @ w2 + b2).tanh() - y) ** 2).mean()


def closure_of(params: list[Any], x: Any, y: Any) -> Any:
    """What computes the loss and gradients, in whichever library."""

    def closure() -> Any:
        for p in params:
            p.grad = None
        loss = network(params, x, y)
        loss.backward()
        return loss

    return closure


def ours(arrays: list[np.ndarray]) -> list[ag.Tensor]:
    """Leaves on copies of arrays."""
    return [ag.tensor(a, requires_grad=True) for a in arrays]


def follow(optimizer: Any, params: list[ag.Tensor], x: Any, y: Any, steps: int, others: Any = ()) -> None:
    """So many steps; the others, (step, parameters, to_tensor), make the same with the very same gradients.

    If each side computed gradients of its own, the network would make differences in rounding grow without bounds.
    """
    closure = closure_of(params, ag.tensor(x), ag.tensor(y))
    for _ in range(steps):
        closure()
        for step, theirs, tensor in others:
            for p, q in zip(params, theirs):
                q.grad = tensor(p.grad.value)
            step()
        optimizer.step()


def gap(found: list[Any], wanted: list[Any]) -> float:
    """The largest distance of an array from another, over the norm of that."""
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(found, wanted))


def shared(theirs: Any) -> set[str]:
    """The optimizers of a library like torch.optim."""
    return {n for n, v in vars(theirs).items() if isinstance(v, type) and n not in ("Optimizer", "required")}


def built(name: str, options: dict[str, Any], library: Any, params: list[Any]) -> Any:
    """An optimizer, here or there, at a rate that suits the network."""
    rate = {} if "lr" in options or name == "Adafactor" else {"lr": 0.003}
    return getattr(library, name)(params, **rate, **options)


def shadow(arrays: list[np.ndarray]) -> np.ndarray:
    """Many numbers in a few: their products with vectors that are always the same."""
    flat = np.concatenate([a.ravel() for a in arrays])
    return np.random.default_rng(5).standard_normal((4, flat.size)) @ flat
