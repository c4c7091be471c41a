"""Lines for nn/resampling.py."""

from . import case

SIZES = {1: (5,), 2: (4, 5), 3: (3, 4, 2)}
MODES = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "area": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "trilinear": (3,),
}
FACTORS = {1: (1.5,), 2: (2.5, 0.6), 3: (1.5, 2.0, 3.0)}
CORNERS = ("linear", "bilinear", "bicubic", "trilinear")


def images(rank):
    """Inputs of so many axes of pixels."""
    return lambda draw: [draw(2, 3, *SIZES[rank])]


CASES = [
    *(
        case("Upsample", inputs=images(rank), mode=mode, **size)
        for mode, ranks in MODES.items()
        for rank in ranks
        for size in ({"size": 7}, {"size": (6, 3, 4)[:rank]}, {"scale_factor": 2}, {"scale_factor": FACTORS[rank]})
    ),
    *(
        case("Upsample", inputs=images(MODES[mode][0]), mode=mode, align_corners=align, **size)
        for mode in CORNERS
        for align in (True, False)
        for size in ({"size": 7}, {"scale_factor": 1.7}, {"scale_factor": 1.7, "recompute_scale_factor": True})
    ),
    case("Upsample", (7, 9), inputs=images(2)),
    *(case("UpsamplingNearest2d", inputs=images(2), **s) for s in ({"size": (7, 9)}, {"scale_factor": 2}, {"size": 6})),
    *(case("UpsamplingBilinear2d", inputs=images(2), **s) for s in ({"size": (7, 9)}, {"scale_factor": (2, 1.5)})),
    *(
        case(name, number, inputs=lambda draw, shape=shape: [draw(*shape)])
        for name, number, shape in (
            ("PixelShuffle", 2, (2, 8, 3, 4)),
            ("PixelShuffle", 3, (9, 2, 1)),
            ("PixelShuffle", 2, (2, 3, 4, 3, 2)),
            ("PixelUnshuffle", 2, (2, 3, 4, 6)),
            ("PixelUnshuffle", 3, (2, 6, 3)),
            ("PixelUnshuffle", 1, (2, 3, 4, 3, 2)),
            ("ChannelShuffle", 2, (2, 6, 3, 4)),
            ("ChannelShuffle", 3, (1, 6, 4)),
            ("ChannelShuffle", 1, (2, 4, 3, 2, 2)),
        )
    ),
]
