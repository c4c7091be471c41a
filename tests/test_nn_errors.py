"""Mistakes that are easily made, each with what is said of it: the place in the model, what was given, the likely fix.

Whatever was tried, the model is as it was: parameters, buffers, mode, hooks.
"""

import numpy as np
import pytest

import autograd_core as ag
import nn
from nn import functional as F

T = ag.randn


class Of(nn.Module):
    """A layer made of a function and parameters."""

    def __init__(self, function, **parameters):
        self.function = function
        for name, value in parameters.items():
            setattr(self, name, nn.Parameter(value))

    def forward(self, *inputs):
        return self.function(self, *inputs)


class Model(nn.Module):
    """A layer at the path encoder.0.layer."""

    def __init__(self, layer):
        self.encoder = nn.Sequential(nn.Sequential({"layer": layer}))
        self.register_buffer("seen", ag.zeros(3))

    def forward(self, *inputs):
        return self.encoder[0].layer(*inputs)


def linear():
    return nn.Linear(3, 4)


def conv(function=F.conv2d, shape=(6, 3, 3, 3), **options):
    return Of(lambda m, x: function(x, m.weight, **options), weight=T(*shape))


def norm():
    return Of(lambda m, x: F.batch_norm(x, None, None, m.weight, None, True), weight=ag.ones(4))


def lstm(state=None, batch_first=False):
    def forward(m, x):
        h = ag.zeros(*(state or (1, x.shape[0 if batch_first else 1], 4)))
        return ag.lstm(x, (h, h), [m.w_ih, m.w_hh], False, 1, 0.0, True, False, batch_first)

    return Of(forward, w_ih=T(16, 5), w_hh=T(16, 4))


def attention(key=(2, 5, 8), value=None, **options):
    return Of(lambda m, q: F.scaled_dot_product_attention(q, T(*key), T(*(value or key)), **options))


def embedding():
    return Of(lambda m, i: F.embedding(i, m.table), table=T(10, 3))


def plain(function):
    return Of(lambda m, *xs: function(*xs))


def ints(*shape):
    return ag.zeros(*shape, dtype=ag.int64)


# A layer, what it is called on, the class of the error, and all that must be in its text.
CALLS = {
    "no pooling": (
        lambda: nn.Linear(784, 4), [T(2, 3, 8, 8)], ValueError, ["flatten(1) makes (2, 192)", "in_features would be 192"],
    ),
    "features": (lambda: nn.Linear(784, 4), [T(2, 80)], ValueError, ["in_features would have to be 80"]),
    "dims": (linear, [T(3, 5)], ValueError, ["(3, 5)", "(4, 3)", "last axes"]),
    "transposed": (linear, [T(2, 4)], ValueError, ["(2, 4)", "are in_features and out_features swapped"]),
    "flatten": (lambda: nn.Linear(784, 4), [T(2, 1, 28, 28)], ValueError, ["(2, 1, 28, 28)", "(4, 784)", "flatten(1)"]),
    "list": (linear, [[[1.0, 2.0, 3.0]]], TypeError, ["must be a tensor or an array, got list"]),
    "None": (linear, [None], TypeError, ["got NoneType"]),
    "tuple": (linear, [(T(2, 3), T(2))], TypeError, ["got tuple"]),
    "arguments": (linear, [T(2, 3), T(2, 3)], TypeError, ["takes 2 positional arguments but 3 were given"]),
    "bilinear": (lambda: nn.Bilinear(2, 3, 4), [T(5, 2), T(4, 3)], ValueError, ["(5, 2)", "(4, 3)", "same leading axes"]),
    "channels last": (conv, [T(2, 8, 8, 3)], ValueError, ["(2, 8, 8, 3)", "(6, 3, 3, 3)", "movedim(-1, 1)"]),
    "channels": (conv, [T(2, 1, 8, 8)], ValueError, ["has 1 channels", "needs 3", "(2, 1, 8, 8)"]),
    "no channels": (conv, [T(8, 8)], ValueError, ["(8, 8)", "(N, C, ...)"]),
    "kernel": (conv, [T(2, 3, 2, 2)], ValueError, ["spans (3, 3)", "(2, 2)", "give more padding"]),
    "groups": (lambda: conv(groups=4), [T(2, 12, 8, 8)], ValueError, ["groups must divide the 6 channels", "groups is 4"]),
    "padding": (lambda: conv(padding="sames"), [T(2, 3, 8, 8)], ValueError, ["'valid' or 'same', got 'sames'"]),
    "stride": (lambda: conv(stride=0), [T(2, 3, 8, 8)], ValueError, ["stride must be at least 1, got 0"]),
    "same": (lambda: conv(padding="same", stride=2), [T(2, 3, 8, 8)], ValueError, ["padding='same' needs stride 1"]),
    "transposed conv": (lambda: conv(F.conv_transpose2d), [T(2, 3, 8, 8)], ValueError, ["has 3 channels", "needs 6"]),
    "norm, no batch": (norm, [T(4)], ValueError, ["(N, C, ...)", "(4,)"]),
    "norm, channels": (norm, [T(5, 3)], ValueError, ["weight is (4,)", "(5, 3)", "3 channels"]),
    "norm, batch of one": (norm, [T(1, 4)], ValueError, ["more than 1 value per channel when training", "(1, 4)"]),
    "batch first": (lambda: lstm((1, 7, 4)), [T(7, 2, 5)], ValueError, ["(2, 4)", "(7, 4)", "unless batch_first=True"]),
    "not batch first": (
        lambda: lstm((1, 2, 4), True), [T(7, 2, 5)], ValueError, ["(7, 4)", "(2, 4)", "batch has 7 rows"],
    ),
    "hidden size": (lambda: lstm((1, 2, 3)), [T(7, 2, 5)], ValueError, ["must be (12, 5), got (16, 5)"]),
    "input size": (lstm, [T(7, 2, 6)], ValueError, ["w_ih", "(16, 6)", "(16, 5)"]),
    "no time": (lambda: lstm((1, 2, 4)), [T(7, 5)], ValueError, ["3 axes", "(7, 5)"]),
    "layers": (lambda: lstm((3, 2, 4)), [T(7, 2, 5)], ValueError, ["3"]),
    "widths": (lambda: attention((2, 5, 9)), [T(2, 4, 8)], ValueError, ["(2, 4, 8)", "(2, 5, 9)"]),
    "lengths": (lambda: attention(value=(2, 6, 8)), [T(2, 4, 8)], ValueError, ["(2, 5, 8)", "(2, 6, 8)"]),
    "mask": (
        lambda: attention(attn_mask=ag.ones(3, 3, dtype=ag.bool)), [T(2, 4, 8)], ValueError, ["(2, 4, 5)", "(3, 3) bool"],
    ),
    "mask of integers": (
        lambda: attention(attn_mask=ints(4, 5)), [T(2, 4, 8)], ValueError, ["truth values or floats", "int64"],
    ),
    "mask and causal": (
        lambda: attention(attn_mask=T(4, 5), is_causal=True), [T(2, 4, 8)], ValueError, ["not both"],
    ),
    "heads": (lambda: plain(lambda x: x.reshape(2, 4, 3, -1)), [T(2, 4, 8)], ValueError, ["(2, 4, 8)", "(2, 4, 3, -1)"]),
    "index": (embedding, [ag.tensor([1, 10])], IndexError, ["index 10", "10 entries"]),
    "negative index": (embedding, [ag.tensor([-1])], IndexError, ["index -1"]),
    "float indices": (embedding, [T(2)], TypeError, ["integers", "float32"]),
    "layer norm": (lambda: plain(lambda x: F.layer_norm(x, (8,))), [T(2, 4)], ValueError, ["(8,)", "(2, 4)"]),
    "group norm": (lambda: plain(lambda x: F.group_norm(x, 3)), [T(2, 4, 5)], ValueError, ["4 channels", "num_groups=3"]),
    "pool": (lambda: plain(lambda x: F.max_pool2d(x, 4)), [T(2, 1, 3, 3)], ValueError, ["4 entries", "3 entries"]),
    "pool padding": (
        lambda: plain(lambda x: F.max_pool2d(x, 2, padding=2)), [T(2, 1, 3, 3)], ValueError, ["padding 2", "half"],
    ),
    "dropout": (lambda: plain(lambda x: F.dropout(x, 1.5)), [T(2)], ValueError, ["from 0 to 1", "1.5"]),
    "view": (lambda: plain(lambda x: x.view(2, -1, 5)), [T(2, 8)], ValueError, ["(2, 8)", "(2, -1, 5)"]),
    "cat": (lambda: plain(lambda x: ag.cat([x, T(3, 4)], 1)), [T(2, 4)], ValueError, ["(2, 4), (3, 4)"]),
    "add": (lambda: plain(lambda x: x + T(3)), [T(2, 4)], ValueError, ["(2, 4)", "(3,)", "broadcast"]),
    "matmul": (lambda: plain(lambda x: x @ x), [T(2, 4)], ValueError, ["(2, 4)", "did you mean a @ b.mT?"]),
    "axis": (lambda: plain(lambda x: x.softmax(2)), [T(2, 4)], IndexError, ["2"]),
    "attribute": (lambda: Of(lambda m, x: m.fc1(x)), [T(2, 4)], AttributeError, ["no attribute 'fc1'"]),
    "list of modules": (lambda: nn.ModuleList([linear()]), [T(2, 3)], NotImplementedError, ["one by one", "Sequential"]),
    "dict of modules": (lambda: nn.ModuleDict({"a": linear()}), [T(2, 3)], NotImplementedError, ["only holds modules"]),
    "forward": (lambda: nn.Module(), [T(2, 3)], NotImplementedError, ["forward is not defined", "def forward(self, x)"]),
    "classes": (nn.CrossEntropyLoss, [T(4, 3), ints(5)], ValueError, ["(4, 3)", "must be (4,)", "(5,)"]),
    "one-hot": (nn.CrossEntropyLoss, [T(4, 3), ints(4, 3)], ValueError, ["target.float()", "argmax(1)"]),
    "column": (nn.CrossEntropyLoss, [T(4, 3), ints(4, 1)], ValueError, ["(4, 1)", "squeeze"]),
    "float target": (nn.CrossEntropyLoss, [T(4, 3), ag.zeros(4)], TypeError, ["float32", "target.long()"]),
    "class range": (nn.CrossEntropyLoss, [T(4, 3), ag.tensor([0, 1, 2, 3])], IndexError, ["3 is no class", "0 to 2"]),
    "minus one": (nn.CrossEntropyLoss, [T(4, 3), ag.tensor([0, 1, 2, -1])], IndexError, ["-1 is no class"]),
    "swapped": (nn.CrossEntropyLoss, [ints(4), T(4, 3)], TypeError, ["int64", "each other's place"]),
    "classes last": (nn.CrossEntropyLoss, [T(4, 7, 3), ints(4, 7)], ValueError, ["(4, 7, 3)", "movedim(-1, 1)"]),
    "weights": (lambda: nn.CrossEntropyLoss(ag.ones(2)), [T(4, 3), ints(4)], ValueError, ["(2,)", "3 classes"]),
    "targets": (nn.MSELoss, [T(4, 1), T(5, 2)], ValueError, ["(4, 1)", "(5, 2)", "same shape"]),
    "target list": (nn.MSELoss, [T(2), [0.0, 1.0]], TypeError, ["target must be a tensor, got list"]),
    "class list": (nn.CrossEntropyLoss, [T(2, 3), [0, 1]], TypeError, ["target must be a tensor, got list"]),
    "log-odds": (nn.BCELoss, [ag.tensor([2.0]), ag.ones(1)], ValueError, ["from 0 to 1", "with_logits"]),
    "bce shapes": (nn.BCEWithLogitsLoss, [T(4, 1), ag.ones(4)], ValueError, ["(4, 1)", "(4,)", "same shape"]),
    "ctc time": (nn.CTCLoss, [T(5, 2, 4), ints(2, 3) + 1, (6, 5), (3, 2)], ValueError, ["from 0 to 5"]),
    "ctc labels": (nn.CTCLoss, [T(5, 2, 4), ints(2, 3) + 1, (5, 5), (4, 2)], ValueError, ["(2, 3)", "up to 4"]),
    "cosine": (nn.CosineEmbeddingLoss, [T(2, 3), T(2, 3), ag.ones(2, 1)], ValueError, ["(2, 1)", "(N,)"]),
}  # fmt: skip


def snapshot(model):
    """All of a model that a mistake must not change."""
    arrays = {n: (id(t), t.numpy().copy()) for n, t in model.state_dict(keep_vars=False).items()}
    held = [(n, id(t)) for n, t in [*model.named_parameters(), *model.named_buffers()]]
    rest = [(n, list(vars(m)), m.training, m._hooks) for n, m in model.named_modules()]
    return {n: a for n, (_, a) in arrays.items()}, held, rest, [p.grad for p in model.parameters()]


def unchanged(model, before):
    after = snapshot(model)
    assert list(after[0]) == list(before[0])
    assert all(np.array_equal(after[0][n], a) for n, a in before[0].items())
    assert after[1:] == before[1:]


@pytest.mark.parametrize("name", CALLS)
def test_calls(name):
    make, inputs, kind, parts = CALLS[name]
    model = Model(make())
    before = snapshot(model)
    with pytest.raises(kind) as caught:
        model(*inputs)
    text = str(caught.value)
    assert text.startswith("encoder.0.layer ("), text
    assert not [p for p in parts if p not in text], text
    unchanged(model, before)


def test_what_is_only_a_warning():
    """Shapes that broadcast in a loss, (N, 1) and (N,), give N² differences."""
    with pytest.warns(UserWarning, match=r"input is \(4, 1\), target is \(4,\).*seldom what is meant"):
        nn.MSELoss()(T(4, 1), T(4))


def test_what_is_no_mistake_here():
    """Arrays are taken as tensors are."""
    layer = linear()
    for x in (np.zeros((2, 3), np.float32), ag.zeros(2, 3)):
        assert layer(x).shape == (2, 4) and layer(x).requires_grad


MIXED = {
    "linear": (linear, [(2, 3)]),
    "bilinear": (lambda: nn.Bilinear(2, 3, 4), [(5, 2), (5, 3)]),
    "conv": (lambda: nn.Conv2d(3, 4, 2, padding_mode="reflect", padding=1), [(1, 3, 5, 5)]),
    "transposed": (lambda: nn.ConvTranspose1d(3, 4, 2), [(1, 3, 5)]),
    "lstm": (lambda: nn.LSTM(3, 2), [(4, 2, 3)]),
    "cell": (lambda: nn.GRUCell(3, 2), [(2, 3)]),
    "attention": (lambda: nn.MultiheadAttention(4, 2), [(3, 2, 4)] * 3),
    "transformer": (lambda: nn.TransformerEncoderLayer(4, 2, 8), [(3, 2, 4)]),
}


@pytest.mark.parametrize("name", MIXED)
def test_inputs_of_another_type_than_the_parameters(name):
    """Results of the wider type would be slow and surprise; PyTorch refuses them too."""
    make, shapes = MIXED[name]
    model = Model(make())
    before = snapshot(model)
    for inputs, fix in (
        ([T(*s, dtype=ag.float64) for s in shapes], ".float() or model.double() makes them one type"),
        ([np.zeros(s) for s in shapes], ".astype('float32') or model.double()"),
        ([ints(*s) for s in shapes], ".float() makes them one type"),
    ):
        with pytest.raises(
            TypeError, match=r"^encoder.0.layer.* is (float64|int64), the parameters are float32"
        ) as caught:
            model(*inputs)
        assert fix in str(caught.value)
    unchanged(model, before)
    with pytest.raises(TypeError, match=r"is float32, the parameters are float64; \w+.double\(\) or model.float\(\)"):
        model.double()(*[T(*s) for s in shapes])
    assert model(*[T(*s, dtype=ag.float64) for s in shapes]) is not None


def test_computed_weights_are_computed_once_for_a_call():
    class Counted(nn.Module):
        calls = 0

        def forward(self, w):
            self.calls += 1
            return w

    for layer, shape in ((linear(), (2, 3)), (nn.Conv1d(3, 4, 2), (1, 3, 5)), (nn.ConvTranspose1d(3, 4, 2), (1, 3, 5))):
        count = Counted()
        nn.utils.parametrize.register_parametrization(layer, "weight", count)
        before = count.calls
        layer(T(*shape))
        assert count.calls == before + 1


def walked_twice():
    y = linear()(T(2, 3)).square().sum()
    y.backward()
    y.backward()


MADE = {
    "class": (lambda: nn.Sequential(nn.Linear(2, 3), nn.Identity), TypeError, "by parentheses: Identity(...)"),
    "function": (lambda: nn.Sequential(nn.Linear(2, 3), F.relu), TypeError, "classes such as nn.ReLU()"),
    "list": (lambda: nn.Sequential([nn.Linear(2, 3)]), TypeError, "by a star: *layers"),
    "none": (lambda: nn.ModuleList([None]), TypeError, "ModuleList holds modules, got NoneType"),
    "negative": (lambda: nn.Linear(-2, 3), ValueError, "Linear: in_features must be a whole number that is not negative, got -2"),
    "fraction": (lambda: nn.Linear(2, 7 / 2), TypeError, "out_features must be a whole number that is not negative, got 3.5"),
    "text": (lambda: nn.Linear("2", 3), TypeError, "got '2'"),
    "device": (lambda: nn.Linear(2, 3, device="cuda"), ValueError, "device 'cuda' is not known; tensors live on \"cpu\""),
    "cuda": (lambda: linear().cuda(), ValueError, "device 'cuda' is not known"),
    "to": (lambda: linear().to("cuda:0"), ValueError, "device 'cuda:0' is not known"),
    "reduction": (lambda: nn.MSELoss(reduction="avg"), ValueError, "must be 'none', 'mean' or 'sum', got 'avg'"),
    "weights": (lambda: nn.CrossEntropyLoss([1.0, 2.0]), TypeError, "'weight' must be a Tensor or None, got list"),
    "parameter": (lambda: nn.Parameter(ag.tensor([1, 2])), TypeError, "int64 numbers have no gradients"),
    "name": (lambda: linear().register_parameter("a.b", None), KeyError, "must not have dots"),
    "taken": (lambda: linear().register_buffer("weight", T(2)), KeyError, "has an attribute 'weight' already"),
    "path": (lambda: nn.Sequential(linear()).get_submodule("1"), AttributeError, "has no module '1'; inside it: 0"),
    "mode": (lambda: linear().train("eval"), ValueError, "True or False, got 'eval'"),
    "freed": (walked_twice, RuntimeError, "give that one retain_graph=True"),
    "not a number": (lambda: linear()(T(2, 3)).backward(), RuntimeError, "reduce it (sum, mean)"),
    "no gradient": (lambda: nn.MSELoss()(T(2), T(2)).backward(), RuntimeError, "requires_grad=True"),
    "in place": (lambda: linear().weight.zero_(), RuntimeError, "use no_grad()"),
    "numpy": (lambda: linear().weight.numpy(), RuntimeError, "t.detach().numpy()"),
    "clip": (lambda: nn.utils.clip_grad_norm_(linear(), 1.0), TypeError, "got Linear; write .parameters()"),
    "clip names": (lambda: nn.utils.clip_grad_norm_(linear().named_parameters(), 1.0), TypeError, "as model.parameters() gives"),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_making_and_using(name):
    make, kind, part = MADE[name]
    with pytest.raises(kind) as caught:
        make()
    assert part in str(caught.value), str(caught.value)


GOOD = {"0.weight": T(4, 3), "0.bias": T(4)}
STATES = {
    "missing": ({"0.weight": T(4, 3)}, ["missing: 0.bias"]),
    "unexpected": (GOOD | {"0.scale": T(4)}, ["unexpected: 0.scale"]),
    "shape": (GOOD | {"0.weight": T(5, 3)}, ["0.weight: shape (5, 3) in the state, (4, 3) in the model"]),
    "transposed": (GOOD | {"0.weight": T(3, 4)}, ["(3, 4)", "(4, 3)", "looks transposed"]),
    "reshaped": (GOOD | {"0.weight": T(12)}, ["(12,)", "a reshape may be missing"]),
    "prefix": ({f"module.{n}": t for n, t in GOOD.items()}, ["every name begins with 'module.'"]),
    "typing": ({"0.wieght": T(4, 3), "0.bias": T(4)}, ["is '0.wieght' meant for '0.weight'?"]),
    "checkpoint": ({"model": GOOD, "epoch": 3}, ["missing: 0.weight, 0.bias", "is state['model'] meant?"]),
    "another model": ({"fc.weight": T(7, 7)}, ["missing: 0.weight, 0.bias", "unexpected: fc.weight"]),
    "complex": (
        GOOD | {"0.bias": T(4, dtype=ag.complex64)}, ["0.bias: complex64 in the state, float32 in the model", ".real meant?"],
    ),
    "text inside": (GOOD | {"0.bias": "zeros"}, ["0.bias", "got str"]),
    "everything": (
        {"0.weight": T(3, 4), "extra": T(1)}, ["missing: 0.bias", "unexpected: extra", "looks transposed"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_states(name):
    state, parts = STATES[name]
    model = nn.Sequential(linear())
    before = snapshot(model)
    with pytest.raises(RuntimeError, match="load_state_dict: this state is not one of Sequential") as caught:
        model.load_state_dict(state)
    assert not [p for p in parts if p not in str(caught.value)], str(caught.value)
    unchanged(model, before)


@pytest.mark.parametrize(
    "given, hint", [("model.pt", "read the file first"), (linear(), "call state_dict() on it first")]
)
def test_what_is_no_state(given, hint):
    with pytest.raises(TypeError) as caught:
        linear().load_state_dict(given)
    assert hint in str(caught.value)


# --- backward --------------------------------------------------------------------------------------------------------


def overwritten(m, x):
    y = x.exp()
    z = (y * y).sum() + 0 * x
    y.detach().mul_(2)
    return z


BACKWARD = {
    "Inf": (lambda m, x: (x - x).sqrt(), "the gradient of sqrt is Inf"),
    "overwritten": (overwritten, "changed in place|overwritten"),
    "forward": (lambda m, x: x / (x - x), "made (Inf|NaN) in forward"),
}


@pytest.mark.parametrize("name", BACKWARD)
def test_where_in_the_model_a_gradient_went_wrong(name):
    """Outside of detect_anomaly nothing is noted of where a call was made: it would cost time."""
    function, text = BACKWARD[name]
    model = nn.Sequential(nn.Linear(3, 3), Model(Of(function)))
    with pytest.raises(RuntimeError, match=f"(?s){text}.*, module 1.encoder.0.layer \\(Of\\)"):
        with ag.detect_anomaly():
            model(T(2, 3)).sum().backward()


class Empty(nn.Module):
    """Without a forward."""


SAID_ONCE = [
    (lambda: nn.Module()(1), NotImplementedError, r"^Module: forward is not defined"),
    (lambda: nn.Sequential(Empty())(1), NotImplementedError, r"^0 \(Empty\): forward is not defined; .* in class Empty$"),
    (lambda: nn.ModuleList()(1), NotImplementedError, r"^ModuleList\(?\)?: a ModuleList only holds"),
    (lambda: nn.models.GPT(9, 2, 4, 1, 2)(ag.zeros(3)), ValueError, r"^GPT: tokens must be"),
    (lambda: nn.models.UNet(1, 2, (2, 4))(ag.zeros(3)), ValueError, r"^UNet: images must be"),
    (lambda: nn.models.LeNet5()(ag.zeros(3)), ValueError, r"^LeNet5: images must be"),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 5, [2])(ag.zeros(1, 4), ag.tensor([9])), Exception,
     r"^AdaptiveLogSoftmaxWithLoss(?!.*AdaptiveLogSoftmaxWithLoss:).*: classes must be"),
    (lambda: nn.CosineSimilarity()(ag.ones(3, 4), ag.ones(3, 5)), ValueError,
     r"cosine_similarity: x1 is \(3, 4\), x2 is \(3, 5\); they must have"),
    (lambda: nn.functional.HuffmanTree.of([-1, 2]), ValueError, r"^HuffmanTree.of: counts must not be negative, got -1"),
    (lambda: nn.functional.roi_pool(ag.ones(2, 1, 4, 4), ag.tensor([[5.0, 0, 0, 1, 1]]), 2), ValueError,
     r"^roi_pool: boxes begin with the index of an image, from 0 to 1, got 5"),
    (lambda: setattr(nn.Sequential(nn.Linear(1, 1)), "0", 3), TypeError,
     r"^Sequential.0 is a module, and int is none: .*; set another module or None, or `del` 0 first"),
    (lambda: setattr(nn.Linear(1, 1), "weight", 3), TypeError, r"^Linear.weight is a Parameter, .* wrap it in nn.Param"),
    (lambda: nn.Sequential(*(nn.Linear(1, 1) for _ in range(100))).load_state_dict({}), RuntimeError,
     r"missing: 0.weight, .* 5.bias, and 188 more: with strict=False"),
]  # fmt: skip


@pytest.mark.parametrize("call, kind, message", SAID_ONCE)
def test_errors_say_once_what_helps(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
