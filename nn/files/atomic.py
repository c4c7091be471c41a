"""Files that are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def replacing(path: Any) -> Iterator[Any]:
    """A file to write to, which takes the place of `path` when all is written and on disk.

    Until then it has a name of its own in the same folder (renaming is atomic only within a file system).  A crash may
    leave that one behind; an error does not.  A symbolic link stays, and what it points to is replaced.
    """
    target = os.path.realpath(os.fsdecode(os.fspath(path)))
    mode = _mode(target)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name[:50]}.{secrets.token_hex(6)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666)  # less what the process's umask takes away
    except OSError as error:
        raise type(error)(error.errno, f"save: no file can be made in its folder: {error.strerror}", target) from None
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _synchronize(folder)


def _mode(target: str) -> int | None:
    """The permissions of the file that is to be replaced; what should not be replaced is refused."""
    try:
        found = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "save: this is a folder; give the name of a file in it", target)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "save: not a file, but a pipe or a device; open it and pass the open file", target)
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "save: the file is there and may not be written to", target)
    return stat.S_IMODE(found.st_mode)


def _synchronize(folder: str) -> None:
    """Have the folder's entries on disk: without this a new name may be lost with the power."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows writes its journal itself
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
