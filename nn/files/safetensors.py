"""The format safetensors: the length of a header, the header in JSON, and the numbers, one array after the other."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .encodings import ENCODINGS, Encoding
from .source import LARGEST_HEADER, Source, entries_of, parsed, shown

# In the order in which the reference writes them: the most strictly aligned first.
_WRITTEN = {
    "uint64": "U64", "int64": "I64", "float64": "F64", "complex64": "C64", "float32": "F32", "uint32": "U32",
    "int32": "I32", "float16": "F16", "uint16": "U16", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
_ONLY_READ = {
    "bfloat16": "BF16", "float8_e5m2": "F8_E5M2", "float8_e4m3fn": "F8_E4M3", "float8_e8m0fnu": "F8_E8M0",
    "float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e4m3fnuz": "F8_E4M3FNUZ",
}  # fmt: skip
_READ = {code: ENCODINGS[name] for name, code in (_WRITTEN | _ONLY_READ).items()}
_CODES = {np.dtype(name): code for name, code in _WRITTEN.items()}
_RANK = {dtype: rank for rank, dtype in enumerate(_CODES)}

DTYPES = frozenset(_CODES)
METADATA = "__metadata__"


def write(file: Any, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write arrays of DTYPES: the same bytes as the reference."""
    ordered = sorted(arrays.items(), key=lambda item: (_RANK[item[1].dtype], item[0]))
    header: dict[str, Any] = {METADATA: metadata} if metadata else {}
    end = 0
    for name, array in ordered:
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": _CODES[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end],
        }  # fmt: skip
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LARGEST_HEADER:
        raise ValueError(
            f"save: the names, shapes and values beside the arrays take {len(text)} bytes, and a header has at most "
            f"{LARGEST_HEADER}; keep long lists of numbers as arrays"
        )
    file.write(len(text).to_bytes(8, "little") + text)
    for _, array in ordered:
        file.write(little_endian(array))


def little_endian(array: np.ndarray) -> memoryview:
    """The bytes of an array in order, the least significant of each number first."""
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).reshape(-1).view(np.uint8).data


def recognized(source: Source) -> bool:
    """Whether a file begins as this format does: after eight bytes, an object in JSON."""
    return source.size > 8 and source.read(8, 1, "") == b"{"


def read(source: Source) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a file in the order of its header, and its metadata."""
    length = int.from_bytes(source.read(0, 8, "the length of the header"), "little")
    if length > LARGEST_HEADER:
        raise source.fault(f"its header is said to have {length} bytes, and has at most {LARGEST_HEADER}")
    header = parsed(source, source.read(8, length, "the header"), "its header")
    if not isinstance(header, dict):
        raise source.fault("its header is no object in JSON")
    metadata = _metadata(source, header.pop(METADATA, None))
    begin = 8 + length
    tensors = {name: _described(source, name, info, source.size - begin) for name, info in header.items()}
    _require_no_gaps(source, tensors, source.size - begin)
    return {name: _array(source, name, *tensor, begin) for name, tensor in tensors.items()}, metadata


def _metadata(source: Source, found: Any) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise source.fault(f"its {METADATA} should name strings, and is {shown(found)}")
    return found


def _described(source: Source, name: str, info: Any, size: int) -> tuple[Encoding, list[int], int, int]:
    """The type, shape, begin and end of one array."""
    what = f"tensor {shown(name)}"
    if not isinstance(info, dict) or not {"dtype", "shape", "data_offsets"} <= info.keys():
        raise source.fault(f"{what} should have dtype, shape and data_offsets, and has {shown(info)}")
    dtype, shape, offsets = info["dtype"], info["shape"], info["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _READ:
        raise source.fault(f"{what} has the type {shown(dtype)}, and known are {', '.join(_READ)}")
    expected = entries_of(source, shape, _READ[dtype].size, what)
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(n) is int for n in offsets):
        raise source.fault(f"{what} should have two data_offsets, and has {shown(offsets)}")
    begin, end = offsets
    if not 0 <= begin <= end <= size:
        raise source.fault(
            f"{what} has data_offsets {shown(begin)} to {shown(end)}, and there are {size} bytes of data"
        )
    if end - begin != expected:
        raise source.fault(
            f"{what} of type {dtype} and shape {shown(shape)} takes {expected} bytes, and has {end - begin}"
        )
    return _READ[dtype], shape, begin, end


def _require_no_gaps(source: Source, tensors: dict, size: int) -> None:
    """Raise unless the arrays cover all of the data, none of it twice."""
    position = 0
    for name, (_, _, begin, end) in sorted(tensors.items(), key=lambda item: item[1][2:]):
        if begin != position:
            state = "is in a tensor before it too" if begin < position else "belongs to no tensor"
            raise source.fault(
                f"tensor {shown(name)} begins at {begin} of the data: what is at {min(begin, position)} {state}"
            )
        position = end
    if position != size:
        raise source.fault(f"after the last tensor, at {position} of the data, {size - position} bytes are left over")


def _array(
    source: Source, name: str, encoding: Encoding, shape: list[int], begin: int, end: int, data: int
) -> np.ndarray:
    what = f"tensor {shown(name)}"
    try:
        return encoding.decode(source.entries(data + begin, end - begin, what), False).reshape(shape)
    except ValueError as error:
        raise source.fault(f"{what}: {error}") from None
