"""Lines for nn/shape.py."""

from . import case


def entries(*shape):
    """Inputs of a shape."""
    return lambda draw: [draw(*shape)]


CASES = [
    *(case("Flatten", *args, inputs=entries(2, 3, 4, 2)) for args in ((), (0,), (1, 2), (-3, -2), (2, 2), (0, -1))),
    case("Flatten", inputs=entries(5, 3)),
    case("Flatten", 0, inputs=entries(3)),
    case("Unflatten", 1, (2, 3), inputs=entries(4, 6)),
    case("Unflatten", -1, [3, -1], inputs=entries(2, 5, 6)),
    case("Unflatten", 0, (2, 1, 2), inputs=entries(4)),
]
