"""The directory of a zip archive, read strictly: every entry lies inside the file, apart from every other."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from .source import LARGEST_HEADER, Source, shown

STORED, DEFLATED = 0, 8
_STEP = 1 << 16  # bytes that are unfolded at a time
_LOCAL, _CENTRAL, _END, _END64, _LOCATOR = b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7"
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF  # stand where the number is in the extra field of large files


@dataclass(frozen=True)
class Entry:
    """One file in an archive, and where its bytes are."""

    name: str
    begin: int
    stored: int  # bytes in the archive
    size: int  # bytes when unfolded
    method: int
    checksum: int


def recognized(source: Source) -> bool:
    """Whether a file begins as an archive does."""
    return source.size >= 22 and source.read(0, 4, "") in (_LOCAL, _END)


def directory(source: Source) -> dict[str, Entry]:
    """The entries by name, in the order of the directory."""
    begin, size, count = _end(source)
    if size > LARGEST_HEADER or count * 46 > size:
        raise source.fault(f"its directory is said to have {count} entries in {size} bytes")
    text = source.read(begin, size, "the directory of the archive")
    entries: dict[str, Entry] = {}
    position = 0
    for _ in range(count):
        entry, position = _listed(source, text, position)
        if entry.name in entries:
            raise source.fault(f"the entry {shown(entry.name)} stands twice")
        entries[entry.name] = _located(source, entry, begin)
    if position != size:
        raise source.fault(f"its directory has {size - position} bytes after the last entry")
    _require_apart(source, entries)
    return entries


def _end(source: Source) -> tuple[int, int, int]:
    """Where the directory begins, its bytes and its entries: the last thing in an archive, but for a comment."""
    tail = min(source.size, 22 + _FULL16)
    offset = source.size - tail
    text = source.read(offset, tail, "the end of the archive")
    found = text.rfind(_END)
    if found < 0 or len(text) - found < 22:
        raise source.fault("it begins as a zip archive and has no end: it is cut short")
    disk, first, here, count, size, begin, comment = struct.unpack_from("<4H2IH", text, found + 4)
    if found + 22 + comment != len(text):
        raise source.fault(f"the end of the archive, at {offset + found}, is not at the end of the file")
    if disk or first or here != count and here != _FULL16:
        raise source.fault("it is one of several parts of an archive")
    end = offset + found
    if _FULL32 in (size, begin) or count == _FULL16:
        end, begin, size, count = _end64(source, end)
    if begin + size > end:
        raise source.fault(f"its directory would be at {begin} to {begin + size}, and must be before {end}")
    return begin, size, count


def _end64(source: Source, end: int) -> tuple[int, int, int, int]:
    locator = source.read(end - 20, 20, "the locator of the directory")
    signature, _, place, _ = struct.unpack("<4sIQI", locator)
    if signature != _LOCATOR:
        raise source.fault(f"at {end - 20} should be the locator of a large directory")
    text = source.read(place, 56, "the end of a large archive")
    if text[:4] != _END64:
        raise source.fault(f"at {place} should be the end of a large archive")
    count, size, begin = struct.unpack_from("<3Q", text, 32)
    return place, begin, size, count


def _listed(source: Source, text: bytes, position: int) -> tuple[Entry, int]:
    """The entry of the directory at a position, and the position of the next."""
    if len(text) - position < 46 or text[position : position + 4] != _CENTRAL:
        raise source.fault(f"its directory has no entry at {position}")
    flags, method, _, _, checksum, stored, size, n, extra, comment, disk, _, _, begin = struct.unpack_from(
        "<2H2H3I5H2I", text, position + 8
    )
    name_end = position + 46 + n
    stop = name_end + extra + comment
    if stop > len(text):
        raise source.fault(f"the entry at {position} of its directory is cut short")
    try:
        name = text[position + 46 : name_end].decode()
    except UnicodeDecodeError:
        raise source.fault(f"the entry at {position} of its directory has a name that is not UTF-8") from None
    if flags & 1 or disk:
        raise source.fault(f"the entry {shown(name)} is encrypted, or in another part of the archive")
    numbers = [size, stored, begin]
    if _FULL32 in numbers:
        numbers = _large(source, name, numbers, text[name_end : name_end + extra])
    size, stored, begin = numbers
    return Entry(name, begin, stored, size, method, checksum), stop


def _large(source: Source, name: str, numbers: list[int], extra: bytes) -> list[int]:
    """Numbers of more than 32 bits: in the extra field of kind 1, those that did not fit, in order."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        body = extra[position + 4 : position + 4 + length]
        if kind == 1 and len(body) >= 8 * numbers.count(_FULL32):
            wide = iter(struct.unpack_from(f"<{numbers.count(_FULL32)}Q", body))
            return [next(wide) if n == _FULL32 else n for n in numbers]
        position += 4 + length
    raise source.fault(f"the entry {shown(name)} lacks its size")


def _located(source: Source, entry: Entry, directory_begin: int) -> Entry:
    """The entry with the place of its bytes, after a header that repeats its name."""
    what = f"the entry {shown(entry.name)}"
    header = source.read(entry.begin, 30, f"the header of {what}")
    n, extra = struct.unpack_from("<2H", header, 26)
    if header[:4] != _LOCAL or source.read(entry.begin + 30, n, what) != entry.name.encode():
        raise source.fault(f"{what} should begin at {entry.begin}, and something else is there")
    begin = entry.begin + 30 + n + extra
    if begin + entry.stored > directory_begin:
        raise source.fault(f"{what} would be bytes {begin} to {begin + entry.stored}, inside the directory")
    if entry.method == STORED and entry.size != entry.stored:
        raise source.fault(f"{what} is said to have {entry.size} bytes, and has {entry.stored}")
    return Entry(entry.name, begin, entry.stored, entry.size, entry.method, entry.checksum)


def _require_apart(source: Source, entries: dict[str, Entry]) -> None:
    last, end = "", 0
    for entry in sorted(entries.values(), key=lambda e: (e.begin, e.stored)):
        if entry.begin < end:
            raise source.fault(f"the entries {shown(last)} and {shown(entry.name)} overlap at {entry.begin}")
        last, end = entry.name, entry.begin + entry.stored


def contents(source: Source, entry: Entry, trust_no_checksum: bool = False) -> np.ndarray:
    """The bytes of an entry that is not compressed; a checksum of 0 may mean that none was made."""
    if entry.method != STORED:
        raise source.fault(
            f"the entry {shown(entry.name)} is compressed, which torch.save never does; unpack and pack without compression"
        )
    data = source.entries(entry.begin, entry.stored, f"the entry {shown(entry.name)}")
    mapped = source.writable  # and to look at every byte would be to read what mapping leaves unread
    if not mapped and not (trust_no_checksum and entry.checksum == 0):
        _check(source, entry, zlib.crc32(data.data))
    return data


def unfolded(source: Source, entry: Entry, most: int) -> np.ndarray:
    """The bytes of an entry, compressed or not, if they are at most so many."""
    if entry.method == STORED:
        return contents(source, entry)
    if entry.method != DEFLATED:
        raise source.fault(f"the entry {shown(entry.name)} is compressed by method {entry.method}; known is deflate")
    if entry.size > most:
        raise source.fault(
            f"the entry {shown(entry.name)} unfolds {entry.stored} bytes to {entry.size}, more than the {most} that are let; "
            "if the file can be trusted, read it with numpy.load"
        )
    machine, data = zlib.decompressobj(-15), bytearray()
    try:
        for begin in range(0, entry.stored, _STEP):
            piece = source.read(entry.begin + begin, min(_STEP, entry.stored - begin), f"the entry {shown(entry.name)}")
            data += machine.decompress(piece, entry.size + 1 - len(data))
            if len(data) > entry.size:
                break
    except zlib.error as error:
        raise source.fault(f"the entry {shown(entry.name)} is damaged: {error}") from None
    if len(data) != entry.size or not machine.eof or machine.unused_data:
        raise source.fault(
            f"the entry {shown(entry.name)} does not unfold to the {entry.size} bytes it is said to have"
        )
    _check(source, entry, zlib.crc32(data))
    return np.frombuffer(data, np.uint8)


def _check(source: Source, entry: Entry, checksum: int) -> None:
    if checksum != entry.checksum:
        raise source.fault(f"the entry {shown(entry.name)}, at {entry.begin}, is damaged: its checksum does not fit")
