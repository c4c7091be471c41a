"""The pool of threads: right results for any number of threads, from any thread, in any process, and an orderly end."""

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.kernels import _threads
from autograd_core.kernels._jit import COMPILED, Late, inline, kernel

PROGRAMS = Path(__file__).parent / "ground" / "programs.py"
compiled = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
for_chunks = Late("_native", "for_chunks")


@inline
def twice(x):
    return x + x


@kernel(chunks=True)
def mix(begin, end, x, out):
    for i in range(begin, end):
        out[i] = twice(x[i]) + begin


@kernel(chunks=True)
def outer(begin, end, pool, x, out):
    for i in range(begin, end):
        for_chunks(pool, mix, len(x), 16, (x, out[i]))


@kernel(chunks=True)
def careless(begin, end, x, out):
    if begin == 0:
        raise ValueError
    for i in range(begin, end):
        out[i] = x[i]


@kernel(chunks=True)
def alone(begin, end):
    pass


def expected(n, grain):
    return 2.0 * np.arange(n) + np.arange(n) // grain * grain


def regions(seed, count, bad):
    """Regions of many sizes; those with a wrong result are noted."""
    draw = random.Random(seed)
    for _ in range(count):
        n, grain = draw.choice((1, 2, 10, 1000, 5000, 40_000)), draw.choice((1, 3, 64, 1000, 4096))
        out = np.full(n, -1.0)
        mix(n, grain, np.arange(float(n)), out)
        if not np.array_equal(out, expected(n, grain)):
            bad.append((n, grain))


@pytest.fixture(autouse=True)
def usual_threads():
    """Leave the number of threads as it was."""
    usual = ag.get_num_threads()
    yield
    ag.set_num_threads(usual)


@pytest.mark.parametrize("threads", [1, 2, 3, 17])
@pytest.mark.parametrize("callers", [1, 5])
def test_regions_from_several_python_threads(threads, callers):
    ag.set_num_threads(threads)
    bad = []
    running = [threading.Thread(target=regions, args=(seed, 400 if COMPILED else 4, bad)) for seed in range(callers)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert not bad


def test_the_number_of_threads_changes_while_regions_run():
    bad, stop = [], threading.Event()

    def change():
        draw = random.Random(0)
        while not stop.is_set():
            ag.set_num_threads(draw.randint(1, 12))
            time.sleep(draw.random() * 1e-3)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        regions(1, 2000 if COMPILED else 4, bad)
    finally:
        stop.set()
        changing.join()
    assert not bad


def test_workers_that_sleep_are_woken_and_those_that_come_late_do_no_harm():
    ag.set_num_threads(4)
    bad, draw = [], random.Random(0)
    for seed in range(200 if COMPILED else 2):
        regions(seed, 3, bad)
        time.sleep(draw.random() * 4e-4)
    assert not bad


@compiled
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads cannot be told where to run")
@pytest.mark.skipif(os.cpu_count() == 1, reason="there is one core")
def test_a_worker_that_is_woken_keeps_away_from_the_core_of_who_wakes_it():
    ag.set_num_threads(2)
    usual, x = os.sched_getaffinity(0), np.zeros(1 << 22)
    if len(usual) == 1:
        pytest.skip("this process may use one core")
    until = time.monotonic() + 10
    while not (kept := int(_threads.state[_threads.NUMBERS + _threads.MOST])) and time.monotonic() < until:
        mix(len(x), 1 << 15, x, np.empty_like(x))
        time.sleep(0.01)  # it sleeps
    assert os.sched_getaffinity(_threads._workers[0].native_id) == usual - {kept - 1}


def kinds():
    """What is kept of kinds of regions: which, alone, alone and shared with what comes after, turns."""
    return _threads.state[_threads.COSTS :].reshape(-1, _threads.EACH)


def only_kind(x, out):
    """Where `mix(999, 10, x, out)` is kept, alone."""
    mix(999, 999, x, out)  # it is compiled
    kinds()[:] = 0
    mix(999, 10, x, out)
    (kind,) = np.flatnonzero(kinds()[:, 0])
    return kinds()[kind]


@compiled
@pytest.mark.parametrize(
    ("turn", "shared", "opens", "then"),
    [
        (0, 0, False, range(1, 65)), (63, 0, False, [64]), (64, 0, True, [64, 65]), (79, 0, True, [79, 80]),
        (80, 37_900, True, [80, 81]), (80, 38_100, False, [81]), (4096, 38_100, False, [0]),
    ],
)  # fmt: skip
def test_a_region_is_shared_if_that_was_quicker_with_what_came_after_it(turn, shared, opens, then):
    x, out = np.zeros(999), np.zeros(999)
    ag.set_num_threads(2)
    kind = only_kind(x, out)

    def two_regions():  # the second ends the turn of the first
        kind[1:5] = 20_000, 40_000, shared, turn
        _threads.state[_threads.TRIED] = 0
        before = int(_threads.state[_threads.GENERATION])
        mix(999, 10, x, out)
        opened = int(_threads.state[_threads.GENERATION]) > before
        mix(999, 20, x, out)
        return opened

    assert two_regions() == opens
    assert kind[4] in then
    ag.set_num_threads(1)  # what could not have been shared says nothing
    two_regions()
    assert kind[4] == turn if opens else kind[4] in then


@compiled
def test_what_comes_after_a_region_counts_up_to_a_bound():
    x, out = np.zeros(999), np.zeros(999)
    ag.set_num_threads(2)
    kind = only_kind(x, out)
    kind[1:5] = 20_000, 0, 0, 0
    _threads.state[_threads.TRIED] = 0
    mix(999, 10, x, out)
    assert kind[2] == 0, "its turn has not ended"
    time.sleep(0.001)
    mix(999, 20, x, out)
    assert kind[4] == min(1 + kind[2] // 32_000, 64) and kind[2] == kind[1] + 50_000


@compiled
def test_a_region_that_took_long_once_is_tried_anew():
    x, out = np.zeros(999), np.zeros(999)
    ag.set_num_threads(2)
    kind = only_kind(x, out)
    kind[1:5] = 3_000, 90_000, 10, 100  # never shared, and what was found another time
    mix(999, 10, x, out)
    assert not kind[2:5].any()
    kind[1:5] = 20_000, 10, 90_000, 4096  # so is one that was found long ago
    mix(999, 10, x, out)
    mix(999, 20, x, out)
    assert kind[1] == 20_000 and not kind[2:5].any()


def test_processors_that_share_a_core_count_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 5}, raising=False)
    assert _threads._cores(str(tmp_path)) == 4, "the system does not say"
    (tmp_path / "smt").mkdir()
    (tmp_path / "smt" / "active").write_text("0\n")
    assert _threads._cores(str(tmp_path)) == 4
    (tmp_path / "smt" / "active").write_text("1\n")
    assert _threads._cores(str(tmp_path)) == 4, "nor which share one"
    for k, siblings in {0: "0,4", 1: "1,5", 2: "2,6", 5: "1,5"}.items():
        (tmp_path / f"cpu{k}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{k}" / "topology" / "thread_siblings_list").write_text(f"{siblings}\n")
    assert _threads._cores(str(tmp_path)) == 3
    (tmp_path / "cpu5" / "topology" / "thread_siblings_list").write_bytes(b"\n")
    assert _threads._cores(str(tmp_path)) == 4
    (tmp_path / "cpu5" / "topology" / "thread_siblings_list").write_bytes(b"\xff\xfe")
    assert _threads._cores(str(tmp_path)) == 4
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(), raising=False)
    assert _threads._cores(str(tmp_path)) == 1


@compiled
def test_a_region_within_a_region():
    ag.set_num_threads(3)
    out = np.zeros((50, 100))
    outer(50, 1, _threads.ADDRESS, np.arange(100.0), out)
    assert (out == expected(100, 16)).all()


@pytest.mark.parametrize(("count", "grain"), [(0, 1), (1, 1), (7, 3), (7, 7), (7, 8), (7, 2**62)])
def test_bounds(count, grain):
    out = np.full(count, -1.0)
    mix(count, grain, np.arange(float(count)), out)
    assert np.array_equal(out, expected(count, grain))


@compiled
def test_what_raises_in_a_chunk_is_lost_and_the_rest_is_done():
    ag.set_num_threads(3)
    x, out = np.ones(100), np.zeros(100)
    careless(100, 10, x, out)
    assert not out[:10].any() and out[10:].all()


def test_a_kernel_without_arguments():
    alone(10, 3)


def test_workers_start_when_they_are_asked_for_even_after_a_start_with_one_thread(warm_ground):
    code = """if True:
        import time
        import numpy as np
        from autograd_core.kernels import _threads, probe
        _threads.set_num_threads(1)
        assert not _threads._workers
        out = np.zeros(100)
        probe.linger(100, 1, 10, out)
        assert not _threads._workers
        _threads.set_num_threads(3)
        assert len(_threads._workers) == 2
        _threads.set_num_threads(2)
        assert len(_threads._workers) == 2 and _threads.get_num_threads() == 2
        probe.linger(100, 1, 10_000, out)
        until = time.monotonic() + 60  # the workers may still be compiling what they do
        while not _threads.state[_threads.SLEEPING :][:2].all():
            assert time.monotonic() < until, "idle workers sleep"
            time.sleep(0.01)
        before = time.process_time()
        time.sleep(0.2)
        assert time.process_time() - before < 0.02, "and cost nothing"
        probe.linger(1000, 1, 100_000, out := np.zeros(1000))
        assert out.all()
        """
    warm_ground.run("-c", code)


@pytest.mark.parametrize(
    ("variable", "threads"),
    [("1", 1), ("5", 5), ("3,2", 3), ("0", 1), ("1000", 65), ("9" * 5000, 65), ("x", None), ("", None)],
)
def test_how_many_at_first(warm_ground, variable, threads):
    code = "from autograd_core.kernels import _threads; print(_threads.get_num_threads())"
    found, usual = (int(warm_ground.run("-c", code, OMP_NUM_THREADS=v)) for v in (variable, None))
    assert found == (threads or usual) and usual >= 1


@pytest.mark.parametrize("count", [0, -1, 66])
def test_impossible_numbers_of_threads(count):
    with pytest.raises(ValueError, match=f"set_num_threads: expected 1 to 65 threads, got {count}"):
        ag.set_num_threads(count)


@pytest.mark.parametrize("count", [1.5, "2", None, True, np.True_])
def test_what_is_no_number_of_threads(count):
    with pytest.raises(TypeError, match="set_num_threads: expected a number of threads, got"):
        ag.set_num_threads(count)


NAMES = """
    fork_idle fork_within_a_region fork_of_a_fork fork_while_numba_is_imported fork_while_another_draws
    pool_fork pool_spawn pool_forkserver futures
    exit_asleep exit_at_once exit_within_regions exit_within_an_endless_chunk exit_handlers_use_kernels
    exit_after_workers_have_gone interrupt error
""".split()


@pytest.mark.skipif(sys.platform == "win32", reason="these programs fork")
@pytest.mark.parametrize("name", NAMES)
def test_threads_and_processes(warm_ground, name):
    quiet = ("-W", "ignore::DeprecationWarning")  # of newer Pythons, about any fork with threads
    warm_ground.run("-X", "dev", *quiet, "-X", "faulthandler", str(PROGRAMS), name)


def test_an_interrupt_while_something_is_compiled_is_neither_lost_nor_does_harm(ground):
    ground.run("-X", "dev", str(PROGRAMS), "interrupt_while_compiling")


FORKS = """
import os, threading, time
import numpy as np
import autograd_core as ag

x, stop = ag.tensor(np.ones((50, 999)), requires_grad=True), []

def differentiate():
    while not stop:
        ag.exp(x).sum().backward()

ag.exp(x).sum().backward()
threads = [threading.Thread(target=differentiate) for _ in range(6)]
for t in threads:
    t.start()
for _ in range(20):
    time.sleep(0.01)
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
stop.append(True)
for t in threads:
    t.join()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="this program forks")
def test_forks_while_threads_look_at_gradients_of_float64():
    env = {
        **os.environ,
        "PYTHONWARNINGS": "ignore",
        "OPENBLAS_NUM_THREADS": "2",
    }  # whose own wait for ever after a fork
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=300, env=env)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="this program forks")
def test_fork_while_another_thread_compiles(ground):
    ground.run("-W", "ignore::DeprecationWarning", str(PROGRAMS), "fork_while_compiling")
