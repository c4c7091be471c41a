"""Attention and transformers: second derivatives, masks in all their forms, copies, and errors."""

import copy
import math
import pickle

import numpy as np
import pytest

import autograd_core as ag
import nn
from autograd_core.gradcheck import gradcheck, gradgradcheck
from nn.attention import multi_head_attention_forward

RNG = np.random.default_rng(0)
LATER = ~np.tri(4, dtype=bool)


def values(*shape):
    return ag.tensor(RNG.standard_normal(shape), requires_grad=True)


def array(t):
    return t.detach().numpy()


def close(a, b, tolerance=1e-12):
    np.testing.assert_allclose(array(a), array(b), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("mask", [None, LATER, np.where(LATER, -np.inf, 0.3)])
def test_second_derivatives_of_attention(mask, need_weights):
    layer = nn.MultiheadAttention(4, 2, add_bias_kv=mask is None, kdim=3).double()
    mask = None if mask is None else ag.tensor(mask)

    def run(q, k, v):
        y, weights = layer(q, k, v, attn_mask=mask, need_weights=need_weights)
        return (y, weights) if need_weights else y

    inputs = values(4, 2, 4), values(4, 2, 3), values(4, 2, 4)
    assert gradcheck(run, inputs) and gradgradcheck(run, inputs)


@pytest.mark.parametrize("options", [{}, {"norm_first": True, "activation": "gelu"}])
def test_second_derivatives_of_transformer_layers(options):
    ag.manual_seed(0)
    encoder = nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, **options).double()
    decoder = nn.TransformerDecoderLayer(4, 2, 5, dropout=0.0, **options).double()
    x, y = values(3, 2, 4), values(2, 2, 4)
    assert gradcheck(encoder, x) and gradgradcheck(encoder, x, fast_mode=True)
    assert gradcheck(decoder, (y, x)) and gradgradcheck(decoder, (y, x), fast_mode=True)


def test_second_derivatives_reach_parameters():
    layer = nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0).double()
    x = values(3, 2, 4)
    (g,) = ag.gradient((layer(x) ** 3).sum(), [x], create_graph=True)
    (g**2).sum().backward()
    assert all(
        p.grad is not None and np.any(array(p.grad) != 0) for n, p in layer.named_parameters() if n != "norm2.bias"
    )


def test_a_causal_mask_is_recognized_and_never_trusted_blindly():
    layer, x = nn.MultiheadAttention(6, 2).double(), values(4, 3, 6)
    masks = [ag.tensor(LATER), ag.tensor(np.where(LATER, -np.inf, 0.0)), None]
    found = [layer(x, x, x, attn_mask=m, is_causal=m is None or k, need_weights=w)[0]
             for m in masks for k in (False, True) for w in (False, True)]  # fmt: skip
    for y in found[1:]:
        close(y, found[0])
    other = ag.tensor(RNG.random((4, 4)) < 0.3) & ~ag.tensor(np.eye(4, dtype=bool))
    close(layer(x, x, x, attn_mask=other, is_causal=True, need_weights=False)[0], layer(x, x, x, attn_mask=other)[0])
    padding = ag.tensor(np.arange(4) >= np.array([[4], [3], [2]]))
    both = [layer(x, x, x, padding, w, m, is_causal=True)[0] for m in masks for w in (True, False)]
    for y in both[1:]:
        close(y, both[0])


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_query_that_may_look_at_nothing_finds_nothing(need_weights):
    layer = nn.MultiheadAttention(4, 2).double()
    layer.out_proj.bias.data = values(4).detach()
    x, mask = values(3, 2, 4), np.zeros((3, 3), bool)
    mask[1] = True
    y, weights = layer(x, x, x, attn_mask=ag.tensor(mask), need_weights=need_weights)
    close(y[1], layer.out_proj.bias.expand(2, 4))
    assert weights is None or not array(weights)[:, 1].any()
    y.sum().backward()
    assert np.isfinite(array(x.grad)).all()


def test_dropout_of_weights():
    ag.manual_seed(0)
    layer, x = nn.MultiheadAttention(4, 2, dropout=0.5), ag.ones(30, 2, 4)
    _, weights = layer(x, x, x, average_attn_weights=False)
    found = array(weights) * 30
    assert 0.4 < np.mean(found == 0) < 0.6 and np.allclose(found[found != 0], 2, rtol=1e-5)
    same = [layer(x, x, x, need_weights=False)[0] for _ in range(2)]
    assert np.any(array(same[0]) != array(same[1]))
    close(layer.eval()(x, x, x)[0], layer(x, x, x, need_weights=False)[0], 1e-5)


def test_the_function_with_keys_and_values_given_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    q, k, v = (RNG.standard_normal((3, 2, 4)) for _ in range(3))
    w, b, o, c = (RNG.standard_normal(s) for s in ((12, 4), 12, (4, 4), 4))
    static = [RNG.standard_normal((4, 5, 2)) for _ in range(2)]
    results = []
    for function, convert in (
        (multi_head_attention_forward, ag.tensor),
        (torch.nn.functional.multi_head_attention_forward, torch.tensor),
    ):
        given = [convert(a) for a in (q, k, v)]
        weights = [convert(a) for a in (w, b)]
        results.append(
            function(
                *given, 4, 2, *weights, None, None, True, 0.0, convert(o), convert(c),
                static_k=convert(static[0]), static_v=convert(static[1]),
            )
        )  # fmt: skip
    for a, b in zip(*results):
        close(a, b)


def test_layers_of_a_stack_are_copies():
    layer = nn.TransformerEncoderLayer(4, 2, 5, activation=nn.ReLU() if hasattr(nn, "ReLU") else "relu")
    stack = nn.TransformerEncoder(layer, 3, norm=None)
    held = [p for part in stack.layers for p in part.parameters()]
    assert len({id(p) for p in held}) == len(held) and not {id(p) for p in held} & {id(p) for p in layer.parameters()}
    for part in stack.layers:
        for p, q in zip(part.parameters(), layer.parameters()):
            np.testing.assert_array_equal(array(p), array(q))


def test_a_transformer_can_be_copied_and_pickled():
    model = nn.Transformer(4, 2, 1, 1, 5).eval()
    x, y = ag.ones(3, 2, 4), ag.ones(2, 2, 4)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(array(other(x, y)), array(model(x, y)))


def test_the_mask_of_what_comes_later():
    mask = nn.Transformer.generate_square_subsequent_mask(3)
    assert mask.dtype == np.float32 and not mask.requires_grad
    assert array(mask).tolist() == [[0, -math.inf, -math.inf], [0, 0, -math.inf], [0, 0, 0]]
    assert nn.Transformer.generate_square_subsequent_mask(2, dtype="float64").dtype == np.float64


def test_attention_can_be_mapped_over_a_batch():
    layer, x = nn.MultiheadAttention(4, 2).double(), values(5, 3, 4)
    mask = ag.tensor(RNG.random((5, 3)) < 0.3)
    alone = ag.vmap(lambda x: layer(x, x, x)[0])(x)
    close(alone.transpose(0, 1), layer(*[x.transpose(0, 1)] * 3)[0])
    masked = ag.vmap(lambda x, m: layer(x, x, x, m, need_weights=False)[0])(x, mask)
    close(masked.transpose(0, 1), layer(*[x.transpose(0, 1)] * 3, mask)[0])


attention = nn.MultiheadAttention(6, 2)
ERRORS = [
    (lambda: nn.MultiheadAttention(6, 4), "multiple of num_heads"),
    (lambda: nn.MultiheadAttention(0, 1), "both positive"),
    (lambda: attention(*[ag.ones(4, 2, 5)] * 3), r"MultiheadAttention: .*embed_dim=6"),
    (lambda: attention(ag.ones(4, 2, 6), ag.ones(5, 2, 6), ag.ones(4, 2, 6)), "key and value must be of one length"),
    (lambda: attention(ag.ones(4, 2, 6), ag.ones(5, 3, 6), ag.ones(5, 3, 6)), "batch_first=True is for"),
    (lambda: attention(ag.ones(4, 2, 6), ag.ones(5, 2, 3), ag.ones(5, 2, 6)), "kdim=3 makes a layer that takes them"),
    (lambda: attention(ag.ones(4, 6), ag.ones(4, 1, 6), ag.ones(4, 1, 6)), "or all"),
    (lambda: attention(1.0, ag.ones(4, 6), ag.ones(4, 6)), "got float, Tensor, Tensor"),
    (lambda: attention(*[ag.ones(4, 2, 6)] * 3, ag.ones(4, 2)), r"key_padding_mask must be \(2, 4\), got \(4, 2\)"),
    (lambda: attention(*[ag.ones(4, 2, 6)] * 3, attn_mask=ag.ones(2, 4, 4)), r"\(4, 4\) or \(4, 4, 4\)"),
    (lambda: attention(*[ag.ones(4, 2, 6)] * 3, attn_mask=ag.ones(4, 4).long()), "True where nobody may look"),
    (lambda: nn.TransformerEncoderLayer(6, 2, activation="tanh"), "'relu', 'gelu' or a function"),
    (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer, 2), "expected a layer"),
    (lambda: nn.Transformer(6, 2, 1, 1, 8)(ag.ones(4, 2, 6), ag.ones(4, 3, 6)), "one batch"),
    (lambda: nn.Transformer(6, 2, 1, 1, 8)(ag.ones(4, 2, 5), ag.ones(4, 2, 5)), "d_model=6 features"),
]


@pytest.mark.parametrize("call, text", ERRORS)
def test_errors_teach(call, text):
    with pytest.raises((ValueError, TypeError), match=text):
        call()


def test_errors_say_where():
    model = nn.Transformer(6, 2, 2, 1, 8)
    with pytest.raises(ValueError, match=r"encoder\.layers\.0\.self_attn .*attn_mask must be"):
        model(ag.ones(4, 2, 6), ag.ones(3, 2, 6), src_mask=ag.ones(3, 3))
