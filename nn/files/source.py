"""Where bytes come from: a file, a mapping of one, or memory.  Nothing outside its size is read or allocated."""

from __future__ import annotations

import json
import math
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np

LARGEST_HEADER = 100_000_000  # bytes of text or pickle that describe a file; the reference for safetensors has the same
MOST_AXES = 64  # of NumPy


def shown(value: Any, depth: int = 2) -> str:
    """A value of a file in a few words, however large, deep or tangled it is."""
    if type(value) in (str, bytes):
        return repr(value) if len(value) <= 60 else f"{value[:60]!r}..."
    if type(value) is int and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    if type(value) in (list, tuple, dict):
        parts = value.items() if type(value) is dict else value
        few = ", ".join(shown(part, depth - 1) for part in islice(parts, 5)) if depth else ""
        text = few + ("..." if len(value) > 5 or value and not depth else "")
        return f"[{text}]" if type(value) is list else f"({text})" if type(value) is tuple else f"{{{text}}}"
    return repr(value) if value is None or type(value) in (bool, int, float, complex) else f"a {type(value).__name__}"


class FileError(ValueError):
    """A file that cannot be loaded: which, what is wrong with it, and where."""


class Source:
    """Bytes in memory, under the name that errors give them; what reads a file differs in the last two methods."""

    def __init__(self, name: str, data: Any, writable: bool = False):
        self.name, self.data, self.writable = name, memoryview(data), writable
        self.size = len(self.data)

    def fault(self, what: str) -> FileError:
        """The error that says what is wrong here."""
        return FileError(f"load: {self.name}: {what}")

    def require(self, start: int, count: int, what: str) -> None:
        """Raise unless these bytes exist."""
        if not 0 <= start <= start + count <= self.size:
            raise self.fault(
                f"{what} would be bytes {start} to {start + count} of a file that has {self.size}; it is damaged or cut short"
            )

    def read(self, start: int, count: int, what: str) -> bytes:
        """Some of the bytes."""
        self.require(start, count, what)
        return bytes(self.data[start : start + count])

    def entries(self, start: int, count: int, what: str) -> np.ndarray:
        """Some of the bytes as an array that may be written to."""
        self.require(start, count, what)
        array = np.frombuffer(self.data, np.uint8, count, start) if count else np.empty(0, np.uint8)
        return array if self.writable else array.copy()


class Opened(Source):
    """An open file, from where it stands to its end."""

    def __init__(self, name: str, file: Any):
        self.name, self.file, self.writable, self.begin = name, file, False, file.tell()
        self.size = file.seek(0, os.SEEK_END) - self.begin

    def read(self, start: int, count: int, what: str) -> bytes:
        return self.entries(start, count, what).tobytes()

    def entries(self, start: int, count: int, what: str) -> np.ndarray:
        self.require(start, count, what)
        array = np.empty(count, np.uint8)
        self.file.seek(self.begin + start)
        rest = array.data
        while rest:
            got = self.file.readinto(rest)
            if not got:
                raise self.fault(f"{what} ended {len(rest)} bytes early: the file became shorter while it was read")
            rest = rest[got:]
        return array


@contextmanager
def opened(path: Any, mapped: bool) -> Iterator[Source]:
    """The bytes of a path, or of a file that is open for reading."""
    if hasattr(path, "read"):
        if mapped:
            raise TypeError("load: mmap=True needs the path of a file, not an open one")
        yield _of_object(path)
        return
    name = os.fsdecode(os.fspath(path))
    with open(path, "rb", buffering=0) if _is_regular(name) else _refuse(name) as file:
        if mapped and os.fstat(file.fileno()).st_size:
            yield Source(name, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), writable=True)
        else:
            yield Opened(name, file)


def _is_regular(name: str) -> bool:
    mode = os.stat(name).st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)  # Python's own error for folders is a good one


def _refuse(name: str) -> Any:
    raise FileError(f"load: {name}: is a pipe or a device, not a file; open it and pass what open(..., 'rb') returns")


def _of_object(file: Any) -> Source:
    name = getattr(file, "name", None)
    name = name if isinstance(name, str) else f"<{type(file).__name__}>"
    if hasattr(file, "encoding"):
        raise TypeError(f"load: {name} is open as text; open it with open(..., 'rb')")
    try:
        if hasattr(file, "readinto"):
            return Opened(name, file)
    except (OSError, ValueError, AttributeError):
        pass  # a pipe, or a decompressor that cannot tell its size
    return Source(name, file.read())


def entries_of(source: Source, shape: Any, size: int, what: str) -> int:
    """How many bytes an array of this shape has; whatever is no shape is refused."""
    if not isinstance(shape, (list, tuple)) or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise source.fault(f"{what}: its shape should be a list of sizes, and is {shown(shape)}")
    if len(shape) > MOST_AXES:
        raise source.fault(f"{what}: it has {len(shape)} axes, and arrays have at most {MOST_AXES}")
    if math.prod(max(n, 1) for n in shape) * size >= 2**63:
        raise source.fault(f"{what}: its shape {shown(shape)} is larger than any memory")
    return math.prod(shape) * size


def parsed(source: Source, text: bytes | str, what: str) -> Any:
    """A text in JSON in which no name stands twice in one object."""
    try:
        return json.loads(
            text if isinstance(text, str) else text.decode(), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except RecursionError:
        raise source.fault(f"{what}: it is nested too deeply") from None
    except ValueError as error:
        raise source.fault(f"{what}: {error}") from None


def _unique(pairs: list) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {shown(twice)} stands twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")
