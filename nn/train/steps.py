"""What is done with one batch, and with a whole set to be judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import autograd_core as ag

from ..module import Module
from ..utils.clip_grad import clip_grad_norm_, clip_grad_value_

__all__ = ["Supervised", "evaluate", "predict"]


class Supervised:
    """The usual step: prediction, loss, gradients, clipping, update.  A batch is (input, target), or (inputs..., target)."""

    def __init__(
        self,
        model: Module,
        loss: Callable,
        optimizers: Sequence,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ):
        self.model, self.loss, self.optimizers = model, loss, optimizers
        self.clip_norm, self.clip_value = clip_norm, clip_value

    def __call__(self, *batch: Any) -> Any:
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        inputs, target = divided(batch)
        loss = self.loss(self.model(*inputs), target)
        loss.backward()
        if self.clip_value is not None:
            clip_grad_value_(self.model.parameters(), self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        return loss


def parts(batch: Any) -> tuple:
    """A batch as the arguments of a step."""
    return tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)


def size(batch: Any) -> int:
    """How many samples a batch has: the length of the first array in it."""
    while isinstance(batch, (tuple, list, dict)) and len(batch):
        batch = next(iter(batch.values() if isinstance(batch, dict) else batch))
    shape = getattr(batch, "shape", ())
    return shape[0] if shape else 1


def divided(batch: tuple) -> tuple[tuple, Any]:
    """What is given to a model, and the target."""
    if len(batch) < 2:
        raise ValueError(
            "a batch must be (input, target), but has one part only; predict(labelled=False) needs no targets"
        )
    return batch[:-1], batch[-1]


def predict(model: Module, data: Iterable, *, labelled: bool = True) -> tuple[ag.Tensor, ag.Tensor | None]:
    """Predictions of a model in evaluation mode for all batches, in one, and the targets, if batches end with them."""
    mode = model.training
    model.eval()
    try:
        with ag.no_grad():
            pairs = (divided(batch) if labelled else (batch, None) for batch in map(parts, data))
            found = [(model(*inputs), target) for inputs, target in pairs]
    finally:
        model.train(mode)
    if not found:
        raise ValueError("predict: there are no batches")
    outputs, targets = zip(*found)
    return ag.cat(outputs), ag.cat(list(map(ag.as_tensor, targets))) if labelled else None


def evaluate(
    model: Module, data: Iterable, loss: Callable | None = None, metrics: dict[str, Callable] | None = None
) -> dict[str, float]:
    """The loss, averaged over samples, and metrics of all predictions together, in evaluation mode."""
    mode, outputs, targets, total, count = model.training, [], [], 0.0, 0
    model.eval()
    try:
        with ag.no_grad():
            for inputs, target in map(divided, map(parts, data)):
                output, n = model(*inputs), size(inputs)
                if loss is not None:
                    total += float(loss(output, target)) * n
                if metrics:
                    outputs.append(output)
                    targets.append(ag.as_tensor(target))
                count += n
    finally:
        model.train(mode)
    if not count:
        raise ValueError("evaluate: there are no samples")
    values = {} if loss is None else {"loss": total / count}
    if metrics:
        whole = ag.cat(outputs), ag.cat(targets)
        values |= {name: float(metric(*whole)) for name, metric in metrics.items()}
    return values
