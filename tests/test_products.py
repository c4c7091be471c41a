"""Products against PyTorch: values, gradients, second gradients; and what they must be on their own."""

import itertools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.kernels._jit import COMPILED


def leaves(tree):
    """The numbers, arrays and tensors of a result, in order."""
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, (tuple, list)) else [tree]


def weights(shape, is_complex, seed):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(shape)
    return w + 1j * rng.standard_normal(shape) if is_complex else w


def weighted(results, conj, constant):
    """One real number of all results that have a gradient; the same on either side."""
    terms = []
    for k, y in enumerate(results):
        if y.requires_grad:
            z = constant(weights(tuple(y.shape), y.dtype in COMPLEX, k)) * conj(y)
            terms.append((z.real if z.dtype in COMPLEX else z).sum())
    return sum(terms)


COMPLEX: list = [np.dtype("complex128")]


def chain(f, inputs, gradient, conj, constant, order):
    """Results of f, then gradients of a weighted sum of them, then gradients of a weighted sum of those."""
    results = leaves(f(*inputs))
    wanted, stages = [x for x in inputs if x.requires_grad], [results]
    for k in range(order):
        total = weighted(stages[-1], conj, constant)
        if not getattr(total, "requires_grad", False):
            break
        stages.append([g if g is not None else 0 * x for g, x in zip(gradient(total, wanted, k + 1 < order), wanted)])
    return stages


def agree(ours, theirs, *arrays, order=2, rtol=1e-8, atol=1e-9):
    """Both give the same results, gradients and second gradients on these arrays."""
    torch = pytest.importorskip("torch")
    if torch.complex128 not in COMPLEX:
        COMPLEX.append(torch.complex128)
    differentiable = [a.dtype.kind in "fc" for a in arrays]
    a_inputs = [ag.Tensor(a, requires_grad=d) for a, d in zip(arrays, differentiable)]
    t_inputs = [torch.tensor(a, requires_grad=d) for a, d in zip(arrays, differentiable)]
    a_grad = lambda y, xs, keep: ag.gradient(y, xs, create_graph=keep, allow_unused=True)
    t_grad = lambda y, xs, keep: torch.autograd.grad(y, xs, create_graph=keep, allow_unused=True)
    mine = chain(ours, a_inputs, a_grad, ag.conj, ag.Tensor, order)
    other = chain(theirs, t_inputs, t_grad, torch.conj, torch.tensor, order)
    for stage, (xs, ys) in enumerate(itertools.zip_longest(mine, other)):
        if xs is None or ys is None:  # one side knows that this derivative vanishes
            assert all(np.allclose(z.detach().numpy(), 0, atol=1e-12) for z in xs or ys)
            continue
        assert len(xs) == len(ys)
        for x, y in zip(xs, ys):
            y = y.detach().resolve_conj().resolve_neg().numpy(force=True)
            assert x.shape == y.shape and x.dtype == y.dtype, (
                f"stage {stage}: {x.shape} {x.dtype}, not {y.shape} {y.dtype}"
            )
            np.testing.assert_allclose(x.detach().numpy(), y, rtol=rtol, atol=atol, err_msg=f"derivative {stage}")


def real(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def cplx(*shape, seed=0):
    return real(*shape, seed=seed) + 1j * real(*shape, seed=seed + 1)


def both(name, *arguments, **options):
    """The function of that name on either side, with arguments after the tensors."""
    torch = pytest.importorskip("torch")
    return [lambda *xs, lib=lib: getattr(lib, name)(*xs, *arguments, **options) for lib in (ag, torch)]


MATMUL = [
    *[((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (3,))],
    *[
        ((3,), (5, 3, 2)),
        ((5, 2, 3), (5, 3, 4)),
        ((4, 1, 2, 3), (5, 3, 2)),
        ((2, 3), (5, 3, 4)),
        ((1, 2, 3), (5, 3, 4)),
    ],
    *[((0, 3), (3, 2)), ((2, 0), (0, 3)), ((0, 2, 3), (3, 4)), ((0, 2, 3), (0, 3, 4)), ((1, 1), (1, 1)), ((0,), (0,))],
]


@pytest.mark.parametrize("make", [real, cplx])
@pytest.mark.parametrize("a, b", MATMUL)
def test_matmul(a, b, make):
    agree(*both("matmul"), make(*a), make(*b, seed=3))


def test_matmul_of_a_real_and_a_complex_matrix_has_a_real_and_a_complex_gradient():
    a, b = ag.Tensor(real(2, 3), requires_grad=True), ag.Tensor(cplx(3, 2), requires_grad=True)
    g = cplx(2, 2)
    ga, gb = ag.gradient(a @ b, [a, b], ag.Tensor(g))
    np.testing.assert_allclose(ga.detach().numpy(), (g @ b.detach().numpy().conj().T).real)
    np.testing.assert_allclose(gb.detach().numpy(), a.detach().numpy().T @ g)


def test_a_large_left_batch_and_its_flattened_matrix_give_the_same_product():
    a, b = real(4, 5, 6, 7), real(7, 3)
    np.testing.assert_allclose(ag.matmul(a, b), np.einsum("abij,jk->abik", a, b))
    np.testing.assert_allclose(ag.matmul(a[:, ::-2], b), np.einsum("abij,jk->abik", a[:, ::-2], b))


def test_matmul_by_operator_and_in_reverse():
    a, b = real(2, 3), ag.Tensor(real(3, 2))
    np.testing.assert_allclose((a @ b).detach().numpy(), a @ b.detach().numpy())
    np.testing.assert_allclose((b @ a).detach().numpy(), b.detach().numpy() @ a)


NAMED = [
    ("mm", [(2, 3), (3, 4)], {}),
    ("mv", [(2, 3), (3,)], {}),
    ("bmm", [(5, 2, 3), (5, 3, 4)], {}),
    ("bmm", [(0, 2, 3), (0, 3, 4)], {}),
    ("dot", [(3,), (3,)], {}),
    ("vdot", [(3,), (3,)], {}),
    ("outer", [(3,), (2,)], {}),
    ("ger", [(3,), (2,)], {}),
    ("inner", [(2, 3), (4, 5, 3)], {}),
    ("inner", [(), (2, 3)], {}),
    ("kron", [(2, 3), (3, 2)], {}),
    ("kron", [(3,), (2, 2)], {}),
    ("kron", [(2, 3), (2,)], {}),
    ("kron", [(), (2,)], {}),
    ("addmm", [(2, 4), (2, 3), (3, 4)], {"beta": 0.5, "alpha": 2}),
    ("addmm", [(4,), (2, 3), (3, 4)], {}),
    ("addmm", [(2, 4), (2, 3), (3, 4)], {"beta": 0}),
    ("addmv", [(2,), (2, 3), (3,)], {"beta": 2, "alpha": 0.5}),
    ("addr", [(3, 2), (3,), (2,)], {"alpha": 3}),
    ("addbmm", [(2, 4), (5, 2, 3), (5, 3, 4)], {"beta": 2}),
    ("baddbmm", [(5, 2, 4), (5, 2, 3), (5, 3, 4)], {"alpha": 2}),
    ("baddbmm", [(1, 4), (5, 2, 3), (5, 3, 4)], {}),
    ("tensordot", [(2, 3, 4), (3, 4, 5)], {"dims": 2}),
    ("tensordot", [(2, 3, 4), (4, 3, 5)], {"dims": ([1, 2], [1, 0])}),
    ("tensordot", [(2, 3), (4,)], {"dims": 0}),
    ("tensordot", [(2, 3), (3,)], {"dims": ([-1], [0])}),
    ("cross", [(4, 3), (4, 3)], {"dim": 1}),
    ("cross", [(3, 4), (3, 4)], {"dim": 0}),
    ("cross", [(3, 4), (3, 1)], {"dim": -2}),
    ("cross", [(2, 3), (2, 3)], {}),
]


@pytest.mark.filterwarnings("ignore:Using torch.cross")
@pytest.mark.parametrize("make", [real, cplx])
@pytest.mark.parametrize("name, shapes, options", NAMED, ids=lambda v: v if isinstance(v, str) else "")
def test_named_products(name, shapes, options, make):
    agree(*both(name, **options), *[make(*s, seed=k) for k, s in enumerate(shapes)])


BETA_ZERO = {
    "addmm": [(2, 3), (2, 4), (4, 3)], "baddbmm": [(5, 2, 3), (5, 2, 4), (5, 4, 3)], "addr": [(3,), (2,), (3,)],
    "addbmm": [(2, 3), (5, 2, 4), (5, 4, 3)], "addmv": [(2,), (2, 4), (4,)],
}  # fmt: skip


@pytest.mark.parametrize("name", BETA_ZERO)
def test_beta_zero_gives_what_is_added_to_a_gradient_of_zeros(name):
    torch = pytest.importorskip("torch")
    arrays = [real(*shape) for shape in BETA_ZERO[name]]
    arrays[0].flat[0], arrays[0].flat[1] = np.inf, np.nan
    ours = [ag.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, e = getattr(ag, name)(*ours, beta=0), getattr(torch, name)(*theirs, beta=0)
    np.testing.assert_allclose(y.detach(), e.detach().numpy(), rtol=1e-12)
    gs, es = ag.gradient((y**2).sum(), ours), torch.autograd.grad((e**2).sum(), theirs)
    for g, e in zip(gs, es, strict=True):
        np.testing.assert_allclose(g, e.numpy(), rtol=1e-12)
    assert not np.signbit(gs[0].numpy()).any()


def test_beta_zero_keeps_the_sign_of_a_zero():
    y = ag.addr(np.full((2, 1), np.inf), np.array([-0.0, 0.0]), np.array([1.0]), beta=0)
    assert y.tolist() == [[0.0], [0.0]] and np.signbit(y).tolist() == [[True], [False]]


def test_beta_zero_does_not_look_at_what_is_added_to():
    y = ag.addmm(np.full((2, 2), np.nan), real(2, 3), real(3, 2), beta=0)
    assert np.isfinite(y).all()


@pytest.mark.parametrize("name, sizes", [
    ("addmm", [(2, 3), (3, 2)]), ("addmv", [(2, 2), (2,)]), ("addr", [(2,), (2,)]), ("addbmm", [(4, 2, 3), (4, 3, 2)]),
    ("baddbmm", [(2, 2, 3), (2, 3, 2)]),
])  # fmt: skip
def test_alpha_zero_leaves_the_product_out(name, sizes):
    product = [np.full(size, np.nan) for size in sizes]
    x = np.arange(2.0)
    np.testing.assert_array_equal(getattr(ag, name)(x, *product, alpha=0)[..., 0], 0)
    np.testing.assert_array_equal(getattr(ag, name)(x, *product, alpha=0, beta=2)[..., 1], 2)
    assert not np.any(getattr(ag, name)(x * np.nan, *product, alpha=0, beta=0))


EINSUM = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ba", [(2, 3)]),
    ("ii", [(3, 3)]),
    ("ii->i", [(3, 3)]),
    ("iij->j", [(2, 2, 3)]),
    ("iji->ij", [(2, 3, 2)]),
    ("ij->", [(2, 3)]),
    ("...ij->...ji", [(5, 2, 3)]),
    ("...ij,...jk->...ik", [(5, 1, 2, 3), (4, 3, 2)]),
    ("...,...", [(2, 3), (3,)]),
    ("...i->i", [(2, 3)]),
    ("i...,i...->...", [(2, 3), (2, 3)]),
    ("i,j", [(2,), (3,)]),
    ("i,i->", [(3,), (3,)]),
    ("i,i->i", [(3,), (3,)]),
    ("bij,bjk->bik", [(4, 2, 3), (4, 3, 2)]),
    ("bhid,bhjd->bhij", [(2, 2, 3, 4), (2, 2, 5, 4)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
    ("ij,kj,lj,ml->ikm", [(2, 3), (4, 3), (2, 3), (5, 2)]),
    ("bn,anm,bm->ba", [(2, 3), (4, 3, 5), (2, 5)]),
    ("ij,j->i", [(2, 3), (1,)]),
    ("ij,ij->ij", [(2, 3), (1, 3)]),
    ("ij,jk->ik", [(0, 3), (3, 2)]),
    ("ij,jk->ik", [(2, 0), (0, 2)]),
    ("  i j , j -> i ", [(2, 3), (3,)]),
    ("iI,I->i", [(2, 3), (3,)]),
    ("zA,A", [(2, 3), (3,)]),
    (",ij->ji", [(), (2, 3)]),
    ("ii,jj->", [(2, 2), (3, 3)]),
    ("ij,k->jk", [(2, 3), (4,)]),
]


@pytest.mark.parametrize("make", [real, cplx])
@pytest.mark.parametrize("equation, shapes", EINSUM)
def test_einsum(equation, shapes, make):
    torch = pytest.importorskip("torch")
    arrays = [make(*s, seed=k) for k, s in enumerate(shapes)]
    agree(lambda *xs: ag.einsum(equation, *xs), lambda *xs: torch.einsum(equation, *xs), *arrays)


@given(st.data())
def test_einsum_matches_numpy_on_any_equation(data):
    sizes = {c: data.draw(st.integers(0, 3)) for c in "abcd"}
    terms = data.draw(st.lists(st.text("abcd", max_size=3), min_size=1, max_size=4))
    result = "".join(data.draw(st.permutations(sorted(set("".join(terms))))))[: data.draw(st.integers(0, 4))]
    arrays = [real(*(sizes[c] for c in t), seed=k) for k, t in enumerate(terms)]
    equation = f"{','.join(terms)}->{result}"
    np.testing.assert_allclose(ag.einsum(equation, *arrays), np.einsum(equation, *arrays), rtol=1e-10, atol=1e-12)


def test_einsum_takes_lists_of_indices():
    torch = pytest.importorskip("torch")
    a, b = real(4, 2, 3), real(3, 5)
    form = lambda lib: lambda x, y: lib.einsum(x, [..., 0, 1], y, [1, 2], [2, ..., 0])
    agree(form(ag), form(torch), a, b)
    implicit = lambda lib: lambda x, y: lib.einsum(x, [7, 3], y, [3, 5])
    agree(implicit(ag), implicit(torch), real(2, 3), b)


def test_einsum_takes_its_operands_as_one_list():
    a, b = real(2, 3), real(3, 2)
    np.testing.assert_allclose(ag.einsum("ij,jk", [a, b]), a @ b)


def test_a_permuting_einsum_does_not_share_memory_with_its_operand():
    x = ag.Tensor(real(2, 3))
    y = ag.einsum("ij->ji", x)
    before = x.detach().numpy().copy()
    y.detach().numpy()[...] = 0
    assert np.array_equal(x.detach().numpy(), before)


@pytest.mark.parametrize(
    "equation, shapes", [("ij,jk->ik", [(2, 3), (3, 2)]), ("ii,i->i", [(3, 3), (3,)]), ("i->", [(3,)])]
)
@pytest.mark.parametrize("batched", [(0, 0), (0, None), (None, 0)])
def test_einsum_under_vmap(equation, shapes, batched):
    batched = batched[: len(shapes)]
    if all(b is None for b in batched):
        batched = (0,) * len(shapes)
    xs = [real(*((5,) if b == 0 else ()), *s, seed=k) for k, (s, b) in enumerate(zip(shapes, batched))]
    y = ag.vmap(lambda *xs: ag.einsum(equation, *xs), in_dims=batched)(*map(ag.Tensor, xs))
    expected = [ag.einsum(equation, *[x[k] if b == 0 else x for x, b in zip(xs, batched)]) for k in range(5)]
    np.testing.assert_allclose(y.detach().numpy(), np.stack(expected))


@pytest.mark.parametrize("a, b", [((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (3,))])
@pytest.mark.parametrize("batched", [(0, 0), (0, None), (None, 0)])
def test_matmul_under_vmap(a, b, batched):
    xs = [real(*((4,) if d == 0 else ()), *s, seed=k) for k, (s, d) in enumerate(zip((a, b), batched))]
    y = ag.vmap(ag.matmul, in_dims=batched)(*map(ag.Tensor, xs))
    expected = [np.matmul(*[x[k] if d == 0 else x for x, d in zip(xs, batched)]) for k in range(4)]
    np.testing.assert_allclose(y.detach().numpy(), np.stack(expected))


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("a, b", [((3, 2), (4, 2)), ((5, 3, 2), (5, 4, 2)), ((5, 3, 2), (1, 4, 2)), ((0, 2), (3, 2))])
def test_cdist(a, b, p):
    agree(*both("cdist", p), real(*a), real(*b, seed=2), order=1)


def test_cdist_by_a_product_of_matrices():
    for mode in ("use_mm_for_euclid_dist", "use_mm_for_euclid_dist_if_necessary"):
        agree(*both("cdist", 2.0, mode), real(30, 3), real(4, 3), order=1)


def test_second_gradient_of_cdist():
    a, b = real(3, 2), real(4, 2, seed=5)
    f = lambda x, y: ((x.unsqueeze(-2) - y.unsqueeze(-3)) ** 2).sum(-1).sqrt()
    torch = pytest.importorskip("torch")
    agree(lambda x, y: ag.cdist(x, y), f, a, b)
    assert torch is not None


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, math.inf])
def test_coincident_points_pull_nowhere(p):
    x = ag.Tensor(np.ones((2, 3)), requires_grad=True)
    (g,) = ag.gradient(ag.cdist(x, x, p).sum(), [x], create_graph=True)
    assert np.array_equal(g.detach().numpy(), np.zeros((2, 3)))
    if g.requires_grad:
        (second,) = ag.gradient(g.sum(), [x])
        assert np.array_equal(second.detach().numpy(), np.zeros((2, 3)))


MISTAKES = [
    (
        lambda: ag.matmul(real(64, 784), real(10, 784)),
        ValueError,
        r"matmul: inner dimensions differ: a is \(64, 784\), b is \(10, 784\); did you mean a @ b.mT\?",
    ),
    (lambda: ag.matmul(real(3, 2), real(3, 4)), ValueError, r"did you mean a.mT @ b\?"),
    (lambda: ag.matmul(real(3, 2), real(4, 3)), ValueError, r"did you mean b @ a\?"),
    (
        lambda: ag.matmul(real(3, 2), real(5, 4)),
        ValueError,
        r"matmul: inner dimensions differ: a is \(3, 2\), b is \(5, 4\)$",
    ),
    (lambda: ag.Tensor(real(2, 3)) @ ag.Tensor(real(2)), ValueError, r"matmul: inner dimensions differ.*did you mean"),
    (lambda: ag.matmul(real(2, 2, 3), real(3, 3, 2)), ValueError, "matmul: the leading axes do not broadcast"),
    (lambda: ag.matmul(real(2), real()), ValueError, "matmul: both need at least one axis.*multiply by a number"),
    (lambda: ag.matmul(real(2), 3), TypeError, "matmul: expected tensors or arrays, got ndarray and int"),
    (lambda: ag.mm(real(2), real(2, 2)), ValueError, "mm: x must be a matrix, got shape"),
    (lambda: ag.mm(real(2, 3), real(2, 3)), ValueError, r"mm: inner dimensions differ.*a @ b.mT"),
    (lambda: ag.bmm(real(2, 3, 4), real(3, 4, 2)), ValueError, "bmm: batches of different lengths"),
    (lambda: ag.dot(real(2), real(3)), ValueError, "dot: inner dimensions differ"),
    (lambda: ag.dot(real(2), [1.0]), TypeError, "dot: tensor must be a tensor or an array, got list"),
    (lambda: ag.addmm(real(3, 3), real(2, 3), real(3, 2)), ValueError, r"addmm: x of shape \(3, 3\) cannot be added"),
    (lambda: ag.einsum("ij,jk", real(2, 3)), ValueError, "einsum: 'ij,jk' has 2 operands, but 1 were given"),
    (
        lambda: ag.einsum("ij,jk", real(2, 3), real(4, 5)),
        ValueError,
        r"einsum: index 'j' has sizes 3 and 4: 'ij' \(2, 3\) and 'jk' \(4, 5\)",
    ),
    (lambda: ag.einsum("ij->k", real(2, 3)), ValueError, "einsum: index 'k' is in the result but in no operand"),
    (lambda: ag.einsum("ij->ii", real(2, 3)), ValueError, "einsum: index 'i' is twice in the result"),
    (lambda: ag.einsum("ijk", real(2, 3)), ValueError, "einsum: 'ijk' in 'ijk' names 3 axes"),
    (lambda: ag.einsum("i1", real(2, 3)), ValueError, "einsum: '1' in 'i1' is not a letter"),
    (lambda: ag.einsum(real(2, 3), [0, 99]), ValueError, "einsum: an index in a list"),
    (lambda: ag.einsum(real(2, 3), real(2, 3)), TypeError, "einsum: expected an equation and operands"),
    (lambda: ag.tensordot(real(2, 3), real(4, 3), 1), ValueError, "tensordot: axis 1 of a .* differ in length"),
    (lambda: ag.tensordot(real(2, 3), real(4, 3), 3), ValueError, "tensordot: dims must be from 0 to 2"),
    (lambda: ag.inner(real(2, 3), real(2)), ValueError, "inner: the last axes differ in length"),
    (lambda: ag.cross(real(2, 4), real(2, 4)), ValueError, "cross: no axis of x has length 3"),
    (lambda: ag.cross(real(2, 3), real(2, 3), dim=0), ValueError, "cross: axis 0 must have length 3"),
    (lambda: ag.cdist(real(2, 3), real(2, 4)), ValueError, "cdist: needs"),
    (lambda: ag.cdist(real(2, 3), real(2, 3), -1.0), ValueError, "cdist: needs p >= 0"),
]


@pytest.mark.parametrize("call, kind, message", MISTAKES)
def test_mistakes_are_explained(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("name, sizes", [
    ("addmm", [(2, 3), (3, 2)]), ("addmv", [(2, 2), (2,)]), ("addr", [(2,), (2,)]), ("addbmm", [(4, 2, 3), (4, 3, 2)]),
    ("baddbmm", [(2, 2, 3), (2, 3, 2)]),
])  # fmt: skip
def test_products_added_in_place(name, sizes):
    start = ag.ones(2, requires_grad=True) if name == "addmv" else ag.ones(2, 2, 2)[: 2 if name == "baddbmm" else 1]
    x = start if name in ("addmv", "baddbmm") else start[0]
    others = [ag.tensor(np.random.default_rng(0).normal(size=s)).float() for s in sizes]
    y = x * 1
    assert getattr(y, f"{name}_")(*others) is y
    np.testing.assert_allclose(y.detach().numpy(), getattr(ag, name)(x, *others).detach().numpy())


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_inner_products_have_the_same_bits_however_many_threads_openblas_has():
    """It takes those of float64 by parts, one for each thread, from some thousand entries on."""
    program = (
        "import numpy as np, autograd_core as ag\n"
        "x, y = np.random.default_rng(0).standard_normal((2, 50_000))\n"
        "print(ag.dot(ag.tensor(x), ag.tensor(y)).numpy().tobytes().hex())"
    )
    run = lambda threads: (
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "OPENBLAS_NUM_THREADS": threads}, capture_output=True
        ).stdout
    )
    assert run("1") == run("2") != b""
