"""States of any form as arrays under names, and a text in JSON that says where each stood among the other values.

A list is a list and text is text; everything else is an object with one entry, which tells what it is: {"tensor": name},
{"dict": [[key, value], ...]}, {"tuple": [...]}, {"float": eight bytes}, and so on.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core import Tensor, from_numpy
from autograd_core.op import Traced

from .encodings import DTYPES, ENCODINGS, NUMPY
from .source import Source, parsed, shown

DEEPEST = 100
LONGEST_INTEGER = 8192  # bits; Python reads no longer ones from text
STRUCTURE = "nn.structure"  # where a file has the text
_TAKEN = {"__metadata__", STRUCTURE}  # names that no array can have
_KEYS = (str, int, float, complex, bool, type(None), tuple, np.generic)


def flatten(state: Any, dtypes: frozenset[np.dtype]) -> tuple[dict[str, np.ndarray], str | None]:
    """The arrays of a state under names, and the text that says the rest; a plain dict of arrays needs none."""
    if not isinstance(state, dict):
        fix = "write .state_dict()" if hasattr(state, "state_dict") else "give it a name: {'weight': ...}"
        raise TypeError(f"save: expected a dict of tensors, got {_named(state)}; {fix}")
    if all(type(k) is str and isinstance(v, (Traced, np.ndarray)) for k, v in state.items()):
        arrays = {_valid(name): _array(value, name) for name, value in state.items()}
        if all(array.dtype in dtypes for array in arrays.values()) and not arrays.keys() & _TAKEN:
            return arrays, None
    packer = _Packer(dtypes)
    value = packer.packed(state, "", 0)
    return packer.arrays, json.dumps(value, separators=(",", ":"))


def _named(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def _valid(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"save: the name {shown(name)} is not valid Unicode") from None
    return name


def _array(value: Any, name: str) -> np.ndarray:
    """The array of a tensor or of a NumPy array, in this machine's byte order."""
    array = value.value if isinstance(value, Tensor) else value
    masked = hasattr(array, "mask")
    if masked or not isinstance(array, np.ndarray):
        kind = "a masked array" if masked else "a value inside vmap or jvp"
        raise TypeError(f"save: {shown(name)} is {kind}, and only plain arrays and tensors can be stored")
    native = array.dtype.newbyteorder("=")
    if native not in DTYPES:
        raise TypeError(
            f"save: {shown(name)} has the type {array.dtype}, and numbers of up to 64 bits can be stored; use a.astype(...)"
        )
    return array.astype(native, copy=False)


class _Packer:
    """Collects arrays, each under a name that is free, while a state becomes JSON."""

    def __init__(self, dtypes: frozenset[np.dtype]):
        self.dtypes = dtypes
        self.arrays: dict[str, np.ndarray] = {}

    def packed(self, value: Any, path: str, depth: int) -> Any:
        """What stands for a value."""
        if depth > DEEPEST:
            raise ValueError(f"save: {shown(path)} is nested more than {DEEPEST} deep, or holds itself")
        kind = type(value)
        if kind is int and value.bit_length() > LONGEST_INTEGER:
            raise ValueError(
                f"save: {shown(path)} is {shown(value)}, and has at most {LONGEST_INTEGER}; store it as an array"
            )
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": struct.pack("<d", value).hex()}
        if kind is complex:
            return {"complex": struct.pack("<dd", value.real, value.imag).hex()}
        if isinstance(value, (Traced, np.ndarray)):
            return self._tensor(_array(value, path), path)
        if isinstance(value, np.generic) and value.dtype in DTYPES:
            little = np.asarray(value).astype(value.dtype.newbyteorder("<"))
            return {"number": [value.dtype.name, little.tobytes().hex()]}
        within = lambda key: f"{path}.{key}" if path else str(key)
        if kind in (list, tuple):
            parts = [self.packed(part, within(i), depth + 1) for i, part in enumerate(value)]
            return parts if kind is list else {"tuple": parts}
        if isinstance(value, dict):
            return {"dict": [[self._key(k, path), self.packed(v, within(k), depth + 1)] for k, v in value.items()]}
        raise TypeError(
            f"save: {shown(path)} is a {_named(value)}; tensors, arrays, numbers, text, None, and lists, tuples and dicts "
            "of these can be stored"
        )

    def _key(self, key: Any, path: str) -> Any:
        if not isinstance(key, _KEYS):
            raise TypeError(
                f"save: {shown(path)} has the key {_named(key)}; keys are text, numbers, None or tuples of these"
            )
        return self.packed(key, path, DEEPEST - 4)

    def _tensor(self, array: np.ndarray, path: str) -> dict[str, str]:
        tag = "tensor"
        if array.dtype not in self.dtypes:  # complex128, which safetensors lacks
            tag, array = "complex128", np.stack([array.real, array.imag], axis=-1)
        name = _valid(path)
        while name in self.arrays or name in _TAKEN:
            name += "~"
        self.arrays[name] = array
        return {tag: name}


def unflatten(source: Source, text: str, arrays: dict[str, np.ndarray]) -> Any:
    """The state that a text and arrays stand for."""
    value = parsed(source, text, "the description of its state")
    unused = dict(arrays)
    state = _Unpacker(source, arrays, unused).unpacked(value, 0)
    if unused:
        raise source.fault(f"tensor {shown(next(iter(unused)))} has no place in the description of its state")
    return state


class _Unpacker:
    """Takes arrays by name while JSON becomes a state."""

    def __init__(self, source: Source, arrays: dict[str, np.ndarray], unused: dict[str, np.ndarray]):
        self.source, self.arrays, self.unused = source, arrays, unused
        self.readers: dict[str, Callable[[Any, int], Any]] = {
            "tensor": self._tensor, "complex128": self._complex128, "dict": self._dict, "tuple": self._tuple,
            "float": self._float, "complex": self._complex, "number": self._number,
        }  # fmt: skip

    def fault(self, what: str, value: Any) -> ValueError:
        return self.source.fault(f"the description of its state has {shown(value)} where {what} should stand")

    def unpacked(self, value: Any, depth: int) -> Any:
        """What a value stands for."""
        if depth > DEEPEST:
            raise self.source.fault(f"the description of its state is nested more than {DEEPEST} deep")
        if isinstance(value, list):
            return [self.unpacked(part, depth + 1) for part in value]
        if not isinstance(value, dict):
            return value
        tag = next(iter(value), "")
        if len(value) != 1 or tag not in self.readers:
            raise self.fault(f"an object with one of {', '.join(self.readers)}", value)
        return self.readers[tag](value[tag], depth)

    def _tensor(self, name: Any, depth: int) -> Any:
        if not isinstance(name, str) or name not in self.arrays:
            raise self.fault("the name of a tensor", name)
        self.unused.pop(name, None)
        return from_numpy(self.arrays[name])

    def _complex128(self, name: Any, depth: int) -> Tensor:
        pairs = self._tensor(name, depth).value
        if pairs.dtype != np.float64 or pairs.shape[-1:] != (2,):
            raise self.fault("a tensor of pairs of float64", name)
        return from_numpy(np.ascontiguousarray(pairs).view(np.complex128).reshape(pairs.shape[:-1]))

    def _dict(self, pairs: Any, depth: int) -> dict:
        found: dict = {}
        if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise self.fault("a list of pairs", pairs)
        for key, value in pairs:
            key = self.unpacked(key, max(depth, DEEPEST - 4))
            if not _is_key(key) or key in found:
                raise self.fault("a key that is not there yet", key)
            found[key] = self.unpacked(value, depth + 1)
        return found

    def _tuple(self, parts: Any, depth: int) -> tuple:
        if not isinstance(parts, list):
            raise self.fault("a list", parts)
        return tuple(self.unpacked(part, depth + 1) for part in parts)

    def _float(self, text: Any, depth: int) -> float:
        return struct.unpack("<d", self._bytes(text, 8))[0]

    def _complex(self, text: Any, depth: int) -> complex:
        return complex(*struct.unpack("<dd", self._bytes(text, 16)))

    def _number(self, pair: Any, depth: int) -> np.generic:
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str) or pair[0] not in NUMPY:
            raise self.fault("a type of NumPy and bytes", pair)
        encoding = ENCODINGS[pair[0]]
        try:
            return encoding.decode(np.frombuffer(self._bytes(pair[1], encoding.size), np.uint8), False)[0]
        except ValueError:
            raise self.fault(f"a number of type {pair[0]}", pair[1]) from None

    def _bytes(self, text: Any, count: int) -> bytes:
        try:
            data = bytes.fromhex(text)
            if len(data) == count:
                return data
        except (TypeError, ValueError):
            pass
        raise self.fault(f"{count} bytes in hexadecimal digits", text)


def _is_key(key: Any) -> bool:
    return isinstance(key, _KEYS) and (not isinstance(key, tuple) or all(map(_is_key, key)))
