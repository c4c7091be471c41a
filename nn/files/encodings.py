"""How numbers lie in files: NumPy's types, and the shorter ones of neural networks, which become float32."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Encoding:
    """A type of numbers in files: its size in bytes, and what makes an array of them."""

    name: str
    size: int
    decode: Callable[[np.ndarray, bool], np.ndarray]  # of bytes; whether the most significant byte comes first


def native(dtype: np.dtype) -> Encoding:
    """What NumPy has: the same memory, if it is aligned and in this machine's order."""

    def decode(data: np.ndarray, big: bool) -> np.ndarray:
        array = data.view(dtype.newbyteorder(">" if big else "<"))
        array = array.astype(dtype, copy=False)
        return array if array.flags.aligned else array.copy()

    return Encoding(dtype.name, dtype.itemsize, decode)


def _booleans(data: np.ndarray, big: bool) -> np.ndarray:
    if data.size and data.max() > 1:
        place = int((data > 1).argmax())
        raise ValueError(f"entry {place} is the byte {data[place]}, and truth values are 0 or 1")
    return data.view(np.bool_)


def _bfloat16(data: np.ndarray, big: bool) -> np.ndarray:
    """The upper half of a float32, so shifting its bits loses nothing."""
    return (data.view(">u2" if big else "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)


@functools.cache
def eight_bits(fraction_bits: int, bias: int, special: str) -> np.ndarray:
    """The 256 numbers of eight bits: a sign, an exponent, a fraction, and which of them are special."""
    code = np.arange(256)
    magnitude = code & 127
    exponent, fraction = magnitude >> fraction_bits, (magnitude & ((1 << fraction_bits) - 1)) / (1 << fraction_bits)
    value = np.where(exponent > 0, 1 + fraction, fraction) * 2.0 ** (np.maximum(exponent, 1) - bias)
    if special == "ieee":
        top = exponent == exponent.max()
        value = np.where(top, np.where(fraction == 0, np.inf, np.nan), value)
    elif special == "finite":
        value = np.where(magnitude == 127, np.nan, value)
    value = np.where(code > 127, -value, value)
    if special == "no minus zero":
        value = np.where(code == 128, np.nan, value)
    return value.astype(np.float32)


@functools.cache
def powers_of_two() -> np.ndarray:
    """The 256 numbers of eight bits that are all exponent."""
    return np.append(2.0 ** np.arange(-127.0, 128), np.nan).astype(np.float32)


_PLAIN = "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128".split()
ENCODINGS = {
    **{name: native(np.dtype(name)) for name in _PLAIN},
    "bool": Encoding("bool", 1, _booleans),
    "bfloat16": Encoding("bfloat16", 2, _bfloat16),
    "float8_e5m2": Encoding("float8_e5m2", 1, lambda data, big: eight_bits(2, 15, "ieee")[data]),
    "float8_e4m3fn": Encoding("float8_e4m3fn", 1, lambda data, big: eight_bits(3, 7, "finite")[data]),
    "float8_e5m2fnuz": Encoding("float8_e5m2fnuz", 1, lambda data, big: eight_bits(2, 16, "no minus zero")[data]),
    "float8_e4m3fnuz": Encoding("float8_e4m3fnuz", 1, lambda data, big: eight_bits(3, 8, "no minus zero")[data]),
    "float8_e8m0fnu": Encoding("float8_e8m0fnu", 1, lambda data, big: powers_of_two()[data]),
}
NUMPY = frozenset([*_PLAIN, "bool"])
DTYPES = frozenset(map(np.dtype, NUMPY))
