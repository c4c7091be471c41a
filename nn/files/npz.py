"""NumPy's formats: .npy, one array after a short header, and .npz, an archive of them.  Objects are never read."""

from __future__ import annotations

import re
import zipfile
from typing import Any

import numpy as np

from . import archive
from .encodings import ENCODINGS, NUMPY
from .safetensors import little_endian
from .source import Source, entries_of, shown
from .structure import STRUCTURE

_MAGIC = b"\x93NUMPY"
_LONGEST = 10_000  # bytes of a header; NumPy has the same bound
_UNFOLDS = 32  # times its size is what a compressed file may become
_ALWAYS = 2**26  # bytes that it may become however small it is
_FIELD = re.compile(
    r"""\s*(['"])(?P<name>\w{1,20})\1\s*:\s*(?:(['"])(?P<text>[^'"]{0,40})\3|(?P<flag>True|False)|\((?P<sizes>[\d,\sL]*)\))\s*"""
)


def write(file: Any, arrays: dict[str, np.ndarray], structure: str | None) -> None:
    """Write arrays as numpy.savez would, whatever their names."""
    if structure is not None:
        arrays = arrays | {STRUCTURE: np.frombuffer(structure.encode(), np.uint8)}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as zipped:
        for name, array in arrays.items():
            if "\0" in name:
                raise ValueError(
                    f"save: the name {shown(name)} has a zero byte, which ends names in .npz; use .safetensors"
                )
            with zipped.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                little = array.dtype.newbyteorder("<").str
                header = {"descr": little, "fortran_order": False, "shape": array.shape}
                np.lib.format.write_array_header_1_0(entry, header)
                entry.write(little_endian(array))


def recognized_entries(entries: dict[str, archive.Entry]) -> bool:
    """Whether an archive holds arrays of NumPy and nothing else."""
    return all(name.endswith(".npy") for name in entries)


def read(source: Source, entries: dict[str, archive.Entry]) -> tuple[dict[str, np.ndarray], str | None]:
    """The arrays of an archive in its order, and the description of its state if it has one."""
    most = max(_ALWAYS, _UNFOLDS * source.size)
    arrays = {}
    for name, entry in entries.items():
        data = archive.unfolded(source, entry, most)
        most -= entry.size if entry.method != archive.STORED else 0
        arrays[name.removesuffix(".npy")] = _array(source, data, f"the entry {shown(name)}")
    described = arrays.pop(STRUCTURE, None)
    if described is None:
        return arrays, None
    try:
        return arrays, described.tobytes().decode()
    except UnicodeDecodeError:
        raise source.fault(f"the entry {STRUCTURE!r} is not text") from None


def recognized(source: Source) -> bool:
    """Whether a file begins as one array of NumPy does."""
    return source.size >= 10 and source.read(0, 6, "") == _MAGIC


def read_one(source: Source) -> np.ndarray:
    """The array of a file .npy."""
    return _array(source, source.entries(0, source.size, "the array"), "the array")


def _array(source: Source, data: np.ndarray, what: str) -> np.ndarray:
    head = data[:12].tobytes()
    if len(head) < 10 or head[:6] != _MAGIC or head[6] not in (1, 2, 3):
        raise source.fault(f"{what} does not begin as an array of NumPy's formats 1 to 3 does")
    wide = 2 if head[6] == 1 else 4
    length = int.from_bytes(head[8 : 8 + wide], "little")
    begin = 8 + wide + length
    if length > _LONGEST or begin > data.size:
        raise source.fault(f"{what}: its header is said to have {length} bytes")
    fields = _fields(source, data[8 + wide : begin].tobytes().decode("latin-1"), what)
    name, big = _dtype(source, fields["descr"], what)
    encoding = ENCODINGS[name]
    expected = entries_of(source, fields["shape"], encoding.size, what)
    if data.size - begin != expected:
        raise source.fault(
            f"{what}: {fields['shape']} of {name} takes {expected} bytes, and after its header are {data.size - begin}"
        )
    try:
        array = encoding.decode(data[begin:], big)
    except ValueError as error:
        raise source.fault(f"{what}: {error}") from None
    return array.reshape(fields["shape"][::-1]).T if fields["fortran_order"] else array.reshape(fields["shape"])


def _fields(source: Source, text: str, what: str) -> dict[str, Any]:
    """The three fields of a header, which is the text of a dict of Python: read, not evaluated."""
    inner = text.strip(" \n\0")
    position, fields = 1, {}
    while inner.startswith("{") and (found := _FIELD.match(inner, position)) and found["name"] not in fields:
        fields[found["name"]] = _value(found)
        position = found.end() + (inner[found.end() : found.end() + 1] == ",")
    kinds = {name: type(value) for name, value in fields.items()}
    if kinds != {"descr": str, "fortran_order": bool, "shape": tuple} or inner[position:].strip() != "}":
        raise source.fault(
            f"{what}: its header is {shown(text.strip())}, and should tell descr (one type of numbers), fortran_order and shape"
        )
    return fields


def _value(found: re.Match) -> Any:
    if found["text"] is not None:
        return found["text"]
    if found["flag"]:
        return found["flag"] == "True"
    sizes = [size.strip().rstrip("L") for size in found["sizes"].split(",")]
    if sizes[-1:] == [""]:
        sizes.pop()
    return tuple(int(size) for size in sizes) if all(s.isdigit() and len(s) < 20 for s in sizes) else None


def _dtype(source: Source, descr: str, what: str) -> tuple[str, bool]:
    """The name of a type of numbers, and whether the most significant byte comes first."""
    codes = {np.dtype(name).str[1:]: name for name in NUMPY}
    if descr[:1] not in "<>|=" or descr[1:] not in codes:
        kind = {"O": "objects, which only pickle can read", "U": "text", "S": "bytes", "V": "records"}.get(descr[1:2])
        raise source.fault(
            f"{what} holds {kind or 'numbers'} of type {shown(descr)}; numbers of up to 64 bits can be read"
        )
    return codes[descr[1:]], descr[0] == ">"
