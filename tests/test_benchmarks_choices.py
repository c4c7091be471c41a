"""What is measured of choices of kernels: from which size on compiled code is quicker, and where a second thread pays."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.kernels._jit import CHOICES, COMPILED
from benchmarks import threads, thresholds

compiled = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")


@compiled
def test_two_threads_are_measured_beside_one(monkeypatch, capsys):
    """Each turn has the number of threads that it says; afterwards there are as many as before."""
    monkeypatch.setattr(threads, "SIZES", [64, 4096])
    monkeypatch.setattr(threads, "ROUNDS", 2)
    monkeypatch.setattr(threads.method, "SETTLE", 0.0)
    monkeypatch.setattr("sys.argv", ["threads", "matmul.matmul"])
    before, used = ag.get_num_threads(), []
    real = threads.method.turn
    monkeypatch.setattr(threads.method, "turn", lambda *given: (used.append(ag.get_num_threads()), real(*given))[1])
    threads.main()
    assert ag.get_num_threads() == before and used == [1, 2, 2, 1] * 2
    title, line = capsys.readouterr().out.splitlines()
    name, *found = line.split()
    assert name == "matmul.matmul" and [int(pair.split(":")[0]) for pair in found] == [64, 4096]
    assert all(float(pair.split(":")[1].rstrip("!")) > 0 for pair in found)


@compiled
def test_slower_on_two_threads_is_marked(monkeypatch, capsys):
    """Of what takes twice as long on two, every size."""
    monkeypatch.setattr(threads, "SIZES", [64])
    monkeypatch.setattr("sys.argv", ["threads", "matmul.matmul"])
    monkeypatch.setattr(threads.method, "turn", lambda *given: float(ag.get_num_threads()))
    monkeypatch.setattr(threads.method, "often_enough", lambda work, seconds: (1, 1.0))
    threads.main()
    assert capsys.readouterr().out.split()[-1] == "64:2.00!"


@compiled
@pytest.mark.parametrize("program", [threads, thresholds])
def test_an_unknown_choice_is_refused(program, monkeypatch):
    monkeypatch.setattr("sys.argv", ["program", "matmul.nothing"])
    with pytest.raises(SystemExit, match="no such choice: matmul.nothing; there are .*matmul.matmul"):
        program.main()


def test_the_crossover_is_where_all_larger_sizes_are_quicker():
    assert thresholds.crossover({64: 0.5, 128: 1.2, 256: 0.9, 512: 0.4}) == 256
    assert thresholds.crossover({64: 0.5, 128: 0.4}) == 64
    assert thresholds.crossover({64: 0.5, 128: 1.1}) is None


@compiled
def test_samples_have_the_size_that_choices_are_made_by():
    given = CHOICES["matmul.matmul"].sample(np.random.default_rng(0), 4096, np.dtype("f"))
    assert CHOICES["matmul.matmul"].size(*given) == 4096
