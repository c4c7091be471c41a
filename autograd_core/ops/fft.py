"""Fourier transforms: three primitives along one axis, and everything else made of them.

The transpose of a transform is the transform with the other sign and the same scale, and NumPy's `norm` names scales by
direction; hence OTHER.  Lengths are set beforehand by cutting off or adding zeros, an op of its own.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import as_dtype, get_default_dtype
from ..op import Traced, op
from ..samples import shapes
from .arranging import rolled
from .axes import all_axes, one_axis
from .base import conj
from .create import as_tensor, made

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ifftshift",
    "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

NORMS = ("backward", "ortho", "forward")
OTHER = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


@op(
    lambda g, x_shape, axis: resized(g, size=x_shape[axis], axis=axis),
    linear=True,
    trailing=True,
    samples=shapes("n m | 4 n m:complex", size=[0, 1, 2, 5], axis=[-1, -2]),
)
def resized(x, *, size, axis):
    """x cut off or continued with zeros to a length along one axis."""
    length, rest = x.shape[axis], (slice(None),) * (-axis - 1)
    if size <= length:
        return np.array(x[(..., slice(size), *rest)])
    y = np.zeros((*x.shape[: x.ndim + axis], size, *x.shape[x.ndim + axis + 1 :]), x.dtype)
    y[(..., slice(length), *rest)] = x
    return y


@op(
    lambda g, axis, inverse, norm: dft(g, axis=axis, inverse=not inverse, norm=OTHER[norm]),
    linear=True,
    trailing=True,
    samples=shapes("n m | n m:complex", axis=[-1, -2], inverse=[False, True], norm=list(NORMS), smallest=1),
    name="fft",
)
def dft(x, *, axis, inverse, norm):
    """Sums of x times powers of a root of unity, along one axis."""
    return (np.fft.ifft if inverse else np.fft.fft)(x, axis=axis, norm=norm)


@op(
    lambda g, x_shape, axis, norm: _half_transposed(g, x_shape[axis], axis, norm),
    linear=True,
    trailing=True,
    samples=shapes("n m", axis=[-1, -2], norm=list(NORMS), smallest=1),
    name="rfft",
)
def rdft(x, *, axis, norm):
    """The transform of real numbers, without the half that is the conjugate of the other."""
    return np.fft.rfft(x, axis=axis, norm=norm)


@op(
    lambda g, n, axis, norm: rdft(g, axis=axis, norm=OTHER[norm]) * _weights(n, axis, g, 2.0),
    linear=True,
    trailing=True,
    samples=[
        *shapes("3 3:complex", axis=[-1, -2], n=[4, 5], norm=list(NORMS)),
        *shapes("1 1:complex", axis=[-1, -2], n=[1], norm=list(NORMS)),
    ],
    name="irfft",
)
def irdft(x, *, n, axis, norm):
    """Real numbers from half of their transform; the imaginary parts of what must be real are not looked at."""
    return np.fft.irfft(x, n, axis=axis, norm=norm)


def _half_transposed(g: Any, n: int, axis: int, norm: str) -> Any:
    """What rdft does to a cotangent: each frequency counts once, where its inverse would count most of them twice."""
    return irdft(g * _weights(n, axis, g, 0.5), n=n, axis=axis, norm=OTHER[norm])


def _weights(n: int, axis: int, like: Any, between: float) -> np.ndarray:
    """One for the frequencies that half a spectrum of length n holds once (the first; the last if n is even)."""
    w = np.full((n // 2 + 1, *(1,) * (-axis - 1)), between, f"f{like.dtype.itemsize // (1 + (like.dtype.kind == 'c'))}")
    w[0] = 1
    if n % 2 == 0:
        w[-1] = 1
    return w


# --- arguments -------------------------------------------------------------------------------------------------------


def _input(x: Any, name: str, real: bool = False) -> Any:
    """Floating-point numbers, real if need be."""
    x = x if isinstance(x, (Traced, np.ndarray)) else as_tensor(x)
    if real and x.dtype.kind == "c":
        raise TypeError(f"{name}: expected real numbers, got {x.dtype}; use fft, or x.real")
    return x.astype(get_default_dtype()) if x.dtype.kind in "biu" else x


def _norm(norm: str | None, name: str) -> str:
    if norm not in (None, *NORMS):
        raise ValueError(f"{name}: norm must be 'backward', 'ortho' or 'forward', got {norm!r}")
    return norm or "backward"


def _count(n: Any, name: str) -> int:
    """A number of data points, of which there must be one at least."""
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"{name}: lengths must be integers, got {n!r:.40}") from None
    if n < 1:
        raise ValueError(f"{name}: a transform needs at least one data point, got {n}")
    return n


def _axis(x: Any, dim: Any, name: str) -> int:
    if x.ndim == 0:
        raise ValueError(f"{name}: a single number has no axis to transform; use x.reshape(1)")
    return one_axis(x.ndim, dim, name)


def _fit(x: Any, size: int, axis: int) -> Any:
    return x if x.shape[axis] == size else resized(x, size=size, axis=axis)


def _sizes(x: Any, s: Any, dim: Any, name: str) -> tuple[list[int | None], tuple[int, ...]]:
    """Lengths (None for what is there) and axes of a transform along several."""
    s, dim = ((v,) if isinstance(v, (int, np.integer)) else v for v in (s, dim))
    if dim is None:
        dim = None if s is None else range(-len(s), 0)
    if s is not None and dim is not None and len(s) > x.ndim:
        raise ValueError(f"{name}: s has {len(s)} lengths, but the tensor only {x.ndim} axes")
    axes = all_axes(x.ndim, dim if dim is None else tuple(dim), name)
    if s is not None and len(s) != len(axes):
        raise ValueError(f"{name}: s has {len(s)} lengths for {len(axes)} axes; give as many lengths as dim has axes")
    if not axes and name not in ("fftn", "ifftn"):
        raise ValueError(f"{name}: needs at least one axis")
    return [None if n == -1 else n for n in s or [-1] * len(axes)], axes


# --- along one axis --------------------------------------------------------------------------------------------------


def _complex(x: Any, n: Any, axis: int, norm: str, inverse: bool, name: str) -> Any:
    n = _count(x.shape[axis] if n is None else n, name)
    return dft(_fit(x, n, axis), axis=axis, inverse=inverse, norm=norm)


def _real(x: Any, n: Any, axis: int, norm: str, name: str) -> Any:
    n = _count(x.shape[axis] if n is None else n, name)
    return rdft(_fit(x, n, axis), axis=axis, norm=norm)


def _back_to_real(x: Any, n: Any, axis: int, norm: str, name: str) -> Any:
    n = _count(2 * (x.shape[axis] - 1) if n is None else n, name)
    return irdft(_fit(x, n // 2 + 1, axis), n=n, axis=axis, norm=norm)


def fft(input, n=None, dim=-1, norm=None):
    """The discrete Fourier transform along one axis, cut off or continued with zeros to n points."""
    x = _input(input, "fft")
    return _complex(x, n, _axis(x, dim, "fft"), _norm(norm, "fft"), False, "fft")


def ifft(input, n=None, dim=-1, norm=None):
    """The inverse of fft."""
    x = _input(input, "ifft")
    return _complex(x, n, _axis(x, dim, "ifft"), _norm(norm, "ifft"), True, "ifft")


def rfft(input, n=None, dim=-1, norm=None):
    """The transform of real numbers: the frequencies from 0 to n // 2, of which the others are the conjugates."""
    x = _input(input, "rfft", real=True)
    return _real(x, n, _axis(x, dim, "rfft"), _norm(norm, "rfft"), "rfft")


def irfft(input, n=None, dim=-1, norm=None):
    """The inverse of rfft, of 2 * (m - 1) points unless n says otherwise."""
    x = _input(input, "irfft")
    return _back_to_real(x, n, _axis(x, dim, "irfft"), _norm(norm, "irfft"), "irfft")


def hfft(input, n=None, dim=-1, norm=None):
    """The real transform of a signal of which half is given, the other half being its conjugate."""
    x = _input(input, "hfft")
    return _back_to_real(conj(x), n, _axis(x, dim, "hfft"), OTHER[_norm(norm, "hfft")], "hfft")


def ihfft(input, n=None, dim=-1, norm=None):
    """The inverse of hfft."""
    x = _input(input, "ihfft", real=True)
    return conj(_real(x, n, _axis(x, dim, "ihfft"), OTHER[_norm(norm, "ihfft")], "ihfft"))


# --- along several axes ----------------------------------------------------------------------------------------------


def _complex_all(x: Any, sizes: Sequence, axes: Sequence, norm: str, inverse: bool, name: str) -> Any:
    for n, axis in zip(sizes, axes):
        x = _complex(x, n, axis, norm, inverse, name)
    return x


def _fftn(input: Any, s: Any, dim: Any, norm: Any, inverse: bool, name: str) -> Any:
    x = _input(input, name)
    sizes, axes = _sizes(x, s, dim, name)
    norm = _norm(norm, name)
    return (
        _complex_all(x, sizes, axes, norm, inverse, name) if axes else x.astype(np.result_type(x.dtype, np.complex64))
    )


def _rfftn(input: Any, s: Any, dim: Any, norm: Any, name: str) -> Any:
    x = _input(input, name, real=True)
    (*sizes, n), (*axes, last) = _sizes(x, s, dim, name)
    norm = _norm(norm, name)
    return _complex_all(_real(x, n, last, norm, name), sizes, axes, norm, False, name)


def _irfftn(input: Any, s: Any, dim: Any, norm: Any, name: str) -> Any:
    x = _input(input, name)
    (*sizes, n), (*axes, last) = _sizes(x, s, dim, name)
    norm = _norm(norm, name)
    return _back_to_real(_complex_all(x, sizes, axes, norm, True, name), n, last, norm, name)


def _hfftn(input: Any, s: Any, dim: Any, norm: Any, name: str) -> Any:
    x = _input(input, name)
    (*sizes, n), (*axes, last) = _sizes(x, s, dim, name)
    norm = _norm(norm, name)
    return _back_to_real(conj(_complex_all(x, sizes, axes, norm, False, name)), n, last, OTHER[norm], name)


def _ihfftn(input: Any, s: Any, dim: Any, norm: Any, name: str) -> Any:
    x = _input(input, name, real=True)
    (*sizes, n), (*axes, last) = _sizes(x, s, dim, name)
    norm = _norm(norm, name)
    return _complex_all(conj(_real(x, n, last, OTHER[norm], name)), sizes, axes, norm, True, name)


def fftn(input, s=None, dim=None, norm=None):
    """fft along several axes, all by default."""
    return _fftn(input, s, dim, norm, False, "fftn")


def ifftn(input, s=None, dim=None, norm=None):
    """The inverse of fftn."""
    return _fftn(input, s, dim, norm, True, "ifftn")


def rfftn(input, s=None, dim=None, norm=None):
    """rfft along the last of several axes, fft along the others."""
    return _rfftn(input, s, dim, norm, "rfftn")


def irfftn(input, s=None, dim=None, norm=None):
    """The inverse of rfftn."""
    return _irfftn(input, s, dim, norm, "irfftn")


def hfftn(input, s=None, dim=None, norm=None):
    """hfft along the last of several axes, fft along the others."""
    return _hfftn(input, s, dim, norm, "hfftn")


def ihfftn(input, s=None, dim=None, norm=None):
    """The inverse of hfftn."""
    return _ihfftn(input, s, dim, norm, "ihfftn")


def fft2(input, s=None, dim=(-2, -1), norm=None):
    """fft along two axes."""
    return _fftn(input, s, dim, norm, False, "fft2")


def ifft2(input, s=None, dim=(-2, -1), norm=None):
    """The inverse of fft2."""
    return _fftn(input, s, dim, norm, True, "ifft2")


def rfft2(input, s=None, dim=(-2, -1), norm=None):
    """rfft along the second of two axes, fft along the first."""
    return _rfftn(input, s, dim, norm, "rfft2")


def irfft2(input, s=None, dim=(-2, -1), norm=None):
    """The inverse of rfft2."""
    return _irfftn(input, s, dim, norm, "irfft2")


def hfft2(input, s=None, dim=(-2, -1), norm=None):
    """hfft along the second of two axes, fft along the first."""
    return _hfftn(input, s, dim, norm, "hfft2")


def ihfft2(input, s=None, dim=(-2, -1), norm=None):
    """The inverse of hfft2."""
    return _ihfftn(input, s, dim, norm, "ihfft2")


# --- frequencies and their order -------------------------------------------------------------------------------------


def fftshift(input, dim=None):
    """Frequencies in ascending order, zero in the middle, along the given axes or all."""
    return _shifted(input, dim, "fftshift", lambda n: n // 2)


def ifftshift(input, dim=None):
    """The inverse of fftshift."""
    return _shifted(input, dim, "ifftshift", lambda n: -(n // 2))


def _shifted(x: Any, dim: Any, name: str, by: Any) -> Any:
    x = x if isinstance(x, (Traced, np.ndarray)) else as_tensor(x)
    axes = all_axes(x.ndim, dim, name)
    return rolled(x, shifts=tuple(by(x.shape[axis]) for axis in axes), axis=axes) if axes else x


def fftfreq(n, d=1.0, *, dtype=None, requires_grad=False, device=None):
    """The frequencies of fft for samples at distance d: 0, 1, ..., -2, -1 over n * d."""
    return _frequencies(np.fft.fftfreq, n, d, dtype, requires_grad, device, "fftfreq")


def rfftfreq(n, d=1.0, *, dtype=None, requires_grad=False, device=None):
    """The frequencies of rfft for samples at distance d: 0, 1, ..., n // 2 over n * d."""
    return _frequencies(np.fft.rfftfreq, n, d, dtype, requires_grad, device, "rfftfreq")


def _frequencies(make: Any, n: Any, d: Any, dtype: Any, requires_grad: bool, where: Any, name: str) -> Any:
    dtype = get_default_dtype() if dtype is None else as_dtype(dtype)
    if math.isnan(d) or d == 0:
        raise ValueError(f"{name}: the distance between samples must be a number other than 0, got {d}")
    return made(make(_count(n, name), d).astype(dtype), requires_grad, where, name)
