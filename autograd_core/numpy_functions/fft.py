"""What stands in for the functions of `np.fft`."""

from __future__ import annotations

import functools

from ..ops import fft as our_fft
from .operands import inexact, operand


def one_transform(name: str, a, n=None, axis=-1, norm=None):
    return getattr(our_fft, name)(inexact(a), n=n, dim=axis, norm=norm)


def plane_transform(name: str, a, s=None, axes=(-2, -1), norm=None):
    return many_transform(name[:-1] + "n", a, s, axes, norm)


def many_transform(name: str, a, s=None, axes=None, norm=None):
    if axes is None and s is not None:
        axes = tuple(range(-len(s), 0))
    return getattr(our_fft, name)(inexact(a), s=s, dim=axes, norm=norm)


def shift(name: str, x, axes=None):
    return getattr(our_fft, name)(operand(x), dim=axes)


FORMS = {
    one_transform: "fft ifft rfft irfft hfft ihfft",
    plane_transform: "fft2 ifft2 rfft2 irfft2",
    many_transform: "fftn ifftn rfftn irfftn",
    shift: "fftshift ifftshift",
}
FFT = {name: functools.partial(form, name) for form, names in FORMS.items() for name in names.split()}
