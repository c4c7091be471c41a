"""Lines for nn/padding.py."""

from . import case

SIZES = {1: (5,), 2: (4, 5), 3: (4, 3, 5)}
INSIDE = ("ReflectionPad", "ReplicationPad", "CircularPad")
WIDTHS = {1: [2, (1, 3), (0, 2)], 2: [2, (1, 2, 0, 3), (4, 0, 1, 1)], 3: [2, (1, 2, 0, 1, 3, 0), (2, 2, 1, 1, 0, 2)]}
LESS = {1: (-1, 2), 2: (1, -2, 0, 3), 3: (1, 2, -1, 0, 0, 2)}


def images(rank, lead=(2, 3)):
    """Inputs of so many axes of pixels."""
    return lambda draw: [draw(*lead, *SIZES[rank])]


CASES = [
    *(
        case(f"{kind}{rank}d", widths, inputs=images(rank, lead))
        for kind in (*INSIDE, "ZeroPad")
        for rank in (1, 2, 3)
        for widths in WIDTHS[rank]
        for lead in ((2, 3), (3,))
    ),
    *(
        case(f"{kind}{rank}d", LESS[rank], inputs=images(rank))
        for kind in ("ReplicationPad", "CircularPad", "ZeroPad")
        for rank in (1, 2, 3)
    ),
    *(
        case(f"ConstantPad{rank}d", widths, value, inputs=images(rank, lead))
        for rank in (1, 2, 3)
        for widths in (*WIDTHS[rank], LESS[rank])
        for value in (-2.5, 3)
        for lead in ((2, 3), ())
    ),
]
