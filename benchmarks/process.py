"""A process that does rows in one way, seen from the runner: what it is asked, and what became of it."""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from . import peers

ROOT = Path(__file__).parent.parent


class Trouble(Exception):
    """A way cannot do a row; the message says why."""


class Gone(Trouble):
    """And its process is no more."""


class Process:
    """`benchmarks.worker` for one way, with the libraries of a tree and so many threads."""

    def __init__(self, way: str, threads: int, tree: Path = ROOT, command: list[str] | None = None):
        self.way = way
        self.said = tempfile.TemporaryFile()
        paths = os.pathsep.join(filter(None, [str(tree), os.environ.get("PYTHONPATH", "")]))
        environment = {**os.environ, **peers.environment(way, threads), "PYTHONPATH": paths}
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "benchmarks.worker", way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            env=environment,
            cwd=tree,
        )
        self.answers: queue.Queue = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.about: dict[str, Any] = {}

    def _listen(self) -> None:
        try:
            while True:
                self.answers.put(pickle.load(self.process.stdout))  # type: ignore[arg-type]
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            self.answers.put(None)

    def tell(self, name: str, *arguments: Any) -> None:
        """Send an order."""
        try:
            pickle.dump((name, arguments), self.process.stdin)  # type: ignore[arg-type]
            self.process.stdin.flush()  # type: ignore[union-attr]
        except (OSError, ValueError):
            raise Gone(f"ended: {self.last_words()}") from None

    def answer(self, timeout: float) -> Any:
        """What it answers to the first order that it has not answered yet."""
        try:
            told = self.answers.get(timeout=timeout)
        except queue.Empty:
            self.end()
            raise Gone(f"took longer than {timeout:.0f} s") from None
        if told is None:
            self.process.wait()
            raise Gone(f"ended with status {self.process.returncode}: {self.last_words()}")
        fine, value = told
        if not fine:
            raise Trouble(value)
        return value

    def ask(self, name: str, *arguments: Any, timeout: float) -> Any:
        """An order and its answer."""
        self.tell(name, *arguments)
        return self.answer(timeout)

    def last_words(self) -> str:
        """The end of what it wrote where errors go."""
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").strip().splitlines()
        return lines[-1][-300:] if lines else "it said nothing"

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()  # type: ignore[union-attr]
            except OSError:
                pass
        self.said.close()


class Crew:
    """The processes of the rows of a group, by way; started when they are first wanted."""

    def __init__(self, threads: int, trees: dict[str, Path] | None = None):
        self.threads, self.trees = threads, trees or {}
        self.processes: dict[str, Process] = {}
        self.without: dict[str, str] = {}  # ways whose library cannot be imported, and why

    def gather(self, ways: list[str], timeout: float) -> dict[str, str]:
        """Have a process for each way, with its library imported; tells which could not be had, and why."""
        wanted = [way for way in ways if way not in self.processes and way not in self.without]
        for way in wanted:
            self.processes[way] = Process(way, self.threads, self.trees.get(way.partition("@")[2], ROOT))
            with self.careful(way, self.without):
                self.processes[way].tell("load")  # all at once
        for way in wanted:
            if way not in self.without:
                with self.careful(way, self.without):
                    self.processes[way].about = self.processes[way].answer(timeout)
        for way in set(wanted) & self.without.keys():
            self.dismiss(way)
        return {way: self.without[way] for way in ways if way in self.without}

    def careful(self, way: str, problems: dict[str, str]) -> Careful:
        """A block in which trouble with a way becomes an entry of `problems`; what is gone will be started anew."""
        return Careful(self, way, problems)

    def dismiss(self, way: str | None = None) -> None:
        """End the process of a way, or all."""
        for name in list(self.processes) if way is None else [way]:
            if process := self.processes.pop(name, None):
                process.end()


class Careful:
    """See `Crew.careful`."""

    def __init__(self, crew: Crew, way: str, problems: dict[str, str]):
        self.crew, self.way, self.problems = crew, way, problems

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, Trouble):
            return False
        self.problems[self.way] = str(error)
        if isinstance(error, Gone):
            self.crew.dismiss(self.way)
        return True
