"""Places that data says: parts of tensors that a mask or a tensor of no axes picks, in code that is compiled."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core import CaptureError

RNG = np.random.default_rng(0)


def draw(*shape):
    return ag.tensor(RNG.standard_normal(shape).astype(np.float32))


def both(f, given, replays, within=0.0):
    """f and what it compiles to on each of these, in turn, with all that they change and their gradients."""
    compiled = ag.compile(f)
    for args in given:
        found = []
        for g in (f, compiled):
            own = [a.clone().requires_grad_(a.requires_grad) if isinstance(a, ag.Tensor) else a for a in args]
            y = g(*own)
            asked = [a for a in own if getattr(a, "requires_grad", False)]
            slopes = ag.gradient((y * y).sum(), asked) if asked else []
            found.append([y.detach().numpy(), *[np.asarray(a.detach()) for a in own], *[s.numpy() for s in slopes]])
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(b, a, rtol=within, atol=within, strict=True)
    assert compiled.cache_info().replays >= replays, compiled.cache_info()
    return compiled


# --- a tensor of no axes ---------------------------------------------------------------------------------------------

READ = {
    "x[t]": lambda x, t, s: x[t] * 2,
    "x[:, t]": lambda x, t, s: x[:, t] * 2,
    "x[..., t]": lambda x, t, s: x[..., t] * 2,
    "x[t, None, s]": lambda x, t, s: x[t, None, s] * 2,
    "x[t, :, s]": lambda x, t, s: x[t, :, s] * 2,
    "x[t, s, t]": lambda x, t, s: x[t, s, t] * 2,
    "x[1, t]": lambda x, t, s: x[1, t] * 2,
    "x[-1, :, t]": lambda x, t, s: x[-1, :, t] * 2,
    "x[t, 1:, ::2]": lambda x, t, s: x[t, 1:, ::2] * 2,
    "x[t % 2, [1, 0], 1:]": lambda x, t, s: x[t % 2, [1, 0], 1:] * 2,
    "x[[1, 0], :, t]": lambda x, t, s: x[[1, 0], :, t] * 2,
    "x[s + t - s]": lambda x, t, s: x[s + t - s] * 2,
    "as uint8": lambda x, t, s: x[:, (t + 3).to(ag.uint8) % 3] * 2,
    "of a vector": lambda x, t, s: x[0, 0][t] * 2,
}


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("name", READ)
def test_reading_at_a_place_that_a_tensor_says(name, grad):
    places = [(0, 1), (2, -1), (-3, 0), (1, -3), (0, 2), (-1, 1)]
    given = [(draw(3, 3, 3).requires_grad_(grad), ag.tensor(t), ag.tensor(s)) for t, s in places]
    assert both(READ[name], given, 3, 1e-6 if grad else 0.0).cache_info().size == 1


def test_numpy_is_the_oracle_of_where_axes_go():
    x, t = RNG.standard_normal((2, 3, 4)).astype(np.float32), np.int64(1)
    for f in (lambda x, t: x[:, t] + 0, lambda x, t: x[t, :, [0, 3]] + 0, lambda x, t: x[t, None, ..., t] + 0):
        compiled = ag.compile(f)
        for _ in range(4):
            np.testing.assert_array_equal(compiled(ag.tensor(x), ag.tensor(1)).numpy(), f(x, t), strict=True)
        assert compiled.cache_info().replays == 2


def stored(x, t, v):
    x[t] = v
    return x * 2


def stored_in_a_column(x, t, v):
    x[:, t % 3] = v
    x[t, 0] = 5.0
    x[t, ..., t] = v[0]
    return x * 2


def added_to(x, t, v):
    x[t] += v
    x[:, t] *= 2
    return x * 2


def stored_in_what_was_made(x, t, v):
    y = x * 2
    y[t] = v * v
    y[t] += y[(t + 1) % 3]
    return y * 3


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("f", [stored, stored_in_a_column, added_to, stored_in_what_was_made])
def test_writing_at_a_place_that_a_tensor_says(f, grad):
    if grad and f is not stored_in_what_was_made:
        g = lambda x, t, v: f(x.clone(), t, v)
    else:
        g = f
    ask = lambda t: t.requires_grad_(grad)
    given = [(ask(draw(3, 3)), ag.tensor(t), ask(draw(3))) for t in (0, 2, -1, -3, 1, 2)]
    assert both(g, given, 3, 1e-6 if grad else 0.0).cache_info().size == 1


def test_a_ring_of_the_last_rows():
    state = {"ring": ag.zeros(3, 2), "eager": ag.zeros(3, 2)}
    ring = state["ring"]

    def push(x, at):
        ring[at % 3] = x
        return ring.sum(0)

    compiled = ag.compile(push)
    for k in range(9):
        x = draw(2)
        state["eager"][k % 3] = x
        np.testing.assert_array_equal(compiled(x, ag.tensor(k)).numpy(), state["eager"].sum(0).numpy())
    assert compiled.cache_info().replays == 7


def test_places_that_are_not_there_are_refused_as_they_are_otherwise():
    for f in (lambda x, t: x[:, t] * 2, lambda x, t: stored(x.clone(), t, 1.0), lambda x, t: x[0, t] * 2):
        compiled = ag.compile(f)
        for t in (0, 1, 2, -1):
            compiled(draw(3, 3), ag.tensor(t))
        assert compiled.cache_info().replays == 2
        for t in (3, -4):
            with pytest.raises(IndexError, match=f"{t}"):
                compiled(draw(3, 3), ag.tensor(t))


def changed_view(x, t):
    row = x[t]
    row.add_(1)
    return x * 2


def changed_base(x, t):
    y = x * 1
    row = y[t]
    y.mul_(3)
    return row * 2


def changed_base_and_returned(x, t):
    y = x * 1
    row = y[t]
    y.mul_(3)
    return row


def changed_and_put_elsewhere(x, t):
    row = x[t]
    row += 1
    x[t - 1] = row
    return x * 2


def changed_last(x, t):
    y = x * 2
    x[t].zero_()
    return y


def both_returned(x, t):
    y = x * 2
    return y, y[t]


@pytest.mark.parametrize(
    "f",
    [changed_view, changed_base, changed_base_and_returned, changed_and_put_elsewhere, changed_last, both_returned,
     lambda x, t: x[t]],
)  # fmt: skip
def test_a_view_at_such_a_place_that_would_be_missed_is_refused_with_a_fix(f):
    with pytest.raises(CaptureError, match=r"x\[t\].* for a tensor t.*clone\(\)"):
        ag.compile(f)(draw(3, 3), ag.tensor(1))


def test_rows_that_are_kept_while_the_table_changes():
    def f(x, t):
        y = x * 1
        row = y[t]
        y[t] = row * 2
        kept = y[t].clone()
        y.mul_(3)
        return kept + y

    both(f, [(draw(3, 3), ag.tensor(k)) for k in (0, 1, 2, -1, 0)], 3)


def test_inside_vmap():
    f = lambda x, t: ag.vmap(lambda row: row[t] * 2)(x) + ag.vmap(lambda row, k: row[k])(x, ag.arange(3))
    both(f, [(draw(3, 3), ag.tensor(k)) for k in (0, 1, 2, -1, 0)], 3)
