"""What is told of a run while it goes on."""

from __future__ import annotations

import csv
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from ..files.atomic import replacing
from .run import Run, line

__all__ = ["Board", "Callback", "Log", "Printed"]


class Callback:
    """Overridden where something is to be done; `run` says all there is to know, and `run.stopped = True` ends it."""

    def begin(self, run: Run) -> None:
        """Before the first step, also of a run that is taken up again."""

    def batch(self, run: Run, values: dict[str, float]) -> None:
        """After a step, with what it gave."""

    def epoch(self, run: Run) -> None:
        """After an epoch: `run.history[-1]` is its row."""

    def end(self, run: Run) -> None:
        """After the last epoch, and when the run breaks off."""


class OnEpoch(Callback):
    """A plain function, called after each epoch."""

    def __init__(self, function: Any):
        self.function = function

    def epoch(self, run: Run) -> None:
        self.function(run)


class Printed(Callback):
    """A line for each epoch and, with tqdm installed and a terminal to draw on, a bar within it."""

    def __init__(self, file: Any = None):
        self.file, self.bar = file, None

    def batch(self, run: Run, values: dict[str, float]) -> None:
        if self.bar is None and sys.stderr.isatty():
            self.bar = _bar(run)
        if self.bar:
            self.bar.set_postfix({k: f"{v:.4g}" for k, v in values.items()}, refresh=False)
            self.bar.update()

    def epoch(self, run: Run) -> None:
        self.end(run)
        print(line(run.history[-1]), file=self.file, flush=True)

    def end(self, run: Run) -> None:
        if self.bar:
            self.bar.close()
        self.bar = None


def _bar(run: Run) -> Any:
    """A bar over the batches of an epoch; False where there is nothing to draw it with."""
    try:
        from tqdm import tqdm
    except ImportError:
        return False
    total = len(run.data) if hasattr(run.data, "__len__") else None
    done = run.tally.batches - 1
    return tqdm(total=total, initial=done, desc=f"epoch {run.epoch + 1}/{run.epochs}", unit="batch", leave=False)


class Log(Callback):
    """A table of all epochs as CSV, whole after each epoch."""

    def __init__(self, path: Any):
        self.path = Path(path)

    def begin(self, run: Run) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def epoch(self, run: Run) -> None:
        try:
            with replacing(self.path) as file:
                file.write(_table(run.history.names(), run.history.rows).encode())
        except OSError as error:  # as with a checkpoint: the next epoch's table holds all rows
            warnings.warn(
                f"fit: {self.path} could not be written ({error.strerror or error}); the run goes on", stacklevel=6
            )


def _table(names: list[str], rows: list[dict]) -> str:
    lines: list[str] = []
    writer = csv.DictWriter(_Lines(lines), names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return "".join(lines)


class _Lines:
    """What a csv.writer wants of a file."""

    def __init__(self, lines: list[str]):
        self.write = lines.append


class Board(Callback):
    """Events for TensorBoard in a folder: each epoch's row by epoch, and each step's values by step."""

    def __init__(self, folder: Any):
        try:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            raise ImportError("logs for TensorBoard need it: pip install 'autograd-core[board]'") from None
        self.writer = EventFileWriter(str(folder))

    def batch(self, run: Run, values: dict[str, float]) -> None:
        self._write({f"step/{name}": v for name, v in values.items()}, run.step)

    def epoch(self, run: Run) -> None:
        row = run.history[-1]
        self._write({f"epoch/{name}": v for name, v in row.items() if name != "epoch"}, run.epoch)
        self.writer.flush()

    def end(self, run: Run) -> None:
        self.writer.flush()

    def _write(self, values: dict[str, float], step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        shown = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self.writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=shown)))
