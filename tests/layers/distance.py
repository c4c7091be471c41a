"""Lines for nn/distance.py."""

from . import case


def pairs(first, second=None):
    """Two inputs."""
    return lambda draw: [draw(*first), draw(*(second or first))]


CASES = [
    *(
        case("PairwiseDistance", *args, inputs=inputs, **options)
        for args in ((), (1,), (3.5, 1e-3), (float("inf"),))
        for options in ({}, {"keepdim": True})
        for inputs in (pairs((4, 3)), pairs((3,)), pairs((2, 4, 3), (4, 3)))
    ),
    *(
        case("CosineSimilarity", *args, inputs=inputs)
        for args in ((), (0,), (-1, 0.5))
        for inputs in (pairs((4, 3)), pairs((4, 1, 3), (1, 5, 3)))
    ),
]
