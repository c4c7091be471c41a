"""Code written with `np.*` runs unchanged on tensors: NumPy's values and types, on the tape, with right gradients."""

import inspect
import itertools
import warnings

import numpy as np
import pytest

import autograd_core as ag
from autograd_core import interop
from autograd_core.testing import close, direction, slope

RNG = np.random.default_rng(7)
M = (RNG.permutation(12).reshape(3, 4) + 1) / 6.5  # distinct and positive
N = (RNG.permutation(12).reshape(3, 4) + 1.5) / 7.5
S = M[:, :3] + 3 * np.eye(3)  # well conditioned
P = M @ M.T + np.eye(3)  # positive definite
V = np.array([0.3, -1.2, 0.7, 2.1, -0.4])
W = np.array([1.1, 0.4, -0.6])
T = RNG.uniform(0.3, 2, (2, 3, 4))
Z = RNG.uniform(0.5, 1, (3, 3)) + 1j * RNG.uniform(0.5, 1, (3, 3))
HOLES = np.where(np.arange(12).reshape(3, 4) % 5 == 1, np.nan, M)
MASK = np.arange(12).reshape(3, 4) % 3 != 1

ELEMENTWISE = """absolute arctan arcsinh arctan2 cbrt conjugate copysign cos cosh deg2rad degrees divide exp exp2 expm1
    fabs float_power fmax fmin fmod hypot log log10 log1p log2 logaddexp logaddexp2 maximum minimum multiply negative
    positive power rad2deg radians reciprocal remainder sin sinh sqrt square subtract tan tanh add""".split()
FLAT = """ceil equal floor floor_divide greater greater_equal heaviside isfinite isinf isnan less less_equal logical_and
    logical_not logical_or logical_xor not_equal rint sign signbit trunc nextafter""".split()

# What to compute (written with np.*), on which arrays.
CASES = [
    # reductions
    (lambda x: np.sum(x, axis=0), M),
    (lambda x: np.sum(x, (0, 2), keepdims=True), T),
    (lambda x: np.sum(x, axis=()), M),
    (lambda x: np.sum(x, initial=2.0, where=MASK), M),
    (lambda x: np.prod(x, axis=(0, 1)), T),
    (lambda x: np.prod(x, axis=1, keepdims=True, where=MASK), M),
    (lambda x: np.mean(x, axis=1), M),
    (lambda x: np.mean(x, where=MASK), M),
    (lambda x: np.std(x), M),
    (lambda x: np.std(x, axis=0, ddof=1, keepdims=True), M),
    (lambda x: np.var(x, axis=(0, 1)), T),
    (lambda x: np.var(x, axis=1, where=MASK), M),
    (lambda x: np.var(x, axis=1, correction=1), M),
    (lambda x: np.var(x, axis=0, mean=np.mean(x, axis=0, keepdims=True)), M),
    (lambda x: np.var(x), Z),
    (lambda x: np.std(x, axis=1), Z),
    (lambda x: np.max(x, axis=1), M),
    (lambda x: np.max(x, initial=1.0, axis=1), M),
    (lambda x: np.amax(x, (0, 2), keepdims=True), T),
    (lambda x: np.min(x), M),
    (lambda x: np.amin(x, axis=1, where=MASK, initial=5.0), M),
    (lambda x: np.ptp(x, axis=0), M),
    (lambda x: np.average(x, axis=1), M),
    (lambda x: np.average(x, weights=N), M),
    (lambda x, w: np.average(x, axis=1, weights=w, keepdims=True), T, np.array([1.0, 2.0, 0.5])),
    (lambda x: np.average(x, axis=0, weights=[1, 2, 3], returned=True), M),
    (lambda x: np.nansum(x, axis=0), HOLES),
    (lambda x: np.nanprod(x, axis=1), HOLES),
    (lambda x: np.nanmean(x, axis=1, keepdims=True), HOLES),
    (lambda x: np.nanvar(x, axis=1), HOLES),
    (lambda x: np.nanstd(x), HOLES),
    (lambda x: np.nanmax(x, axis=1), HOLES),
    (lambda x: np.nanmin(x), HOLES),
    (lambda x: np.nancumsum(x, axis=1), HOLES),
    (lambda x: np.nancumprod(x, axis=0), HOLES),
    (lambda x: np.nanmedian(x, axis=1), HOLES),
    (lambda x: np.nanquantile(x, [0.2, 0.7], axis=1, keepdims=True), HOLES),
    (lambda x: np.nanpercentile(x, 30, axis=0), HOLES),
    (lambda x: np.median(x), M),
    (lambda x: np.median(x, axis=(0, 1), keepdims=True), T),
    (lambda x: np.quantile(x, 0.3, axis=1), M),
    (lambda x: np.quantile(x, [[0.1, 0.5], [0.6, 1.0]], axis=0, keepdims=True), M),
    *[
        (lambda x, m=m: np.quantile(x, [0.15, 0.62], axis=1, method=m), M)
        for m in [
            "lower",
            "higher",
            "nearest",
            "midpoint",
            "hazen",
            "weibull",
            "median_unbiased",
            "inverted_cdf",
            "averaged_inverted_cdf",
            "closest_observation",
        ]
    ],
    (lambda x: np.percentile(x, [25, 75]), M),
    (lambda x: np.sort(x), M),
    (lambda x: np.sort(x, axis=None), M),
    (lambda x: np.sort(x, axis=0), M),
    (lambda x: np.cumsum(x), M),
    (lambda x: np.cumsum(x, axis=1), M),
    (lambda x: np.cumprod(x, axis=-1), M),
    (lambda x: np.cumulative_sum(x, axis=1), M),
    (lambda x: np.cumulative_sum(x, include_initial=True), V),
    (lambda x: np.cumulative_prod(x, axis=0, include_initial=True), M),
    (lambda x: np.trapezoid(x), M),
    (lambda x, y: np.trapezoid(y, x, axis=0), np.array([0.0, 1.0, 2.5]), M),
    (lambda x: np.trapezoid(x, dx=0.5, axis=0), M),
    (lambda x: np.diff(x), M),
    (lambda x: np.diff(x, 2, axis=0, prepend=1.0, append=x[:1]), M),
    (lambda x: np.ediff1d(x, to_end=[9.0], to_begin=2.0), M),
    (lambda x: np.gradient(x), M),
    (lambda x: np.gradient(x, 0.5, axis=0, edge_order=2), M),
    (lambda x: np.gradient(x, 0.5, 2.0), M),
    (lambda x, c: np.gradient(x, c, axis=1, edge_order=2), M, np.array([0.0, 1.0, 2.5, 3.0])),
    (lambda x, c: np.gradient(x, c, edge_order=1), V, np.array([0.0, 1.0, 2.5, 3.0, 3.2])),
    # products
    (lambda a, b: np.dot(a, b), M, N.T),
    (lambda a, b: np.dot(a, b), T, RNG.uniform(size=(2, 4, 2))),
    (lambda a, b: np.dot(a, b), V, V[::-1].copy()),
    (lambda a: np.dot(a, 3.0), V),
    (lambda a, b: np.dot(a, b), T, V[:4]),
    (lambda a, b: np.vdot(a, b), Z, Z.T.copy()),
    (lambda a, b: np.inner(a, b), T, N),
    (lambda a, b: np.outer(a, b), M, W),
    (lambda a, b: np.matmul(a, b), T, N.T),
    (lambda a, b: a @ b, M, V[:4]),
    (lambda a, b: np.matvec(a, b), T, V[:4]),
    (lambda a, b: np.vecmat(a, b), Z[0], Z),
    (lambda a, b: np.vecdot(a, b), Z, Z.T.copy()),
    (lambda a, b: np.vecdot(a, b, axis=0), M, N),
    (lambda a, b: np.tensordot(a, b, axes=1), T, N.T),
    (lambda a, b: np.tensordot(a, b, axes=([0, 2], [1, 0])), T, RNG.uniform(size=(4, 2))),
    (lambda a, b: np.tensordot(a, b, axes=(2, 1)), T, N),
    (lambda a, b: np.einsum("ij,kj->ik", a, b), M, N),
    (lambda a, b: np.einsum(a, [0, 1], b, [0, 1], [1]), M, N),
    (lambda a: np.einsum("...i->...", a, optimize=True), T),
    (lambda a, b: np.kron(a, b), M[:2, :2], N),
    (lambda a, b: np.cross(a, b), S, N[:, :3]),
    (lambda a, b: np.cross(a, b, axisa=0, axisc=0), N[:, :3], S),
    (lambda a: np.trace(a, 1), T),
    (lambda a: np.trace(a, axis1=1, axis2=2), T),
    *[(lambda a, b, m=m: np.convolve(a, b, m), V, W) for m in ["full", "same", "valid"]],
    *[
        (lambda a, b, m=m: np.correlate(a, b, m), a, b)
        for m in ["full", "same", "valid"]
        for a, b in [(V, V[:4].copy()), (V[:2].copy(), V), (Z[0], Z[1, :2].copy())]
    ],
    (lambda p, x: np.polyval(p, x), V, M),
    (lambda p: np.polyder(p, 2), V),
    (lambda p: np.polyint(p, 2, k=[1.0, 2.0]), V),
    (lambda p, q: np.polyadd(p, q), V, W),
    (lambda p, q: np.polysub(p, q), W, V),
    (lambda p, q: np.polymul(p, q), V, W),
    (lambda x, y: np.polyfit(x, y, 2), V, V**2 + np.array([0.1, 0.0, -0.1, 0.05, 0.0])),
    (lambda x: np.vander(x, 4), V),
    (lambda x: np.vander(x, increasing=True), W),
    # linear algebra
    (lambda a: np.linalg.det(a), S),
    (lambda a: np.linalg.slogdet(a), S),
    (lambda a: np.linalg.inv(a), S),
    (lambda a, b: np.linalg.solve(a, b), S, W),
    (lambda a, b: np.linalg.solve(a, b), S, N),
    (lambda a: np.linalg.eigh(a + a.T)[0], P),
    (lambda a: np.abs(np.linalg.eigh((a + a.T) / 2, "U").eigenvectors), P),
    (lambda a: np.linalg.eigvalsh(a + a.T, "U"), P),
    (lambda a: np.sort(np.linalg.eigvals(a).real), P),
    (lambda a: np.sort(np.linalg.eig(a).eigenvalues.real), P),
    (lambda a: np.sum(np.linalg.eigvals(a) ** 2), Z),
    (lambda a: np.linalg.svd(a, compute_uv=False), M),
    (lambda a: np.linalg.svdvals(a), M),
    (lambda a: np.abs(np.linalg.svd(a, full_matrices=False)[0]), M),
    (lambda a: np.linalg.qr(a)[1], S),
    (lambda a: np.linalg.qr(a, "r"), S),
    (lambda a: np.linalg.cholesky((a + a.T) / 2), P),
    (lambda a: np.linalg.cholesky((a + a.T) / 2, upper=True), P),
    *[(lambda a, o=o: np.linalg.norm(a, o), M) for o in [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf]],
    *[(lambda a, o=o: np.linalg.norm(a, o, axis=1, keepdims=True), M) for o in [None, 1, 2, 3, np.inf, -np.inf]],
    (lambda a: np.linalg.norm(a, axis=(0, 2), keepdims=True), T),
    (lambda a: np.linalg.norm(a), T),
    (lambda a: np.linalg.matrix_norm(a, ord="nuc"), T),
    (lambda a: np.linalg.vector_norm(a, axis=(0, 1), ord=3), T),
    (lambda a: np.linalg.pinv(a), M),
    (lambda a, b: np.linalg.lstsq(a, b)[0], M.T.copy(), V[:4]),
    (lambda a, b: np.linalg.lstsq(a, b)[1], M.T.copy(), N.T.copy()),
    (lambda a: np.linalg.matrix_power(a, 3), S),
    (lambda a: np.linalg.matrix_power(a, -2), S),
    (lambda a: np.linalg.cond(a), S),
    (lambda a: np.linalg.cond(a, 1), S),
    (lambda a, b: np.linalg.multi_dot([a, b, a]), M, N.T),
    (lambda a: np.linalg.tensorinv(a, 1), RNG.uniform(size=(6, 2, 3))),
    (lambda a, b: np.linalg.tensorsolve(a, b), RNG.uniform(size=(2, 3, 6)), RNG.uniform(size=(2, 3))),
    (lambda a, b: np.linalg.tensorsolve(a, b, (1,)), RNG.uniform(size=(2, 6, 3)), RNG.uniform(size=(2, 3))),
    (lambda a: np.linalg.trace(a), T),
    (lambda a, b: np.linalg.cross(a, b), S, N[:, :3]),
    (lambda a, b: np.linalg.outer(a, b), V, W),
    (lambda a, b: np.linalg.matmul(a, b), M, N.T),
    (lambda a, b: np.linalg.vecdot(a, b, axis=0), M, N),
    (lambda a: np.linalg.diagonal(a, offset=1), T),
    (lambda a: np.linalg.matrix_transpose(a), T),
    # Fourier transforms
    *[(lambda x, f=f: f(x), x) for f in [np.fft.fft, np.fft.ifft, np.fft.hfft, np.fft.irfft] for x in [Z, M]],
    *[(lambda x, f=f: f(x), M) for f in [np.fft.rfft, np.fft.ihfft, np.fft.rfft2, np.fft.rfftn]],
    *[(lambda x, f=f: f(x), T) for f in [np.fft.fft2, np.fft.ifft2, np.fft.fftn, np.fft.ifftn]],
    *[(lambda x, f=f: f(x), Z) for f in [np.fft.irfft2, np.fft.irfftn]],
    (lambda x: np.fft.fft(x, 6, axis=0, norm="ortho"), M),
    (lambda x: np.fft.rfft(x, n=3, norm="forward"), M),
    (lambda x: np.fft.fft2(x, s=(2, 5), axes=(0, 1)), T),
    (lambda x: np.fft.fftshift(x, axes=1), M),
    (lambda x: np.fft.ifftshift(x), M),
    # joining and splitting
    (lambda a, b: np.concatenate([a, b]), M, N),
    (lambda a, b: np.concatenate((a, b, np.ones((3, 1))), axis=1), M, N),
    (lambda a, b: np.concatenate([a, b], axis=None), M, V),
    (lambda a: np.concatenate(a), T),
    (lambda a, b: np.concat([a, b], axis=-1), M, N),
    (lambda a, b: np.stack([a, b], axis=1), M, N),
    (lambda a: np.stack([a[0], np.ones(4)]), M),
    (lambda a, b: np.vstack([a, b]), M, V[:4]),
    (lambda a, b: np.hstack([a, b]), V, W),
    (lambda a, b: np.hstack([a, b]), M, N),
    (lambda a, b: np.dstack([a, b]), M, N),
    (lambda a, b: np.column_stack([a, b]), W, M),
    (lambda a, b: np.block([[a, np.zeros((3, 3))], [np.zeros((3, 4)), b]]), M, S),
    (lambda a, b: np.block([a, b]), V, W),
    (lambda a, b: np.append(a, b), M, V),
    (lambda a, b: np.append(a, b, axis=1), M, S),
    (lambda a: np.split(a, 2, axis=1), M),
    (lambda a: np.array_split(a, 3), V),
    (lambda a: np.split(a, [1, 3]), V),
    (lambda a: np.hsplit(a, 2), M),
    (lambda a: np.vsplit(a, [1]), M),
    (lambda a: np.dsplit(a, 2), T),
    (lambda a: np.unstack(a, axis=1), M),
    (lambda a: np.insert(a, 1, 9.0), V),
    (lambda a, b: np.insert(a, 1, b, axis=1), M, W),
    (lambda a, b: np.insert(a, [1, 3, 3], b), V, W),
    (lambda a: np.insert(a, slice(1, 3), 5.0, axis=1), M),
    (lambda a: np.insert(a, [0, 2], [[1.0], [2.0], [3.0]], axis=1), M),
    (lambda a: np.delete(a, 1), M),
    (lambda a: np.delete(a, [0, 2], axis=1), M),
    (lambda a: np.delete(a, slice(None, None, 2), axis=1), M),
    # shapes
    (lambda a: np.reshape(a, (2, 6)), M),
    (lambda a: np.reshape(a, -1, order="F"), M),
    (lambda a: np.reshape(a, (4, -1), order="F"), M),
    (lambda a: np.ravel(a), M),
    (lambda a: np.ravel(a, "F"), M),
    (lambda a: np.transpose(a), T),
    (lambda a: np.transpose(a, (1, 2, 0)), T),
    (lambda a: np.permute_dims(a, (1, 0, 2)), T),
    (lambda a: np.matrix_transpose(a), T),
    (lambda a: np.moveaxis(a, 0, -1), T),
    (lambda a: np.moveaxis(a, [0, 1], [2, 0]), T),
    (lambda a: np.swapaxes(a, 0, 2), T),
    (lambda a: np.rollaxis(a, 2), T),
    (lambda a: np.rollaxis(a, 0, 3), T),
    (lambda a: np.squeeze(a[:, :1], axis=1), M),
    (lambda a: np.squeeze(a[None, :, :1]), M),
    (lambda a: np.expand_dims(a, (0, -1)), M),
    (lambda a: np.expand_dims(a, 1), M),
    (lambda a: np.broadcast_to(a, (2, 3)), W),
    (lambda a, b: np.broadcast_arrays(a, b), W, S),
    (lambda a: np.atleast_1d(a[0]), V),
    (lambda a, b: np.atleast_2d(a, b), V, M),
    (lambda a, b: np.atleast_3d(a, b), V, M),
    (lambda a: np.tile(a, 2), M),
    (lambda a: np.tile(a, (2, 1, 2)), M),
    (lambda a: np.repeat(a, 2), M),
    (lambda a: np.repeat(a, [1, 0, 2], axis=0), M),
    (lambda a: np.roll(a, 2), M),
    (lambda a: np.roll(a, (1, -1), axis=(0, 1)), M),
    (lambda a: np.roll(a, 1, axis=(0, 1)), M),
    (lambda a: np.rot90(a), M),
    (lambda a: np.rot90(a, -1, (1, 2)), T),
    (lambda a: np.flip(a), M),
    (lambda a: np.flip(a, axis=(0, 2)), T),
    (lambda a: np.fliplr(a), M),
    (lambda a: np.flipud(a), M),
    (lambda a: np.diag(a), S),
    (lambda a: np.diag(a, -1), W),
    (lambda a: np.diagflat(a, 1), M[:2, :2]),
    (lambda a: np.diagonal(a, 1, 1, 2), T),
    (lambda a: np.tril(a), M),
    (lambda a: np.triu(a, 1), T),
    (lambda a: np.tril(a), W),
    (lambda a: np.resize(a, (2, 8)), M),
    (lambda a: np.trim_zeros(np.concatenate([np.zeros(2), a, np.zeros(1)])), V),
    (lambda a: np.pad(a, 1), M),
    (lambda a: np.pad(a, ((1, 0), (2, 1)), constant_values=3.0), M),
    (lambda a, v: np.pad(a, (1, 2), constant_values=v), V, np.array(2.5)),
    *[(lambda a, m=m: np.pad(a, ((1, 2), (0, 5)), mode=m), M) for m in ["edge", "reflect", "symmetric", "wrap"]],
    # choosing and indexing
    (lambda a, b: np.where(MASK, a, b), M, N),
    (lambda a: np.where(a > 1, a, 0), M),
    (lambda a: np.where(a > 1, np.log(np.where(a > 1, a, 1)), 0.0), M),
    (lambda a: np.select([a > 1.2, a > 0.6], [a**2, a], default=3), M),
    (lambda a, b: np.choose([0, 1, 1, 0], [a, b]), M, N),
    (lambda a: np.piecewise(a, [a < 0, a >= 1], [lambda v: v**2, 3.0, lambda v: -v]), V),
    (lambda a: np.clip(a, 0.52, 1.27), M),
    (lambda a: np.clip(a, None, N), M),
    (lambda a: np.clip(a, a_min=0.9, a_max=None), M),
    (lambda a: a.clip(0.9), M),
    (lambda a: np.extract(MASK, a), M),
    (lambda a: np.compress([True, False, True], a, axis=0), M),
    (lambda a: np.take(a, [0, 5, 5]), M),
    (lambda a: np.take(a, [[0, 2], [1, 1]], axis=1), M),
    (lambda a: np.take(a, [-1, 7], axis=0, mode="wrap"), M),
    (lambda a: np.take(a, [-1, 7], axis=0, mode="clip"), M),
    (lambda a: np.take_along_axis(a, np.array([[0, -1], [1, 1], [3, 2]]), axis=1), M),
    (lambda a: np.take_along_axis(a, np.argsort(a, axis=0), axis=0), M),
    (lambda a: np.unique(np.concatenate([a, a])), V),
    (lambda a: np.unique(np.stack([a, a]), axis=0), V),
    (lambda a, b: np.union1d(a, b), V, W),
    (lambda a: np.setdiff1d(a, a[:2]), V),
    (lambda a: np.setxor1d(a, a[:2]), V),
    (lambda a: np.intersect1d(a, a[1:3]), V),
    (lambda a: np.apply_along_axis(lambda r: np.cumsum(r)[1:], 1, a), M),
    (lambda a: np.apply_along_axis(np.sum, 0, a), T),
    (lambda a: np.apply_over_axes(np.sum, a, [0, 2]), T),
    # elementwise
    (lambda a: np.nan_to_num(a, nan=2.0), HOLES),
    (lambda a: np.real(a) + np.imag(a) + np.angle(a), Z),
    (lambda a: np.angle(a, deg=True), Z),
    (lambda a: np.real_if_close(a + 0j) if a.dtype.kind == "f" else a, M),
    (lambda a: np.conj(a) * np.abs(a), Z),
    (lambda a: np.sinc(a), M),
    (lambda a: np.i0(a), M),
    (lambda a: np.unwrap(a * 9), V),
    (lambda x, f: np.interp(x, [-2.0, 0.0, 0.5, 3.0], f), V, V[:4]),
    (lambda x, c, f: np.interp(x, c, f, left=5.0), V, np.array([-0.5, 0.0, 1.0]), W),
    (lambda x, f: np.interp(x, [0.1, 0.5, 0.9], f, period=1.5), V, W),
    (lambda a: np.modf(a), V),
    (lambda a: np.divmod(a, 0.8), V),
    (lambda a: np.copy(a) + np.zeros_like(a) + np.full_like(a, 2) * np.ones_like(a), M),
    (lambda a: np.astype(a, np.float64) * 2, M),
    (lambda a: np.array([a[0], a[1] * 2], like=a), V),
    # making arrays, statistics
    (lambda a: np.linspace(a[0], a[1], 5), V),
    (lambda a: np.linspace(0, a, 4, axis=1), M),
    (lambda a: np.linspace(a, 3, 4, endpoint=False, retstep=True), W),
    (lambda a: np.logspace(a[0], 1.0, 4, base=2.0), V),
    (lambda a: np.geomspace(a[0], 20.0, 4), V),
    (lambda a, b: np.meshgrid(a, b), V, W),
    (lambda a, b: np.meshgrid(a, b, sparse=True, indexing="ij"), V, W),
    (lambda a: np.cov(a), M),
    (lambda a, b: np.cov(a, b, rowvar=False, bias=True), M, N),
    (lambda a: np.cov(a, fweights=[1, 2, 1, 3], aweights=[0.1, 0.4, 1.0, 0.2]), M),
    (lambda a: np.corrcoef(a), M),
    (lambda w: np.bincount([0, 2, 2, 5, 1], weights=w, minlength=7), V),
    (lambda w: np.histogram([0.5, 1.5, 1.6, 2.5, 3.0], bins=[0.0, 1.0, 2.0, 3.0], weights=w, density=True)[0], V + 2),
    (lambda a: np.histogram_bin_edges(a, 4), V),
    # methods of ufuncs
    (lambda a: np.add.reduce(a), M),
    (lambda a: np.add.reduce(a, axis=None, keepdims=True), M),
    (lambda a: np.multiply.reduce(a, axis=1, initial=2.0, where=MASK), M),
    (lambda a: np.maximum.reduce(a, axis=(0, 1)), T),
    (lambda a: np.minimum.reduce(a, axis=1, initial=0.5), M),
    (lambda a: np.logaddexp.reduce(a, axis=1), M),
    (lambda a: np.subtract.reduce(a, axis=0, keepdims=True), M),
    (lambda a: np.add.accumulate(a, axis=1), M),
    (lambda a: np.multiply.accumulate(a), M),
    (lambda a: np.maximum.accumulate(a, axis=1), M),
    (lambda a: np.minimum.accumulate(a), M),
    (lambda a: np.divide.accumulate(a, axis=1), M),
    (lambda a: np.add.reduceat(a, [0, 3, 1]), V),
    (lambda a: np.multiply.reduceat(a, [0, 2], axis=1), M),
    (lambda a, b: np.multiply.outer(a, b), M, W),
    (lambda a: np.subtract.outer(a, 2.0), V),
    # keyword forms and operators
    (lambda a: np.add(a, 1, dtype=np.float64), M),
    (lambda a: np.log(a, where=np.array(True)), M),
    (lambda a, b: np.multiply(a, b, out=np.zeros_like(a)), M, N),
    (lambda a: np.divide(a, a - a[0], out=np.ones_like(a), where=np.arange(5) > 0), V),
    (lambda a: np.ones((3, 4)) * a + np.float64(2) * a - np.float64(1) / a, M),
    (lambda a: np.arange(4) ** a, M),
    (lambda a: np.ones((2, 3)) @ a, M),
    (lambda a: np.array([2.0, 1.0, 3.0, 4.0]) // 1 - np.remainder(a, np.array(0.7)), M),
    (lambda a: sum(np.float32(k) * a for k in range(3)), M),
]
INTEGERS = [
    lambda x: np.argmax(x),
    lambda x: np.argmax(x, axis=1),
    lambda x: np.argmin(x, axis=0, keepdims=True),
    lambda x: np.argmax(x, keepdims=True),
    lambda x: np.argsort(x, axis=0),
    lambda x: np.argsort(x, axis=None),
    lambda x: np.nanargmax(x, axis=1),
    lambda x: np.nanargmin(x),
    lambda x: np.all(x > 0.5, axis=1),
    lambda x: np.all(x),
    lambda x: np.any(x > 1.5, axis=0, keepdims=True),
    lambda x: np.any(x > 1.5, where=MASK),
    lambda x: np.count_nonzero(x > 1, axis=1),
    lambda x: np.nonzero(x > 1),
    lambda x: np.where(x > 1),
    lambda x: np.argwhere(x > 1),
    lambda x: np.flatnonzero(x > 1),
    lambda x: np.searchsorted(np.sort(x[0]), x),
    lambda x: np.searchsorted([0.5, 1.0], x, side="right"),
    lambda x: np.digitize(x, [0.3, 0.9, 1.5]),
    lambda x: np.digitize(x, [1.5, 0.9, 0.3], right=True),
    lambda x: np.bincount(np.astype(x, np.int64)[0], minlength=4),
    lambda x: np.histogram(x, bins=3)[0],
    lambda x: np.histogram(x, bins=[0.0, 1.0, 2.0], range=None)[0],
    lambda x: np.lexsort((x[0], x[1])),
    lambda x: np.isin(x, x[0]),
    lambda x: np.isin(x, [1.0], invert=True),
    lambda x: np.isclose(x, x + 1e-9),
    lambda x: np.isreal(x),
    lambda x: np.iscomplex(x),
    lambda x: np.isneginf(x),
    lambda x: np.isposinf(x),
    lambda x: np.unique_inverse(x).inverse_indices,
    lambda x: np.unique_counts(x).counts,
    lambda x: np.unique(x, return_index=True, return_inverse=True, return_counts=True)[1:],
    lambda x: np.logical_and.reduce(x > 0.5, axis=1),
    lambda x: np.logical_or.reduce(x > 1.5),
    lambda x: np.logical_xor.reduce(x > 1, axis=1),
    lambda x: np.bitwise_count(np.astype(x * 9, np.int64)),
    lambda x: np.left_shift(np.astype(x * 9, np.int64), 1) & np.array(6) | 1,
    lambda x: ~np.astype(x * 9, np.int64) ^ 3,
    lambda x: np.gcd(np.astype(x * 9, np.int64), 6) + np.lcm(np.astype(x * 9, np.int64), 4),
    lambda x: np.sum(x > 1),
    lambda x: np.add.reduce(np.astype(x * 9, np.uint8), axis=0),
    lambda x: np.cumsum(np.astype(x * 9, np.int16)),
    lambda x: np.linalg.matrix_rank(x),
    lambda x: np.float64(1) < x,
    lambda x: np.ones(4) >= x,
    lambda x: np.unravel_index(np.argmax(x), x.shape),
    lambda x: np.ravel_multi_index((np.argmax(x, axis=0), np.arange(4)), x.shape),
    lambda x: np.packbits(x > 1),
    lambda x: np.diff(x > 1),
    lambda x: np.argpartition(np.sort(x), 2),
]
PLAIN = [  # what is no array for an array is none for a tensor
    lambda x: np.shape(x),
    lambda x: np.ndim(x),
    lambda x: np.size(x, 1),
    lambda x: np.result_type(x, np.float32),
    lambda x: np.can_cast(x.dtype, np.float32),
    lambda x: np.common_type(x),
    lambda x: np.iscomplexobj(x),
    lambda x: np.isrealobj(x),
    lambda x: np.allclose(x, x + 1e-12),
    lambda x: np.array_equal(x, x),
    lambda x: np.array_equiv(x, x[0]),
    lambda x: np.shares_memory(x, x[0]),
    lambda x: np.may_share_memory(x, np.zeros(3)),
    lambda x: np.array_repr(x),
    lambda x: np.array_str(x),
    lambda x: np.array2string(x, precision=2),
    lambda x: np.min_scalar_type(x),
    lambda x: np.einsum_path("ij,ij->", x, x)[0],
    lambda x: len(np.tril_indices_from(x[:, :3])),
]


def tensor(a: np.ndarray) -> ag.Tensor:
    return ag.Tensor(a, requires_grad=a.dtype.kind in "fc")


def flat(y) -> tuple:
    """The results of a call that may return one, or a list or tuple of them."""
    return tuple(y) if isinstance(y, (tuple, list)) else (y,)


def label(case) -> str:
    source = inspect.getsource(case).strip().split("\n")[0]
    return source.split(":", 1)[1].strip()[:50] if "lambda" in source else source[:50]


def numbered(cases) -> list:
    return [pytest.param(c, id=f"{k}-{label(c[0] if isinstance(c, tuple) else c)}") for k, c in enumerate(cases)]


def check_values(f, arrays: list) -> tuple:
    """NumPy's values and types; returns the tensors that came out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = flat(f(*arrays))
        except AttributeError as error:
            pytest.skip(f"NumPy {np.__version__}: {error}")
        results = flat(f(*map(tensor, arrays)))
    assert len(results) == len(expected)
    for y, e in zip(results, expected):
        assert isinstance(y, ag.Tensor), type(y)
        assert y.dtype == np.asarray(e).dtype
        loose = any(a.dtype in (np.float32, np.complex64) for a in arrays)
        close(y.value, e, "value", *((1e-4, 1e-4) if loose else (1e-10, 1e-12)))
    return results


def check_gradient(f, arrays: list) -> None:
    """The gradient of a random combination of the results is its slope."""
    leaves = [tensor(a) for a in arrays]
    ys = flat(f(*leaves))
    assert any(y.requires_grad for y in ys), "left the tape"
    vs = [direction(y.shape, y.dtype, RNG) if y.requires_grad else None for y in ys]
    us = [direction(a.shape, a.dtype, RNG) for a in arrays]
    seeds = [(y, ag.Tensor(np.conj(v))) for y, v in zip(ys, vs) if v is not None]
    gs = ag.gradient([y for y, _ in seeds], leaves, [v for _, v in seeds], allow_unused=True)
    assert all(g is None or g.dtype == a.dtype for g, a in zip(gs, arrays))
    reverse = sum(np.real(np.vdot(u, g.value)) for u, g in zip(us, gs) if g is not None)
    number = lambda *xs: sum(np.real(np.sum(v * np.asarray(y))) for y, v in zip(flat(f(*xs)), vs) if v is not None)
    close(reverse, slope(number, arrays, us, 1e-4), "gradient", 1e-6, 1e-7)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", numbered(CASES))
def test_np_code_differentiates_unchanged(case) -> None:
    f, *arrays = case
    check_values(f, arrays)
    check_values(f, [a.astype({"f": np.float32, "c": np.complex64}[a.dtype.kind]) for a in arrays])
    check_gradient(f, arrays)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_ufunc_differentiates(name: str) -> None:
    ufunc = getattr(np, name)
    check_values(ufunc, [M, N][: ufunc.nin])
    check_gradient(ufunc, [M, N][: ufunc.nin])
    check_values(ufunc, [np.array([[1, 2], [3, 4]]), np.array([2, 3])][: ufunc.nin])
    check_values(ufunc, [M.astype("f4"), np.array([2, 3, 1, 2])][: ufunc.nin])


@pytest.mark.parametrize("name", ["arccos", "arcsin", "arctanh"])
def test_ufunc_of_the_unit_interval(name: str) -> None:
    check_values(getattr(np, name), [M / 3])
    check_gradient(getattr(np, name), [M / 3])
    check_gradient(lambda x: np.arccosh(x + 1), [M])


@pytest.mark.parametrize("name", FLAT)
def test_ufunc_without_a_slope(name: str) -> None:
    ufunc = getattr(np, name)
    for inputs in ([V, W[:1]], [M.astype("f4"), N.astype("f4")], [np.arange(3), np.array([2, 1, 2])]):
        if name != "nextafter" or inputs[0].dtype.kind == "f":
            check_values(ufunc, inputs[: ufunc.nin])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("f", numbered(INTEGERS))
def test_integers_and_truth_values(f) -> None:
    check_values(f, [M])


@pytest.mark.parametrize("f", numbered(PLAIN))
def test_questions_are_answered_alike(f) -> None:
    assert f(tensor(M)) == f(M) and type(f(tensor(M))) is type(f(M))


# --- types -----------------------------------------------------------------------------------------------------------

TYPES = ["bool", "uint8", "int32", "int64", "float32", "float64", "complex64"]


@pytest.mark.parametrize("a, b", list(itertools.product(TYPES, TYPES)))
def test_types_mix_as_in_numpy(a: str, b: str) -> None:
    x, y = np.ones(2, a), np.ones(2, b)
    ordered = [] if "complex64" in (a, b) else [np.maximum, np.less]
    for f in (np.add, np.multiply, np.true_divide, *ordered, np.equal, lambda x, y: np.where(True, x, y)):
        assert f(tensor(x), y).dtype == f(x, tensor(y)).dtype == f(x, y).dtype
    assert np.concatenate([tensor(x), tensor(y)]).dtype == np.concatenate([x, y]).dtype


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("number", [2, 2.0, 2j, True, np.float64(2), np.float32(2), np.int64(2)])
def test_numbers_mix_as_in_numpy(dtype: str, number) -> None:
    x = np.ones(2, dtype)
    assert np.multiply(number, tensor(x)).dtype == np.multiply(number, x).dtype
    assert np.where(x > 0, tensor(x), number).dtype == np.where(x > 0, x, number).dtype


def test_gradients_come_back_in_the_type_of_each_input() -> None:
    x, k = ag.Tensor(np.ones(3, np.float32), requires_grad=True), ag.Tensor(np.array([1, 2, 3]))
    y = np.multiply(k, x)
    assert y.dtype == np.float64
    (g,) = ag.gradient(np.sum(y), [x])
    assert g.dtype == np.float32 and g.value.tolist() == [1, 2, 3]


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float16", "float32", "complex64"])
@pytest.mark.parametrize("name", "sum prod mean var std cumsum cumprod max median average".split())
def test_reductions_have_numpys_types(name: str, dtype: str) -> None:
    f, x = getattr(np, name), np.ones((2, 3), dtype)
    if name in ("max", "median") and dtype == "complex64":
        pytest.skip("complex numbers have no order")
    assert f(tensor(x), axis=1).dtype == f(x, axis=1).dtype


# --- out, where, in place --------------------------------------------------------------------------------------------


def test_out_takes_on_result_and_history() -> None:
    x, out = tensor(V), ag.Tensor(np.zeros(5))
    assert np.exp(x, out=out) is out and np.add(out, x, out) is out
    close(out.value, np.exp(V) + V, "out")
    close(ag.gradient(np.sum(out), [x])[0].value, np.exp(V) + 1, "gradient through out")
    target = ag.Tensor(np.zeros(4))
    assert np.sum(tensor(M), axis=0, out=target) is target
    close(target.value, M.sum(0), "out of a reduction")
    assert target.requires_grad


def test_where_without_out_gives_zero() -> None:
    x = tensor(np.array([0.0, 2.0]))
    y = np.log(x, where=np.array([False, True]))
    assert y.value.tolist() == [0.0, np.log(2.0)]
    assert ag.gradient(np.sum(y), [x])[0].value.tolist() == [0.0, 0.5]


def test_arrays_refuse_results_with_gradients_and_take_others() -> None:
    a = np.ones(5)
    with pytest.raises(TypeError, match=r"numpy.add: the result carries gradients.*a = a \+ t"):
        a += tensor(V)
    with pytest.raises(TypeError, match="cannot be written into an ndarray"):
        np.copyto(a, tensor(V))
    with pytest.raises(TypeError, match=r"requires gradients.*detach"):
        a[:] = tensor(V)
    assert (a == 1).all()
    a += tensor(V).detach()
    with ag.no_grad():
        a += tensor(V)
    close(a, 1 + 2 * V, "array")


@pytest.mark.parametrize(
    "change",
    [
        lambda t, v: np.fill_diagonal(t, v),
        lambda t, v: np.copyto(t, v[0], where=MASK),
        lambda t, v: np.copyto(t, v),
        lambda t, v: np.place(t, MASK, v),
        lambda t, v: np.putmask(t, MASK, v[:3]),
        lambda t, v: np.put(t, [0, 5, -1], v),
        lambda t, v: np.put_along_axis(t, np.array([[1], [0], [3]]), v[:3, None], 1),
        lambda t, v: np.add.at(t, [0, 2, 0], v),
        lambda t, v: np.subtract.at(t, ([0, 2, 0, 1], [1, 1, 1, 3]), v),
        lambda t, v: np.add.at(t, (slice(None), 1), 3.0 * v[0]),
    ],
)
def test_changes_in_place_are_recorded(change) -> None:
    def f(x, v):
        y = x * 2
        assert change(y, v) is None
        return y

    check_values(f, [M, V[:4].copy()])
    check_gradient(f, [M, V[:4].copy()])


def test_errors_of_out_change_nothing() -> None:
    out = ag.Tensor(np.zeros(3, np.int64))
    with pytest.raises(TypeError, match="cannot store float64 in an out of int64"):
        np.add(tensor(W), 1, out=out)
    with pytest.raises(ValueError, match=r"shape \(5,\) does not fit an out of shape \(3,\)"):
        np.add(tensor(V), 1, out=ag.Tensor(np.zeros(3)))
    assert out.value.tolist() == [0, 0, 0]


# --- what is not covered ---------------------------------------------------------------------------------------------

UNCOVERED = [
    (lambda t: np.frexp(t), "numpy.frexp is not covered for Tensor; use t.detach"),
    (lambda t: np.spacing(t), "numpy.spacing is not covered"),
    (lambda t: np.multiply.at(t, [0], 2.0), "numpy.multiply.at is not covered"),
    (lambda t: np.histogram2d(t, t), "numpy.histogram2d is not covered for Tensor"),
    (lambda t: np.roots(t), "numpy.roots is not covered"),
    (lambda t: np.pad(t, 1, mode="linear_ramp"), "numpy.pad with mode='linear_ramp' is not covered"),
    (lambda t: np.quantile(t, 0.5, weights=t, method="inverted_cdf"), "numpy.quantile with weights is not covered"),
    (lambda t: np.sort(t, order="f"), "numpy.sort with order is not covered"),
    (lambda t: np.matmul(t, t, axes=[0, 0, 0]), "numpy.matmul with axes is not covered"),
    (lambda t: np.linalg.qr(t * np.ones((5, 5)), "raw"), "numpy.linalg.qr with mode='raw' is not covered"),
    (lambda t: np.emath.sqrt(t), "sqrt is not covered"),
    (lambda t: np.quantile(V, t * 0 + 0.5), "q cannot be differentiated"),
    (lambda t: np.asarray(t), r"requires gradients.*t.detach\(\).numpy\(\)"),
    (lambda t: np.array([t, t]), "requires gradients"),
    (lambda t: np.vectorize(abs)(t), "requires gradients"),
    (lambda t: np.add(t, 1, signature="dd->d"), "numpy.add with signature is not covered"),
]


@pytest.mark.parametrize("call, message", UNCOVERED)
def test_what_is_not_covered_says_so(call, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(tensor(V))


def dispatching() -> list:
    """Every public function of NumPy that hands over to other types."""
    spaces = {"": np, "linalg.": np.linalg, "fft.": np.fft, "emath.": np.emath}
    public = [(prefix, space, n) for prefix, space in spaces.items() for n in dir(space) if n[0] != "_"]
    return [prefix + n for prefix, space, n in public if is_dispatching(getattr(space, n))]


def is_dispatching(f) -> bool:
    return isinstance(f, np.ufunc) or hasattr(f, "_implementation")


def detached(y) -> bool:
    """Whether there are numbers in a result that lost their history."""
    if isinstance(y, (list, tuple)):
        return any(map(detached, y))
    if isinstance(y, ag.Tensor):
        return y.dtype.kind in "fc" and not y.requires_grad and y.value.size > 0
    is_number = isinstance(y, (np.ndarray, np.generic, float, complex))
    return is_number and np.asarray(y).dtype.kind in "fc" and np.size(y) > 0


FLAT_FUNCTIONS = {"zeros_like", "ones_like", "full_like", "empty_like", "imag", "histogram", "histogram_bin_edges"}
ARGUMENTS = [
    lambda t: (t,),
    lambda t: (t, t),
    lambda t: (t, 1),
    lambda t: (t, (2, 2)),
    lambda t: (t[0], t[1]),
    lambda t: ([t, t],),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", dispatching())
def test_no_function_silently_leaves_the_tape(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    space, _, last = name.rpartition(".")
    f = getattr(getattr(np, space) if space else np, last)
    for arguments in ARGUMENTS:
        try:
            f(*arguments(P.copy()))
        except Exception:  # not how to call it
            continue
        try:
            y = f(*arguments(tensor(P) * 1))
        except (TypeError, ValueError) as error:
            says = (last, "cannot be differentiated", "carries gradients", "requires gradients")
            assert any(s in str(error) for s in says), error
            continue
        assert name in FLAT_FUNCTIONS or name in FLAT or name.startswith("is") or not detached(y), y


# --- transforms ------------------------------------------------------------------------------------------------------

WRITTEN_WITH_NP = [
    lambda x: np.sum(np.tanh(x) * np.mean(x, axis=0)),
    lambda x: np.linalg.norm(np.concatenate([x, x[:1] ** 2]) @ np.ones(4)),
    lambda x: np.max(np.where(x > 1, np.log(x), x), axis=1).sum(),
    lambda x: np.var(np.sort(x, axis=1)[:, 1:]) + np.std(x),
    lambda x: np.einsum("ij,ij->", x, np.cumsum(x, axis=1)) + np.float64(2) * x[0, 0],
]


@pytest.mark.parametrize("f", numbered(WRITTEN_WITH_NP))
def test_np_code_in_transforms(f) -> None:
    gradient = ag.grad(f)(M)
    u = direction(M.shape, M.dtype, RNG)
    rate = slope(f, [M], [u], 1e-4)
    close(np.vdot(np.asarray(gradient), u), rate, "grad", 1e-6)
    close(np.asarray(ag.jvp(f, (M,), (u,))[1]), rate, "jvp", 1e-6)
    close(np.asarray(ag.vmap(f)(np.stack([M, N]))), [f(M), f(N)], "vmap")


def test_what_depends_on_values_is_refused_under_vmap() -> None:
    with pytest.raises(TypeError, match="numpy.unique: its result depends on values .* vmap"):
        ag.vmap(np.unique)(M)


# --- arrays out of tensors, and back ---------------------------------------------------------------------------------


def test_arrays_of_tensors_share_memory_and_convert() -> None:
    t = ag.Tensor(V)
    assert np.asarray(t) is t.value and np.shares_memory(np.asarray(t), t)
    assert np.asarray(t, np.float32).dtype == np.float32
    assert not np.shares_memory(np.array(t), t.value)
    with pytest.raises(ValueError, match="copy=False"):
        np.asarray(t, np.float32, copy=False)
    with ag.no_grad():
        assert np.asarray(tensor(V)).tolist() == V.tolist()
    assert np.ones(5)[ag.Tensor(np.array([0, 1]))].shape == (2,)


def test_protocol_attributes() -> None:
    t = tensor(V)
    assert t.__array_namespace__() is ag and t.__array_priority__ > 0
    assert not hasattr(t, "__array_interface__") and not hasattr(t, "__array_struct__")
    assert t.__dlpack_device__() == (1, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "complex64"])
def test_dlpack_with_numpy(dtype: str) -> None:
    a = np.arange(6).reshape(2, 3).astype(dtype)
    t = interop.from_dlpack(a)
    assert np.shares_memory(t.value, a) and t.dtype == a.dtype
    back = np.from_dlpack(t)
    assert np.shares_memory(back, a) and (back == a).all()
    with pytest.raises(BufferError, match="detach"):
        np.from_dlpack(tensor(V))


def test_dlpack_with_torch() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.arange(6.0).reshape(2, 3)
    t = interop.from_dlpack(theirs)
    theirs[0, 0] = 9
    assert t.value[0, 0] == 9 and t.dtype == np.float32
    back = torch.from_dlpack(t)
    back[1, 2] = -1
    assert t.value[1, 2] == -1 and theirs[1, 2] == -1


def test_other_types_with_protocols_are_left_to_themselves() -> None:
    class Other:
        def __array_ufunc__(self, *args, **options):
            return "theirs"

        def __array_function__(self, *args, **options):
            return "theirs"

    assert np.add(tensor(V), Other()) == "theirs"
    assert np.concatenate([tensor(V), Other()]) == "theirs"
