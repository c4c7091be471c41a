"""Names that scripts for PyTorch use: `ag.autograd`, old constructors, devices, tensors that reshape themselves."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim


def test_what_stands_above_can_be_asked_for_here():
    assert ag.nn is nn and ag.optim is optim
    assert importlib.import_module("autograd_core.autograd.functional") is ag.autograd.functional


@pytest.mark.parametrize(
    "name, hint", [("bfloat16", "float16"), ("load", "nn.load"), ("save", "nn.save"), ("jit", "compile")]
)
def test_names_that_are_not_here_say_what_is(name, hint):
    with pytest.raises(AttributeError, match=f"no attribute '{name}': .*{hint}"):
        getattr(ag, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'$"):
        ag.nothing  # noqa: B018


def test_there_is_no_other_device():
    assert not (ag.cuda.is_available() or ag.accelerator.is_available() or ag.backends.mps.is_available())
    assert ag.cuda.device_count() == 0
    device = ag.device("cuda" if ag.cuda.is_available() else "cpu")
    ag.cuda.manual_seed_all(0)
    ag.backends.cudnn.benchmark = False
    assert ag.ones(2).to(device).device == device and nn.Linear(2, 2).to(device).weight.device == device


def test_limits_and_shapes():
    assert (
        ag.finfo(ag.float32).eps == np.finfo(np.float32).eps and ag.finfo().bits == 32 and ag.iinfo(ag.int8).max == 127
    )
    assert ag.broadcast_shapes((2, 1), (3,)) == (2, 3) and isinstance(ag.ones(2).shape, ag.Size)
    with pytest.raises(ValueError, match=r"\(2,\), \(3,\) do not broadcast"):
        ag.broadcast_shapes((2,), (3,))
    assert ag.is_tensor(nn.Parameter(ag.ones(1))) and not ag.is_tensor(np.ones(1))


def test_old_constructors():
    for name, dtype in [
        ("FloatTensor", "float32"),
        ("LongTensor", "int64"),
        ("BoolTensor", "bool"),
        ("ByteTensor", "uint8"),
    ]:
        made = getattr(ag, name)
        assert made([[1, 0]]).dtype == dtype and made([[1, 0]]).tolist() == [[1, 0]]
        assert made(2, 3).shape == (2, 3) and made().shape == (0,) and made(2, 3).dtype == dtype
    x = ag.ones(2, dtype=ag.float64)
    assert x.new(3, 4).shape == (3, 4) and x.new([1, 2]).dtype == ag.float64


# --- tensors that reshape themselves ---------------------------------------------------------------------------------

RESHAPED = {
    "unsqueeze_": (lambda t: t.unsqueeze_(0), lambda t: t.unsqueeze(0)),
    "squeeze_": (lambda t: t.squeeze_(), lambda t: t.squeeze()),
    "squeeze_ of one": (lambda t: t.squeeze_(1), lambda t: t.squeeze(1)),
    "transpose_": (lambda t: t.transpose_(0, 2), lambda t: t.transpose(0, 2)),
    "swapaxes_": (lambda t: t.swapaxes_(-1, 0), lambda t: t.swapaxes(-1, 0)),
    "twice": (lambda t: t.squeeze_(1).t_().unsqueeze_(-1), lambda t: t.squeeze(1).t().unsqueeze(-1)),
}


@pytest.mark.parametrize("name", RESHAPED)
@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("changed", ["it", "a view before", "a view after", "none"])
def test_reshaping_in_place_is_reshaping(name, recorded, changed):
    """Values and gradients are those of a program that gives the reshaped tensor a name of its own."""
    change, pure = RESHAPED[name]
    start = ag.tensor(np.random.default_rng(0).standard_normal((2, 1, 3)), requires_grad=recorded)
    scale = ag.tensor(2.0, dtype=ag.float64, requires_grad=True)

    def program(reshape):
        t = start * 1
        before = t[1]
        kept, t = t, reshape(t)
        after = t[..., 0]
        target = {"it": t, "a view before": before, "a view after": after}.get(changed)
        if target is not None:
            target.mul_(scale)
        return t, before, after, kept

    ours, wanted = program(change), program(pure)
    assert ours[0] is ours[3]
    for y, z in zip(ours[:3], wanted):
        assert y.shape == z.shape and y.tolist() == z.tolist()
        inputs = [x for x in (start, scale) if x.requires_grad]
        if z.requires_grad:
            seed = ag.tensor(np.random.default_rng(1).standard_normal(z.shape))
            for g, h in zip(*(ag.gradient(v, inputs, seed, retain_graph=True, allow_unused=True) for v in (y, z))):
                assert (g is None) == (h is None) and (g is None or g.tolist() == h.tolist())


@pytest.mark.parametrize("name", ["unsqueeze_", "squeeze_", "transpose_"])
def test_reshaping_in_place_inside_transforms(name):
    change, pure = RESHAPED[name]
    x = ag.randn(4, 2, 1, 3)
    f, g = (lambda t, shape=shape: (shape(t * 1) ** 2).sum(0) for shape in (change, pure))
    assert ag.vmap(f)(x).tolist() == ag.vmap(g)(x).tolist()
    for y, z in zip(ag.jvp(f, (x[0],), (x[1],)), ag.jvp(g, (x[0],), (x[1],))):
        assert y.tolist() == z.tolist()
    assert (
        ag.vmap(ag.hessian(lambda t: f(t).sum()))(x).tolist() == ag.vmap(ag.hessian(lambda t: g(t).sum()))(x).tolist()
    )


def test_leaves_that_require_gradients_do_not_reshape_themselves():
    w = nn.Parameter(ag.ones(3))
    with pytest.raises(RuntimeError, match=r"unsqueeze_: a leaf .* x = x.unsqueeze\(...\)"):
        w.unsqueeze_(0)
    with ag.no_grad():
        w.unsqueeze_(0)
    (w * 2).sum().backward()
    assert w.grad.tolist() == [[2.0, 2.0, 2.0]]


def test_diagonals_are_filled_and_there_is_no_bfloat16():
    x = ag.ones(2, 2, requires_grad=True)
    y = (x * 3).fill_diagonal_(0)
    y.sum().backward()
    assert y.tolist() == [[0, 3], [3, 0]] and x.grad.tolist() == [[0, 3], [3, 0]]
    for thing in (y, nn.Linear(2, 2)):
        with pytest.raises(TypeError, match="bfloat16: NumPy has no such type"):
            thing.bfloat16()


# --- tensors of another library --------------------------------------------------------------------------------------


def test_tensors_of_another_library_are_taken_where_tensors_are_made_and_named_elsewhere():
    torch = pytest.importorskip("torch")
    theirs = torch.ones(2, 3, requires_grad=True)
    assert ag.tensor(theirs).tolist() == [[1, 1, 1], [1, 1, 1]] and ag.tensor([theirs.detach()] * 2).shape == (2, 2, 3)
    assert ag.as_tensor(theirs.detach()).dtype == ag.float32
    with pytest.raises(TypeError, match="does not become an array .*BFloat16"):
        ag.tensor(theirs.bfloat16())
    text = r"got a torch.\w+, which is of another library; ag.tensor\(x\)"
    for layer in (nn.Linear(3, 2), nn.BatchNorm1d(3), nn.LSTM(3, 2), nn.LayerNorm(3), nn.Dropout(), nn.Softmax(1)):
        with pytest.raises((TypeError, AttributeError), match=rf"^0 \({type(layer).__name__}.*: {text}"):
            nn.Sequential(layer)(theirs)
    for f in (ag.sum, ag.from_numpy, lambda x: ag.where(x > 0, x, 0.0), lambda x: nn.MSELoss()(ag.ones(2, 3), x)):
        with pytest.raises(TypeError, match=text):
            f(theirs.detach())


# --- ag.autograd -----------------------------------------------------------------------------------------------------


def test_gradients_under_their_other_name():
    x, unused = ag.tensor([1.0, 2.0], requires_grad=True), ag.ones(2, requires_grad=True)
    (g,) = ag.autograd.grad((x**2).sum(), x, None, None, True)
    assert g.tolist() == [2, 4] and g.requires_grad
    assert ag.autograd.grad((x**2).sum(), [x, unused], allow_unused=True)[1] is None
    assert ag.autograd.grad((x**2).sum(), [x, unused], materialize_grads=True)[1].tolist() == [0, 0]
    (rows,) = ag.autograd.grad(x**2, x, ag.eye(2), is_grads_batched=True)
    assert rows.tolist() == [[2, 0], [0, 4]]
    with pytest.raises(RuntimeError, match="do not depend on input 1"):
        ag.autograd.grad((x**2).sum(), [x, unused])
    y = x * 3
    ag.autograd.backward([y.sum(), (y * y).sum()])
    assert x.grad.tolist() == [3 + 18, 3 + 36]
    assert ag.autograd.Variable(x, requires_grad=True).is_leaf and ag.autograd.Function is ag.Function


def functions(library):
    return {
        "one to one": (lambda x: x**3 / 2, 1),
        "one to a number": (lambda x: (x**3).sum(), 1),
        "two to a number": (lambda x, y: (x**2 * y.exp()).sum(), 2),
        "two to two": (lambda x, y: (x * y, library.outer(x, y)), 2),
    }


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", functions(ag))
@pytest.mark.parametrize("what", ["jacobian", "forward", "hessian", "vjp", "jvp", "hvp", "vhp"])
def test_functions_of_a_point_are_those_of_pytorch(name, what):
    torch = pytest.importorskip("torch")
    if "number" not in name and what in ("hessian", "hvp", "vhp"):
        pytest.skip("second derivatives are of one number")
    rng = np.random.default_rng(0)
    points = [rng.standard_normal(3) for _ in range(2)]

    def asked(library, tensor, create_graph):
        f, count = functions(library)[name]
        given = [tensor(p).requires_grad_() for p in points[:count]]
        inputs = given[0] if count == 1 else tuple(given)
        of = library.autograd.functional
        if what in ("jacobian", "forward", "hessian"):
            options = {"strategy": "forward-mode", "vectorize": True} if what == "forward" else {}
            return getattr(of, what.replace("forward", "jacobian"))(f, inputs, create_graph=create_graph, **options)
        like = f(*given) if what == "vjp" else inputs
        ones = tuple(v.detach() * 0 + 2 for v in like) if isinstance(like, tuple) else like.detach() * 0 + 2
        return getattr(of, what)(f, inputs, ones, create_graph=create_graph)

    def same(a, b):
        if isinstance(b, (tuple, list)):  # PyTorch gives lists in forward mode
            assert isinstance(a, (tuple, list)) and len(a) == len(b)
            return [same(u, v) for u, v in zip(a, b)]
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12)
        return [a.requires_grad]

    for create_graph in (False, True) if what != "forward" else (False,):
        followed = same(asked(ag, ag.tensor, create_graph), asked(torch, torch.tensor, create_graph))
        assert ("True" in str(followed)) == create_graph


def test_the_document_runs():
    (code,) = re.findall(
        r"```python\n(.*?)```", (Path(__file__).parent.parent / "docs/pytorch.md").read_text(), re.DOTALL
    )
    names = {}
    exec(code, names)
    assert names["loss"].item() > 0


def test_functions_of_torch_func():
    f, x = lambda x: (x**3).sum(), ag.tensor([1.0, 2.0])
    of = ag.func
    assert of.grad(f)(x).tolist() == [3, 12] and of.vmap(lambda v: v * 2)(x).tolist() == [2, 4]
    g, value = of.grad_and_value(f)(x)
    assert g.tolist() == [3, 12] and value.item() == 9
    assert of.jacrev(lambda x: x**2)(x).tolist() == of.jacfwd(lambda x: x**2)(x).tolist() == [[2, 0], [0, 4]]
    assert of.hessian(f)(x).tolist() == [[6, 0], [0, 12]] and of.vjp(f, x)[1](ag.tensor(2.0)).tolist() == [6, 24]


def test_how_tensors_are_printed():
    third = ag.tensor([1 / 3, 1e-9])
    assert repr(third) == "tensor([3.3333e-01, 1.0000e-09])"
    try:
        ag.set_printoptions(precision=2, sci_mode=False)
        assert repr(third) == "tensor([0.33, 0.  ])"
        ag.set_printoptions(threshold=3, edgeitems=1)
        assert repr(ag.arange(9)) == "tensor([0, ..., 8])"
    finally:
        ag.set_printoptions(profile="default", sci_mode=True)
    assert repr(third) == "tensor([3.3333e-01, 1.0000e-09])" and "..." not in repr(ag.arange(9))
    with pytest.raises(ValueError, match="profile must be"):
        ag.set_printoptions(profile="long")
