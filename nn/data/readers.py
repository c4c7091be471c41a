"""Files as arrays: IDX, arrays of NumPy, tables, texts."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import lzma
import math
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..files import FileError

__all__ = ["Vocabulary", "read_array", "read_csv", "read_idx", "read_text"]

OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
BROKEN = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)
IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_bytes(path: Any) -> bytes:
    """A file whole, unpacked if its name says that it is packed."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it")
    try:
        with OPENERS.get(path.suffix, open)(path, "rb") as file:
            return file.read()
    except (*BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not the unpacker's
            raise
        raise damaged(path, error) from error


def damaged(path: Any, error: Exception) -> FileError:
    """What is said of a file of which a part is missing or wrong."""
    return FileError(f"{path} is cut off or damaged ({error}); delete it and fetch it again")


def read_idx(path: Any) -> np.ndarray:
    """The array of an IDX file, as MNIST comes in, packed or not."""
    data = read_bytes(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_TYPES:
        raise FileError(f"{path} is not an IDX file: it begins with {data[:4].hex() or 'nothing'}")
    dtype, ndim = np.dtype(IDX_TYPES[data[2]]), data[3]
    begin = 4 + 4 * ndim
    shape = tuple(np.frombuffer(data[4:begin], ">u4").tolist()) if len(data) >= begin else ()
    wanted = begin + dtype.itemsize * math.prod(shape)
    if len(shape) != ndim or len(data) != wanted:
        raise FileError(f"{path} is cut off or damaged: its header tells of {wanted} bytes, it has {len(data)}")
    return np.frombuffer(data, dtype, offset=begin).reshape(shape).astype(dtype.newbyteorder("="))


def read_array(path: Any) -> Any:
    """The array of a .npy file, or the dict of arrays of a .npz file; .gz, .xz and .bz2 are unpacked.  Nothing that a
    file holds is run."""
    data = read_bytes(path)
    try:
        found = np.load(io.BytesIO(data), allow_pickle=False)
        return dict(found) if isinstance(found, np.lib.npyio.NpzFile) else found
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise FileError(f"{path} is not an array of NumPy, or is damaged: {error}") from error


def read_csv(
    path: Any,
    columns: Iterable[str] | None = None,
    *,
    delimiter: str | None = None,
    header: bool | Iterable[str] | None = None,
    encoding: str = "utf-8",
    missing: Iterable[str] = ("", "?", "NA", "NaN", "nan"),
) -> dict[str, np.ndarray]:
    """The columns of a table by name: int64 where all entries are whole numbers of 64 bits, float64 where all are numbers
    or missing (NaN), texts otherwise; what is quoted may have delimiters and line breaks in it.

    `delimiter` and whether there is a header are found out unless said; `header` may also be the names.
    """
    places, rows = _rows(path, read_text(path, encoding), delimiter)
    if not rows:
        raise ValueError(f"{path} is empty")
    names, rows = _named(rows, header)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{path}: two columns are called {twice[0]!r}; give one of them another name in the file")
    for place, row in zip(places[len(places) - len(rows) :], rows):
        if len(row) != len(names):
            raise ValueError(
                f"{path}: row {place} has {len(row)} entries where there are {len(names)} columns: {row[:4]}..."
            )
    table = {
        name: _typed(column, set(missing)) for name, column in zip(names, zip(*rows) if rows else [()] * len(names))
    }
    wanted = list(table) if columns is None else list(columns)
    if absent := [name for name in wanted if name not in table]:
        raise KeyError(f"{path} has no column {', '.join(map(repr, absent))}; it has {', '.join(table)}")
    return {name: table[name] for name in wanted}


def _rows(path: Any, text: str, delimiter: str | None) -> tuple[list[int], list[list[str]]]:
    """The entries of each line that is not blank, and which line it is, or the last of it where it has several."""
    lines = io.StringIO(text, newline="")  # as open(newline="") gives them to csv: a form feed ends no line
    delimiter = delimiter or _delimiter(text)
    if delimiter == " ":
        found = [(k, entries) for k, line in enumerate(lines, start=1) if (entries := line.split())]
    else:
        reader = csv.reader(lines, delimiter=delimiter)
        try:
            found = [(reader.line_num, [entry.strip(" \t") for entry in row]) for row in reader if not _blank(row)]
        except csv.Error as error:
            raise FileError(f"{path}: row {reader.line_num} cannot be read: {error}") from error
    return [place for place, _ in found], [entries for _, entries in found]


def _blank(row: list[str]) -> bool:
    """Whether nothing stands in a line; "" would be something."""
    return not row or len(row) == 1 and row[0].isspace()


def _delimiter(text: str) -> str:
    """What divides the first line that is not blank, quoted entries left out."""
    begin = io.StringIO(re.sub(r'(?<![^,;\s])"[^"]*"', "", text[:100_000]))
    first = next((line for line in begin if line.strip()), "")
    counts = {d: first.count(d) for d in ",;\t"}
    return max(counts, key=counts.__getitem__) if any(counts.values()) else " "


def _named(rows: list, header: Any) -> tuple[list[str], list]:
    """The names of columns, and the rows without them."""
    if header is None:  # a first row with no number in it, above a row that has some
        numbers = [sum(_number(entry) is not None for entry in row) for row in rows[:2]]
        header = numbers[0] == 0 and (len(rows) == 1 or numbers[-1] > 0)
    if header is True:
        return rows[0], rows[1:]
    return [str(k) for k in range(len(rows[0]))] if header is False else list(header), rows


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)  # Python's 1_000 is no number in a table
    except ValueError:
        return None


def _typed(column: tuple, missing: set) -> np.ndarray:
    """A column as whole numbers, numbers or texts."""
    present = [entry for entry in column if entry not in missing]
    if any(_number(entry) is None for entry in present):
        return np.array(column, dtype=str)
    if len(present) == len(column) and all(entry.lstrip("+-").isdigit() for entry in column):
        with contextlib.suppress(OverflowError, ValueError):  # beyond 64 bits, or longer than int() reads
            return np.array([int(e) for e in column], np.int64)
    return np.array([np.nan if e in missing else float(e) for e in column], np.float64)


def read_text(path: Any, encoding: str = "utf-8") -> str:
    """A text, unpacked if it is packed."""
    try:
        return read_bytes(path).decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not {encoding} (byte {error.object[error.start]:#x} at {error.start}); "
            'say another encoding, such as encoding="latin-1"'
        ) from None


class Vocabulary:
    """Tokens by number and numbers by token: `Vocabulary(text)` of characters, `Vocabulary(text.split())` of words.

    Numbers follow frequency where `size` or `least` leaves tokens out, and the order of tokens themselves otherwise;
    `unknown` stands for what was left out.
    """

    def __init__(self, tokens: Iterable, size: int | None = None, least: int = 1, unknown: Any = None):
        counts: dict[Any, int] = {}
        for token in tokens:
            counts[token] = counts.get(token, 0) + 1
        if size is None and least == 1:
            kept = sorted(counts)
        else:
            kept = sorted((t for t in counts if counts[t] >= least), key=lambda t: (-counts[t], t))[:size]
        self.tokens = kept if unknown is None else [unknown, *(t for t in kept if t != unknown)]
        self.numbers = {token: k for k, token in enumerate(self.tokens)}
        self.counts = np.array([counts.get(t, 0) for t in self.tokens], np.int64)
        self.unknown = unknown

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: Any) -> bool:
        return token in self.numbers

    def encode(self, tokens: Iterable) -> np.ndarray:
        """The numbers of tokens."""
        if self.unknown is not None:
            return np.array([self.numbers.get(t, 0) for t in tokens], np.int64)
        try:
            return np.array([self.numbers[t] for t in tokens], np.int64)
        except KeyError as error:
            raise KeyError(
                f"{error.args[0]!r} is not among the {len(self)} tokens; give the Vocabulary an `unknown` for such"
            ) from None

    def decode(self, numbers: Any) -> Any:
        """The tokens of numbers: a text if tokens are characters, a list otherwise."""
        found = [self.tokens[k] for k in np.asarray(numbers).tolist()]
        single = all(isinstance(t, str) and len(t) == 1 for t in self.tokens)
        return "".join(found) if single else found

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens: {', '.join(map(repr, self.tokens[:5]))}{', ...' * (len(self) > 5)})"
