"""Another revision of this library, to be measured beside the working tree: its packages, these benchmarks."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


class NoRevision(Exception):
    """There is no such revision, or no Git; the message says which."""


def git(*arguments: str, tree: Path = ROOT) -> str:
    """What Git answers."""
    try:
        done = subprocess.run(["git", *arguments], cwd=tree, capture_output=True, text=True)
    except OSError as error:
        raise NoRevision(f"--against needs git: {error}") from None
    if done.returncode:
        raise NoRevision(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextmanager
def worktree(revision: str, tree: Path = ROOT) -> Iterator[Path]:
    """A folder with the packages of a revision and the benchmarks of this tree; gone afterwards."""
    name = git("rev-parse", "--verify", f"{revision}^{{commit}}", tree=tree)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "tree"
        git("worktree", "add", "--detach", "--quiet", str(place), name, tree=tree)
        try:
            shutil.rmtree(place / "benchmarks", ignore_errors=True)
            shutil.copytree(tree / "benchmarks", place / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
            yield place
        finally:
            git("worktree", "remove", "--force", str(place), tree=tree)
