"""Code that all kernels share: written in LLVM's terms, compiled once for each type of entries, called by address.

What stands in a module of its own would otherwise be compiled again into every kernel that uses it.  A kernel goes through
a word that holds the address.  At first that is the address of a function that makes the code, or loads it from disk, and
puts the right address there: so whoever needs one type does not wait for two, and compiled kernels can be kept on disk.

Here stands also what is known of the processor's registers.  Imports Numba, for kernels only.
"""

from __future__ import annotations

import ctypes
import importlib
import platform

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import config, types

from . import _cache, _jit

I1, I8, I32, I64, VOID = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.VoidType()
BYTES = I8.as_pointer()
REALS = {"f": ir.FloatType(), "d": ir.DoubleType()}
SIZES = {"f": 4, "d": 8}
# who writes them, and how many arguments they have
PARTS = {
    "tile": ("_tile", "write_tile", 12),
    "pack": ("_pack", "write_pack", 7),
    "dots": ("_dots", "write_dots", 7),
    "blend": ("_dots", "write_blend", 7),
}


def _processor() -> tuple[str, str]:
    """The name and the features of the processor that code is made for."""
    name, features = config.CPU_NAME, config.CPU_FEATURES
    return name or llvm.get_host_cpu_name(), features or llvm.get_host_cpu_features().flatten()


def _registers() -> tuple[int, int, int, bool]:
    """Rows and vectors of a tile, bytes of a vector, and whether a part of a vector can be loaded at no cost."""
    features = _processor()[1].split(",")
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


def char_of(like) -> str:
    """The letter of the type of entries of an array, or of a number."""
    return {types.float32: "f", types.float64: "d"}[getattr(like, "dtype", like)]


def _object(char: str) -> bytes:
    """All parts for a type, compiled."""
    found = _cache.load(f"_shared-{char}.o")
    if found is None:
        module = ir.Module(f"shared_{char}")
        module.triple = llvm.get_process_triple()
        for source, write, _ in PARTS.values():
            getattr(importlib.import_module(f".{source}", __package__), write)(module, char)
        found = _machine().emit_object(llvm.parse_assembly(str(module)))
        _cache.save(f"_shared-{char}.o", found)
    return found


def _machine():
    """What turns LLVM code into the processor's."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = _processor()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=name, features=features, opt=3, reloc="default", codemodel="jitdefault", jit=True
    )


_words = {(part, char): ctypes.c_int64() for part in PARTS for char in REALS}
_engines: dict[str, llvm.ExecutionEngine] = {}


def address_of(part: str, char: str) -> int:
    """Where a part is; makes it if need be."""
    with _jit._building:
        if char not in _engines:
            engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
            found = _jit.uncollected(_object, char)
            engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(found))
            engine.finalize_object()
            for name in PARTS:
                _words[name, char].value = engine.get_function_address(name)
            _engines[char] = engine
        return _words[part, char].value


def _maker(part: str, char: str):
    """A function that makes a part when it is called in place of it."""
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * PARTS[part][2])
    return kind(lambda *args: kind(address_of(part, char))(*args))


_makers = {key: _maker(*key) for key in _words}
for _key, _word in _words.items():
    _word.value = ctypes.cast(_makers[_key], ctypes.c_void_p).value
    llvm.add_symbol("autograd_core_{}_{}".format(*_key), ctypes.addressof(_word))


def table(dtype: np.dtype) -> np.ndarray:
    """The address of each part for a type, for kernels that are told the type when they run; and the size of entries."""
    char = dtype.char
    return np.array([SIZES[char], *(address_of(part, char) for part in PARTS)])


def signature(part: str) -> ir.FunctionType:
    """The type of a part."""
    return ir.FunctionType(VOID, [I64] * PARTS[part][2])


def call_shared(builder: ir.IRBuilder, part: str, char: str, values: list) -> None:
    """Call a part through its word."""
    name, kind = f"autograd_core_{part}_{char}", signature(part).as_pointer()
    word = builder.module.globals.get(name) or ir.GlobalVariable(builder.module, kind, name)
    builder.call(builder.load(word), values)


def call_at(builder: ir.IRBuilder, part: str, address, values: list) -> None:
    """Call a part by an address from `table`."""
    builder.call(builder.inttoptr(address, signature(part).as_pointer()), values)
