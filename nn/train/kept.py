"""The file that a run is kept in: taken up from it, written to it, and what if it cannot be written."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from ..data.sampler import whole
from ..files import FileError, suffix_of
from .interrupt import Interrupt
from .run import Run


class Kept:
    """A checkpoint that is replaced after each epoch and after every so many steps; without a path, nothing is."""

    def __init__(self, path: Any, every: int | None, resume: bool):
        if path is None and (resume or every is not None):
            raise TypeError("fit: `resume` and `checkpoint_every` need to know the file: give `checkpoint`")
        self.path, self.every, self.wanted = path, every, resume
        if every is not None:
            whole("fit", checkpoint_every=every)
        if path is not None:
            _writable(Path(path))

    def begin(self, run: Run) -> str:
        """Take the run up where it was broken off, if that is wanted; returns what was found, in words."""
        there = self.path is not None and os.path.exists(self.path)
        if not self.wanted:
            return (
                f"{self.path} holds a run, which this one replaces after its first epoch (no resume)" if there else ""
            )
        if not there:
            return f"{self.path} is not there yet: from the beginning"
        run.load(self.path)
        found = f"taken up {run.place()}, from {self.path}"
        if run.schedulers and run.meant not in (None, run.epochs):
            found += f"; schedules go on as they were made, for {run.meant} epochs and not for {run.epochs}"
        return found

    def after_step(self, run: Run, interrupt: Interrupt) -> None:
        """Save if it is time to, and stop if Ctrl-C was pressed."""
        self._kept(run, interrupt, self.every is not None and run.step % self.every == 0)

    def after_epoch(self, run: Run, interrupt: Interrupt) -> None:
        """Save, and stop if Ctrl-C was pressed."""
        self._kept(run, interrupt, True)

    def _kept(self, run: Run, interrupt: Interrupt, due: bool) -> None:
        saved = self.path is not None and (due or interrupt.asked) and self.save(run)
        if interrupt.asked:
            kept = (
                f"saved in {self.path}: resume=True goes on from there (--resume in the gallery)"
                if saved
                else "nothing was saved"
            )
            print(f"stopped {run.place()}; {kept}", file=sys.stderr)
            raise KeyboardInterrupt

    def save(self, run: Run) -> bool:
        """Whether the run could be saved: a full disk is no reason to throw away what was computed for hours."""
        try:
            run.save(self.path)
        except OSError as error:
            warnings.warn(
                f"fit: {self.path} could not be written {run.place()} ({error.strerror or error}); what was saved before "
                "is still there, and the run goes on: make room, and it is saved the next time",
                stacklevel=7,  # whoever called fit
            )
            return False
        return True


def _writable(path: Path) -> None:
    """Have a folder for the file: that it cannot be written is better known before the first epoch than after it."""
    if suffix_of(path) == ".npz":
        raise FileError(f"fit: a checkpoint is a safetensors file; {path} has the ending of another kind")
    if path.is_dir():
        raise IsADirectoryError(f"fit: the checkpoint {path} is a folder; give the name of a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        told = f"fit: the checkpoint {path} cannot be written: {error.strerror or error}; name a file in another folder"
        raise type(error)(told) from error
