"""Data sets by name, fetched from their own addresses or read from a folder at hand."""

from __future__ import annotations

import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import autograd_core as ag

from ..files import FileError
from .dataset import Dataset
from .download import download, intact, set_folder
from .images import between_zero_and_one, read_pgm, read_stack, stacked
from .readers import damaged, read_array, read_idx, read_text

__all__ = ["CIFAR10", "MNIST", "FashionMNIST", "Images", "Membranes", "OrlFaces", "TinyShakespeare"]


class Images(Dataset):
    """Grey (N, H, W) or coloured (N, H, W, C) images in eight bits, and a label for each.

    A sample is the image as float32 (C, H, W) from 0 to 1, or what `transform` makes of the eight bits, and its label.
    """

    def __init__(
        self,
        data: np.ndarray,
        targets: np.ndarray,
        classes: list[str],
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ):
        if len(data) != len(targets):
            raise ValueError(f"{type(self).__name__}: {len(data)} images but {len(targets)} labels")
        self.data, self.targets, self.classes = data, targets.astype(np.int64), classes
        self.transform, self.target_transform = transform, target_transform
        if transform is None and target_transform is None:
            self.__getbatch__ = self._batch

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Any) -> tuple:
        image, label = self.data[index], int(self.targets[index])
        image = self.transform(image) if self.transform else ag.from_numpy(between_zero_and_one(image[None])[0])
        return image, self.target_transform(label) if self.target_transform else label

    def _batch(self, positions: np.ndarray) -> list:
        return [ag.from_numpy(a) for a in (between_zero_and_one(self.data[positions]), self.targets[positions])]

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """All images as float32 (N, C, H, W) from 0 to 1, and all labels."""
        return between_zero_and_one(self.data), self.targets

    def __repr__(self) -> str:
        size = "x".join(map(str, self.data.shape[1:]))
        return f"{type(self).__name__}({len(self)} images {size}, {len(self.classes)} classes)"


class Fetched(Images):
    """Images to train with, or those to test with, which are fetched where the folder does not hold them."""

    folder: str
    labels: list[str]

    def __init__(
        self,
        root: Any = None,
        train: bool = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = True,
    ):
        folder = set_folder(root, self.folder)
        images, targets = together(folder, *self._read(folder, train, download))
        super().__init__(images, targets, list(self.labels), transform, target_transform)

    @classmethod
    def _read(cls, folder: Path, train: bool, fetch: bool) -> tuple[np.ndarray, np.ndarray]:
        """The images and their labels."""
        raise NotImplementedError(f"{cls.__name__} does not say how it is read")


class MNIST(Fetched):
    """Handwritten digits, 28 x 28: 60,000 to train with, 10,000 to test (LeCun, Cortes, Burges)."""

    folder = "mnist"
    mirrors: tuple[str, ...] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    labels = [str(k) for k in range(10)]
    sums = {
        "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
    }

    @classmethod
    def _read(cls, folder: Path, train: bool, fetch: bool) -> tuple[np.ndarray, np.ndarray]:
        names = [name for name in cls.sums if name.startswith("train" if train else "t10k")]
        paths = [cls._file(folder / name, fetch) for name in names]
        images, labels = map(read_idx, paths)
        return images, labels

    @classmethod
    def _file(cls, path: Path, fetch: bool) -> Path:
        plain = path.with_suffix("")  # unpacked, as some have it
        if plain.is_file():
            return plain
        return obtained(path, [m + path.name for m in cls.mirrors], cls.sums[path.name], fetch)


class FashionMNIST(MNIST):
    """Pieces of clothing in MNIST's form (Xiao, Rasul, Vollgraf)."""

    folder = "fashion-mnist"
    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    labels = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag".split() + ["Ankle boot"]
    sums = {
        "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    }


class CIFAR10(Fetched):
    """Small coloured photographs, 32 x 32: 50,000 to train with, 10,000 to test (Krizhevsky).

    Read from the binary archive, or from such of it as lies in the folder as arrays: `train_batch1_images.npy.xz`,
    `train_batch1_labels.npy` and so on.
    """

    folder = "cifar10"
    labels = "airplane automobile bird cat deer dog frog horse ship truck".split()
    address = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    checksum = "md5:c32a1d4ab5d03f1284b67883e8d87530"

    @classmethod
    def _read(cls, folder: Path, train: bool, fetch: bool) -> tuple[np.ndarray, np.ndarray]:
        parts = sorted(folder.glob(f"{'train' if train else 'test'}_*_images.npy*"))
        parts += [] if train else sorted(folder.glob("test_images.npy*"))
        if parts:
            return _from_arrays(parts)
        archive = obtained(folder / "cifar-10-binary.tar.gz", [cls.address], cls.checksum, fetch)
        return _from_archive(archive, "data_batch" if train else "test_batch")


def _from_arrays(parts: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    labels = [at_hand(part.with_name(part.name.partition("_images")[0] + "_labels.npy")) for part in parts]
    pairs = [together(part, read_array(part), read_array(path)) for part, path in zip(parts, labels)]
    return tuple(map(np.concatenate, zip(*pairs)))  # type: ignore[return-value]


def together(where: Path, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images and their labels, if there are as many of each."""
    if images.ndim not in (3, 4) or labels.shape != images.shape[:1]:
        raise FileError(
            f"{where}: images {images.shape} and labels {labels.shape} do not belong together; delete both files and "
            "fetch them again"
        )
    return images, labels


def _from_archive(archive: Path, begins: str) -> tuple[np.ndarray, np.ndarray]:
    """Records of a label and 3 x 32 x 32 bytes, from the members whose names begin so."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = sorted((m for m in tar if Path(m.name).name.startswith(begins)), key=lambda m: m.name)
            data = b"".join(tar.extractfile(m).read() for m in members)  # type: ignore[union-attr]
        records = np.frombuffer(data, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise damaged(archive, error) from error
    if not len(records):
        raise FileError(f"{archive} has no member {begins}*: it is not CIFAR-10's binary archive")
    return np.moveaxis(records[:, 1:].reshape(-1, 3, 32, 32), 1, -1), records[:, 0]


class OrlFaces(Images):
    """Ten photographs each of 40 people, 112 x 92 (AT&T Laboratories Cambridge).

    Read from the unpacked archive, `s1/1.pgm` to `s40/10.pgm`, or from all of it in one array.
    """

    array = "orl_faces_40x10x112x92.npy.xz"

    def __init__(self, root: Any = None, transform: Callable | None = None, target_transform: Callable | None = None):
        faces = self._read(set_folder(root, "orl-faces"))
        people = np.repeat(np.arange(len(faces)), faces.shape[1])
        names = [f"s{k + 1}" for k in range(len(faces))]
        super().__init__(faces.reshape(-1, *faces.shape[2:]), people, names, transform, target_transform)

    @classmethod
    def _read(cls, folder: Path) -> np.ndarray:
        """The images by person."""
        if (folder / cls.array).is_file():
            return read_array(folder / cls.array)
        paths = [folder / f"s{person}" / f"{k}.pgm" for person in range(1, 41) for k in range(1, 11)]
        brought(
            paths,
            f"unpack att_faces.zip from https://cam-orl.co.uk/facedatabase.html, so that {folder} holds s1/1.pgm to "
            "s40/10.pgm; it is not fetched, as no checksum of it is known",
        )
        faces = stacked(map(read_pgm, paths), folder)
        return faces.reshape(40, 10, *faces.shape[1:])


class Membranes(Dataset):
    """Thirty sections of a fly's nerve cord under the electron microscope, 512 x 512; a sample is the image from 0 to 1
    and its mask, 1 in cells and 0 on membranes, each (1, 512, 512) (ISBI 2012).

    Read from the challenge's `train-volume.tif` and `train-labels.tif`, for which Pillow is needed, or from arrays.
    """

    def __init__(self, root: Any = None):
        folder = set_folder(root, "isbi2012-em")
        self.data, self.targets = self._read(folder)
        if self.data.shape != self.targets.shape:
            raise FileError(
                f"{folder} holds images {self.data.shape} and masks {self.targets.shape}, which do not belong together"
            )

    @classmethod
    def _read(cls, folder: Path) -> tuple[np.ndarray, np.ndarray]:
        """The images and their masks."""
        arrays = [folder / f"train_{what}_30x512x512.npy.xz" for what in ("images", "labels")]
        if any(path.is_file() for path in arrays):
            images, masks = (read_array(at_hand(path)) for path in arrays)
            return images, masks
        stacks = [folder / f"train-{what}.tif" for what in ("volume", "labels")]
        brought(
            stacks,
            f"{folder} should hold train-volume.tif and train-labels.tif of http://brainiac2.mit.edu/isbi_challenge; they "
            "are not fetched, as they are given to those who register there",
        )
        images, masks = map(read_stack, stacks)
        return images, (masks > 0).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Any) -> tuple:
        image = between_zero_and_one(self.data[index][None])[0]
        return ag.from_numpy(image), ag.from_numpy(self.targets[index][None].astype(np.float32))


class TinyShakespeare:
    """A million characters of Shakespeare's plays, as `text`."""

    address = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
    checksum = "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"

    def __init__(self, root: Any = None, download: bool = True):
        path = obtained(set_folder(root, "tinyshakespeare") / "input.txt", [self.address], self.checksum, download)
        if not intact(path, self.checksum):  # a text does not show that its end is missing
            warnings.warn(f"{path} is not the text that is known by this name: cut off, or changed", stacklevel=2)
        self.text = read_text(path)
        if not self.text:
            raise FileError(f"{path} is empty; delete it and fetch it again")


def obtained(path: Path, urls: list[str], checksum: str, fetch: bool) -> Path:
    """A file that is there, or is fetched."""
    if path.is_file() or not fetch:
        return at_hand(path)
    return download(urls, path, checksum)


def at_hand(path: Path) -> Path:
    """A file that must be there."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; give the folder that holds {path.parent.name}/{path.name} as `root` (--data in the "
            "gallery), or by the environment variable AUTOGRAD_CORE_DATA"
        )
    return path


def brought(paths: list[Path], how: str) -> None:
    """Raise if files are missing that whoever wants them has to bring."""
    if absent := [path for path in paths if not path.is_file()]:
        raise FileNotFoundError(
            f"{absent[0]} is missing: {how}.  Another folder is named by `root` (--data in the gallery), or by the "
            "environment variable AUTOGRAD_CORE_DATA"
        )
