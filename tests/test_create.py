"""Creation: values, types, sizes and errors, beside PyTorch's."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.forward import Dual
from autograd_core.tape import using
from autograd_core.vmap import Batched


def same(ours, theirs, tolerance=1e-6):
    """Values, shape and type agree with a PyTorch tensor or an array."""
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=tolerance, atol=tolerance)


FROM_DATA = [
    1, 1.5, True, 2j, [], [[]], [1, 2], [1, 2.5], [True, 2], [[1.0, 2], [3, 4]], (1, (2)), range(3), [1, 2j],
    np.float64(1), np.float16(1), np.int32(3), np.bool_(True), [np.float64(1), 2.0], [np.float32(1), 2],
    [np.zeros(2), [1, 2]], np.zeros((2, 3), np.int8), np.ones(2, np.complex64), [[True], [False]], [np.int8(1), 2],
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch finds lists of arrays slow
@pytest.mark.parametrize("data", FROM_DATA, ids=repr)
def test_tensor_as_in_torch(data):
    torch = pytest.importorskip("torch")
    same(ag.tensor(data), torch.tensor(data).numpy())
    same(ag.as_tensor(data), torch.as_tensor(data).numpy())
    same(ag.asarray(data), torch.asarray(data).numpy())


@pytest.mark.parametrize(
    "data, dtype, expected",
    [
        ([1.5, -1.5], "int64", [1, -1]),
        ([1, 0], "bool", [True, False]),
        ([1, 2], "float16", [1, 2]),
        ([255], "uint8", [255]),
        ([2**63], "uint64", [2**63]),
        (0.1, "float64", 0.1),
        (np.array([300]), "uint8", [44]),
        ([1, 2], "complex128", [1, 2]),
    ],
)
def test_tensor_of_a_type(data, dtype, expected):
    same(ag.tensor(data, dtype=dtype), np.array(expected, dtype), 0)


def test_default_type_decides_what_floats_become():
    ag.set_default_dtype(np.float64)
    try:
        for x in (ag.tensor([1.0]), ag.zeros(1), ag.arange(1.0), ag.linspace(0, 1, 2)):
            assert x.dtype == np.float64
        assert ag.tensor(1j).dtype == np.complex128 and ag.hann_window(3).dtype == np.float64
    finally:
        ag.set_default_dtype(np.float32)


def test_python_types_name_types():
    assert ag.zeros(2, dtype=float).dtype == np.float32 and ag.zeros(2, dtype=int).dtype == np.int64
    assert ag.tensor([1], dtype=complex).dtype == np.complex64 and ag.ones(1, dtype=bool).dtype == np.bool_


def test_tensors_in_lists():
    a, b = ag.tensor([1, 2]), ag.tensor([3.5, 4.0], dtype=np.float64)
    same(ag.tensor([a, b]), np.array([[1, 2], [3.5, 4]]))
    same(ag.tensor([[ag.tensor(1.0), 2], [3, ag.tensor(4)]]), np.array([[1, 2], [3, 4]], np.float32))
    same(ag.tensor([a.sum(), 1]), np.array([3, 1]))
    assert not ag.tensor([ag.ones(2, requires_grad=True)]).requires_grad


def test_tensor_copies_and_forgets_history():
    a = np.ones(3)
    x = ag.tensor(a, requires_grad=True)
    a[0] = 5
    y = ag.tensor(x * 2)
    z = ag.tensor(x)
    assert x.requires_grad and not y.requires_grad and not z.requires_grad
    same(x, np.ones(3))
    assert not np.shares_memory(z.numpy(), x.detach().numpy())


def test_sharing():
    a = np.zeros(3)
    for make in (ag.from_numpy, ag.as_tensor, ag.asarray):
        make(a)[0] = 7.0
        assert a[0] == 7
        a[0] = 0
    assert not np.shares_memory(ag.as_tensor(a, dtype=np.float32).numpy(), a)
    assert not np.shares_memory(ag.asarray(a, copy=True).numpy(), a)
    assert type(ag.from_numpy(np.ma.ones(2)).numpy()) is np.ndarray
    x = ag.ones(2, requires_grad=True)
    assert ag.as_tensor(x) is x and ag.as_tensor(x, dtype=np.float64).requires_grad
    assert ag.asarray(x, requires_grad=True).is_leaf and ag.asarray(a, requires_grad=True).requires_grad


def test_foreign_byte_order_is_converted_by_copying():
    a = np.array([1.5, 2.0], ">f8")
    same(ag.tensor(a), a.astype("=f8"))
    same(ag.as_tensor(a), a.astype("=f8"))


def test_foreign_arrays():
    torch = pytest.importorskip("torch")
    same(ag.tensor(torch.ones(2, dtype=torch.float64)), np.ones(2))


SIZES = [
    ((2, 3), {}), (((2, 3),), {}), (([2, 0],), {}), (((),), {}), ((), {"size": (4,)}), ((np.int64(3),), {}),
    ((3, 1, 2), {}),
]  # fmt: skip


@pytest.mark.parametrize("name", ["zeros", "ones", "empty"])
@pytest.mark.parametrize("args, options", SIZES, ids=repr)
def test_sizes(name, args, options):
    expected = tuple(np.ravel(args[0] if len(args) == 1 else args or options["size"]))
    x = getattr(ag, name)(*args, **options)
    assert x.shape == expected and x.dtype == np.float32
    fresh = getattr(ag.ones(1, dtype=np.int16), f"new_{name}")(*args, **options)
    assert fresh.shape == expected and fresh.dtype == np.int16
    if name != "empty":
        assert (x.numpy() == (name == "ones")).all() and (fresh.numpy() == (name == "ones")).all()


def test_sizes_from_tensors_and_arrays():
    assert ag.zeros(ag.tensor(2), ag.tensor(3)).shape == ag.zeros(np.array([2, 3])).shape == (2, 3)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "bool", "complex64", None])
@pytest.mark.parametrize("source", ["float32", "int64", "complex128"])
def test_like(source, dtype):
    x = np.ones((2, 3), source)
    expected = np.dtype(dtype or source)
    for name, value in (("zeros_like", 0), ("ones_like", 1), ("empty_like", None), ("full_like", 1)):
        args = (1,) if name == "full_like" else ()
        ours, array = (getattr(ag, name)(v, *args, dtype=dtype) for v in (ag.tensor(x), x))
        assert isinstance(ours, ag.Tensor) and type(array) is np.ndarray
        assert ours.dtype == array.dtype == expected and ours.shape == array.shape == (2, 3)
        if value is not None:
            assert (ours.numpy() == value).all() and (array == value).all()


def test_like_inside_transforms_is_of_the_transform_in_the_logical_shape():
    for traced in (Dual(np.ones((2, 3)), np.ones((2, 3)), 1), Batched(np.ones((5, 2, 3)), 1)):
        x = ag.zeros_like(traced)
        assert type(x) is type(traced) and x.shape == (2, 3) and x.dtype == np.float64
        assert ag.ones_like(traced, dtype=int).dtype == np.int64 and traced.new_zeros(4).shape == (4,)


def test_tensor_inside_transforms():
    b = Batched(np.arange(6.0).reshape(3, 2), 1)
    np.testing.assert_array_equal(ag.tensor([b, b]).batch, np.stack([b.batch, b.batch], 1))
    assert not isinstance(ag.tensor(Dual(np.ones(2), np.ones(2), 1)), Dual)


@pytest.mark.parametrize("value", [1, 1.5, True, 2j, np.float64(2), np.int8(3)], ids=repr)
@pytest.mark.parametrize("dtype", [None, "float64", "complex64"])
def test_full(value, dtype):
    torch = pytest.importorskip("torch")
    if isinstance(value, complex) and dtype == "float64":
        pytest.skip("does not fit")
    plain = value.item() if isinstance(value, np.generic) else value
    expected = torch.full((2, 3), plain, dtype=dtype and getattr(torch, dtype))
    same(ag.full((2, 3), value, dtype=dtype), expected.numpy())
    same(ag.full((2, 3), ag.tensor(value), dtype=dtype), expected.numpy())
    assert ag.full(3, value).shape == (3,) and ag.ones(1).new_full((2,), 3).dtype == np.float32


ARANGE = [
    (5,), (0,), (5, 5), (2, 7), (7, 2, -2), (0, 7, 3), (1.0,), (0, 1, 0.1), (1, 2.5, 0.5), (5.0, -5.0, -1.3),
    (0, 1, 0.25), (-3, 4), (0.1, 3), (2**40, 2**40 + 3),
]  # fmt: skip


@pytest.mark.parametrize("args", ARANGE, ids=repr)
@pytest.mark.parametrize("dtype", [None, "float64", "float32", "int64"])
def test_arange(args, dtype):
    torch = pytest.importorskip("torch")
    try:
        expected = torch.arange(*args, dtype=dtype and getattr(torch, dtype))
    except (RuntimeError, ValueError):  # a step that is 0 as an integer
        with pytest.raises(ValueError, match="arange"):
            ag.arange(*args, dtype=dtype)
        return
    same(ag.arange(*args, dtype=dtype), expected.numpy())


def test_arange_of_small_types_and_tensors():
    same(ag.arange(0, 5, 2, dtype="uint8"), np.array([0, 2, 4], np.uint8))
    same(ag.arange(ag.tensor(3)), np.arange(3))
    same(ag.arange(2**63 - 3, 2**63 - 1), np.arange(2**63 - 3, 2**63 - 1))


@pytest.mark.parametrize("ends", [(0, 1), (-3, 4), (10.5, -10), (2, 2), (1e6, 1e-6)])
@pytest.mark.parametrize("steps", [0, 1, 2, 5, 6, 50])
@pytest.mark.parametrize("dtype", [None, "float64", "int64", "complex128"])
def test_linspace(ends, steps, dtype):
    torch = pytest.importorskip("torch")
    if dtype == "int64":
        ends = tuple(int(e) for e in ends)
    expected = torch.linspace(*ends, steps, dtype=dtype and getattr(torch, dtype)).numpy()
    same(ag.linspace(*ends, steps, dtype=dtype), expected, 1e-5 if dtype is None else 1e-12)


def test_linspace_ends_are_exact_and_may_be_complex():
    x = ag.linspace(0.1, 0.7, 7, dtype=np.float64).numpy()
    assert x[0] == 0.1 and x[-1] == 0.7
    same(ag.linspace(0, 1 + 1j, 3), np.array([0, 0.5 + 0.5j, 1 + 1j], np.complex64))


@pytest.mark.parametrize("args", [(0, 2, 3), (-1, 1, 4), (0, 3, 4, 2), (0, 1, 3, -2), (0, 1, 1), (3, 0, 7, 2.5)])
def test_logspace(args):
    torch = pytest.importorskip("torch")
    same(ag.logspace(*args, dtype="float64"), torch.logspace(*args, dtype=torch.float64).numpy())
    same(ag.logspace(*args), torch.logspace(*args).numpy())


@pytest.mark.parametrize("args", [(3,), (2, 3), (3, 2), (0,), (2, 0)])
def test_eye(args):
    same(ag.eye(*args), np.eye(*args, dtype=np.float32))
    assert ag.eye(*args, dtype=int).dtype == np.int64


@pytest.mark.parametrize("rows, columns", [(3, 4), (4, 2), (0, 3), (3, 0), (1, 1)])
@pytest.mark.parametrize("offset", [-5, -1, 0, 1, 5])
def test_triangle_indices(rows, columns, offset):
    torch = pytest.importorskip("torch")
    for name in ("tril_indices", "triu_indices"):
        same(getattr(ag, name)(rows, columns, offset), getattr(torch, name)(rows, columns, offset).numpy())


@pytest.mark.parametrize("lengths", [(3,), (2, 3), (2, 1, 4), (0, 2)])
@pytest.mark.parametrize("indexing", ["ij", "xy"])
def test_meshgrid(lengths, indexing):
    xs = [np.random.default_rng(n).normal(size=n) for n in lengths]
    ours = ag.meshgrid(*map(ag.tensor, xs), indexing=indexing)
    for y, e in zip(ours, np.meshgrid(*xs, indexing=indexing)):
        same(y, e)
    assert type(ag.meshgrid(xs, indexing=indexing)[0]) is np.ndarray


def test_meshgrid_has_gradients_and_batches():
    x, y = ag.tensor([1.0, 2.0], requires_grad=True), ag.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for indexing in ("ij", "xy"):
        a, b = ag.meshgrid(x, y, indexing=indexing)
        gx, gy = ag.gradient((a * b).sum(), [x, y])
        same(gx, np.full(2, 6.0, np.float32)) or same(gy, np.full(3, 3.0, np.float32))
    grids = ag.meshgrid(Batched(np.ones((4, 2)), 1), np.arange(3.0))
    assert grids[0].shape == (2, 3) and grids[0].batch.shape == (4, 2, 3)
    assert ag.meshgrid(ag.tensor(1.0), ag.ones(2))[0].shape == (1, 2) and ag.meshgrid() == ()


WINDOWS = ["hann_window", "hamming_window", "bartlett_window", "blackman_window", "kaiser_window"]


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("length", [0, 1, 2, 5, 12])
@pytest.mark.parametrize("periodic", [True, False])
def test_windows(name, length, periodic):
    torch = pytest.importorskip("torch")
    expected = getattr(torch, name)(length, periodic, dtype=torch.float64).numpy()
    same(getattr(ag, name)(length, periodic, dtype=np.float64), expected)
    assert getattr(ag, name)(length).dtype == np.float32


def test_window_parameters():
    torch = pytest.importorskip("torch")
    same(ag.hamming_window(6, False, 0.6, 0.4), torch.hamming_window(6, False, 0.6, 0.4).numpy())
    same(ag.kaiser_window(6, False, 5.0), torch.kaiser_window(6, False, 5.0).numpy())


@pytest.mark.parametrize(
    "make",
    [
        lambda **k: ag.zeros(2, **k), lambda **k: ag.ones((2,), **k), lambda **k: ag.empty(2, **k),
        lambda **k: ag.full((2,), 1.0, **k), lambda **k: ag.eye(2, **k), lambda **k: ag.arange(2.0, **k),
        lambda **k: ag.linspace(0, 1, 2, **k), lambda **k: ag.logspace(0, 1, 2, **k), lambda **k: ag.tensor([1.0], **k),
        lambda **k: ag.zeros_like(ag.ones(2), **k), lambda **k: ag.ones(2).new_ones(2, **k),
        lambda **k: ag.hann_window(3, **k),
        lambda **k: ag.ones_like(np.ones(2), **k), lambda **k: ag.ones(1).new_tensor([2.0], **k),
    ],
)  # fmt: skip
def test_requires_grad_and_device(make):
    x = make(requires_grad=True, device="cpu", dtype=np.float64)
    assert x.requires_grad and x.is_leaf and x.dtype == np.float64
    (x * x).sum().backward()
    same(x.grad, 2 * x.detach().numpy())
    with pytest.raises(ValueError, match="'cuda' is not known"):
        make(device="cuda", requires_grad=True)


def test_device():
    cpu = ag.device("cpu")
    assert str(cpu) == "cpu" and cpu.type == "cpu" and cpu.index is None and cpu == ag.device("cpu:0") == "cpu"
    assert repr(cpu) == "device(type='cpu')" and ag.zeros(1, device=cpu).device == cpu


def test_whoever_watches_is_told_of_constants():
    seen = []
    with using(observers=(lambda op, args, params, result: seen.append((op.name, args[0], result)),)):
        x = ag.zeros(2)
        x[...] = 5.0
    name, constant, result = seen[0]
    assert name == "clone" and result is x and (constant == 0).all()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: ag.zeros(), TypeError, r"zeros: needs sizes, as in zeros\(2, 3\)"),
        (lambda: ag.zeros(-1), ValueError, r"zeros: sizes cannot be negative, got \(-1,\)"),
        (lambda: ag.ones(2.0), TypeError, "ones: sizes must be integers, got 2.0"),
        (lambda: ag.ones(True), TypeError, "ones: sizes must be integers, got True"),
        (lambda: ag.ones(2, float("nan")), TypeError, "ones: sizes must be integers, got nan"),
        (lambda: ag.zeros(2, np.float32), TypeError, "zeros: sizes must be integers.*give the type as dtype="),
        (lambda: ag.zeros((2, 3), np.float32), TypeError, r"zeros: after the size \(2, 3\) only keywords"),
        (lambda: ag.zeros("ab"), TypeError, "zeros: sizes must be integers, got 'a'"),
        (lambda: ag.zeros(10**15), MemoryError, r"zeros: \(1000000000000000,\) float32 would take 3.725e\+06 GiB"),
        (lambda: ag.ones(10**6, 10**6, 10**6), MemoryError, "ones: "),
        (lambda: ag.arange(1e30), MemoryError, "arange: "),
        (lambda: ag.eye(10**9), MemoryError, "eye: "),
        (lambda: ag.zeros((1,) * 65), ValueError, "zeros: a tensor has at most 64 axes"),
        (lambda: ag.zeros(2, dtype="quux"), TypeError, "not a type of entries"),
        (lambda: ag.zeros(2, dtype=int, requires_grad=True), TypeError, "zeros: only floating-point"),
        (lambda: ag.tensor(1, requires_grad=True), TypeError, "tensor: only floating-point"),
        (lambda: ag.tensor([[1], [1, 2]]), ValueError, "tensor: rows of different lengths"),
        (lambda: ag.tensor([np.ones(2), [1, 2, 3]]), ValueError, r"tensor: rows of different shapes.*\(2,\), \(3,\)"),
        (lambda: ag.tensor("a"), TypeError, "tensor: expected numbers, lists, arrays or tensors, got str 'a'"),
        (lambda: ag.tensor(None), TypeError, "tensor: expected numbers.* got NoneType"),
        (lambda: ag.tensor([2**63]), ValueError, "tensor: 9223372036854775808 does not fit int64"),
        (lambda: ag.tensor([2**70]), ValueError, "tensor: 1180591620717411303424 does not fit int64"),
        (lambda: ag.tensor([300], dtype="uint8"), ValueError, "tensor: 300 does not fit uint8, which holds 0 to 255"),
        (lambda: ag.tensor([float("nan")], dtype=int), ValueError, "tensor: nan does not fit int64"),
        (lambda: ag.tensor([1j], dtype=float), TypeError, "tensor: complex numbers do not fit float32"),
        (lambda: ag.tensor(np.array(["a"])), TypeError, "tensor: tensors hold numbers of up to 64 bits"),
        (lambda: ag.tensor(np.ones(1, np.longdouble)), TypeError, "tensor: tensors hold numbers of up to 64 bits"),
        (lambda: ag.from_numpy([1.0]), TypeError, "from_numpy: expected a NumPy array, got list"),
        (lambda: ag.from_numpy(np.ones(1, ">f4")), TypeError, "from_numpy: the array's bytes are in foreign order"),
        (lambda: ag.asarray([1.0], copy=False), ValueError, "asarray: list to float32 needs a copy"),
        (lambda: ag.full((2,), "a"), TypeError, "full: fill_value must be a number, got str"),
        (lambda: ag.full((2,), ag.ones(2)), TypeError, r"full: fill_value must be a number, got Tensor \(2,\)"),
        (lambda: ag.full((2,), 300, dtype="uint8"), ValueError, "full: 300 does not fit uint8"),
        (lambda: ag.arange(5, 1), ValueError, "arange: no steps of 1 lead from 5 to 1"),
        (lambda: ag.arange(0, 1, 0), ValueError, "arange: no steps of 0 lead from 0 to 1"),
        (lambda: ag.arange(float("nan")), ValueError, "arange: start, end and step must be finite"),
        (lambda: ag.arange(1j), ValueError, "arange: start, end and step must be finite real"),
        (lambda: ag.arange(300, dtype="uint8"), ValueError, "arange: 299 does not fit uint8"),
        (lambda: ag.arange(2**70, 2**70 + 3), ValueError, "arange: 1180591620717411303424 does not fit int64"),
        (lambda: ag.arange("a"), TypeError, "arange: end must be a number, got str"),
        (lambda: ag.linspace(0, 1, -1), ValueError, "linspace: sizes cannot be negative"),
        (lambda: ag.linspace(0, 1, 2.5), TypeError, "linspace: sizes must be integers, got 2.5"),
        (lambda: ag.linspace(0, 1j, 2, dtype=float), TypeError, "linspace: from 0 to 1j needs a complex dtype"),
        (lambda: ag.tril_indices(-1, 2), ValueError, "tril_indices: sizes cannot be negative"),
        (lambda: ag.meshgrid(ag.ones(2, 2)), ValueError, r"meshgrid: expected one-dim.* got shape \(2, 2\)"),
        (lambda: ag.meshgrid(ag.ones(2), indexing="yx"), ValueError, "meshgrid: indexing must be 'ij' or 'xy'"),
        (lambda: ag.hann_window(5, dtype=int), TypeError, "hann_window: needs a floating-point dtype, got int64"),
        (lambda: ag.hann_window(-1), ValueError, "hann_window: sizes cannot be negative"),
        (lambda: ag.zeros(2, device="cuda:0"), ValueError, "zeros: device 'cuda:0' is not known"),
        (lambda: ag.device("meta"), ValueError, "device: 'meta' is not known"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


class Foreign:
    """An array of another library, which hands out its memory."""

    dtype = "float32"

    def __init__(self):
        self.memory = np.zeros(3, np.float32)

    def __array__(self, dtype=None, copy=None):
        return self.memory.copy() if copy else self.memory


@pytest.mark.parametrize(
    "make", [ag.tensor, lambda x: ag.tensor(x, dtype=ag.float32), ag.ones(1).new_tensor, ag.Tensor]
)
def test_a_copy_of_another_librarys_array_is_a_copy(make):
    x = Foreign()
    t = make(x)
    t += 1
    assert t.tolist() == [1, 1, 1] and not x.memory.any()
