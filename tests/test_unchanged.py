"""Whether places hold what they held: the native look at dicts, lists and attributes beside the same in Python."""

import gc
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.compiled.unchanged import Looks, Unchanged, attributes
from autograd_core.kernels._jit import COMPILED
from autograd_core.kernels.objects import WORD

pytestmark = pytest.mark.skipif(not COMPILED, reason="there is one way only")

NAMES = "abcd"
VALUES = 0, 0.0, -0.0, True, 1, None, "a", (1,), float("nan"), 10**30


class Holder:
    """What has a dict, and a slot."""

    __slots__ = ("__dict__", "slot")


def changes():
    """What may happen to a dict, a list, an object and a variable; most do nothing, and some do nothing that is seen."""
    name, value, place = st.sampled_from(NAMES), st.sampled_from(VALUES), st.integers(0, 3)
    return st.lists(
        st.one_of(
            st.tuples(st.just("set"), name, value),
            st.tuples(st.just("drop"), name),
            st.tuples(st.just("put"), place, value),
            st.tuples(st.just("append"), value),
            st.tuples(st.just("slot"), value),
            st.tuples(st.just("empty")),
            st.tuples(st.just("add"), value),
        ),
        max_size=3,
    )


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES)), st.lists(st.sampled_from(VALUES)), changes())
def test_the_native_answer_is_that_of_python(start, row, done) -> None:
    holder, globe, some = Holder(), dict(start), {1, "a"}
    holder.__dict__.update(start)
    holder.slot = row
    looks = Looks({(id(vars(holder)), "d")})
    looks.all_of(vars(holder))
    for name in NAMES:
        looks.name(globe, name)
    looks.inside({"row": row, "some": some, "both": (row, [some])}, 6)
    same = Unchanged(looks.found, looks.others) + attributes(("slot", [holder], [row]))
    assert same()
    for what, *how in done:
        if what == "set":
            globe[how[0]] = vars(holder)[how[0]] = how[1]
        elif what == "drop":
            globe.pop(how[0], None)
            vars(holder).pop(how[0], None)
        elif what == "put" and how[0] < len(row):
            row[how[0]] = how[1]
        elif what == "append":
            row.append(how[0])
        elif what == "slot":
            holder.slot = how[0]
        elif what == "empty" and hasattr(holder, "slot"):
            del holder.slot
        elif what == "add":
            some.add(how[0])
    assert same() == (all(look.holds() for look in same.looks) and all(other() for other in same.others))


@pytest.mark.parametrize(
    "change, seen",
    [
        (lambda d: None, False),
        (lambda d: d.update(a=True), True),  # equal, but another object
        (lambda d: d.update(live=7), False),
        (lambda d: d.pop("live"), True),
        (lambda d: d.update(b=1), True),
        (lambda d: d.update(c=d.pop("a")), True),  # the same values under other names
    ],
)
def test_what_is_seen_of_a_dict(change, seen) -> None:
    place = {"a": 1, "live": 3}
    looks = Looks({(id(place), "live")})
    looks.all_of(place)
    change(place)
    assert Unchanged(looks.found)() is not seen


def test_attributes_that_raise_are_a_no_and_leave_no_error() -> None:
    class Failing:
        asked = 0

        @property
        def value(self):
            Failing.asked += 1
            raise RuntimeError("no value today")

    def variable():
        def inner():
            return inside  # noqa: F821

        inside = 1
        cell = inner.__closure__[0]
        same = attributes(("cell_contents", [cell], [1]))
        assert same()
        del inside
        return same

    assert not attributes(("value", [Failing()], [1]))() and Failing.asked == 1
    assert not variable()()


def test_nothing_is_held_or_let_go_by_asking() -> None:
    value, holder, place = object(), Holder(), {}
    holder.slot = place["a"] = value
    row = [value]
    looks = Looks(set())
    looks.all_of(place)
    looks.inside(row, 1)
    same = Unchanged(looks.found) + attributes(("slot", [holder], [value]))
    same()
    gc.collect()
    before = sys.getrefcount(value)
    for _ in range(1000):
        assert same()
    holder.slot = None
    for _ in range(1000):
        assert not same()
    assert sys.getrefcount(value) == before - 1


def test_slots_of_our_own_classes_are_read_where_they_lie() -> None:
    t = ag.ones(2).requires_grad_()
    same = attributes(*((name, [t], [getattr(t, name)]) for name in ("value", "node", "leaf", "origin")))
    assert set(same.table[:, 0]) == {WORD} and same()
    for name, other in [("value", np.ones(2)), ("node", None), ("leaf", None), ("origin", 1)]:
        before = getattr(t, name)
        setattr(t, name, other)
        assert not same()
        setattr(t, name, before)
        assert same()
