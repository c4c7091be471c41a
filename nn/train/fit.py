"""`fit`: epochs of steps, with whatever is wanted around them."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import autograd_core as ag

from ..data.sampler import whole
from ..module import Module
from .callbacks import Board, Callback, Log, OnEpoch, Printed
from .interrupt import Interrupt, deferred
from .kept import Kept
from .rehearsal import Rehearsed
from .run import History, Run
from .steps import Supervised, evaluate, parts, size

__all__ = ["fit"]


def fit(
    model: Module,
    data: Iterable,
    *,
    optimizer: Any,
    epochs: int = 1,
    loss: Callable | None = None,
    step: Callable | None = None,
    validation: Iterable | Callable[[Module], dict] | None = None,
    metrics: dict[str, Callable] | None = None,
    scheduler: Any = None,
    batch_scheduler: Any = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    monitor: str | None = None,
    maximize: bool = False,
    patience: int | None = None,
    checkpoint: Any = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    settings: dict | None = None,
    compile: bool = False,
    log: Any = None,
    board: Any = None,
    callbacks: Iterable = (),
    progress: bool = True,
) -> History:
    """Train a model on batches of (input, target) and return what was measured, epoch by epoch.

    The step is that of `Supervised` with `loss(prediction, target)`, or a function `step(*batch)` that does all of it
    and returns the loss or a dict of numbers; then `model` may be a ModuleDict and `optimizer` a list.  `validation` is
    data to judge by loss and `metrics`, or a function of the model that returns numbers; its values are called
    "validation ...".  `scheduler` moves on after each epoch, by the monitored value if it wants one, `batch_scheduler`
    after each step.

    `monitor` names the value that decides (the validation loss, or else the loss): the weights of the best epoch are put
    back at the end if it is named or `patience` is given, which ends the run after so many epochs without a better one.

    `checkpoint` is a file that is replaced after each epoch and after every `checkpoint_every` steps; with `resume=True`
    a run goes on from it, to the same bits as if it had not been broken off.  `settings` are kept with it, a dict of what
    must not differ, such as a seed: a checkpoint of others is refused.  Ctrl-C waits for the step under way and saves
    before it stops.  A disk that is full is warned of, and the run goes on.  A loss that is not finite ends the run with
    an error.

    `compile=True` replays the step natively (`ag.compile`).  On the first batch of each form it is tried before it counts;
    model, optimizers and random draws are put back, and whatever else a `step` of yours changes is not.  `log` is a file
    for a table in CSV, `board` a folder for TensorBoard, `callbacks` are `Callback`s or functions of the run to be called
    after each epoch.
    """
    _refuse(loss, step, validation, metrics, optimizer, epochs, patience)
    optimizers, slow, quick = map(_listed, (optimizer, scheduler, batch_scheduler))
    act = step or Supervised(model, loss, optimizers, clip_norm, clip_value)  # type: ignore[arg-type]
    plan = _Plan(
        act=ag.compile(act, fallback=True) if compile else act,
        judge=_judge(validation, loss, metrics),
        told=_told(progress, log, board, callbacks),
        schedulers=slow,
        batch_schedulers=quick,
        watch=_watch(monitor, maximize, patience, "loss" if validation is None or loss is None else "validation loss"),
        kept=Kept(checkpoint, checkpoint_every, resume),
    )
    run = Run(model, optimizers, slow + quick, data, epochs, settings or {})
    if compile:
        plan.act = Rehearsed(plan.act, run)
    found = plan.kept.begin(run)
    if progress and found:
        print(found)
    plan.train(run)
    return run.history


@dataclass
class _Watch:
    """The value that decides: which epoch was the best, and when there is no better one to come."""

    name: str
    maximize: bool
    patience: float
    keeps_best: bool

    def look(self, run: Run) -> None:
        """Keep the weights of the best epoch, and end a run that has not had a better one for long."""
        if self.keeps_best:
            best = run.remember_best(run.monitored(self.name), self.maximize)
            run.stopped = run.stopped or run.epoch - best >= self.patience

    def put_back(self, run: Run) -> None:
        """Give the model the weights of its best epoch."""
        if self.keeps_best and run.best is not None:
            run.model.load_state_dict(run.best["weights"])


@dataclass
class _Plan:
    """What is done when; how far it is done is the run's."""

    act: Callable
    judge: Callable[[Module], dict]
    told: list[Callback]
    schedulers: list
    batch_schedulers: list
    watch: _Watch
    kept: Kept

    def train(self, run: Run) -> None:
        """All epochs that are left."""
        self.tell("begin", run)
        try:
            with deferred() as interrupt:
                while run.epoch < run.epochs and not run.stopped:
                    self.epoch(run, interrupt)
        finally:
            self.tell("end", run)
        self.watch.put_back(run)

    def epoch(self, run: Run, interrupt: Interrupt) -> None:
        """An epoch, or what is left of it."""
        started = time.perf_counter() - run.seconds
        for values in self.steps(run):
            self.tell("batch", run, values)
            run.seconds = time.perf_counter() - started
            self.kept.after_step(run, interrupt)
        if not run.tally.batches:
            raise ValueError(
                "fit: the data gave no batch: they are empty, or fewer than a batch with drop_last, or an iterator, which "
                "can be gone through once only (pass a DataLoader)"
            )
        run.finish_epoch(self.judge(run.model), started)
        self.look_back(run)
        try:
            self.tell("epoch", run)
        finally:  # what is finished is kept, whatever those do who are told
            self.kept.after_epoch(run, interrupt)

    def steps(self, run: Run) -> Iterator[dict[str, float]]:
        """The steps of an epoch, or of what is left of it."""
        run.model.train()
        batches = iter(run.data)
        if not hasattr(run.data, "state_dict"):
            batches = itertools.islice(batches, run.tally.batches, None)
        for batch in batches:
            values = _numbers(self.act(*parts(batch)), run)
            for scheduler in self.batch_schedulers:
                scheduler.step()
            run.count(values, size(batch))
            yield values

    def look_back(self, run: Run) -> None:
        """What follows from an epoch's values: rates, the best weights, and whether to go on."""
        for scheduler in self.schedulers:
            if hasattr(scheduler, "patience"):  # looks at values, as ReduceLROnPlateau does
                scheduler.step(run.monitored(self.watch.name))
            else:
                scheduler.step()
        self.watch.look(run)

    def tell(self, what: str, run: Run, *args: Any) -> None:
        for callback in self.told:
            getattr(callback, what)(run, *args)


def _numbers(result: Any, run: Run) -> dict[str, float]:
    """What a step gave, as numbers by name, if they are finite."""
    values = {k: float(v) for k, v in (result.items() if isinstance(result, dict) else [("loss", result)])}
    for name, value in values.items():
        if not math.isfinite(value):
            raise FloatingPointError(
                f"fit: {name} is {value} in epoch {run.epoch + 1} at batch {run.tally.batches + 1}; a smaller learning "
                "rate or clip_norm may help, and `with ag.detect_anomaly():` names the operation it comes from"
            )
    return values


def _judge(validation: Any, loss: Callable | None, metrics: dict | None) -> Callable[[Module], dict]:
    """The function that measures a model after an epoch."""
    if validation is None:
        return lambda model: {}
    judge = validation if callable(validation) else lambda model: evaluate(model, validation, loss, metrics)
    return lambda model: {f"validation {name}": float(value) for name, value in judge(model).items()}


def _watch(monitor: str | None, maximize: bool, patience: int | None, usual: str) -> _Watch:
    """What decides, and whether the best weights are kept: if someone asks."""
    asked = monitor is not None or patience is not None
    return _Watch(monitor or usual, maximize, math.inf if patience is None else patience, keeps_best=asked)


def _told(progress: bool, log: Any, board: Any, callbacks: Iterable) -> list[Callback]:
    own: list[Callback] = [Printed()] if progress else []
    own += [Log(log)] if log is not None else []
    own += [Board(board)] if board is not None else []
    return own + [c if isinstance(c, Callback) else OnEpoch(c) for c in callbacks]


def _refuse(loss: Any, step: Any, validation: Any, metrics: Any, optimizer: Any, epochs: Any, patience: Any) -> None:
    """Say what is wrong with arguments before anything is done."""
    if (loss is None) == (step is None):
        raise TypeError("fit: give either `loss`, a function of prediction and target, or `step`, which does it all")
    if not isinstance(metrics, dict | None):
        raise TypeError(f"fit: metrics must be a dict of names and functions, got {metrics!r:.60}")
    if metrics and (validation is None or callable(validation)):
        given = "there is none" if validation is None else "this is a function, which measures all there is"
        raise TypeError(f"fit: `metrics` are taken of the batches of `validation`, and {given}; give data to judge by")
    for one in _listed(optimizer):
        if isinstance(one, type) or not hasattr(one, "step"):
            raise TypeError(f"fit: optimizer must be made already, as optim.SGD(model.parameters()), got {one!r:.60}")
    whole("fit", least=0, epochs=epochs)
    if patience is not None:
        whole("fit", patience=patience)


def _listed(value: Any) -> list:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
