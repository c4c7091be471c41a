"""Models: as many parameters as they are known for, torchvision's names and numbers, the papers' figures, and that they learn."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from record_models import RECORD, SIZES, images, values

import autograd_core as ag
import nn
import nn.functional as F
from nn import models
from nn.models import inception, lenet, vgg
from nn.models.__main__ import ROWS
from nn.models.gpt import Block
from nn.models.unet import center_crop

RECORDED = json.loads(gzip.decompress(RECORD.read_bytes()))

COUNTS = {
    "LeNet5": 60_000, "modern_lenet5": 61_706, "alexnet_grouped": 60_965_224, "alexnet": 61_100_840,
    "vgg11": 132_863_336, "vgg11_bn": 132_868_840, "vgg13": 133_047_848, "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544, "vgg16_bn": 138_365_992, "vgg19": 143_667_240, "vgg19_bn": 143_678_248,
    "googlenet": 13_004_888, "inception_v3": 27_161_264, "resnet18": 11_689_512, "resnet34": 21_797_672,
    "resnet50": 25_557_032, "resnet101": 44_549_160, "resnet152": 60_192_808, "resnext50_32x4d": 25_028_904,
    "wide_resnet50_2": 68_883_240, "mobilenet_v1": 4_231_976, "mobilenet_v2": 3_504_872, "UNet": 31_030_658,
    'gpt2("small")': 124_439_808, 'gpt2("medium")': 354_823_168, "Bert": 109_482_240,
    "BertForPretraining": 110_106_428,
}  # fmt: skip


def unfilled(make, *args, **options):
    """A model whose numbers are not drawn."""
    with nn.init.skipped():
        return make(*args, **options)


def of_zeros(make, *args, **options):
    """A model to be called for the shapes that it gives: what happens to be in memory may overflow."""
    model = unfilled(make, *args, **options)
    for p in model.parameters():
        p.value[...] = 0
    return model


def count(module):
    return sum(p.numel() for p in module.parameters())


def numbers(*shape, dtype=np.float32, seed=0):
    return ag.tensor(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def finite_gradients(model, loss):
    loss.backward()
    return all(p.grad is not None and np.isfinite(p.grad.numpy()).all() for p in model.parameters())


def fall(model, loss, steps, rate):
    """The loss before and after some steps of Adam on one batch."""
    mean, square, first = {}, {}, None
    for step in range(1, steps + 1):
        model.zero_grad()
        value = loss()
        first = value.item() if first is None else first
        value.backward()
        with ag.no_grad():
            for name, p in model.named_parameters():
                g = p.grad.numpy()
                mean[name] = 0.9 * mean.get(name, 0) + 0.1 * g
                square[name] = 0.99 * square.get(name, 0) + 0.01 * g * g
                update = mean[name] / (1 - 0.9**step) / (np.sqrt(square[name] / (1 - 0.99**step)) + 1e-8)
                p -= ag.tensor((rate * update).astype(np.float32))
    return first, loss().item()


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "make"), [r[:2] for r in ROWS], ids=[r[0] for r in ROWS])
def test_counts(name, make):
    assert count(unfilled(make)) == COUNTS[name]


def test_the_page_says_what_the_code_is():
    page = (Path(__file__).parent.parent / "docs" / "models.md").read_text()
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    told = {name.strip(" `"): int(number.replace(",", "")) for name, number in rows}
    assert told == COUNTS


@pytest.mark.parametrize("name", RECORDED["shapes"])
def test_names_and_shapes_are_torchvisions(name):
    state = unfilled(getattr(models, name)).state_dict()
    assert {k: list(v.shape) for k, v in state.items()} == RECORDED["shapes"][name]
    assert list(state) == list(RECORDED["shapes"][name])


@pytest.mark.parametrize("name", SIZES)
def test_scores_are_torchvisions(name):
    model = unfilled(getattr(models, name)).eval()
    model.load_state_dict(values(RECORDED["shapes"][name]))
    with ag.no_grad():
        scores = model(ag.tensor(images(SIZES[name]))).numpy()
    expected = np.array(RECORDED["scores"][name])
    np.testing.assert_allclose(scores[:, ::100], expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", RECORDED["shapes"])
def test_trained_weights_are_refused(name):
    with pytest.raises(ValueError, match=rf"{name}: weights must be None, got 'DEFAULT'.*load_state_dict"):
        getattr(models, name)(weights="DEFAULT", progress=False)
    for given in ({"pretrained": True}, {"weights": True}):
        with pytest.raises(ValueError, match=rf"{name}: weights must be None, got True.*load_state_dict"):
            getattr(models, name)(**given)


def test_untrained_models_are_asked_for_in_the_older_ways_too():
    with nn.init.skipped():
        for model in (models.resnet18(pretrained=False), models.resnet18(False, True), models.alexnet(None)):
            assert isinstance(model, nn.Module)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "mobilenet_v1"])
def test_gradients_are_finite(name):
    model = getattr(models, name)(num_classes=5)
    scores = model(numbers(2, 3, 64, 64))
    assert scores.shape == (2, 5)
    assert finite_gradients(model, F.cross_entropy(scores, ag.tensor([1, 4])))


# --- LeNet-5 ---------------------------------------------------------------------------------------------------------


def test_lenet_has_the_layers_of_the_paper():
    model = models.LeNet5()
    layers = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164, "output": 0}
    assert {name: count(layer) for name, layer in model.named_children()} == layers
    kernels = model.c3.weight.shape[0]
    connections = {"c1": 156 * 28 * 28, "s2": 5 * 6 * 14 * 14, "s4": 5 * 16 * 5 * 5, "c5": 48_120, "f6": 10_164}
    connections |= {"c3": kernels * 26 * 10 * 10, "output": 84 * 10}  # the paper counts a bias for each kernel of C3
    assert (connections["c1"], connections["s2"], connections["c3"]) == (122_304, 5_880, 156_000)
    assert sum(connections.values()) == 345_308


def test_lenet_maps_see_what_the_table_says():
    seen = lenet.CONNECTIONS
    assert [len(s) for s in seen] == [3] * 6 + [4] * 9 + [6]
    assert [sum(c in s for s in seen) for c in range(6)] == [10] * 6
    assert len({frozenset(s) for s in seen}) == 16
    layer = models.LeNet5().c3
    x = numbers(1, 6, 14, 14)
    x.requires_grad_()
    for out, inputs in enumerate(seen):
        x.grad = None
        layer(x)[:, out].sum().backward()
        assert set(np.flatnonzero(np.abs(x.grad.numpy()).sum((0, 2, 3)))) == set(inputs)


def test_a_convolution_that_sees_all_is_a_convolution():
    partial, whole = lenet.PartialConv2d(3, [(0, 1, 2)] * 4, 3), nn.Conv2d(3, 4, 3)
    whole.weight.data, whole.bias.data = partial.weight.data.reshape(4, 3, 3, 3), partial.bias.data
    x = numbers(2, 3, 6, 6)
    np.testing.assert_allclose(partial(x).detach().numpy(), whole(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_lenet_parts():
    assert lenet.squash(ag.tensor([1.0, -1.0, 0.0])).numpy() == pytest.approx([1, -1, 0], abs=1e-4)
    layer = lenet.Subsampling(2)
    x = numbers(1, 2, 4, 4)
    sums = x.numpy().reshape(1, 2, 2, 2, 2, 2).sum((3, 5))
    expected = sums * layer.weight.detach().numpy() + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    points = lenet.prototypes()
    assert points.shape == (10, 84)
    assert set(np.unique(points)) == {-1, 1}
    apart = ((points[:, None] - points) ** 2).sum(-1)
    assert apart[~np.eye(10, dtype=bool)].min() >= 4 * 8
    f6 = numbers(3, 84)
    distances = ((f6.numpy()[:, None] - points) ** 2).sum(-1)
    np.testing.assert_allclose(nn.RadialBasis(points)(f6).numpy(), distances, rtol=1e-5)


def test_map_loss():
    y, target, j = np.random.default_rng(0).random((4, 10)) * 5, [3, 0, 9, 1], 0.7
    expected = np.mean([y[n, t] + math.log(math.exp(-j) + np.exp(-y[n]).sum()) for n, t in enumerate(target)])
    assert models.map_loss(ag.tensor(y), ag.tensor(target), j).item() == pytest.approx(expected)
    assert ag.gradcheck(lambda p: models.map_loss(p, ag.tensor(target), j), (ag.tensor(y, requires_grad=True),))


def test_lenet_learns_a_batch():
    ag.manual_seed(0)
    model, target = models.LeNet5(), ag.tensor(np.arange(8))
    x = numbers(8, 1, 32, 32)
    first, last = fall(model, lambda: models.map_loss(model(x), target), 40, 0.01)
    assert last < first / 4
    assert model(x).argmin(1).tolist() == target.tolist()
    assert model.output.prototypes.grad is None
    with pytest.raises(ValueError, match=r"must be \(N, 1, 32, 32\), got \(8, 1, 28, 28\); F.pad"):
        model(x[..., 2:-2, 2:-2])


# --- the figures of papers and books ---------------------------------------------------------------------------------


def test_alexnet_has_the_sizes_of_the_paper():
    model = of_zeros(models.alexnet_grouped)
    shapes = []
    for layer in model.features:
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda layer, args, y: shapes.append(tuple(y.shape[1:])))
    weights = [tuple(m.weight.shape) for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert weights == [(96, 3, 11, 11), (256, 48, 5, 5), (384, 256, 3, 3), (384, 192, 3, 3), (256, 192, 3, 3)]
    with ag.no_grad():
        model.features(numbers(1, 3, 224, 224))
    assert shapes[0] == (96, 55, 55)
    assert [math.prod(s) for s in shapes[1:]] == [186_624, 64_896, 64_896, 43_264]


def test_alexnet_normalizes_as_in_the_paper():
    norm = next(m for m in unfilled(models.alexnet_grouped).modules() if isinstance(m, nn.LocalResponseNorm))
    a = np.abs(np.random.default_rng(0).standard_normal((1, 9, 2, 2))) * 50
    sums = [(a[0, max(0, i - 2) : i + 3] ** 2).sum(0) for i in range(9)]
    expected = a[0] / (2 + 1e-4 * np.array(sums)) ** 0.75
    np.testing.assert_allclose(norm(ag.tensor(a)).numpy()[0], expected, rtol=1e-6)


@pytest.mark.parametrize(("name", "millions"), [("mobilenet_v1", 569), ("mobilenet_v2", 301)])
def test_mobilenets_cost_what_the_papers_say(name, millions):
    found = nn.summary(getattr(models, name)().eval(), (1, 3, 224, 224), depth=0)
    assert round(found.multiply_adds / 1e6) == millions


@pytest.mark.parametrize(("width", "millions"), [(1.0, 4.2), (0.75, 2.6), (0.5, 1.3), (0.25, 0.5)])
def test_narrow_mobilenets(width, millions):
    assert round(count(unfilled(models.mobilenet_v1, width_mult=width)) / 1e6, 1) == millions


def test_depthwise_separable_convolutions_are_cheaper_by_the_ratio_of_the_book():
    pair = nn.Sequential(nn.Conv2d(256, 256, 3, groups=256, bias=False), nn.Conv2d(256, 256, 1, bias=False))
    assert count(pair) / count(nn.Conv2d(256, 256, 3, bias=False)) == pytest.approx(0.115, abs=5e-4)


def test_mobilenet_v2_has_the_table_of_the_book():
    blocks = [m for m in unfilled(models.mobilenet_v2).features if hasattr(m, "use_res_connect")]
    out = [16, 24, 24, *[32] * 3, *[64] * 4, *[96] * 3, *[160] * 3, 320]
    assert [b.out_channels for b in blocks] == out
    assert [n for n, b in enumerate(blocks) if b.stride == 2] == [1, 3, 6, 13]
    assert [b.use_res_connect for b in blocks] == [n > 0 and out[n] == out[n - 1] for n in range(17)]


def test_widths_are_rounded():
    assert unfilled(models.mobilenet_v2, width_mult=0.35).last_channel == 1280
    assert unfilled(models.mobilenet_v2, width_mult=1.4).last_channel == 1792
    assert count(unfilled(models.mobilenet_v2, width_mult=0.5)) == 1_968_680
    with pytest.raises(ValueError, match="rows \\(expansion, channels, blocks, stride\\)"):
        models.mobilenet_v2(inverted_residual_setting=[(1, 16)])


@pytest.mark.parametrize(("depth", "layers"), [(11, 8), (13, 10), (16, 13), (19, 16)])
def test_vgg_has_so_many_layers(depth, layers):
    model = unfilled(getattr(models, f"vgg{depth}"))
    weighted = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert (len(weighted), len([m for m in weighted if isinstance(m, nn.Conv2d)])) == (depth, layers)
    assert all(m.kernel_size == (3, 3) and m.padding == (1, 1) for m in weighted[:layers])


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_resnet_has_so_many_layers(depth):
    model = unfilled(getattr(models, f"resnet{depth}"))
    weighted = [n for n, m in model.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and "downsample" not in n]
    assert len(weighted) == depth


# --- first values, and classifiers on the way ------------------------------------------------------------------------


def test_first_values():
    ag.manual_seed(0)
    deviation = lambda p: float(np.std(p.detach().numpy()))
    small = nn.Sequential(nn.Conv2d(3, 512, 3), nn.Linear(99, 99)).apply(vgg.first_values)
    assert deviation(small[0].weight) == pytest.approx(math.sqrt(2 / (512 * 9)), rel=0.05)
    assert deviation(small[1].weight) == pytest.approx(0.01, rel=0.05)
    assert not small[0].bias.detach().numpy().any() and not small[1].bias.detach().numpy().any()
    resnet = models.resnet18(zero_init_residual=True)
    assert deviation(resnet.layer4[1].conv2.weight) == pytest.approx(math.sqrt(2 / (512 * 9)), rel=0.02)
    assert not resnet.layer2[0].bn2.weight.detach().numpy().any()
    assert (resnet.layer2[0].bn1.weight.detach().numpy() == 1).all()
    google = models.googlenet(aux_logits=False)
    assert deviation(google.fc.weight) == pytest.approx(0.01, rel=0.02)


def test_first_values_of_inception_differ_by_layer(monkeypatch):
    drawn = []
    monkeypatch.setattr(inception, "draw_truncated", lambda module, std: drawn.append((type(module).__name__, std)))
    unfilled(models.inception_v3)
    assert drawn == [("Inception3", 0.1), ("Linear", 0.001)]


def test_classifiers_on_the_way():
    google = models.googlenet(num_classes=7, init_weights=False)
    scores = google(numbers(2, 3, 64, 64))
    assert [tuple(s.shape) for s in scores] == [(2, 7)] * 3
    assert finite_gradients(google, scores.logits.sum() + 0.3 * (scores.aux_logits1 + scores.aux_logits2).sum())
    assert google.eval()(numbers(2, 3, 64, 64)).shape == (2, 7)
    assert count(unfilled(models.googlenet, aux_logits=False)) == 6_624_904
    third = of_zeros(models.inception_v3, num_classes=4)
    with ag.no_grad():
        scores = third(numbers(2, 3, 299, 299))
    assert [tuple(s.shape) for s in scores] == [(2, 4)] * 2
    assert count(unfilled(models.inception_v3, aux_logits=False)) == 27_161_264 - 3_326_696


def test_transformed_inputs():
    model = models.googlenet(aux_logits=False).eval()
    x = numbers(1, 3, 64, 64)
    scale, shift = np.array([0.229, 0.224, 0.225]), np.array([0.485, 0.456, 0.406])
    pixels = x.numpy() * scale.reshape(3, 1, 1) + shift.reshape(3, 1, 1)
    expected = model(ag.tensor((pixels * 2 - 1).astype(np.float32))).detach().numpy()
    model.transform_input = True
    np.testing.assert_allclose(model(x).detach().numpy(), expected, atol=1e-5)


def test_resnets_may_look_further_instead_of_striding():
    model = of_zeros(models.resnet50, replace_stride_with_dilation=(False, True, True))
    assert model.layer4[1].conv2.dilation == (4, 4)
    features = nn.Sequential(
        model.conv1, model.bn1, model.maxpool, model.layer1, model.layer2, model.layer3, model.layer4
    )
    with ag.no_grad():
        assert features.eval()(numbers(1, 3, 64, 64)).shape == (1, 2048, 8, 8)
    with pytest.raises(ValueError, match="Bottleneck takes others"):
        models.resnet18(groups=2)
    with pytest.raises(ValueError, match="3 truth values"):
        models.resnet50(replace_stride_with_dilation=(True,))


# --- U-Net -----------------------------------------------------------------------------------------------------------


def test_unet_has_the_sizes_of_the_paper():
    model = unfilled(models.UNet)
    assert model.output_size(572) == 388
    sizes = [1, 64, 128, 256, 512, 1024]
    pairs = sum(9 * a * b + b + 9 * b * b + b for a, b in zip(sizes, sizes[1:]))
    pairs += sum(9 * 2 * b * b + b + 9 * b * b + b for b in sizes[1:-1])
    assert count(model) == pairs + sum(2 * b * 4 * b + b for b in sizes[1:-1]) + 64 * 2 + 2
    assert unfilled(models.UNet, padding=1).output_size(512) == 512
    with ag.no_grad():
        assert models.UNet(1, 2, (1, 1, 1, 1, 1))(numbers(1, 1, 572, 572)).shape == (1, 2, 388, 388)


def test_tiles_of_an_unpadded_unet_make_the_scores_of_the_whole():
    model = models.UNet(1, 2, (4, 8, 16)).eval()
    x = numbers(1, 1, 84, 84)
    with ag.no_grad():
        whole = model(x)
        for top, left in ((0, 0), (4, 20), (24, 12)):
            tile = model(x[..., top : top + 60, left : left + 60])
            np.testing.assert_allclose(tile.numpy(), whole[..., top : top + 20, left : left + 20].numpy(), atol=1e-5)


def test_gradients_of_an_unpadded_unet_are_those_of_differences():
    model = models.UNet(1, 1, (2, 3)).double().eval()
    x = ag.tensor(np.random.default_rng(0).standard_normal((1, 1, 18, 18)), requires_grad=True)
    names, values = zip(*model.named_parameters())
    scores = lambda x, *p: nn.utils.stateless.functional_call(model, dict(zip(names, p)), (x,))
    assert model.output_size(18) == 2 and ag.gradcheck(scores, (x, *values))


@pytest.mark.parametrize(("padding", "size", "out"), [(0, 60, 20), (1, 16, 16)])
def test_unet_runs(padding, size, out):
    model = models.UNet(3, 2, (4, 8, 16), padding)
    scores = model(numbers(2, 3, size, size + 4))
    assert scores.shape == (2, 2, out, out + 4)
    assert model.output_size(size) == out
    assert finite_gradients(model, F.cross_entropy(scores, ag.tensor(np.ones((2, out, out + 4), int))))


def test_unet_says_which_sizes_fit():
    with pytest.raises(ValueError, match=r"cannot halve 571 pixels .* the next size that they can is 572"):
        unfilled(models.UNet)(ag.zeros(1, 1, 572, 571))
    assert center_crop(ag.arange(36).reshape(6, 6), 2, 4).tolist() == [[13, 14, 15, 16], [19, 20, 21, 22]]


# --- GPT -------------------------------------------------------------------------------------------------------------


def small_gpt(**options):
    ag.manual_seed(0)
    return models.GPT(**{"vocab_size": 11, "context": 8, "width": 16, "depth": 2, "heads": 2, "dropout": 0.0} | options)


def test_gpt_blocks_are_pytorchs_layers():
    torch = pytest.importorskip("torch")
    gelu = lambda x: torch.nn.functional.gelu(x, approximate="tanh")
    theirs = torch.nn.TransformerEncoderLayer(16, 4, 64, 0.0, gelu, batch_first=True, norm_first=True)
    ours = Block(16, 4, 0.0, True)
    names = {
        "ln_1": "norm1", "attn.c_attn": "self_attn.in_proj", "attn.c_proj": "self_attn.out_proj", "ln_2": "norm2",
        "mlp.c_fc": "linear1", "mlp.c_proj": "linear2",
    }  # fmt: skip
    state = {k: v.numpy() for k, v in theirs.state_dict().items()}
    for path, layer in names.items():
        joint = "_" if layer.endswith("in_proj") else "."
        for kind in ("weight", "bias"):
            getattr(ours.get_submodule(path), kind).data = ag.tensor(state[f"{layer}{joint}{kind}"])
    x, seed = numbers(2, 5, 16), numbers(2, 5, 16, seed=1)
    given = torch.from_numpy(x.numpy().copy()).requires_grad_()
    mask = torch.nn.Transformer.generate_square_subsequent_mask(5)
    expected = theirs(given, mask, is_causal=True)
    expected.backward(torch.from_numpy(seed.numpy()))
    x.requires_grad_()
    found = ours(x)
    found.backward(seed)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(x.grad.numpy(), given.grad.numpy(), atol=1e-4)
    weight = ours.attn.c_attn.weight.grad.numpy()
    np.testing.assert_allclose(weight, theirs.self_attn.in_proj_weight.grad.numpy(), atol=1e-4)


def test_gpt_sees_only_what_came_before():
    model, tokens = small_gpt(), np.random.default_rng(0).integers(0, 11, (2, 8))
    scores = model(ag.tensor(tokens)).detach().numpy()
    tokens[:, 5:] = 0
    np.testing.assert_allclose(model(ag.tensor(tokens)).detach().numpy()[:, :5], scores[:, :5], atol=1e-5)


@pytest.mark.parametrize("parts", [[8], [1] * 8, [3, 1, 4], [5, 3]])
def test_a_cache_changes_nothing(parts):
    model, tokens = small_gpt(), ag.tensor(np.random.default_rng(0).integers(0, 11, (2, 8)))
    cache = model.cache()
    pieces = [model(part, cache) for part in tokens.split(parts, 1)]
    np.testing.assert_allclose(ag.cat(pieces, 1).detach().numpy(), model(tokens).detach().numpy(), atol=1e-5)
    with pytest.raises(ValueError, match=r"at most 8, got \(2, 1\) after 8 in the cache"):
        model(tokens[:, :1], cache)


def test_what_is_generated():
    model, start = small_gpt().eval(), ag.tensor([[1, 2], [3, 4]])
    tokens = start
    for _ in range(12):  # goes beyond the context
        tokens = ag.cat([tokens, model(tokens[:, -8:])[:, -1].argmax(-1, keepdim=True)], 1)
    assert model.generate(start, 12, temperature=0).tolist() == tokens.tolist()
    assert model.generate(start, 12, top_k=1).tolist() == tokens.tolist()
    draw = lambda seed: model.generate(start, 5, generator=ag.Generator().manual_seed(seed)).tolist()
    assert draw(1) == draw(1) != draw(2)
    likely = set(model(start)[0, -1].topk(3)[1].tolist())
    seen = {model.generate(start, 1, top_k=3, temperature=5.0).tolist()[0][-1] for _ in range(50)}
    assert seen == likely
    with pytest.raises(ValueError, match="at least one"):
        model.generate(start[:, :0], 1)


def test_gpt_begins_uncertain_and_learns_a_sequence():
    model, tokens = small_gpt(), ag.tensor([[1, 5, 2, 9, 9, 3, 0, 7, 4]])
    loss = lambda: F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    first, last = fall(model, loss, 60, 0.01)
    assert first == pytest.approx(math.log(11), abs=0.2)
    assert last < 0.05
    assert model.eval().generate(tokens[:, :1], 7, temperature=0)[:, 1:].tolist() == tokens[:, 1:8].tolist()


def test_gpt_ties_its_head():
    model = small_gpt()
    assert model.lm_head.weight is model.wte.weight
    assert sum("lm_head" in n for n, _ in model.named_parameters()) == 0
    deep = dict(small_gpt(width=64, depth=8).named_parameters())
    assert np.std(deep["h.3.mlp.c_proj.weight"].detach().numpy()) == pytest.approx(0.02 / 4, rel=0.05)
    assert np.std(deep["h.3.mlp.c_fc.weight"].detach().numpy()) == pytest.approx(0.02, rel=0.05)


def test_published_weights_of_gpt2_load():
    model, other = small_gpt(), small_gpt(context=8)
    published = {}
    for name, value in model.state_dict().items():
        turned = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        published[name] = value.numpy().T.copy() if turned else value.numpy().copy()
    del published["lm_head.weight"]
    published |= {f"h.{i}.attn.bias": np.tri(8).reshape(1, 1, 8, 8) for i in range(2)}
    for p in other.parameters():
        nn.init.zeros_(p)
    other.load_state_dict(published)
    tokens = ag.tensor([[1, 2, 3]])
    assert np.array_equal(other(tokens).detach().numpy(), model(tokens).detach().numpy())
    other.load_state_dict(model.state_dict())
    assert np.array_equal(other(tokens).detach().numpy(), model(tokens).detach().numpy())


# --- BERT ------------------------------------------------------------------------------------------------------------


def small_bert(dropout=0.0):
    ag.manual_seed(0)
    return models.Bert(20, 10, 16, 2, 2, dropout)


def test_bert_learns_what_is_masked():
    model = models.BertForPretraining(small_bert())
    rng = np.random.default_rng(0)
    tokens = ag.tensor(rng.integers(2, 20, (4, 10)))
    shown, target = models.mask_tokens(tokens, 1, 20, share=0.3, generator=ag.Generator().manual_seed(0))
    kinds = ag.tensor(np.repeat([[0] * 5 + [1] * 5], 4, 0))

    def loss():
        scores, follows = model(shown, kinds)
        guessed = F.cross_entropy(scores.flatten(0, 1), target.flatten())
        return guessed + F.cross_entropy(follows, ag.tensor([0, 1, 0, 1]))

    scores, follows = model(shown, kinds)
    assert (tuple(scores.shape), tuple(follows.shape)) == ((4, 10, 20), (4, 2))
    assert finite_gradients(model, loss())
    first, last = fall(model, loss, 60, 0.01)
    assert first == pytest.approx(math.log(20) + math.log(2), abs=0.3)
    assert last < 0.3


def test_bert_is_pytorchs_encoder():
    torch = pytest.importorskip("torch")
    model = small_bert().eval()
    layer = torch.nn.TransformerEncoderLayer(16, 2, 64, 0.0, "gelu", layer_norm_eps=1e-12, batch_first=True)
    theirs = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    theirs.load_state_dict({k: torch.from_numpy(v.numpy().copy()) for k, v in model.encoder.state_dict().items()})
    tokens, kinds = np.random.default_rng(0).integers(0, 20, (3, 7)), np.array([[0] * 4 + [1] * 3])
    t = lambda x: torch.from_numpy(x.detach().numpy().copy())
    embedded = t(model.words.weight)[tokens] + t(model.places.weight)[:7] + t(model.kinds.weight)[kinds]
    with torch.no_grad():
        expected = theirs(torch.nn.functional.layer_norm(embedded, (16,), eps=1e-12))
    found, pooled = model(ag.tensor(tokens), ag.tensor(kinds))
    np.testing.assert_allclose(found.detach().numpy(), expected.numpy(), atol=1e-4)
    weight, bias = model.pooler.weight.detach().numpy(), model.pooler.bias.detach().numpy()
    np.testing.assert_allclose(pooled.detach().numpy(), np.tanh(expected.numpy()[:, 0] @ weight.T + bias), atol=1e-4)


def test_padding_is_not_looked_at():
    model, tokens = small_bert().eval(), np.random.default_rng(0).integers(0, 20, (2, 10))
    padding = np.repeat([[False] * 6 + [True] * 4], 2, 0)
    whole = model(ag.tensor(tokens), padding=ag.tensor(padding))[0].detach().numpy()
    short = model(ag.tensor(tokens[:, :6]))[0].detach().numpy()
    np.testing.assert_allclose(whole[:, :6], short, atol=1e-5)
    with pytest.raises(ValueError, match=r"T from 1 to 10, got \(2, 11\)"):
        model(ag.zeros(2, 11, dtype=np.int64))


def test_masked_tokens():
    tokens = ag.tensor(np.random.default_rng(0).integers(5, 1000, (200, 100)))
    tokens[:, 0] = 2
    shown, target = models.mask_tokens(tokens, 3, 1000, [2], generator=ag.Generator().manual_seed(1))
    shown, target, tokens = shown.numpy(), target.numpy(), tokens.numpy()
    chosen = target != -100
    assert not chosen[:, 0].any()
    assert np.array_equal(target[chosen], tokens[chosen])
    assert np.array_equal(shown[~chosen], tokens[~chosen])
    assert chosen[:, 1:].mean() == pytest.approx(0.15, abs=0.01)
    assert (shown[chosen] == 3).mean() == pytest.approx(0.8, abs=0.03)
    assert (shown[chosen] == tokens[chosen]).mean() == pytest.approx(0.1, abs=0.03)


def test_sizes_that_do_not_divide():
    with pytest.raises(ValueError, match="width must be a multiple of heads, got width=10, heads=3"):
        models.GPT(width=10, heads=3)
    with pytest.raises(ValueError, match="size must be one of small, medium, large, xl, got 'tiny'"):
        models.gpt2("tiny")
    counted = {s: count(unfilled(models.gpt2, s)) for s in ("large",)}
    assert counted == {"large": 774_030_080}
