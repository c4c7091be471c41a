"""Lines for nn/attention.py."""

import numpy as np

from . import case

E, HEADS, BATCH, L, S = 6, 3, 2, 4, 5
GRID = [
    {},
    {"bias": False},
    {"kdim": 5, "vdim": 7},
    {"kdim": 6, "vdim": 4, "bias": False},
    {"add_bias_kv": True},
    {"add_zero_attn": True, "bias": False},
    {"add_bias_kv": True, "add_zero_attn": True, "kdim": 3},
    {"batch_first": True},
    {"batch_first": True, "vdim": 3, "add_bias_kv": True},
]
WEIGHTS = [{}, {"need_weights": False}, {"average_attn_weights": False}]


def some(draw, *shape):
    """Truth values that leave something to every query."""
    mask = draw.truths(*shape)
    mask[..., 1] = False
    return mask


MASKS = {
    "padding": lambda draw: {"key_padding_mask": some(draw, BATCH, S)},
    "padding added": lambda draw: {"key_padding_mask": draw(BATCH, S)},
    "mask": lambda draw: {"attn_mask": some(draw, L, S)},
    "mask added": lambda draw: {"attn_mask": draw(L, S)},
    "mask of each head": lambda draw: {"attn_mask": some(draw, BATCH * HEADS, L, S)},
    "mask of each head added": lambda draw: {"attn_mask": draw(BATCH * HEADS, L, S)},
    "both": lambda draw: {"attn_mask": some(draw, L, S), "key_padding_mask": some(draw, BATCH, S)},
    "both added": lambda draw: {"attn_mask": draw(BATCH * HEADS, L, S), "key_padding_mask": draw(BATCH, S)},
}


def three(draw, options, *batch):
    """Query, key and value that differ."""
    shapes = (L, *batch, E), (S, *batch, options.get("kdim", E)), (S, *batch, options.get("vdim", E))
    turned = options.get("batch_first") and batch
    return [draw(*(s[1], s[0], s[2])) if turned else draw(*s) for s in shapes]


def itself(layer, x, **named):
    """Self-attention."""
    return layer(x, x, x, **named)


def memory(layer, x, y, **named):
    """Keys and values of one kind."""
    return layer(x, y, y, **named)


def causal(added):
    later = ~np.tri(L, dtype=bool)
    return lambda draw: {"attn_mask": np.where(later, -np.inf, 0).astype(draw.dtype) if added else later}


def lines(options):
    make = lambda inputs, **settings: case("MultiheadAttention", E, HEADS, inputs=inputs, settings=settings, **options)
    for named in WEIGHTS:
        yield make(lambda draw, named=named: [*three(draw, options, BATCH), dict(named)])
        yield make(lambda draw, named=named: [*three(draw, options), dict(named)])
        for mask in MASKS.values() if options in GRID[:1] + GRID[4:7] else [MASKS["both"]]:
            yield make(lambda draw, named=named, mask=mask: [*three(draw, options, BATCH), mask(draw) | named])


def own_lines(options, call, first):
    make = lambda inputs: case(
        "MultiheadAttention", E, HEADS, inputs=inputs, settings={"call": call, "modes": ("train",)}, **options
    )
    for named in WEIGHTS:
        for extra in (lambda draw: {}, causal(False), causal(True)):
            yield make(lambda draw, named=named, extra=extra: [*first(draw), extra(draw) | named])
        yield make(lambda draw, named=named: [*first(draw), causal(False)(draw) | {"is_causal": True} | named])


CASES = [
    *(line for options in GRID for line in lines(options)),
    *(
        line
        for options in ({}, {"bias": False}, {"batch_first": True})
        for line in own_lines(options, itself, lambda draw: [draw(L, L, E)])
    ),
    *own_lines({}, memory, lambda draw: [draw(L, BATCH, E), draw(L, BATCH, E)]),
    case("MultiheadAttention", 8, 2, 0.0, False, inputs=lambda draw: [draw(3, 8), draw(5, 8), draw(5, 8)]),
    case(
        "MultiheadAttention",
        8,
        2,
        dropout=0.4,
        inputs=lambda draw: [draw(3, 1, 8), draw(5, 1, 8), draw(5, 1, 8)],
        settings={"modes": ("eval",)},
    ),
]
