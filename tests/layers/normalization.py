"""Lines for nn/normalization.py."""

from . import case

SIZES = {1: (5,), 2: (3, 4), 3: (2, 3, 2)}
KINDS = [
    {},
    {"affine": False},
    {"bias": False},
    {"track_running_stats": False},
    {"affine": False, "track_running_stats": False},
    {"momentum": None},
    {"momentum": 0.7, "eps": 1e-3},
]


def images(rank, lead=(4, 3)):
    """Inputs with so many axes after the channels."""
    return lambda draw: [draw(*lead, *SIZES.get(rank, ())) * 2 + 1]


def thrice(layer, x):
    """Three calls, so that running statistics run."""
    return layer(x), layer(x * 2 + 1), layer(-x)


THRICE = {"call": thrice}

CASES = [
    *(
        case(f"BatchNorm{d}d", 3, inputs=images(d), settings=settings, **options)
        for d in (1, 2, 3)
        for options in KINDS
        for settings in ({}, THRICE)
    ),
    *(case("BatchNorm1d", 3, inputs=images(0), settings=THRICE, **options) for options in KINDS),
    *(case("SyncBatchNorm", 3, inputs=images(d), settings=THRICE, **KINDS[d]) for d in (0, 1, 2, 3)),
    # With neither weights nor statistics PyTorch's never learns the number of channels, and prints 0.
    *(
        case(f"LazyBatchNorm{d}d", inputs=images(d), settings=THRICE, **options)
        for d in (1, 2, 3)
        for options in KINDS
        if options.get("affine", True) or options.get("track_running_stats", True)
    ),
    case("LazyBatchNorm1d", inputs=images(0)),
    *(
        case(f"InstanceNorm{d}d", 3, inputs=images(d, lead), settings=THRICE, affine=affine, **options)
        for d in (1, 2, 3)
        for lead in ((4, 3), (3,))
        for affine in (False, True)
        for options in ({}, {"track_running_stats": True}, {"track_running_stats": True, "momentum": 0.6, "eps": 0.1})
    ),
    *(case(f"InstanceNorm{d}d", 3, affine=True, bias=False, inputs=images(d)) for d in (1, 2, 3)),
    *(
        case(f"LazyInstanceNorm{d}d", inputs=images(d), settings=THRICE, **options)
        for d in (1, 2, 3)
        for options in ({}, {"affine": False}, {"track_running_stats": False}, {"bias": False})
    ),
    *(
        case("LayerNorm", shape, inputs=inputs, **options)
        for shape, inputs in (
            (4, lambda draw: [draw(2, 3, 4)]),
            (4, lambda draw: [draw(4)]),
            ([3, 4], lambda draw: [draw(2, 3, 4)]),
            ((2, 3, 4), lambda draw: [draw(5, 2, 3, 4)]),
        )
        for options in ({}, {"elementwise_affine": False}, {"bias": False}, {"eps": 0.1})
    ),
    case("LayerNorm", 64, inputs=lambda draw: [draw(40, 64)]),
    *(
        case("RMSNorm", shape, inputs=lambda draw: [draw(2, 3, 4)], **options)
        for shape in (4, [3, 4], (2, 3, 4))
        for options in ({}, {"elementwise_affine": False}, {"eps": 0.1})
    ),
    *(
        case("GroupNorm", groups, 6, inputs=inputs, **options)
        for groups in (1, 2, 6)
        for options in ({}, {"affine": False}, {"bias": False}, {"eps": 0.1})
        for inputs in (
            lambda draw: [draw(2, 6, 3)],
            lambda draw: [draw(2, 6, 3, 2)],
            lambda draw: [draw(1, 6, 2, 3, 2)],
        )
    ),
    case("GroupNorm", 2, 6, inputs=lambda draw: [draw(4, 6)]),
    *(
        case("LocalResponseNorm", size, inputs=inputs, **options)
        for size in (1, 2, 3, 5)
        for options in ({}, {"alpha": 0.5, "beta": 0.6, "k": 2.0})
        for inputs in (
            lambda draw: [draw(2, 6, 3)],
            lambda draw: [draw(2, 6, 3, 2)],
            lambda draw: [draw(1, 2, 2, 3, 2)],
        )
    ),
    # PyTorch's sums never lose the first channel, and its gradients are those of other neighbours: only of one channel
    # are they right, and values while no channel is to leave a sum.  More channels: tests/test_layers.py.
    *(
        case("CrossMapLRN2d", size, inputs=inputs, settings=settings, **options)
        for size in (3, 5)
        for options in ({}, {"alpha": 0.5, "beta": 0.6, "k": 2.0})
        for inputs, settings in (
            (lambda draw: [draw(2, 1, 3, 2)], {}),
            (lambda draw, n=(size + 1) // 2: [draw(2, n, 3, 2)], {"call": lambda layer, x: layer(x.detach())}),
        )
    ),
]
