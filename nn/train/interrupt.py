"""Ctrl-C between steps and not within them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Interrupt", "deferred"]


class Interrupt:
    """Whether Ctrl-C was pressed."""

    asked = False


@contextmanager
def deferred() -> Iterator[Interrupt]:
    """A block in which the first Ctrl-C is noted, to be obeyed where nothing is half done; the second one acts at once."""
    interrupt = Interrupt()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield interrupt  # signals go elsewhere, or somebody else looks after them
        return

    def note(number: int, frame: Any) -> None:
        if interrupt.asked:
            signal.default_int_handler(number, frame)
        interrupt.asked = True
        os.write(
            2, b"\nthe step under way is finished first; Ctrl-C again stops at once\n"
        )  # print is not for handlers

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
