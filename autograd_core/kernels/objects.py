"""Whether objects hold what they held: hundreds are asked before each replay, in one call that keeps the interpreter's lock.

What is asked is a table of rows of four words, of which the last three are addresses (`id`) or numbers.
"""

from __future__ import annotations

from ._jit import Late, kernel

word, set_word = Late("_pack", "word"), Late("_pack", "set_word")
attribute, let_go, forget_error, named, names, following, length, entry = (
    Late("_objects", name)
    for name in ("attribute", "let_go", "forget_error", "named", "names", "following", "length", "entry")
)

# (ATTRIBUTE, object, name, value), (NAME, dict, name, value or 0), (DICT, dict, count, 0) with so many rows (ITEM, 0,
# name, value or 0 for any) after it, (LIST, list, count, 0), (ENTRY, list, index, value)
ATTRIBUTE, NAME, DICT, ITEM, LIST, ENTRY = range(6)


@kernel(numbers="iii", written=True, nogil=False)
def held(table, count, room):
    """Whether all rows of a table hold; `room` are three words to work in."""
    place = 0
    for k in range(0, 4 * count, 4):
        how, what, value = word(table, k), word(table, k + 2), word(table, k + 3)
        if how != ITEM:
            place = word(table, k + 1)
        if how == ITEM:
            if following(place, room, room + 8, room + 16) == 0 or word(room, 1) != what:
                return False
            if value != 0 and word(room, 2) != value:
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
            if names(place) != what:
                return False
        elif how == LIST:
            if length(place) != what:
                return False
        elif entry(place, what) != value:
            return False
    return True
