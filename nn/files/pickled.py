"""A reader of pickles that builds plain values and calls nothing but what it is given by name.

Python's own unpickler runs whatever a file asks for.  This one knows the instructions that plain values need; a name is
looked up in a table, never imported, and each instruction takes memory in proportion to its own bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .source import shown

DEEPEST = 100
LARGEST_STATE = 10_000_000  # values, counting a shared one each time it is met
_KEYS = (str, bytes, int, float, complex, bool, type(None))


class PickleError(ValueError):
    """A pickle that is damaged, or asks for what is not in the table."""


@dataclass(frozen=True)
class Known:
    """What a name in a pickle stands for: a function that a file may have called."""

    name: str
    call: Callable


def unpickle(data: bytes, names: Mapping[str, Any], persistent: Callable[[Any], Any], build: Callable) -> Any:
    """The value a pickle stands for: `names` are what it may ask for, `build(value, state)` what a state is put into."""
    return _Machine(data, names, persistent, build).run()


class _Machine:
    def __init__(self, data: bytes, names: Mapping[str, Any], persistent: Callable[[Any], Any], build: Callable):
        self.data, self.names, self.persistent, self.build = data, names, persistent, build
        self.position = 0
        self.stack: list = []
        self.stacks: list[list] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Follow the instructions to the end."""
        data, table = self.data, _INSTRUCTIONS
        try:
            while True:
                at = self.position
                code = data[at] if at < len(data) else -1
                if code == 0x2E:  # STOP
                    return self._result()
                self.position = at + 1
                instruction = table.get(code)
                if instruction is None:
                    raise PickleError(
                        "it ends without an end" if code < 0 else f"{code:#04x} is no instruction for plain values"
                    )
                instruction(self)
        except PickleError as error:
            raise PickleError(f"at byte {at} of its pickle: {error}") from None
        except IndexError:
            raise PickleError(f"at byte {at} of its pickle: an instruction finds nothing to work on") from None

    def _result(self) -> Any:
        if self.stacks or len(self.stack) != 1:
            raise PickleError("more or less than one value is left")
        return self.stack[0]

    # --- what instructions are made of ---

    def take(self, count: int) -> bytes:
        """The next bytes."""
        begin, self.position = self.position, self.position + count
        if self.position > len(self.data):
            raise PickleError(f"{shown(count)} bytes are wanted, and {len(self.data) - begin} are left")
        return self.data[begin : self.position]

    def number(self, form: str) -> Any:
        """The next bytes as a number."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        """The bytes up to the end of the line, as text."""
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise PickleError("a line has no end")
        text = self.take(end - self.position)
        self.position += 1
        return _text(text)

    def marked(self) -> list:
        """All that came onto the stack since the last mark."""
        items = self.stack
        self.stack = self.stacks.pop()
        return items

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def top(self, kind: type) -> Any:
        """The value on top of the stack, which has to be of a kind."""
        if type(self.stack[-1]) is not kind:
            raise PickleError(f"a {kind.__name__} is to be changed, and {type(self.stack[-1]).__name__} is there")
        return self.stack[-1]

    # --- instructions ---

    def protocol(self) -> None:
        if self.take(1)[0] > 5:
            raise PickleError("it has a protocol above 5")

    def mark(self) -> None:
        self.stacks.append(self.stack)
        self.stack = []

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        self.push(items)

    def marked_tuple(self) -> None:
        items = tuple(self.marked())
        self.push(items)

    def append(self, items: list) -> None:
        self.top(list).extend(items)

    def set_items(self, items: list) -> None:
        target = self.top(dict)
        if len(items) % 2:
            raise PickleError("a key has no value")
        for key, value in zip(items[::2], items[1::2]):
            if type(key) not in _KEYS and not (type(key) is tuple and all(type(k) in _KEYS for k in key)):
                raise PickleError(f"a key is a {type(key).__name__}; keys are text, numbers, None or tuples of these")
            target[key] = value

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise PickleError(f"value {index} was never remembered")
        self.push(self.memo[index])

    def find(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("a name is no text")
        full = f"{module}.{name}".replace("__builtin__.", "builtins.", 1)
        if full not in self.names:
            raise PickleError(
                f"it asks for {shown(full)}, which is not among what weights are made of; nothing was run"
            )
        self.push(self.names[full])

    def find_on_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.find(module, name)

    def reduce(self) -> None:
        args, known = self.stack.pop(), self.stack.pop()
        if type(known) is not Known or type(args) is not tuple:
            raise PickleError("what is to be called is not a function that weights are made by")
        try:
            self.push(known.call(*args))
        except TypeError:
            raise PickleError(f"{known.name} is given {len(args)} values that do not suit it") from None

    def set_state(self) -> None:
        state = self.stack.pop()
        self.stack[-1] = self.build(self.stack[-1], state)

    def persist(self) -> None:
        self.push(self.persistent(self.stack.pop()))


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise PickleError("text is not UTF-8") from None


def _string(data: bytes) -> str:
    """A string of Python 2, where text was bytes."""
    return data.decode("latin-1")


def _integer(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


_M = _Machine
_INSTRUCTIONS: dict[int, Callable[[_Machine], Any]] = {
    code[0]: instruction
    for code, instruction in {
        b"\x80": _M.protocol, b"\x95": lambda m: m.take(8),  # the length of a frame says nothing new
        b"(": _M.mark, b"0": lambda m: m.stack.pop(), b"1": _M.marked, b"2": lambda m: m.push(m.stack[-1]),
        b"N": lambda m: m.push(None), b"\x88": lambda m: m.push(True), b"\x89": lambda m: m.push(False),
        b"J": lambda m: m.push(m.number("<i")), b"K": lambda m: m.push(m.number("<B")),
        b"M": lambda m: m.push(m.number("<H")), b"G": lambda m: m.push(m.number(">d")),
        b"\x8a": lambda m: m.push(_integer(m.take(m.number("<B")))),
        b"\x8b": lambda m: m.push(_integer(m.take(m.number("<I")))),
        b"X": lambda m: m.push(_text(m.take(m.number("<I")))),
        b"\x8c": lambda m: m.push(_text(m.take(m.number("<B")))),
        b"\x8d": lambda m: m.push(_text(m.take(m.number("<Q")))),
        b"T": lambda m: m.push(_string(m.take(m.number("<I")))),
        b"U": lambda m: m.push(_string(m.take(m.number("<B")))),
        b"B": lambda m: m.push(m.take(m.number("<I"))), b"C": lambda m: m.push(m.take(m.number("<B"))),
        b"\x8e": lambda m: m.push(m.take(m.number("<Q"))),
        b")": lambda m: m.push(()), b"t": _M.marked_tuple, b"\x85": lambda m: m.tuple_of(1),
        b"\x86": lambda m: m.tuple_of(2), b"\x87": lambda m: m.tuple_of(3),
        b"]": lambda m: m.push([]), b"a": lambda m: m.append([m.stack.pop()]), b"e": lambda m: m.append(m.marked()),
        b"}": lambda m: m.push({}), b"u": lambda m: m.set_items(m.marked()), b"s": _M.set_item,
        b"q": lambda m: m.remember(m.number("<B")), b"r": lambda m: m.remember(m.number("<I")),
        b"\x94": lambda m: m.remember(len(m.memo)),
        b"h": lambda m: m.recall(m.number("<B")), b"j": lambda m: m.recall(m.number("<I")),
        b"c": lambda m: m.find(m.line(), m.line()), b"\x93": _M.find_on_stack, b"R": _M.reduce,
        b"b": _M.set_state, b"Q": _M.persist,
    }.items()
}  # fmt: skip


def require_plain(value: Any, plain: tuple[type, ...]) -> None:
    """Raise unless a state is of these types and containers of them, not too deep, not in itself, and not too large."""
    sizes: dict[int, tuple[int, int]] = {}

    def measured(value: Any, depth: int) -> tuple[int, int]:
        """How deep and how large it is."""
        if type(value) not in (list, tuple, dict):
            if not isinstance(value, plain):
                raise PickleError(f"a {type(value).__name__} is left where a value should be")
            return 0, 1
        known = sizes.get(id(value))
        if known is None:
            if depth > DEEPEST:
                raise PickleError(f"its state is nested more than {DEEPEST} deep, or holds itself")
            parts = [measured(part, depth + 1) for part in (value.values() if type(value) is dict else value)]
            known = 1 + max((d for d, _ in parts), default=0), 1 + sum(n for _, n in parts)
            sizes[id(value)] = known
        if depth + known[0] > DEEPEST + 1 or known[1] > LARGEST_STATE:
            raise PickleError(f"its state is nested more than {DEEPEST} deep, or has over {LARGEST_STATE} values")
        return known

    measured(value, 0)
