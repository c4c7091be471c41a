"""Windows as columns and back against PyTorch: values to the bit, gradients, what is not read, what is refused."""

import numpy as np
import pytest

import autograd_core as ag
import nn.functional as F
from autograd_core.op import REGISTRY
from autograd_core.testing import PROPERTIES, check

rng = np.random.default_rng(0)
draw = lambda *shape: rng.standard_normal(shape)

CASES = [
    ((2, 3, 6, 7), {"kernel_size": (2, 3)}),
    ((3, 6, 7), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((2, 3, 8, 8), {"kernel_size": 2, "dilation": 2, "padding": (1, 0)}),
    ((2, 1, 9, 5), {"kernel_size": (3, 2), "stride": (4, 3), "dilation": (2, 1), "padding": (3, 2)}),
    ((1, 2, 1, 20), {"kernel_size": (1, 5), "stride": 2, "padding": (0, 4), "dilation": (1, 3)}),
    ((1, 2, 1, 1), {"kernel_size": 2, "padding": 3, "stride": 3}),
    ((0, 2, 4, 4), {"kernel_size": 2}),
]


@pytest.mark.parametrize("prop", PROPERTIES, ids=lambda p: p.__name__)
@pytest.mark.parametrize("name", ["columns", "add_columns"])
def test_primitives(name, prop):
    assert check(REGISTRY[name], rounds=2, properties=[prop]) > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("shape, options", CASES)
def test_unfold_and_fold_equal_pytorch(shape, options, dtype):
    torch = pytest.importorskip("torch")
    x = (draw(*shape) + 1j * draw(*shape)).astype(dtype) if dtype == np.complex64 else draw(*shape).astype(dtype)
    columns = torch.nn.functional.unfold(torch.tensor(x), **options)
    np.testing.assert_array_equal(F.unfold(ag.tensor(x), **options), columns.numpy())
    c = draw(*columns.shape).astype(dtype)
    if shape[0]:
        folded = torch.nn.functional.fold(torch.tensor(c), shape[-2:], **options)
        np.testing.assert_array_equal(F.fold(ag.tensor(c), shape[-2:], **options), folded.numpy())
    else:
        assert F.fold(ag.tensor(c), shape[-2:], **options).shape == shape


@pytest.mark.parametrize("shape, options", CASES[:-1])
def test_gradients_are_each_other_and_so_are_those_of_compiled_functions(shape, options):
    torch = pytest.importorskip("torch")
    x = draw(*shape)
    forward = lambda m: lambda t: m.fold(m.unfold(t, **options) ** 2, shape[-2:], **options)
    ours, theirs = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    (g,) = ag.gradient((forward(F)(ours) ** 2).sum(), [ours], create_graph=True)
    (e,) = torch.autograd.grad((forward(torch.nn.functional)(theirs) ** 2).sum(), theirs, create_graph=True)
    np.testing.assert_allclose(g.detach(), e.detach().numpy(), rtol=1e-12, atol=1e-12)
    (gg,), (ee,) = ag.gradient((g**2).sum(), [ours]), torch.autograd.grad((e**2).sum(), theirs)
    np.testing.assert_allclose(gg, ee.numpy(), rtol=1e-11, atol=1e-11)
    compiled = ag.compile(ag.grad(lambda t: (forward(F)(t) ** 2).sum()))
    for _ in range(3):
        np.testing.assert_allclose(compiled(ag.tensor(x)), e.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_where_it_is_read_and_nowhere_else(bad):
    torch = pytest.importorskip("torch")
    for shape, options in CASES[:-2]:
        x = draw(*shape)
        x.flat[:: max(1, x.size // 3)] = bad
        theirs = torch.nn.functional.unfold(torch.tensor(x), **options)
        np.testing.assert_array_equal(F.unfold(ag.tensor(x), **options), theirs.numpy())
        c = draw(*theirs.shape)
        c.flat[:: max(1, c.size // 3)] = bad
        theirs = torch.nn.functional.fold(torch.tensor(c), shape[-2:], **options)
        np.testing.assert_array_equal(F.fold(ag.tensor(c), shape[-2:], **options), theirs.numpy())
    x = np.zeros((1, 1, 3, 5), np.float32)
    x[0, 0, 0, 0] = bad
    y = F.unfold(ag.tensor(x), (2, 2)).numpy()
    assert y[0, 0, 0] == bad or np.isnan(y[0, 0, 0]) == np.isnan(bad)
    assert (~np.isfinite(y)).sum() == 1


def test_integers_move_as_they_are():
    x = np.arange(20).reshape(1, 1, 4, 5)
    y = F.unfold(ag.tensor(x), 2)
    assert y.dtype == np.int64 and y[0, :, 0].tolist() == [0, 1, 5, 6]
    counts = F.fold(y * 0 + 1, (4, 5), 2)
    assert counts[0, 0].tolist() == [[1, 2, 2, 2, 1], [2, 4, 4, 4, 2], [2, 4, 4, 4, 2], [1, 2, 2, 2, 1]]


def test_the_result_is_a_copy():
    x = ag.tensor(draw(1, 2, 3, 4))
    before = x.numpy().copy()
    F.unfold(x, 1).add_(1)
    F.fold(x.reshape(1, 2, 12), (3, 4), 1).add_(1)
    np.testing.assert_array_equal(x, before)


def test_batches():
    x = draw(3, 2, 4, 5)
    y = ag.vmap(lambda t: F.unfold(t, 2, padding=1))(ag.tensor(x))
    np.testing.assert_array_equal(y, F.unfold(ag.tensor(x), 2, padding=1))


ERRORS = [
    (lambda: F.unfold(draw(1, 3, 2, 2), 3), "unfold: windows of"),
    (lambda: F.unfold(draw(3, 2), 3), "unfold: input must be"),
    (lambda: F.fold(draw(1, 9, 5), (4, 4), 3), "fold: images of"),
    (lambda: F.fold(draw(1, 8, 4), (4, 4), 3), "fold: axis 1"),
    (lambda: F.fold(draw(8), (4, 4), 3), "fold: input must be"),
]


@pytest.mark.parametrize("call, text", ERRORS, ids=[e[1] for e in ERRORS])
def test_errors_say_what_is_wrong(call, text):
    with pytest.raises(ValueError, match=text):
        call()
