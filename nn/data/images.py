"""Images as arrays: files of one image or of several, and folders of them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import autograd_core as ag

from ..files import FileError
from .dataset import Dataset
from .readers import damaged, read_array, read_bytes

__all__ = ["ImageFolder", "read_image"]

GAP = rb"(?:\s|#[^\n]*\n)+"
PGM = re.compile(rb"P5" + GAP + rb"([1-9]\d*)" + GAP + rb"([1-9]\d*)" + GAP + rb"255\s")


class ImageFolder(Dataset):
    """Images in folders named after their class, `root/class/anything.png`; read when they are asked for.

    A sample is the image, float32 (C, H, W) from 0 to 1 or what `transform` makes of what `read_image` gives, and the
    number of its class.  Pillow reads them; .npy needs nothing.
    """

    extensions = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp", ".npy")

    def __init__(self, root: Any, transform: Callable | None = None, target_transform: Callable | None = None):
        root = Path(root).expanduser()
        if not root.is_dir():
            raise FileNotFoundError(f"ImageFolder: {root} is not a folder")
        self.classes = sorted(p.name for p in root.iterdir() if p.is_dir())
        self.class_to_idx = {name: k for k, name in enumerate(self.classes)}
        self.samples = [
            (path, k)
            for k, name in enumerate(self.classes)
            for path in sorted((root / name).rglob("*"))
            if path.suffix.lower() in self.extensions
        ]
        if not self.samples:
            raise FileNotFoundError(f"ImageFolder: no images in folders below {root}; expected {root}/class/image.png")
        self.targets = [k for _, k in self.samples]
        self.transform, self.target_transform = transform, target_transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: Any) -> tuple:
        path, label = self.samples[index]
        read = read_image(path)
        image = self.transform(read) if self.transform else ag.from_numpy(between_zero_and_one(read[None])[0])
        return image, self.target_transform(label) if self.target_transform else label


def between_zero_and_one(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W) or (N, H, W, C) of eight bits, or of sixteen, as float32 (N, C, H, W)."""
    channels = images[:, None] if images.ndim == 3 else np.moveaxis(images, -1, 1)
    white = 65535 if images.dtype.newbyteorder("=") == np.uint16 else 255
    return np.ascontiguousarray(channels, np.float32) / np.float32(white)


def read_image(path: Any) -> np.ndarray:
    """An image in eight bits, (H, W) if it is grey and (H, W, 3) if it is coloured; a grey one of sixteen bits is uint16."""
    return read_array(path) if Path(path).suffix.lower() == ".npy" else next(_pictures(path))


def read_stack(path: Any) -> np.ndarray:
    """All images of a file, as a TIFF may have several: (N, H, W) or (N, H, W, 3)."""
    return stacked(_pictures(path), path)


def stacked(images: Iterable[np.ndarray], where: Any) -> np.ndarray:
    """Images of one size as one array."""
    found = list(images)
    if len(shapes := {image.shape for image in found}) != 1:
        raise FileError(f"{where}: the images should be of one size, but are of {', '.join(map(str, sorted(shapes)))}")
    return np.stack(found)


def _pictures(path: Any) -> Iterator[np.ndarray]:
    """The images of a file one after the other."""
    try:
        from PIL import Image, ImageSequence
    except ImportError:
        raise ImportError("reading images needs Pillow: pip install 'autograd-core[images]'") from None
    try:
        with Image.open(path) as file:
            for image in ImageSequence.Iterator(file):
                yield _pixels(image, path)
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        if isinstance(error, FileError) or getattr(error, "errno", None) is not None:  # ours, or the system's
            raise
        raise damaged(path, error) from error


def _pixels(image: Any, path: Any) -> np.ndarray:
    """The numbers of an image of Pillow, which clips whatever has more than eight bits where it converts."""
    if image.mode[0] not in "IF":
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))
    deep = np.asarray(image)
    if image.mode == "F" or deep.min() < 0 or deep.max() > 65535:
        raise FileError(
            f"{path} has pixels of {deep.dtype} from {deep.min()} to {deep.max()}, which are not of eight bits or sixteen "
            "and have no white that is known; scale them, and keep them as .npy (numpy.save)"
        )
    return deep.astype(np.uint16)


def read_pgm(path: Any) -> np.ndarray:
    """A grey image (H, W) of eight bits from the plain format PGM (P5), without Pillow."""
    data = read_bytes(path)
    if not (header := PGM.match(data)):
        raise FileError(f"{path} is not a PGM image of eight bits (P5, 255): it begins with {data[:16]!r}")
    width, height = map(int, header.groups())
    if (there := len(data) - header.end()) < width * height:
        raise FileError(f"{path} is cut off: its header tells of {width} x {height} pixels, it has {there}")
    return np.frombuffer(data, np.uint8, width * height, header.end()).reshape(height, width)
