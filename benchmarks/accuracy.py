"""The worst errors of our elementary functions, in units in the last place: `python -m benchmarks.accuracy`.

With --small, of what small arrays are given to instead: NumPy's, and ours in NumPy.

float32 is compared with float64 arithmetic of more digits than it needs: with NumPy's and SciPy's way of computing, on
samples, or with --exhaustive with our own, on every number there is.  float64 is compared with mpmath, on samples.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable

import numpy as np

from autograd_core.kernels import elementwise
from autograd_core.kernels import vector_math as vector
from autograd_core.kernels._jit import EXACT, Late, kernel
from autograd_core.kernels.vector_exp import log2, log10

ROOT = np.sqrt(2 / np.pi)
NAMES = """
    exp exp2 expm1 log log2 log10 log1p sin cos sinh cosh tanh sigmoid silu softplus log_sigmoid mish erf erfc gelu
    gelu_tanh rsqrt
""".split()
SCOPE = {n: getattr(vector, n) for n in NAMES if hasattr(vector, n)} | {"log2": log2, "log10": log10}
SCOPE = {**elementwise.SCOPE, **SCOPE, "pow": vector.pow, "__name__": __name__}


def called(name: str, x: str, single: bool) -> str:
    """A call as loops have it: by the quick way for arguments that it is for."""
    if name not in elementwise.quick_ways() or name in elementwise.PICKED and not single:
        return f"{name}({x})"
    near, size, low, high = (text.format(x=x) for text in elementwise.QUICK[name])
    return f"{near}({x}) if {low} <= {size.format(x=x)} <= {high} else {name}({x})"


@functools.cache
def loop(name: str, single: bool) -> Callable:
    """out[i] = f(x[i]), or f(x[i], y[i]) for pow."""
    args, call = ("x, y", "pow(x[i], y[i])") if name == "pow" else ("x", called(name, "x[i]", single))
    scope = dict(SCOPE)
    exec(f"def run({args}, out):\n    for i in range(len(out)):\n        out[i] = {call}\n", scope)
    return kernel(scope["run"], fastmath=EXACT, name=f"accuracy_{name}_{single}")


def ours(name: str, *arguments: np.ndarray) -> np.ndarray:
    """What our function makes of these arguments."""
    out = np.empty_like(arguments[0])
    loop(name, out.dtype == np.float32)(*arguments, out)
    return out


def in_numpy(name: str, *arguments: np.ndarray) -> np.ndarray:
    """What the same function makes of them as arrays too small for a loop."""
    from autograd_core.ops import activations, math, special

    op = OPS.get(name, name)
    function = next(getattr(m, op) for m in (activations, special, math) if hasattr(m, op))
    forward = getattr(function.op.forward, "small", function.op.forward)
    with np.errstate(all="ignore"):
        return forward(*arguments, **({"beta": 1.0, "threshold": np.inf} if name == "softplus" else {}))


OPS = {
    "silu": "swish",
    "softplus": "soft",
    "mish": "mish_of",
    "gelu": "normal_part",
    "gelu_tanh": "tanh_part",
    "pow": "pow_of",
}


# --- float32: against float64 ----------------------------------------------------------------------------------------


def _normal_tail(x):
    """x times the probability that a normal number is below x."""
    from autograd_core.kernels.error_function import erfc

    return x * 0.5 * erfc(-x * np.sqrt(0.5))


def _special(name: str) -> Callable:
    from autograd_core.kernels import error_function

    return getattr(error_function, name)


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _mish(x):
    e = np.exp(np.minimum(x, 40))
    return np.where(x > 40, x, x * (e * (e + 2) / (e * (e + 2) + 2)))


WIDE = {
    "sigmoid": _sigmoid,
    "silu": lambda x: np.where(x == -np.inf, -0.0, x * _sigmoid(x)),
    "softplus": _softplus,
    "log_sigmoid": lambda x: -_softplus(-x),
    "mish": _mish,
    "erf": lambda x: _special("erf")(x),
    "erfc": lambda x: _special("erfc")(x),
    "gelu": lambda x: np.where(x == -np.inf, -0.0, _normal_tail(x)),
    "gelu_tanh": lambda x: np.where(x < -50, -0.0, x * _sigmoid(2 * ROOT * (x + 0.044715 * x**3))),
    "rsqrt": lambda x: 1 / np.sqrt(x),
}


def errors(y: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """How far y is from the exact numbers, in units of the last place that float32 has there."""
    rounded = exact.astype(np.float32)
    same = (y == rounded) | (np.isnan(y) & np.isnan(rounded))
    distance = np.abs(y.astype(np.float64) - exact) / np.spacing(np.abs(rounded)).astype(np.float64)
    edge = np.isinf(rounded) & (np.abs(y) == np.finfo(np.float32).max)  # the largest number, and beyond it
    return np.where(
        same | edge, np.where(same & np.isfinite(distance), distance, 0), np.nan_to_num(distance, nan=np.inf)
    )


def single(name: str, numbers: np.ndarray, ours: Callable = ours) -> tuple[float, float]:
    """The worst error over these float32 numbers, and where."""
    wide = WIDE.get(name) or getattr(np, name)
    with np.errstate(all="ignore"):
        e = errors(ours(name, numbers), wide(numbers.astype(np.float64)))
    k = int(e.argmax())
    return float(e[k]), float(numbers[k])


def every(step: int, size: int = 1 << 22):
    """All float32 numbers, or each step-th of them, in blocks."""
    for start in range(0, 1 << 32, size * step):
        yield (
            np.arange(start, min(start + size * step, 1 << 32), step, dtype=np.uint64)
            .astype(np.uint32)
            .view(np.float32)
        )


@functools.cache
def against_double(name: str) -> Callable:
    """e[i] = how far f(x[i]) is from what it is in float64, in units of the last place."""
    scope = SCOPE | {"rank": Late("_order", "rank"), "of_rank": Late("_order", "of_rank"), "np": np}
    source = f"""def run(x, e):
    most = np.float32({np.finfo(np.float32).max!r})
    for i in range(len(e)):
        y, exact = {called(name, "x[i]", True)}, {name}(np.float64(x[i]))
        size = abs(np.float32(exact))
        unit = np.float64(of_rank(size, np.int32(rank(size) + 1))) - np.float64(size)
        distance = abs(np.float64(y) - exact) / unit
        wrong = np.inf if (y != y) != (exact != exact) else 0.0
        beyond = 0.0 if abs(y) >= most and (y > 0) == (exact > 0) else np.inf
        e[i] = wrong if y != y or exact != exact else beyond if size > most else distance
"""
    exec(source, scope)
    return kernel(scope["run"], fastmath=EXACT, name=f"exhaustive_{name}")


def worst_single(name: str, exhaustive: bool, ours: Callable = ours) -> tuple[float, float]:
    """The worst error of float32 numbers."""
    if not exhaustive or ours is in_numpy:
        step = 257 if exhaustive else 4099
        return max((single(name, block, ours) for block in every(step)), key=lambda found: found[0])
    worst, e = (0.0, 0.0), np.empty(1 << 22)
    for block in every(1):
        against_double(name)(block, e)
        k = int(e.argmax())
        worst = max(worst, (float(e[k]), float(block[k])))
    return worst


# --- float64: against mpmath -----------------------------------------------------------------------------------------


def precise(name: str) -> Callable:
    """The function of mpmath."""
    import mpmath as mp

    half = mp.mpf(1) / 2
    own = {
        "exp2": lambda x: mp.mpf(2) ** x,
        "log2": lambda x: mp.log(x, 2),
        "log10": lambda x: mp.log(x, 10),
        "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
        "silu": lambda x: x / (1 + mp.exp(-x)),
        "softplus": lambda x: mp.log1p(mp.exp(-abs(x))) + max(x, 0),
        "log_sigmoid": lambda x: -mp.log1p(mp.exp(-abs(x))) + min(x, 0),
        "mish": lambda x: x * mp.tanh(mp.log1p(mp.exp(-abs(x))) + max(x, 0)),
        "gelu": lambda x: x * mp.erfc(-x * mp.sqrt(half)) * half,
        "gelu_tanh": lambda x: x / (1 + mp.exp(-2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3))),
        "rsqrt": lambda x: 1 / mp.sqrt(x),
    }
    return own.get(name) or getattr(mp, name)


TAILS = {  # where results are about to become 0
    "exp": (-745, -700), "sigmoid": (-745, -700), "silu": (-752, -700), "softplus": (-745, -700), "mish": (-752, -700),
    "gelu": (-38.6, -10), "gelu_tanh": (-21.6, -10), "erfc": (5, 27),
}  # fmt: skip
# Nearest to a zero of sine or cosine of all numbers of their sizes: by where C libraries begin to lose digits, to where
# some lose most
NEAR_ZEROS = [
    563416747700.2246,
    1126833495400.4492,
    1.5986289000543612e74,
    1.2853022199154463e174,
    5.319372648326541e255,
]
POSITIVE = {"log", "log2", "log10", "rsqrt"}


def samples(name: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Arguments of ordinary and of extreme size."""
    scales = [1e-3, 0.1, 1, 3, 10, 40, 300]
    x = np.concatenate([rng.standard_normal(count) * s for s in scales])
    if name in ("sin", "cos"):
        turns = np.arange(1, count) * (np.pi / 2)
        x = np.concatenate([x, turns, 2.0 ** rng.uniform(0, 1023, count), NEAR_ZEROS])
    if name in POSITIVE:
        x = np.concatenate([np.abs(x), 2.0 ** rng.uniform(-1074, 1023, count), 1 + rng.standard_normal(count) * 1e-6])
    if name in TAILS:
        x = np.concatenate([x, rng.uniform(*TAILS[name], count)])
        return x[np.abs(x) < 760]
    return (
        np.maximum(x, -0.999) if name == "log1p" else x[np.abs(x) < 700] if name not in ("sin", "cos", *POSITIVE) else x
    )


def worst_double(name: str, count: int, seed: int = 0, ours: Callable = ours) -> tuple[float, float]:
    """The worst error of float64 numbers found on samples."""
    import mpmath as mp

    rng, f, worst = np.random.default_rng(seed), precise(name), (0.0, 0.0)
    x = samples(name, count, rng)
    with mp.workprec(1300 if name in ("sin", "cos") else 160):
        for a, b in zip(x.tolist(), ours(name, x).tolist()):
            worst = max(worst, (_distance(b, f(mp.mpf(a))), a))
    return worst


def _distance(y: float, exact) -> float:
    """How far y is from an exact number, in units of the last place that float64 has there."""
    rounded = float(exact)
    if y == rounded and (y == 0 or np.isinf(y)):
        return 0.0
    return float(abs(y - exact) / float(np.spacing(abs(rounded)))) if np.isfinite(y) else np.inf


def worst_power(dtype: type, count: int, seed: int = 0, ours: Callable = ours) -> tuple[float, str]:
    """The worst error of pow found on samples whose results are of every size."""
    import mpmath as mp

    rng, info = np.random.default_rng(seed), np.finfo(dtype)
    low, high = np.log2(float(info.smallest_subnormal)), np.log2(float(info.max))
    x = np.concatenate(
        [2.0 ** rng.uniform(low, high, count), 1 + rng.standard_normal(count) * 1e-4, rng.uniform(0, 3, count)]
    )
    x = np.abs(x.astype(dtype))
    with np.errstate(all="ignore"):
        y = (rng.uniform(low, high, x.size) / np.log2(x.astype(np.float64))).astype(dtype)
    y[-count:] = rng.uniform(-5, 5, count)
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    worst: tuple[float, str] = (0.0, "")
    with mp.workprec(200):
        for a, b, z in zip(x, y, ours("pow", x, y)):
            exact = mp.mpf(float(a)) ** mp.mpf(float(b))
            rounded = dtype(float(exact)) if abs(exact) < float(info.max) else dtype(np.inf)
            if np.isfinite(rounded) and z != rounded:
                worst = max(worst, (float(abs(mp.mpf(float(z)) - exact) / float(np.spacing(rounded))), f"{a}**{b}"))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exhaustive", action="store_true", help="every float32 number: half a minute a function")
    parser.add_argument("--small", action="store_true", help="what small arrays are given to, on samples")
    parser.add_argument("--samples", type=int, default=300, help="float64 arguments of each size (default 300)")
    parser.add_argument("names", nargs="*", default=[*NAMES, "pow"])
    options = parser.parse_args()
    way = in_numpy if options.small else ours
    print("| function | float32 | at | float64 | at |\n| --- | --- | --- | --- | --- |")
    for name in options.names:
        if name == "pow":
            a, b = (worst_power(t, 10 * options.samples, ours=way) for t in (np.float32, np.float64))
        else:
            a, b = worst_single(name, options.exhaustive, way), worst_double(name, options.samples, ours=way)
        at = [f"{v:.9g}" if isinstance(v, float) else v for v in (a[1], b[1])]
        print(f"| {name} | {a[0]:.2f} | {at[0]} | {b[0]:.2f} | {at[1]} |", flush=True)


if __name__ == "__main__":
    main()
