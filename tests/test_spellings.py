"""Arguments may be given by PyTorch's names and by NumPy's; errors and histories name public functions."""

import numpy as np
import pytest

import autograd_core as ag

X = ag.tensor([[1.0, 2.0], [3.0, 4.0]])
I = ag.tensor([[0, 1], [1, 0]])

SAME = [
    (lambda: ag.sum(input=X), lambda: X.sum()),
    (lambda: ag.sum(input=X, axis=0, keepdims=True), lambda: X.sum(0, True)),
    (lambda: X.sum(axis=0), lambda: X.sum(0)),
    (lambda: ag.chunk(input=X, chunks=2)[0], lambda: X.chunk(2)[0]),
    (lambda: ag.gather(input=X, dim=0, index=I), lambda: X.gather(0, I)),
    (lambda: ag.tanh(input=X), lambda: X.tanh()),
    (lambda: ag.conj(input=X), lambda: X),
    (lambda: ag.argwhere(input=X), lambda: ag.argwhere(X)),
    (lambda: ag.where(condition=X > 2, input=X, other=0.0), lambda: ag.where(X > 2, X, 0.0)),
    (lambda: ag.split(tensor=X, split_size_or_sections=1)[1], lambda: X.split(1)[1]),
    (lambda: X.split(split_size=1)[1], lambda: X.split(1)[1]),
    (lambda: ag.maximum(X, other=X + 1), lambda: X + 1),
    (lambda: X.maximum(other=X + 1), lambda: X + 1),
    (lambda: X.eq(other=1), lambda: X == 1),
    (lambda: X.matmul(other=X), lambda: X @ X),
    (lambda: ag.matmul(input=X, other=X), lambda: X @ X),
    (lambda: ag.atan2(input=X, other=X), lambda: X.atan2(X)),
    (lambda: X.permute(dims=(1, 0)), lambda: X.permute(1, 0)),
    (lambda: ag.permute(input=X, dims=(1, 0)), lambda: X.permute(1, 0)),
    (lambda: X.flip(dims=(0,)), lambda: X.flip(0)),
    (lambda: X.flip(axis=0), lambda: X.flip(0)),
    (lambda: ag.roll(X, 1, axis=0), lambda: X.roll(1, 0)),
    (lambda: ag.tile(X, dims=(2,)), lambda: X.tile(2)),
    (lambda: ag.reshape(X, shape=(4,)), lambda: X.reshape(4)),
    (lambda: ag.reshape(input=X, shape=(4,)), lambda: X.reshape(4)),
    (lambda: X.view(size=(4,)), lambda: X.view(4)),
    (lambda: X.view(shape=(4,)), lambda: X.view(4)),
    (lambda: X.expand(size=(3, 2, 2)), lambda: X.expand(3, 2, 2)),
    (lambda: ag.broadcast_to(X, size=(3, 2, 2)), lambda: X.expand(3, 2, 2)),
    (lambda: X.repeat(repeats=(1, 2)), lambda: X.repeat(1, 2)),
    (lambda: X.sum_to_size(size=(1, 2)), lambda: X.sum_to_size(1, 2)),
    (lambda: X.clamp_max(max=2), lambda: X.clamp(max=2)),
    (lambda: ag.clamp_min(input=X, min=2), lambda: X.clamp(min=2)),
    (lambda: X.clone().clamp_min_(min=2), lambda: X.clamp(min=2)),
    (lambda: ag.complex(real=X, imag=X), lambda: ag.complex(X, X)),
    (lambda: ag.heaviside(X - 2, values=X), lambda: ag.heaviside(X - 2, X)),
    (lambda: (X - 2).heaviside_(values=X), lambda: ag.heaviside(X - 2, X)),
    (lambda: ag.hsplit(X, indices_or_sections=2)[1], lambda: ag.hsplit(X, 2)[1]),
    (lambda: ag.tensor_split(X, sections=2)[1], lambda: X.tensor_split(2)[1]),
    (lambda: ag.tensor_split(X, indices=(1,))[1], lambda: X.tensor_split((1,))[1]),
    (lambda: ag.arange(end=3), lambda: ag.arange(3)),
    (lambda: (X / 9).logit_(eps=0.2), lambda: (X / 9).logit(0.2)),
    (lambda: ag.linalg.norm(input=X), lambda: ag.linalg.norm(X)),
    (lambda: ag.det(input=X), lambda: ag.linalg.det(A=X)),
    (lambda: ag.special.zeta(input=X + 1, other=X), lambda: ag.special.zeta(X + 1, X)),
    (lambda: ag.polygamma(1, input=X), lambda: ag.polygamma(1, X)),
    (lambda: ag.randint(high=3, size=(2,)) < 3, lambda: ag.tensor([True, True])),
    (lambda: ag.bernoulli(input=X * 0), lambda: X * 0),
]


@pytest.mark.parametrize("named, plain", SAME)
def test_arguments_by_name(named, plain):
    a, b = named(), plain()
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_gradients_reach_arguments_given_by_name():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    ag.mul(input=x, other=x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    "call", [lambda: ag.sum(X, dim=0, axis=0), lambda: X.sum(dim=0, axis=0), lambda: ag.sum(X, 0, axis=0)]
)
def test_one_argument_under_two_names(call):
    with pytest.raises(TypeError, match="^sum.*(two names|multiple values)"):
        call()


HISTORY = {
    "matmul": lambda x: x @ x, "einsum": lambda x: ag.einsum("ij->ji", x), "sum": lambda x: x.sum(),
    "index": lambda x: x[x > 1], "inv": lambda x: ag.linalg.inv(x), "reshape": lambda x: x.view(4),
    "permute": lambda x: x.t(), "svd": lambda x: ag.linalg.svd(x)[1], "gather": lambda x: x.gather(0, I),
    "unsqueeze": lambda x: x.unsqueeze(0), "fft": lambda x: ag.fft.fft(x), "qr": lambda x: ag.linalg.qr(x)[0],
}  # fmt: skip


@pytest.mark.parametrize("name", HISTORY)
def test_histories_name_public_functions(name):
    y = HISTORY[name](X.clone().requires_grad_())
    assert y.grad_fn.name.partition("[")[0] == name


Z = ag.tensor([1j, 2.0])
UNORDERED = """max min amax amin aminmax argmax argmin sort argsort median mode topk cummax cummin kthvalue histc clamp
    relu""".split()
MORE = {"topk": (1,), "cummax": (0,), "cummin": (0,), "kthvalue": (1,), "clamp": (0, 1)}


@pytest.mark.parametrize("name", UNORDERED)
def test_complex_numbers_have_no_order(name):
    with pytest.raises(TypeError, match=f"^{name}: .*complex numbers have no order"):
        getattr(ag, name)(Z, *MORE.get(name, ()))


@pytest.mark.parametrize("name", ["lt", "le", "gt", "ge", "maximum", "minimum"])
def test_complex_numbers_cannot_be_compared(name):
    for a, b in ((Z, Z), (Z, 1), (X[0], Z)):
        with pytest.raises(TypeError, match=f"^{name}: complex numbers have no order"):
            getattr(ag, name)(a, b)


MISTAKES = [
    (lambda: ~X, TypeError, "bitwise_not: takes booleans and integers .*float32"),
    (lambda: -(X > 1), TypeError, "neg: .*bool"),
    (lambda: Z.floor(), TypeError, "floor: takes real numbers .*complex64"),
    (lambda: ag.exp("a"), TypeError, "exp: .*str 'a'"),
    (lambda: ag.exp(None), TypeError, "exp: .*NoneType"),
    (lambda: ag.clamp("a"), TypeError, "clamp: expected a tensor .*str 'a'"),
    (lambda: X.repeat(-1, 1), ValueError, "repeat: numbers of repeats cannot be negative"),
    (lambda: X.repeat(10**15, 1), MemoryError, "repeat: .* would take"),
    (lambda: X.tile(10**15), MemoryError, "tile: .* would take"),
    (lambda: ag.outer(ag.ones(10**7), ag.ones(10**7)), MemoryError, "outer: .* would take"),
    (lambda: X.size(5), IndexError, "size: dim 5 is out of range"),
    (lambda: ag.arange(), TypeError, "arange: needs an end"),
]


@pytest.mark.parametrize("call, kind, message", MISTAKES)
def test_mistakes_name_the_function_called(call, kind, message):
    with pytest.raises(kind, match=f"^{message}"):
        call()
