"""What PyTorch answers to a table of calls, recorded so that it can be compared with where PyTorch is not installed.

    python tests/record_reference.py

asks PyTorch (which it needs: `pip install '.[peers]'`) and rewrites tests/data/reference.npz.  Run it by hand after a
change of the table below; tests/test_reference.py makes the same calls here and compares values, types and gradients.
The file holds numbers only.  `numbers` are all arrays one after the other (a complex number is two of them); a row of
`layout` is an array: its call, its part (input, result or gradient), its type, its number of axes and their lengths.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from functional_calls import TABLE_OF_CALLS

FILE = Path(__file__).parent / "data" / "reference.npz"
TYPES = "float64 complex128 int64 bool float32 complex64 int32 uint8".split()
INPUT, RESULT, GRADIENT = range(3)
AXES = 5  # more than any array below has

R = np.random.default_rng(20)
LINE = R.uniform(-3, 3, (2, 3))
UNIT = R.uniform(-0.95, 0.95, (2, 3))
OPEN = R.uniform(0.02, 0.98, (2, 3))
POSITIVE = R.uniform(0.1, 4, (2, 3))
ABOVE = R.uniform(1.1, 5, (2, 3))
ROW, COLUMN = R.uniform(0.2, 2, 3), R.uniform(0.2, 2, (2, 1))
EDGES = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 0.5, math.inf, -math.inf, math.nan])
TIES = np.array([[1.0, 3.0, 3.0, -2.0], [0.0, 0.0, -1.0, 0.0]])
HOLED = np.array([[1.0, math.nan, 3.0], [math.nan, math.nan, 2.0]])
X, M, V, S = R.standard_normal((2, 3, 4)), R.standard_normal((3, 4)), R.standard_normal(5), np.array(1.5)
C = R.standard_normal((2, 3)) + 1j * R.standard_normal((2, 3))
NONE = np.zeros((0, 3))
I = np.array([[0, 2, 1, 1], [2, 2, 0, 1]])
CHOSEN = np.array([[True, False, True, True], [False, False, True, False], [True, True, False, False]])
A = R.standard_normal((2, 3, 3)) + 4 * np.eye(3)
Z = R.standard_normal((3, 3)) + 1j * R.standard_normal((3, 3)) + 4 * np.eye(3)
SPD, HERMITIAN = A @ np.swapaxes(A, -1, -2), Z @ Z.conj().T
TALL, WIDE, B = R.standard_normal((4, 3)), R.standard_normal((3, 4)), R.standard_normal((2, 3, 2))
LOWER = np.tril(A[0])
SPREAD = np.triu(R.standard_normal((3, 3)), 1) * 0.1 + np.diag([3.0, 2.0, 1.0]) + 0.05 * R.standard_normal((3, 3))

# What each is called on; a dictionary at the end holds keyword arguments.
ELEMENTWISE = {
    "acos angle arctan asin asinh atan ceil conj cos cosh deg2rad exp exp2 expm1 floor frac isfinite isinf "
    "isnan isneginf isposinf isreal logical_not neg positive rad2deg real reciprocal relu round sigmoid signbit "
    "sin sinc sinh sqrt square tan tanh trunc log log10 log1p log2 nan_to_num rsqrt atanh": (EDGES,),
    "abs sgn sign": (EDGES[:-1],),  # PyTorch's sign of NaN is 0, NumPy's and ours is NaN
    "abs asinh atan ceil cos cosh deg2rad exp exp2 expm1 floor frac neg rad2deg reciprocal relu round sgn "
    "sigmoid sign sin sinc sinh square tan tanh trunc nan_to_num special.erf special.erfc special.erfcx "
    "special.ndtr special.log_ndtr special.i0 special.i0e special.i1 special.i1e special.bessel_j0 "
    "special.bessel_j1": (LINE,),
    "acos asin atanh erfinv": (UNIT,),
    "logit special.ndtri special.entr": (OPEN,),
    "log log10 log1p log2 sqrt rsqrt lgamma digamma special.bessel_y0 special.bessel_y1": (POSITIVE,),
    "acosh": (ABOVE,),
    "abs angle cos cosh exp log neg reciprocal sgn sigmoid sin sinh sqrt square tan tanh conj real imag log10 "
    "log2 asin acos atan asinh acosh atanh rsqrt expm1 view_as_real": (C,),
    "add sub mul div atan2 copysign fmax fmin fmod remainder hypot ldexp logaddexp logaddexp2 maximum minimum "
    "eq ne lt le gt ge logical_and logical_or logical_xor floor_divide": (LINE, ROW),
    "pow float_power special.xlogy special.xlog1py": (POSITIVE, COLUMN),
    "add sub mul div pow": (C, ROW),
    "bitwise_and bitwise_or bitwise_xor gcd lcm": (I, I[::-1].copy()),
}  # fmt: skip

CALLS = [
    ("add", LINE, ROW, {"alpha": 2}), ("div", LINE, ROW, {"rounding_mode": "floor"}), ("pow", LINE, 3),
    ("div", LINE, ROW, {"rounding_mode": "trunc"}), ("clamp", LINE, -1.0, 1.0), ("clamp", LINE, -ROW, ROW),
    ("clamp_min", LINE, 0.0), ("lerp", LINE, ROW, 0.3), ("lerp", LINE, ROW, COLUMN), ("where", LINE > 0, LINE, ROW),
    ("addcmul", LINE, ROW, COLUMN, {"value": 0.5}), ("addcdiv", LINE, ROW, COLUMN), ("round", LINE, {"decimals": 1}),
    ("complex", LINE, UNIT), ("polar", POSITIVE, LINE), ("heaviside", LINE, ROW), ("nan_to_num", EDGES, 1.0, 2.0, -3.0),
    ("isclose", LINE, LINE + 1e-9), ("logit", LINE, 0.1), ("special.polygamma", 2, POSITIVE),
    ("special.multigammaln", ABOVE, 2), ("special.gammainc", POSITIVE, ROW), ("special.gammaincc", POSITIVE, ROW),
    ("special.zeta", ABOVE, POSITIVE), ("softmax", LINE, 1), ("log_softmax", LINE, 0), ("softmax", X, 1),
    # reductions and scans
    ("sum", X), ("sum", X, 1), ("sum", X, (0, -1), True), ("sum", I), ("sum", NONE, 0), ("mean", X, 2), ("mean", X),
    ("prod", X, 1), ("prod", TIES, 1), ("prod", TIES), ("nansum", HOLED, 1), ("nanmean", HOLED, 1), ("var", X, 1),
    ("std", X), ("var", X, 0, {"correction": 0}), ("std_mean", X, 2), ("var_mean", X, (0, 1)), ("amax", TIES, 1),
    ("amin", TIES, 1), ("max", TIES, 1), ("min", TIES, 1), ("max", TIES), ("min", X), ("argmax", X, 1), ("argmin", X),
    ("logsumexp", X, 1), ("logsumexp", X, (0, 2), True), ("norm", X), ("norm", X, 1), ("all", CHOSEN, 1),
    ("any", CHOSEN), ("count_nonzero", CHOSEN, 0), ("aminmax", X, {"dim": 1}), ("sum", X, {"dtype": "float32"}),
    ("cumsum", X, 1), ("cumprod", X, 2), ("cumprod", TIES, 1), ("cummax", TIES, 1), ("cummin", TIES, 0),
    ("logcumsumexp", X, -1), ("diff", X, 2, 1), ("trapezoid", M, {"dim": 1}), ("cumulative_trapezoid", M, {"dim": 0}),
    ("cov", M), ("corrcoef", M), ("dist", M, M + 1, 3.0), ("renorm", M, 2.0, 0, 1.0), ("sum", C), ("prod", C, 1),
    ("cumprod", C, 1), ("mean", C, 0),
    # order
    ("sort", X, 1), ("sort", X, 2, True), ("argsort", M, 1), ("topk", M, 2, 1), ("topk", M, 2, 0, False),
    ("kthvalue", M, 2, 1), ("median", M, 1), ("median", X), ("nanmedian", HOLED, 1), ("mode", TIES, 1),
    ("quantile", M, 0.3, 1), ("quantile", M, np.array([0.1, 0.75]), 0), ("nanquantile", HOLED, 0.4, 1), ("msort", M),
    ("searchsorted", np.sort(V), M), ("bucketize", M, np.sort(V)), ("unique", I), ("histc", M, 4, -2.0, 2.0),
    ("bincount", I[0], V[:4]), ("quantile", M, 0.6, 1, {"interpolation": "lower"}),
    # shapes
    ("reshape", X, (6, 4)), ("flatten", X, 1), ("unflatten", X, 2, (2, -1)), ("squeeze", COLUMN, 1),
    ("unsqueeze", M, -1), ("broadcast_to", COLUMN, (4, 2, 3)), ("tile", M, (2, 1, 2)), ("permute", X, (2, 0, 1)),
    ("transpose", X, 0, 2), ("movedim", X, 0, -1), ("flip", X, (0, -1)), ("rot90", X, 1, (1, 2)),
    ("roll", X, (1, -2), (0, 2)), ("narrow", X, 2, 1, 2), ("select", X, 1, -1), ("select_scatter", X, M, 0, 1),
    ("slice_scatter", M, M[:, ::2].copy(), 1, 0, 4, 2), ("diagonal_scatter", M, V[:3]), ("unbind", M, 1),
    ("split", X, [1, 2], 1), ("chunk", V, 3), ("tensor_split", V, 3), ("diagonal", X, 1, 1, 2), ("diag_embed", M, 1),
    ("diag", V), ("diag", M, 1), ("diagflat", M), ("tril", M), ("triu", X, 1),
    ("constant_pad_nd", M, (1, 2, -1, 0), 2.5), ("cat", [X, X[:, :1]], 1), ("stack", [M, M + 1], -1),
    ("hstack", [V, V[:2]]), ("vstack", [M, M[0]]), ("dstack", [M, M]), ("column_stack", [M, M[:, 0]]),
    ("block_diag", M, V, S), ("cartesian_prod", V, M[0]), ("broadcast_tensors", COLUMN, ROW),
    ("meshgrid", V, M[0], {"indexing": "ij"}), ("repeat_interleave", M, 2, 1),
    ("repeat_interleave", M, np.array([1, 0, 2]), 0), ("cat", [NONE, NONE + 1]), ("swapaxes", X, 0, 1),
    ("atleast_3d", V), ("adjoint", Z), ("view_as_complex", X[..., :2].copy()), ("combinations", V),
    # indices
    ("gather", M, 0, I), ("scatter", M, 0, I[:1], 2.5), ("scatter_add", M, 0, I, X[0, :2]),
    ("scatter_reduce", M, 0, I, X[0, :2], "prod"), ("scatter_reduce", M, 0, I, X[0, :2], "amax"),
    ("scatter_reduce", M, 0, I, X[0, :2], "mean", {"include_self": False}), ("index_select", X, 1, I[0]),
    ("index_add", M, 0, I[0], R.standard_normal((4, 4))), ("index_copy", M, 0, np.array([2, 0]), X[0, :2]),
    ("index_fill", M, 1, I[0], 1.5), ("index_reduce", M, 0, I[0], R.standard_normal((4, 4)), "amin"),
    ("index_put", M, (I[0], I[1]), V[:4]), ("masked_fill", M, CHOSEN, 3.0), ("masked_select", X, CHOSEN),
    ("masked_scatter", M, CHOSEN, X), ("take", M, I), ("take_along_dim", M, I, 0), ("nonzero", CHOSEN),
    ("argwhere", CHOSEN), ("tril_indices", 3, 4), ("isin", I, np.array([1, 5])), ("put", M, I[0], V[:4], True),
    # products
    ("matmul", X, M.T.copy()), ("matmul", M, M[0]), ("matmul", X[:, None], R.standard_normal((3, 4, 2))),
    ("mm", M, M.T.copy()), ("mv", M, M[0]), ("bmm", A, B), ("dot", V, V + 1), ("vdot", C[0], C[1]), ("outer", V, M[0]),
    ("inner", X, M), ("kron", M, B[0]), ("addmm", B[0], A[0], B[1], {"beta": 0.5, "alpha": 2}),
    ("addmv", V[:3], A[0], M[:, 0]), ("addr", M, V[:3], V[:4]), ("addbmm", B[0], A, B), ("baddbmm", B, A, B),
    ("tensordot", X, M, 2), ("tensordot", X, M, {"dims": ([2, 1], [1, 0])}), ("cross", A, A[::-1].copy(), {"dim": 1}),
    ("cdist", M, M[:2] + 1), ("cdist", M, M[:2] + 1, 1.0), ("einsum", "bij,kj->bik", X, M), ("einsum", "ii->i", A[0]),
    ("einsum", "...ij,jk,k", A, A[0], V[:3]), ("trace", A[0]), ("matmul", Z, C[0]), ("einsum", "ij,ij->", Z, Z),
    # linear algebra
    ("linalg.det", A), ("linalg.slogdet", A), ("linalg.inv", A), ("linalg.solve", A, B), ("linalg.cholesky", SPD),
    ("linalg.eigvalsh", SPD), ("linalg.eigh", SPD), ("linalg.svdvals", TALL), ("linalg.svd", TALL, False),
    ("linalg.qr", TALL), ("linalg.svd", WIDE, False), ("linalg.pinv", TALL), ("linalg.pinv", WIDE),
    ("linalg.matrix_exp", A), ("linalg.matrix_power", A, 3), ("linalg.matrix_power", A, -2), ("linalg.norm", M),
    ("linalg.norm", M, "nuc"), ("linalg.norm", M, 2), ("linalg.vector_norm", X, 3),
    ("linalg.vector_norm", X, 1, (0, 2)), ("linalg.matrix_norm", A, 1), ("linalg.matrix_norm", A, -2),
    ("linalg.cond", A), ("linalg.lstsq", TALL, TALL[:, :2] + 1),
    ("linalg.solve_triangular", LOWER, B[0], {"upper": False}), ("linalg.multi_dot", [M, M.T.copy(), A[0]]),
    ("linalg.lu_factor", A), ("linalg.lu", A), ("linalg.cross", A, A[::-1].copy()), ("linalg.vecdot", M, M + 1),
    ("linalg.vander", V), ("linalg.tensorsolve", A[0].reshape(3, 1, 3), B[0, :, :1]),
    ("linalg.tensorinv", A[0].reshape(3, 1, 3), 2), ("linalg.diagonal", A), ("linalg.matrix_rank", TALL),
    ("linalg.eigvals", SPREAD), ("linalg.eig", SPREAD), ("linalg.householder_product", TALL * 0.3, V[:3] * 0.3),
    ("logdet", A), ("linalg.det", Z), ("linalg.inv", Z), ("linalg.solve", Z, C[0]), ("linalg.eigh", HERMITIAN),
    ("linalg.svdvals", Z), ("linalg.matrix_exp", Z), ("linalg.qr", Z), ("linalg.slogdet", Z), ("linalg.pinv", Z),
    ("linalg.norm", Z, "fro"),
    # Fourier transforms
    ("fft.fft", V), ("fft.fft", C, 4), ("fft.ifft", C, {"dim": 0}), ("fft.rfft", X, {"norm": "ortho"}),
    ("fft.irfft", C), ("fft.irfft", C, 5), ("fft.hfft", C), ("fft.ihfft", V), ("fft.fft2", X), ("fft.ifft2", C),
    ("fft.rfft2", X), ("fft.irfft2", C), ("fft.fftn", X, (2, 5)), ("fft.ifftn", C, {"norm": "forward"}),
    ("fft.rfftn", X), ("fft.irfftn", C), ("fft.hfftn", C), ("fft.ihfftn", M), ("fft.fftshift", M), ("fft.ifftshift", V),
    ("fft.fftfreq", 5, 0.5), ("fft.rfftfreq", 6),
    # creation
    ("arange", 5), ("arange", 1.0, 2.0, 0.3), ("linspace", 0, 1, 5), ("logspace", 0, 2, 4), ("eye", 2, 3),
    ("full", (2, 2), 1.5), ("zeros_like", M), ("ones", (2,), {"dtype": "int64"}), ("hann_window", 5),
    ("hamming_window", 6), ("blackman_window", 5), ("bartlett_window", 4), ("kaiser_window", 5),
]  # fmt: skip

# Results that are unique but for signs or phases: their moduli are compared.
SIGNLESS = {"linalg.svd", "linalg.eigh", "linalg.eig", "linalg.qr"}
REFUSED = {("special.zeta", 0), ("special.gammainc", 0), ("special.gammaincc", 0)}  # PyTorch has no such derivatives
REFUSED |= {("searchsorted", k) for k in (0, 1)} | {("linalg.matrix_rank", 0), ("quantile", 1), ("bincount", 1)}
REFUSED |= {(name, k) for name in ("floor_divide", "heaviside") for k in (0, 1)}
REFUSED |= {(f"special.bessel_{name}", 0) for name in ("j0", "j1", "y0", "y1")}
REFUSED |= {(f"nn.functional.{name}_norm", k) for name in ("batch", "instance") for k in (1, 2)}
REFUSED |= {(f"nn.functional.fractional_max_pool{d}d{more}", 1) for d in (2, 3) for more in ("", "_with_indices")}
REFUSED |= {(f"nn.functional.{name}", 2) for name in ("cross_entropy", "nll_loss", "multi_margin_loss")}
REFUSED |= {(f"nn.functional.binary_cross_entropy{more}", 2) for more in ("", "_with_logits")}
REFUSED |= {("nn.functional.binary_cross_entropy_with_logits", 3)}
REFUSED |= {("nn.functional.linear_cross_entropy", 4), ("nn.functional.soft_margin_loss", 1)}
REFUSED |= {("nn.functional.native_channel_shuffle", 0)}
REFUSED |= {("nn.functional.ctc_loss", 0)}  # PyTorch's is the derivative by what log_softmax was given
SINGLE = ("nn.functional.celu", "nn.functional.hardsigmoid")  # their slopes are rounded to float32 by PyTorch


def calls() -> Iterator[tuple[str, tuple, dict]]:
    """Name, arguments and keyword arguments of every call."""
    rows = [(name, *arrays) for names, arrays in ELEMENTWISE.items() for name in names.split()] + CALLS + TABLE_OF_CALLS
    for name, *args in rows:
        options = args.pop() if isinstance(args[-1], dict) else {}
        yield name, tuple(args), options


def label(name: str, args: tuple, options: dict) -> str:
    """A call in words, by which its record is known."""
    shown = lambda a: f"{a.dtype}{list(a.shape)}" if isinstance(a, np.ndarray) else repr(a)
    parts = [f"[{', '.join(map(shown, a))}]" if isinstance(a, list) else shown(a) for a in args]
    return f"{name}({', '.join(parts + [f'{k}={shown(v)}' for k, v in options.items()])})"


def arrays_in(value: Any) -> list[np.ndarray]:
    """The arrays among arguments, in order."""
    if isinstance(value, (tuple, list, dict)):
        return [a for part in (value.values() if isinstance(value, dict) else value) for a in arrays_in(part)]
    return [value] if isinstance(value, np.ndarray) else []


def replaced(value: Any, new: Iterator) -> Any:
    """Arguments with others in the place of the arrays."""
    if isinstance(value, (tuple, list)):
        return type(value)(replaced(part, new) for part in value)
    if isinstance(value, dict):
        return {k: replaced(part, new) for k, part in value.items()}
    return next(new) if isinstance(value, np.ndarray) else value


def weights(shape: tuple, dtype: str) -> np.ndarray:
    """A different weight for every entry, complex for complex ones."""
    w = np.cos(np.arange(math.prod(shape))).reshape(shape)
    return (w + 1j * np.sin(w + 1) if dtype.startswith("complex") else w).astype(dtype)


def answer(lib: Any, make: Callable, gradient: Callable, name: str, args: tuple, options: dict, inputs: list) -> list:
    """The results of a call and the gradients of their weighted sum, in either library; None where there is none."""
    xs = [make(a, a.dtype.kind in "fc" and (name, k) not in REFUSED) for k, a in enumerate(inputs)]
    in_place = name.endswith("_") or options.get("inplace")  # a leaf must not be overwritten, what is made of it may
    args, options = replaced((args, options), iter([x * 1 for x in xs] if in_place else xs))
    options = {k: getattr(lib, v) if k == "dtype" else v for k, v in options.items()}
    ys = operator.attrgetter(name)(lib)(*args, **options)
    ys = [
        lib.abs(y) if name in SIGNLESS else y for y in (ys if isinstance(ys, (tuple, list)) else [ys]) if y is not None
    ]
    total = 0
    for y in ys:
        if getattr(y, "requires_grad", False):
            z = y * make(weights(tuple(y.shape), str(y.dtype).removeprefix("torch.")), False)
            total = total + (lib.real(z) if lib.is_complex(z) else z).sum()
    wanted = [x for x in xs if x.requires_grad]
    gradients = gradient(total, wanted) if wanted and getattr(total, "requires_grad", False) else [None] * len(wanted)
    return [ys, gradients]


def packed(records: list[tuple[list, list, list]]) -> dict[str, np.ndarray]:
    """Inputs, results and gradients of all calls as two arrays of numbers."""
    numbers, layout = [], []
    for call, parts in enumerate(records):
        for part, arrays in enumerate(parts):
            for a in arrays:
                layout.append([call, part, TYPES.index(str(a.dtype)), a.ndim, *a.shape, *[0] * (AXES - a.ndim)])
                wide = np.atleast_1d(a).astype(np.complex128 if a.dtype.kind == "c" else np.float64)
                numbers.append(np.ascontiguousarray(wide).view(np.float64).ravel())
    return {"numbers": np.concatenate(numbers), "layout": np.array(layout, np.int32)}


def unpacked(numbers: np.ndarray, layout: np.ndarray, count: int) -> list[tuple[list, list, list]]:
    """What `packed` was given."""
    records: list = [([], [], []) for _ in range(count)]
    start = 0
    for call, part, kind, ndim, *shape in layout.tolist():
        dtype, shape = np.dtype(TYPES[kind]), shape[:ndim]
        stop = start + math.prod(shape) * (2 if dtype.kind == "c" else 1)
        wide = numbers[start:stop].view(np.complex128 if dtype.kind == "c" else np.float64)
        records[call][part].append(wide.astype(dtype).reshape(shape))
        start = stop
    return records


def record() -> None:
    """Ask PyTorch, and write the file."""
    import torch

    def make(a: np.ndarray, wanted: bool) -> Any:
        return torch.tensor(a, requires_grad=wanted)

    def gradient(total: Any, xs: list) -> Any:
        return torch.autograd.grad(total, xs, allow_unused=True)

    def array(t: Any) -> np.ndarray:
        return t.numpy(force=True) if isinstance(t, torch.Tensor) else np.asarray(t)

    records, labels = [], []
    for name, args, options in calls():
        inputs = arrays_in((args, options))
        try:
            ys, gs = answer(torch, make, gradient, name, args, options, inputs)
        except Exception as error:
            raise SystemExit(f"{label(name, args, options)}: {error}") from error
        wanted = [a for k, a in enumerate(inputs) if a.dtype.kind in "fc" and (name, k) not in REFUSED]
        gradients = [np.zeros_like(a) if g is None else array(g) for g, a in zip(gs, wanted)]
        records.append((inputs, [array(y) for y in ys], gradients))
        labels.append(label(name, args, options))
    assert len(set(labels)) == len(labels), [x for x in labels if labels.count(x) > 1]
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FILE, calls=np.array(labels), **packed(records))
    print(f"{len(records)} calls, {FILE.stat().st_size / 1024:.0f} KiB, PyTorch {torch.__version__}")


if __name__ == "__main__":
    record()
