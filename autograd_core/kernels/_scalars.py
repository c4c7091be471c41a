"""Names for the steps of `_vector`, which imports Numba: these import nothing until a kernel with them is built."""

from __future__ import annotations

from ._jit import Late

like, pick, single, fma, signed = (Late("_vector", n) for n in ("like", "pick", "single", "fma", "signed"))
nearest, two_to, mantissa_exponent = (Late("_vector", n) for n in ("nearest", "two_to", "mantissa_exponent"))
raised, is_odd, half_turns, far_from = (Late("_vector", n) for n in ("raised", "is_odd", "half_turns", "far_from"))


class Polynomial(Late):
    """A polynomial that kernels call, with coefficients for float32 and for float64, highest power first.

    All were fitted for these files with 60 digits, by exchange of the extreme errors, to the least relative error.
    """

    def __init__(self, name: str, single: tuple, double: tuple):
        super().__init__("_vector", "polynomial")
        self.arguments, self.made = (name, single, double), None

    def resolve(self):
        self.made = self.made or super().resolve()(*self.arguments)
        return self.made
