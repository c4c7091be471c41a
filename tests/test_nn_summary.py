"""nn.summary against figures worked out by hand, and memory against a walk over the graph."""

import copy

import numpy as np
import pytest

import autograd_core as ag
import nn
from autograd_core.tape import memory
from nn import functional as F


class Relu(nn.Module):
    def forward(self, x):
        return F.relu(x)


class Conv(nn.Module):
    def __init__(self, inputs, outputs, size, **options):
        self.weight = nn.Parameter(ag.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(ag.zeros(outputs))
        self.options = options

    def forward(self, x):
        return F.conv2d(x, self.weight, self.bias, **self.options)


class LeNet(nn.Module):
    """Two convolutions with functions between them, and two linear layers."""

    def __init__(self):
        self.features = nn.Sequential(Conv(1, 6, 5, padding=2), Relu(), Conv(6, 16, 5))
        self.head = nn.Sequential(nn.Linear(16 * 5 * 5, 120), nn.Linear(120, 10))

    def forward(self, x):
        x = self.features[1](self.features[0](x))
        x = F.max_pool2d(self.features[2](F.max_pool2d(x, 2)), 2)
        return self.head(x.flatten(1))


class Recurrent(nn.Module):
    def __init__(self, inputs, size):
        shapes = ((4 * size, inputs), (4 * size, size), (4 * size,), (4 * size,))
        self.weights = nn.ParameterList([ag.randn(*s) * 0.1 for s in shapes])
        self.size = size

    def forward(self, x):
        start = ag.zeros(1, x.shape[1], self.size)
        return ag.lstm(x, (start, start), list(self.weights), True, 1, 0.0, self.training, False, False)


class Attention(nn.Module):
    def __init__(self, width, heads):
        self.heads = heads
        self.into, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, l, e = x.shape
        q, k, v = (t.reshape(n, l, self.heads, -1).movedim(2, 1) for t in self.into(x).chunk(3, -1))
        return self.out(F.scaled_dot_product_attention(q, k, v).movedim(1, 2).reshape(n, l, e))


def kept(model, *inputs):
    """What the nodes of a call hold, but for parameters and buffers: each array that owns memory, once."""
    y = model(*inputs)
    nodes, arrays = [t.grad_fn for t in (y if isinstance(y, tuple) else (y,)) if t.grad_fn], {}
    seen = set(map(id, nodes))

    def note(v):
        if isinstance(v, np.ndarray):
            arrays[id(memory(v))] = memory(v)
        for part in v if isinstance(v, (tuple, list)) else ():
            note(part)

    while nodes:
        node = nodes.pop()
        note(list(getattr(node, "env", None) or ()))
        for parent in node.parents:
            if id(parent) not in seen:
                seen.add(id(parent))
                nodes.append(parent)
    own = {id(memory(t.value)) for t in model._tensors()}
    return sum(a.nbytes for k, a in arrays.items() if k not in own)


def test_mlp_by_hand():
    model = nn.Sequential(nn.Linear(10, 20), Relu(), nn.Linear(20, 5, bias=False))
    s = nn.summary(model, (4, 10))
    assert [(r.path, r.kind) for r in s.rows] == [("", "Sequential"), ("0", "Linear"), ("1", "Relu"), ("2", "Linear")]
    assert [r.output for r in s.rows] == ["(4, 5)", "(4, 20)", "(4, 20)", "(4, 5)"]
    assert [r.trainable for r in s.rows] == [0, 10 * 20 + 20, 0, 20 * 5]
    assert [r.multiply_adds for r in s.rows] == [0, 4 * 10 * 20, 0, 4 * 20 * 5]
    # The first layer keeps its input; relu its result, which is what the last keeps too.
    assert [r.kept_bytes for r in s.rows] == [0, 4 * 10 * 4, 4 * 20 * 4, 0]
    assert (s.total_parameters, s.multiply_adds, s.kept_bytes) == (320, 1200, 480)
    assert (s.parameter_bytes, s.input_bytes, s.buffer_bytes) == (1280, 160, 0)


def test_lenet_by_hand():
    s = nn.summary(LeNet(), (2, 1, 28, 28))
    assert s["features.0"].multiply_adds == 2 * 28 * 28 * 6 * 1 * 25
    assert s["features.2"].multiply_adds == 2 * 10 * 10 * 16 * 6 * 25
    assert s["head.0"].multiply_adds == 2 * 400 * 120 and s["head.1"].multiply_adds == 2 * 120 * 10
    assert s.total_parameters == (25 * 6 + 6) + (150 * 16 + 16) + (400 * 120 + 120) + (1200 + 10)
    assert s["features.2"].output == "(2, 16, 10, 10)" and s["features"].output == "", "features itself is not called"
    assert s["features.0"].kept_bytes == 2 * 28 * 28 * 4
    assert s.multiply_adds == sum(r.multiply_adds for r in s.rows)


def test_lstm_by_hand():
    s = nn.summary(nn.Sequential(Recurrent(5, 7)), [(6, 3, 5)])
    assert s["0"].multiply_adds == 6 * 3 * (4 * 7 * 5 + 4 * 7 * 7)
    assert s["0.weights"].trainable == 4 * 7 * (5 + 7 + 2)
    assert s["0"].output == "(6, 3, 7), (1, 3, 7), (1, 3, 7)"


def test_attention_by_hand():
    n, l, e = 2, 9, 8
    s = nn.summary(Attention(e, 2), (n, l, e))
    assert s["into"].multiply_adds == n * l * e * 3 * e and s["out"].multiply_adds == n * l * e * e
    assert s[""].multiply_adds == n * l * l * 2 * e, "scores and their products with values, called inside forward"


def test_other_operations_by_hand():
    class Several(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(ag.randn(4, 6, 3))

        def forward(self, x):
            a = F.conv_transpose1d(x, self.w, stride=2)  # each entry of the input times 6 * 3
            b = F.conv1d(x, self.w.movedim(0, 1)[:, :2], groups=2)  # each entry of the result times 2 * 3
            return (a @ a.mT).sum() + b.sum() + ag.einsum("nct,ncu,nct->nu", x, x, x).sum()

    n, c, t = 2, 4, 7
    s = nn.summary(Several(), (n, c, t))
    long = (t - 1) * 2 + 3
    expected = n * c * t * 6 * 3 + n * 6 * (t - 2) * 2 * 3 + n * 6 * long * 6
    # The einsum joins its first and last operands, summed over t, and then that with the other: n c t, and n c u.
    assert s.multiply_adds == expected + 2 * n * c * t


@pytest.mark.parametrize(
    "model, shape",
    [
        (nn.Sequential(nn.Linear(10, 20), Relu(), nn.Linear(20, 5)), (4, 10)),
        (LeNet(), (2, 1, 28, 28)),
        (Recurrent(5, 7), (6, 3, 5)),
        (Attention(8, 2), (2, 9, 8)),
    ],
    ids=["mlp", "lenet", "lstm", "attention"],
)
def test_memory_is_what_the_graph_holds(model, shape):
    assert nn.summary(model, shape).kept_bytes == kept(model, ag.tensor(np.ones(shape, np.float32)))


def test_what_is_thrown_away_is_not_kept():
    class Wasteful(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(ag.ones(3))

        def forward(self, x):
            (x * self.w).exp().sin()
            return x @ self.w

    assert nn.summary(Wasteful(), (4, 3)).kept_bytes == 4 * 3 * 4


def test_checkpoints_keep_nothing_and_functions_are_seen():
    class Cube(ag.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            return 3 * ctx.saved_tensors[0] ** 2 * g

    class Both(nn.Module):
        def __init__(self, remember):
            self.layer, self.remember = nn.Linear(3, 3), remember

        def forward(self, x):
            inner = lambda x: Cube.apply(self.layer(x))
            return inner(x) if self.remember else ag.checkpoint(inner, x)

    assert nn.summary(Both(True), (4, 3)).kept_bytes == 2 * 48  # the input, and what is cubed
    assert nn.summary(Both(False), (4, 3)).kept_bytes == 0


def test_shared_and_frozen_parameters():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    model[2].requires_grad_(False)
    s = nn.summary(model, (2, 3))
    assert [(r.trainable, r.frozen) for r in s.rows] == [(0, 0), (12, 0), (3, 0), (0, 12)]
    assert (s.trainable_parameters, s.total_parameters) == (15, 27)
    assert "(frozen)" in str(s)


def test_a_module_called_twice():
    layer = nn.Linear(3, 3)
    s = nn.summary(nn.Sequential(layer, Relu(), layer), (2, 3))
    assert s["0"].calls == 2 and s["0"].multiply_adds == 2 * 18 and "(2, 3) x2" in str(s)
    assert [r.path for r in s.rows] == ["", "0", "1"]


@pytest.mark.parametrize("depth, paths", [(0, [""]), (1, ["", "features", "head"]), (None, 8)])
def test_depth(depth, paths):
    model = LeNet()
    whole, s = nn.summary(model, (1, 1, 28, 28)), nn.summary(model, (1, 1, 28, 28), depth=depth)
    assert len(s.rows) == paths if isinstance(paths, int) else [r.path for r in s.rows] == paths
    assert (s.total_parameters, s.multiply_adds, s.kept_bytes) == (
        whole.total_parameters, whole.multiply_adds, whole.kept_bytes,
    )  # fmt: skip


class Moody(nn.Module):
    """Draws, counts, replaces a buffer, changes another, and remembers."""

    def __init__(self):
        self.inner = nn.Linear(3, 3)
        self.register_buffer("count", ag.zeros(()))
        self.register_buffer("mean", ag.zeros(3))
        self.last, self.broken = None, False

    def forward(self, x):
        self.count = self.count + 1
        with ag.no_grad():
            self.mean.add_(x.mean(0))
        self.last = F.dropout(self.inner(x), 0.5, True)
        if self.broken:
            raise ValueError("broken")
        return self.last


@pytest.mark.parametrize("broken", [False, True])
def test_the_model_is_as_it_was(broken):
    model = Moody().eval()
    model.broken = broken
    model.inner.train()
    calls = []
    handle = model.register_forward_hook(lambda *a: calls.append(1))
    model.inner.weight.grad = ag.ones(3, 3)
    state, random = copy.deepcopy(model.state_dict()), ag.get_rng_state()
    spaces = [dict(vars(m)) for m in model.modules()]
    hooks = [len(model._hooks.before), len(model._hooks.after)]
    if broken:
        with pytest.raises(ValueError, match="broken"):
            nn.summary(model, (2, 3))
    else:
        nn.summary(model, (2, 3))
    assert [dict(vars(m)) for m in model.modules()] == spaces
    assert all(np.array_equal(t.numpy(), state[n].numpy()) for n, t in model.state_dict().items())
    assert np.array_equal(np.asarray(ag.get_rng_state()), np.asarray(random))
    assert [len(model._hooks.before), len(model._hooks.after)] == hooks and model.inner._hooks is None
    assert model.inner.weight.grad.sum().item() == 9 and not model.training and model.inner.training
    handle.remove()


def test_inputs_of_all_kinds():
    class Two(nn.Module):
        def forward(self, x, y=None):
            return x if y is None else x @ y

    x, y = ag.randn(2, 3), ag.randn(3, 4)
    for inputs in ((x, y), [(2, 3), (3, 4)], {"x": x, "y": (3, 4)}, [x.numpy(), y]):
        assert nn.summary(Two(), inputs).multiply_adds == 24
    assert nn.summary(Two(), x).rows[0].output == "(2, 3)"
    assert nn.summary(Two(), (5,), dtype=ag.int64).input_bytes == 40
    assert nn.summary(Two(), (5,), dtype="float64").input_bytes == 40
    with pytest.raises(TypeError, match="expected a Module, got function"):
        nn.summary(lambda x: x, (2, 3))
    with pytest.raises(ValueError, match="weight, bias have no shape yet"):
        nn.summary(nn.LazyLinear(3), (2, 3))
    with pytest.raises(ValueError, match="no negative sizes"):
        nn.summary(Two(), (2, -1))


def test_the_table():
    text = str(nn.summary(nn.Sequential(nn.Linear(10, 200), Relu()), (4, 10)))
    assert text.splitlines()[0].split() == [
        "module",
        "output",
        "parameters",
        "multiply-adds",
        "kept",
        "for",
        "backward",
    ]
    assert ["0", "Linear", "(4,", "200)", "2,200", "8,000", "160", "B"] in [line.split() for line in text.splitlines()]
    assert "parameters: 2,200, of which 2,200 are trained (8.6 KiB)" in text
    with pytest.raises(KeyError, match="no row for '7'; there are"):
        nn.summary(nn.Sequential(nn.Linear(1, 1)), (1,))["7"]


class Tagger(nn.Module):
    """Words and numbers to scores."""

    def __init__(self):
        self.table, self.out = nn.Embedding(10, 4), nn.Linear(4, 2)

    def forward(self, words, weights):
        return self.out(self.table(words) * weights.unsqueeze(-1))


def test_types_of_inputs():
    model = Tagger().double()
    shapes, total = [(2, 5), (2, 5)], 40 + 10
    assert nn.summary(model, shapes, dtype=[ag.int64, ag.float64]).total_parameters == total
    named = dict(zip(("words", "weights"), shapes))
    assert nn.summary(model, named, dtype={"words": ag.int64, "weights": ag.float64}).total_parameters == total
    assert nn.summary(model.out, (3, 4))[""].output == "(3, 2)"
    with pytest.raises(
        TypeError, match=r"^table \(Embedding.*must hold integers, got float64 .*give dtype=, as ag.int64"
    ):
        nn.summary(model, shapes)
    with pytest.raises(ValueError, match="1 types for 2 inputs"):
        nn.summary(model, shapes, dtype=[ag.int64])


def test_errors_say_that_shapes_count_the_batch():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(3600, 2))
    with pytest.raises(ValueError, match=r"made as \(3, 32, 32\); a shape counts the batch: is \(1, 3, 32, 32\) meant"):
        nn.summary(net, (3, 32, 32))
    with pytest.raises(TypeError, match=r"^summary: expected a shape or inputs, got 3; .* as \(1, 3\)"):
        nn.summary(nn.Linear(3, 2), 3)
