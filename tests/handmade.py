"""What tests of files share: files made by hand, sound and unsound, and whether two states are the same."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterable
from typing import Any

import numpy as np

import autograd_core as ag
from nn.files import load, save


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A file of a header, as text or as what JSON makes of it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor_info(dtype: Any, shape: Any, begin: Any, end: Any) -> dict:
    """What a header of safetensors has of one tensor."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def zipped(entries: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


# --- pickles, instruction by instruction ---


def pickled(value: Any) -> bytes:
    """The instructions that make a value; raw bytes inside `Raw` are instructions already."""
    if isinstance(value, Raw):
        return value.code
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(data)]) + data
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return b"X" + struct.pack("<I", len(data)) + data
    if isinstance(value, tuple):
        return b"(" + b"".join(map(pickled, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(pickled, value)) + b"e"
    return b"}(" + b"".join(pickled(part) for item in value.items() for part in item) + b"u"


class Raw:
    """Instructions."""

    def __init__(self, code: bytes):
        self.code = code


def name(module: str, attribute: str) -> Raw:
    """What the pickle asks for by name."""
    return Raw(f"c{module}\n{attribute}\n".encode())


def called(module: str, attribute: str, *args: Any) -> Raw:
    """A call in a pickle."""
    return Raw(name(module, attribute).code + pickled(args) + b"R")


def storage(kind: str, key: str, count: Any) -> Raw:
    """A storage of a checkpoint."""
    module = "torch.storage" if kind == "Untyped" else "torch"
    return Raw(pickled(("storage", name(module, f"{kind}Storage"), key, "cpu", count)) + b"Q")


def tensor(kept: Raw, offset: Any, shape: Any, strides: Any, *more: Any) -> Raw:
    """A tensor of a checkpoint."""
    return called("torch._utils", "_rebuild_tensor_v2", kept, offset, shape, strides, False, {}, *more)


def checkpoint(value: Any, storages: dict[str, Any], order: str | None = "little", **more: bytes) -> bytes:
    """A checkpoint of PyTorch."""
    entries = {"data.pkl": b"\x80\x02" + pickled(value) + b".", **more}
    if order is not None:
        entries["byteorder"] = order.encode()
    for key, data in storages.items():
        entries[f"data/{key}"] = data if isinstance(data, bytes) else np.asarray(data).tobytes()
    return zipped((f"archive/{entry}", data) for entry, data in entries.items())


# --- states ---


def saved(state, **options) -> bytes:
    file = io.BytesIO()
    save(file, state, **options)
    return file.getvalue()


def loaded(data: bytes, **options):
    return load(io.BytesIO(data), **options)


def same(a, b) -> bool:
    """Whether two states are equal to the bit, in types and order; an array comes back as a tensor."""
    if isinstance(a, (ag.Tensor, np.ndarray)):
        x, y = (np.asarray(v.value if isinstance(v, ag.Tensor) else v) for v in (a, b))
        x = x.astype(x.dtype.newbyteorder("="))
        return isinstance(b, ag.Tensor) and (x.dtype, x.shape) == (y.dtype, y.shape) and x.tobytes() == y.tobytes()
    if isinstance(a, dict):
        return type(b) is dict and same(list(a), list(b)) and same(list(a.values()), list(b.values()))
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, complex):
        return same([a.real, a.imag], [b.real, b.imag])
    return a == b


def idx(array: np.ndarray) -> bytes:
    """An array as an IDX file."""
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    return (
        bytes([0, 0, code, array.ndim])
        + np.array(array.shape, ">u4").tobytes()
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )
