"""The same work is asked of every library."""

import numpy as np
import pytest


@pytest.mark.parametrize("f", [lambda lib, x: x.sum(), lambda lib, x: x.sum(1), lambda lib, x: x * x])
def test_gradients_in_pytorch_are_arrays_of_their_own(f, monkeypatch):
    """As `.grad` has them, and not one number that is read for all entries, which costs nothing."""
    torch = pytest.importorskip("torch")
    from benchmarks.peers.pytorch import Library

    monkeypatch.setenv("BENCHMARK_THREADS", str(torch.get_num_threads()))
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    step = Library(compiled=False).slopes(f, [x], 1)
    for _ in range(2):
        value, slope = step()
        leaf = torch.tensor(x, requires_grad=True)
        f(None, leaf).backward(torch.tensor(np.random.default_rng(1).standard_normal(value.shape).astype(np.float32)))
        assert 0 not in slope.stride() and torch.equal(slope, leaf.grad)
