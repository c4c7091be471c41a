"""Whether objects hold what they held: hundreds are asked before each replay, in one call that keeps the interpreter's lock.

What is asked is a table of rows of four words, of which the last three are addresses (`id`) or numbers.
"""

from __future__ import annotations

from ._jit import Late, kernel
from ._products import HEAD

word, set_word = Late("_pack", "word"), Late("_pack", "set_word")
attribute, let_go, forget_error, named, names, following, length, entry, copy = (
    Late("_objects", name)
    for name in ("attribute", "let_go", "forget_error", "named", "names", "following", "length", "entry", "copy")
)

# (ATTRIBUTE, object, name, value), (NAME, dict, name, value or 0), (DICT, dict, count, 0) with so many rows (ITEM, 0,
# name, value or 0 for any) after it, (LIST, list, count, 0), (ENTRY, list, index, value), (WORD, object, index, value)
ATTRIBUTE, NAME, DICT, ITEM, LIST, ENTRY, WORD = range(7)
# The last word of a DICT row is the version of the dict at which all after it held, if Python keeps one: (LOOKED, dict,
# row, 0) notes it.
# Of the arguments of a call, one after the other: (ARGUMENT, class, index, 0) is looked at next, (WITHIN, 0, index, 0) what
# a word of it points to, (OWNER, class, 0, 0) the array of this class that owns the memory of one, which (KEEP, 0, place, 0)
# is noted, (APART, 0, place, 0) is not one that was, and (OTHER, object, 0, 0) not this; (BITS, mask, index, value) are so,
# and (COPY, address, bytes, 0) what an array holds is copied there.  (HELD, object, address, most) at most so many hold an
# object, but for who holds it at an address.
ARGUMENT, WITHIN, OWNER, KEEP, APART, OTHER, BITS, COPY, HELD, LOOKED = range(7, 17)
BASE, NOTED = HEAD + 4, 24  # of an array: the word that says whose memory it is; bytes of `room` before what is noted
LOW, VERSION = 0xFFFFFFFF, HEAD + 1


@kernel(written=True)
def owner(array, kind):
    """The array of a class that owns the memory of one; 0 if something else does."""
    while word(array, BASE) != 0 and word(word(array, BASE), HEAD - 1) == kind:
        array = word(array, BASE)
    return array if word(array, BASE) == 0 else 0


@kernel(numbers="iiii", written=True, glue=True, nogil=False)
def held(table, count, room, arguments):
    """Whether all rows of a table hold; `room` are words to work in: three, and one for each argument."""
    k, place, here = 0, 0, 0
    while k < 4 * count:
        how, what, value = word(table, k), word(table, k + 2), word(table, k + 3)
        if how != ITEM:
            place = word(table, k + 1)
        k += 4
        if how == WORD:
            if word(place, what) != value:
                return False
        elif how == ITEM:
            there = following(place, room, room + 8, room + 16) != 0 and word(room, 1) == what
            if not there or value != 0 and word(room, 2) != value:
                return False
        elif how == NAME:
            if named(place, what) != value:
                return False
        elif how == ATTRIBUTE:
            found = attribute(place, what)
            if found == 0:
                forget_error()
                return False
            let_go(found)
            if found != value:
                return False
        elif how == DICT:
            set_word(room, 0, 0)
            if value != 0 and word(place, VERSION) == value:
                k += 4 * what + 4
            elif names(place) != what:
                return False
        elif how == LIST:
            if length(place) != what:
                return False
        elif how == ENTRY:
            if entry(place, what) != value:
                return False
        elif how == HELD:
            if (word(place, 0) & LOW) - (1 if word(what, 0) == place else 0) > value:
                return False
        elif how == ARGUMENT:
            here = word(arguments, HEAD + 1 + what)
            if word(here, HEAD - 1) != place:
                return False
        elif how == BITS:
            if word(here, what) & place != value:
                return False
        elif how == WITHIN:
            here = word(here, what)
        elif how == OWNER:
            here = owner(here, place)
            if here == 0:
                return False
        elif how == KEEP:
            set_word(room + NOTED, what, here)
        elif how == OTHER or how == APART:
            if here == (place if how == OTHER else word(room + NOTED, what)):
                return False
        elif how == LOOKED:
            set_word(table, 4 * what + 3, word(place, VERSION))
        else:
            copy(place, word(here, HEAD), what)
    return True
