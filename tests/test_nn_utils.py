"""nn.utils beside torch.nn.utils: values, gradients, names of the state, errors; and closed forms without it."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest

import autograd_core as ag
import nn
from nn import functional as F
from nn.utils import parametrizations, parametrize, prune


class Conv(nn.Module):
    """A convolution, with the names of PyTorch's."""

    def __init__(self, inputs, outputs, size, transposed=False):
        self.weight = nn.Parameter(ag.randn(*((inputs, outputs) if transposed else (outputs, inputs)), size, size))
        self.bias = nn.Parameter(ag.randn(outputs))
        self.transposed = transposed

    def forward(self, x):
        return (F.conv_transpose2d if self.transposed else F.conv2d)(x, self.weight, self.bias)


class Norm(nn.Module):
    """What of a batch normalization fusion reads."""

    def __init__(self, count, affine=True):
        self.num_features, self.eps = count, 1e-3
        self.weight = nn.Parameter(ag.rand(count) + 0.5) if affine else None
        self.bias = nn.Parameter(ag.randn(count)) if affine else None
        self.register_buffer("running_mean", ag.randn(count))
        self.register_buffer("running_var", ag.rand(count) + 0.5)

    def forward(self, x):
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, 0.1, self.eps
        )


class Tied(nn.Module):
    """One weight under two names."""

    def __init__(self):
        self.first = nn.Linear(3, 3, bias=False)
        self.second = nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))


def their():
    pytest.importorskip("torch.nn.utils.prune")
    return pytest.importorskip("torch")


def close(a, b, rtol=1e-5):
    a, b = (np.asarray(v.detach().numpy() if hasattr(v, "detach") else v) for v in (a, b))
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def twins(kind):
    """A layer of ours and the same of PyTorch's, with the same values and an input."""
    torch = their()
    if kind == "linear":
        ours, theirs, x = nn.Linear(5, 4), torch.nn.Linear(5, 4), np.random.default_rng(0).standard_normal((3, 5))
    elif kind == "tall":
        ours, theirs, x = nn.Linear(3, 6), torch.nn.Linear(3, 6), np.random.default_rng(0).standard_normal((3, 3))
    elif kind == "square":
        ours, theirs, x = nn.Linear(4, 4), torch.nn.Linear(4, 4), np.random.default_rng(0).standard_normal((3, 4))
    elif kind == "conv":
        ours, theirs, x = (
            Conv(2, 3, 3),
            torch.nn.Conv2d(2, 3, 3),
            np.random.default_rng(0).standard_normal((2, 2, 5, 5)),
        )
    else:
        ours, theirs = Conv(2, 3, 3, True), torch.nn.ConvTranspose2d(2, 3, 3)
        x = np.random.default_rng(0).standard_normal((2, 2, 5, 5))
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs, x.astype("f")


def agree(ours, theirs, x, rtol=2e-5):
    """The same state, outputs and gradients."""
    torch = their()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]
    for m in (ours, theirs):
        m.zero_grad()
    y, z = ours(ag.tensor(x)), theirs(torch.from_numpy(x))
    close(y, z, rtol)
    y.square().sum().backward(), z.square().sum().backward()
    for (n, p), q in zip(ours.named_parameters(), theirs.parameters()):
        assert (p.grad is None) == (q.grad is None), n
        if p.grad is not None:
            close(p.grad, q.grad, rtol * max(1, float(q.grad.abs().max())))
    for b, c in zip(ours.buffers(), theirs.buffers()):
        close(b, c, rtol)


def theirs_silent(function, *args, **options):
    """A call of PyTorch's without what it says of itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **options)


# --- clipping --------------------------------------------------------------------------------------------------------


def with_gradients(seed=0, scale=1.0, dtype="f"):
    rng = np.random.default_rng(seed)
    ps = [nn.Parameter(ag.zeros(s, dtype=dtype)) for s in ((3, 4), (5,), (), (2, 1, 3))]
    for p in ps:
        p.grad = ag.tensor((rng.standard_normal(p.shape) * scale).astype(p.dtype))
    return [*ps, nn.Parameter(ag.zeros(2))]  # the last has none


@pytest.mark.parametrize("p", [2, 2.0, 1, 3, 0.5, "inf", -math.inf, 0])
@pytest.mark.parametrize("max_norm", [0.5, 1e3])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_clip_grad_norm(p, max_norm, dtype):
    torch = their()
    ours = with_gradients(dtype=dtype)
    theirs = [torch.zeros(tuple(q.shape), dtype=getattr(torch, str(q.dtype)), requires_grad=True) for q in ours]
    for a, b in zip(ours, theirs):
        b.grad = None if a.grad is None else torch.from_numpy(a.grad.numpy().copy())
    arrays = [q.grad.value for q in ours[:-1]]
    total = nn.utils.clip_grad_norm_(iter(ours), max_norm, p, foreach=False)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, p)
    close(total, expected)
    assert total.dtype == ours[0].dtype and total.shape == ()
    assert all(q.grad.value is a for q, a in zip(ours, arrays)), "a gradient was copied"
    for a, b in zip(ours[:-1], theirs):
        close(a.grad, b.grad, 1e-6)


def test_clip_in_two_steps_and_by_value():
    torch = their()
    ours = with_gradients(3, 4.0)
    theirs = [torch.from_numpy(q.grad.numpy().copy()) for q in ours[:-1]]
    close(nn.utils.get_total_norm([q.grad for q in ours[:-1]]), torch.nn.utils.get_total_norm(theirs))
    before = nn.utils.get_total_norm([q.grad for q in ours[:-1]]).item()
    nn.utils.clip_grads_with_norm_(ours, 1.0, before)
    close(nn.utils.get_total_norm([q.grad for q in ours[:-1]]).item(), 1.0)
    ours = with_gradients(3, 4.0)
    nn.utils.clip_grad_value_(ours, 0.5)
    for a, b in zip(ours, theirs):
        close(a.grad, b.clamp(-0.5, 0.5))


def test_a_single_tensor_or_none_at_all():
    p = with_gradients()[0]
    assert nn.utils.clip_grad_norm_(p, 1e-3).item() > 1e-3
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0
    assert nn.utils.get_total_norm([]).item() == 0
    with pytest.warns(UserWarning, match="used up"):
        nn.utils.clip_grad_norm_((q for q in ()), 1.0)
    with pytest.warns(FutureWarning):
        nn.utils.clip_grad_norm(p, 1.0)


def test_a_gradient_under_two_names_is_shrunk_once():
    p = nn.Parameter(ag.zeros(2))
    p.grad = ag.tensor([3.0, 4.0])
    nn.utils.clip_grad_norm_([p, p], 1.0)
    assert np.linalg.norm(p.grad.numpy()) == pytest.approx(1, rel=1e-5)


def test_norms_of_what_is_not_finite():
    for bad in (math.nan, math.inf):
        ps = with_gradients()
        ps[1].grad.value[2] = bad
        before = [q.grad.numpy().copy() for q in ps[:-1]]
        with pytest.raises(RuntimeError, match="not finite.*detect_anomaly"):
            nn.utils.clip_grad_norm_(ps, 1.0, error_if_nonfinite=True)
        assert all(np.array_equal(q.grad.numpy(), b, equal_nan=True) for q, b in zip(ps, before))
        nn.utils.clip_grad_norm_(ps, 1.0)
        assert np.isnan(ps[1].grad.numpy()).any()


def test_clipping_errors():
    with pytest.raises(TypeError, match="expected tensors.*got str"):
        nn.utils.clip_grad_norm_(["weight"], 1.0)
    p = nn.Parameter(ag.zeros(2, dtype=ag.complex64))
    p.grad = ag.ones(2, dtype=ag.complex64) * (3 + 4j)
    with pytest.raises(TypeError, match="no order"):
        nn.utils.clip_grad_value_(p, 1.0)
    assert nn.utils.clip_grad_norm_(p, 1.0).item() == pytest.approx(50**0.5)


def test_a_graph_that_kept_a_clipped_gradient_refuses():
    p = nn.Parameter(ag.tensor([1.0, 2.0]))
    (p**3).sum().backward(create_graph=True)
    y = p.grad * p.grad
    nn.utils.clip_grad_norm_(p, 0.1)
    with pytest.raises(RuntimeError, match="clip_grad_norm_|changed in place|in place"):
        y.sum().backward()


# --- vectors, balls --------------------------------------------------------------------------------------------------


def test_vectors_and_parameters():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    v = nn.utils.parameters_to_vector(model.parameters())
    assert v.shape == (26,)
    close(v, np.concatenate([p.detach().numpy().ravel() for p in model.parameters()]))
    (v * v).sum().backward()
    for p in model.parameters():
        close(p.grad, 2 * p.detach().numpy())
    memory = [p.value for p in model.parameters()]
    nn.utils.vector_to_parameters(v.detach() * 3, model.parameters())
    close(nn.utils.parameters_to_vector(model.parameters()), 3 * v.detach().numpy())
    assert all(p.value is a for p, a in zip(model.parameters(), memory))
    assert all(p.requires_grad for p in model.parameters())


def test_vectors_that_do_not_fit():
    model = nn.Linear(3, 4)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="16 entries together, the vector is \\(15,\\)"):
        nn.utils.vector_to_parameters(ag.zeros(15), model.parameters())
    with pytest.raises(TypeError, match="expected a Tensor, got list"):
        nn.utils.vector_to_parameters([0.0] * 16, model.parameters())
    with pytest.raises(ValueError, match="no parameters"):
        nn.utils.parameters_to_vector([])
    assert all(np.array_equal(before[n].numpy(), t.numpy()) for n, t in model.state_dict().items())


@pytest.mark.parametrize("shape, dim", [((6, 5), 0), ((6, 5), 1), ((4, 3, 2, 2), 0), ((4, 3, 2, 2), -3)])
@pytest.mark.parametrize("p", [2, 1, math.inf])
def test_max_norm(shape, dim, p):
    """As renorm does, in place."""
    w = nn.Parameter(ag.randn(*shape))
    expected, memory = w.detach().renorm(p, dim, 0.9).numpy() if p < math.inf else None, w.value
    before = w.detach().numpy().copy()
    assert nn.utils.max_norm_(w, 0.9, p, dim) is w and w.value is memory
    parts = np.moveaxis(w.detach().numpy(), dim, 0).reshape(shape[dim], -1)
    sizes = np.linalg.norm(parts, p, axis=1)
    assert (sizes <= 0.9 * (1 + 1e-6)).all()
    was = np.linalg.norm(np.moveaxis(before, dim, 0).reshape(shape[dim], -1), p, axis=1)
    close(sizes, np.minimum(was, 0.9))
    if expected is not None:
        close(w, expected, 1e-5)


def test_max_norm_after_steps():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    for p in model.parameters():
        nn.init.constant_(p, 5.0)
    project = nn.utils.MaxNorm(model.parameters(), 1.0)
    project("optimizer", (), {})
    assert np.linalg.norm(model[0].weight.detach().numpy(), axis=1).max() <= 1 + 1e-6
    assert (model[0].bias.detach().numpy() == 5).all(), "biases are left alone"
    for wrong in (lambda: nn.utils.max_norm_(model[0].bias, 1), lambda: nn.utils.max_norm_(model[0].weight, 1, 2, 3)):
        with pytest.raises(ValueError, match="two axes or more"):
            wrong()
    with pytest.raises(ValueError, match="must be positive"):
        nn.utils.max_norm_(model[0].weight, 0)
    with pytest.raises(ValueError, match="nothing to bound"):
        nn.utils.MaxNorm([model[0].bias], 1.0)


# --- fusion, skip_init -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_fusion(affine, bias):
    for layer, x in ((Conv(2, 3, 3), ag.randn(2, 2, 5, 5)), (Conv(2, 3, 3, True), ag.randn(2, 2, 5, 5))):
        layer.bias = layer.bias if bias else None
        norm = Norm(3, affine).eval()
        fused = nn.utils.fuse_conv_bn_eval(layer.eval(), norm, layer.transposed)
        close(fused(x), norm(layer(x)), 1e-4)
        assert isinstance(fused.weight, nn.Parameter) and fused.bias.is_leaf and fused is not layer
    linear, norm, x = nn.Linear(4, 3, bias).eval(), Norm(3, affine).eval(), ag.randn(5, 4)
    close(nn.utils.fuse_linear_bn_eval(linear, norm)(x), norm(linear(x)), 1e-4)


def test_fusion_errors():
    linear, norm = nn.Linear(4, 3), Norm(3)
    with pytest.raises(ValueError, match=r"call .eval\(\) on both"):
        nn.utils.fuse_linear_bn_eval(linear, norm)
    with pytest.raises(ValueError, match="gives 3 features, the normalization takes 5"):
        nn.utils.fuse_linear_bn_eval(linear.eval(), Norm(5).eval())
    norm.eval().running_mean = None
    with pytest.raises(ValueError, match="no running statistics"):
        nn.utils.fuse_conv_bn_eval(linear.eval(), norm)


def test_skip_init_draws_nothing():
    ag.manual_seed(0)
    expected = ag.rand(3).numpy()
    ag.manual_seed(0)
    layer = nn.utils.skip_init(nn.Linear, 3, out_features=4, bias=False)
    assert np.array_equal(ag.rand(3).numpy(), expected)
    assert layer.weight.shape == (4, 3) and layer.bias is None and type(layer) is nn.Linear
    w = ag.ones(2)
    assert nn.init.zeros_(w).sum().item() == 0, "afterwards values are set again"
    with pytest.raises(RuntimeError, match="expected a class of modules"):
        nn.utils.skip_init(nn.Linear(3, 4))


# --- parametrize -----------------------------------------------------------------------------------------------------


class Symmetric(nn.Module):
    def forward(self, X):
        return X.triu() + X.triu(1).mT

    def right_inverse(self, A):
        return A.triu()


class Doubled(nn.Module):
    """Has no inverse."""

    def forward(self, X):
        return 2 * X


class RankOne(nn.Module):
    def forward(self, x, y):
        return x[:, None] * y

    def right_inverse(self, Z):
        return Z[:, 0].clone(), Z[0].clone()


def torch_version(torch, kind):
    """The same parametrizations in PyTorch."""
    if kind is Symmetric:
        body = {"forward": lambda self, X: X.triu() + X.triu(1).mT, "right_inverse": lambda self, A: A.triu()}
    elif kind is Doubled:
        body = {"forward": lambda self, X: 2 * X}
    else:
        inverse = lambda self, Z: (Z[:, 0].clone(), Z[0].clone())
        body = {"forward": lambda self, x, y: x[:, None] * y, "right_inverse": inverse}
    return type(kind.__name__, (torch.nn.Module,), body)()


@pytest.mark.parametrize(
    "kinds", [[Symmetric], [Doubled], [RankOne], [Symmetric, Doubled], [Doubled, Symmetric], [RankOne, Doubled]]
)
@pytest.mark.parametrize("leave", [True, False])
def test_parametrizations_as_pytorch(kinds, leave):
    torch = their()
    P = torch.nn.utils.parametrize
    ours, theirs, x = twins("square")
    parameter = ours.weight
    for kind in kinds:
        parametrize.register_parametrization(ours, "weight", kind())
        P.register_parametrization(theirs, "weight", torch_version(torch, kind))
    assert repr(ours) == repr(theirs)
    assert parametrize.is_parametrized(ours) and parametrize.is_parametrized(ours, "weight")
    assert not parametrize.is_parametrized(ours, "bias")
    assert parametrize.type_before_parametrizations(ours) is nn.Linear
    agree(ours, theirs, x)
    if kinds[0] is not RankOne:
        assert ours.parametrizations.weight.original is parameter
    new = np.random.default_rng(1).standard_normal((4, 4)).astype("f")
    if Doubled not in kinds:
        ours.weight, theirs.weight = ag.tensor(new), torch.from_numpy(new)
        agree(ours, theirs, x)
    else:
        with pytest.raises(RuntimeError, match="Doubled has no right_inverse"):
            ours.weight = ag.tensor(new)
    if kinds[0] is RankOne and not leave:
        with pytest.raises(ValueError, match="computed from 2 tensors"):
            parametrize.remove_parametrizations(ours, "weight", leave)
        return
    parametrize.remove_parametrizations(ours, "weight", leave), P.remove_parametrizations(theirs, "weight", leave)
    agree(ours, theirs, x)
    assert type(ours) is nn.Linear and repr(ours) == repr(theirs)
    assert kinds[0] is RankOne or ours.weight is parameter


def test_a_copy_is_apart_and_pickles():
    layer = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(other).__name__ == "ParametrizedLinear"
        close(other.weight, layer.weight)
        parametrize.remove_parametrizations(other, "weight")
        assert type(other) is nn.Linear and parametrize.is_parametrized(layer)
        close(other.weight, layer.weight)


def test_cached_computes_once():
    calls = []

    class Counting(nn.Module):
        def forward(self, X):
            calls.append(1)
            return X + 1

    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Counting())
    calls.clear()
    with parametrize.cached():
        with parametrize.cached():
            first = layer.weight
        assert layer.weight is first and len(calls) == 1
    assert layer.weight is not first and len(calls) == 2


def test_two_tensors_of_one_module():
    layer = nn.Linear(3, 3)
    names = list(layer.state_dict())
    parametrize.register_parametrization(layer, "weight", Symmetric())
    parametrize.register_parametrization(layer, "bias", Doubled())
    assert list(layer.state_dict()) == ["parametrizations.weight.original", "parametrizations.bias.original"]
    parametrize.remove_parametrizations(layer, "weight")
    assert parametrize.is_parametrized(layer, "bias") and not parametrize.is_parametrized(layer, "weight")
    parametrize.remove_parametrizations(layer, "bias")
    assert sorted(layer.state_dict()) == sorted(names) and type(layer) is nn.Linear


def test_buffers_can_be_parametrized():
    layer = nn.Linear(2, 2)
    layer.register_buffer("scale", ag.ones(2))
    parametrize.register_parametrization(layer, "scale", Doubled())
    assert layer.scale.tolist() == [2, 2] and "parametrizations.scale.original" in layer.state_dict()
    parametrize.remove_parametrizations(layer, "scale", leave_parametrized=False)
    assert layer.scale.tolist() == [1, 1] and "scale" in dict(layer.named_buffers())


def test_transfer():
    torch = their()
    one, two = nn.Linear(3, 3), nn.Linear(3, 3)
    parametrize.register_parametrization(one, "weight", Symmetric())
    parametrize.transfer_parametrizations_and_params(one, two)
    close(one.weight, two.weight)
    assert two.parametrizations.weight.original is one.parametrizations.weight.original
    assert hasattr(torch.nn.utils.parametrize, "transfer_parametrizations_and_params")
    assert parametrize.transfer_parametrizations_and_params(nn.Linear(2, 2), two) is two


class Wider(nn.Module):
    def forward(self, X):
        return ag.cat([X, X])


class Double(nn.Module):
    def forward(self, X):
        return X.double()


class Number(nn.Module):
    def forward(self, X):
        return 3.0


@pytest.mark.parametrize(
    "kind, told",
    [
        (Wider, "the shape may not change"),
        (Double, "the dtype may not change"),
        (Number, "must return a tensor, got float"),
    ],
)
@pytest.mark.parametrize("already", [False, True])
def test_what_does_not_fit_is_refused(kind, told, already):
    layer = nn.Linear(3, 3)
    if already:
        parametrize.register_parametrization(layer, "weight", Symmetric())
    before = {n: t.numpy().copy() for n, t in layer.state_dict().items()}
    with pytest.raises(ValueError, match=told):
        parametrize.register_parametrization(layer, "weight", kind())
    after = {n: t.numpy() for n, t in layer.state_dict().items()}
    assert list(before) == list(after) and all(np.array_equal(before[n], after[n]) for n in after)
    if kind is Wider:
        parametrize.register_parametrization(layer, "weight", kind(), unsafe=True)
        assert layer.weight.shape == (6, 3)


def test_names_that_are_not_there():
    layer = nn.Linear(3, 3)
    with pytest.raises(ValueError, match="no parameter or buffer 'wieght'; it has weight, bias"):
        parametrize.register_parametrization(layer, "wieght", Symmetric())
    with pytest.raises(ValueError, match="'weight' is not parametrized"):
        parametrize.remove_parametrizations(layer, "weight")
    with pytest.raises(TypeError, match="expected a Module, got function"):
        parametrize.register_parametrization(layer, "weight", lambda w: w)
    with pytest.raises(ValueError, match="no shape yet"):
        parametrize.register_parametrization(nn.LazyLinear(3), "weight", Symmetric())


# --- parametrizations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "conv"])
@pytest.mark.parametrize("dim", [0, 1, None, -1])
def test_weight_norm(kind, dim):
    torch = their()
    ours, theirs, x = twins(kind)
    (
        parametrizations.weight_norm(ours, "weight", dim),
        torch.nn.utils.parametrizations.weight_norm(theirs, "weight", dim),
    )
    agree(ours, theirs, x)
    older, _, _ = twins(kind)
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(older, "weight", dim)
    theirs2 = twins(kind)[1]
    theirs_silent(torch.nn.utils.weight_norm, theirs2, "weight", dim)
    older.load_state_dict(theirs2.state_dict())
    agree(older, theirs2, x)
    ours.load_state_dict(older.state_dict())  # the newer form takes the state of the older one
    close(ours(ag.tensor(x)), older(ag.tensor(x)))
    nn.utils.remove_weight_norm(older), torch.nn.utils.remove_weight_norm(theirs2)
    agree(older, theirs2, x)
    with pytest.raises(ValueError, match="weight_norm of 'weight' not found"):
        nn.utils.remove_weight_norm(older)


@pytest.mark.parametrize("kind", ["linear", "conv", "transposed"])
@pytest.mark.parametrize("steps", [1, 3])
def test_spectral_norm(kind, steps):
    torch = their()
    ours, theirs, x = twins(kind)
    parametrizations.spectral_norm(ours, n_power_iterations=steps)
    torch.nn.utils.parametrizations.spectral_norm(theirs, n_power_iterations=steps)
    ours.load_state_dict(theirs.state_dict())
    for _ in range(2):
        agree(ours, theirs, x)
    ours.eval(), theirs.eval()
    agree(ours, theirs, x)
    older, theirs, x = twins(kind)
    nn.utils.spectral_norm(older, n_power_iterations=steps)
    theirs_silent(torch.nn.utils.spectral_norm, theirs, n_power_iterations=steps)
    older.load_state_dict(theirs.state_dict())
    for _ in range(2):
        agree(older, theirs, x)
    older.eval(), theirs.eval()
    agree(older, theirs, x)
    nn.utils.remove_spectral_norm(older), torch.nn.utils.remove_spectral_norm(theirs)
    agree(older, theirs, x)


def test_spectral_norm_is_one():
    """After some steps the largest singular value is one; a vector gets length one."""
    layer = parametrizations.spectral_norm(nn.Linear(6, 5), n_power_iterations=50)
    assert np.linalg.norm(layer.weight.detach().numpy(), 2) == pytest.approx(1, rel=1e-4)
    layer = parametrizations.spectral_norm(nn.Linear(6, 5), "bias")
    assert np.linalg.norm(layer.bias.detach().numpy()) == pytest.approx(1)


def test_two_calls_before_one_backward():
    """The vectors move between the calls, and the first graph does not mind."""
    for make in (parametrizations.spectral_norm, nn.utils.spectral_norm):
        layer = make(nn.Linear(3, 3))
        (layer(ag.randn(2, 3)).sum() - layer(ag.randn(2, 3)).sum()).backward()
        assert next(p for n, p in layer.named_parameters() if "orig" in n).grad is not None


MAPS = ["matrix_exp", "cayley", "householder", None]


@pytest.mark.parametrize("kind", ["linear", "tall", "square"])
@pytest.mark.parametrize("orthogonal_map", MAPS)
@pytest.mark.parametrize("base", [True, False])
def test_orthogonal(kind, orthogonal_map, base):
    torch = their()
    ours, theirs, x = twins(kind)
    parametrizations.orthogonal(ours, orthogonal_map=orthogonal_map, use_trivialization=base)
    torch.nn.utils.parametrizations.orthogonal(theirs, orthogonal_map=orthogonal_map, use_trivialization=base)
    assert repr(ours) == repr(theirs)
    same = base and kind == "square" or not base
    if same:
        close(ours.weight, theirs.weight, 1e-5)
    ours.load_state_dict(theirs.state_dict())
    agree(ours, theirs, x, 5e-5)
    with ag.no_grad():
        for p, q in zip(ours.parameters(), theirs.parameters()):
            step = np.random.default_rng(2).standard_normal(p.shape).astype("f") * 0.1
            p.add_(ag.tensor(step))
            q.data.add_(torch.from_numpy(step))
    agree(ours, theirs, x, 5e-5)
    w = ours.weight.detach().numpy().astype("d")
    gram = w @ w.T if w.shape[0] < w.shape[1] else w.T @ w
    if orthogonal_map != "householder" and (orthogonal_map or kind == "square"):
        close(gram, np.eye(len(gram)), 1e-5)


def test_orthogonal_can_be_assigned():
    layer = parametrizations.orthogonal(nn.Linear(3, 3))
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0].astype("f")
    layer.weight = ag.tensor(q)
    close(layer.weight, q)
    layer = parametrizations.orthogonal(nn.Linear(3, 3), use_trivialization=False)
    with pytest.raises(RuntimeError, match="_Orthogonal has no right_inverse"):
        layer.weight = ag.tensor(q)


def test_orthogonal_takes_complex_matrices():
    layer = nn.Module()
    layer.weight = nn.Parameter(ag.randn(4, 4, dtype=ag.complex64))
    parametrizations.orthogonal(layer)
    w = layer.weight.detach().numpy()
    close(np.abs(w.conj().T @ w), np.eye(4), 1e-5)
    layer = nn.Module()
    layer.weight = nn.Parameter(ag.randn(4, 4, dtype=ag.complex64))
    with pytest.raises(ValueError, match="householder takes real matrices"):
        parametrizations.orthogonal(layer, orthogonal_map="householder")


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda m: parametrizations.orthogonal(m, "bias"), "two axes or more"),
        (
            lambda m: parametrizations.orthogonal(m, orthogonal_map="givens"),
            "must be one of matrix_exp, cayley, householder",
        ),
        (lambda m: parametrizations.orthogonal(m, "w"), "no parameter or buffer 'w'"),
        (lambda m: parametrizations.spectral_norm(m, dim=2), "dim=2, but the weight has 2 axes"),
        (lambda m: parametrizations.spectral_norm(m, n_power_iterations=0), "must be positive"),
        (lambda m: nn.utils.spectral_norm(m, n_power_iterations=0), "must be positive"),
        (lambda m: nn.utils.spectral_norm(m, "w"), "no parameter 'w'; it has weight, bias"),
        (lambda m: nn.utils.remove_spectral_norm(m), "spectral_norm of 'weight' not found"),
        (lambda m: nn.utils.spectral_norm(nn.utils.spectral_norm(m)), "has it already"),
    ],
)
def test_errors_of_parametrizations(call, told):
    with pytest.raises((ValueError, IndexError, RuntimeError), match=told):
        call(nn.Linear(3, 4))


# --- pruning ---------------------------------------------------------------------------------------------------------


WAYS = {
    "identity": lambda p, m: p.identity(m, "weight"),
    "l1": lambda p, m: p.l1_unstructured(m, "weight", 0.4),
    "l1 count": lambda p, m: p.l1_unstructured(m, "weight", amount=5),
    "ln 1": lambda p, m: p.ln_structured(m, "weight", 0.5, n=1, dim=0),
    "ln 2": lambda p, m: p.ln_structured(m, "weight", 1, n=2, dim=1),
    "ln inf": lambda p, m: p.ln_structured(m, "weight", 2, n=float("inf"), dim=-1),
    "ln -inf": lambda p, m: p.ln_structured(m, "weight", 0.3, n=-float("inf"), dim=0),
}


@pytest.mark.parametrize("kind", ["linear", "conv"])
@pytest.mark.parametrize("ways", [[w] for w in WAYS] + [["l1", "l1"], ["ln 2", "l1"], ["l1", "ln 1"], ["ln 2", "ln 1"]])
def test_pruning_as_pytorch(kind, ways):
    theirs_prune = their().nn.utils.prune
    ours, theirs, x = twins(kind)
    for way in ways:
        assert WAYS[way](prune, ours) is ours
        WAYS[way](theirs_prune, theirs)
    agree(ours, theirs, x)
    assert prune.is_pruned(nn.Sequential(ours))
    prune.remove(ours, "weight"), theirs_prune.remove(theirs, "weight")
    agree(ours, theirs, x)
    assert not prune.is_pruned(ours)


@pytest.mark.parametrize("scores", [False, True])
def test_global_pruning(scores):
    torch = their()
    ours = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Linear(4, 3))
    ours.load_state_dict(theirs.state_dict())
    for p, model, make in ((prune, ours, ag.tensor), (torch.nn.utils.prune, theirs, torch.tensor)):
        p.l1_unstructured(model[0], "weight", 3)
        pairs = [(m, n) for m in model for n in ("weight", "bias")]
        rank = np.arange(20.0, dtype="f").reshape(4, 5)
        given = {(model[0], "weight"): make(rank)} if scores else None
        p.global_unstructured(pairs, p.L1Unstructured, importance_scores=given, amount=0.4)
    x = np.random.default_rng(0).standard_normal((2, 5)).astype("f")
    agree(ours, theirs, x)
    assert isinstance(nn.utils.recomputed.hooks_of(ours[0], prune.BasePruningMethod)[0], prune.PruningContainer)


def test_scores_and_masks_of_the_users_own():
    torch = their()
    ours, theirs, x = twins("linear")
    rank = np.random.default_rng(0).standard_normal((4, 5)).astype("f")
    prune.l1_unstructured(ours, "weight", 7, ag.tensor(rank))
    torch.nn.utils.prune.l1_unstructured(theirs, "weight", 7, torch.tensor(rank))
    prune.custom_from_mask(ours, "bias", ag.tensor([0, 1, 0, 1]))
    torch.nn.utils.prune.custom_from_mask(theirs, "bias", torch.tensor([0, 1, 0, 1]))
    agree(ours, theirs, x)


@pytest.mark.parametrize("amount, left", [(0.5, 10), (3, 17), (0, 20), (1.0, 0)])
def test_random_pruning(amount, left):
    layer = prune.random_unstructured(nn.Linear(5, 4), "weight", amount)
    assert layer.weight_mask.sum().item() == left
    assert (layer.weight.detach().numpy() == (layer.weight_orig * layer.weight_mask).detach().numpy()).all()
    layer = prune.random_structured(nn.Linear(5, 4), "weight", 2, dim=0)
    rows = layer.weight_mask.numpy().sum(axis=1)
    assert sorted(rows) == [0, 0, 5, 5]
    prune.random_structured(layer, "weight", 1, dim=0)
    assert sorted(layer.weight_mask.numpy().sum(axis=1)) == [0, 0, 0, 5], "only rows that were left are drawn from"
    assert len(nn.utils.recomputed.hooks_of(layer, prune.PruningContainer)[0]) == 2


def test_a_method_of_the_users_own():
    class EveryOther(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    layer = nn.Linear(4, 3)
    EveryOther.apply(layer, "bias")
    assert layer.bias_mask.tolist() == [0, 1, 0]
    EveryOther.apply(layer, "bias")
    assert layer.bias_mask.tolist() == [0, 0, 0]
    assert EveryOther().prune(ag.tensor([1.0, 2.0, 3.0])).tolist() == [0, 2, 0]


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda m: prune.l1_unstructured(m, "weight", 1.5), "a share from 0 to 1"),
        (lambda m: prune.l1_unstructured(m, "weight", -1), "a share from 0 to 1"),
        (lambda m: prune.l1_unstructured(m, "weight", "half"), "must be a number, got str"),
        (lambda m: prune.l1_unstructured(m, "weight", 13), "only 12 are left"),
        (lambda m: prune.l1_unstructured(m, "wieght", 1), "no parameter 'wieght'; it has weight, bias"),
        (lambda m: prune.l1_unstructured(m, "weight", 1, ag.ones(3)), r"shape of weight, \(4, 3\), got \(3,\)"),
        (lambda m: prune.ln_structured(m, "bias", 1, 2, 0), "two axes or more"),
        (lambda m: prune.ln_structured(m, "weight", 1, 2, 5), "dim=5, but the tensor has 2 axes"),
        (lambda m: prune.custom_from_mask(m, "weight", ag.ones(3)), r"the mask is \(3,\), the tensor \(4, 3\)"),
        (lambda m: prune.remove(m, "weight"), "'weight' of Linear is not pruned"),
        (
            lambda m: prune.global_unstructured([(m, "weight")], prune.LnStructured, amount=1, n=2),
            "must be 'unstructured'",
        ),
        (lambda m: prune.global_unstructured([(m, "weight")], prune.L1Unstructured, [1], amount=1), "must be a dict"),
        (lambda m: prune.BasePruningMethod.apply(m, "weight"), "compute_mask is not defined"),
    ],
)
def test_pruning_errors_change_nothing(call, told):
    layer = nn.Linear(3, 4)
    weight, names = layer.weight, list(vars(layer))
    with pytest.raises((ValueError, TypeError, IndexError), match=told):
        call(layer)
    assert layer.weight is weight and list(vars(layer)) == names and not prune.is_pruned(layer)


# --- functional_call -------------------------------------------------------------------------------------------------


def model_and_input():
    ag.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    return model, ag.randn(5, 3), dict(model.named_parameters())


def test_functional_call_is_the_call():
    model, x, params = model_and_input()
    others = {n: p.detach() * 2 for n, p in params.items()}
    before = dict(vars(model[0]))
    y = nn.utils.functional_call(model, others, x)
    assert vars(model[0]) == before and list(vars(model[0])) == list(before)
    other = copy.deepcopy(model)
    other.load_state_dict(others)
    close(y, other(x))
    arrays = {n: t.numpy() for n, t in others.items()}
    close(nn.utils.functional_call(model, arrays, (x,)), y)
    close(nn.utils.functional_call(model, [arrays, {"0.bias": np.zeros(4, "f")}], x, strict=True).shape, (5, 2))
    close(nn.utils.functional_call(model, {"0.weight": params["0.weight"]}, kwargs={"input": x}), model(x))


def test_functional_call_under_transforms():
    """grad, jvp, jacobian, vmap and hessian by the parameters."""
    model, x, params = model_and_input()
    loss = lambda p: nn.utils.functional_call(model, p, x).tanh().square().sum()
    grads = ag.grad(loss)(params)
    model(x).tanh().square().sum().backward()
    for n, p in params.items():
        close(grads[n], p.grad)
    arrays = {n: p.detach().numpy().astype("d") for n, p in params.items()}
    x64 = x.numpy().astype("d")
    loss = lambda p: nn.utils.functional_call(model, p, x64).tanh().square().sum()
    g = ag.grad(loss)(arrays)
    direction = {n: np.random.default_rng(0).standard_normal(a.shape) for n, a in arrays.items()}
    _, slope = ag.jvp(loss, (arrays,), (direction,))
    close(float(slope), sum((g[n] * direction[n]).sum() for n in g), 1e-9)
    jac = ag.jacobian(lambda p: nn.utils.functional_call(model, p, x64))(arrays)
    assert jac["0.weight"].shape == (5, 2, 4, 3)
    stacked = {n: np.stack([a, 2 * a, -a]) for n, a in arrays.items()}
    many = ag.vmap(lambda p: nn.utils.functional_call(model, p, x64))(stacked)
    for k, factor in enumerate((1, 2, -1)):
        one = nn.utils.functional_call(model, {n: a * factor for n, a in arrays.items()}, x64)
        close(many[k], one, 1e-12)
    each = ag.vmap(lambda row: ag.grad(lambda p: nn.utils.functional_call(model, p, row).sum())(arrays)["0.weight"])(
        x64
    )
    assert each.shape == (5, 4, 3)
    assert all(p is q for p, q in zip(params.values(), model.parameters()))


def test_functional_call_restores_after_errors():
    model, x, params = model_and_input()
    with pytest.raises(ValueError, match="^1 "):
        nn.utils.functional_call(model, {"1.weight": ag.zeros(2, 7)}, x)
    assert all(p is q for p, q in zip(params.values(), model.parameters()))


def test_tied_weights():
    model, x = Tied(), ag.randn(2, 3)
    eye = ag.eye(3) * 2
    close(nn.utils.functional_call(model, {"first.weight": eye}, x), 4 * x.numpy())
    untied = nn.utils.functional_call(model, {"first.weight": eye}, x, tie_weights=False)
    close(untied, (x @ eye @ model.first.weight.mT).detach().numpy())
    both = {"first.weight": eye, "second.weight": eye}
    close(nn.utils.functional_call(model, both, x), 4 * x.numpy())
    with pytest.raises(ValueError, match="are one tensor, and several values are given"):
        nn.utils.functional_call(model, {"first.weight": eye, "second.weight": ag.eye(3)}, x)
    close(
        nn.utils.functional_call(model, {"first.weight": eye, "second.weight": ag.eye(3)}, x, tie_weights=False),
        2 * x.numpy(),
    )


def test_strict_names():
    model, x, params = model_and_input()
    values = {n: p for n, p in params.items() if n != "0.bias"} | {"1.wieght": ag.zeros(2)}
    with pytest.raises(RuntimeError, match="missing: 0.bias\n.*unexpected: 1.wieght; is '1.weight' meant"):
        nn.utils.functional_call(model, values, x, strict=True)
    close(nn.utils.functional_call(model, values, x), model(x))
    with pytest.raises(TypeError, match="0.bias must be a tensor or an array, got str"):
        nn.utils.functional_call(model, {"0.bias": "zero"}, x)


def test_buffers_that_a_call_replaces():
    class Counter(nn.Module):
        def __init__(self):
            self.register_buffer("count", ag.zeros(()))

        def forward(self, x):
            self.count = self.count + 1
            return x * self.count

    model, given = Counter(), {"count": ag.ones(()) * 5}
    assert nn.utils.functional_call(model, given, ag.ones(2)).tolist() == [6, 6]
    assert given["count"].item() == 6 and model.count.item() == 0


def test_functional_call_of_a_parametrized_module():
    layer = parametrize.register_parametrization(nn.Linear(3, 3, bias=False), "weight", Symmetric())
    x, w = ag.randn(2, 3), ag.randn(3, 3)
    close(nn.utils.functional_call(layer, {"parametrizations.weight.original": w}, x), x @ (w.triu() + w.triu(1).mT))
    close(nn.utils.functional_call(layer, {"weight": w}, x), x @ w.mT)
    assert parametrize.is_parametrized(layer, "weight")


@pytest.mark.filterwarnings("ignore:nn.utils.weight_norm")
@pytest.mark.parametrize(
    "change",
    [
        lambda m: prune.l1_unstructured(prune.l1_unstructured(m, "weight", 0.5), "weight", 0.5),
        lambda m: prune.random_structured(m, "weight", 1, 0),
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        parametrizations.weight_norm,
    ],
)
@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_modules_whose_weights_are_computed_are_copied_and_pickled(change, again):
    """The copy computes its own from its own, and trains apart."""
    net, x = nn.Sequential(nn.Linear(3, 2)), ag.randn(4, 3)
    change(net[0])
    net.eval()(x)
    other = again(net)
    assert list(other.state_dict()) == list(net.state_dict())
    y = net(x)
    np.testing.assert_array_equal(other(x).detach(), y.detach())
    other(x).sum().backward()
    assert all(p.grad is not None for p in other.parameters()) and all(p.grad is None for p in net.parameters())
    with ag.no_grad():
        next(other.parameters()).mul_(2).add_(1)
    np.testing.assert_array_equal(net(x).detach(), y.detach())


@pytest.mark.parametrize("again", [copy.deepcopy, pickle.dumps])
def test_a_module_with_a_computed_tensor_says_which_is_not_copied(again):
    net = nn.Sequential(nn.Linear(3, 2))
    net[0].seen = net(ag.randn(4, 3))
    with pytest.raises(RuntimeError, match=r"^Linear.seen was computed .* keep seen.detach\(\) there"):
        again(net)
