"""Rules from textbooks that PyTorch does not have: equilibration, noisy gradients, the perceptron."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import autograd_core as ag
from autograd_core.ops import updates

from .checks import at_least, chosen, not_negative, settings
from .elementwise import Elementwise, Update
from .optimizer import Optimizer


class EquilibratedSGD(Elementwise):
    """Gradient descent scaled, entry by entry, by how strongly the Hessian's rows act on random vectors.

    The closure returns the loss, as in `step(lambda: loss_of(model(x), y))`, without a backward: gradients are computed
    here, every `every` steps with a product of the Hessian and a random vector besides.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        eps: float = 1e-4,
        weight_decay: float = 0,
        every: int = 20,
        generator: Any = None,
        *,
        maximize: bool = False,
    ):
        given = settings(locals())
        self.generator = given.pop("generator")
        super().__init__(params, given)

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "EquilibratedSGD", "lr", "eps", "weight_decay")
        at_least(group, "EquilibratedSGD", 1, "every")

    def counters(self, group: dict[str, Any]) -> dict[str, float]:
        return {"step": 0.0, "products": 0.0}

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"square_sum": 0.0}

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "eps", "weight_decay", "maximize")
        return Update(updates.equilibrated_step, ("square_sum", "products"), (group["lr"],), given)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Compute the loss and its gradients, look at the curvature if it is time, and step."""
        if closure is None:
            raise TypeError("EquilibratedSGD.step: needs a function that returns the loss, to differentiate it twice")
        with ag.enable_grad():
            loss = closure()
            params = [p for p in self.parameters() if p.requires_grad]
            due = self._due()
            gradients = ag.gradient(loss, params, create_graph=due, allow_unused=True)
            pairs = [(p, g) for p, g in zip(params, gradients) if g is not None]
            if due:
                self._look(pairs)
        for p in params:
            p.grad = None
        for p, g in pairs:
            p.grad = g.detach()
        super().step()
        return loss

    def _due(self) -> bool:
        """Whether this step is one that looks at the curvature."""
        for group in self.param_groups:
            for p in group["params"]:
                self.remembered(group, p)
        group, p = self.param_groups[0], self.param_groups[0]["params"][0]
        return int(self.state[p]["step"].item()) % group["every"] == 0

    def _look(self, pairs: list[tuple[Any, Any]]) -> None:
        """Add the squares of one product of the Hessian with a random vector."""
        vectors = [ag.randn(*p.shape, dtype=p.dtype, generator=self.generator) for p, _ in pairs]
        along = sum((g * v).sum() for (_, g), v in zip(pairs, vectors))
        curved = along.requires_grad if isinstance(along, ag.Tensor) else False
        products = ag.gradient(along, [p for p, _ in pairs], allow_unused=True) if curved else [None] * len(pairs)
        for (p, _), product in zip(pairs, products):
            state = self.state[p]
            state["products"] += 1
            if product is not None:
                state["square_sum"] += product.detach() ** 2


class GradientNoise:
    """Adds noise to the gradients before each step of an optimizer, with a variance of eta / (1 + t)**gamma.

    With gamma = 0 it stays the same.  `remove()` ends it.
    """

    def __init__(self, optimizer: Optimizer, eta: float = 0.01, gamma: float = 0.55, generator: Any = None):
        not_negative({"eta": eta, "gamma": gamma}, "GradientNoise", "eta", "gamma")
        self.optimizer, self.eta, self.gamma, self.generator, self.taken = optimizer, eta, gamma, generator, 0
        self._handle = optimizer.register_step_pre_hook(self._before)

    def _before(self, optimizer: Any, args: tuple, options: dict) -> tuple[tuple, dict]:
        closure = args[0] if args else options.get("closure")
        if closure is None:
            self.add()
            return args, options
        return (self._noisy(closure), *args[1:]), {n: v for n, v in options.items() if n != "closure"}

    def _noisy(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """A closure whose gradients have noise in them."""

        def computed() -> Any:
            loss = closure()
            self.add()
            return loss

        return computed

    def add(self) -> None:
        """Add noise to all gradients there are."""
        spread = (self.eta / (1 + self.taken) ** self.gamma) ** 0.5
        self.taken += 1
        with ag.no_grad():
            for p in self.optimizer.parameters():
                if p.grad is not None:
                    noise = ag.randn(*p.shape, dtype=p.dtype, generator=self.generator)
                    p.grad = p.grad.detach() + noise * spread

    def remove(self) -> None:
        """Add no more noise."""
        self._handle.remove()

    def state_dict(self) -> dict[str, Any]:
        """How many steps had noise, and how much."""
        return {"eta": self.eta, "gamma": self.gamma, "taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.eta, self.gamma, self.taken = state["eta"], state["gamma"], state["taken"]


class Perceptron(Optimizer):
    """Rosenblatt's rule: for each example that is not recognized, add it to the weights, or take it off.

    `params` are the weight (units, features) or (features,) and, if there is one, the bias; gradients are not needed.
    """

    def __init__(self, params: Any, lr: float = 1.0):
        super().__init__(params, {"lr": lr})

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "Perceptron", "lr")
        if len(group["params"]) > 2 or self.param_groups:
            raise ValueError("Perceptron: takes a weight and at most one bias: [weight, bias]")

    def step(self, inputs: Any, targets: Any) -> int:  # type: ignore[override]
        """Go through examples, in order, with targets of 0 and 1; how many were not recognized before they were learnt.

        A point on the plane itself counts as 0.
        """
        group = self.param_groups[0]
        weight, bias = (*(p.value for p in group["params"]), None)[:2]
        x, t = array_of(inputs), array_of(targets)
        rows = t.reshape(len(x), -1)
        units = len(weight) if weight.ndim == 2 else 1
        if (
            weight.ndim > 2
            or x.ndim != 2
            or x.shape[1] != weight.shape[-1]
            or rows.shape[1] != units
            or not np.isin(t, (0, 1)).all()
        ):
            raise ValueError(
                f"Perceptron.step: a weight of shape {weight.shape} needs inputs (examples, {weight.shape[-1]}) and, for "
                f"each, {units} target(s) of 0 or 1, got {x.shape} and {t.shape}"
            )
        with changed(group["params"]):
            return sum(learn(np.atleast_2d(weight), bias, x[k], rows[k], group["lr"]) for k in range(len(x)))


def learn(weight: np.ndarray, bias: np.ndarray | None, x: np.ndarray, target: np.ndarray, lr: float) -> int:
    """Correct the units that do not recognize an example; 1 if there were any."""
    fires = weight @ x + (0 if bias is None else bias.reshape(-1)) > 0
    missed = (target - fires).astype(weight.dtype)
    weight += lr * missed[:, None] * x
    if bias is not None:
        bias[...] += (lr * missed).reshape(bias.shape)
    return int(missed.any())


def array_of(data: Any) -> np.ndarray:
    """The array of a tensor, or of anything like it."""
    return data.value if isinstance(data, ag.Tensor) else np.asarray(data)


@contextmanager
def changed(params: list[Any]) -> Iterator[None]:
    """Note that parameters are written to."""
    yield
    for p in params:
        ag.tape.mark_written(p.value)
