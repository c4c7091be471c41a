"""Programs drawn at random: Python functions of numbers, with their source, that are smooth near the point drawn with them.

A program is text: assignments, arithmetic, calls of NumPy's functions and, on request, branches, loops and calls of another
function.  So it can be run on numbers, tensors, duals and symbols, and be read by what transforms source.  At its point
no value is large, no domain is near its border and no branch near its switch, so every way to differentiate applies.
"""

import functools
import linecache
import math
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

LARGEST, MARGIN = 6.0, 0.4  # of a value; from where a function is not defined
NAMES = "abc"

# How an operation is written, and where it may be used, by the values of its operands.
ANYWHERE = lambda *values: True
UNARY = {
    "-{0}": ANYWHERE,
    "np.exp({0})": lambda a: a < 1.5,
    "np.log({0})": lambda a: a > MARGIN,
    "np.sin({0})": ANYWHERE,
    "np.cos({0})": ANYWHERE,
    "np.tanh({0})": ANYWHERE,
    "np.sqrt({0})": lambda a: a > MARGIN,
    "{0} ** 2": ANYWHERE,
    "{0} ** 3": ANYWHERE,
    "{0} ** -2": lambda a: abs(a) > MARGIN,
    "{0} ** 0.5": lambda a: a > MARGIN,
    "1.0 / {0}": lambda a: abs(a) > MARGIN,
    "np.log(1.0 + {0} * {0})": ANYWHERE,
    "np.sqrt(1.0 + {0} ** 2)": ANYWHERE,
}
BINARY = {
    "{0} + {1}": ANYWHERE,
    "{0} - {1}": ANYWHERE,
    "{0} * {1}": ANYWHERE,
    "{0} / {1}": lambda a, b: abs(b) > MARGIN,
    "{0} ** {1}": lambda a, b: a > MARGIN and abs(b) < 3,
    "{0} / (1.0 + {1} ** 2)": ANYWHERE,
}
CONSTANTS = ("0.5", "2.0", "3.0", "-1.5", "0.25")

# Several lines that make {0} out of {1}: the branches and loops that symbols refuse.
CONTROL = {
    "if {1} > {2}:\n    {0} = np.sin({1}) + 1.0\nelse:\n    {0} = {1} * {1}": ANYWHERE,
    "{0} = {1}\nfor i in range(3):\n    {0} = 0.5 * {0} + np.sin({0} + i)": ANYWHERE,
    "{0} = {1}\ncount = 0\nwhile count < 2:\n    {0} = np.tanh({0}) * {1}\n    count = count + 1": ANYWHERE,
    "{0} = power({1}, 3)": lambda a: abs(a) < 1.8,
}
HELPER = """\
def power(base, exponent):
    if exponent == 0:
        return 1.0
    return base * power(base, exponent - 1)


"""


@dataclass
class Program:
    """A function of numbers as text, and the point where it is to be differentiated."""

    source: str
    point: tuple[float, ...]
    function: object = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.function = function_of(self.source)

    def __repr__(self) -> str:
        return f"program at {self.point}:\n{self.source}"


def function_of(source: str):
    """The function `program` that a source defines; `inspect.getsource` finds its text."""
    name = f"<program {hash(source):x}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    scope = {"np": np, "__name__": "programs"}
    exec(compile(source, name, "exec"), scope)
    return scope["program"]


@st.composite
def programs(draw, control: bool = False, most: int = 8):
    """Programs of up to `most` operations in one to three inputs; with `control`, branches, loops and recursion, too."""
    names = NAMES[: draw(st.integers(1, 3))]
    values = {n: draw(st.floats(0.3, 2.0).map(lambda v: round(v, 3))) for n in names}
    point, lines = tuple(values.values()), []
    for k in range(draw(st.integers(2, most))):
        text = draw(st.sampled_from(_possible(values, f"t{k}", control)))
        lines += text.splitlines()
        values[f"t{k}"] = _value(text, values, f"t{k}")
    last = [n for n in values if n not in names]
    unused = [n for n in [*names, *last[:-1]] if not any(_uses(line, n) for line in lines)]
    body = [*lines, f"return {' + '.join([last[-1], *unused])}"]
    helper = HELPER if any("power(" in line for line in lines) else ""
    source = f"{helper}def program({', '.join(names)}):\n" + "".join(f"    {line}\n" for line in body)
    return Program(source, point)


def _possible(values: dict[str, float], name: str, control: bool) -> list[str]:
    """The next line, in every way that keeps values small and domains far from their borders."""
    recent, known = list(values)[-4:], values | {c: float(c) for c in CONSTANTS}
    operands = [(a,) for a in recent] + [(a, b) for a in recent for b in known]
    fitting = [
        f"{name} = {form.format(*names)}"
        for names in operands
        for form, fits in (UNARY if len(names) == 1 else BINARY).items()
        if fits(*(at := [known[n] for n in names])) and abs(_evaluated(form)(*at)) < LARGEST
    ]
    for a in recent if control else ():
        away = next(c for c in CONSTANTS if abs(values[a] - float(c)) > 0.1)
        fitting += [form.format(name, a, away) for form, fits in CONTROL.items() if fits(values[a]) for _ in range(20)]
    return fitting


@functools.cache
def _evaluated(form: str):
    """An operation as a function of numbers."""
    return eval(f"lambda a, b=None: {form.format('a', 'b')}", {"np": math, "math": math})


def _value(text: str, values: dict[str, float], name: str) -> float:
    """What some lines give, on numbers."""
    scope = {"np": math, "power": lambda base, exponent: base**exponent, **values}
    exec(text, scope)
    return float(scope[name])


def _uses(line: str, name: str) -> bool:
    return name in line.replace("(", " ").replace(")", " ").replace(",", " ").split()
