"""nn.data: downloads that break off, files that are not what they should be, and data sets read from them."""

import errno
import gzip
import hashlib
import http.server
import io
import lzma
import os
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
from handmade import idx
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nn import FileError, data
from nn.data.download import download

CONTENT = np.random.default_rng(0).bytes(300_000)
SUM = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Site(http.server.BaseHTTPRequestHandler):
    """A server that can break off, ignore ranges, and tell what it was asked."""

    def do_GET(self):
        self.server.asked.append(self.headers.get("Range"))
        if self.path == "/missing":
            return self.send_error(404)
        begin = int((self.headers.get("Range") or "bytes=0-")[6:-1]) if self.server.ranges else 0
        if begin >= len(CONTENT):
            return self.send_error(416)
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.end_headers()
        end = self.server.breaks.pop(0) if self.server.breaks else len(CONTENT)
        self.wfile.write(CONTENT[begin:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.asked, server.breaks, server.ranges = [], [], True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}/file"
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


# --- downloads -------------------------------------------------------------------------------------------------------


def test_a_file_is_fetched_once(site, tmp_path) -> None:
    path = download(site.url, tmp_path / "deep" / "file", SUM)
    assert path.read_bytes() == CONTENT and os.listdir(path.parent) == ["file"]
    assert download(site.url, path, SUM) == path and len(site.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on(site, tmp_path, ranges) -> None:
    site.breaks, site.ranges, path = [100_000], ranges, tmp_path / "file"
    kept = "Try again later, what has arrived is kept, or fetch it by other means"
    with pytest.raises(ConnectionError, match=rf"broke off after 100000 of 300000 bytes\n{kept}|IncompleteRead"):
        download(site.url, path, SUM)
    assert not path.exists() and (tmp_path / "file.part").stat().st_size <= 100_000
    assert download(site.url, path, SUM).read_bytes() == CONTENT
    assert site.asked[0] is None and site.asked[1].startswith("bytes=")


def test_the_next_address_is_tried(site, tmp_path) -> None:
    bad = site.url.replace("file", "missing")
    assert download([bad, site.url], tmp_path / "file", SUM).read_bytes() == CONTENT
    with pytest.raises(ConnectionError, match=r"could not get file:\n  http.*missing: HTTP Error 404(.|\n)*put it at"):
        download(bad, tmp_path / "other" / "file", SUM)


def test_a_file_of_another_sum_is_thrown_away(site, tmp_path) -> None:
    path = tmp_path / "file"
    with pytest.raises(
        ConnectionError, match=r"sum md5:00ff: another or a broken one\nTry again later, or fetch it by"
    ):
        download(site.url, path, "md5:00ff")
    assert os.listdir(tmp_path) == []
    path.write_bytes(b"damaged")
    assert download(site.url, path, SUM).read_bytes() == CONTENT


@pytest.mark.parametrize("checksum", ["sha3:00ff", "00ff", "md5:", "sha256-00ff", ""])
def test_a_sum_of_an_unknown_kind_is_refused_before_anything_is_fetched(site, tmp_path, checksum) -> None:
    with pytest.raises(ValueError, match=f"the checksum '{checksum}' should be sha256:... or .* md5:..."):
        download(site.url, tmp_path / "file", checksum)
    assert site.asked == [] and os.listdir(tmp_path) == []
    assert download(site.url, tmp_path / "file", SUM.upper().replace("SHA", "sha")).read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_begun_again(site, tmp_path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT + b"more")
    assert download(site.url, tmp_path / "file", SUM).read_bytes() == CONTENT


def test_nobody_answers(tmp_path) -> None:
    with pytest.raises(ConnectionError, match="could not get file"):
        download("http://127.0.0.1:9/file", tmp_path / "mistyped" / "file")
    assert os.listdir(tmp_path) == []


def test_a_disk_that_has_no_room_for_a_folder(site, tmp_path, monkeypatch) -> None:
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(OSError, match=rf"the disk is full .* free in {tmp_path}\); make room and call again: "):
        download(site.url, tmp_path / "folder" / "file", SUM)


@pytest.mark.parametrize("number, text", [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "cannot write in")])
def test_what_is_wrong_here_is_told_apart(site, tmp_path, monkeypatch, number, text) -> None:
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match=text) as caught:
        download([site.url, site.url], tmp_path / "file", SUM)
    assert caught.value.errno == number and (tmp_path / "file.part").exists() and len(site.asked) == 1


def test_where_data_lives(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("AUTOGRAD_CORE_DATA", str(tmp_path))
    assert data.data_folder() == tmp_path and data.data_folder("~/x") == Path.home() / "x"
    monkeypatch.delenv("AUTOGRAD_CORE_DATA")
    assert data.data_folder().parts[-2:] == ("autograd_core", "data")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file is a file; give the folder that holds the data sets"):
        data.MNIST(tmp_path / "file")


# --- arrays ----------------------------------------------------------------------------------------------------------


@given(
    arrays.arrays(st.sampled_from("u1 i1 i2 i4 f4 f8".split()), arrays.array_shapes(min_side=0, max_side=4)), st.data()
)
@settings(max_examples=60, deadline=None)
def test_idx_files_are_read_whole_or_refused(array, draw) -> None:
    path = Path(draw.draw(st.sampled_from([scratch("a"), scratch("a.gz"), scratch("a.xz")])))
    packed = {".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
    path.write_bytes(packed(idx(array)))
    found = data.read_idx(path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    path.write_bytes(packed(idx(array))[: draw.draw(st.integers(0, len(packed(idx(array))) - 1))])
    with pytest.raises(ValueError, match="cut off or damaged|not an IDX file"):
        data.read_idx(path)


FOLDER: list = []


def scratch(name: str) -> str:
    return os.path.join(FOLDER[0], name)


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory):
    FOLDER[:] = [str(tmp_path_factory.mktemp("files"))]


def test_arrays_of_numpy_packed_and_not(tmp_path) -> None:
    a = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "a.npy", a)
    (tmp_path / "a.npy.xz").write_bytes(lzma.compress((tmp_path / "a.npy").read_bytes()))
    np.savez(tmp_path / "a.npz", a=a, b=a[0])
    for name in ("a.npy", "a.npy.xz"):
        np.testing.assert_array_equal(data.read_array(tmp_path / name), a)
    assert set(data.read_array(tmp_path / "a.npz")) == {"a", "b"}
    np.save(tmp_path / "objects.npy", np.array([object], dtype=object), allow_pickle=True)
    (tmp_path / "cut.npy.xz").write_bytes(lzma.compress(bytes(100))[:40])
    (tmp_path / "cut.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-3])
    for name in ("objects.npy", "cut.npy.xz", "cut.npy"):
        with pytest.raises(ValueError, match="not an array of NumPy, or is damaged|cut off or damaged"):
            data.read_array(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        data.read_array(tmp_path / "none.npy")
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        data.read_array(tmp_path)


# --- tables and texts ------------------------------------------------------------------------------------------------

TABLES = {
    "a,b,c\n1,2.5,x\n-2,?,y\n": {"a": [1, -2], "b": [2.5, np.nan], "c": ["x", "y"]},
    "1;2\n3;4\n": {"0": [1, 3], "1": [2, 4]},
    "  1.0   2\n  3.5   4\n\n": {"0": [1.0, 3.5], "1": [2, 4]},
    'name\tn\n"Smith, J"\t3\n': {"name": ["Smith, J"], "n": [3]},
    "a,b\n": {"a": [], "b": []},
    'a,b\n"x\ny",1\n': {"a": ["x\ny"], "b": [1]},
    "a,b\nx\x0cy,1\nz\u2028,2\n": {"a": ["x\x0cy", "z\u2028"], "b": [1, 2]},
    "a,b\r\n 1, 2\r\n \r\n": {"a": [1], "b": [2]},
    "a\tb\r\t2\r": {"a": [np.nan], "b": [2]},
    '"a,b";c\n1_000;2\n': {"a,b": ["1_000"], "c": [2]},
    f"a,b\n{-(2**63)},{2**63}\n": {"a": [-(2**63)], "b": [2.0**63]},
}


@pytest.mark.parametrize("text", TABLES)
def test_tables(text, tmp_path) -> None:
    (tmp_path / "t.csv").write_text("\ufeff" + text)
    found = data.read_csv(tmp_path / "t.csv")
    assert list(found) == list(TABLES[text])
    for name, column in TABLES[text].items():
        np.testing.assert_array_equal(found[name], np.array(column) if column else [])
        assert not column or found[name].dtype.kind == np.array(column).dtype.kind


def test_tables_as_they_are_said_to_be(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("1,2\n3,4\n")
    assert data.read_csv(tmp_path / "t.csv", ["y"], header=["x", "y"])["y"].tolist() == [2, 4]
    assert list(data.read_csv(tmp_path / "t.csv", header=True)) == ["1", "2"]
    with pytest.raises(KeyError, match="has no column 'z'; it has 0, 1"):
        data.read_csv(tmp_path / "t.csv", ["z"])
    (tmp_path / "t.csv").write_text("1,2\n3,4,5\n")
    with pytest.raises(ValueError, match="row 2 has 3 entries where there are 2 columns"):
        data.read_csv(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(ValueError, match="is empty"):
        data.read_csv(tmp_path / "t.csv")
    for text, error in (
        ('a,b\n"x\ny",1\n1,2,3\n', "row 4 has 3 entries where there are 2 columns"),
        ("b,a,a\n1,2,3\n", "two columns are called 'a'; give one of them another name"),
        (f'a,b\n"{"x" * 200_000}",1\n', "row 2 cannot be read: field larger than"),
    ):
        (tmp_path / "t.csv").write_text(text)
        with pytest.raises(ValueError, match=rf"t\.csv: {error}"):
            data.read_csv(tmp_path / "t.csv")


def test_texts(tmp_path) -> None:
    (tmp_path / "t.txt").write_bytes("caf\xe9".encode("latin-1"))
    assert data.read_text(tmp_path / "t.txt", "latin-1") == "café"
    with pytest.raises(ValueError, match='is not utf-8 .byte 0xe9 at 3.*encoding="latin-1"'):
        data.read_text(tmp_path / "t.txt")


@given(st.text(min_size=1))
def test_a_vocabulary_gives_back_what_it_took(text) -> None:
    characters, words = data.Vocabulary(text), data.Vocabulary(text.split(), unknown="?!")
    assert characters.decode(characters.encode(text)) == text
    assert list(words.decode(words.encode(text.split()))) == text.split() or len(words) == 1


def test_a_vocabulary_leaves_out_what_is_rare() -> None:
    v = data.Vocabulary("a b b c c c d".split(), size=2, unknown="-")
    assert v.tokens == ["-", "c", "b"] and v.encode(["a", "b"]).tolist() == [0, 2] and "a" not in v
    assert data.Vocabulary("a b b c c c d".split(), least=2).tokens == ["c", "b"]
    with pytest.raises(KeyError, match="'z' is not among the 3 tokens; give the Vocabulary an `unknown`"):
        data.Vocabulary("abc").encode("z")


# --- data sets by name -----------------------------------------------------------------------------------------------


def small_mnist(root: Path, kind=data.MNIST) -> None:
    rng = np.random.default_rng(0)
    (root / kind.folder).mkdir(parents=True)
    for name in kind.sums:
        array = rng.integers(0, 10, (7, 28, 28) if "images" in name else 7).astype(np.uint8)
        (root / kind.folder / name).write_bytes(gzip.compress(idx(array)))


@pytest.mark.parametrize("kind", [data.MNIST, data.FashionMNIST])
def test_digits_and_clothes(kind, tmp_path, monkeypatch) -> None:
    small_mnist(tmp_path, kind)
    monkeypatch.setenv("AUTOGRAD_CORE_DATA", str(tmp_path))
    for train in (True, False):
        images = kind(train=train)
        x, y = images[3]
        assert x.shape == (1, 28, 28) and x.dtype == np.float32 and isinstance(y, int)
        (xs, ys) = next(iter(data.DataLoader(images, 7)))
        np.testing.assert_array_equal(xs[3], x)
        np.testing.assert_array_equal(images.arrays()[0], xs)
        np.testing.assert_array_equal(images.arrays()[1], ys)
        assert repr(images) == f"{kind.__name__}(7 images 28x28, 10 classes)"
    cut = kind(transform=lambda image: image[:2].sum(), target_transform=str)
    assert cut[0] == (cut.data[0, :2].sum(), str(cut.targets[0]))
    (batch,) = data.DataLoader(cut, 7)
    assert batch[0].tolist() == [cut[k][0] for k in range(7)] and batch[1] == [cut[k][1] for k in range(7)]


def test_what_is_missing_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"mnist/train-images-idx3-ubyte.gz is missing; .*AUTOGRAD_CORE_DATA"):
        data.MNIST(tmp_path, download=False)
    for kind, text in (
        (
            data.OrlFaces,
            "orl-faces/s1/1.pgm is missing: unpack att_faces.zip from https://cam-orl.co.uk/.*, so that .* holds",
        ),
        (data.Membranes, "isbi2012-em/train-volume.tif is missing: .* should hold .* of http://brainiac2.mit.edu"),
    ):
        with pytest.raises(FileNotFoundError, match=f"{text}.*not fetched, as .*AUTOGRAD_CORE_DATA"):
            kind(tmp_path)
    (tmp_path / "cifar10").mkdir()
    np.save(tmp_path / "cifar10" / "test_first_images.npy", np.zeros((1, 32, 32, 3), np.uint8))
    with pytest.raises(FileNotFoundError, match=r"cifar10/test_first_labels\.npy is missing; give the folder"):
        data.CIFAR10(tmp_path, train=False)


def test_a_text_whose_end_is_missing_is_told(tmp_path) -> None:
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_text("First Citizen:")
    with pytest.warns(UserWarning, match="input.txt is not the text that is known by this name: cut off"):
        assert data.TinyShakespeare(tmp_path).text == "First Citizen:"
    (tmp_path / "tinyshakespeare" / "input.txt").write_text("")
    with pytest.warns(UserWarning), pytest.raises(ValueError, match=r"input\.txt is empty; delete it and fetch it"):
        data.TinyShakespeare(tmp_path)


def test_small_photographs_from_arrays_and_from_the_archive(tmp_path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "cifar10"
    folder.mkdir()
    images, labels = (
        rng.integers(0, 256, (2, 3, 32, 32, 3)).astype(np.uint8),
        rng.integers(0, 10, (2, 3)).astype(np.uint8),
    )
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as tar:
        for k in (1, 0):
            records = np.concatenate([labels[k][:, None], np.moveaxis(images[k], -1, 1).reshape(3, -1)], axis=1)
            member = tarfile.TarInfo(f"cifar-10-batches-bin/data_batch_{k + 1}.bin")
            member.size = records.size
            tar.addfile(member, io.BytesIO(records.tobytes()))
    packed = data.CIFAR10(tmp_path)
    with pytest.raises(ValueError, match="has no member test_batch"):
        data.CIFAR10(tmp_path, train=False)
    for k in range(2):
        np.save(folder / f"train_batch{k + 1}_images.npy", images[k])
        np.save(folder / f"train_batch{k + 1}_labels.npy", labels[k])
    for found in (packed, data.CIFAR10(tmp_path)):
        np.testing.assert_array_equal(found.data, images.reshape(-1, 32, 32, 3))
        np.testing.assert_array_equal(found.targets, labels.ravel())
        assert found[0][0].shape == (3, 32, 32)
    whole = (folder / "cifar-10-binary.tar.gz").read_bytes()
    (folder / "cifar-10-binary.tar.gz").write_bytes(whole[: len(whole) // 2])
    for path in folder.glob("*.npy"):
        path.unlink()
    with pytest.raises(ValueError, match="cut off or damaged"):
        data.CIFAR10(tmp_path)


@pytest.mark.parametrize("kind", [data.MNIST, data.FashionMNIST])
def test_images_and_labels_that_do_not_belong_together(kind, tmp_path) -> None:
    small_mnist(tmp_path, kind)
    (tmp_path / kind.folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(6, np.uint8))))
    with pytest.raises(FileError, match=rf"{kind.folder}: images \(7, 28, 28\) and labels \(6,\) do not belong"):
        kind(tmp_path)


def test_photographs_and_labels_that_do_not_belong_together(tmp_path) -> None:
    (tmp_path / "cifar10").mkdir()
    for part, count in (("train_batch1", 3), ("train_batch2", 2)):
        np.save(tmp_path / "cifar10" / f"{part}_images.npy", np.zeros((3, 32, 32, 3), np.uint8))
        np.save(tmp_path / "cifar10" / f"{part}_labels.npy", np.zeros(count, np.uint8))
    with pytest.raises(FileError, match=r"train_batch2_images.npy: images \(3, 32, 32, 3\) and labels \(2,\)"):
        data.CIFAR10(tmp_path)


def test_faces_as_their_archive_has_them(tmp_path) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (40, 10, 5, 4)).astype(np.uint8)
    folder = tmp_path / "orl-faces"
    for person in range(40):
        (folder / f"s{person + 1}").mkdir(parents=True)
        for k in range(10):
            header = b"P5\n# a comment of 2 words\n4 5\n255\n" if k else b"P5 4 5 255\t"
            (folder / f"s{person + 1}" / f"{k + 1}.pgm").write_bytes(header + faces[person, k].tobytes())
    found = data.OrlFaces(tmp_path)
    np.testing.assert_array_equal(found.data, faces.reshape(400, 5, 4))
    assert found.targets.tolist() == np.repeat(range(40), 10).tolist() and found.classes[39] == "s40"
    for content, text in (
        (b"P5 4 5 255\n" + bytes(19), r"s7/3\.pgm is cut off: its header tells of 4 x 5 pixels, it has 19"),
        (b"P5 4 5 65535\n" + bytes(40), r"s7/3\.pgm is not a PGM image of eight bits \(P5, 255\)"),
        (b"", r"s7/3\.pgm is not a PGM image"),
        (b"P5 5 4 255\n" + bytes(20), r"should be of one size, but are of \(4, 5\), \(5, 4\)"),
    ):
        (folder / "s7" / "3.pgm").write_bytes(content)
        with pytest.raises(FileError, match=text):
            data.OrlFaces(folder)
    (folder / "s7" / "3.pgm").unlink()
    with pytest.raises(FileNotFoundError, match=r"s7/3\.pgm is missing: unpack att_faces\.zip"):
        data.OrlFaces(tmp_path)


def test_membranes_as_the_challenge_gives_them(tmp_path) -> None:
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    images, masks = rng.integers(0, 256, (3, 6, 5)).astype(np.uint8), rng.integers(0, 2, (3, 6, 5)).astype(np.uint8)
    folder = tmp_path / "isbi2012-em"
    folder.mkdir()

    def keep(name, stack):
        first, *others = map(image.fromarray, stack)
        first.save(folder / name, save_all=True, append_images=others)

    keep("train-volume.tif", images)
    with pytest.raises(FileNotFoundError, match=r"train-labels\.tif is missing"):
        data.Membranes(tmp_path)
    keep("train-labels.tif", masks * 255)
    found = data.Membranes(tmp_path)
    assert len(found) == 3
    for k in range(3):
        x, mask = found[k]
        np.testing.assert_array_equal(x, images[k][None].astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(mask, masks[k][None])
    keep("train-labels.tif", masks[:2] * 255)
    with pytest.raises(FileError, match=r"images \(3, 6, 5\) and masks \(2, 6, 5\), which do not belong together"):
        data.Membranes(tmp_path)


def test_folders_of_images(tmp_path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", np.full((4, 5, 3), 255, np.uint8))
        (tmp_path / name / "notes.txt").write_text("not an image")
    images = data.ImageFolder(tmp_path)
    assert images.classes == ["cats", "dogs"] and images.targets == [0, 1] and len(images) == 2
    assert images[1][0].shape == (3, 4, 5) and float(images[1][0].max()) == 1 and images[1][1] == 1
    assert data.ImageFolder(tmp_path, np.sum, str)[1] == (4 * 5 * 3 * 255, "1")
    with pytest.raises(FileNotFoundError, match="no images in folders below"):
        data.ImageFolder(tmp_path / "cats")
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        data.ImageFolder(tmp_path / "birds")


def test_images_of_pillow(tmp_path) -> None:
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    grey, coloured = rng.integers(0, 256, (4, 5), np.uint8), rng.integers(0, 256, (4, 5, 3), np.uint8)
    for k, array in enumerate((grey, coloured)):
        image.fromarray(array).save(tmp_path / f"{k}.png")
        np.testing.assert_array_equal(data.read_image(tmp_path / f"{k}.png"), array)


def test_images_of_sixteen_bits(tmp_path) -> None:
    image = pytest.importorskip("PIL.Image")
    deep = np.array([[0, 300, 60000], [255, 256, 65535]], np.uint16)
    (tmp_path / "a").mkdir()
    for name in ("a.png", "b.tif"):
        image.fromarray(deep).save(tmp_path / "a" / name)
    (tmp_path / "a" / "c.pgm").write_bytes(b"P5 3 2 65535\n" + deep.astype(">u2").tobytes())
    np.save(tmp_path / "a" / "d.npy", deep.astype(">u2"))
    images = data.ImageFolder(tmp_path)
    assert len(images) == 4
    for k, (path, _) in enumerate(images.samples):
        found = data.read_image(path)
        assert found.dtype.kind == "u" and found.dtype.itemsize == 2
        np.testing.assert_array_equal(found, deep)
        np.testing.assert_allclose(images[k][0], deep[None] / 65535, rtol=1e-6)
    for array in ((deep / 65535).astype(np.float32), deep.astype(np.int32) * 2, -deep.astype(np.int32)):
        image.fromarray(array).save(tmp_path / "e.tif")
        with pytest.raises(FileError, match=r"e\.tif has pixels of (float|int)32 from .* no white that is known"):
            data.read_image(tmp_path / "e.tif")


def test_damaged_images_are_named(tmp_path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "a").mkdir()
    for content in (whole[:3000], whole[:20], b"", b"no image"):
        (tmp_path / "a" / "cut.png").write_bytes(content)
        with pytest.raises(FileError, match=r"a/cut\.png is cut off or damaged \(.*\); delete it"):
            data.ImageFolder(tmp_path)[0]
    with pytest.raises(FileNotFoundError, match="none.png"):
        data.read_image(tmp_path / "none.png")
