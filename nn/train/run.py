"""A training run: what takes part in it, how far it is, and how it is saved and taken up again."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import autograd_core as ag

from ..files import FileError, load, save
from ..module import Module

__all__ = ["History", "Run"]


class History:
    """A row of measured values for each epoch; `history["loss"]` is a column."""

    def __init__(self, rows: Sequence[dict] = ()):
        self.rows: list[dict] = list(rows)

    def __getitem__(self, key: str | int) -> Any:
        if isinstance(key, int):
            return self.rows[key]
        if key not in self.names():
            raise KeyError(f"no value {key!r} was measured; there are {', '.join(map(repr, self.names()))}")
        return [row.get(key, math.nan) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict]:
        return iter(self.rows)

    def names(self) -> list[str]:
        """What was measured, in order of appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __repr__(self) -> str:
        return "\n".join(map(line, self.rows)) or "History of no epochs"


def line(row: dict) -> str:
    """A row in words."""
    shown = [f"epoch {row['epoch']:3d}"]
    shown += [f"{k} {v:.4g}" for k, v in row.items() if k not in ("epoch", "seconds")]
    return "  ".join(shown) + (f"  {row['seconds']:.1f} s" if "seconds" in row else "")


@dataclass
class Tally:
    """Sums of a step's values over the samples of an epoch."""

    sums: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    batches: int = 0

    def add(self, values: dict[str, float], samples: int) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * samples
        self.samples += samples
        self.batches += 1

    def means(self) -> dict[str, float]:
        return {name: total / self.samples for name, total in self.sums.items()} if self.samples else {}


@dataclass
class Run:
    """What callbacks are given: the model, how many epochs and steps are done, and what was measured."""

    model: Module
    optimizers: list
    schedulers: list
    data: Any
    epochs: int
    settings: dict = field(default_factory=dict)  # that a run which is taken up must have in common
    epoch: int = 0  # that are done
    step: int = 0  # that were made
    history: History = field(default_factory=History)
    tally: Tally = field(default_factory=Tally)  # of the epoch under way
    seconds: float = 0.0  # of it, before the run was taken up again
    best: dict | None = None  # value, epoch and weights
    stopped: bool = False  # by itself: a callback may set it
    meant: int | None = None  # epochs of the run that was taken up

    def save(self, path: Any) -> None:
        """Write all that the rest of the run depends on."""
        save(path, self.state_dict(), metadata={"written by": "nn.train", "epochs done": str(self.epoch)})

    def load(self, path: Any) -> None:
        """Take up a run that was saved."""
        state = load(path)
        if not isinstance(state, dict) or not {"run", "model", "random"} <= set(state):
            raise FileError(
                f"{os.fspath(path)} is not a checkpoint of nn.train, whose keys are run, model, random, ..."
            )
        try:
            self.load_state_dict(state)
        except (KeyError, RuntimeError, ValueError) as error:
            raise FileError(f"{os.fspath(path)} is the checkpoint of another run: {error}") from error

    def state_dict(self) -> dict:
        return {
            "model": self.model.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "schedulers": [s.state_dict() for s in self.schedulers],
            "data": self.data.state_dict() if hasattr(self.data, "state_dict") else None,
            "random": ag.get_rng_state(),
            "best": self.best,
            "run": {
                "epoch": self.epoch,
                "epochs": self.epochs,
                "settings": self.settings,
                "step": self.step,
                "rows": self.history.rows,
                "tally": vars(self.tally),
                "seconds": self.seconds,
                "stopped": self.stopped,
            },
        }

    def load_state_dict(self, state: dict) -> None:
        begun = state["run"].get("settings", {})
        for name, mine in self.settings.items():
            if begun.get(name, mine) != mine:
                raise ValueError(
                    f"it was begun with {name} {begun[name]}, this one has {name} {mine}; say the same, or name another file"
                )
        for kind, mine in (("optimizers", self.optimizers), ("schedulers", self.schedulers)):
            if len(state[kind]) != len(mine):
                raise ValueError(f"the checkpoint is of a run with {len(state[kind])} {kind}, this one has {len(mine)}")
        self.model.load_state_dict(state["model"])
        for mine, saved in zip([*self.optimizers, *self.schedulers], [*state["optimizers"], *state["schedulers"]]):
            mine.load_state_dict(saved)
        if state["data"] is not None:
            self.data.load_state_dict(state["data"])
        self.best, run = state["best"], state["run"]
        self.epoch, self.step, self.seconds, self.stopped = (run[k] for k in ("epoch", "step", "seconds", "stopped"))
        self.meant, self.settings = run.get("epochs"), begun | self.settings
        self.history, self.tally = History(run["rows"]), Tally(**run["tally"])
        ag.set_rng_state(state["random"])

    def count(self, values: dict[str, float], samples: int) -> None:
        """Note what a step gave."""
        self.tally.add(values, samples)
        self.step += 1

    def finish_epoch(self, judged: dict[str, float], started: float) -> None:
        """Write the epoch's row."""
        self.epoch += 1
        row = {"epoch": self.epoch, **self.tally.means(), **judged, "seconds": time.perf_counter() - started}
        self.history.rows.append(row)
        self.tally, self.seconds = Tally(), 0.0

    def place(self) -> str:
        """How far it is, in words."""
        batches = self.tally.batches
        return f"in epoch {self.epoch + 1} after batch {batches}" if batches else f"after epoch {self.epoch}"

    def monitored(self, name: str) -> float:
        """The last value of what is watched."""
        row = self.history.rows[-1]
        if name not in row:
            known = ", ".join(repr(n) for n in row if n not in ("epoch", "seconds"))
            raise KeyError(f"fit: there is no value {name!r} to monitor; an epoch measures {known}")
        return row[name]

    def remember_best(self, value: float, maximize: bool) -> int:
        """Keep the weights if the value is better than all before; returns the best epoch."""
        if self.best is None or (value > self.best["value"] if maximize else value < self.best["value"]):
            weights = {name: ag.as_tensor(v).detach().clone() for name, v in self.model.state_dict().items()}
            self.best = {"value": value, "epoch": self.epoch, "weights": weights}
        return self.best["epoch"]
