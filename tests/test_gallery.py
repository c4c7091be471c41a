"""The gallery: what it lists, says and refuses, and every script for a few steps on small made-up data."""

import functools
import gzip
import importlib.util
import lzma
import re
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
# large images: gradients of biases are sums over a hundred thousand pixels.
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
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.glob("p-*.png"))
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


def test_results_are_recorded(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(gallery, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(gallery, "TABLE", tmp_path / "README.md")
    one = SCRIPTS["digits"] | {"EPOCHS": 1}
    gallery.record({"digits": one}, ["digits"])
    assert "not recorded" in gallery.table({"a": one | {"NAME": "a"}})
    assert re.search(r"\| test accuracy 0\.\d+ \| \d+ \(\d+\) \|", (tmp_path / "README.md").read_text())
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
    assert "orl_faces_40x10x112x92.npy.xz is missing" in capsys.readouterr().err


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
