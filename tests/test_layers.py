"""Layers without PyTorch: what its layers gave when they were recorded, second gradients, and what is drawn."""

import functools

import layers
import numpy as np
import pytest
import record_layers as record
from layers import layer_of, run

import autograd_core as ag
import nn

CALLS = {label: (case, mode) for label, case, mode in record.calls()}


@functools.cache
def recorded():
    """By the label of a call, the names of the state and the arrays of each part."""
    with np.load(record.FILE, allow_pickle=False) as file:
        labels, names = file["calls"].tolist(), file["names"].tolist()
        return dict(zip(labels, zip(names, record.unpacked(file)), strict=True))


def tensor(value):
    return ag.tensor(value, requires_grad=record.asked(value)) if isinstance(value, np.ndarray) else value


def test_every_call_is_recorded():
    assert set(recorded()) == set(CALLS), "the first lines of a layer have changed: run tests/record_layers.py"


@pytest.mark.parametrize("label", recorded())
def test_as_recorded(label):
    case, mode = CALLS[label]
    names, (inputs, state, results, *gradients, buffers) = recorded()[label]
    layer, values = layer_of(nn, case).double(), record.replaced(record.inputs_of(case), inputs)
    if "Lazy" in case.name:
        run(layer, case, values, tensor)
        layer.zero_grad()
        getattr(layer, "reset_running_stats", lambda: None)()
    own = layer.state_dict()
    assert " ".join(own) == names
    assert [t.shape for t in own.values()] == [a.shape for a in state]
    for name, a in zip(own, state):
        if a.size and np.ptp(a) == 0:
            np.testing.assert_allclose(own[name].numpy(), a, rtol=1e-3, err_msg=f"{name} at first")
    layer.load_state_dict(dict(zip(own, state)))
    layer.train(mode == "train")
    ys, dxs, dws, after = record.answer(layer, case, values, tensor, ag.tensor)
    same(ys, results, "result")
    same(dxs, gradients[0], "gradient of input")
    same(dws, gradients[1], "gradient of parameter")
    same(after, buffers, "buffer afterwards")


def same(ours, theirs, what):
    assert len(ours) == len(theirs), what
    for k, (t, b) in enumerate(zip(ours, theirs)):
        a = np.zeros(b.shape) if t is None else t.detach().numpy()
        b = np.zeros(a.shape) if b.shape == record.NONE.shape else b  # no gradient is as good as zeros
        assert a.shape == b.shape, f"{what} {k}"
        scale = max(1.0, float(np.abs(b).max())) if b.size else 1.0
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * scale, err_msg=f"{what} {k}")


# --- second gradients ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", CALLS)
def test_second_gradients(label):
    """Differences of the first gradients, by inputs and parameters, along random directions."""
    case, mode = CALLS[label]
    values = case.inputs(layers.Draw(np.random.default_rng(5), np.dtype("float64")))
    layer = layer_of(nn, case).double()
    run(layer, case, values, tensor)  # which tells a lazy layer its sizes
    layer.train(mode == "train")
    drawn = [(path, name, p) for path, m in layer.named_modules() for name, p in m.held(nn.Parameter)]
    floats = [a for a in record.arrays_in(values) if a.dtype.kind == "f"]
    starts = [*map(tensor, floats), *(ag.tensor(p.detach().numpy().copy(), requires_grad=True) for *_, p in drawn)]

    def f(*xs):
        ag.manual_seed(3)  # what is drawn is the same each time
        for (path, name, _), x in zip(drawn, xs[len(floats) :]):
            vars(layer.get_submodule(path))[name] = x
        given = iter(xs)
        take = lambda v: (next(given) if v.dtype.kind == "f" else ag.tensor(v)) if isinstance(v, np.ndarray) else v
        return [y for y in run(layer, case, values, take)[1] if y.requires_grad]

    if starts and all(t.numel() for t in starts) and f(*starts):
        assert ag.gradgradcheck(f, starts, fast_mode=True, atol=1e-5, rtol=1e-4)


# --- what is drawn ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, lead", [("Dropout", None), ("Dropout1d", 2), ("Dropout2d", 2), ("Dropout3d", 2)])
@pytest.mark.parametrize("p", [0.2, 0.7])
@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_drops_and_keeps_the_mean(name, lead, p, inplace):
    ag.manual_seed(1)
    sizes = {
        "Dropout": (40, 500),
        "Dropout1d": (40, 500, 3),
        "Dropout2d": (40, 500, 3, 2),
        "Dropout3d": (40, 500, 2, 1, 3),
    }
    x = ag.ones(*sizes[name], requires_grad=True)
    given = x * 1
    y = getattr(nn, name)(p, inplace)(given)
    a = y.detach().numpy()
    assert (y is given) == inplace
    np.testing.assert_allclose(np.unique(a), [0, 1 / (1 - p)], rtol=1e-6)
    kept = a != 0 if lead is None else (a != 0).reshape(20000, -1).all(-1)
    assert abs(kept.mean() - (1 - p)) < 5 * (p * (1 - p) / 20000) ** 0.5
    if lead is not None:
        assert np.ptp(a.reshape(20000, -1), axis=-1).max() == 0, "whole channels are dropped"
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), a)


@pytest.mark.parametrize("name, shape", [("AlphaDropout", (400, 500)), ("FeatureAlphaDropout", (400, 500, 2))])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(name, shape, p):
    ag.manual_seed(2)
    x = np.random.default_rng(0).standard_normal(shape)
    a = getattr(nn, name)(p)(ag.tensor(x)).numpy()
    assert abs(a.mean()) < 0.02 and abs(a.var() - 1) < 0.03
    values, counts = np.unique(a, return_counts=True)
    assert abs(counts.max() / a.size - p) < 0.01, "one value stands where entries were dropped"
    if name == "FeatureAlphaDropout":
        dropped = a == values[counts.argmax()]
        assert (dropped.all(-1) == dropped.any(-1)).all()


def test_slopes_of_rrelu_are_drawn_in_training():
    ag.manual_seed(0)
    x = ag.tensor(np.full(20000, -2.0), requires_grad=True)
    y = nn.RReLU(0.2, 0.6)(x)
    y.sum().backward()
    slopes = x.grad.numpy()
    np.testing.assert_allclose(y.detach().numpy(), -2 * slopes, rtol=1e-12)
    assert 0.2 <= slopes.min() < 0.201 and 0.599 < slopes.max() <= 0.6
    assert abs(slopes.mean() - 0.4) < 0.005 and abs(slopes.var() - 0.4**2 / 12) < 3e-4


def test_windows_of_fractional_pooling_are_drawn_anew():
    ag.manual_seed(0)
    x = ag.tensor(np.random.default_rng(0).standard_normal((1, 8, 13, 13)))
    layer = nn.FractionalMaxPool2d(2, output_ratio=0.6)
    assert layer(x).shape == (1, 8, 7, 7)
    assert len({layer(x).numpy().tobytes() for _ in range(5)}) == 5


# --- what one layer alone has ----------------------------------------------------------------------------------------


def test_local_response_over_any_number_of_channels():
    """By the sum that defines it; PyTorch's CrossMapLRN2d has other sums."""
    x = np.random.default_rng(0).standard_normal((2, 7, 3, 2))
    for size, beside in ((3, 1), (4, 1), (5, 2)):
        near = [x[:, max(c - beside, 0) : c + beside + 1] for c in range(7)]
        squares = np.stack([(part**2).sum(1) for part in near], 1)
        expected = x * (2 + 0.5 / size * squares) ** -0.6
        np.testing.assert_allclose(nn.CrossMapLRN2d(size, 0.5, 0.6, 2)(ag.tensor(x)).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_gradients_of_bags_by_frequency(mode):
    layer = nn.EmbeddingBag(4, 2, scale_grad_by_freq=True, mode=mode).double()
    bags = np.array([[1, 1, 3], [3, 1, 0]])
    layer(ag.tensor(bags)).sum().backward()
    often = {row: (bags == row).sum() for row in (0, 1, 3)}
    each = 1 if mode == "sum" else 1 / 3
    expected = [sum(each / often[r] for r in bags.ravel() if r == row) for row in range(4)]
    np.testing.assert_allclose(layer.weight.grad.numpy(), np.repeat(expected, 2).reshape(4, 2))


def test_embeddings_on_a_table_that_is_there():
    table = ag.tensor(np.arange(12.0).reshape(4, 3))
    layer = nn.Embedding.from_pretrained(table, padding_idx=1)
    assert not layer.weight.requires_grad and layer.padding_idx == 1
    np.testing.assert_array_equal(layer(ag.tensor([1, 3])).numpy(), table.numpy()[[1, 3]])
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    bag = nn.EmbeddingBag.from_pretrained(table, mode="max", include_last_offset=True)
    assert not bag.weight.requires_grad and bag.mode == "max" and bag.include_last_offset
    assert bag(ag.tensor([0, 2, 1]), ag.tensor([0, 2, 3])).tolist() == [[6.0, 7.0, 8.0], [3.0, 4.0, 5.0]]
    with pytest.raises(ValueError, match="embeddings must have a row"):
        nn.Embedding.from_pretrained(ag.ones(3))


def test_rows_of_padding_begin_with_zeros():
    for layer in (nn.Embedding(4, 3, padding_idx=-2), nn.EmbeddingBag(4, 3, padding_idx=2)):
        assert layer.padding_idx == 2 and not layer.weight.detach().numpy()[2].any()
        assert layer.weight.detach().numpy()[[0, 1, 3]].all()


def test_states_that_do_not_count_batches_load():
    layer = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    layer(ag.randn(4, 3))
    old = {n: t for n, t in layer.state_dict().items() if "num_batches" not in n}
    layer.load_state_dict(old)
    assert layer[1].num_batches_tracked.item() == 1
    with pytest.raises(RuntimeError, match=r"missing: 1\.running_mean"):
        layer.load_state_dict({n: t for n, t in old.items() if "running_mean" not in n})


def test_a_batch_that_is_refused_is_not_counted():
    layer = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        layer(ag.ones(1, 3))
    assert layer.num_batches_tracked.item() == 0 and not layer.running_mean.numpy().any()


def test_what_is_assigned_to_running_statistics_stays_part_of_the_state():
    layer = nn.BatchNorm1d(2)
    layer.running_mean = ag.tensor([1.0, 2.0])
    assert layer.state_dict()["running_mean"].tolist() == [1.0, 2.0]
    lazy = nn.LazyBatchNorm1d()
    lazy.load_state_dict(layer.state_dict())
    assert lazy.eval()(ag.tensor([[1.0, 2.0]])).tolist() == [[0.0, 0.0]] and type(lazy) is nn.BatchNorm1d


def test_every_batch_norm_becomes_a_synchronized_one():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4, bias=False, momentum=None), nn.ReLU()))
    x = ag.randn(2, 3, 4, 4)
    norm = model[1][0]
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert converted is model and type(model[1][0]) is nn.SyncBatchNorm and type(model[1][1]) is nn.ReLU
    assert model[1][0].weight is norm.weight and model[1][0].running_var is norm.running_var
    y = model(x)
    np.testing.assert_array_equal(y.detach().numpy(), nn.functional.relu(norm(model[0](x))).detach().numpy())
    alone = nn.SyncBatchNorm.convert_sync_batchnorm(nn.BatchNorm1d(3).eval())
    assert isinstance(alone, nn.SyncBatchNorm) and not alone.training


def test_an_instance_norm_without_batches_tells_a_lazy_one_its_channels():
    layer = nn.LazyInstanceNorm2d()
    assert layer(ag.randn(3, 4, 5)).shape == (3, 4, 5) and layer.num_features == 3


def test_channels_that_do_not_matter_are_warned_of():
    with pytest.warns(UserWarning, match="2 channels, but num_features is 3"):
        nn.InstanceNorm1d(3)(ag.randn(1, 2, 4))


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "groups must be positive and divide in_channels"),
        (lambda: nn.Conv2d(4, 3, 3, groups=2), "divide out_channels"),
        (lambda: nn.Conv2d(3, 4, (1, 2, 3)), "kernel_size must be one integer or 2"),
        (lambda: nn.Conv2d(3, 4, 3, padding="full"), "'valid' or 'same'"),
        (lambda: nn.Conv1d(3, 4, 3, stride=2, padding="same"), "needs stride 1"),
        (lambda: nn.Conv1d(3, 4, 3, padding_mode="mirror"), "zeros, reflect, replicate, circular"),
        (lambda: nn.ConvTranspose1d(3, 4, 3, padding_mode="reflect"), "pad the input instead"),
        (lambda: nn.ConvTranspose1d(3, 4, 3, padding="valid"), "padding must be given in numbers"),
        (lambda: nn.ConvTranspose1d(3, 4, 3, stride=2)(ag.ones(1, 3, 4), [20]), "it can be from"),
        (lambda: nn.ConvTranspose1d(3, 4, 3, stride=2)(ag.ones(1, 3, 4), [2, 9]), "must be 1 sizes or a shape"),
        (lambda: nn.LazyConv2d(4, 3)(ag.ones(3, 4)), "with 2 axes of pixels"),
        (lambda: nn.LazyConv2d(4, 3, groups=2)(ag.ones(1, 3, 4, 4)), "must divide the 3 channels"),
        (lambda: nn.Sequential(nn.Conv1d(3, 4, 3))(ag.ones(1, 2, 4)), r"^0 \(Conv1d\(3, 4, .*has 2 channels"),
        (lambda: nn.BatchNorm2d(3)(ag.ones(2, 3, 4)), r"must be \(N, C, H, W\)"),
        (lambda: nn.BatchNorm1d(3)(ag.ones(3)), r"\(N, C\) or \(N, C, L\)"),
        (lambda: nn.SyncBatchNorm(3)(ag.ones(3)), "at least one channel"),
        (lambda: nn.InstanceNorm2d(3)(ag.ones(2, 3)), r"\(N, C, H, W\) or \(C, H, W\)"),
        (lambda: nn.InstanceNorm2d(3, affine=True)(ag.ones(2, 4, 3, 3)), "they must agree"),
        (lambda: nn.GroupNorm(4, 6), "num_groups=4 must divide num_channels=6"),
        (lambda: nn.CrossMapLRN2d(3)(ag.ones(3, 4, 4)), r"\(N, C, H, W\)"),
        (lambda: nn.FractionalMaxPool2d(2), "either output_size or output_ratio"),
        (lambda: nn.FractionalMaxPool2d(2, output_ratio=1.5), "between 0 and 1"),
        (lambda: nn.MaxUnpool2d((2, 2, 2)), "a number or 2 numbers"),
        (lambda: nn.ReflectionPad2d((1, 2)), "a number or 4 numbers"),
        (lambda: nn.ReflectionPad2d(1)(ag.ones(3, 3)), "with 2 axes to pad"),
        (lambda: nn.Hardtanh(1, -1), "min_val must be below max_val"),
        (lambda: nn.Softmax2d()(ag.ones(2, 3)), r"\(C, H, W\)"),
        (lambda: nn.Dropout(1.5), "from 0 to 1"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), "one of the 3 rows"),
        (lambda: nn.Embedding(3, 2, _weight=ag.ones(2, 3)), r"must be \(3, 2\)"),
        (lambda: nn.EmbeddingBag(3, 2, mode="median"), "'sum', 'mean' or 'max'"),
    ],
)
def test_errors_teach(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_types_that_do_not_fit_are_told():
    for make in (lambda: nn.LayerNorm("3"), lambda: nn.Unflatten(1, 3), lambda: nn.Unflatten(1, (2.5, 1))):
        with pytest.raises(TypeError, match="must be"):
            make()
    with pytest.warns(FutureWarning, match="min_value has become min_val"):
        nn.Hardtanh(min_value=-2)
