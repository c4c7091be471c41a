"""What a training script is told on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import autograd_core as ag

from ..data.dataset import Subset
from ..plot import endings

__all__ = ["Settings"]


@dataclass
class Settings:
    """How long to train, from which seed, on which data, and what to keep; `Settings.parse()` reads the command line."""

    epochs: int = 10
    seed: int = 0
    data: str | None = None
    quick: bool = False
    compile: bool = True
    plot: Path | None = None
    checkpoint: Path | None = None
    resume: bool = False

    @classmethod
    def parse(
        cls, arguments: Sequence[str] | None = None, *, program: str | None = None, text: str = "", epochs: int = 10
    ) -> Settings:
        """The settings of a command line; `epochs` is how many there are unless it says so."""
        parser = argparse.ArgumentParser(
            program, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument(
            "--epochs", type=_count, default=None, metavar="N", help=f"how often to go through the data ({epochs})"
        )
        parser.add_argument("--seed", type=_seed, default=0, metavar="S", help="of all random numbers (0)")
        parser.add_argument("--data", metavar="DIR", help="the folder of data sets (AUTOGRAD_CORE_DATA, or a cache)")
        parser.add_argument(
            "--quick", action="store_true", help="one epoch on a little of the data, to see that it runs"
        )
        parser.add_argument(
            "--compile", action=argparse.BooleanOptionalAction, default=True, help="replay steps natively (yes)"
        )
        parser.add_argument(
            "--plot",
            type=_pictures,
            metavar="FILE",
            help="save pictures as FILE with their name before the suffix, or in the folder FILE",
        )
        parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="save the run here after each epoch")
        parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
        found = parser.parse_args(arguments)
        if found.resume and found.checkpoint is None:
            parser.error("--resume needs to know from where: give --checkpoint FILE")
        found.epochs = found.epochs or (1 if found.quick else epochs)
        return cls(**vars(found))

    @property
    def fit(self) -> dict:
        """What `nn.train.fit` is to be told of them."""
        names = ("epochs", "compile", "checkpoint", "resume")
        kept = {"seed": self.seed, "quick": self.quick}
        return {name: getattr(self, name) for name in names} | {"settings": kept}

    def begin(self) -> ag.Generator:
        """Seed the random numbers."""
        return ag.manual_seed(self.seed)

    def some(self, dataset: Any, count: int = 512) -> Any:
        """The data set, or the beginning of it where it is to be quick."""
        return Subset(dataset, range(min(count, len(dataset)))) if self.quick else dataset

    def picture(self, name: str, draw: Any, *args: Any, **options: Any) -> None:
        """Save the figure that `draw(*args)` gives, if pictures are wanted."""
        if self.plot is not None:
            named = self.plot.with_name(f"{self.plot.stem}-{name}{self.plot.suffix or '.png'}")
            path = self.plot / f"{name}.png" if self.plot.is_dir() else named
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                draw(*args, **options).savefig(path, dpi=120)
                print(f"saved {path}")
            except OSError as error:  # a full disk: what was learnt is worth more than its picture
                print(f"could not save {path}: {error.strerror or error}", file=sys.stderr)


def _whole(text: str, least: int, most: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(
            f"must be at least {least}, got {number}" if number < least else f"must be at most {most}, got {number}"
        )
    return number


def _count(text: str) -> int:
    return _whole(text, 1, sys.maxsize)


def _seed(text: str) -> int:
    return _whole(text, -(2**63), 2**64 - 1)


def _pictures(text: str) -> Path:
    """Where pictures go, if they can be drawn: that they cannot is better known before the training than after it."""
    path, known = Path(text), endings()
    if not path.is_dir() and path.suffix not in ("", *known):
        raise argparse.ArgumentTypeError(f"no pictures end in {path.suffix!r}; there are {' '.join(known)}")
    return path
