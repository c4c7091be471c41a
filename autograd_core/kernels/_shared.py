"""Code that all kernels share: written in LLVM's terms, compiled once for each type of entries, called by address.

What stands in a module of its own would otherwise be compiled again into every kernel that uses it.  A *part* may have many
*forms*, for tiles of so many rows, say, of which a program needs a few: the last argument says which.  A kernel goes through
a word that holds the address of a form.  At first that is the address of a function that makes the code, or loads it from
disk, and puts the right address there: so nobody waits for a form or a type that is not needed, and compiled kernels can be
kept on disk.

Here stands also what is known of the processor's registers.  Imports Numba, for kernels only.
"""

from __future__ import annotations

import ctypes
import importlib
import operator
import platform
from typing import NamedTuple

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from . import _cache, _jit
from ._machine import machine, processor, ready
from .conv_tiling import KINDS

I1, I8, I32, I64, VOID = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.VoidType()
BYTES = I8.as_pointer()
REALS = {"f": ir.FloatType(), "d": ir.DoubleType()}
SIZES = {"f": 4, "d": 8}

TRANSFORMS = "input", "output", "cotangent", "filter", "filter_sums"


class Part(NamedTuple):
    """Who writes it, how many arguments it has, and how many forms; whether it goes through LLVM's passes."""

    module: str
    arguments: int
    forms: int = 1
    passes: bool = False


def _registers() -> tuple[int, int, int, bool]:
    """Rows and vectors of a tile, bytes of a vector, and whether a part of a vector can be loaded at no cost."""
    features = processor()[1].split(",")
    if "+avx512f" in features:
        return 14, 2, 64, True  # 28 sums, 2 vectors of b and 1 of a in 32 registers
    if "+avx2" in features and "+fma" in features:
        return 6, 2, 32, True  # 12 + 2 + 1 of 16
    if platform.machine().lower() in ("arm64", "aarch64"):
        return 8, 3, 16, False  # 24 + 3 + 1 of 32
    return 6, 2, 16, False


ROWS, VECTORS, BYTES_OF_VECTOR, MASKS = _registers()
WIDTH = VECTORS * BYTES_OF_VECTOR  # of a row of a tile, in bytes
LANES = {char: BYTES_OF_VECTOR // size for char, size in SIZES.items()}


PARTS = {
    "tile": Part("_tile", 12, 2 * (ROWS + 1) * VECTORS),
    "pack": Part("_pack", 7),
    "dots": Part("_dots", 7),
    "blend": Part("_dots", 7),
    "products": Part("_conv_tile", 13, 7 * 16, True),
    "turn": Part("_conv_tile", 6, passes=True),
    "pixels": Part("_conv_lines", 10, 7 * 16, True),
    "windows": Part("_conv_lines", 10, 5 * 16, True),
    "across": Part("_conv_across", 10, 8 * 1024, True),
    "correlated": Part("_conv_planes", 14, 6 * 64, True),
    "summed": Part("_conv_planes", 13, 6 * 64, True),
    "spread": Part("_conv_planes", 13, 6 * 2, True),
    **{name: Part("_conv_transforms", 7, len(KINDS), True) for name in TRANSFORMS},
}


def char_of(like) -> str:
    """The letter of the type of entries of an array, or of a number."""
    from numba import types

    return {types.float32: "f", types.float64: "d"}[getattr(like, "dtype", like)]


def _object(part: str, char: str, form: int) -> bytes:
    """A form for a type, compiled."""
    name = _name(part, char, form)
    found = _cache.load(f"_shared-{name}.o")
    if found is None:
        module = ir.Module(name)
        module.triple = llvm.get_process_triple()
        write = getattr(importlib.import_module(f".{PARTS[part].module}", __package__), f"write_{part}")
        write(ir.Function(module, signature(part), name), char, form)
        found = machine().emit_object(_improved(llvm.parse_assembly(str(module)), PARTS[part]))
        _cache.save(f"_shared-{name}.o", found)
    return found


def _improved(module: llvm.ModuleRef, part: Part) -> llvm.ModuleRef:
    """A module after LLVM's passes, if it is worth while: loops of tiles of a few sums gain a tenth."""
    if part.passes and hasattr(llvm, "create_pass_builder"):  # which older llvmlite does not have
        builder = llvm.create_pass_builder(machine(), llvm.create_pipeline_tuning_options(speed_level=3))
        builder.getModulePassManager().run(module, builder)
    return module


def _name(part: str, char: str, form: int) -> str:
    return f"{part}_{char}_{form}"


_words = {(part, char): (ctypes.c_int64 * PARTS[part].forms)() for part in PARTS for char in REALS}
_made: dict[str, int] = {}


def address_of(part: str, char: str, form: int = 0) -> int:
    """Where a form is; makes it if need be."""
    with _jit._building:
        name = _name(part, char, form)
        if name not in _made:
            (_words[part, char][form],) = (_made[name],) = ready(_jit.uncollected(_object, part, char, form), [name])
        return _made[name]


def _maker(part: str, char: str):
    """A function that makes a form when it is called in place of it."""
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * PARTS[part].arguments)
    form = operator.itemgetter(-1) if PARTS[part].forms > 1 else lambda args: 0
    return kind(lambda *args: kind(address_of(part, char, form(args)))(*args))


_makers = {key: _maker(*key) for key in _words}
for _key, _table in _words.items():
    _table[:] = [ctypes.cast(_makers[_key], ctypes.c_void_p).value or 0] * len(_table)
    llvm.add_symbol("autograd_core_{}_{}".format(*_key), ctypes.addressof(_table))


def table(dtype: np.dtype) -> np.ndarray:
    """For kernels that are told the type when they run: the size of entries, and where the forms of each part are."""
    return np.array([SIZES[dtype.char], *(ctypes.addressof(_words[part, dtype.char]) for part in PARTS)])


def signature(part: str) -> ir.FunctionType:
    """The type of a part."""
    return ir.FunctionType(VOID, [I64] * PARTS[part].arguments)


def call_shared(builder: ir.IRBuilder, part: str, char: str, values: list) -> None:
    """Call a part through its word."""
    name, kind = f"autograd_core_{part}_{char}", ir.ArrayType(signature(part).as_pointer(), PARTS[part].forms)
    words = builder.module.globals.get(name) or ir.GlobalVariable(builder.module, kind, name)
    _call(builder, part, builder.gep(words, [I64(0), I64(0)]), values)


def call_at(builder: ir.IRBuilder, part: str, address, values: list) -> None:
    """Call a part whose words are at an address from `table`."""
    _call(builder, part, builder.inttoptr(address, signature(part).as_pointer().as_pointer()), values)


def _call(builder: ir.IRBuilder, part: str, words, values: list) -> None:
    form = values[-1] if PARTS[part].forms > 1 else I64(0)
    builder.call(builder.load(builder.gep(words, [form])), values)
