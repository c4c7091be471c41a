"""What Python calls of written kernels, and the code of the pool: made into machine code without Numba's compiler.

Numba types a function that is nothing but a call, turns it over in a dozen passes, and makes a second one for Python, which
counts the users of arrays and knows of environments and exceptions: a fifth to a half of what it takes to compile a small
kernel.  Here Python calls a C function that looks at the types of its arguments, takes numbers out of them and the places
of arrays, and calls what is written (`_callers`).  Arguments of other types are handed on to whoever was called before it
was made; the first of all makes it.  What is on disk is loaded without Numba, which takes longer to import than all else.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import pickle
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from . import _cache, _jit
from ._machine import missing, ready

FAST = 0x80  # METH_FASTCALL: Python calls with an array of arguments and their number
IN_ORDER = 0x501  # NumPy's flags of what kernels take: entries in order, aligned, open to writing

# Arguments are described by words: "i", "d" and "a", numbers and addresses of whatever type they come in, "int", "float",
# "bool" and "single" what is of this type, and "f2", say, arrays of a type with so many axes.
CLASSES = {"int": (int, np.int64), "float": (float, np.float64), "bool": (bool, np.bool_), "single": (np.float32,)}
LETTERS = "fdlqibhBHILQ?FD"  # of the types of entries
OBJECTS = {f"{kind.__module__}_{kind.__name__}": kind for kinds in CLASSES.values() for kind in kinds}
OBJECTS |= {"ndarray": np.ndarray, **{f"of_{ord(c)}": np.dtype(c) for c in LETTERS}}
for _name, _object in OBJECTS.items():
    llvm.add_symbol(f"autograd_core_{_name}", id(_object))


def word_for(a: Any) -> str | None:
    """The word for an argument; None if there is none, "tuple" for what no code will ever be made for."""
    if a.__class__ is np.ndarray:
        letter, flags = a.dtype.char, a.flags
        usual = letter in LETTERS and a.dtype is OBJECTS[f"of_{ord(letter)}"] and flags.carray
        return f"{letter}{a.ndim}" if usual else None
    if isinstance(a, tuple):
        return "tuple"
    return next((word for word, kinds in CLASSES.items() if a.__class__ in kinds), None)


# --- code -------------------------------------------------------------------------------------------------------------


def load(name: str, words: tuple, write: str, given: tuple, symbols: list, keep=True, **how: Any) -> list[int]:
    """Where functions of some names are in what a function of `_callers` writes, which may be kept on disk."""
    file = _cache.file(name, words)
    code = _kept(file) if keep else None
    if code is None:
        needs, code = compiled(name, write, given, **how)
        if keep:
            _cache.save(file, pickle.dumps((needs, code)))
    return ready(code, symbols)


def compiled(name: str, write: str, given: tuple, glue: bool = False, level: int = 3) -> tuple[list[str], bytes]:
    """The code that a function of `_callers` writes, and the names of what it needs from outside."""
    from . import _callers

    return _callers.compiled(name, functools.partial(getattr(_callers, write), *given), glue, level)


def _kept(file: str) -> bytes | None:
    """Code from disk, if it is there and all that it needs."""
    try:
        needs, code = pickle.loads(_cache.load(file) or b"")
    except Exception:  # whatever is wrong with it, it can be made again
        return None
    for module in ("_shared", "_callers"):
        if missing(needs):
            importlib.import_module(f".{module}", __package__)
    return None if missing(needs) else code


@functools.cache
def code_of_pool() -> list[int]:
    """Where the code of regions is, for what is compiled without it, and the code of workers."""
    return load("_native.pool", (), "write_pool", (), ["region", "work"], glue=True)


# --- what Python calls ------------------------------------------------------------------------------------------------


def entry(
    name: str, part: Callable[[], Any], words: tuple[str, ...], other: Callable | None = None, nogil=True, **how: Any
) -> tuple[Callable, int]:
    """What Python calls with what some words describe, `other` with anything else; and where the code is.

    Others call that in Numba's way: with places for a result and an exception first, then numbers, and arrays' records.
    """
    symbols = [f"{name}({', '.join(words)}){kind}" for kind in (" code", "")]
    where, called = load(name, words, "write_entry", (symbols, part, words, nogil), symbols, **how)
    return _function(name.rpartition(".")[2], called, other), where


def chosen(kernel: Any, part: Callable[[], Any], how: dict) -> Callable:
    """What is called with arguments that there is no code for: it makes some, or has Numba make it, where there is no word."""
    made: dict[tuple, Callable] = {}
    count = kernel.fn.__code__.co_argcount + kernel.chunks  # the pool, the count and the grain in place of two bounds

    def other(*args):
        if len(args) != count:
            raise TypeError(f"kernel {kernel.name} takes {count} arguments, not {len(args)}")
        words = tuple(map(word_for, args))
        if words not in made:
            _jit.undisturbed(make, words)
        return made[words](*args)

    def make(words):
        with _jit._building:
            if words in made:
                return
            if None in words:
                made[words] = by_numba()
            elif "tuple" in words:  # and so it will be the next time: Numba has it all
                made[words] = by_numba()
                kernel.__setstate__((made[words], kernel.args, None, kernel.__dict__))
            else:
                made[words], _ = entry(kernel.name, part, words, kernel.func, **how)
                kernel.__setstate__((made[words], kernel.args, None, kernel.__dict__))

    by_numba = functools.cache(kernel._by_numba)
    return other


class _Method(ctypes.Structure):
    """What Python knows of a C function."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("text", ctypes.c_char_p),
    ]  # fmt: skip


_methods: list[_Method] = []  # Python keeps their addresses


def _function(name: str, address: int, own: Callable | None) -> Callable:
    """A C function as one of Python's, which is given an object of its own."""
    method = _Method(name.encode(), address, FAST, None)
    _methods.append(method)
    kinds = (ctypes.c_void_p, ctypes.py_object if own else ctypes.c_void_p, ctypes.c_void_p)
    make = ctypes.PYFUNCTYPE(ctypes.py_object, *kinds)(("PyCFunction_NewEx", ctypes.pythonapi))
    return make(ctypes.addressof(method), own, None)
