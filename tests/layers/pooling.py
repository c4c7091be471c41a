"""Lines for nn/pooling.py."""

import numpy as np

from . import case

SIZES = {1: (9,), 2: (8, 9), 3: (5, 6, 5)}
WINDOWS = [
    (2, {}),
    (3, {"stride": 2}),
    (3, {"padding": 1}),
    (2, {"stride": 2, "padding": 1}),
    (2, {"ceil_mode": True}),
    (3, {"stride": 2, "padding": 1, "ceil_mode": True}),
]
PAIRS = [
    ((2, 3), {"stride": (2, 1)}),
    ((3, 2), {"padding": (1, 0)}),
]


def images(rank, lead=(2, 3)):
    """Inputs of so many axes of pixels."""
    return lambda draw: [draw(*lead, *SIZES[rank])]


def unpooled(small, large, lead=(2, 3)):
    """Numbers, and a different place for each in a larger plane."""

    def inputs(draw):
        planes = int(np.prod(lead))
        count, room = int(np.prod(small)), int(np.prod(large))
        places = np.stack([draw.rng.permutation(room)[:count] for _ in range(planes)])
        return [draw(*lead, *small), places.reshape(*lead, *small)]

    return inputs


def fractional(*shape):
    """Images, and the numbers that lay out the windows, which are else drawn."""
    rank = len(shape) - 2 if len(shape) > 3 else 2
    lead = shape[: len(shape) - rank]
    return lambda draw: [draw(*shape), draw.rng.random((*(1,) * (2 - len(lead)), *lead, rank)).astype(draw.dtype)]


def laid_out(layer, x, samples):
    """A call with windows that are the same each time."""
    layer._random_samples = samples.detach()
    return layer(x)


MAXIMA = [*WINDOWS, (2, {"dilation": 2}), (2, {"return_indices": True, "ceil_mode": True})]
AVERAGES = [*WINDOWS, (3, {"padding": 1, "count_include_pad": False, "stride": 2, "ceil_mode": True})]
POWERS = [
    (norm, kernel, {**options, "ceil_mode": ceil})
    for norm in (1, 2, 3.5)
    for kernel, options in ((2, {}), (3, {"stride": 2}))
    for ceil in (False, True)
]

CASES = [
    *(case(f"MaxPool{d}d", k, inputs=images(d), **o) for d in (1, 2, 3) for k, o in MAXIMA),
    *(case(f"MaxPool{d}d", 3, 2, 1, inputs=images(d, (3,))) for d in (1, 2, 3)),
    *(case("MaxPool2d", k, inputs=images(2), **o) for k, o in PAIRS),
    case("MaxPool2d", (2, 2), (1, 2), return_indices=True, dilation=(1, 3), inputs=images(2, (3,))),
    *(case(f"AvgPool{d}d", k, inputs=images(d), **o) for d in (1, 2, 3) for k, o in AVERAGES),
    *(case(f"AvgPool{d}d", 3, 2, 1, inputs=images(d, (3,))) for d in (1, 2, 3)),
    *(case("AvgPool2d", k, inputs=images(2), **o) for k, o in PAIRS),
    *(case(f"AvgPool{d}d", 2, divisor_override=3, inputs=images(d)) for d in (2, 3)),
    case("AvgPool3d", (1, 2, 3), (2, 1, 1), (0, 1, 1), divisor_override=5, ceil_mode=True, inputs=images(3)),
    *(
        case(f"LPPool{d}d", norm, k, inputs=lambda draw, d=d: [draw.positive(2, 3, *SIZES[d])], **o)
        for d in (1, 2, 3)
        for norm, k, o in POWERS
    ),
    *(case(f"LPPool{d}d", 2, 2, inputs=images(d, (3,))) for d in (1, 2, 3)),
    *(
        case(f"Adaptive{kind}Pool{d}d", size, inputs=images(d, lead))
        for kind in ("Avg", "Max")
        for d in (1, 2, 3)
        for size in (1, 2, 4, (3,) * d)
        for lead in ((2, 3), (3,))
    ),
    *(
        case(f"Adaptive{kind}Pool{len(size)}d", size, inputs=images(len(size)))
        for kind in ("Avg", "Max")
        for size in ((3, 5), (None, 2), (5, None), (2, None, 3), (1, 4, 2), [2, 2])
    ),
    *(case(f"AdaptiveMaxPool{d}d", 3, return_indices=True, inputs=images(d)) for d in (1, 2, 3)),
    case("MaxUnpool1d", 2, inputs=unpooled((4,), (8,))),
    case("MaxUnpool1d", 3, stride=2, padding=1, inputs=unpooled((4,), (7,), (3,))),
    case("MaxUnpool2d", 2, inputs=unpooled((4, 3), (8, 6))),
    case("MaxUnpool2d", (2, 3), stride=(2, 1), padding=(0, 1), inputs=unpooled((4, 3), (8, 3))),
    case("MaxUnpool2d", 3, stride=2, inputs=unpooled((2, 3), (5, 7), (3,))),
    case("MaxUnpool3d", 2, inputs=unpooled((2, 2, 3), (4, 4, 6))),
    *(
        case(
            f"MaxUnpool{len(small)}d",
            2,
            inputs=unpooled(small, large),
            settings={"call": lambda layer, x, places, size=size: layer(x, places, output_size=size)},
        )
        for small, large, size in (((4,), (9,), [9]), ((2, 3), (5, 7), [2, 3, 5, 7]), ((2, 2, 2), (5, 4, 5), (5, 4, 5)))
    ),
    *(
        case(f"FractionalMaxPool{len(shape) - 2}d", 2, inputs=fractional(*shape), settings={"call": laid_out}, **o)
        for shape in ((2, 3, 8, 9), (2, 3, 5, 6, 5))
        for o in ({"output_size": 3}, {"output_ratio": 0.5}, {"output_size": 2, "return_indices": True})
    ),
    case("FractionalMaxPool2d", (2, 3), output_size=(4, 3), inputs=fractional(3, 8, 9), settings={"call": laid_out}),
    case("FractionalMaxPool2d", 2, output_ratio=(0.4, 0.7), inputs=fractional(2, 3, 8, 9), settings={"call": laid_out}),
]
