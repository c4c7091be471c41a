"""Lines for nn/linear.py."""

from . import case

CASES = [
    case("Identity", inputs=lambda draw: [draw(2, 3)]),
    case("Identity", 54, unused=1, inputs=lambda draw: [draw(3)]),
    *(
        case("Linear", 3, 4, bias=bias, inputs=inputs)
        for bias in (True, False)
        for inputs in (lambda draw: [draw(3)], lambda draw: [draw(5, 3)], lambda draw: [draw(2, 1, 5, 3)])
    ),
    case("Linear", 3, 1, inputs=lambda draw: [draw(0, 3)]),
    case("LazyLinear", 4, inputs=lambda draw: [draw(5, 3)]),
    case("LazyLinear", 4, bias=False, inputs=lambda draw: [draw(2, 5, 3)]),
    case("Bilinear", 3, 4, 2, inputs=lambda draw: [draw(5, 3), draw(5, 4)]),
    case("Bilinear", 3, 4, 1, bias=False, inputs=lambda draw: [draw(2, 5, 3), draw(2, 5, 4)]),
]
