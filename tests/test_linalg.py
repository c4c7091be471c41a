"""Linear algebra against PyTorch: values, gradients, second gradients; and identities that need no other library."""

import math

import numpy as np
import pytest
from test_products import agree, cplx, real

import autograd_core as ag

MAKERS = pytest.mark.parametrize("make", [real, cplx], ids=["real", "complex"])
inf = math.inf


def square(*shape, make=real, seed=0):
    """Well-conditioned square matrices."""
    return make(*shape, shape[-1], seed=seed) + 3 * np.eye(shape[-1])


def hermitian(a):
    return (a + a.conj().mT) / 2


def positive(a):
    """Positive definite matrices from any."""
    return a @ a.conj().mT + np.eye(a.shape[-1])


def linalg(f):
    """f(namespace, inputs...) on either side; torch's eye and such are not needed by what is tested here."""
    torch = pytest.importorskip("torch")
    return [lambda *xs, lib=lib: f(lib.linalg, *xs) for lib in (ag, torch)]


def projectors(v):
    """What does not depend on the phases of columns: their outer products with themselves."""
    v = v.mT
    return v[..., :, :, None] * v[..., :, None, :].conj()


DIRECT = {
    "inv": (lambda la, a: la.inv(a), ["nn"]),
    "det": (lambda la, a: la.det(a), ["nn"]),
    "slogdet": (lambda la, a: tuple(la.slogdet(a)), ["nn"]),
    "matrix_exp": (lambda la, a: la.matrix_exp(a), ["nn"]),
    "power 3": (lambda la, a: la.matrix_power(a, 3), ["nn"]),
    "power -2": (lambda la, a: la.matrix_power(a, -2), ["nn"]),
    "power 5": (lambda la, a: la.matrix_power(a, 5), ["nn"]),
    "pinv": (lambda la, a: la.pinv(a), ["nn", "nm", "mn"]),
    "cond": (lambda la, a: la.cond(a), ["nn", "nm"]),
    "cond -2": (lambda la, a: la.cond(a, -2), ["nn", "nm"]),
    "svdvals": (lambda la, a: la.svdvals(a), ["nn", "nm", "mn"]),
    "eigvals": (lambda la, a: (la.eigvals(a).abs() ** 2).sum(-1), ["nn"]),
    "eigvals^3": (lambda la, a: (la.eigvals(a) ** 3).sum(-1), ["nn"]),
    "eigvalsh": (lambda la, a: la.eigvalsh(hermitian(a)), ["nn"]),
    "cholesky": (lambda la, a: la.cholesky(hermitian(a)), ["nn"]),
    "cholesky upper": (lambda la, a: la.cholesky(hermitian(a), upper=True), ["nn"]),
    "lu": (lambda la, a: tuple(la.lu(a))[1:], ["nn", "nm", "mn"]),
    "lu_factor": (lambda la, a: la.lu_factor(a)[0], ["nn", "nm", "mn"]),
    "diagonal": (lambda la, a: la.diagonal(a, offset=1), ["nn", "nm"]),
    "qr gram": (
        lambda la, a: [m.conj().mT @ m if k else m @ m.conj().mT for k, m in enumerate(la.qr(a))],
        ["nn", "mn"],
    ),
}
SHAPES = {
    "nn": [(3, 3), (2, 3, 3), (0, 3, 3), (2, 2, 1, 1)],
    "nm": [(2, 4), (3, 2, 4), (0, 2, 4)],
    "mn": [(4, 2), (3, 4, 2)],
}


@MAKERS
@pytest.mark.parametrize(
    "name, shape", [(name, shape) for name, (_, kinds) in DIRECT.items() for kind in kinds for shape in SHAPES[kind]]
)
def test_functions_of_one_matrix(name, shape, make):
    a = make(*shape) + 2 * np.eye(*shape[-2:])
    if name.startswith("cholesky"):
        a = positive(a)
    agree(*linalg(DIRECT[name][0]), a, rtol=1e-7, atol=1e-8)


EMPTY = ["inv", "det", "slogdet", "matrix_exp", "power 3", "pinv", "svdvals", "cholesky", "lu", "qr gram", "eigvalsh"]


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0)])
def test_matrices_without_entries(name, shape):
    agree(*linalg(DIRECT[name][0]), np.zeros(shape))


INVARIANT = {
    "eigh": lambda la, a: (lambda w, v: [w, projectors(v)])(*la.eigh(hermitian(a))),
    "eigh vectors": lambda la, a: projectors(la.eigh(hermitian(a))[1]),
    "eigh function": lambda la, a: (lambda w, v: (v * w.exp()[..., None, :]) @ v.conj().mT)(*la.eigh(hermitian(a))),
    "eig": lambda la, a: (lambda w, v: [w.abs().sum(-1), (projectors(v) * w[..., :, None, None]).sum(-3)])(*la.eig(a)),
    "eig function": lambda la, a: (lambda w, v: (v * w[..., None, :] ** 3) @ la.inv(v))(*la.eig(a)),
}


@MAKERS
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (1, 1), (0, 2, 2)])
@pytest.mark.parametrize("name", INVARIANT)
def test_what_does_not_depend_on_phases_of_eigenvectors(name, shape, make):
    agree(*linalg(INVARIANT[name]), square(*shape[:-1], make=make, seed=4), rtol=1e-7, atol=1e-7)


SVD = {
    "vectors": lambda u, s, vh: [projectors(u[..., :, : s.shape[-1]]), projectors(vh[..., : s.shape[-1], :].conj().mT)],
    "pairs": lambda u, s, vh: (u[..., :, : s.shape[-1]] * (s**2)[..., None, :]) @ vh[..., : s.shape[-1], :],
    "left": lambda u, s, vh: projectors(u[..., :, : s.shape[-1]]),
    "right": lambda u, s, vh: [s, projectors(vh[..., : s.shape[-1], :].conj().mT)],
}


@MAKERS
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2), (0, 3, 2), (1, 3)])
@pytest.mark.parametrize("name", SVD)
def test_what_does_not_depend_on_phases_of_singular_vectors(name, shape, full, make):
    a = make(*shape) + 2 * np.eye(*shape[-2:]) * np.arange(1, shape[-1] + 1)
    f = lambda la, a: SVD[name](*la.svd(a, full_matrices=full))
    agree(*linalg(f), a, rtol=1e-6, atol=1e-7)


def differences(f, x, u, eps=1e-4):
    """The directional derivative of f, by central differences of fourth order."""
    d = lambda h: (f(x + h * u) - f(x - h * u)) / (2 * h)
    return (4 * d(eps / 2) - d(eps)) / 3


def slope(f, x, u):
    """The directional derivative of f, by its gradient."""
    t = ag.Tensor(x, requires_grad=True)
    (g,) = ag.gradient(f(t), [t])
    return np.vdot(g.detach().numpy(), u).real


@MAKERS
def test_the_space_that_full_svd_and_complete_qr_add_has_a_gradient(make):
    a, u, w = make(4, 2), make(4, 2, seed=5), make(4, 4, seed=7)
    rest = lambda v: v[..., :, 2:] @ (v[..., :, 2:].conj().mT)
    number = lambda m: (m * ag.Tensor(w)).real.sum()
    for f in (lambda x: ag.linalg.svd(x).U, lambda x: ag.linalg.qr(x, "complete").Q):
        by_gradient = slope(lambda x, f=f: number(rest(f(x))), a, u)
        assert by_gradient == pytest.approx(
            differences(lambda x, f=f: float(number(rest(f(ag.Tensor(x)))).detach().numpy()), a, u), rel=1e-6
        )


@MAKERS
@pytest.mark.parametrize(
    "mode, shapes", [("reduced", [(3, 3), (4, 2), (2, 4), (2, 3, 2)]), ("complete", [(3, 3), (2, 4)])]
)
def test_qr(mode, shapes, make):
    """The diagonal of R is real on both sides; its signs, which LAPACK chooses, are taken out."""

    def fixed(la, a):
        q, r = la.qr(a, mode)
        k = min(a.shape[-2:])
        s = r.diagonal(0, -2, -1).real.sign()
        return q[..., :, :k] * s[..., None, :], r[..., :k, :] * s[..., :, None]

    for shape in shapes:
        agree(*linalg(fixed), make(*shape) + 2 * np.eye(*shape[-2:]), rtol=1e-7, atol=1e-8)


def test_qr_without_q():
    q, r = ag.linalg.qr(ag.Tensor(real(3, 2)), "r")
    assert q.shape == (0,) and r.shape == (2, 2)


SYSTEMS = {
    "solve": lambda la, a, b: la.solve(a, b),
    "upper": lambda la, a, b: la.solve_triangular(a, b, upper=True),
    "lower": lambda la, a, b: la.solve_triangular(a, b, upper=False),
    "unit": lambda la, a, b: la.solve_triangular(a, b, upper=True, unitriangular=True),
    "lu_solve": lambda la, a, b: la.lu_solve(*la.lu_factor(a), b),
    "lu_solve adjoint": lambda la, a, b: la.lu_solve(*la.lu_factor(a), b, adjoint=True),
}
RIGHT = {
    "solve": lambda la, a, b: la.solve(a, b, left=False),
    "triangular": lambda la, a, b: la.solve_triangular(a, b, upper=False, left=False),
    "lu_solve": lambda la, a, b: la.lu_solve(*la.lu_factor(a), b, left=False),
    "lu_solve adjoint": lambda la, a, b: la.lu_solve(*la.lu_factor(a), b, left=False, adjoint=True),
}


@MAKERS
@pytest.mark.parametrize(
    "a, b",
    [
        ((3, 3), (3, 2)),
        ((2, 3, 3), (2, 3, 1)),
        ((2, 3, 3), (3, 2)),
        ((4, 1, 3, 3), (2, 3, 2)),
        ((3, 3), (2, 3, 2)),
        ((0, 3, 3), (0, 3, 2)),
        ((0, 0), (0, 2)),
    ],
)
@pytest.mark.parametrize("name", SYSTEMS)
def test_systems(name, a, b, make):
    agree(*linalg(SYSTEMS[name]), square(*a[:-1], make=make), make(*b, seed=3), rtol=1e-7)


@MAKERS
@pytest.mark.parametrize("a, b", [((3, 3), (2, 3)), ((2, 3, 3), (2, 1, 3)), ((2, 3, 3), (2, 3))])
@pytest.mark.parametrize("name", RIGHT)
def test_systems_from_the_right(name, a, b, make):
    if a == (2, 3, 3) and b == (2, 3):
        b = (1, 2, 3)
    agree(*linalg(RIGHT[name]), square(*a[:-1], make=make), make(*b, seed=3), rtol=1e-7)


@MAKERS
@pytest.mark.parametrize("a, b", [((3, 3), (3,)), ((2, 3, 3), (2, 3)), ((2, 3, 3), (3,))])
def test_solve_for_vectors(a, b, make):
    agree(*linalg(SYSTEMS["solve"]), square(*a[:-1], make=make), make(*b, seed=3))


@MAKERS
@pytest.mark.parametrize("a, b", [((4, 2), (4, 3)), ((2, 4), (2, 3)), ((3, 4, 2), (3, 4, 1))])
def test_lstsq(a, b, make):
    f = lambda la, a, b: la.lstsq(a, b).solution
    agree(*linalg(f), make(*a), make(*b, seed=2), rtol=1e-7)


@pytest.mark.parametrize("driver", ["gels", "gelsy", "gelsd", "gelss"])
def test_what_else_lstsq_returns(driver):
    torch = pytest.importorskip("torch")
    a, b = real(5, 2), real(5, 3)
    mine, other = (
        ag.linalg.lstsq(ag.Tensor(a), ag.Tensor(b), driver=driver),
        torch.linalg.lstsq(*map(torch.tensor, (a, b)), driver=driver),
    )
    for x, y in zip(mine, other):
        assert x.shape == tuple(y.shape)
        np.testing.assert_allclose(x.detach().numpy(), y.detach().numpy())
    assert ag.linalg.lstsq(ag.Tensor(real(2, 5)), ag.Tensor(real(2, 1))).residuals.shape == (0,)


NORMS = [(o, (-2, -1)) for o in ("fro", "nuc", inf, -inf, 1, -1, 2, -2)] + [
    (2, (0, 2)),
    ("fro", (1, 0)),
    (1, (1, 0)),
    ("nuc", (0, 1)),
]


@MAKERS
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("order, dim", NORMS)
def test_matrix_norm(order, dim, keepdim, make):
    agree(*linalg(lambda la, a: la.matrix_norm(a, order, dim, keepdim)), make(2, 3, 4), rtol=1e-7, atol=1e-8)


@MAKERS
@pytest.mark.parametrize("dim", [None, 0, -1, (0, 1), (0, 1, 2)])
@pytest.mark.parametrize("order", [2, 1, 3, 0.5, 2.5, 0, -1, inf, -inf])
def test_vector_norm(order, dim, make):
    for keepdim in (False, True):
        agree(*linalg(lambda la, a, k=keepdim: la.vector_norm(a, order, dim, k)), make(2, 3, 2), rtol=1e-7)


@pytest.mark.parametrize(
    "options", [{}, {"ord": 3, "dim": 1}, {"ord": "nuc", "dim": (0, 1)}, {"dim": (0, 2)}, {"ord": 1, "dim": (-1, 0)}]
)
def test_norm(options):
    agree(*linalg(lambda la, a: la.norm(a, **options)), real(2, 3, 4), rtol=1e-7)
    agree(*linalg(lambda la, a: la.norm(a, 2)), real(3, 2))
    agree(*linalg(lambda la, a: la.norm(a, 3)), real(4))


@pytest.mark.parametrize("order", [2, 1, 3, 1.5, 0.5, inf, 0])
def test_the_norm_of_zero_has_gradient_zero(order):
    x = ag.Tensor(np.zeros(3), requires_grad=True)
    ag.linalg.vector_norm(x, order).backward()
    assert np.array_equal(x.grad.detach().numpy(), np.zeros(3))


def test_an_unselected_norm_of_zero_does_not_make_nan_in_second_gradients():
    x = ag.Tensor(np.zeros((2, 3)), requires_grad=True)
    (g,) = ag.gradient((ag.linalg.vector_norm(x, dim=-1) ** 2).sum(), [x], create_graph=True)
    (h,) = ag.gradient((g * 2).sum(), [x])
    assert np.isfinite(h.detach().numpy()).all()


OTHERS = {
    "vecdot": (lambda la, x, y: la.vecdot(x, y), [(2, 3), (2, 3)]),
    "vecdot dim": (lambda la, x, y: la.vecdot(x, y, dim=0), [(2, 3), (2, 1)]),
    "cross": (lambda la, x, y: la.cross(x, y), [(2, 3), (1, 3)]),
    "cross dim": (lambda la, x, y: la.cross(x, y, dim=0), [(3, 2), (3, 2)]),
    "vander": (lambda la, x: la.vander(x), [(3,)]),
    "vander N": (lambda la, x: la.vander(x, N=5), [(2, 3)]),
    "multi_dot": (lambda la, *xs: la.multi_dot(xs), [(2, 5), (5, 3), (3, 4), (4, 1)]),
    "multi_dot vectors": (lambda la, *xs: la.multi_dot(xs), [(5,), (5, 3), (3,)]),
    "multi_dot two": (lambda la, *xs: la.multi_dot(xs), [(2, 5), (5,)]),
    "tensorinv": (lambda la, x: la.tensorinv(x, ind=1), [(6, 2, 3)]),
    "tensorinv 2": (lambda la, x: la.tensorinv(x), [(2, 3, 6)]),
    "tensorsolve": (lambda la, x, y: la.tensorsolve(x, y), [(2, 3, 6), (2, 3)]),
    "tensorsolve dims": (lambda la, x, y: la.tensorsolve(x, y, dims=(0,)), [(6, 2, 3), (2, 3)]),
    "householder": (lambda la, x, y: la.householder_product(x, y), [(4, 3), (2,)]),
    "householder batch": (lambda la, x, y: la.householder_product(x, y), [(2, 3, 3), (2, 3)]),
}


@MAKERS
@pytest.mark.parametrize("name", OTHERS)
def test_other_functions(name, make):
    f, shapes = OTHERS[name]
    agree(*linalg(f), *[make(*s, seed=k) for k, s in enumerate(shapes)], rtol=1e-7)


@MAKERS
@pytest.mark.parametrize("order", [1, -1, inf, -inf, "fro", "nuc"])
def test_cond_of_other_norms_is_the_norm_times_that_of_the_inverse(order, make):
    ours, _ = linalg(lambda la, a: la.cond(a, order))
    _, theirs = linalg(lambda la, a: la.matrix_norm(a, order) * la.matrix_norm(la.inv(a), order))
    agree(ours, theirs, square(2, 3, make=make))
    assert np.isinf(ag.linalg.cond(np.zeros((2, 2)) + np.diag([1.0, 0]), 1))


@pytest.mark.parametrize("options", [{}, {"atol": 1.0}, {"rtol": 0.3}, {"hermitian": True}])
def test_matrix_rank(options):
    torch = pytest.importorskip("torch")
    a = np.stack([real(3, 3), np.diag([2.0, 1.0, 0.0]), np.zeros((3, 3))])
    a = a + a.mT
    mine = ag.linalg.matrix_rank(ag.Tensor(a), **options)
    assert mine.dtype == np.int64 and np.array_equal(
        mine.detach().numpy(), torch.linalg.matrix_rank(torch.tensor(a), **options).detach().numpy()
    )


@pytest.mark.parametrize("options", [{"atol": 0.5}, {"rtol": 0.5}, {"hermitian": True}])
def test_pinv_with_a_cutoff(options):
    a = positive(real(3, 3)) * np.array([1, 0.1, 10])[:, None, None]
    f = lambda la, a: la.pinv(hermitian(a), **options)
    agree(*linalg(f), a, rtol=1e-7, order=1)


@pytest.mark.parametrize("upper_is_read", ["L", "U"])
def test_only_one_triangle_is_read(upper_is_read):
    a = hermitian(cplx(3, 3))
    spoiled = np.where(np.tri(3, dtype=bool) if upper_is_read == "L" else np.tri(3, dtype=bool).T, a, 99)
    np.testing.assert_allclose(ag.linalg.eigvalsh(spoiled, upper_is_read), np.linalg.eigvalsh(a))
    np.testing.assert_allclose(ag.linalg.cholesky(np.tril(positive(a)), upper=False), np.linalg.cholesky(positive(a)))
    np.testing.assert_allclose(
        ag.linalg.cholesky(np.triu(positive(a)), upper=True), np.linalg.cholesky(positive(a)).conj().mT
    )


# --- what must hold by itself ----------------------------------------------------------------------------------------


@MAKERS
@pytest.mark.parametrize("shape", [(5, 5), (3, 70, 70), (40, 70), (70, 40), (2, 0, 3), (0, 4, 4), (1, 1)])
def test_lu_multiplies_to_the_matrix(shape, make):
    a = make(*shape)
    p, low, up = ag.linalg.lu(a)
    np.testing.assert_allclose(p @ low @ up, a, atol=1e-10)
    assert np.abs(low).max(initial=0) <= 1 + 1e-12 or make is cplx
    assert np.array_equal(np.tril(low), low) and np.array_equal(np.triu(up), up)


def test_lu_of_singular_matrices():
    a = np.array([[[0.0, 1], [0, 2]], [[0, 0], [0, 0]], [[1, 2], [2, 4]]])
    p, low, up = ag.linalg.lu(a)
    np.testing.assert_allclose(p @ low @ up, a)


def test_lu_agrees_with_lapack_on_pivots():
    torch = pytest.importorskip("torch")
    a = real(3, 40, 40)
    both, pivots = ag.linalg.lu_factor(a)
    expected = torch.linalg.lu_factor(torch.tensor(a))
    np.testing.assert_allclose(both, expected[0].detach().numpy(), atol=1e-10)
    assert pivots.dtype == np.int32 and np.array_equal(pivots, expected[1].detach().numpy())


@MAKERS
@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("unit", [True, False])
def test_large_triangular_systems(upper, unit, make):
    a = np.triu(make(90, 90)) / 20 + np.eye(90)
    a, b = a if upper else a.mT, make(2, 90, 3)
    full = a * (1 - np.eye(90)) + np.eye(90) if unit else a
    x = ag.linalg.solve_triangular(a, b, upper=upper, unitriangular=unit)
    np.testing.assert_allclose(full @ x, b, atol=1e-9)


def test_a_zero_on_the_diagonal_of_a_triangle_gives_inf():
    x = ag.linalg.solve_triangular(np.array([[1.0, 0], [1, 0]]), np.array([[1.0], [2]]), upper=False)
    assert x[0, 0] == 1 and np.isinf(x[1, 0])


def brute_cofactors(a):
    n = a.shape[-1]
    minor = lambda i, j: np.delete(np.delete(a, i, 0), j, 1)
    return np.array([[(-1) ** (i + j) * np.linalg.det(minor(i, j)) for j in range(n)] for i in range(n)])


@MAKERS
@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("rank_lost", [0, 1, 2])
def test_the_gradient_of_det_is_right_for_singular_matrices(n, rank_lost, make):
    rank = max(n - rank_lost, 0)
    a = make(n, rank) @ make(rank, n, seed=2)
    x = ag.Tensor(a, requires_grad=True)
    (g,) = ag.gradient(ag.linalg.det(x).real, [x])
    np.testing.assert_allclose(g.detach().numpy().conj(), brute_cofactors(a), atol=1e-10)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_the_second_gradient_of_det_is_right_for_singular_matrices(rank):
    a, u, w = real(3, rank) @ real(rank, 3, seed=2), real(3, 3, seed=7), real(3, 3, seed=8)
    x = ag.Tensor(a, requires_grad=True)
    (g,) = ag.gradient(ag.linalg.det(x), [x], create_graph=True)
    (h,) = ag.gradient((g * ag.Tensor(u)).sum(), [x])
    expected = differences(lambda m: (brute_cofactors(m) * u).sum(), a, w)
    assert (h.detach().numpy() * w).sum() == pytest.approx(expected, abs=1e-8)


def test_a_batch_may_mix_singular_and_regular_matrices():
    a = np.stack([np.eye(3), np.zeros((3, 3)), np.diag([1.0, 2, 0])])
    x = ag.Tensor(a, requires_grad=True)
    (g,) = ag.gradient(ag.linalg.det(x).sum(), [x])
    np.testing.assert_allclose(g.detach().numpy(), [np.eye(3), np.zeros((3, 3)), np.diag([0.0, 0, 2])], atol=1e-12)


def test_an_unselected_singular_member_has_gradient_zero_in_logdet():
    a = ag.Tensor(np.stack([2 * np.eye(2), np.zeros((2, 2))]), requires_grad=True)
    sign, log = ag.linalg.slogdet(a)
    (g,) = ag.gradient(ag.where(sign != 0, log, 0.0).sum(), [a])
    np.testing.assert_allclose(g.detach().numpy(), [np.eye(2) / 2, np.zeros((2, 2))])


def test_the_phase_of_one_matrix_has_the_gradient_it_has_in_a_stack():
    a = np.array([[2 + 1j, 1.0], [0.5j, 3.0]])
    gradient_at = lambda a: ag.grad(lambda x: ag.imag(ag.linalg.slogdet(x)[0]).sum())(ag.Tensor(a)).numpy()
    np.testing.assert_allclose(gradient_at(a), gradient_at(a[None])[0], rtol=1e-14)


def test_equal_eigenvalues_do_no_harm_where_only_values_are_used():
    for f in (
        lambda x: ag.linalg.eigvalsh(x).sum(),
        lambda x: ag.linalg.svdvals(x).sum(),
        lambda x: ag.linalg.eigvals(x).real.sum(),
    ):
        x = ag.Tensor(np.eye(3), requires_grad=True)
        (g,) = ag.gradient(f(x), [x])
        np.testing.assert_allclose(g.detach().numpy(), np.eye(3), atol=1e-12)


def rotation(n):
    return np.linalg.qr(real(n, n, seed=9))[0]


@pytest.mark.parametrize("which", ["eigh", "svd", "eig"])
def test_equal_eigenvalues_do_no_harm_to_other_vectors(which):
    """The projector on the simple eigenspace is smooth; that on part of a double one is not."""
    q, u, w = rotation(3), real(3, 3), real(3, 3, seed=6)
    a = np.diag([4.0, 2.0, 2.0]) if which != "eigh" else q @ np.diag([4.0, 2.0, 2.0]) @ q.T

    def vectors(x):
        if which == "svd":
            return ag.linalg.svd(x).U
        return ag.linalg.eig(x).eigenvectors.real if which == "eig" else ag.linalg.eigh((x + x.mT) / 2).eigenvectors

    where = 2 if which == "eigh" else 0
    loss = lambda x, k: (vectors(x)[:, k, None] * vectors(x)[None, :, k] * ag.Tensor(u)).sum()
    assert slope(lambda x: loss(x, where), a, w) == pytest.approx(
        differences(lambda m: float(loss(ag.Tensor(m), where).numpy()), a, w), rel=1e-6
    )
    x = ag.Tensor(np.diag([4.0, 2.0, 2.0]), requires_grad=True)
    (g,) = ag.gradient(loss(x, 1), [x])
    assert np.isnan(g.numpy()).any()


@pytest.mark.parametrize("scale", [1e-8, 1, 30, 300])
@MAKERS
def test_matrix_exp(scale, make):
    scipy = pytest.importorskip("scipy.linalg")
    a = scale * np.stack([make(4, 4) / 4, np.diag([1.0, -1, 0, 0.5]), 1e-3 * make(4, 4, seed=3)])
    expected = np.stack([scipy.expm(m) for m in a])
    for y, e in zip(ag.linalg.matrix_exp(a), expected):
        np.testing.assert_allclose(y, e, rtol=1e-10, atol=1e-11 * np.abs(e).max())


def test_matrix_exp_of_a_sum_of_commuting_matrices():
    a = real(3, 3)
    np.testing.assert_allclose(ag.linalg.matrix_exp(a) @ ag.linalg.matrix_exp(-a), np.eye(3), atol=1e-10)


def test_logdet():
    torch = pytest.importorskip("torch")
    a = np.stack([np.diag([2.0, 3]), np.diag([-2.0, 3])])
    np.testing.assert_allclose(
        ag.linalg.logdet(ag.Tensor(a)).detach().numpy(), torch.logdet(torch.tensor(a)).detach().numpy()
    )
    agree(lambda x: ag.linalg.logdet(x), lambda x: torch.logdet(x), positive(real(2, 3, 3)))
    agree(lambda x: ag.linalg.logdet(x), lambda x: torch.logdet(x), square(3, make=cplx))


def test_inverse_and_pinverse_are_the_old_names():
    a = square(3)
    np.testing.assert_allclose(ag.linalg.inverse(a), np.linalg.inv(a))
    np.testing.assert_allclose(ag.linalg.pinverse(a[:, :2]), np.linalg.pinv(a[:, :2]))


def test_householder_products_are_orthonormal_factors():
    raw, tau = np.linalg.qr(real(5, 3), mode="raw")
    q = ag.linalg.householder_product(np.ascontiguousarray(raw.T), tau)
    np.testing.assert_allclose(q, np.linalg.qr(real(5, 3))[0], atol=1e-12)


VMAPPED = {
    "inv": (lambda a: ag.linalg.inv(a), [(3, 3)]),
    "det": (lambda a: ag.linalg.det(a), [(3, 3)]),
    "solve": (lambda a, b: ag.linalg.solve(a, b), [(3, 3), (3, 2)]),
    "solve a vector": (lambda a, b: ag.linalg.solve(a, b), [(3, 3), (3,)]),
    "solve many": (lambda a, b: ag.linalg.solve(a, b), [(3, 3), (2, 3, 1)]),
    "triangular": (lambda a, b: ag.linalg.solve_triangular(a, b, upper=True), [(3, 3), (2, 3, 1)]),
    "svdvals": (lambda a: ag.linalg.svdvals(a), [(3, 2)]),
    "lu": (lambda a: ag.linalg.lu(a)[2], [(3, 3)]),
    "norm": (lambda a: ag.linalg.norm(a, 2), [(3, 3)]),
    "pinv": (lambda a: ag.linalg.pinv(a), [(3, 2)]),
}


@pytest.mark.parametrize("name", VMAPPED)
def test_under_vmap(name):
    f, shapes = VMAPPED[name]
    for which in range(len(shapes) + 1):
        axes = tuple(0 if which in (k, len(shapes)) else None for k in range(len(shapes)))
        xs = [real(*((4,) if d == 0 else ()), *s, seed=k) for k, (s, d) in enumerate(zip(shapes, axes))]
        y = ag.vmap(f, in_dims=axes)(*map(ag.Tensor, xs))
        for k in range(4):
            expected = f(*[x[k] if d == 0 else x for x, d in zip(xs, axes)])
            np.testing.assert_allclose(y.detach().numpy()[k], expected, rtol=1e-9, atol=1e-11)


def test_results_keep_single_precision_and_names():
    a = ag.Tensor(positive(real(3, 3)).astype(np.float32), requires_grad=True)
    for name, fields in {
        "slogdet": "sign logabsdet",
        "eigh": "eigenvalues eigenvectors",
        "svd": "U S Vh",
        "qr": "Q R",
        "lu": "P L U",
    }.items():
        y = getattr(ag.linalg, name)(a)
        assert y._fields == tuple(fields.split())
        assert all(v.dtype == np.float32 for v in y), name
        (g,) = ag.gradient(sum(v.sum() for v in y if v.requires_grad), [a])
        assert g.dtype == np.float32, name
    assert ag.linalg.eig(a).eigenvectors.dtype == np.complex64
    assert ag.linalg.lu_factor(a)._fields == ("LU", "pivots")
    assert ag.linalg.lstsq(a, a)._fields == ("solution", "residuals", "rank", "singular_values")


LinAlgError = np.linalg.LinAlgError
SINGULAR = np.stack([np.eye(2), np.zeros((2, 2))])
MISTAKES = [
    (
        lambda: ag.linalg.inv(real(2, 3)),
        ValueError,
        r"inv: A must be a square matrix or a batch of them, got shape \(2, 3\); lstsq and pinv",
    ),
    (
        lambda: ag.linalg.inv(SINGULAR),
        LinAlgError,
        r"inv: the matrix is singular \(batch member 1\); lstsq and pinv take singular",
    ),
    (lambda: ag.linalg.inv(ag.Tensor(SINGULAR)), LinAlgError, r"inv: the matrix is singular \(batch member 1\)"),
    (lambda: ag.linalg.inv(np.zeros((2, 3, 1, 1))), LinAlgError, r"batch member \(0, 0\)"),
    (lambda: ag.linalg.inv(np.zeros((2, 2))), LinAlgError, "inv: the matrix is singular; lstsq"),
    (
        lambda: ag.linalg.inv(np.eye(2, dtype=int)),
        TypeError,
        "inv: A must be float32, float64 or complex, got int64; use .float()",
    ),
    (lambda: ag.linalg.inv([[1.0]]), TypeError, "inv: A must be a tensor or an array, got list"),
    (lambda: ag.linalg.det(real(3)), ValueError, "det: A must be a square matrix"),
    (lambda: ag.linalg.solve(SINGULAR, real(2, 2)), LinAlgError, r"solve: the matrix is singular \(batch member 1\)"),
    (
        lambda: ag.linalg.solve(square(3), real(2, 2)),
        ValueError,
        r"solve: B must have 3 rows as A has: A is \(3, 3\), B is \(2, 2\)",
    ),
    (lambda: ag.linalg.solve(square(3), real(2, 2), left=False), ValueError, "solve: B must have 3 columns"),
    (lambda: ag.linalg.solve(square(3), real(3), left=False), ValueError, "solve: with left=False, B must be matrices"),
    (lambda: ag.linalg.solve(square(2, 3), real(3, 3, 1)), ValueError, "solve: the batches do not broadcast"),
    (
        lambda: ag.linalg.cholesky(np.stack([np.eye(2), -np.eye(2)])),
        LinAlgError,
        r"cholesky: the matrix is not positive definite \(batch member 1\)",
    ),
    (lambda: ag.linalg.eigh(np.eye(2), "X"), ValueError, "eigh: UPLO must be 'L' or 'U'"),
    (lambda: ag.linalg.qr(np.eye(2), "full"), ValueError, "qr: mode must be 'reduced', 'complete' or 'r', got 'full'"),
    (lambda: ag.linalg.lu(np.eye(2), pivot=False), ValueError, "lu: pivot=False is not supported"),
    (lambda: ag.linalg.matrix_power(np.eye(2), 0.5), TypeError, "matrix_power: n must be an integer"),
    (lambda: ag.linalg.multi_dot([real(2, 3)]), ValueError, "multi_dot: needs at least two tensors"),
    (
        lambda: ag.linalg.multi_dot([real(2, 3), real(2, 3)]),
        ValueError,
        "multi_dot: shapes .* cannot be multiplied in a row",
    ),
    (lambda: ag.linalg.matrix_norm(real(2, 2), 3), ValueError, "matrix_norm: ord must be one of"),
    (lambda: ag.linalg.matrix_norm(real(2), "fro"), ValueError, "matrix_norm: needs two different axes"),
    (lambda: ag.linalg.vector_norm(real(2), "fro"), TypeError, "vector_norm: ord must be a number"),
    (
        lambda: ag.linalg.vector_norm(real(0), inf),
        ValueError,
        "vector_norm: there is no norm of order inf of no entries",
    ),
    (lambda: ag.linalg.norm(real(2, 2, 2), 2), ValueError, "norm: with ord and without dim"),
    (lambda: ag.linalg.norm(real(2, 2, 2), "nuc"), ValueError, "norm: ord 'nuc' is for matrices"),
    (lambda: ag.linalg.cond(real(2, 2), 5), ValueError, "cond: p must be"),
    (lambda: ag.linalg.lstsq(real(3, 2), real(2, 2)), ValueError, "lstsq: B must have 3 rows"),
    (lambda: ag.linalg.lstsq(real(3, 2), real(3, 2), driver="x"), ValueError, "lstsq: driver must be one of"),
    (lambda: ag.linalg.pinv(real(3, 2), atol=-1), ValueError, "pinv: tolerances must not be negative"),
    (lambda: ag.linalg.tensorinv(real(2, 3)), ValueError, "tensorinv: the axes before and after ind=2"),
    (
        lambda: ag.linalg.tensorsolve(real(2, 3), real(2)),
        ValueError,
        "tensorsolve: A must begin with axes of as many entries",
    ),
    (lambda: ag.linalg.vander(real(2), 0), ValueError, "vander: needs at least one axis and N > 0"),
    (lambda: ag.linalg.householder_product(real(2, 3), real(2)), ValueError, "householder_product: needs A"),
    (lambda: ag.linalg.cross(real(2, 2), real(2, 2)), ValueError, "cross: axis -1 must have length 3"),
]


@pytest.mark.parametrize("call, kind, message", MISTAKES)
def test_mistakes_are_explained(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.filterwarnings("ignore:.*torch")
@pytest.mark.parametrize(
    "name", ["cholesky", "det", "inverse", "logdet", "matrix_exp", "matrix_power", "pinverse", "slogdet", "qr", "svd"]
)
def test_names_outside_the_namespace(name):
    torch = pytest.importorskip("torch")
    from autograd_core.ops.linalg import TOP_LEVEL

    a, more = positive(real(3, 3)), (2,) if name == "matrix_power" else ()
    mine, other = TOP_LEVEL[name](ag.Tensor(a), *more), getattr(torch, name)(torch.tensor(a), *more)
    assert getattr(mine, "_fields", None) in (None, *[("U", "S", "V"), ("Q", "R"), ("sign", "logabsdet")])
    for x, y in zip(mine if isinstance(mine, tuple) else [mine], other if isinstance(mine, tuple) else [other]):
        np.testing.assert_allclose(np.abs(x.numpy()), np.abs(y.numpy()), atol=1e-10)


def test_ex_functions_say_where_they_failed():
    torch = pytest.importorskip("torch")
    a = np.array([[[1.0, 2], [2, 4]], [[2, 1], [1, 2]], [[0, 1], [1, 0]]])
    for name in ("inv_ex", "cholesky_ex"):
        ours, theirs = getattr(ag.linalg, name)(ag.tensor(a)), getattr(torch.linalg, name)(torch.tensor(a))
        np.testing.assert_array_equal(ours.info.numpy(), theirs.info.numpy())
        for k in np.flatnonzero(theirs.info.numpy() == 0):
            np.testing.assert_allclose(ours[0][k].numpy(), theirs[0][k].numpy(), atol=1e-12)
        with pytest.raises(np.linalg.LinAlgError):
            getattr(ag.linalg, name)(ag.tensor(a), check_errors=True)
    np.testing.assert_allclose(ag.linalg.matmul(ag.tensor(a), ag.tensor(a)).numpy(), a @ a)


def test_the_first_power_is_a_copy():
    x = ag.tensor([[1.0, 2.0], [3.0, 4.0]])
    ag.linalg.matrix_power(x, 1).add_(1)
    assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]]
