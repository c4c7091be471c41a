"""Pieces of code: the names in them, and which functions are there that run them."""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
import types
from collections.abc import Iterable

from .users import COMPUTED, ours

WORD = ctypes.sizeof(ctypes.c_void_p)
RUNNING = object.__basicsize__ + WORD  # where a frame, as an object, says where what runs is
FUNCTION = {(3, 11): 0, (3, 12): 2 * WORD, (3, 13): 2 * WORD}  # where that has its function


class Named:
    """A piece of code, held here for good and, by who wants to count references, nowhere else."""

    def __init__(self, code: types.CodeType):
        self.code, self.inside = code, False  # whether another that is held has it as a constant
        texts = [c for c in code.co_consts if isinstance(c, str) and c.isidentifier() and len(c) < 60]
        inner = [named(c) for c in within(code)]
        computed = [] if ours(code.co_filename) else [n for how, n in COMPUTED.items() if how in code.co_names]
        self.names = tuple(dict.fromkeys([*code.co_names, *texts, *(n for i in inner for n in i.names), *computed]))
        for i in inner:
            i.inside = True


NAMED: dict[int, Named] = {}
_alone = [object()]
ALONE = sys.getrefcount(_alone[0])  # what is counted for an object that is held in one place


def within(code: types.CodeType) -> list[types.CodeType]:
    """The code of functions that a piece of code makes."""
    return [c for c in code.co_consts if isinstance(c, types.CodeType)]


def named(code: types.CodeType) -> Named:
    """What is known of a piece of code, by what it is and not by what is like it."""
    return NAMED.get(id(code)) or NAMED.setdefault(id(code), Named(code))


def named_in(code: types.CodeType) -> tuple[str, ...]:
    """The names that a piece of code may read as globals or attributes: those it names, and texts that could be names."""
    return named(code).names


def function_of(frame: types.FrameType) -> types.FunctionType:
    """The function that runs in a frame, of which Python has no word; only where it is `told`."""
    running = ctypes.c_void_p.from_address(id(frame) + RUNNING).value
    place = running + FUNCTION[sys.version_info[:2]]  # type: ignore[operator, index]
    return ctypes.cast(ctypes.c_void_p.from_address(place).value, ctypes.py_object).value  # type: ignore[arg-type, return-value]


@functools.cache
def told() -> bool:
    """Whether `function_of` knows the frames of this interpreter."""
    usual = sys.implementation.name == "cpython" and not getattr(sys, "abiflags", "")
    probe = lambda: function_of(sys._getframe()) is probe
    return usual and sys.version_info[:2] in FUNCTION and probe()


def functions(codes: Iterable[int]) -> list[types.FunctionType]:
    """The functions of pieces of code, known by id, that are there.

    Besides functions, code is held here and by the code around it.  If somebody else does, who may be a function, all
    objects are looked at, which takes seconds where there are millions.
    """
    held = [one for key in codes if sys.getrefcount((one := NAMED[key]).code) > ALONE + one.inside]
    referrers = gc.get_referrers(*(one.code for one in held)) if held else ()
    return [fn for fn in referrers if isinstance(fn, types.FunctionType)]
