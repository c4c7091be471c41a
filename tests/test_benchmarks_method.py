"""The method of the benchmarks: what may be said of figures, whatever they are."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import method

times = st.floats(1e-7, 1e3)
rounds = st.lists(st.tuples(times, times), min_size=2, max_size=20)
OPPOSITE = {method.FASTER: method.SLOWER, method.SLOWER: method.FASTER, method.SAME: method.SAME}


@given(rounds)
def test_who_is_faster_does_not_depend_on_who_is_asked(pairs):
    a, b = zip(*pairs)
    here, there = method.compared(a, b), method.compared(b, a)
    assert here["low"] <= here["ratio"] <= here["high"]
    if len(pairs) % 2:  # the middle of an even number of ratios is a mean, which is not the inverse of that of inverses
        assert here["ratio"] == pytest.approx(1 / there["ratio"])
    if len(pairs) % 4 == 1:  # nor are quartiles that fall between two of them
        assert here["verdict"] == OPPOSITE[there["verdict"]]


@given(rounds, st.data())
def test_a_machine_that_changes_its_speed_changes_nothing(pairs, data):
    drift = data.draw(st.lists(st.floats(0.1, 10), min_size=len(pairs), max_size=len(pairs)))
    a, b = zip(*pairs)
    slower = [x * s for x, s in zip(a, drift)], [y * s for y, s in zip(b, drift)]
    before, after = method.compared(a, b), method.compared(*slower)
    assert [after[k] for k in ("low", "ratio", "high")] == pytest.approx([before[k] for k in ("low", "ratio", "high")])


@given(st.lists(times, min_size=2, max_size=20), st.floats(1.01, 100))
def test_what_is_always_quicker_by_the_same_factor_is_quicker(seconds, factor):
    slow = [x * factor for x in seconds]
    assert method.compared(seconds, slow)["verdict"] == method.FASTER
    assert method.compared(slow, seconds)["verdict"] == method.SLOWER
    assert method.compared(seconds, seconds)["verdict"] == method.SAME


@given(st.floats(1.0, 3.0), st.floats(1.0, 3.0), st.floats(0.3, 3.0))
def test_there_is_a_difference_only_if_it_is_larger_than_the_spread(below, above, ratio):
    low, high = ratio / below, ratio * above
    spread, difference = math.log(high / low), abs(math.log(ratio))
    if abs(spread - difference) > 1e-9:
        assert (method.verdict(low, ratio, high) == method.SAME) == (spread > difference)


@given(st.lists(times, min_size=1, max_size=30))
def test_quartiles(values):
    low, middle, high = method.quartiles(values)
    assert min(values) <= low <= middle <= high <= max(values)
    assert middle == pytest.approx(float(np.median(values)))


@given(st.integers(1, 9), st.integers(0, 50))
def test_every_way_has_its_turn_in_every_round(count, k):
    assert sorted(method.order(count, k)) == list(range(count))


@given(st.integers(3, 9))
def test_no_way_always_follows_the_same_one(count):
    turns = [i for k in range(4 * count) for i in method.order(count, k)]
    before = {i: {a for a, b in zip(turns, turns[1:]) if b == i} for i in range(count)}
    assert all(len(found - {i}) >= 2 for i, found in before.items())


@given(st.floats(0, 100), st.floats(1e-6, 100), st.integers(1, 5), st.integers(5, 15))
def test_rounds_fit_into_their_time(seconds, turn, least, most):
    count = method.rounds_within(seconds, turn, least, most)
    assert least <= count <= most
    assert count == least or count * turn <= seconds * (1 + 1e-9)


def test_tasks_are_done_in_turn():
    said = []
    tasks = [lambda i=i: said.append(i) or float(i) for i in range(3)]
    assert method.in_turn(tasks, 4) == [[0.0] * 4, [1.0] * 4, [2.0] * 4]
    assert said == [0, 1, 2, 2, 1, 0, 1, 2, 0, 0, 2, 1]


def test_work_is_repeated_until_it_takes_long_enough():
    repeat, took = method.often_enough(lambda: None, 1e-3)
    assert repeat > 10 and took < 1e-3
    calls = []
    method.turn(lambda: calls.append(1), 3, pause=0)
    assert len(calls) >= 6 and len(calls) % 3 in (0, 1, 2)
    assert len(method.pairs([lambda: None, lambda: None], 3, 1e-4)) == 2


# --- whether two results are the same --------------------------------------------------------------------------------

arrays = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=10).map(np.array).filter(lambda x: np.abs(x).max() > 1e-6)


@given(arrays, st.floats(1e-6, 0.5))
def test_results_are_the_same_within_a_part_of_the_largest_entry(x, tolerance):
    largest = np.abs(x).max()
    assert method.difference([x], [x.copy()], 0.0) == ""
    for much in (0.5, 2.0):
        y = x.copy()
        y[0] += much * tolerance * largest
        assert ("differs by" in method.difference([x], [y], tolerance)) == (much > 1)
        assert method.difference([x], [y], None) == ""


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_must_be_none_on_both_sides(bad):
    x, y = np.array([1.0, bad]), np.array([1.0, 2.0])
    assert method.distance(x, x.copy()) == 0
    assert method.distance(x, y) == method.distance(y, x) == math.inf
    assert method.distance(np.array([np.inf]), np.array([-np.inf])) == math.inf
    large = np.zeros(2 * method.PART + 3)
    large[0] = 4.0
    far = large.copy()
    far[-1] = 1.0
    assert method.distance(large, far) == 0.25  # the largest entry is in another part than the difference
    far[-1] = np.nan
    assert method.distance(large, far) == method.distance(far, large) == math.inf


def test_shapes_and_numbers_of_results_must_agree():
    assert "shape (2,) here, (1, 2)" in method.difference([np.ones(2)], [np.ones((1, 2))], None)
    assert "1 results here, 2" in method.difference([np.ones(2)], [np.ones(2)] * 2, 1.0)
    assert method.difference([np.ones(0)], [np.ones(0)], 0.0) == ""
    assert method.difference([np.arange(3)], [np.arange(3.0)], 0.0) == ""


def test_a_turn_ends_when_the_threads_of_the_process_are_asleep(monkeypatch):
    """Two looks find a thread at work, the third none; one that works on for ever is not waited for."""
    used, slept = iter([0.0, 0.004, 0.004, 0.008, 0.008, 0.008]), []
    clock = SimpleNamespace(sleep=slept.append, process_time=lambda: next(used), perf_counter=lambda: 0.0)
    monkeypatch.setattr(method, "time", clock)
    method.wait_for_sleep()
    assert slept == [method.IDLE] * 3
    monkeypatch.setattr(method, "PATIENCE", 0.0)
    method.wait_for_sleep()
    assert len(slept) == 3
