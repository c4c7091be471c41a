"""The short way to a replay, one look at everything: whatever has changed since is seen, and done as without compiling."""

import copy

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from autograd_core.compiled.quick import COUNTED
from nn import functional as F
from nn.module import register_module_forward_hook

pytestmark = pytest.mark.skipif(not COUNTED, reason="there is the long way only")


class World:
    """A network, what trains it, and its step."""

    def __init__(self, net, compiled):
        self.net = copy.deepcopy(net)
        self.opt = optim.Adam(self.net.parameters(), lr=0.01)
        self.step = ag.compile(self.trained) if compiled else self.trained

    def trained(self, x, y):
        loss = F.mse_loss(self.net(x), y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.detach()

    @property
    def numbers(self):
        return [v.numpy() for p in self.net.parameters() for v in (p.detach(), *self.opt.state[p].values())]


def worlds():
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    return World(net, True), World(net, False)


def batch(rng, like="f"):
    return tuple(rng.standard_normal((3, 3)).astype(like) for _ in range(2))


def agreed(pair, give, calls=3):
    """Both are given the same, call after call, and stay the same bit by bit but for the order of sums."""
    rng = np.random.default_rng(1)
    for _ in range(calls):
        x, y = batch(rng)
        losses = [world.step(*give(world, x, y)).item() for world in pair]
        np.testing.assert_allclose(*losses, rtol=1e-5)
        for a, b in zip(*(world.numbers for world in pair)):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def usual(world, x, y):
    return ag.tensor(x), ag.tensor(y)


def quick_pair():
    pair = worlds()
    agreed(pair, usual, 6)
    (replay,) = pair[0].step.replays()
    assert replay.quick is not None and replay.slow == 1  # all but the first replay went the short way
    return pair, replay


def test_the_short_way_is_taken_and_gives_the_same():
    pair, replay = quick_pair()
    before = replay.uses, replay.slow
    agreed(pair, usual, 5)
    assert (replay.uses, replay.slow) == (before[0] + 5, before[1]) and pair[0].step.cache_info().captures == 2


def same_twice(world, x, y):
    x = ag.tensor(x)
    return x, x


def own_memory(world, x, y):
    return ag.from_numpy(next(world.net.parameters()).value), ag.tensor(y)  # which the step changes


def with_gradient(world, x, y):
    return ag.tensor(x).requires_grad_(), ag.tensor(y)


def a_view(world, x, y):
    return ag.tensor(np.concatenate([x, x]))[:3], ag.tensor(y)


def a_part(world, x, y):
    return ag.from_numpy(np.concatenate([x, x])[:3]), ag.tensor(y)


GIVEN = {
    "lists of arrays": lambda w, x, y: (x, y),
    "turned": lambda w, x, y: (ag.from_numpy(np.asfortranarray(x)), ag.tensor(y)),
    "rows": lambda w, x, y: (ag.tensor(x[:2]), ag.tensor(y[:2])),
    "doubles": lambda w, x, y: (ag.tensor(x.astype("d")).to(ag.float32), ag.tensor(y.astype("d")).to(ag.float32)),
    "a parameter": lambda w, x, y: (nn.Parameter(ag.tensor(x)), ag.tensor(y)),
    "same twice": same_twice,
    "memory of a parameter": own_memory,
    "with a gradient": with_gradient,
    "a view": a_view,
    "a part": a_part,
}


@pytest.mark.parametrize("name", GIVEN)
def test_other_arguments(name):
    pair, _ = quick_pair()
    agreed(pair, GIVEN[name], 1 if name == "memory of a parameter" else 3)  # a second is refused, and says so
    agreed(pair, usual)


def first(world):
    return next(world.net.parameters())


def other_rate(world):
    world.opt.param_groups[0]["lr"] = 0.1


def other_betas(world):
    world.opt.param_groups[0]["betas"] = (0.5, 0.9)


def no_momentum(world):
    world.opt.param_groups[0]["betas"] = (0.0, 0.9)


def one_counter(world):
    world.opt.state[first(world)]["step"].fill_(40.0)


def no_gradients(world):
    for p in world.net.parameters():
        p.grad = None


def own_gradient(world):
    first(world).grad = ag.ones_like(first(world))


def other_values(world):
    first(world).value[...] = 0.5


def a_layer(world):
    world.net[1] = nn.ReLU()


def no_more(world):
    first(world).requires_grad_(False)


def a_hook(world):
    first(world).register_hook(lambda g: g * 0.5)


ACTS = [
    other_rate, other_betas, no_momentum, one_counter, no_gradients, own_gradient, other_values, a_layer, no_more, a_hook
]  # fmt: skip


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_what_has_changed_around_it(act):
    pair, _ = quick_pair()
    for world in pair:
        act(world)
    agreed(pair, usual, 4)


def test_a_gradient_that_is_held_stays_as_it_is():
    pair, replay = quick_pair()
    held = first(pair[0]).grad
    before = held.numpy().copy()
    agreed(pair, usual, 3)
    np.testing.assert_array_equal(held.numpy(), before)
    assert first(pair[0]).grad is not held


def test_modes():
    pair, replay = quick_pair()
    uses = replay.uses
    with ag.saved_tensors_hooks(lambda v: v, lambda v: v):
        agreed(pair, usual, 1)
    assert replay.uses == uses
    agreed(pair, usual)


def test_hooks_on_all_modules():
    pair, replay = quick_pair()
    uses, called = replay.uses, []
    handle = register_module_forward_hook(lambda *given: called.append(given))
    agreed(pair, usual, 1)
    handle.remove()
    assert replay.uses == uses and len(called) == 8
    agreed(pair, usual)


def test_another_default_type_and_other_numbers_of_arguments():
    run = ag.compile(lambda *xs: sum(x.sum() for x in xs) * 0.5)
    x = ag.ones(3)
    for _ in range(4):
        assert run(x, ag.ones(3)).item() == 3
    assert run(x).item() == 1.5 and run(x, ag.ones(3), ag.ones(3)).item() == 4.5 and run().__class__ is float
    ag.set_default_dtype("float64")
    try:
        assert run(x, ag.ones(3, dtype="float32")).item() == 3
    finally:
        ag.set_default_dtype("float32")


def test_words_by_name_go_the_long_way():
    run = ag.compile(lambda x, scale: x * scale)
    x, two, three = ag.ones(3), ag.tensor([2.0, 2.0, 2.0]), ag.tensor([3.0, 3.0, 3.0])
    for _ in range(4):
        assert run(x, two).tolist() == [2.0] * 3
    assert run(x, scale=three).tolist() == [3.0] * 3
    assert run(scale=three, x=two).tolist() == [6.0] * 3


def test_labels_that_are_out_of_bounds_raise_in_the_midst_of_a_table():
    w = ag.tensor(np.linspace(-1, 1, 12).reshape(3, 4).astype("f"))
    run = ag.compile(lambda x, y: F.cross_entropy(ag.matmul(x, w), y) * 2.0)
    x, y = ag.ones(2, 3), ag.tensor([0, 3])
    good = [run(x, y).item() for _ in range(5)]
    assert good == [good[0]] * 5 and run.replays()[0].quick is not None
    with pytest.raises(IndexError, match="7"):
        run(x, ag.tensor([0, 7]))
    assert run(x, y).item() == good[0]
