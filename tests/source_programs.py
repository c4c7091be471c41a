"""Programs as source text, drawn at random: loops, branches, early exits, arrays that are read and written."""

from __future__ import annotations

import itertools
import linecache

import numpy as np
from hypothesis import strategies as st

COUNTER = itertools.count()
NUMBERS = ["a", "b", "c"]  # floats; a is a parameter
WHOLE = ["i", "j", "k"]  # variables of loops, by depth
ARRAYS = {"x": 4, "y": 4}  # x is a parameter, y is made
HELPERS = """\
def pair(v):
    return v * 0.5, np.tanh(v)


def halved(v, k):
    v[k] = v[k] * 0.5
    return v[k] * v[0]


def one_of(v, w, c):
    return v if c > 0.2 else w


"""  # functions of several results, with side effects, and with a choice of arrays


def function(text: str, name: str = "f", **scope):
    """The function that a text defines, with a source that can be found again."""
    file = f"<program {next(COUNTER)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    names = {"np": np, **scope}
    exec(compile(text, file, "exec"), names)
    return names[name]


class Writer:
    """Draws one program."""

    def __init__(self, draw):
        self.draw, self.lines, self.depth, self.loops, self.steps = draw, [], 1, 0, 0

    def pick(self, *choices):
        return self.draw(st.sampled_from(choices))

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def index(self) -> str:
        inside = WHOLE[: self.loops]
        if inside and self.draw(st.booleans()):
            return self.pick(
                *inside, *(f"{i} - 1" for i in inside), *(f"3 - {i}" for i in inside), *(f"-1 - {i}" for i in inside)
            )
        return str(self.draw(st.integers(-4, 3)))

    def leaf(self) -> str:
        kind = self.draw(st.integers(0, 5))
        if kind <= 2:
            return self.pick(*NUMBERS)
        if kind == 3:
            return f"({self.pick(*ARRAYS)}[{self.index()}] * 1.0)"
        if kind == 4 and self.loops:
            return f"({self.pick(*WHOLE[: self.loops])} - 1.5)"
        return self.pick("0.5", "-1.25", "2.0", "n")

    def number(self, depth: int = 2) -> str:
        """A float."""
        kind = self.draw(st.integers(0, 9)) if depth else 0
        if kind <= 2:
            return self.leaf()
        part = lambda: self.number(depth - 1)
        if kind <= 6:
            return f"({part()} {self.pick('+', '-', '*')} {part()})"
        if kind == 7:
            return f"{self.pick('np.sin', 'np.tanh', 'np.cos', 'np.arctan')}({part()})"
        if kind == 8:
            return self.pick(
                f"({part()}) / (1.5 + np.sin({part()}))",
                f"(np.tanh({part()}))**2",
                f"-({part()})",
                f"np.exp(-({part()})**2)",
            )
        return self.pick(
            f"np.sum({self.array(1)})",
            f"({part()} if {self.test()} else {part()})",
            f"np.dot(x * 1.0, {self.array(1)})",
        )

    def test(self) -> str:
        inside = WHOLE[: self.loops]
        if inside and self.draw(st.booleans()):
            return f"{self.pick(*inside)} {self.pick('<', '==', '>=')} {self.draw(st.integers(0, 3))}"
        return f"{self.pick(*NUMBERS)} {self.pick('<', '>')} {self.pick('0.1', '-0.3', '0.7')}"

    def array(self, depth: int = 1) -> str:
        """Four floats."""
        kind = self.draw(st.integers(0, 6)) if depth else 0
        if kind <= 1:
            return f"({self.pick(*ARRAYS)} * 1.0)"
        part = lambda: self.array(depth - 1)
        if kind <= 3:
            return f"({part()} {self.pick('+', '-', '*')} {part()})"
        if kind == 4:
            return f"({part()} * {self.number(0)})"
        return f"{self.pick('np.sin', 'np.tanh', '-')}({part()})"

    def bounded(self, text: str) -> str:
        """A number that does not grow from turn to turn, and is no second name of a tensor, which += would change."""
        text = f"{text} * 1.0" if text in NUMBERS else text
        return f"np.tanh({text})" if self.loops else text

    def statement(self) -> None:
        self.steps += 1
        kind = self.draw(st.integers(0, 19))
        if kind == 16:
            targets = self.pick("a, (b, c)", "(c, a), b", "b, a, c")
            first, *others = (self.bounded(self.number(1)) for _ in range(3))
            values = {"a, (b, c)": "{}, ({}, {})", "(c, a), b": "({}, {}), {}"}.get(targets, "{}, {}, {}")
            self.line(f"{targets} = {values.format(first, *others)}")
        elif kind == 17:
            self.line(f"({self.pick('a, b', 'c, a')}), x1 = pair({self.number(1)}), {self.bounded(self.number(1))}")
            self.line("b = x1 * 0.5")
        elif kind == 18:
            w = self.pick("x * 0.25", "y", f"({self.array(1)})[::-1]")
            self.line(f"z = {self.pick(f'y if {self.test()} else {w}', f'one_of(y, {w}, {self.number(0)})')}")
            self.line(f"z[{self.index()}] {self.pick('=', '-=')} {self.bounded(self.number(1))}")
        elif kind == 19:
            call = f"halved({self.pick('y', 'y[1:]', 'y[::-1]')}, {self.draw(st.integers(0, 2))})"
            target = self.pick(*NUMBERS, f"y[{self.index()}]")
            self.line(f"{target} = {self.bounded(f'{self.number(1)} + {call} * {self.number(1)}')}")
        elif kind <= 3:
            self.line(f"{self.pick(*NUMBERS)} = {self.bounded(self.number())}")
        elif kind == 4:
            self.line(f"{self.pick(*NUMBERS)} {self.pick('+=', '-=')} {self.number()}")
        elif kind == 5:
            self.line(f"{self.pick(*NUMBERS)} *= np.cos({self.number()})")
        elif kind <= 7:
            self.line(f"y[{self.index()}] = {self.bounded(self.number())}")
        elif kind == 8:
            self.line(f"y[{self.index()}] {self.pick('+=', '-=')} {self.number()}")
        elif kind == 9:
            slices = [("1:", ":-1"), (":2", "2:"), ("::2", "1::2"), ("1:3", "::3"), (":", "::-1")]
            to, of = self.draw(st.sampled_from(slices))
            self.line(f"y[{to}] = ({self.pick(*ARRAYS)}[{of}] * 1.0) * {self.bounded(self.number(1))}")
        elif kind == 10:
            self.line(f"y = np.tanh({self.array(2)})")
        elif kind == 11:
            self.line(
                f"{self.pick('a, b', 'b, c', 'c, a')} = {self.bounded(self.number(1))}, {self.bounded(self.number(1))}"
            )
        elif kind == 12 and self.loops:
            self.exit()
        else:
            self.block()

    def exit(self) -> None:
        self.line(f"if {self.test()}:")
        self.depth += 1
        for _ in range(self.draw(st.integers(0, 1))):
            self.line(f"{self.pick(*NUMBERS)} = {self.bounded(self.number(1))}")
        self.line(self.pick("break", "continue", f"return {self.number(1)}", "break"))
        self.depth -= 1

    def block(self) -> None:
        if self.depth > 4 or self.steps > 16:
            return self.line("c = c + a * 0.5")
        kind = self.draw(st.integers(0, 4))
        if kind <= 1 and self.loops < 3:
            head = self.pick(
                "range(3)", "range(n)", "range(1, 4)", "range(3, -1, -1)", "range(n - 2)", "range(0, 4, 2)"
            )
            self.line(f"for {WHOLE[self.loops]} in {head}:")
            self.loops += 1
            self.inside()
            self.loops -= 1
        elif kind == 2 and self.loops < 3:
            k = WHOLE[self.loops]
            self.line(f"{k} = 0")
            self.line(f"while {k} < {self.pick('2', 'n')}{self.pick('', ' and c < 3.0')}:")
            self.depth += 1
            self.line(f"{k} += 1")
            self.depth -= 1
            self.loops += 1
            self.inside()
            self.loops -= 1
        else:
            self.line(f"if {self.test()}:")
            self.inside()
            if self.draw(st.booleans()):
                self.line(f"elif {self.test()}:")
                self.inside()
            if self.draw(st.booleans()):
                self.line("else:")
                self.inside()
        return None

    def inside(self) -> None:
        self.depth += 1
        for _ in range(self.draw(st.integers(1, 3))):
            self.statement()
        self.depth -= 1


@st.composite
def programs(draw) -> str:
    """The text of a function f(a, x, n) of a number, four numbers and a whole number."""
    writer = Writer(draw)
    writer.line("b, c = a * 0.5, 1.0 + 0.0 * a")
    writer.line("y = x * 0.5")
    for _ in range(draw(st.integers(2, 5))):
        writer.statement()
    writer.line(
        f"return {writer.pick('c', 'a + b * c', 'c + np.sum(y * 1.0)', 'b * y[1]')} + np.sum((y * 1.0) * x) * 0.25"
    )
    return HELPERS + "def f(a, x, n):\n" + "\n".join(writer.lines) + "\n"
