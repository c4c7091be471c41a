"""Compiled functions that raise: what they did before, and what their handlers do, is as without compiling."""

import types

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from nn import functional as F

GOOD, BAD = ag.tensor([0, 1]), ag.tensor([0, 7])


def attempt(f, *args):
    """What a call gives, or how it fails."""
    try:
        result = f(*args)
        return None if result is None else result.tolist()
    except (IndexError, ValueError, np.linalg.LinAlgError) as error:
        return type(error).__name__, str(error)


def buffers(compiling):
    """State that is changed before and after, and random draws."""
    words, before, after = nn.Embedding(4, 3), ag.zeros(3), ag.zeros(3)
    kept = types.SimpleNamespace(h=ag.zeros(3))

    def f(index):
        before.add_(1)
        kept.h = kept.h + 1
        drawn = ag.rand(3)
        y = words(index).sum(0)
        after.add_(1)
        return y.detach() * 0 + drawn

    return compiling(f), lambda: (before, after, kept.h, ag.rand(1))


def gradients(compiling):
    """Those that are gone before it raises, and those that an earlier walk has left."""
    net, w = nn.Linear(3, 4), nn.Parameter(ag.ones(3))

    def f(index):
        net.zero_grad()
        w.grad = None
        (w * w).sum().backward()
        loss = F.cross_entropy(net(ag.ones(2, 3)), index)
        loss.backward()
        return loss.detach()

    return compiling(f), lambda: (w.grad, *(p.grad for p in net.parameters()))


def steps(compiling):
    """Half a step: of two optimizers, and running statistics."""
    net, words = nn.BatchNorm1d(3), nn.Embedding(4, 3)
    one, two = optim.SGD(net.parameters(), lr=0.1, momentum=0.9), optim.Adam(words.parameters(), lr=0.1)
    x = ag.arange(12.0).reshape(4, 3)

    def f(index):
        one.zero_grad(), two.zero_grad()
        (net(x).tanh() * x).sum().backward()
        one.step()
        loss = words(index).sum()
        loss.backward()
        two.step()
        return loss.detach()

    return compiling(f), lambda: (*net.parameters(), *net.buffers(), words.weight)


def handled(compiling):
    """By the function itself."""
    words, state = nn.Embedding(4, 3), ag.zeros(1)

    def f(index):
        try:
            return words(index).sum().detach()
        except IndexError:
            return ag.full((), 100.0)
        finally:
            state.add_(1)

    return compiling(f), lambda: (state,)


def repaired(compiling):
    """A matrix that is not positive, helped on."""

    def f(index):
        a = ag.eye(2) * (3 - index[1]).float()
        try:
            return ag.linalg.cholesky(a)
        except np.linalg.LinAlgError:
            return ag.linalg.cholesky(a + 10 * ag.eye(2))

    return compiling(f), tuple


def whole_numbers(compiling):
    """State that is changed before a function of NumPy's that raises."""
    base, state = ag.full((2,), 2), ag.full((2,), 0)

    def f(index):
        state.add_(1)
        return base ** (3 - index + 0 * state)

    return compiling(f), lambda: (state,)


def arguments(compiling):
    """One that is changed in place before."""
    words, x = nn.Embedding(4, 3), ag.zeros(3)

    def f(index, x):
        x.add_(1)
        y = words(index).sum().detach()
        x.mul_(2)
        return y

    run = compiling(f)
    return lambda index: run(index, x), lambda: (x,)


@pytest.mark.parametrize("program", [buffers, gradients, steps, handled, repaired, whole_numbers, arguments])
def test_an_exception_in_the_middle(program):
    made = []

    def compiling(f):
        made.append(ag.compile(f))
        return made[-1]

    seen = []
    for how in (lambda f: f, compiling):
        ag.manual_seed(0)
        f, state = program(how)
        seen.append([])
        for k in range(12):
            seen[-1].append(attempt(f, BAD if k in (5, 6, 9) else GOOD))
            seen[-1].append([None if t is None else t.tolist() for t in state()])
    eager, compiled = seen
    for a, b in zip(eager, compiled, strict=True):
        assert nested_close(a, b)
    assert made[0].cache_info().replays >= 4 and made[0].cache_info().eager >= 2


def nested_close(a, b):
    """Whether nests of numbers are the same but for rounding."""
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(nested_close, a, b))
    return a == b or (isinstance(a, float) and a == pytest.approx(b, rel=1e-5, abs=1e-6))
