"""nn.train: what is measured, runs that are broken off and taken up again, early stopping, and errors."""

import csv
import errno
import itertools
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from nn.data import DataLoader, TensorDataset
from nn.metrics import accuracy
from nn.train import Callback, History, callbacks, evaluate, fit, predict
from nn.train.rehearsal import Rehearsed
from nn.train.run import Run
from nn.train.steps import Supervised
from optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR

rng = np.random.default_rng(0)
X = rng.standard_normal((50, 6)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)


class Small:
    """A model with dropout and batch norm, its optimizer, schedules and data: all that a run depends on."""

    def __init__(self, workers: int = 0):
        ag.manual_seed(0)
        self.model = nn.Sequential(
            nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)
        )
        self.optimizer = optim.AdamW(self.model.parameters(), lr=0.01)
        self.data = DataLoader(TensorDataset(X, Y), 8, shuffle=True, num_workers=workers)
        self.test = DataLoader(TensorDataset(X[:20], Y[:20]), 7)

    def fit(self, **options):
        ag.manual_seed(1)
        options = {"epochs": 4, "loss": nn.CrossEntropyLoss(), "progress": False} | options
        return fit(self.model, self.data, optimizer=self.optimizer, **options)

    def state(self) -> dict:
        return {k: v.numpy().copy() for k, v in self.model.state_dict().items()}


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def without_seconds(history) -> list:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


# --- what is done and measured ---------------------------------------------------------------------------------------


def test_a_run_is_the_loop_that_one_would_write() -> None:
    a, b = Small(), Small()
    history = a.fit(epochs=3, validation=a.test, metrics={"accuracy": accuracy}, clip_norm=0.5, clip_value=0.1)
    loss = nn.CrossEntropyLoss()
    ag.manual_seed(1)
    for epoch in range(3):
        b.model.train()
        total = 0.0
        for x, y in b.data:
            b.optimizer.zero_grad()
            value = loss(b.model(x), y)
            value.backward()
            nn.utils.clip_grad_value_(b.model.parameters(), 0.1)
            nn.utils.clip_grad_norm_(b.model.parameters(), 0.5)
            b.optimizer.step()
            total += value.item() * len(x)
        measured = evaluate(b.model, b.test, loss, {"accuracy": accuracy})
        row = history[epoch]
        assert row["loss"] == total / 50 and row["epoch"] == epoch + 1
        assert row["validation loss"] == measured["loss"] and row["validation accuracy"] == measured["accuracy"]
    assert same(a.state(), b.state())


def test_what_a_model_says_of_a_set() -> None:
    s = Small()
    s.model.eval()
    outputs = s.model(ag.tensor(X[:20]))
    found, targets = predict(s.model.train(), s.test)
    assert s.model.training and not found.requires_grad
    np.testing.assert_allclose(found, outputs.detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(targets, Y[:20])
    values = evaluate(s.model, s.test, nn.CrossEntropyLoss(), {"accuracy": accuracy})
    assert values["loss"] == pytest.approx(nn.functional.cross_entropy(outputs, ag.tensor(Y[:20])).item(), rel=1e-5)
    assert values["accuracy"] == accuracy(outputs, Y[:20])
    only, none = predict(s.model, DataLoader(TensorDataset(X[:20]), 7), labelled=False)
    assert none is None and np.array_equal(only, found)


def test_schedules_move_on_when_they_should() -> None:
    s = Small()
    steps = len(s.data)
    s.fit(epochs=3, scheduler=StepLR(s.optimizer, 1, 0.5))
    assert s.optimizer.param_groups[0]["lr"] == 0.01 / 8
    s = Small()
    cycle = OneCycleLR(s.optimizer, 0.1, total_steps=3 * steps)
    s.fit(epochs=3, batch_scheduler=cycle)
    assert cycle.last_epoch == 3 * steps
    s = Small()
    plateau = ReduceLROnPlateau(s.optimizer, patience=0, threshold=1e9)
    s.fit(epochs=3, scheduler=plateau, validation=s.test)
    assert s.optimizer.param_groups[0]["lr"] < 0.01


def test_steps_of_the_users_own() -> None:
    s = Small()
    pair = nn.ModuleDict({"a": s.model, "b": nn.Linear(2, 1)})

    def step(x, y):
        loss = pair["b"](pair["a"](x)).mean()
        s.optimizer.zero_grad()
        loss.backward()
        s.optimizer.step()
        return {"loss": loss, "rows": len(x)}

    history = fit(
        pair, s.data, optimizer=[s.optimizer], step=step, epochs=2, progress=False, validation=lambda m: {"n": len(m)}
    )
    assert history.names() == ["epoch", "loss", "rows", "validation n", "seconds"] and history[1]["validation n"] == 2


def test_the_step_compiled() -> None:
    a, b = Small(), Small()
    np.testing.assert_allclose(a.fit(epochs=3)["loss"], b.fit(epochs=3, compile=True)["loss"], rtol=1e-6)
    for name, value in a.state().items():
        np.testing.assert_allclose(value, b.state()[name], rtol=1e-5, atol=1e-6, err_msg=name)


# --- breaking off and going on ---------------------------------------------------------------------------------------


class Broken(Exception):
    pass


class Break(Callback):
    """Breaks off after so many steps, as an error or a lost process does."""

    def __init__(self, step: int):
        self.step = step

    def batch(self, run, values):
        if run.step == self.step:
            raise Broken


@pytest.mark.parametrize("step", [1, 6, 7, 8, 13, 14, 27])
@pytest.mark.parametrize("every", [1, 3, None])
def test_a_run_goes_on_to_the_same_bits(step: int, every: int | None, tmp_path) -> None:
    whole = Small()

    def options(s):
        schedule = StepLR(s.optimizer, 1, 0.9)
        return {
            "validation": s.test,
            "scheduler": schedule,
            "monitor": "validation loss",
            "checkpoint": tmp_path / "run",
        }

    wanted = whole.fit(**options(whole) | {"checkpoint": None})

    first = Small()
    with pytest.raises(Broken):
        first.fit(**options(first), checkpoint_every=every, callbacks=[Break(step)])
    again = Small(workers=2)
    for p in again.model.parameters() if (tmp_path / "run").exists() else ():
        p.requires_grad_(False).zero_().requires_grad_(True)
    history = again.fit(**options(again), resume=True)
    assert without_seconds(history) == without_seconds(wanted)
    assert same(again.state(), whole.state())
    assert again.fit(**options(again), resume=True).rows == history.rows  # nothing is left to do


@pytest.mark.parametrize("step", [1, 2, 4, 7, 8, 13, 20])
def test_a_compiled_run_goes_on_to_the_same_bits(step: int, tmp_path) -> None:
    """What is not captured yet runs as it comes, which differs by rounding from a replay: no such step may count."""
    options = {"epochs": 3, "compile": True, "clip_norm": 0.5}
    whole, first, again = Small(), Small(), Small()
    wanted = whole.fit(**options)
    with pytest.raises(Broken):
        first.fit(**options, checkpoint=tmp_path / "run", checkpoint_every=1, callbacks=[Break(step + 1)])
    assert without_seconds(again.fit(**options, checkpoint=tmp_path / "run", resume=True)) == without_seconds(wanted)
    assert same(again.state(), whole.state())


def test_a_step_that_is_tried_leaves_nothing_behind() -> None:
    plain, s = Small(), Small()
    batch = ag.tensor(X[:8]), ag.tensor(Y[:8])
    run = Run(s.model, [s.optimizer], [], s.data, 1)
    act = ag.compile(Supervised(s.model, nn.CrossEntropyLoss(), [s.optimizer]))
    random = ag.get_rng_state()
    Rehearsed(act, run).rehearse(batch)
    assert act.cache_info().replays == 1
    assert same(s.state(), plain.state()) and np.array_equal(random, ag.get_rng_state())
    assert all((v.numpy() == 0).all() for state in s.optimizer.state.values() for v in state.values())


def test_more_forms_of_batches_than_replays_are_kept_for_are_not_tried() -> None:
    s = Small()
    act = ag.compile(Supervised(s.model, nn.CrossEntropyLoss(), [s.optimizer]), cache_size=2)
    step = Rehearsed(act, Run(s.model, [s.optimizer], [], s.data, 1))
    for count in (4, 5, 6, 7):
        step(ag.tensor(X[:count]), ag.tensor(Y[:count]))
    assert len(step.known) == 2 and act.cache_info().captures == 2 * 2 + 2


def test_an_optimizer_need_only_have_a_step() -> None:
    s = Small()

    class Plain:
        def zero_grad(self):
            s.model.zero_grad()

        def step(self):
            with ag.no_grad():
                for p in s.model.parameters():
                    p -= 0.01 * p.grad

    s.optimizer = Plain()
    assert len(s.fit(epochs=1, compile=True)) == 1


def test_batches_in_a_list_are_counted(tmp_path) -> None:
    batches = [(X[k : k + 10], Y[k : k + 10]) for k in range(0, 50, 10)]
    batches = [(ag.tensor(x), ag.tensor(y)) for x, y in batches]
    runs = []
    for breaks in ([], [3]):
        s = Small()
        s.data = batches
        for step in breaks:
            with pytest.raises(Broken):
                s.fit(checkpoint=tmp_path / "run", checkpoint_every=1, callbacks=[Break(step + 1)])
            s = Small()
            s.data = batches
        runs.append((without_seconds(s.fit(checkpoint=tmp_path / "run", resume=bool(breaks))), s.state()))
    assert runs[0][0] == runs[1][0] and same(runs[0][1], runs[1][1])


SCRIPT = """
    import sys, numpy as np, autograd_core as ag, nn, optim
    from nn.data import DataLoader, TensorDataset
    from nn.train import fit
    ag.manual_seed(0)
    x = ag.randn(64, 6); y = (x[:, 0] > 0).long()
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 2))
    data = DataLoader(TensorDataset(x, y), 8, shuffle=True)
    def slowly(run):
        print("epoch", run.epoch, flush=True)
    fit(model, data, optimizer=optim.Adam(model.parameters(), foreach=False), loss=nn.CrossEntropyLoss(), epochs=int(sys.argv[2]),
        checkpoint=sys.argv[1], checkpoint_every=1, resume=True, callbacks=[slowly], progress=False)
    nn.save(sys.argv[1] + ".weights", model.state_dict())
"""


@pytest.mark.slow
def test_processes_that_are_killed_lose_nothing(tmp_path) -> None:
    def run(name: str, epochs: int, number: int | None = None) -> str:
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path / name), str(epochs)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if number is not None:
            process.stdout.readline()
            process.send_signal(number)
        out, err = process.communicate(timeout=120)
        assert number is not None or process.returncode == 0, err
        return err

    run("whole", 8)
    run("broken", 8, signal.SIGKILL)
    said = run("broken", 8, signal.SIGINT)
    assert said == "" or "resume=True goes on from there" in said  # it may have ended before it was told
    run("broken", 8)
    assert sorted(os.listdir(tmp_path)) == ["broken", "broken.weights", "whole", "whole.weights"] or any(
        name.endswith(".part") for name in os.listdir(tmp_path)
    )
    assert (tmp_path / "whole.weights").read_bytes() == (tmp_path / "broken.weights").read_bytes()


def test_ctrl_c_waits_for_the_step_and_saves(tmp_path, capsys) -> None:
    class Press(Callback):
        def batch(self, run, values):
            if run.step == 9:
                signal.raise_signal(signal.SIGINT)

    s, path = Small(), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        s.fit(checkpoint=path, callbacks=[Press()])
    assert f"stopped in epoch 2 after batch 2; saved in {path}: resume=True goes on" in capsys.readouterr().err
    again, whole = Small(), Small()
    assert without_seconds(again.fit(checkpoint=path, resume=True)) == without_seconds(whole.fit())
    assert same(again.state(), whole.state())
    with pytest.raises(KeyboardInterrupt):
        Small().fit(callbacks=[Press()])
    assert "nothing was saved" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Broke(Callback):
    """Fails where it is told of an epoch."""

    def epoch(self, run):
        if run.epoch == 2:
            raise Broken


def test_a_finished_epoch_is_kept_whatever_a_callback_does(tmp_path) -> None:
    path = tmp_path / "run"
    with pytest.raises(Broken):
        Small().fit(checkpoint=path, callbacks=[Broke()])
    assert nn.load(path)["run"]["epoch"] == 2


def test_a_full_disk_does_not_end_the_run(tmp_path, monkeypatch, capsys) -> None:
    full, write = {1, 3}, Run.save

    def save(run, path):
        if run.epoch in full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(run, path)

    monkeypatch.setattr(Run, "save", save)
    whole, s, path = Small(), Small(), tmp_path / "run"
    wanted = whole.fit(epochs=3)
    with pytest.warns(UserWarning, match=r"run could not be written after epoch [13] \(No space left") as said:
        found = s.fit(epochs=3, checkpoint=path)
    assert len(said) == 2 and without_seconds(found) == without_seconds(wanted) and same(s.state(), whole.state())
    again = Small()
    full.clear()
    assert without_seconds(again.fit(epochs=3, checkpoint=path, resume=True)) == without_seconds(wanted)
    assert same(again.state(), whole.state())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
def test_a_table_that_cannot_be_written_does_not_end_the_run(tmp_path, monkeypatch) -> None:
    log = tmp_path / "logs" / "run.csv"
    with monkeypatch.context() as patched, pytest.warns(UserWarning, match=r"run\.csv could not be written \(No space"):
        patched.setattr(callbacks, "replacing", lambda path: open("/dev/full", "wb", buffering=0))
        assert len(Small().fit(epochs=2, log=log)) == 2
    (tmp_path / "file").touch()
    s = Small()
    before = s.state()
    with pytest.raises(OSError, match="file"):
        s.fit(log=tmp_path / "file" / "run.csv")
    assert same(s.state(), before)


def test_ctrl_c_on_a_full_disk_says_that_nothing_was_saved(tmp_path, monkeypatch, capsys) -> None:
    def save(run, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Run, "save", save)
    press = lambda run: signal.raise_signal(signal.SIGINT)
    with pytest.warns(UserWarning, match="No space left"), pytest.raises(KeyboardInterrupt):
        Small().fit(checkpoint=tmp_path / "run", callbacks=[press])
    assert "stopped after epoch 1; nothing was saved" in capsys.readouterr().err


def test_where_a_run_cannot_be_kept_is_said_before_it_begins(tmp_path) -> None:
    s, before = Small(), Small().state()
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="file"):
        s.fit(checkpoint=tmp_path / "file" / "run")
    assert same(s.state(), before)
    s.fit(epochs=1, checkpoint=tmp_path / "new" / "folder" / "run")
    assert (tmp_path / "new" / "folder" / "run").is_file()


def test_a_run_says_where_it_is_taken_up(tmp_path, capsys) -> None:
    path = tmp_path / "run"
    for epochs, text in ((1, f"{path} is not there yet: from the beginning"), (2, "taken up after epoch 1, from ")):
        Small().fit(epochs=epochs, checkpoint=path, resume=True, progress=True)
        assert capsys.readouterr().out.startswith(text)


# --- the best epoch --------------------------------------------------------------------------------------------------


def test_the_best_weights_come_back() -> None:
    s, values, weights = Small(), iter([3.0, 1.0, 2.0, 2.0, 0.5]), []
    s.fit(
        epochs=5,
        patience=2,
        monitor="validation x",
        validation=lambda m: {"x": next(values)},
        callbacks=[lambda run: weights.append(s.state())],
    )
    assert len(weights) == 4 and same(s.state(), weights[1])
    s, values = Small(), iter([3.0, 1.0, 4.0])
    weights.clear()
    s.fit(
        epochs=3,
        monitor="validation x",
        maximize=True,
        validation=lambda m: {"x": next(values)},
        callbacks=[lambda run: weights.append(s.state())],
    )
    assert same(s.state(), weights[2])


def test_a_callback_may_end_the_run() -> None:
    def stop(run):
        run.stopped = run.epoch == 2

    assert len(Small().fit(callbacks=[stop])) == 2


# --- what is written -------------------------------------------------------------------------------------------------


def test_lines_tables_and_events(tmp_path, capsys) -> None:
    s = Small()
    history = s.fit(epochs=2, progress=True, log=tmp_path / "logs" / "run.csv", validation=s.test)
    out = capsys.readouterr().out.splitlines()
    assert (
        len(out) == 2
        and out[0].startswith("epoch   1  loss 0.")
        and "validation loss" in out[1]
        and out[1].endswith(" s")
    )
    assert repr(history).splitlines() == out
    with open(tmp_path / "logs" / "run.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == history["loss"] and [row["epoch"] for row in rows] == ["1", "2"]


def test_events_for_tensorboard(tmp_path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = Small().fit(epochs=2, board=tmp_path)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [e.value for e in events.Scalars("epoch/loss")] == pytest.approx(history["loss"])
    assert [e.step for e in events.Scalars("step/loss")] == list(range(1, 15))


def test_a_history_names_what_it_has() -> None:
    history = History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "extra": 3.0}])
    assert history["loss"] == [2.0, 1.0] and np.isnan(history["extra"][0]) and len(history) == 2
    with pytest.raises(KeyError, match="no value 'los' was measured; there are 'epoch', 'loss', 'extra'"):
        history["los"]


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # NumPy's, where nothing is compiled
def test_a_loss_that_is_not_finite_is_told() -> None:
    s = Small()
    s.optimizer.param_groups[0]["lr"] = 1e30
    with pytest.raises(FloatingPointError, match=r"loss is (nan|inf) in epoch 1 at batch \d; a smaller learning rate"):
        s.fit()


@pytest.mark.parametrize(
    "options, kind, text",
    [
        ({"epochs": 2.5}, ValueError, "epochs must be a whole number from 0 on, got 2.5"),
        ({"epochs": -1}, ValueError, "epochs must be a whole number from 0 on, got -1"),
        ({"patience": 0}, ValueError, "patience must be a whole number from 1 on, got 0"),
        ({"checkpoint": "run", "checkpoint_every": 0}, ValueError, "checkpoint_every must be a whole number from 1 on"),
        ({"checkpoint": "."}, IsADirectoryError, "is a folder; give the name of a file in it"),
        ({"checkpoint": "run.pt"}, ValueError, "save: .pt is for PyTorch's files"),
        (
            {"checkpoint": "run.npz"},
            ValueError,
            "a checkpoint is a safetensors file; run.npz has the ending of another",
        ),
        ({"metrics": [accuracy]}, TypeError, "metrics must be a dict of names and functions"),
        (
            {"metrics": {"accuracy": accuracy}},
            TypeError,
            "of the batches of `validation`, and there is none; give data",
        ),
        (
            {"metrics": {"accuracy": accuracy}, "validation": lambda model: {"x": 1.0}},
            TypeError,
            "of the batches of `validation`, and this is a function",
        ),
        ({"optimizer": optim.SGD}, TypeError, "optimizer must be made already"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_before_a_step(options, kind, text, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    s = Small()
    before = s.state()
    given = {"optimizer": s.optimizer, "loss": nn.CrossEntropyLoss(), "progress": False} | options
    with pytest.raises(kind, match=text):
        fit(s.model, s.data, **given)
    assert same(s.state(), before) and os.listdir(tmp_path) == []


def test_a_checkpoint_that_cannot_be_written_is_named(tmp_path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "run"
    with pytest.raises(OSError, match=f"the checkpoint {path} cannot be written: .*; name a file in another folder"):
        Small().fit(checkpoint=path)


def test_a_resumed_run_of_other_epochs_says_what_its_schedules_were_made_for(tmp_path, capsys) -> None:
    told = "schedules go on as they were made, for 1 epochs and not for 2"
    for scheduled, expected in ((True, True), (False, False)):
        path = tmp_path / str(scheduled)
        for epochs in (1, 2):
            s = Small()
            schedule = {"scheduler": optim.lr_scheduler.CosineAnnealingLR(s.optimizer, epochs)} if scheduled else {}
            s.fit(epochs=epochs, checkpoint=path, resume=True, progress=True, **schedule)
        assert (told in capsys.readouterr().out) is expected


def test_a_run_that_will_be_replaced_is_told_of(tmp_path, capsys) -> None:
    path, told = tmp_path / "run", "holds a run, which this one replaces"
    Small().fit(checkpoint=path, progress=True)
    assert told not in capsys.readouterr().out
    Small().fit(checkpoint=path, progress=True, resume=True)
    assert told not in capsys.readouterr().out
    Small().fit(checkpoint=path, progress=True)
    assert f"{path} {told}" in capsys.readouterr().out


def test_a_run_that_was_begun_with_other_settings_is_not_taken_up(tmp_path) -> None:
    path, begun = tmp_path / "run", {"seed": 2**64 - 1, "quick": True}
    Small().fit(epochs=1, checkpoint=path, settings=begun)
    s = Small()
    before = s.state()
    for name, mine in (("seed", 1), ("quick", False)):
        text = f"{path} is the checkpoint of another run: it was begun with {name} {begun[name]}, this one has {name} {mine};"
        with pytest.raises(nn.FileError, match=text):
            s.fit(checkpoint=path, resume=True, settings=begun | {name: mine})
    assert same(s.state(), before)
    Small().fit(epochs=2, checkpoint=path, resume=True)
    with pytest.raises(nn.FileError, match="begun with quick True"):  # also after part of it was run without a word
        s.fit(checkpoint=path, resume=True, settings={"quick": False})
    state = nn.load(path)
    assert state["run"].pop("settings") == begun
    nn.save(path, state)  # as runs were kept that knew nothing of settings
    assert len(s.fit(epochs=3, checkpoint=path, resume=True, settings={"seed": 3})) == 3


def test_errors(tmp_path) -> None:
    s = Small()
    loss = nn.CrossEntropyLoss()
    with pytest.raises(TypeError, match="give either `loss`"):
        fit(s.model, s.data, optimizer=s.optimizer)
    with pytest.raises(TypeError, match="give either `loss`"):
        s.fit(step=lambda x, y: 1.0)
    for options in ({"resume": True}, {"checkpoint_every": 3}):
        with pytest.raises(TypeError, match="give `checkpoint`"):
            s.fit(**options)
    single = DataLoader(X, 8)
    for call in (predict, lambda m, d: evaluate(m, d, loss), lambda m, d: fit(m, d, loss=loss, optimizer=s.optimizer)):
        with pytest.raises(ValueError, match=r"a batch must be \(input, target\), but has one part only"):
            call(s.model, single)
    with pytest.raises(KeyError, match="no value 'accuracy' to monitor; an epoch measures 'loss'"):
        s.fit(monitor="accuracy")
    with pytest.raises(ValueError, match="the data gave no batch: they are empty, or fewer .*, or an iterator"):
        fit(s.model, zip([ag.tensor(X)], [ag.tensor(Y)]), optimizer=s.optimizer, loss=loss, epochs=2, progress=False)
    nn.save(tmp_path / "weights", s.model.state_dict())
    with pytest.raises(ValueError, match="weights is not a checkpoint of nn.train"):
        s.fit(checkpoint=tmp_path / "weights", resume=True)
    s.fit(epochs=1, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="a run with 0 schedulers, this one has 1"):
        s.fit(checkpoint=tmp_path / "run", resume=True, scheduler=StepLR(s.optimizer, 1))
    other = nn.Linear(6, 2)
    with pytest.raises(nn.FileError, match=r"run is the checkpoint of another run: .*not one of Linear"):
        fit(
            other,
            s.data,
            loss=loss,
            optimizer=optim.AdamW(other.parameters()),
            checkpoint=tmp_path / "run",
            resume=True,
        )
    with pytest.raises(ValueError, match="there are no samples"):
        evaluate(s.model, [], loss)
    assert list(itertools.islice(s.data, 1))
