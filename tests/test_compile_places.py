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
            found.append(
                [
                    y.detach().numpy(),
                    *[a.detach().numpy() for a in own if isinstance(a, ag.Tensor)],
                    *[s.numpy() for s in slopes],
                ]
            )
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


def changed_base_of_a_part_of_a_part(x, t):
    y = x * 1
    entry = y[t][t]
    y.mul_(3)
    return entry * 2


def changed_part_of_a_part(x, t):
    y = x * 1
    y[t][t] += 1
    return y * 2


def changed_beside_another_view(x, t):
    y = x * 1
    row, same = y[t], y[t]
    row += 1
    total = same.sum()
    y[t] = row
    return y + total


def put_back_after_the_place_has_changed(x, t):
    y, at = x * 1, t * 1
    row = y[at]
    at.sub_(1)
    row += 1
    y[at] = row
    return y * 2


def put_back_into_another_view(x, t):
    y = x * 1
    row = y[t]
    row += 1
    y[1:][t] = row
    return y * 2


def counted_by_what_has_changed(x, t):
    counts = (x * 0 + 1).to(ag.int64)
    row = counts[t]
    counts.mul_(2)
    return x.repeat_interleave(row, 0)


def part_of_a_part_returned(x, t):
    return x[t][t]


def two_views_returned(x, t):
    y = x * 2
    return y[t], y[t]


@pytest.mark.parametrize(
    "f",
    [changed_view, changed_base, changed_base_and_returned, changed_and_put_elsewhere, changed_last, both_returned,
     changed_base_of_a_part_of_a_part, changed_part_of_a_part, changed_beside_another_view,
     put_back_after_the_place_has_changed, put_back_into_another_view, part_of_a_part_returned, two_views_returned,
     lambda x, t: x[t]],
)  # fmt: skip
def test_a_view_at_such_a_place_that_would_be_missed_is_refused_with_a_fix(f):
    with pytest.raises(CaptureError, match=r"x\[t\].* for a tensor t.*clone\(\)"):
        ag.compile(f)(draw(3, 3), ag.tensor(1))


def test_how_many_is_not_read_off_a_view_that_would_be_missed():
    with pytest.raises(CaptureError, match="a value leaves"):
        ag.compile(counted_by_what_has_changed)(draw(3, 3), ag.tensor(1))


def test_views_of_arrays_from_numpy_at_a_place_that_a_tensor_says():
    """NumPy asks such a tensor for a number, and so makes a view; an array of no axes makes a copy."""

    def f(x, t):
        row = x[t]
        x *= 2
        return row * 1

    x, t = np.arange(6.0, dtype=np.float32).reshape(2, 3), np.array(1)
    with pytest.raises(CaptureError, match=r"x\[t\].* for a tensor t.*clone\(\)"):
        ag.compile(f)(x.copy(), ag.tensor(1))
    compiled = ag.compile(f)
    for _ in range(4):
        np.testing.assert_array_equal(compiled(x.copy(), t), f(x.copy(), t))
    assert compiled.cache_info().replays == 2


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


# --- a mask ----------------------------------------------------------------------------------------------------------

FILLED = {  # index, shape of the value (None: a Python number), of x of shape (3, 4, 5)
    "all": (lambda x: x > 0, None),
    "all, a tensor": (lambda x: x > 0, ()),
    "all, of one entry": (lambda x: x > 0, (1,)),
    "rows": (lambda x: x[:, 0, 0] > 0, None),
    "rows, each the same row": (lambda x: x[:, 0, 0] > 0, (4, 5)),
    "rows, a part of a row": (lambda x: x[:, 0, 0] > 0, (1, 4, 1)),
    "two axes": (lambda x: x[:, :, 0] > 0, (5,)),
    "in the middle": (lambda x: (slice(None), x[0, :, 0] > 0), (3, 1, 5)),
    "at the end": (lambda x: (..., x[0, 0] > 0), (4, 1)),
    "beside numbers": (lambda x: (1, ..., x[0, 0] > 0), None),
    "numbers apart from it": (lambda x: (0, slice(1, 3), x[0, 0] > 0), ()),
    "a new axis": (lambda x: (None, slice(1, 3), x[0, :, 0] > 0), (1, 2, 1, 5)),
    "few": (lambda x: x > 2.5, ()),
    "none": (lambda x: x > 9, ()),
    "none and a row": (lambda x: x[:, 0, 0] > 9, (5,)),
}


@pytest.mark.parametrize("rows", [3, 300])
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("name", FILLED)
def test_one_value_for_all_that_a_mask_picks(name, grad, rows):
    index, shape = FILLED[name]

    def f(x, v):
        y = x * 2
        y[index(x)] = v
        return y

    given = []
    for _ in range(5):
        v = 0.5 if shape is None else draw(*[rows if n == 3 else n for n in shape]).requires_grad_(grad)
        given.append((draw(rows, 4, 5).requires_grad_(grad), v))
    for x, v in given:
        bare, own = x.detach().numpy(), x.detach().numpy() * 2
        own[index(bare)] = v if shape is None else v.detach().numpy()
        np.testing.assert_array_equal(f(x, v).detach().numpy(), own)
    both(f, given, 3, 2e-5 if grad else 0.0)


def test_gradients_of_what_a_mask_fills():
    x, v = ag.randn(4, 3, dtype=ag.float64).requires_grad_(), ag.randn(3, dtype=ag.float64).requires_grad_()

    def f(x, v):
        y = x * x
        y[x[:, 0].detach() > 0] = v
        y[y.detach() > 1] = v[1]
        return y**2

    assert ag.gradcheck(f, (x, v))


def test_what_is_picked_out_for_each_entry_is_refused_and_the_fix_is_named():
    def scaled(y):
        y = y * 1
        y[y > 0] *= 2
        return y

    def scattered(y, v):
        y = y * 1
        y[y > 0] = v[: int((y > 0).sum())]
        return y

    for f, given in ((scaled, (draw(9),)), (lambda y: y[y > 0], (draw(9),))):
        with pytest.raises(CaptureError, match=r"y = where\(mask, y \* 2, y\)"):
            ag.compile(f)(*given)
    with pytest.raises(CaptureError):
        ag.compile(scattered)(draw(9), draw(9))


@pytest.mark.parametrize("name", ["unique", "unique_consecutive", "nonzero", "argwhere", "bincount"])
def test_shapes_that_depend_on_data_are_refused_and_the_fix_is_named(name):
    with pytest.raises(CaptureError, match="depends on data; (call|use|add) "):
        ag.compile(getattr(ag, name))(ag.tensor([1, 1, 2]))


def test_a_mask_that_has_more_for_each_entry_is_as_it_was():
    x, mask = ag.zeros(4), ag.tensor([True, False, True, True])
    x[mask] = ag.tensor([1.0, 2.0, 3.0])
    assert x.tolist() == [1, 0, 2, 3]
    x[mask] = ag.ones(1, 1)
    assert x.tolist() == [1, 0, 1, 1]
    with pytest.raises(ValueError, match="setitem: a value of shape"):
        x[mask] = ag.tensor([1.0, 2.0])
    with pytest.raises(IndexError, match="mask of shape"):
        x[ag.tensor([True, False])] = 1.0
    with pytest.raises(RuntimeError, match="leaf that requires gradients"):
        ag.zeros(4, requires_grad=True)[mask] = 1.0
    flags = ag.tensor([True, False, True])
    flags[flags] = False
    assert not flags.any()


def test_a_mask_that_is_part_of_what_it_fills():
    flags = ag.tensor([[True, False, True, False]])
    flags[:, 1:][flags[:, :3]] = False
    own = np.array([[True, False, True, False]])
    own[:, 1:][own[:, :3].copy()] = False
    np.testing.assert_array_equal(flags.numpy(), own)


def test_what_was_kept_for_the_way_back_is_kept_apart_from_a_fill():
    x = draw(5).requires_grad_()
    y = x.exp()
    z = y.detach()
    z[z > 1] = 0.0
    with pytest.raises(RuntimeError, match="in place"):
        y.sum().backward()
