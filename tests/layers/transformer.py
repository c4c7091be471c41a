"""Lines for nn/transformer.py."""

import numpy as np

from . import case, part

STILL = {"dropout": 0.0}  # in training, what is dropped is another draw
GRID = [
    {},
    {"norm_first": True},
    {"activation": "gelu", "batch_first": True},
    {"bias": False, "layer_norm_eps": 1e-3},
    {"norm_first": True, "batch_first": True, "bias": False, "activation": "gelu", "layer_norm_eps": 0.1},
]
LATER = ~np.tri(4, dtype=bool)


def padding(length):
    return np.arange(length) >= np.array([[length], [length - 2]])


def encoder_calls(first, mask_name):
    """Of a Draw: inputs of an encoder, with no mask and with several."""
    yield lambda draw: [draw(*first, 6)]
    yield lambda draw: [draw(4, 6)]
    yield lambda draw: [draw(*first, 6), draw(4, 4)]
    yield lambda draw: [draw(*first, 6), {mask_name: LATER}]
    yield lambda draw: [draw(4, 4, 6), LATER]


def decoder_calls(first, second):
    yield lambda draw: [draw(*first, 6), draw(*second, 6)]
    yield lambda draw: [draw(4, 6), draw(5, 6)]
    yield lambda draw: [
        draw(*first, 6),
        draw(*second, 6),
        {"tgt_mask": LATER, "tgt_key_padding_mask": padding(4), "memory_key_padding_mask": padding(5)},
    ]
    yield lambda draw: [draw(*first, 6), draw(*second, 6), {"tgt_mask": LATER, "memory_mask": draw(4, 5)}]


def with_padding(first, mask_name):
    return lambda draw: [draw(*first, 6), {mask_name: LATER, "src_key_padding_mask": padding(4)}]


def layer_lines(options):
    turned = lambda *shape: shape[::-1] if options.get("batch_first") else shape
    first, second = turned(4, 2), turned(5, 2)
    settings = options | STILL
    for inputs in [*encoder_calls(first, "src_mask"), with_padding(first, "src_mask")]:
        yield case("TransformerEncoderLayer", 6, 3, 8, **settings, inputs=inputs)
    for inputs in decoder_calls(first, second):
        yield case("TransformerDecoderLayer", 6, 2, 8, **settings, inputs=inputs)


def whole_lines(options):
    turned = lambda *shape: shape[::-1] if options.get("batch_first") else shape
    make = lambda inputs, **more: case("Transformer", 6, 2, 2, 1, 8, **options, **STILL, inputs=inputs, **more)
    src, tgt = turned(5, 2), turned(4, 2)
    yield make(lambda draw: [draw(*src, 6), draw(*tgt, 6)])
    yield make(lambda draw: [draw(5, 6), draw(4, 6)])
    masks = {"tgt_mask": LATER, "src_key_padding_mask": padding(5), "memory_key_padding_mask": padding(5)}
    yield make(lambda draw: [draw(*src, 6), draw(*tgt, 6), dict(masks)])


def stack_lines(options):
    turned = lambda *shape: shape[::-1] if options.get("batch_first") else shape
    first, second = turned(4, 2), turned(5, 2)
    layer = lambda kind: part(f"Transformer{kind}Layer", 6, 2, 8, **options, **STILL)
    for norm in ({}, {"norm": part("LayerNorm", 6)}):
        for inputs in [*encoder_calls(first, "mask"), with_padding(first, "mask")]:
            yield case("TransformerEncoder", layer("Encoder"), 2, **norm, enable_nested_tensor=False, inputs=inputs)
        for inputs in decoder_calls(first, second):
            yield case("TransformerDecoder", layer("Decoder"), 2, **norm, inputs=inputs)


CASES = [
    *(line for options in GRID for line in layer_lines(options)),
    *(line for options in (GRID[0], GRID[2], GRID[4]) for line in whole_lines(options)),
    *(line for options in (GRID[0], GRID[4]) for line in stack_lines(options)),
    case(
        "TransformerEncoderLayer",
        4,
        2,
        5,
        0.3,
        "gelu",
        inputs=lambda draw: [draw(3, 2, 4)],
        settings={"modes": ("eval",)},
    ),
    case(
        "TransformerDecoderLayer", 4, 2, 5, 0.3, inputs=lambda draw: [draw(3, 2, 4)] * 2, settings={"modes": ("eval",)}
    ),
    case(
        "Transformer",
        6,
        2,
        custom_encoder=part("TransformerEncoder", part("TransformerEncoderLayer", 6, 3, 4, 0.0), 1),
        custom_decoder=part("TransformerDecoder", part("TransformerDecoderLayer", 6, 1, 4, 0.0), 1),
        inputs=lambda draw: [draw(5, 2, 6), draw(4, 2, 6)],
    ),
]
