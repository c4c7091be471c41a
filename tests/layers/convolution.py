"""Lines for nn/convolution.py."""

from . import case

SIZES = {1: (7,), 2: (6, 7), 3: (4, 5, 4)}
GIVEN = [
    {},
    {"stride": 2},
    {"padding": 1, "bias": False},
    {"padding": 2, "dilation": 2},
    {"groups": 2},
    {"groups": 4, "padding": 1},
    {"padding": "same"},
    {"padding": "same", "dilation": 2, "groups": 2, "bias": False},
    {"padding": "valid", "stride": 2},
    {"padding": 1, "padding_mode": "reflect"},
    {"padding": 2, "padding_mode": "replicate", "stride": 2},
    {"padding": 2, "padding_mode": "circular", "dilation": 2},
    {"padding": "same", "padding_mode": "circular"},
    {"padding": "same", "padding_mode": "reflect", "bias": False},
    {"padding": "valid", "padding_mode": "replicate"},
]
TRANSPOSED = [
    {},
    {"stride": 2},
    {"padding": 1, "bias": False},
    {"padding": 2, "dilation": 2},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": 3, "output_padding": 2, "groups": 2},
    {"dilation": 3, "output_padding": 2},
    {"groups": 4},
]
PAIRS = [
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)},
    {"kernel_size": [1, 3], "padding": [0, 2], "padding_mode": "circular"},
    {"kernel_size": (2, 4), "padding": "same", "padding_mode": "reflect"},
    {"kernel_size": 1, "bias": False},
    {"kernel_size": 5, "stride": 2, "padding": 2},
]
TRANSPOSED_PAIRS = [
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "output_padding": (1, 0)},
    {"kernel_size": (1, 3), "stride": (1, 3), "dilation": (1, 2), "output_padding": (0, 2)},
]


def images(rank, lead=(2,), channels=4):
    """Inputs of so many axes of pixels."""
    return lambda draw: [draw(*lead, channels, *SIZES[rank])]


def to_size(size):
    """A call that says how large the result is to be."""
    return {"call": lambda layer, x: layer(x, output_size=size)}


CASES = [
    *(
        case(f"Conv{rank}d", 4, 8, 3 if rank < 3 else 2, inputs=images(rank), **options)
        for rank in (1, 2, 3)
        for options in GIVEN
    ),
    *(case(f"Conv{rank}d", 4, 2, 2, padding=1, inputs=images(rank, ())) for rank in (1, 2, 3)),
    *(
        case(f"Conv{rank}d", 4, 2, 2, padding=1, padding_mode=mode, inputs=images(rank, ()))
        for rank in (1, 2, 3)
        for mode in ("reflect", "replicate", "circular")
    ),
    *(case("Conv2d", 4, 3, inputs=images(2), **options) for options in PAIRS),
    case("Conv3d", 2, 3, (1, 2, 3), (1, 2, 1), (0, 1, 1), inputs=images(3, channels=2)),
    case("Conv1d", 1, 1, 1, inputs=images(1, channels=1)),
    case("Conv2d", 3, 16, 3, padding=1, inputs=lambda draw: [draw(4, 3, 20, 20)]),
    case("Conv2d", 16, 16, 3, 1, 1, 1, 16, inputs=lambda draw: [draw(2, 16, 12, 12)]),
    case("Conv1d", 3, 2, 3, inputs=lambda draw: [draw(0, 3, 5)]),
    *(
        case(f"ConvTranspose{rank}d", 4, 8, 3 if rank < 3 else 2, inputs=images(rank), **options)
        for rank in (1, 2, 3)
        for options in TRANSPOSED
    ),
    *(case(f"ConvTranspose{rank}d", 4, 2, 2, 2, inputs=images(rank, ())) for rank in (1, 2, 3)),
    *(case("ConvTranspose2d", 4, 3, inputs=images(2), **options) for options in TRANSPOSED_PAIRS),
    *(
        case("ConvTranspose2d", 4, 3, 3, stride=2, padding=1, inputs=images(2), settings=to_size(size))
        for size in ([12, 13], (12, 14), [2, 3, 11, 14])
    ),
    case("ConvTranspose1d", 4, 3, 2, stride=3, inputs=images(1, ()), settings=to_size([22])),
    case("ConvTranspose3d", 4, 2, 2, stride=2, inputs=images(3), settings=to_size([9, 11, 8])),
    *(
        case(f"LazyConv{rank}d", 8, 2, inputs=inputs, **options)
        for rank in (1, 2, 3)
        for options in ({}, {"groups": 2, "bias": False}, {"padding": 1, "padding_mode": "circular", "stride": 2})
        for inputs in (images(rank), images(rank, ()))
    ),
    *(
        case(f"LazyConvTranspose{rank}d", 8, 2, inputs=inputs, **options)
        for rank in (1, 2, 3)
        for options in ({}, {"groups": 2, "bias": False}, {"stride": 2, "output_padding": 1, "dilation": 2})
        for inputs in (images(rank), images(rank, ()))
    ),
    case("LazyConvTranspose2d", 3, 3, 2, inputs=images(2), settings=to_size([14, 16])),
    *(
        case("Unfold", *args, inputs=lambda draw: [draw(2, 3, 6, 7)], **options)
        for args in ((2,), ((2, 3),))
        for options in ({}, {"padding": 1}, {"stride": 2}, {"dilation": 2, "padding": (1, 2), "stride": (1, 2)})
    ),
    case("Unfold", 2, inputs=lambda draw: [draw(3, 4, 4)]),
    case("Fold", (4, 5), (2, 3), inputs=lambda draw: [draw(2, 12, 9)]),
    case("Fold", 4, 2, inputs=lambda draw: [draw(8, 9)]),
    case("Fold", (4, 5), 2, dilation=2, padding=1, stride=(2, 1), inputs=lambda draw: [draw(2, 8, 10)]),
]
