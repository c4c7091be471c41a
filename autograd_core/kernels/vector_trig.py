"""Sines and cosines of one number, for kernels to take into their loops; see `vector_math`."""

from __future__ import annotations

import numpy as np

from ._jit import Late, inline
from ._scalars import Polynomial, fma, half_turns, is_odd, like, mantissa_exponent, nearest, pick, single, two_to
from .vector_exp import shifter, two_sum

# (sin(r) / r - 1) / r**2 and (cos(r) - 1 + r**2 / 2) / r**4 in powers of r**2, for |r| up to pi / 4
SIN = Polynomial(
    "SIN",
    (-0.00019517289, 0.008332178, -0.16666655),
    (1.589681336613483e-10, -2.5050758466152786e-08, 2.755731369454604e-06, -0.00019841269829816966,
     0.008333333333322429, -0.16666666666666632),
)  # fmt: skip
COS = Polynomial(
    "COS",
    (2.4438476e-05, -0.0013887368, 0.041666646),
    (-1.1359745921633874e-11, 2.0875725334521808e-09, -2.755731436904097e-07, 2.4801587289547016e-05,
     -0.0013888888888874244, 0.0416666666666666),
)  # fmt: skip

NEAR = 1e5  # up to where `near_turns` keeps all digits
LOWEST, HIGHEST = -64, 998  # exponents in the table below


class Leftovers(Late):
    """The table of powers of 2 less whole turns, each as a sum of three numbers; made when it is first needed."""

    def __init__(self):
        super().__init__("_vector", "")

    def resolve(self):
        bits = 1300
        turn, table = 2 * pi(bits), np.zeros((HIGHEST - LOWEST, 3))
        for e, row in enumerate(table, LOWEST):
            left = (1 << e + bits) % turn
            left -= turn if left > turn // 2 else 0
            for k in range(3):
                row[k] = left / (1 << bits)
                above, below = float(row[k]).as_integer_ratio()
                left -= above * (1 << bits) // below
        return table


def pi(bits: int) -> int:
    """Pi with so many bits behind the point, by Machin's formula."""
    total = 0
    for factor, q in ((16, 5), (-4, 239)):
        power, k = (1 << bits + 32) // q, 1
        while power:
            total += power // k * (factor if k % 4 == 1 else -factor)
            power, k = power // (q * q), k + 2
    return total >> 32


LEFT = Leftovers()


@inline
def near_turns(x):
    """n shifted, and r with x = n * pi / 2 + r and |r| <= pi / 4, for |x| up to NEAR."""
    shifted = x * like(x, 0.6366197723675814) + shifter(x)
    n = shifted - shifter(x)
    r = x - n * pick(x, 1.5707963705062866, 1.5707963267948966)
    low = n * pick(x, -4.371138828673793e-08, 6.123233995736766e-17)
    y = r - low
    if single(x):
        return shifted, y - n * like(x, -1.7151245100058819e-15)
    rest = ((r - y) - low) - (fma(n, like(x, 6.123233995736766e-17), -low) - n * like(x, 1.4973849048591698e-33))
    return shifted, y + rest


@inline
def single_turns(x):
    """The same for any finite float32: a large one is a whole number times a power of 2, which is less whole turns."""
    size, wide = abs(x), np.float64(x)
    y, high, low = wide, 1.0, 0.0
    large = size >= like(x, 2.0**45)
    y, high, low = (
        (wide * 2.0**-21 if large else y),
        (0.6736520550624236 if large else high),
        (4.399545655382635e-17 if large else low),
    )
    large = size >= like(x, 2.0**66)
    y, high, low = (
        (wide * 2.0**-42 if large else y),
        (1.6710001706720203 if large else high),
        (-3.073001941088177e-17 if large else low),
    )
    large = size >= like(x, 2.0**87)
    y, high, low = (
        (wide * 2.0**-63 if large else y),
        (1.5589959764209427 if large else high),
        (2.3305239782266665e-17 if large else low),
    )
    large = size >= like(x, 2.0**108)
    y, high, low = (
        (wide * 2.0**-84 if large else y),
        (2.338537542178235 if large else high),
        (-8.107164398512609e-17 if large else low),
    )
    p = y * high
    n = nearest(p * 0.6366197723675814)
    rest = fma(y, high, -p) + (y * low - n * 6.123233995736766e-17)
    turned = n - 4.0 * nearest(n * 0.25)
    return like(x, turned) + shifter(x), like(x, fma(-n, 1.5707963267948966, p) + rest)


@inline
def part_turns(y, j):
    """y times the row j of the table, as a sum of three numbers of falling size."""
    p, q = y * LEFT[j, np.uint64(0)], y * LEFT[j, np.uint64(1)]
    s, s_low = two_sum(fma(y, LEFT[j, np.uint64(0)], -p), q)
    return p, s, s_low + (fma(y, LEFT[j, np.uint64(1)], -q) + y * LEFT[j, np.uint64(2)])


@inline
def double_turns(x):
    """The same for any finite float64: two whole numbers times powers of 2, which are less whole turns."""
    m, e = mantissa_exponent(abs(x))
    e = like(x, 0) if e < like(x, 0) else (like(x, 1023) if e > like(x, 1023) else e)
    y = x * two_to(like(x, 26) - e)
    upper = nearest(y)
    lower = (y - upper) * like(x, 2.0**27)
    j = np.uint64(e + like(x, -26 - LOWEST))
    p, s, s_low = part_turns(upper, j)
    q, t, t_low = part_turns(lower, j - np.uint64(27))
    p, p_low = two_sum(p, q)
    n = nearest(p * like(x, 0.6366197723675814))
    w = n * like(x, 6.123233995736766e-17)
    a, a_low = two_sum(fma(-n, like(x, 1.5707963267948966), p), p_low)
    b, b_low = two_sum(a, s)
    c, c_low = two_sum(b, t)
    d, d_low = two_sum(c, -w)
    rest = n * like(x, 1.4973849048591698e-33) - fma(n, like(x, 6.123233995736766e-17), -w)
    return like(x, n + shifter(x)), like(x, d + (a_low + b_low + c_low + d_low + (s_low + t_low + rest)))


@inline
def turns(x):
    """n shifted, perhaps less whole turns, and r with x = n * pi / 2 + r and |r| <= pi / 4, for any finite x."""
    return single_turns(x) if single(x) else double_turns(x)


@inline
def wave(shifted, r):
    """The sine of r and as many quarter turns as `shifted` says."""
    z = r * r
    sine = r * z * SIN(z) + r
    cosine = (COS(z) * z - like(r, 0.5)) * z + like(r, 1)
    return half_turns(cosine if is_odd(shifted) else sine, shifted)


@inline
def sin(x):
    n, r = turns(x)
    return x if x == like(x, 0) else wave(n, r)


@inline
def cos(x):
    n, r = turns(x)
    return wave(n + like(n, 1), r)


@inline
def near_sin(x):
    """The sine of x up to NEAR."""
    n, r = near_turns(x)
    return x if x == like(x, 0) else wave(n, r)


@inline
def near_cos(x):
    """The cosine of x up to NEAR."""
    n, r = near_turns(x)
    return wave(n + like(n, 1), r)
