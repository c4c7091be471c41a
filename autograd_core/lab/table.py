"""Tables, to be read, printed and handed on; and what to say where an optional package is missing."""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Table:
    """Rows under headings."""

    heads: Sequence[str]
    rows: list[Sequence[Any]]

    def __str__(self) -> str:
        cells = self.cells()
        widths = [max(len(line[k]) for line in cells) for k in range(len(self.heads))]
        right = [all(_is_number(row[k]) for row in self.rows if row[k] is not None) for k in range(len(self.heads))]
        place = lambda cell, k: cell.rjust(widths[k]) if right[k] else cell.ljust(widths[k])
        lines = ["  ".join(place(cell, k) for k, cell in enumerate(line)).rstrip() for line in cells]
        return "\n".join([lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]])

    def cells(self) -> list[list[str]]:
        """All that is printed, headings first."""
        return [list(self.heads), *([shown(v) for v in row] for row in self.rows)]

    def to_markdown(self) -> str:
        """The table as Markdown has it."""
        lines = [[cell.replace("|", "\\|") for cell in line] for line in self.cells()]
        lines.insert(1, ["---"] * len(self.heads))
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def to_csv(self) -> str:
        """The table as comma-separated values, numbers with all their digits."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows([list(self.heads), *(["" if v is None else _exact(v) for v in row] for row in self.rows)])
        return out.getvalue()


def shown(v: Any) -> str:
    """A value as a cell shows it: numbers with seven digits, arrays by their entries if these are few."""
    if v is None or isinstance(v, str):
        return v or ""
    v = np.asarray(v)
    if v.ndim == 0:
        return str(v) if v.dtype.kind not in "fc" else f"{v.item():.7g}"
    if v.size > 4 or v.ndim > 1:
        return f"{v.dtype}{list(v.shape)}"
    return "[" + ", ".join(shown(entry) for entry in v) + "]"


def _exact(v: Any) -> Any:
    return repr(v.item()) if isinstance(v, (np.ndarray, np.generic)) and v.ndim == 0 else np.asarray(v).tolist()


def _is_number(v: Any) -> bool:
    return not isinstance(v, str)


def optional(module: str, who: str) -> Any:
    """A module that the library does without, or an error that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise ImportError(f"{who} needs {package}, which is not installed: pip install {package}") from None
