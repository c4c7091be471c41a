"""Where NaN and Inf come from, and why gradients are missing, zero or NaN."""

import re

import numpy as np
import pytest

import autograd_core as ag


def leaf(*values: float) -> ag.Tensor:
    return ag.tensor(list(values), dtype=ag.float64, requires_grad=True)


FORWARD = {
    "log made NaN": lambda t: t.log(),
    "div made Inf": lambda t: 1 / (t - t),
    "exp made Inf": lambda t: (t * 1000 + 2000).exp(),
    "sqrt made NaN": lambda t: t.sqrt(),
}


@pytest.mark.parametrize("message", FORWARD)
def test_forward_names_the_call_the_line_and_the_inputs(message: str) -> None:
    with ag.detect_anomaly(), pytest.raises(RuntimeError) as caught:
        FORWARD[message](leaf(-1.0, 2.0)).sum()
    text = str(caught.value)
    assert text.startswith(message) and "test_anomaly.py" in text and "(2,) float64, from" in text


def test_backward_names_the_call_and_its_line() -> None:
    with ag.detect_anomaly():
        w = leaf(0.0, 4.0)
        y = w.sqrt().sum()
        with pytest.raises(
            RuntimeError, match=r"gradient of sqrt is Inf, recorded at .*test_anomaly.py:\d+ in test_backward"
        ):
            y.backward()
    assert w.grad is None


def test_values_that_come_in_infinite_are_not_reported() -> None:
    with ag.detect_anomaly():
        w = leaf(1.0, 2.0)
        masked = ag.where(np.array([True, False]), w, -np.inf)
        ag.softmax(masked, 0).sum().backward()
    assert np.isfinite(w.grad.numpy()).all()


def test_nothing_is_watched_afterwards() -> None:
    with ag.detect_anomaly():
        pass
    with np.errstate(all="ignore"):
        assert np.isnan(leaf(-1.0).log().item())


def severed(w: ag.Tensor) -> dict:
    def under_no_grad():
        with ag.no_grad():
            h = w * 2
        return h.sum()

    other = leaf(3.0)
    return {
        "The path ends at .*no_grad.*test_anomaly.py": under_no_grad,
        "No recorded call takes it as input": lambda: (other * 2).sum(),
        "The path ends at cast": lambda: w.long().sum() * other.sum(),
        "gradient is zero, first after mul": lambda: (w * 0.0).sum(),
        "gradient is zero, first after": lambda: ag.relu(w - 10).sum(),
        "gradient is NaN, first after": lambda: (w.sqrt() * (w - w) / (w - w)).sum(),
        "gradient is not zero and finite": lambda: (w * 3).sum(),
    }


@pytest.mark.parametrize("k", range(7))
def test_explain(k: int) -> None:
    w = leaf(0.5, 0.25)
    reason, f = list(severed(w).items())[k]
    with np.errstate(all="ignore"):
        text = ag.explain(w, f)
    assert re.search(reason, text), text


def test_explain_without_a_function() -> None:
    w, v = leaf(1.0), leaf(2.0)
    y = (v * 2).sum()
    y.backward()
    assert "does not depend on it" in ag.explain(w)
    assert "requires_grad is False" in ag.explain(ag.tensor(1.0))
    y = (w * 0).sum()
    y.backward(retain_graph=True)
    assert "zero, first after mul" in ag.explain(w)
    with pytest.raises(TypeError, match="expected a Tensor"):
        ag.explain(3.0)


def test_explain_after_an_ordinary_step() -> None:
    dead, poisoned, fine = leaf(1.0, 2.0), leaf(0.0, 1.0), leaf(3.0, 4.0)
    with np.errstate(all="ignore"):
        loss = (ag.relu(dead - 10) + poisoned.sqrt() * 0.0 / (poisoned - poisoned) + fine).sum()
        loss.backward()
    assert re.search("gradient was zero, first after relu", ag.explain(dead))
    assert re.search("gradient was NaN, first after (div|mul)", ag.explain(poisoned))
    del loss
    assert re.search("gradient was zero, first after relu", ag.explain(dead))


def test_gradcheck_shows_both_values_side_by_side() -> None:
    w = leaf(1.0, 2.0)
    half = lambda x: (x * x.detach()).sum()
    with pytest.raises(RuntimeError, match=r"(?s)gradcheck: output 0 by input 0.*analytic .*numeric "):
        ag.gradcheck(half, w)
    with pytest.raises(RuntimeError, match="along a random direction"):
        ag.gradcheck(half, w, fast_mode=True)
    assert ag.gradcheck(half, w, raise_exception=False) is False
    assert ag.gradcheck(lambda x: (x * x * x).sin(), w) and ag.gradgradcheck(lambda x: (x * x * x).sin(), w)
    assert ag.gradcheck(lambda x: (x * x * x).sin(), w, fast_mode=True)
    with pytest.raises(RuntimeError, match="use float64"):
        ag.gradcheck(lambda x: x * x, ag.tensor([1.0, 2.0], requires_grad=True), eps=1e-9)
    with pytest.raises(ValueError, match="no input requires gradients"):
        ag.gradcheck(half, ag.tensor(1.0))
    z = ag.tensor(np.array([1 + 2j, 0.5j]), requires_grad=True)
    assert ag.gradcheck(lambda z: z * z.conj() + z.exp(), z) and ag.gradgradcheck(lambda z: z * z, z)


def test_gradcheck_takes_two_evaluations_for_an_input_however_many_outputs_there_are() -> None:
    calls = []

    def powers(*xs):
        calls.append(1)
        return [x**n for x in xs for n in range(1, 6)] + [xs[0] * xs[1], ag.tensor(3)]

    assert ag.gradcheck(powers, [leaf(1.0, 2.0) for _ in range(4)], fast_mode=True) and len(calls) == 1 + 2 * 4
    wrong = lambda x, y: [x * y, x * y, x * y.detach()]
    with pytest.raises(RuntimeError, match="gradcheck: output 2 by input 1"):
        ag.gradcheck(wrong, [leaf(1.0, 2.0), leaf(3.0, 5.0)])
