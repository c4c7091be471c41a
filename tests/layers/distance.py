"""Lines for nn/distance.py."""

from . import case

CASES = [
    *(
        case("PairwiseDistance", **options, inputs=inputs)
        for options in ({}, {"p": 1}, {"p": 3.0, "eps": 1e-3}, {"keepdim": True})
        for inputs in (lambda draw: [draw(4, 3), draw(4, 3)], lambda draw: [draw(3), draw(3)])
    ),
    case("CosineSimilarity", inputs=lambda draw: [draw(4, 3), draw(4, 3)]),
    case("CosineSimilarity", dim=-1, eps=1e-3, inputs=lambda draw: [draw(2, 4, 3), draw(2, 4, 3)]),
    case("CosineSimilarity", 0, inputs=lambda draw: [draw(3), draw(3)]),
]
