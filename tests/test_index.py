"""Indexing against NumPy and PyTorch: values, gradients, changes in place, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.op import REGISTRY
from autograd_core.testing import PROPERTIES, check

PRIMITIVES = ["index", "add_entries", "index_put", "gather", "add_along", "scatter", "others", "repeat_interleave"]


@pytest.mark.parametrize("prop", PROPERTIES, ids=lambda p: p.__name__)
@pytest.mark.parametrize("name", PRIMITIVES)
def test_primitives(name, prop):
    assert check(REGISTRY[name], rounds=2, properties=[prop]) > 0


# --- reading ---------------------------------------------------------------------------------------------------------


def integer_arrays(n, shapes=((), (2,), (3,), (1,), (2, 3), (0,))):
    if n == 0:
        return st.just(np.zeros((0,), np.int64))
    return st.sampled_from(shapes).flatmap(
        lambda s: st.lists(st.integers(-n, n - 1), min_size=int(np.prod(s)), max_size=int(np.prod(s))).map(
            lambda v: np.array(v, np.int64).reshape(s)
        )
    )


@st.composite
def indices(draw, shape):
    """Any mixture of what NumPy accepts, in which index arrays broadcast more often than not."""
    arrays = draw(st.sampled_from([((2,), (), (1,)), ((3,),), ((2, 3), (3,), ()), ((0,), ())]))
    items, axis, dots = [], 0, False
    while axis < len(shape) and len(items) < 6:
        n = shape[axis]
        kind = draw(
            st.sampled_from(["int", "slice", "slice", "array", "array", "mask", "none", "dots", "bool", "stop"])
        )
        if kind == "stop":
            break
        if kind == "none":
            items.append(None)
        elif kind == "bool":
            items.append(draw(st.sampled_from([True, np.True_, np.array(True), False])))
        elif kind == "dots":
            if not dots:
                items.append(...)
                axis, dots = draw(st.integers(axis, len(shape))), True
        elif kind == "int":
            if n:
                items.append(
                    draw(st.integers(-n, n - 1).flatmap(lambda k: st.sampled_from([k, np.int32(k), np.array(k)])))
                )
            axis += bool(n)
            if not n:
                items.append(slice(None))
                axis += 1
        elif kind == "slice":
            limit = st.none() | st.integers(-n - 1, n + 1)
            items.append(slice(draw(limit), draw(limit), draw(st.sampled_from([None, 1, 2, -1, -2, 3]))))
            axis += 1
        elif kind == "array":
            items.append(draw(integer_arrays(n, arrays)))
            axis += 1
        else:
            count = draw(st.integers(1, min(2, len(shape) - axis)))
            part = shape[axis : axis + count]
            if dots and 0 in part:  # NumPy fits a mask of nothing to any axis
                continue
            bits = draw(st.lists(st.booleans(), min_size=int(np.prod(part)), max_size=int(np.prod(part))))
            items.append(np.array(bits, bool).reshape(part))
            axis += count
    return tuple(items)


SHAPES = st.lists(st.integers(0, 4) | st.integers(2, 3), max_size=4).map(tuple)
CASES = SHAPES.flatmap(lambda s: st.tuples(st.just(s), indices(s)))


def as_tensors(index):
    return tuple(ag.tensor(i) if isinstance(i, np.ndarray) else i for i in index)


def scattered(shape, index, g):
    """The gradient of indexing, by NumPy alone."""
    places = np.arange(int(np.prod(shape))).reshape(shape)[index]
    flat = np.zeros(int(np.prod(shape)))
    for p, v in zip(np.ravel(places), np.ravel(g)):
        flat[p] += v
    return flat.reshape(shape)


@given(CASES, st.booleans())
@settings(max_examples=200, deadline=None)
def test_getitem_is_numpys(case, tensors):
    shape, index = case
    a = np.random.default_rng(0).standard_normal(shape)
    x = ag.tensor(a, requires_grad=True)
    try:
        expected = a[index]
    except IndexError:
        with pytest.raises(IndexError, match="getitem"):
            x[as_tensors(index) if tensors else index]
        return
    y = x[as_tensors(index) if tensors else index]
    np.testing.assert_array_equal(y.value, expected)
    w = np.random.default_rng(1).standard_normal(np.shape(expected))
    (g,) = ag.gradient((y * w).sum(), [x])
    np.testing.assert_allclose(g.value, scattered(shape, index, w), atol=1e-12)


@given(CASES, st.data())
@settings(max_examples=200, deadline=None)
def test_setitem_is_numpys(case, data):
    shape, index = case
    rng = np.random.default_rng(0)
    a = rng.standard_normal(shape)
    try:
        part = a[index].shape
    except IndexError:
        return
    value_shape = tuple(n if data.draw(st.booleans()) else 1 for n in part)[data.draw(st.integers(0, len(part))) :]
    v = rng.standard_normal(value_shape)
    expected = a.copy()
    try:
        expected[index] = v
    except (ValueError, IndexError):  # an index of nothing that NumPy reads but does not write
        return
    x, t = ag.tensor(a, requires_grad=True), ag.tensor(v, requires_grad=True)
    y = x * 1
    y[index] = t
    np.testing.assert_array_equal(y.value, expected)
    w = rng.standard_normal(shape)
    gx, gv = ag.gradient((y * w).sum(), [x, t], allow_unused=True)
    # the same by bookkeeping: from which entry of x, or of v, does each entry of the result come?
    source = np.arange(a.size).reshape(shape)
    source[index] = -1 - np.arange(v.size).reshape(v.shape)
    ex, ev = np.zeros(a.size), np.zeros(v.size)
    for s, g in zip(source.ravel(), w.ravel()):
        if s >= 0:
            ex[s] += g
        else:
            ev[-1 - s] += g
    np.testing.assert_allclose(gx.value if gx is not None else np.zeros(shape), ex.reshape(shape), atol=1e-12)
    np.testing.assert_allclose(gv.value if gv is not None else np.zeros(v.shape), ev.reshape(v.shape), atol=1e-12)


BASIC = [
    0,
    -1,
    slice(1, None),
    slice(None, None, -1),
    (slice(None), 1),
    None,
    ...,
    (..., None, 2),
    (slice(2, 0, -1), -1),
    (1, 2),
    (),
]


@pytest.mark.parametrize("index", BASIC, ids=str)
def test_basic_indexing_makes_views(index):
    x = ag.tensor(np.arange(12.0).reshape(3, 4))
    y = x[index]
    assert np.shares_memory(y.value, x.value) and y.value.shape == x.value[index].shape
    y.zero_() if hasattr(y, "zero_") else y.write(0.0)
    assert (x.value[index] == 0).all()


@pytest.mark.parametrize("index", [[0, 1], np.array([True, False, True]), ([0], slice(None)), (0, [1, 2]), True])
def test_advanced_indexing_copies(index):
    x = ag.tensor(np.arange(12.0).reshape(3, 4))
    assert not np.shares_memory(x[index].value, x.value)


def test_indices_of_every_kind():
    a = np.arange(12.0).reshape(3, 4)
    x, one = ag.tensor(a), ag.tensor(1)
    assert x[one].value.tolist() == a[1].tolist() and np.shares_memory(x[one].value, x.value)
    assert x[one, one].value == a[1, 1]
    assert x[ag.tensor(0) : ag.tensor(2)].shape == (2, 4)
    assert x[[ag.tensor(0), ag.tensor(2)]].shape == (2, 4)
    assert x[x > 5].value.tolist() == a[a > 5].tolist()
    assert x[ag.tensor([True, False, True]), one].value.tolist() == a[[0, 2], 1].tolist()
    assert x[np.array([0, 2], np.uint8)].shape == (2, 4)
    assert x[[]].shape == (0, 4)
    assert x[np.int64(1), np.bool_(True)].shape == (1, 4)
    assert x[((0, 1),)].shape == (2, 4)


@pytest.mark.parametrize(
    "index, error, message",
    [
        (5, IndexError, r"getitem: index 5 is out of .*3.*\(3, 4\)"),
        ((0, -5), IndexError, r"getitem: index -5 .*\(3, 4\)"),
        ((0, 0, 0), IndexError, r"getitem: .*too many|getitem: 3 indices"),
        ((..., ...), IndexError, r"getitem: .*ellipsis"),
        (1.5, IndexError, r"getitem: 1.5 is no index; a tensor of shape \(3, 4\)"),
        ("a", IndexError, r"getitem: 'a' is no index"),
        (
            [0, 3],
            IndexError,
            r"getitem: index 3 is out of range for an axis of 3 entries; the tensor has shape \(3, 4\)",
        ),
        (([0, 0], [0, -5]), IndexError, r"getitem: index -5 is out of range for an axis of 4"),
        (([0, 1], [0, 1, 2]), IndexError, r"getitem: .*broadcast"),
        (([0, 1], [0], 1), IndexError, r"getitem: 3 indices for a tensor with 2 axes"),
        (np.array([True, False]), IndexError, r"getitem: a mask of shape \(2,\) does not fit"),
        (np.array([0.5]), IndexError, r"getitem: an array of float64 is no index"),
        (slice(0.5, 2), TypeError, r"getitem: slices are made of integers"),
        ([[0], [1, 2]], IndexError, r"getitem: .*lengths"),
    ],
    ids=str,
)
def test_getitem_errors(index, error, message):
    with pytest.raises(error, match=message):
        ag.tensor(np.zeros((3, 4)))[index]


@pytest.mark.parametrize(
    "index, value, error, message",
    [
        (0, np.zeros(3), ValueError, r"setitem: a value of shape \(3,\) does not fit .* \(4,\)"),
        ([0, 1], np.zeros((3, 4)), ValueError, r"setitem: a value of shape \(3, 4\) does not fit .* \(2, 4\)"),
        ([0, 5], 1.0, IndexError, r"setitem: index 5 is out of range"),
        (7, 1.0, IndexError, r"setitem: index 7 is out of range"),
        (0, 1j, TypeError, r"setitem: a value of complex128"),
        ("k", 1.0, IndexError, r"setitem: 'k' is no index"),
    ],
    ids=str,
)
def test_setitem_errors_change_nothing(index, value, error, message):
    x = ag.tensor(np.arange(12.0).reshape(3, 4))
    with pytest.raises(error, match=message):
        x[index] = value
    assert (x.value == np.arange(12.0).reshape(3, 4)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_a_mask_takes_a_number_of_numpys(dtype):
    x, number = np.arange(6).reshape(2, 3).astype(dtype), np.dtype(dtype).type(7)
    t, rows = ag.tensor(x), np.array([True, False])
    for index in (x > 3, (rows, slice(None)), (Ellipsis, x[0] > 1)):
        x[index] = t[index] = number
    np.testing.assert_array_equal(t.numpy(), x)


def test_setitem_of_types_and_leaves():
    n = ag.tensor([1, 2, 3])
    with pytest.raises(TypeError, match="setitem: a value of float"):
        n[0] = ag.tensor(1.5)
    n[1:] = ag.tensor(7)
    assert n.value.tolist() == [1, 7, 7]
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    for index in (0, [0, 1], x.detach() > 1):
        with pytest.raises(RuntimeError, match="leaf"):
            x[index] = 0.0
    assert x.value.tolist() == [1.0, 2.0]
    with ag.no_grad():
        x[0] = 5
    assert x.value.tolist() == [5.0, 2.0] and x.value.dtype == np.float32


# --- changes in place, each against a function of x and v without any -------------------------------------------------


def through_view(y, v):
    y[1][::-1] = v * v


def row_then_mask(y, v):
    y[0] = v
    y[y > 0.3] = 0.5
    y[2] *= 2


def masked_by_values(y, v):
    y[y < 0] = v[0] * y[y < 0] ** 2


def views_of_views(y, v):
    z = y.T[1:]
    z[0] += v[:3]
    w = z[::-1, 1:]
    w[...] = w.clone() * v[1]
    y[0, 0] = w.sum()


def repeated(y, v):
    y[[0, 0, 2]] = v[None] * np.array([[1.0], [2.0], [3.0]])


def accumulated_in_a_loop(y, v):
    for k in range(3):
        y[k] = y[k - 1].clone() * v + k
        y[:, k] += 1


def integer_and_slice(y, v):
    y[[2, 1], ::2] = v[:2]
    y[:, [3, 0]] *= y[:, [0, 3]]


def read_before_and_after(y, v):
    before = y[1].clone() ** 2
    y[1] = v
    y[2] = before + y[1] * 3


ROWS = np.arange(3)[:, None]
FUNCTIONAL = {
    through_view: lambda x, v: ag.where(ROWS == 1, ag.flip(v * v, 0), x),
    row_then_mask: lambda x, v: _doubled_last(_capped(ag.where(ROWS == 0, v, x))),
    masked_by_values: lambda x, v: ag.where(x < 0, v[0] * x**2, x),
    repeated: lambda x, v: ag.where(ROWS == 0, 2 * v, ag.where(ROWS == 2, 3 * v, x)),
    read_before_and_after: lambda x, v: ag.where(ROWS == 1, v, ag.where(ROWS == 2, x[1] * x[1] + 3 * v, x)),
}


def _capped(x):
    return ag.where(x > 0.3, 0.5, x)


def _doubled_last(x):
    return ag.where(ROWS == 2, 2 * x, x)


def changed(f, x, v):
    y = x * 1
    f(y, v)
    return y


@pytest.mark.parametrize("f", FUNCTIONAL, ids=lambda f: f.__name__)
def test_changes_in_place_are_functions(f):
    rng = np.random.default_rng(3)
    x, v = (
        ag.tensor(rng.standard_normal((3, 4)), requires_grad=True),
        ag.tensor(rng.standard_normal(4), requires_grad=True),
    )
    w = rng.standard_normal((3, 4))
    a, b = changed(f, x, v), FUNCTIONAL[f](x, v)
    np.testing.assert_allclose(a.value, b.value)
    for g, e in zip(ag.gradient((a * w).sum(), [x, v]), ag.gradient((b * w).sum(), [x, v])):
        np.testing.assert_allclose(g.value, e.value, atol=1e-12)


IN_PLACE = [*FUNCTIONAL, views_of_views, accumulated_in_a_loop, integer_and_slice]


@pytest.mark.parametrize("f", IN_PLACE, ids=lambda f: f.__name__)
def test_changes_in_place_by_differences(f):
    rng = np.random.default_rng(5)
    xs = [
        ag.tensor(rng.standard_normal((3, 4)) + 0.01, requires_grad=True),
        ag.tensor(rng.standard_normal(4), requires_grad=True),
    ]
    assert ag.gradcheck(lambda x, v: changed(f, x, v), xs)
    assert ag.gradgradcheck(lambda x, v: changed(f, x, v) ** 2, xs)


@pytest.mark.parametrize(
    "f", [f for f in IN_PLACE if f is not repeated and f is not through_view], ids=lambda f: f.__name__
)
def test_changes_in_place_are_pytorchs(f):
    torch = pytest.importorskip("torch")
    if f is views_of_views:
        f = lambda y, v: _views_of_views_without_negative_steps(y, v)
    rng = np.random.default_rng(5)
    arrays = [rng.standard_normal((3, 4)), rng.standard_normal(4)]
    w = rng.standard_normal((3, 4))
    ours = [ag.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, z = changed(f, *ours), changed(f, *theirs)
    np.testing.assert_allclose(y.value, z.detach().numpy())
    (z * torch.tensor(w)).sum().backward()
    for g, t in zip(ag.gradient((y * w).sum(), ours), theirs):
        np.testing.assert_allclose(g.value, t.grad.numpy(), atol=1e-12)


def _views_of_views_without_negative_steps(y, v):
    z = y.T[1:]
    z[0] += v[:3]
    w = z[1:, 1:]
    w[...] = w.clone() * v[1]
    y[0, 0] = w.sum()


def test_augmented_assignment_records_once():
    x = ag.tensor(np.ones(3), requires_grad=True)
    y = x * 2
    y[1] += 5
    assert y.grad_fn.name == "put_view" and y.grad_fn.parents[0].name == "mul"
    assert ag.gradient(y.sum(), [x])[0].value.tolist() == [2, 2, 2]


def test_forward_mode_and_batches_through_assignment():
    def f(x, v):
        y = x * 1
        y[0] = v
        y[y > 0.5] *= 2
        y[[1, 2]] = y[[2, 1]] * v
        return y

    def g(x, v, i):
        y = x * 1
        y[i] = v * 2
        y[:, i] += 1
        y[0, :2] = v[i]
        return y

    rng = np.random.default_rng(0)
    x, v, dx, dv = (
        rng.standard_normal((3, 3)),
        rng.standard_normal(3),
        rng.standard_normal((3, 3)),
        rng.standard_normal(3),
    )
    y, t = ag.jvp(f, (x, v), (dx, dv))
    h = 1e-6
    at = lambda s: np.asarray(f(ag.tensor(x + s * dx), ag.tensor(v + s * dv)).value)
    np.testing.assert_allclose(np.asarray(getattr(t, "value", t)), (at(h) - at(-h)) / (2 * h), atol=1e-7)
    xs, vs, ks = rng.standard_normal((4, 3, 3)), rng.standard_normal((4, 3)), np.array([0, 2, 1, 2])
    out = ag.vmap(g)(ag.tensor(xs), ag.tensor(vs), ag.tensor(ks))
    for k in range(4):
        np.testing.assert_allclose(out.value[k], g(ag.tensor(xs[k]), ag.tensor(vs[k]), int(ks[k])).value)


@pytest.mark.parametrize("batched", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize(
    "index",
    [
        lambda i: i,
        lambda i: (slice(None), i),
        lambda i: (i, slice(None), i),
        lambda i: (0, slice(1, 3), i),
        lambda i: (..., i[0], None),
    ],
)
def test_batches_of_indices(index, batched):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 3, 3, 3) if batched[0] else (3, 3, 3))
    i = rng.integers(-3, 3, (5, 2) if batched[1] else (2,))
    f = lambda x, i: (x[index(i)] ** 2).sum()
    dims = tuple(0 if b else None for b in batched)
    y = ag.vmap(lambda x, i: x[index(i)], in_dims=dims)(ag.tensor(x), ag.tensor(i))
    g = ag.vmap(ag.grad(f), in_dims=dims)(ag.tensor(x), ag.tensor(i))
    for k in range(5):
        xk, ik = ag.tensor(x[k] if batched[0] else x), ag.tensor(i[k] if batched[1] else i)
        np.testing.assert_allclose(y.value[k], xk.value[index(ik.value)])
        np.testing.assert_allclose(g.value[k], ag.grad(f)(xk, ik).value)


def test_masks_that_differ_over_a_batch_are_refused():
    with pytest.raises(RuntimeError, match="where"):
        ag.vmap(lambda x: x[x > 0].sum())(ag.tensor(np.ones((2, 3))))


# --- functions, against PyTorch --------------------------------------------------------------------------------------

R = np.random.default_rng(7)
X, V = R.standard_normal((4, 3)), R.standard_normal(12)
D = R.permutation(12).reshape(4, 3) * 0.37
P43, P23 = np.argsort(R.random((4, 3)), 0), np.argsort(R.random((2, 3)), 1)
I43, I23, I3, I4 = R.integers(0, 4, (4, 3)), R.integers(0, 3, (2, 3)), np.array([2, 0, 2]), np.array([1, 2, 0, 1])
S, S23, S33, S4 = (
    R.standard_normal((5, 4)),
    R.standard_normal((2, 3)),
    R.standard_normal((3, 3)),
    R.standard_normal((4, 4)),
)
M = X > 0
Z = np.where(R.random((4, 3)) < 0.4, 0.0, X)
HOW = ["sum", "prod", "mean", "amax", "amin"]

CALLS = [
    ("gather", X, 0, I43), ("gather", X, 1, I23), ("gather", X, 0, I23), ("gather", X, -1, np.zeros((0, 3), int)),
    ("gather", np.array(2.0), 0, np.array(0)), ("scatter", X, 0, P43, S[:4, :3].copy()), ("scatter", X, 1, P23, S23),
    ("scatter", X, 1, I23, 2.5), ("scatter", X, 0, P43[:0], S23[:0]), ("scatter_add", X, 0, I43, S[:4, :3].copy()),
    ("scatter_add", X, -1, I23, S23), ("scatter_add", V, 0, I4, V[:4].copy()),
    *[("scatter_reduce", X, 0, I43, D, how, {"include_self": s}) for how in HOW for s in (True, False)],
    *[("scatter_reduce", Z, 0, I43, D, how, {"include_self": s}) for how in HOW for s in (True, False)],
    *[("scatter_reduce", D, 1, I23, S23, how, {"include_self": s}) for how in HOW for s in (True, False)],
    ("index_add", X, 0, I3, S33), ("index_add", X, 1, I3, S[:4, :3].copy(), {"alpha": 2}),
    ("index_add", V, 0, I4, V[:4].copy()), ("index_copy", X, 0, np.array([3, 1]), S23),
    ("index_copy", X, 1, np.array([0, 2]), R.standard_normal((4, 2))), ("index_fill", X, 0, I3, 1.5),
    ("index_fill", X, 1, np.array([0]), -1.0),
    *[("index_reduce", X, 0, I3, S33, how, {"include_self": s}) for how in HOW[1:] for s in (True, False)],
    ("index_select", X, 0, I3), ("index_select", X, 1, I3), ("index_select", X, 1, np.array(1)),
    ("index_select", V, 0, np.zeros(0, int)), ("masked_fill", X, M, 3.0), ("masked_fill", X, M[0], -1.0),
    ("masked_fill", X[0], M, -1.0), ("masked_select", X, M), ("masked_select", X, M[:1]), ("masked_select", X[0], M),
    ("masked_scatter", X, M, V), ("masked_scatter", X, M[0], V), ("put", X, I4, V[:4].copy(), True),
    ("put", X, np.array([[0, -1]]), S23[:1, :2].copy()), ("take", X, I43), ("take", X, np.array([-1, 5])),
    ("take_along_dim", X, I43, 0), ("take_along_dim", X, I23[:1], 1), ("take_along_dim", X, np.array([3, 11])),
    ("repeat_interleave", X, 2), ("repeat_interleave", X, 3, 1), ("repeat_interleave", X, np.array([1, 0, 2, 1]), 0),
    ("repeat_interleave", X, 0, 0), ("combinations", V[:4].copy()), ("combinations", V[:4].copy(), 3),
    ("combinations", V[:3].copy(), 2, True), ("combinations", V[:2].copy(), 3),
]  # fmt: skip


def called(lib, make, name, args):
    options = args[-1] if isinstance(args[-1], dict) else {}
    args = [make(a) if isinstance(a, np.ndarray) else a for a in (args[:-1] if options else args)]
    if name == "scatter_reduce" or name == "index_reduce":
        options = {**options, "reduce": args.pop()}
    return args, getattr(lib, name)(*args, **options)


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("call", CALLS, ids=lambda c: c[0])
def test_functions_are_pytorchs(call):
    torch = pytest.importorskip("torch")
    name, *args = call
    ours, y = called(ag, lambda a: ag.tensor(a, requires_grad=a.dtype.kind == "f"), name, args)
    theirs, z = called(torch, lambda a: torch.tensor(a, requires_grad=a.dtype.kind == "f"), name, args)
    np.testing.assert_allclose(y.value, z.detach().numpy(), atol=1e-12)
    w = np.random.default_rng(0).standard_normal(y.shape)
    (z * torch.tensor(w)).sum().backward()
    leaves = [(a, b) for a, b in zip(ours, theirs) if isinstance(b, torch.Tensor) and b.requires_grad]
    for (_, b), g in zip(leaves, ag.gradient((y * w).sum(), [a for a, _ in leaves], allow_unused=True)):
        np.testing.assert_allclose(0 if g is None else g.value, 0 if b.grad is None else b.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("call", [c for c in CALLS if c[0] not in ("combinations",)], ids=lambda c: c[0])
def test_functions_to_second_order(call):
    name, *args = call
    ours = [a for a in args if isinstance(a, np.ndarray) and a.dtype.kind == "f"]

    def f(*leaves):
        given = iter(leaves)
        return called(ag, lambda a: next(given) if a.dtype.kind == "f" else a, name, args)[1] ** 2

    if all(a.size for a in args if isinstance(a, np.ndarray)):
        assert ag.gradgradcheck(f, [ag.tensor(a, requires_grad=True) for a in ours])


@pytest.mark.parametrize("accumulate", [True, False])
def test_index_put(accumulate):
    torch = pytest.importorskip("torch")
    for indices in [(I4[:2].copy(),), (I4, np.array([2, 0, 1, 0])), (M,), (None, np.array([0, 2]))]:
        a, b = ag.tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
        shape = X[tuple(slice(None) if i is None else i for i in indices)].shape
        v = R.standard_normal(shape)
        s, t = ag.tensor(v, requires_grad=True), torch.tensor(v, requires_grad=True)
        y = ag.index_put(a, tuple(None if i is None else ag.tensor(i) for i in indices), s, accumulate)
        where = tuple(slice(None) if i is None else torch.tensor(i) for i in indices)
        z = b * 1
        if accumulate:
            z = torch.index_put(
                b, tuple(torch.arange(4)[:, None] if i is None else torch.tensor(i) for i in indices), t, True
            )
        else:
            z[where] = t
        np.testing.assert_allclose(y.value, z.detach().numpy())
        z.pow(2).sum().backward()
        for g, e in zip(ag.gradient((y * y).sum(), [a, s]), (b.grad, t.grad)):
            np.testing.assert_allclose(g.value, e.numpy())


def test_ties_share_the_gradient():
    x, v = ag.tensor([1.0, 5.0], requires_grad=True), ag.tensor([3.0, 3.0, 5.0, 2.0], requires_grad=True)
    y = ag.scatter_reduce(x, 0, ag.tensor([0, 0, 1, 1]), v, "amax")
    gx, gv = ag.gradient(y.sum(), [x, v])
    assert gx.value.tolist() == [0, 0.5] and gv.value.tolist() == [0.5, 0.5, 0.5, 0]


def test_integers():
    x, i, v = ag.tensor([1, 2, 3]), ag.tensor([0, 0, 2]), ag.tensor([7, 4, 5])
    assert ag.scatter_add(x, 0, i, v).value.tolist() == [12, 2, 8]
    assert ag.scatter_reduce(x, 0, i, v, "prod").value.tolist() == [28, 2, 15]
    assert ag.scatter_reduce(x, 0, i, v, "amin", include_self=False).value.tolist() == [4, 2, 5]
    assert ag.scatter_reduce(x, 0, i, v, "mean", include_self=False).value.tolist() == [5, 2, 5]
    assert ag.scatter(x, 0, i, v, reduce="multiply").value.tolist() == [28, 2, 15]
    assert ag.scatter(x, 0, i, value=9).value.tolist() == [9, 2, 9]


def test_nonzero():
    a = np.array([[0, 1], [2, 0]])
    assert ag.nonzero(ag.tensor(a)).value.tolist() == ag.argwhere(ag.tensor(a)).value.tolist() == [[0, 1], [1, 0]]
    assert [t.value.tolist() for t in ag.nonzero(ag.tensor(a), as_tuple=True)] == [[0, 1], [1, 0]]
    assert ag.nonzero(ag.tensor(3.0)).shape == (1, 0) and [
        t.shape for t in ag.nonzero(ag.tensor(3.0), as_tuple=True)
    ] == [(1,)]
    assert ag.nonzero(ag.tensor(np.zeros(3))).shape == (0, 1)


def test_in_place_forms():
    x = ag.tensor(np.zeros((2, 3)))
    x.scatter_(0, ag.tensor([[1, 0, 1]]), ag.tensor(np.array([[1.0, 2.0, 3.0]])))
    assert x.value.tolist() == [[0, 2, 0], [1, 0, 3]]
    x.index_add_(0, ag.tensor([0, 0]), ag.tensor(np.ones((2, 3)))).masked_fill_(x > 2.5, -1).index_fill_(
        1, ag.tensor([0]), 9.0
    )
    assert x.value.tolist() == [[9, -1, 2], [9, 0, -1]]
    x.put_(ag.tensor([0, 5]), ag.tensor(np.array([4.0, 5.0]))).index_copy_(0, ag.tensor([1]), x[:1])
    assert x.value.tolist() == [[4, -1, 2], [4, -1, 2]]
    x.tril_()
    assert x.value.tolist() == [[4, 0, 0], [4, -1, 0]]


@pytest.mark.parametrize(
    "f, error, message",
    [
        (lambda x: ag.gather(x, 0, ag.tensor([0])), ValueError, r"gather: index has shape \(1,\)"),
        (lambda x: ag.gather(x, 0, ag.tensor([[9]])), IndexError, r"gather: index 9 is out of range for an axis of 2"),
        (lambda x: ag.gather(x, 0, ag.tensor([[0.5]])), TypeError, r"gather: index must hold integers, got float32"),
        (lambda x: ag.gather(x, 5, ag.tensor([[0]])), IndexError, r"gather: dim 5 is out of range"),
        (
            lambda x: ag.scatter(x, 0, ag.tensor([[4]]), 1.0),
            IndexError,
            r"scatter: index 4 is out of range for an axis of 2",
        ),
        (lambda x: ag.scatter(x, 0, ag.tensor([[1, 1, 1, 1]]), 1.0), ValueError, r"scatter: index has shape \(1, 4\)"),
        (lambda x: ag.scatter(x, 0, ag.tensor([[1]])), TypeError, r"scatter: needs src"),
        (lambda x: ag.scatter(x, 0, ag.tensor([[1]]), 1.0, reduce="max"), ValueError, r"scatter: reduce must be"),
        (
            lambda x: ag.scatter_reduce(x, 0, ag.tensor([[1]]), x, "max"),
            ValueError,
            r"scatter_reduce: reduce must be one of sum, prod",
        ),
        (lambda x: ag.scatter_add(x, 0, ag.tensor([[1, 1]]), x[:, :1]), ValueError, r"scatter_add: index has shape"),
        (
            lambda x: ag.index_add(x, 0, ag.tensor([0]), x),
            ValueError,
            r"index_add: source has shape \(2, 3\), but the 1 slices have shape",
        ),
        (lambda x: ag.index_add(x, 0, ag.tensor([0, 2]), x), IndexError, r"index_add: index 2 is out of range"),
        (lambda x: ag.index_select(x, 0, ag.tensor([[0]])), ValueError, r"index_select: index must be a vector"),
        (lambda x: ag.index_fill(x, 0, ag.tensor([0]), x), ValueError, r"index_fill: value must be one number"),
        (
            lambda x: ag.masked_fill(x, ag.tensor([1, 0, 1]), 0.0),
            TypeError,
            r"masked_fill: mask must hold truth values",
        ),
        (
            lambda x: ag.masked_fill(x, ag.tensor([True, False]), 0.0),
            ValueError,
            r"masked_fill: shapes .* do not broadcast",
        ),
        (
            lambda x: ag.masked_scatter(x, x < 1, x[0]),
            ValueError,
            r"masked_scatter: mask has 6 true entries, but source only 3",
        ),
        (lambda x: ag.take(x, ag.tensor([6])), IndexError, r"take: index 6 is out of range for an axis of 6"),
        (lambda x: ag.put(x, ag.tensor([0]), x), ValueError, r"put: index has 1 entries, source has 6"),
        (lambda x: ag.take_along_dim(x, ag.tensor([0]), 0), ValueError, r"take_along_dim: x has shape"),
        (lambda x: ag.index_put(x, (ag.tensor([0]), 1), x), TypeError, r"index_put: indices must be tensors"),
        (
            lambda x: ag.repeat_interleave(x, ag.tensor([1, 2, 3]), 0),
            ValueError,
            r"repeat_interleave: repeats must be one number or 2",
        ),
        (lambda x: ag.combinations(x), ValueError, r"combinations: expected a vector"),
    ],
)
def test_errors(f, error, message):
    with pytest.raises(error, match=message):
        f(ag.tensor(np.zeros((2, 3))))


def test_many_additions_to_one_place_do_not_lose_the_small():
    i = np.zeros(1000, int)
    x = ag.tensor(np.zeros((2, 3), np.float32), requires_grad=True)
    assert ag.gradient(x[i].sum(), [x])[0].value.tolist() == [[1000] * 3, [0] * 3]
