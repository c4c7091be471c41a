"""The gallery: what it lists, says and refuses, and every script for a few steps on small made-up data."""

import functools
import gzip
import importlib.util
import json
import lzma
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from handmade import idx

import examples.__main__ as gallery
import nn
import optim
from nn import data, plot
from nn.train import Settings
from nn.train.kept import Kept
from nn.train.run import Run

SCRIPTS = gallery.gallery()
needs_matplotlib = pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="pictures need Matplotlib")
rng = np.random.default_rng(0)
pytestmark = pytest.mark.filterwarnings("ignore:.*is not the text that is known by this name")  # one made up


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small data sets in the form of the real ones."""
    root = tmp_path_factory.mktemp("data")
    for kind in (data.MNIST, data.FashionMNIST):
        (root / kind.folder).mkdir()
        for name in kind.sums:
            array = rng.integers(0, 10, (70, 28, 28) if "images" in name else 70).astype(np.uint8)
            (root / kind.folder / name).write_bytes(gzip.compress(idx(array), 1))
    for name in ("cifar10", "orl-faces", "isbi2012-em", "tinyshakespeare"):
        (root / name).mkdir()
    for name, count in (("train_batch1", 130), ("test_first", 8)):
        np.save(root / "cifar10" / f"{name}_images.npy", rng.integers(0, 256, (count, 32, 32, 3)).astype(np.uint8))
        np.save(root / "cifar10" / f"{name}_labels.npy", (np.arange(count) % 10).astype(np.uint8))
    packed(
        root / "orl-faces" / "orl_faces_40x10x112x92.npy.xz", rng.integers(0, 256, (40, 2, 112, 92)).astype(np.uint8)
    )
    for what in ("images", "labels"):
        masks = np.kron(rng.integers(0, 2, (30, 8, 8)), np.ones((64, 64))).astype(np.uint8)
        packed(root / "isbi2012-em" / f"train_{what}_30x512x512.npy.xz", masks)
    (root / "tinyshakespeare" / "input.txt").write_text("ROMEO:\nBut soft, what light?\n" * 400)
    return root


def packed(path, array) -> None:
    with lzma.open(path, "wb", preset=0) as file:
        np.save(file, array)


# The compiled dcgan is at 1e-16 of the other in float64; where a batch norm's channel is nearly constant, or a number
# nearly at a leaky layer's corner, its float32 differs by what that makes of 1e-8.  Membranes have a batch of few but
# large images: gradients of biases are sums over a hundred thousand pixels.  Every step of a compiled run is a replay,
# from the first: 2.04e-4 was seen for dcgan.
ROUNDING = {"dcgan": 5e-4, "membranes": 1e-5}


class Killed(BaseException):
    """What no script catches."""


class Runs:
    """Runs of one script that keep their weights, and may be broken off after so many steps."""

    def __init__(self, name, folder, monkeypatch):
        self.name, self.folder, self.steps, self.last = name, folder, 0, None
        after = Kept.after_step
        for kind in ("Adam", "AdamW", "Adadelta"):  # theirs makes a step of the full rate of rounding alone
            monkeypatch.setattr(optim, kind, functools.partial(getattr(optim, kind), eps=0.01))

        def counted(kept, run, interrupt):
            self.steps += 1
            if self.steps == self.last:
                raise Killed
            after(kept, run, interrupt)

        monkeypatch.setattr(Kept, "after_step", counted)

    def __call__(self, where, *options, last=None) -> dict:
        """The weights at the end, and what was measured."""
        self.steps, self.last = 0, last
        where.mkdir(exist_ok=True)
        common = ["--quick", "--epochs", "2", "--data", str(self.folder), "--checkpoint", str(where / "run")]
        result = gallery.run(SCRIPTS[self.name], [*common, *options])["result"]
        files = sorted(path for path in where.glob("run*") if path.suffix != ".png")
        found = {f"{path.name} {k}": v.numpy() for path in files for k, v in nn.load(path)["model"].items()}
        return found | {k: np.array(v) for k, v in result.items()}


def differences(a, b) -> dict:
    assert a.keys() == b.keys()
    return {k: float(np.abs(a[k] - b[k]).max()) for k in a if not np.array_equal(a[k], b[k], equal_nan=True)}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_ends_with_the_same_weights_compiled_and_killed_on_its_way(
    name, folder, tmp_path, monkeypatch, capsys
) -> None:
    run = Runs(name, folder, monkeypatch)
    pictures = ["--plot", str(tmp_path / "p.png")] if importlib.util.find_spec("matplotlib") else []
    whole = run(tmp_path / "whole", "--compile", *pictures)
    out = capsys.readouterr().out
    assert re.search(r"^here: .*\d, \d+ s \(quick", out, re.M) and f"book: {SCRIPTS[name]['PRINTED']}" in out
    drawn = list(tmp_path.glob("p-*.png"))
    assert bool(drawn) == bool(pictures) and all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    last = int(np.random.default_rng(list(name.encode())).integers(1, run.steps + 1))
    with pytest.raises(Killed):
        run(tmp_path / "broken", "--compile", last=last)
    assert differences(whole, run(tmp_path / "broken", "--compile", "--resume")) == {}, f"killed at step {last}"
    eager = differences(whole, run(tmp_path / "eager", "--no-compile"))
    assert max(eager.values(), default=0.0) < ROUNDING.get(name, 1e-6), eager  # sums are taken in another order


def test_the_list_and_names_that_are_not_in_it(capsys) -> None:
    assert gallery.main([]) == 0
    listed = capsys.readouterr().out
    assert all(re.search(rf"^  {name} +\S", listed, re.M) for name in SCRIPTS) and len(SCRIPTS) >= 12
    assert gallery.main(["nothing"]) == 2
    assert "there is no example 'nothing'" in capsys.readouterr().err


def test_the_table_is_what_is_recorded() -> None:
    assert gallery.TABLE.read_text() == gallery.table(SCRIPTS)


def sources(name: str) -> str:
    """A script, and those of the gallery that it takes something from."""
    text = (gallery.FOLDER / f"{name}.py").read_text()
    return text + "".join(map(sources, re.findall(r"^from examples\.(\w+) import", text, re.M)))


def test_every_script_has_a_picture() -> None:
    assert [name for name in SCRIPTS if "settings.picture(" not in sources(name)] == []


def test_the_page_of_results_has_every_script_and_its_time() -> None:
    page = (gallery.FOLDER.parent / "docs" / "results.md").read_text()
    for name in SCRIPTS:
        row = re.search(rf"^\| \[[^]]*\]\(\.\./examples/{name}\.py\) \| .*$", page, re.M)
        recorded = json.loads((gallery.RESULTS / f"{name}.json").read_text())
        assert row and row[0].split(" | ")[3] == gallery.took(recorded), name


def test_a_revision_is_known_where_there_is_one(tmp_path, monkeypatch) -> None:
    assert re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?", gallery.revision() or "0000000")
    monkeypatch.setattr(gallery, "FOLDER", tmp_path)
    assert gallery.revision() is None


def test_results_are_recorded(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(gallery, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(gallery, "TABLE", tmp_path / "README.md")
    one = SCRIPTS["digits"] | {"EPOCHS": 1}
    gallery.record({"digits": one}, ["digits"])
    assert "not recorded" in gallery.table({"a": one | {"NAME": "a"}})
    assert re.search(r"\| test accuracy 0\.\d+ \| \d+ \(\d+\) \|", (tmp_path / "README.md").read_text())
    assert json.loads((tmp_path / "results" / "digits.json").read_text())["revision"] == gallery.revision()
    assert gallery.main(["record", "nothing"]) == 2


def test_a_recording_that_was_killed_goes_on_and_says_that_its_time_is_not_known(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(gallery, "RESULTS", tmp_path)
    monkeypatch.setattr(gallery, "TABLE", tmp_path / "README.md")
    one, last = SCRIPTS["digits"] | {"EPOCHS": 2}, []
    save = Run.save

    def saved(run, path):
        save(run, path)
        last.append(run.epoch)
        if len(last) == 1:
            raise Killed

    monkeypatch.setattr(Run, "save", saved)
    with pytest.raises(Killed):
        gallery.record({"digits": one}, ["digits"])
    assert [path.name for path in tmp_path.iterdir()] == ["digits.run"]
    gallery.record({"digits": one}, ["digits"])
    assert last == [1, 2] and sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "digits.json"]
    assert re.search(r"\| more than \d+ \(\d+\) \|", (tmp_path / "README.md").read_text())


@pytest.mark.parametrize(
    "options, text",
    [
        (["--epochs", "0"], "must be at least 1, got 0"),
        (["--resume"], "--resume needs to know from where: give --checkpoint FILE"),
        (["--epochs", "x"], "--epochs: must be a whole number, got 'x'"),
        (["--seed", "1.5"], "--seed: must be a whole number, got '1.5'"),
        (["--seed", str(2**64)], rf"--seed: must be at most {2**64 - 1}, got {2**64}"),
    ],
)
def test_options_that_make_no_sense(options, text, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        gallery.main(["digits", *options])
    assert re.search(text, capsys.readouterr().err)


def test_help_says_what_is_in_the_book(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        gallery.main(["mnist_mlp", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "printed: test accuracy 0.982; rows F-18" in out and "(60)" in out and "--no-compile" in out


@needs_matplotlib
def test_pictures_that_cannot_be_drawn_are_known_before_the_training(tmp_path, monkeypatch, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        gallery.main(["digits", "--plot", "p.xyz"])
    assert re.search(r"--plot: no pictures end in '\.xyz'; there are .*\.png", capsys.readouterr().err)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as if it were not installed
    assert gallery.main(["digits", "--plot", str(tmp_path / "p.png")]) == 1
    out, err = capsys.readouterr()
    assert "pip install 'autograd-core[plot]'" in err and not out


@needs_matplotlib
def test_pictures_go_into_a_folder_that_is_there(tmp_path) -> None:
    settings = Settings.parse(["--plot", f"{tmp_path}/"])
    settings.picture("curves", plot.curves, {"loss": [2.0, 1.0]})
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_a_missing_package_is_told_with_how_to_get_it(monkeypatch, capsys) -> None:
    monkeypatch.delitem(sys.modules, "examples.digits", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)  # as if it were not installed
    assert gallery.main(["digits"]) == 1
    assert re.search(r"sklearn.*: pip install 'autograd-core\[examples\]'\n$", capsys.readouterr().err)


def test_missing_data_are_named(tmp_path, capsys) -> None:
    assert gallery.main(["siamese_faces", "--data", str(tmp_path)]) == 1
    assert "orl-faces/s1/1.pgm is missing: unpack att_faces.zip" in capsys.readouterr().err


def test_damaged_data_and_wrong_folders_are_told_in_a_line(folder, tmp_path, capsys) -> None:
    (tmp_path / "orl-faces").mkdir()
    name = "orl-faces/orl_faces_40x10x112x92.npy.xz"
    (tmp_path / name).write_bytes((folder / name).read_bytes()[:1000])
    for where, text in (
        (tmp_path, "is cut off or damaged"),
        (tmp_path / name, "is a file; give the folder that holds"),
    ):
        assert gallery.main(["siamese_faces", "--data", str(where)]) == 1
        said = capsys.readouterr().err
        assert text in said and said.count("\n") == 1
    assert gallery.main(["digits", "--checkpoint", str(tmp_path / "run.npz")]) == 1
    assert "a checkpoint is a safetensors file" in capsys.readouterr().err


def told_in_a_line(capsys, arguments: list[str], text: str) -> None:
    assert gallery.main(arguments) == 1
    said = capsys.readouterr().err
    assert re.search(text, said) and said.count("\n") == 1, said


def test_data_that_do_not_belong_together_are_told_in_a_line(folder, tmp_path, capsys) -> None:
    for name in ("mnist", "cifar10"):
        shutil.copytree(folder / name, tmp_path / name)
    np.save(tmp_path / "cifar10" / "train_batch1_labels.npy", np.zeros(3, np.uint8))
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(3, np.uint8))))
    for name in ("mnist_mlp", "cifar_cnn"):
        told_in_a_line(capsys, [name, "--data", str(tmp_path)], r"^FileError: .*labels \(3,\) do not belong together")


@pytest.mark.parametrize("name", ["shakespeare_lstm", "shakespeare_gpt"])
@pytest.mark.parametrize("count", [1, 30])
def test_a_text_that_is_too_short_is_told_in_a_line(name, count, tmp_path, capsys) -> None:
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_text("ROMEO:\nBut soft" * count)
    told_in_a_line(capsys, [name, "--data", str(tmp_path)], r"^FileError: \d+ characters give \d pieces .*cut off")


@pytest.mark.parametrize(
    "begun, options, text",
    [
        (["--seed", "0"], ["--seed", "1"], "begun with seed 0, this one has seed 1"),
        (["--quick"], ["--epochs", "2"], "begun with quick True, this one has quick False; say the same"),
    ],
)
def test_a_run_that_was_begun_otherwise_is_not_taken_up(begun, options, text, tmp_path, capsys) -> None:
    common = ["digits", "--checkpoint", str(tmp_path / "run")]
    assert gallery.main([*common, "--epochs", "1", *begun]) == 0
    told_in_a_line(
        capsys, [*common, "--resume", *options], f"^FileError: .*run is the checkpoint of another run: it was {text}"
    )
    assert gallery.main([*common, "--resume", "--epochs", "2", *begun]) == 0


def test_the_folder_of_one_data_set_will_do(folder) -> None:
    for kind in (data.MNIST, data.CIFAR10, data.TinyShakespeare):
        name = getattr(kind, "folder", "tinyshakespeare")
        assert vars(kind(folder / name, download=False)).keys() == vars(kind(folder, download=False)).keys()
    assert len(data.OrlFaces(folder / "orl-faces")) == 80 and len(data.Membranes(folder / "isbi2012-em")) == 30


def test_a_picture_that_cannot_be_saved_does_not_cost_the_result(tmp_path, capsys) -> None:
    (tmp_path / "file").touch()
    settings = Settings(plot=tmp_path / "file" / "p.png")
    settings.picture("curves", lambda: None)
    assert re.search(r"could not save .*p-curves\.png: (Not a directory|File exists)", capsys.readouterr().err)


@pytest.mark.slow
def test_as_a_command() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "examples", "digits", "--epochs", "3"], capture_output=True, text=True
    )
    assert found.returncode == 0 and re.search(r"here: test accuracy 0\.9", found.stdout), found
