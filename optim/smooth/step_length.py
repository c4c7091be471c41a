"""One search along a direction, for methods of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from ..checks import number
from .forms import Form
from .lines import SEARCHES, Line
from .minimize import named
from .objectives import Objective


def step_length(
    f: Callable,
    x: Any,
    direction: Any,
    method: str = "wolfe",
    first: float = 1.0,
    c1: float = 1e-4,
    c2: float = 0.9,
    longest: float = inf,
    args: tuple = (),
) -> float:
    """How far to go from x along a direction that leads down.

    "wolfe" ends where the strong Wolfe conditions hold (Moré and Thuente), "exact" at the lowest point (Brent), and
    "backtracking" at the first of shrinking steps that lowers f enough.  `first` is tried first.
    """
    who = "step_length"
    search = SEARCHES[named(method, SEARCHES, who, "method")]
    objective = Objective(f, x, args, who)
    way = Form(direction, who, "direction")
    if way.shapes != objective.form.shapes:
        raise ValueError(f"{who}: direction has shapes {way.shapes}, but x has {objective.form.shapes}")
    for name, value in ("first", first), ("longest", longest), ("c1", c1), ("c2", c2):
        number(value, who, name)
    if not (first > 0 and longest > 0 and 0 < c1 < c2 < 1):
        raise ValueError(
            f"{who}: needed are first > 0, longest > 0 and 0 < c1 < c2 < 1; got {first}, {longest}, {c1}, {c2}"
        )
    start = objective.form.start()
    line = Line(objective.value_and_gradient, start, *objective.begin(start), way.start())
    if not line.slope < 0:
        raise ValueError(f"{who}: the direction does not lead down: the slope is {line.slope:g}; try its negative")
    point = search(line, first, c1=c1, c2=c2, longest=longest)
    if point is None:
        raise ValueError(f"{who}: no lower value was found along the direction; is the gradient right and f smooth?")
    return point.t
