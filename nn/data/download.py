"""Files from the network: resumed where they broke off, checked, and whole or not there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

__all__ = ["data_folder", "download"]

PIECE = 1 << 18
PATIENCE = 30  # seconds without a byte
KINDS = ("sha256", "sha512", "sha1", "md5")  # of checksums


def data_folder(root: Any = None) -> Path:
    """Where data sets live: the folder given, else what AUTOGRAD_CORE_DATA says, else a folder in the user's cache."""
    chosen = root or os.environ.get("AUTOGRAD_CORE_DATA")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(chosen).expanduser() if chosen else Path(cache) / "autograd_core" / "data"
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give the folder that holds the data sets")
    return folder


def set_folder(root: Any, name: str) -> Path:
    """Where one data set lives: in the folder of its name, or in the one given if it is that folder itself."""
    folder = data_folder(root)
    inside = folder / name
    return folder if folder.absolute().name == name and not inside.is_dir() else inside


def download(urls: str | Sequence[str], path: Any, checksum: str | None = None, progress: bool = True) -> Path:
    """The file at `path`, fetched from the first address that answers unless it is there already.

    `checksum` is "sha256:..." or "md5:...".  What arrives is kept as `path.part` until it is whole, so a download that
    broke off goes on from there; a file of the wrong sum is thrown away.
    """
    _refuse_unknown(checksum)
    path = Path(path)
    urls = [urls] if isinstance(urls, str) else list(urls)
    if path.exists() and (checksum is None or intact(path, checksum)):
        return path
    failures = []
    for url in urls:
        try:
            return _fetched(url, path, checksum, progress)
        except (OSError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
                raise OSError(error.errno, f"{_local(error, path)}{_kept(path, '; ')}", str(path)) from error
            failures.append(f"  {url}: {error}")
    raise ConnectionError(
        f"could not get {path.name}:\n" + "\n".join(failures) + f"\nTry again later{_kept(path, ', ')}, or "
        f"fetch it by other means and put it at {path}"
    )


def _refuse_unknown(checksum: str | None) -> None:
    """Raise if no file could be held against a sum."""
    if checksum is not None and not re.fullmatch(rf"({'|'.join(KINDS)}):[0-9a-fA-F]+", checksum):
        raise ValueError(f"download: the checksum {checksum!r} should be {' or '.join(k + ':...' for k in KINDS)}")


def _part(path: Path) -> Path:
    """Where a file is as long as it is not whole."""
    return path.with_name(path.name + ".part")


def _kept(path: Path, before: str) -> str:
    """That a part of the file is there, if it is."""
    part = _part(path)
    return f"{before}what has arrived is kept" if os.path.exists(part) and os.path.getsize(part) else ""


def _local(error: OSError, path: Path) -> str:
    """What went wrong on this machine."""
    if error.errno in (errno.EACCES, errno.EROFS):
        return f"cannot write in {path.parent}: {error.strerror}; choose another folder by AUTOGRAD_CORE_DATA"
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    free = shutil.disk_usage(folder).free
    return f"the disk is full ({free / 2**20:.1f} MiB free in {folder}); make room and call again"


def _fetched(url: str, path: Path, checksum: str | None, progress: bool) -> Path:
    part = _part(path)
    with _asked(url, part.stat().st_size if part.exists() else 0) as (answer, begun, total):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "ab" if begun else "wb") as file, _shown(path.name, begun, total, progress) as show:
            while piece := answer.read(PIECE):
                file.write(piece)
                show(len(piece))
    size = part.stat().st_size
    if total is not None and size < total:
        raise ConnectionError(f"the connection broke off after {size} of {total} bytes")
    if checksum is not None and not intact(part, checksum):
        part.unlink()
        raise ConnectionError(f"the file that came does not have the sum {checksum}: another or a broken one")
    os.replace(part, path)
    return path


@contextlib.contextmanager
def _asked(url: str, begun: int) -> Any:
    """The answer to a request for all bytes from `begun` on, where it really begins, and the size of the whole."""
    request = urllib.request.Request(url, headers={"User-Agent": "autograd-core"})
    if begun:
        request.add_header("Range", f"bytes={begun}-")
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not begun:  # nothing is left to send: from the start, lest the part is of another file
            raise
        with _asked(url, 0) as whole:
            yield whole
        return
    with answer:
        begun = begun if answer.status == 206 else 0
        length = answer.headers.get("Content-Length")
        yield answer, begun, None if length is None else begun + int(length)


def intact(path: Path, checksum: str) -> bool:
    """Whether a file has the sum that it should have."""
    algorithm, _, wanted = checksum.partition(":")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == wanted.lower()


@contextlib.contextmanager
def _shown(name: str, begun: int, total: int | None, progress: bool) -> Any:
    """A function to be told of bytes that arrived; with tqdm installed it draws a bar, on a terminal."""
    quiet: Callable = lambda count: None
    if not progress or not sys.stderr.isatty():
        yield quiet
        return
    try:
        from tqdm import tqdm
    except ImportError:
        print(f"downloading {name}" + (f" ({total / 2**20:.1f} MiB)" if total else ""), file=sys.stderr)
        yield quiet
        return
    with tqdm(desc=name, initial=begun, total=total, unit="B", unit_scale=True) as bar:
        yield bar.update
