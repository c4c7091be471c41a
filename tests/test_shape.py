"""Shapes against PyTorch and NumPy: values, gradients, shared memory, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.op import REGISTRY
from autograd_core.testing import PROPERTIES, check

PRIMITIVES = [
    "reshape", "unsqueeze", "permute", "getitem", "put_block", "stack", "cat", "split", "unbind", "diagonal",
    "put_diagonal", "roll", "triangle", "tile", "unfold", "add_windows",
]  # fmt: skip


@pytest.mark.parametrize("prop", PROPERTIES, ids=lambda p: p.__name__)
@pytest.mark.parametrize("name", PRIMITIVES)
def test_primitives(name, prop):
    assert check(REGISTRY[name], rounds=2, properties=[prop]) > 0


R = np.random.default_rng(0)
X, C = R.standard_normal((2, 3, 4)), R.standard_normal((3, 4)) + 1j * R.standard_normal((3, 4))
M, V, S, ONE, E = (
    R.standard_normal((3, 4)),
    R.standard_normal(5),
    np.array(1.5),
    R.standard_normal((1, 3, 1)),
    np.zeros((0, 3)),
)

# function, arguments, and whether the function takes one tensor or a list of them first
CALLS = [
    ("reshape", X, (6, 4)), ("reshape", X, (-1,)), ("reshape", X, (2, -1, 2)), ("reshape", E, (3, 0)),
    ("reshape", S, (1, 1)), ("reshape", E, (0, 7)), ("flatten", X), ("flatten", X, 1), ("flatten", X, 0, 1),
    ("flatten", X, -2, -1), ("flatten", S), ("flatten", E), ("ravel", X), ("ravel", S), ("unflatten", X, 2, (2, 2)),
    ("unflatten", X, -1, (-1, 2)), ("unflatten", X, 0, (1, 2, 1)), ("squeeze", ONE), ("squeeze", ONE, 0),
    ("squeeze", ONE, 1), ("squeeze", ONE, (0, 2)), ("squeeze", S), ("squeeze", S, 0), ("unsqueeze", X, 0),
    ("unsqueeze", X, 3), ("unsqueeze", X, -1), ("unsqueeze", X, -4), ("unsqueeze", S, 0),
    ("broadcast_to", ONE, (2, 3, 4)), ("broadcast_to", S, (2,)), ("broadcast_to", ONE, (5, 2, 3, 0)),
    ("broadcast_to", ONE, (4, -1, 2)), ("tile", X, (2, 1, 3)), ("tile", X, (2,)), ("tile", V, (2, 2)),
    ("tile", X, (0, 1, 1)), ("tile", E, (2, 2)), ("permute", X, (2, 0, 1)), ("permute", X, (0, -1, -2)),
    ("permute", S, ()), ("transpose", X, 0, 2), ("transpose", X, -1, 1), ("transpose", S, 0, -1),
    ("swapaxes", X, 0, 1), ("swapdims", X, 2, 1), ("t", M), ("t", V), ("t", S), ("adjoint", C), ("adjoint", X),
    ("movedim", X, 0, -1), ("movedim", X, (0, 1), (2, 0)), ("moveaxis", X, -1, 0),
    ("movedim", X, (0, 1, 2), (1, 2, 0)), ("flip", X, (0,)), ("flip", X, (0, -1)), ("flip", X, ()), ("fliplr", X),
    ("flipud", X), ("flipud", V),
    *[("rot90", X, k, dims) for k in (-1, 0, 1, 2, 3, 6) for dims in ((0, 1), (2, 0), (-1, 1))], ("roll", X, 1),
    ("roll", X, -5), ("roll", X, 1, 0), ("roll", X, (1, 7), (0, -1)), ("roll", X, (1, 2), (1, 1)), ("roll", E, 1, 0),
    ("roll", S, 1), ("narrow", X, 1, 1, 2), ("narrow", X, -1, -2, 1), ("narrow", X, 0, 2, 0), ("select", X, 1, 2),
    ("select", X, -1, -1), ("select_scatter", X, M, 0, 1), ("select_scatter", X, X[:, :, 0].copy(), -1, -2),
    ("slice_scatter", X, X[:, 1:].copy(), 1, 1), ("slice_scatter", X, X[:, :, ::2].copy(), 2, 0, None, 2),
    ("slice_scatter", X, X[:, :, 1:3].copy(), -1, -3, -1), ("slice_scatter", X, M[None], 0, 1, 9),
    ("diagonal_scatter", M, V[:3].copy()), ("diagonal_scatter", X, X[:, 0, :3].copy(), 0, 1, 2),
    ("diagonal_scatter", M, V[:2].copy(), -1), ("unbind", X), ("unbind", X, 2), ("unbind", V), ("unbind", E, 1),
    ("split", X, 2, 1), ("split", X, 3, -1), ("split", X, [1, 0, 3], 2), ("split", E, 2), ("chunk", X, 2, 2),
    ("chunk", V, 3), ("chunk", V, 4), ("chunk", V, 9), ("chunk", E, 3), ("tensor_split", V, 3),
    ("tensor_split", V, 7), ("tensor_split", X, (1, 3), -1), ("tensor_split", V, (3, 1)),
    ("tensor_split", V, (-2, 9)), ("tensor_split", V, ()), ("hsplit", X, 3), ("hsplit", V, (1, 2)), ("vsplit", X, 2),
    ("dsplit", X, 2), ("dsplit", X, (1,)), ("diagonal", X), ("diagonal", X, 1, 1, 2), ("diagonal", X, -1, 0, -1),
    ("diagonal", X, 9), ("diag_embed", X), ("diag_embed", V, 1), ("diag_embed", X, -2, 0, 2),
    ("diag_embed", M, 1, -1, 0), ("diag_embed", V, -1, 1, 0), ("diag", V), ("diag", V, -2), ("diag", M),
    ("diag", M, 1), ("diagflat", M), ("diagflat", V, 1), ("diagflat", S), ("tril", X), ("tril", M, 1),
    ("triu", X, -1), ("triu", M, 5), ("tril", C), ("tril", E), ("constant_pad_nd", X, (1, 2)),
    ("constant_pad_nd", X, (1, 0, 0, 3), 2.5), ("constant_pad_nd", X, (-1, 2, 1, -2)),
    ("constant_pad_nd", X, (0, 0, 0, 0, 1, 1), -3.0), ("constant_pad_nd", E, (1, 1)), ("constant_pad_nd", X, ()),
    ("atleast_1d", S), ("atleast_1d", X), ("atleast_2d", S), ("atleast_2d", V), ("atleast_3d", V), ("atleast_3d", M),
    ("atleast_3d", S),
]  # fmt: skip

LISTS = [
    ("cat", [X, X[:, :1]], 1), ("cat", [X, X], -1), ("cat", [V]), ("cat", [np.zeros(0), X], 2),
    ("cat", [np.zeros(0), np.zeros(0)]), ("cat", [E, M[:, :3]]), ("concat", [M, M]), ("concatenate", [M, M], 1),
    ("stack", [X, X + 1, X]), ("stack", [X, X], -1), ("stack", [X, X], 2), ("stack", [S, S]), ("hstack", [V, V]),
    ("hstack", [S, V]), ("hstack", [X, X]), ("vstack", [V, V]), ("vstack", [M, M[:1]]), ("vstack", [M, M[0]]),
    ("row_stack", [V, V]), ("dstack", [V, V]), ("dstack", [M, M]), ("dstack", [X, X]), ("column_stack", [V, V]),
    ("column_stack", [M, M[:, 0]]), ("column_stack", [S, S]), ("cat", [M.astype(np.float32), M]), ("cat", [C, M]),
]  # fmt: skip

VARIADIC = [
    ("block_diag", M, V, S, E), ("block_diag", M), ("cartesian_prod", V, M[0], V[:2]), ("cartesian_prod", V),
    ("broadcast_tensors", X, M, S), ("broadcast_tensors", ONE, V[:, None, None]), ("atleast_1d", S, V),
    ("atleast_2d", S, V, M), ("atleast_3d", V, M, X), ("cartesian_prod", V, E[:, 0]),
]  # fmt: skip


def leaf(a, make):
    return make(a, requires_grad=True)


def compare(f, arrays, exact=True):
    """f(library, tensors) in both libraries: values, types and gradients."""
    torch = pytest.importorskip("torch")
    ours, theirs = (
        [ag.tensor(a, requires_grad=True) for a in arrays],
        [torch.tensor(a, requires_grad=True) for a in arrays],
    )
    ys, zs = f(ag, ours), f(torch, theirs)
    if not isinstance(zs, (tuple, list)):
        ys, zs = (ys,), (zs,)
    assert isinstance(ys, tuple) and len(ys) == len(zs)
    total, wanted, rng = 0, 0, np.random.default_rng(1)
    for y, z in zip(ys, zs):
        assert y.shape == tuple(z.shape) and str(y.dtype) == str(z.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(
            y.value, z.detach().resolve_conj().numpy()
        ) if exact else np.testing.assert_allclose(y.value, z.detach().numpy(), atol=1e-12)
        w = rng.standard_normal(y.shape)
        total, wanted = total + (y * w).real.sum(), wanted + torch.real(z * torch.tensor(w)).sum()
    if len(ys):
        gs = ag.gradient(total, ours, allow_unused=True)
        es = torch.autograd.grad(wanted, theirs, allow_unused=True)
        for g, e, a in zip(gs, es, arrays):
            np.testing.assert_allclose(
                np.zeros_like(a) if g is None else g.value,
                np.zeros_like(a) if e is None else e.resolve_conj().numpy(),
                atol=1e-6,
            )


@pytest.mark.parametrize("call", CALLS, ids=lambda c: c[0])
def test_functions_are_pytorchs(call):
    name, x, *rest = call
    arrays, rest = (
        [x, *[a for a in rest if isinstance(a, np.ndarray)]],
        [a for a in rest if not isinstance(a, np.ndarray)],
    )
    compare(lambda lib, ts: getattr(lib, name)(*ts, *rest), arrays)


@pytest.mark.parametrize("call", LISTS, ids=lambda c: c[0])
@pytest.mark.filterwarnings("ignore")
def test_functions_of_lists_are_pytorchs(call):
    name, arrays, *rest = call
    compare(lambda lib, ts: getattr(lib, name)(ts, *rest), arrays)


@pytest.mark.parametrize("call", VARIADIC, ids=lambda c: c[0])
@pytest.mark.filterwarnings("ignore")
def test_functions_of_several_are_pytorchs(call):
    name, *arrays = call
    compare(lambda lib, ts: getattr(lib, name)(*ts), arrays)


METHODS = [
    ("reshape", X, 6, 4), ("reshape", X, [4, -1]), ("expand", ONE, 2, -1, 4), ("expand", ONE, (5, 1, 3, 2)),
    ("expand", S, 3), ("repeat", X, 2, 1, 1, 2), ("repeat", V, (3,)), ("repeat", S, 2), ("repeat", V, 0),
    ("permute", X, 2, 1, 0), ("permute", X, [1, 0, 2]), ("flip", X, 0, 1), ("flip", X, [2]), ("tile", X, 2, 2),
    ("sum_to_size", X, 3, 1), ("sum_to_size", X, (1, 1, 4)), ("sum_to_size", X, ()), ("unfold", V, 0, 2, 1),
    ("unfold", V, 0, 2, 3), ("unfold", X, 1, 2, 1), ("unfold", X, -1, 4, 2), ("unfold", X, 2, 1, 3),
    ("transpose", X, 0, 1), ("squeeze", ONE), ("split", X, 2, 2), ("split_with_sizes", X, [1, 2], 1), ("chunk", V, 2),
    ("roll", V, 2, 0), ("movedim", X, 0, 1),
]  # fmt: skip


@pytest.mark.parametrize("call", METHODS, ids=lambda c: c[0])
def test_methods_are_pytorchs(call):
    name, x, *rest = call
    compare(lambda lib, ts: getattr(ts[0], name)(*rest), [x], exact=name != "sum_to_size")


@pytest.mark.parametrize("name", ["reshape_as", "view_as", "expand_as"])
def test_shapes_of_others(name):
    other = {"expand_as": X}.get(name, X.reshape(4, 6))
    x = ONE if name == "expand_as" else X
    compare(lambda lib, ts: getattr(ts[0], name)(lib.tensor(other)), [x])


def test_transposes():
    x, c = ag.tensor(X), ag.tensor(C)
    assert x.T.shape == (4, 3, 2) and x.mT.shape == (2, 4, 3)
    assert np.array_equal(c.H.value, C.conj().T) and np.array_equal(c.mH.value, C.conj().T)
    from autograd_core.ops import shape

    assert (
        np.array_equal(shape.H(C), C.conj().T)
        and shape.T(X).shape == (4, 3, 2)
        and np.array_equal(shape.mH(C), shape.mT(C).conj())
    )


# --- memory ----------------------------------------------------------------------------------------------------------

VIEWS = {
    "reshape": lambda x: x.reshape(6, 4), "view": lambda x: ag.view(x, -1), "flatten": lambda x: x.flatten(),
    "ravel": lambda x: x.ravel(), "squeeze": lambda x: x.squeeze(), "unsqueeze": lambda x: x.unsqueeze(1),
    "permute": lambda x: x.permute(2, 0, 1), "transpose": lambda x: x.transpose(0, 2), "T": lambda x: x.T,
    "mT": lambda x: x.mT, "swapaxes": lambda x: x.swapaxes(0, 1), "movedim": lambda x: x.movedim(0, 1),
    "narrow": lambda x: x.narrow(1, 0, 2),
    "select": lambda x: x.select(0, 1), "unbind": lambda x: x.unbind(1)[2], "split": lambda x: x.split(2, 2)[1],
    "chunk": lambda x: x.chunk(2)[0], "tensor_split": lambda x: x.tensor_split((3, 1), 2)[2],
    "diagonal": lambda x: x.diagonal(0, 1, 2), "unflatten": lambda x: x.unflatten(2, (2, 2)),
    "chain": lambda x: x[1:].mT[..., ::-1].unbind(0)[0].diagonal(),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory_and_history(name):
    f = VIEWS[name]
    x = ag.tensor(X, requires_grad=True)
    y = x * 1
    v = f(y)
    assert np.shares_memory(v.value, y.value)
    v *= 3  # through the view
    y += 1  # through the base
    changed = X.copy()
    mask = np.zeros(X.shape, bool)
    f(ag.from_numpy(mask)).fill_(True)
    changed[mask] *= 3
    np.testing.assert_allclose(y.value, changed + 1)
    np.testing.assert_allclose(v.value, f(y).value)
    (g,) = ag.gradient((v * v).sum(), [x])
    np.testing.assert_allclose(g.value, np.where(mask, 2 * 3 * (3 * X + 1), 0))


@pytest.mark.parametrize(
    "f", [lambda x: x.expand(2, 3, 4), lambda x: x.unfold(1, 2, 1), lambda x: x.broadcast_to((5, 1, 3, 1))]
)
def test_views_that_are_read_only(f):
    x = ag.tensor(ONE)
    v = f(x)
    assert np.shares_memory(v.value, x.value)
    with pytest.raises((ValueError, RuntimeError)):
        v += 1
    assert np.array_equal(x.value, ONE)
    x += 1
    assert np.array_equal(v.value, f(ag.tensor(ONE + 1)).value)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x,
        lambda x: x.T,
        lambda x: x[:, ::-1, 1:],
        lambda x: x.diagonal(0, 1, 2),
        lambda x: np.broadcast_to(x[0, 0], (2, 3, 4)),
    ],
)
def test_windows_of_any_memory(make):
    for a in (np.ascontiguousarray(make(X)), make(X.copy()), np.asfortranarray(make(X))):
        for axis in range(a.ndim):
            t = ag.from_numpy(a) if a.flags.writeable else ag.tensor(a)
            y = t.unfold(axis, 2, 2)
            windows = np.moveaxis(np.lib.stride_tricks.sliding_window_view(a, 2, axis), axis, 0)[::2]
            np.testing.assert_array_equal(y.value, np.moveaxis(windows, 0, axis))
            assert np.shares_memory(y.value, t.value)


def test_view_refuses_to_copy():
    x = ag.tensor(X)
    with pytest.raises(RuntimeError, match=r"view: shape \(24,\) cannot be a view .*use reshape"):
        ag.view(x.mT, -1)
    assert x.mT.reshape(-1).shape == (24,)


@pytest.mark.parametrize("sizes", [(6, 4), ((-1,),), (2, 3, 2, 2)])
def test_view_is_a_method(sizes):
    compare(lambda lib, ts: ts[0].view(*sizes), [X])


def test_copies_are_copies():
    x = ag.tensor(X)
    for y in (
        x.repeat_interleave(1, 0),
        x.roll(1, 0),
        x.tril(),
        x.repeat(1, 1, 1),
        ag.cat([x]),
        ag.stack([x]),
        ag.constant_pad_nd(x, (0, 0)),
        x.diag_embed(),
    ):
        assert not np.shares_memory(y.value, x.value)


def test_a_loop_over_time_is_recorded_once():
    x = ag.tensor(X, requires_grad=True)
    steps = x.unbind(0)
    assert steps[0].grad_fn.parents[0] is steps[1].grad_fn.parents[0]
    (g,) = ag.gradient(steps[1].sum(), [x])
    assert g.value[0].sum() == 0 and (g.value[1] == 1).all()
    assert sum(1 for _ in x) == 2


def test_types():
    i, f = ag.tensor([1, 2]), ag.tensor([0.5, 1.5])
    assert ag.cat([i, f]).dtype == ag.stack([i, f]).dtype == np.float32
    assert ag.cat([i, ag.tensor([True])]).dtype == np.int64
    assert ag.hstack([1.0, f]).shape == (3,)
    assert isinstance(ag.reshape(np.arange(6), (2, 3)), np.ndarray) and isinstance(
        ag.cat([np.arange(2), np.arange(2)]), np.ndarray
    )


def test_axis_is_dim():
    x = ag.tensor(X)
    assert (
        x.squeeze(axis=0).shape == X.shape
        and ag.stack([x, x], axis=-1).shape == (2, 3, 4, 2)
        and ag.cat([x, x], axis=1).shape == (2, 6, 4)
    )
    assert len(x.unbind(axis=2)) == 4 and x.unsqueeze(axis=0).shape == (1, 2, 3, 4)


# --- transforms ------------------------------------------------------------------------------------------------------

MAPPED = [
    lambda x: x.reshape(-1), lambda x: x.flatten(), lambda x: x.T, lambda x: x.flip(0),
    lambda x: x.roll((1, 2), (0, 1)), lambda x: x.roll(1), lambda x: x.tril(), lambda x: x.diagonal(),
    lambda x: ag.diag_embed(x), lambda x: ag.diag(x[0]), lambda x: x.unfold(1, 2, 1), lambda x: x.repeat(2, 2),
    lambda x: x.unsqueeze(0), lambda x: x.split(2, 1)[0], lambda x: x.unbind(0)[1], lambda x: ag.stack([x, x * 2]),
    lambda x: ag.cat([x, np.ones((3, 1))], 1), lambda x: x.rot90(),
    lambda x: ag.constant_pad_nd(x, (1, 1, 0, 1), 2.0), lambda x: x.expand(2, 3, 4),
    lambda x: x.select_scatter(x[0] * 2, 0, 1), lambda x: ag.block_diag(x, x[0]),
    lambda x: ag.cartesian_prod(x[0], x[1]), lambda x: x.repeat_interleave(2, 0), lambda x: x.sum_to_size(3, 1),
    lambda x: x.movedim(0, 1), lambda x: ag.view(x, 2, 6),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(MAPPED)))
def test_maps_and_tangents(k):
    f, x, dx = MAPPED[k], R.standard_normal((5, 3, 4)), R.standard_normal((3, 4))
    y = ag.vmap(f)(ag.tensor(x))
    for i in range(5):
        np.testing.assert_array_equal(y.value[i], f(ag.tensor(x[i])).value)
    _, t = ag.jvp(f, (ag.tensor(x[0]),), (ag.tensor(dx),))
    zero = f(ag.tensor(np.zeros((3, 4)))).value
    np.testing.assert_allclose(np.asarray(t.value), f(ag.tensor(dx)).value - zero, atol=1e-12)


def test_tangents_of_one_among_constants():
    a, b, t = np.ones(2), np.full(2, 5.0), np.array([2.0, 3.0])
    for f, wanted in [
        (lambda x: ag.cat([b, x]), [0, 0, 2, 3]),
        (lambda x: ag.stack([b, x, b]), [[0, 0], [2, 3], [0, 0]]),
    ]:
        assert ag.jvp(f, (ag.tensor(a),), (ag.tensor(t),))[1].value.tolist() == wanted
    into = lambda x: ag.tensor(X[0, :, :2]).select_scatter(x, 0, 1)
    assert ag.jvp(into, (ag.tensor(a),), (ag.tensor(t),))[1].value.tolist() == [[0, 0], [2, 3], [0, 0]]


@given(st.lists(st.integers(0, 3), max_size=4).map(tuple), st.data())
@settings(max_examples=60, deadline=None)
def test_orders_of_axes(shape, data):
    order = data.draw(st.permutations(range(len(shape))))
    a = np.random.default_rng(0).standard_normal(shape)
    x = ag.tensor(a, requires_grad=True)
    y = x.permute(*order) if shape else x.permute(())
    np.testing.assert_array_equal(y.value, a.transpose(order))
    w = np.random.default_rng(1).standard_normal(y.shape)
    np.testing.assert_array_equal(ag.gradient((y * w).sum(), [x])[0].value, w.transpose(np.argsort(order).astype(int)))
    if shape:
        i, j = data.draw(st.integers(-len(shape), len(shape) - 1)), data.draw(st.integers(-len(shape), len(shape) - 1))
        np.testing.assert_array_equal(x.swapaxes(i, j).value, a.swapaxes(i, j))
        np.testing.assert_array_equal(x.movedim(i, j).value, np.moveaxis(a, i, j))


@pytest.mark.parametrize(
    "f, error, message",
    [
        (lambda x: x.reshape(5, 5), ValueError, r"reshape: 24 entries of shape \(2, 3, 4\) do not fill shape \(5, 5\)"),
        (lambda x: x.reshape(-1, -1), ValueError, r"reshape: only one size may be -1"),
        (lambda x: x.reshape(-1, 5), ValueError, r"reshape: 24 entries"),
        (lambda x: x.reshape(-2, -12), ValueError, r"reshape: sizes cannot be negative"),
        (lambda x: x[:0].reshape(-1, 0), ValueError, r"reshape: -1 in \(-1, 0\) could be any size"),
        (lambda x: x.reshape(2.5, 2), TypeError, r"reshape: a size must be an integer, got 2.5"),
        (lambda x: ag.view(x, 5), ValueError, r"view: 24 entries"),
        (lambda x: x.flatten(2, 0), ValueError, r"flatten: start_dim 2 comes after"),
        (lambda x: x.flatten(3), IndexError, r"flatten: dim 3 is out of range"),
        (
            lambda x: x.unflatten(2, (3, 2)),
            ValueError,
            r"unflatten: 4 entries of shape \(4,\) do not fill shape \(3, 2\)",
        ),
        (lambda x: x.squeeze(4), IndexError, r"squeeze: dim 4"),
        (lambda x: x.unsqueeze(5), IndexError, r"unsqueeze: dim 5"),
        (lambda x: x.expand(2, 3), ValueError, r"expand: shape \(2, 3, 4\) does not spread to \(2, 3\)"),
        (lambda x: x.expand(2, 3, 5), ValueError, r"expand: shape"),
        (lambda x: x.expand(-1, 2, 3, 4), ValueError, r"expand: shape"),
        (lambda x: x.broadcast_to((3, 4)), ValueError, r"broadcast_to: shape"),
        (
            lambda x: ag.broadcast_tensors(x, x[0, 0, :3]),
            ValueError,
            r"broadcast_tensors: shapes \(2, 3, 4\), \(3,\) do not broadcast",
        ),
        (lambda x: x.sum_to_size(2, 4), ValueError, r"sum_to_size: shape \(2, 3, 4\) cannot be summed to \(2, 4\)"),
        (lambda x: x.repeat(2), ValueError, r"repeat: needs a number for each of the 3 axes"),
        (lambda x: x.tile(-1), ValueError, r"tile: numbers of repeats cannot be negative"),
        (lambda x: x.permute(0, 1), ValueError, r"permute: needs each of the 3 axes"),
        (lambda x: x.permute(0, 1, 1), ValueError, r"permute: dim .* twice"),
        (lambda x: x.transpose(0, 3), IndexError, r"transpose: dim 3"),
        (lambda x: x.t(), ValueError, r"t: expected a tensor with at most 2 axes"),
        (lambda x: x[0, 0].mT, ValueError, r"mT"),
        (lambda x: x.movedim((0, 1), 2), ValueError, r"movedim: 2 axes to move, but 1 places"),
        (lambda x: x.flip(3), IndexError, r"flip: dim 3"),
        (lambda x: x.rot90(1, (0,)), ValueError, r"rot90: dims must be two axes"),
        (lambda x: x[0, 0].rot90(), ValueError, r"rot90: needs a tensor with at least 2 axes, got shape \(4,\)"),
        (lambda x: x.roll((1, 2), 0), ValueError, r"roll: 2 shifts, but 1 dims"),
        (lambda x: x.roll((1, 2)), ValueError, r"roll: 2 shifts need as many dims"),
        (lambda x: x.narrow(0, 1, 2), IndexError, r"narrow: 2 entries from 1 on do not exist on an axis of 2"),
        (lambda x: x.select(1, 3), IndexError, r"select: index 3 is out of range for axis 1 of shape \(2, 3, 4\)"),
        (
            lambda x: x.select_scatter(x, 0, 1),
            ValueError,
            r"select_scatter: src has shape \(2, 3, 4\), but .* has shape \(3, 4\)",
        ),
        (lambda x: x.slice_scatter(x, 0, 1), ValueError, r"slice_scatter: src has shape"),
        (lambda x: x.diagonal_scatter(x), ValueError, r"diagonal_scatter: src has shape"),
        (lambda x: x.unbind(3), IndexError, r"unbind: dim 3"),
        (lambda x: x[0, 0, 0].unbind(), ValueError, r"unbind: needs a tensor with at least 1 axes"),
        (lambda x: x.split([1, 1], 2), ValueError, r"split: sizes \(1, 1\) must add up to 4"),
        (lambda x: x.split(0), ValueError, r"split: the size of a part must be positive"),
        (lambda x: x.chunk(0), ValueError, r"chunk: the number of chunks must be positive"),
        (lambda x: x.tensor_split(0), ValueError, r"tensor_split: the number of parts"),
        (lambda x: x.hsplit(2), ValueError, r"hsplit: axis 1 of shape \(2, 3, 4\) does not split into 2 equal parts"),
        (lambda x: x.unfold(0, 3, 1), ValueError, r"unfold: windows of 3 do not fit axis 0"),
        (lambda x: x.unfold(0, 1, 0), ValueError, r"unfold: step must be positive"),
        (
            lambda x: ag.stack([x, x[0]]),
            ValueError,
            r"stack: all tensors must have one shape, got \(2, 3, 4\), \(3, 4\)",
        ),
        (lambda x: ag.stack([]), ValueError, r"stack: needs at least 1 tensor"),
        (lambda x: ag.stack(3.0), TypeError, r"stack: expected a list or tuple of tensors, got float"),
        (lambda x: ag.cat([x, "a"]), TypeError, r"cat: expected tensors, got str"),
        (
            lambda x: ag.cat([x, x[:, :2]]),
            ValueError,
            r"cat: shapes may differ only along axis 0, got \(2, 3, 4\), \(2, 2, 4\)",
        ),
        (lambda x: ag.cat([x, x], 3), IndexError, r"cat: dim 3"),
        (lambda x: ag.cat([x.sum()]), ValueError, r"cat: tensors without axes"),
        (lambda x: ag.block_diag(x), ValueError, r"block_diag: expected tensors with at most 2 axes"),
        (lambda x: ag.cartesian_prod(x), ValueError, r"cartesian_prod: expected vectors"),
        (lambda x: ag.constant_pad_nd(x, (1,)), ValueError, r"constant_pad_nd: needs two numbers for each"),
        (lambda x: ag.constant_pad_nd(x, (-3, -2)), ValueError, r"constant_pad_nd: .* takes away more"),
        (lambda x: x.diagonal(0, 1, 1), ValueError, r"diagonal: dims 1 and 1 are the same axis"),
        (lambda x: x[0, 0].diagonal(), ValueError, r"diagonal: needs a tensor with at least 2 axes"),
        (lambda x: x.diag(), ValueError, r"diag: expected a vector or a matrix"),
        (lambda x: x.diag_embed(0, 1, 1), ValueError, r"diag_embed: dims 1 and 1"),
        (lambda x: x[0, 0].tril(), ValueError, r"tril: needs a tensor with at least 2 axes"),
    ],
)
def test_errors(f, error, message):
    with pytest.raises(error, match=message):
        f(ag.tensor(X))


SAME_ENTRIES = {
    "expand": lambda y: y.expand(-1, 2),
    "expand_as": lambda y: y.expand_as(y),
    "new axis": lambda y: y.expand(1, 3, 2)[0],
    "broadcast_to": lambda y: ag.broadcast_to(y, (3, 2)),
    "sum_to_size": lambda y: y.sum_to_size(3, 2),
    "meshgrid": lambda y: ag.meshgrid(y[:, 0])[0].reshape(3, 1),
    "unfold": lambda y: y.unfold(0, 1, 1)[:, :, 0],
}


@pytest.mark.parametrize("name", SAME_ENTRIES)
def test_spreading_that_repeats_nothing_is_a_writable_view(name):
    x = ag.ones(3, 2, requires_grad=True)
    y = x * 1
    SAME_ENTRIES[name](y)[0, 0] = 5.0
    assert y[0, 0] == 5.0
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 1], [1, 1], [1, 1]])


def test_windows_that_overlap_cannot_be_written_to():
    with pytest.raises(RuntimeError, match="cannot be changed in place"):
        ag.arange(6.0).unfold(0, 3, 2)[0] = 1.0


@pytest.mark.parametrize("batched", [(0, 0), (0, None), (None, 0)])
def test_parts_replaced_in_an_empty_batch(batched):
    sizes = [((0, *s) if b == 0 else s) for b, s in zip(batched, [(3, 2), (2,)])]
    y = ag.vmap(lambda x, v: ag.select_scatter(x, v, 0, 1), in_dims=batched)(*[ag.ones(*s) for s in sizes])
    assert y.shape == (0, 3, 2)


def test_small_questions_about_a_tensor():
    x = ag.tensor([[1.0, -2.0]])
    answers = (ag.numel(x), x.get_device(), x.is_signed(), x.byte().is_signed(), x[0, 0].is_nonzero(), x.type())
    assert answers == (2, -1, True, False, True, "float32")
    assert x.char().dtype == ag.int8 and x.type(ag.float64).dtype == ag.float64 and x.resolve_conj() is x
    with pytest.raises(ValueError, match="is_nonzero: expected one entry"):
        x.is_nonzero()
