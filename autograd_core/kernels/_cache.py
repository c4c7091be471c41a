"""Compiled code on disk: for whom, where, and when it is out of date.

Numba's own cache keeps one numbered list of files for each function, which processes that start together can overwrite
for each other, and looks only at the file of the function itself, not at what it calls.  Here all code lies in a folder
named by a hash of all that it depends on, in one file for each kernel and signature, put in place by renaming it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ._jit import IMPORTED

LONG = 7 * 86400  # seconds after which what nobody has used is thrown away, when a folder is made for other sources


@functools.cache
def stamp() -> str:
    """Everything that compiled code depends on, as one word: all sources here, versions, what the processor can do."""
    from llvmlite.binding import llvm_version_info

    from ._machine import processor, settings

    sources = sorted(Path(__file__).parent.glob("*.py"))
    if not sources or max(path.stat().st_mtime for path in sources) > IMPORTED:
        raise OSError("the sources of the kernels are not there, or have changed: nobody would know what is kept")
    words = [sys.version, platform.machine(), llvm_version_info, np.__version__, settings(), processor()]
    digest = hashlib.sha256(repr(words).encode())
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:24]


def cache_folder() -> Path:
    """Where compiled kernels are kept for this user: AUTOGRAD_CORE_CACHE, or the usual place of the system."""
    home = Path.home
    if given := os.environ.get("AUTOGRAD_CORE_CACHE"):
        return Path(given).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home() / "AppData" / "Local") / "autograd_core"
    if sys.platform == "darwin":
        return home() / "Library" / "Caches" / "autograd_core"
    return Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "autograd_core"


def _spare_folder() -> Path:
    """Where they are kept if there is no writing to the other."""
    return Path(tempfile.gettempdir()) / f"autograd_core-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"


@functools.cache
def folders() -> tuple[Path, ...]:
    """The folders of what this source on this machine compiles to: where to look, and where to write, in this order."""
    found = []
    for base in (cache_folder, _spare_folder):
        try:
            folder = base() / stamp()
            if not folder.is_dir():
                folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.mkdir(mode=0o700, exist_ok=True)
                _prune(folder.parent)
            if _trusted(folder) and _trusted(folder.parent):
                found.append(folder)
                if os.access(folder, os.W_OK | os.X_OK):
                    os.utime(folder)
                    break
        except (OSError, RuntimeError):  # no such place, no room, no home
            continue
    return tuple(found)


def _trusted(folder: Path) -> bool:
    """Whether nobody but this user and the administrator can have put something there: what is found is run."""
    status = folder.stat()
    return not hasattr(os, "getuid") or (status.st_uid in (os.getuid(), 0) and not status.st_mode & 0o002)


def _prune(base: Path) -> None:
    """Throw away what other sources have compiled to, if nobody has used it for long; whoever does compiles again."""
    for other in base.iterdir():
        if len(other.name) == 24 and time.time() - other.stat().st_mtime > LONG:
            shutil.rmtree(other, ignore_errors=True)


def file(name: str, signature: Any) -> str:
    """The name of the file of what is kept for a signature."""
    return f"{name}-{hashlib.sha256(repr(signature).encode()).hexdigest()[:24]}.bin"


def load(name: str) -> bytes | None:
    """What was kept under a name, or None; a file that is damaged counts as none."""
    for folder in folders():
        try:
            content = (folder / name).read_bytes()
        except OSError:
            continue
        if hashlib.sha256(content[32:]).digest() == content[:32]:
            return content[32:]
    return None


def save(name: str, content: bytes) -> None:
    """Keep something; without room for it there will be more to compile next time, and that is all.

    Files are written whole and put in place at once.  So processes that start together need not know of each other:
    whoever comes last replaces equal by equal.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=folders()[-1])
        with os.fdopen(handle, "wb") as place:
            place.write(hashlib.sha256(content).digest() + content)
        os.replace(temporary, folders()[-1] / name)
    except (OSError, IndexError):
        return


class Cache:
    """What Numba asks for compiled code before it compiles: one file for each function and signature."""

    def __init__(self, name: str):
        self.name, self.cache_path = name, str(folders()[-1])

    def load_overload(self, signature, target_context):
        """What was compiled for a signature, or None: whatever is wrong with what was kept, it can be compiled."""
        from ._known import load_all

        content = load(file(self.name, signature))
        try:
            found = content and _loaded(content, target_context)
        except Exception:
            found = None
        if found is None:
            load_all()  # Numba would do so itself, and take longer
        return found

    def save_overload(self, signature, result) -> None:
        """Keep what was compiled, and the names of what it refers to."""
        from numba.core.serialize import dumps

        save(file(self.name, signature), dumps((_needs(result), *result._reduce())))


def _needs(result) -> list[str]:
    """The functions and data outside of it that compiled code refers to."""
    module = result.library._final_module
    outside = [x.name for x in (*module.functions, *module.global_variables) if x.is_declaration]
    return [name for name in outside if not name.startswith("llvm.")]


def _loaded(content: bytes, target_context):
    """Compiled code ready to run.  Numba loads all it knows of first, for 0.2 s; most code needs none of that."""
    from numba.core.compiler import CompileResult
    from numba.core.runtime import rtsys

    from ._known import load_all
    from ._machine import missing

    needs, (name, kind, code), *reduced = pickle.loads(content)
    if kind == "part":
        return _part(target_context, name, code, *reduced)
    rtsys.initialize(target_context)
    if missing(needs):
        load_all()
    return None if missing(needs) else CompileResult._rebuild(target_context, (name, kind, code), *reduced)


def _part(target_context, name, bitcode, described, environment, signature, *rest):
    """What is only ever taken in by other functions: no code that could run."""
    from numba.core.compiler import compile_result

    from ._native import Part

    library = Part.restored(target_context.codegen(), name, bitcode)
    return compile_result(
        target_context=target_context,
        typing_context=target_context.typing_context,
        library=library,
        entry_point=target_context.get_executable(library, described, environment),
        fndesc=described,
        environment=environment,
        signature=signature,
        objectmode=False,
        reload_init=[],
    )
