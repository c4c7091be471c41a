"""The runner of the benchmarks, on rows that are fine and rows that are not; no test looks at a time."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import autograd_core as ag
from benchmarks import against, method, peers, process, results, rows, runner, worker
from benchmarks.__main__ import asked, main, ways, write
from tests import benchmark_rows

ROOT = Path(__file__).parent.parent
ROWS = {row.name: row for row in benchmark_rows.rows()}


def measured(*names):
    found = []
    chosen = [replace(ROWS[name], rounds=(2, 3)) for name in names]
    plan = runner.Plan(chosen, ["ours", "numpy", "scipy"], 1)
    runner.run(plan, found.append)
    return dict(zip(names, found, strict=True))


@pytest.fixture(scope="module")
def found():
    return measured(
        "fine", "wrong", "chance", "broken", "breaking later", "dying", "printing", "allocating", "curve 10"
    )


def test_a_row_is_measured_in_every_way(found):
    row = found["fine"]
    assert list(row["ways"]) == ["ours", "numpy", "scipy"] and "problems" not in row
    assert {*row["ratios"]} == {"ours"} and {*row["ratios"]["ours"]} == {"numpy", "scipy"}
    for figures in row["ways"].values():
        assert 0 < figures["low"] <= figures["seconds"] <= figures["high"] and figures["rounds"] >= 2
        assert figures["peak"] >= 0 and figures["fresh"] >= 0
    assert row["flops"] == 1e6 and row["bytes"] == 1e3 and row["threads"] == 1
    assert found["curve 10"]["axis"] == "entries" and found["curve 10"]["size"] == 10


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("wrong", "not the result of ours: result 0 differs by 0.25"),
        ("broken", "ValueError: no such luck (benchmark_rows.py"),
        ("breaking later", "StopIteration"),
        ("dying", "ended with status 3"),
    ],
)
def test_what_is_broken_is_told_and_left_out(found, name, why):
    row = found[name]
    assert why in row["problems"]["numpy"]
    assert list(row["ways"]) == ["ours", "scipy"] and list(row["ratios"]["ours"]) == ["scipy"]


def test_the_odd_one_out_is_the_one_that_is_wrong():
    ready = lambda *values: {w: {"results": [np.full(2, v)]} for w, v in zip(["ours", "numpy", "scipy"], values)}
    row = ROWS["fine"]
    assert [*runner.disagreeing(row, ready(0.0, 1.0, 1.0))] == ["ours"]
    assert [*runner.disagreeing(row, ready(1.0, 1.0, 0.0))] == ["scipy"]
    assert [*runner.disagreeing(row, ready(1.0, 2.0, 3.0))] == ["numpy", "scipy"]
    assert runner.disagreeing(row, ready(1.0, 1.0, 1.0)) == {}


def test_a_way_that_was_disturbed_has_no_figures():
    assert runner.disturbed([16e-3, 17e-3], 1e-5) and not runner.disturbed([1e-5, 17e-3], 1e-5)


@pytest.mark.parametrize("option", ["--json", "--html", "--png", "--history"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path, option, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("benchmarks.png.required", lambda: None)
    monkeypatch.setattr("benchmarks.__main__.begun", lambda *a: pytest.fail("measured"))
    with pytest.raises(results.Unwritable, match=f"{option} .* cannot be written"):
        main(["tests.benchmark_rows", option, str(tmp_path / "file" / "out")])
    with pytest.raises(SystemExit):  # nothing is left behind by the trial
        main(["tests.benchmark_rows", "--threads", "0", option, str(tmp_path / "new")])
    assert not (tmp_path / "new").exists()


def test_a_disk_that_fills_up_loses_one_file_and_not_the_others(tmp_path, monkeypatch):
    options = asked(
        ["tests.benchmark_rows", "--no-history", "--json", str(tmp_path / "a"), "--html", str(tmp_path / "b")]
    )
    monkeypatch.setattr(results, "save", lambda *a: (_ for _ in ()).throw(OSError("full")))
    monkeypatch.setattr("benchmarks.html.page", lambda run: "page")
    assert ["--json" in line and "full" in line for line in write(options, {})] == [True]
    assert (tmp_path / "b").read_text() == "page"


def test_what_died_is_started_again_for_the_next_row(found):
    assert list(found["printing"]["ways"]) == ["ours", "numpy"] and "problems" not in found["printing"]


def test_where_chance_decides_shapes_are_compared(found):
    assert "problems" not in found["chance"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is counted as Linux counts it")
def test_memory_of_a_row_is_what_it_holds(found):
    figures = found["allocating"]["ways"]["numpy"]
    assert 30e6 < figures["peak"] - figures["resident"] < 60e6


def test_what_takes_too_long_is_ended():
    crew, problems = process.Crew(1), {}
    assert crew.gather(["numpy"], 60) == {}
    child = crew.processes["numpy"].process
    with crew.careful("numpy", problems):
        crew.processes["numpy"].ask("open", "tests.benchmark_rows", ROWS["sleeping"].key, 0.0, timeout=1)
    assert problems == {"numpy": "took longer than 1 s"} and "numpy" not in crew.processes
    assert child.poll() is not None


def test_rows_of_a_group_share_processes_unless_they_stand_apart():
    two = [replace(ROWS["fine"], group="h"), replace(ROWS["fine"], apart=True)]
    groups = runner.together([ROWS["fine"], ROWS["wrong"], *two, replace(two[1], name="other")])
    assert [len(group) for group in groups] == [2, 1, 1, 1]


def test_nothing_is_left_running():
    crew = process.Crew(1)
    assert crew.gather(["numpy"], 60) == {}
    child = crew.processes["numpy"].process
    crew.dismiss()
    assert child.poll() is not None and not crew.processes


def test_a_library_that_cannot_be_loaded_is_told(monkeypatch):
    monkeypatch.setitem(peers.WAYS, "mygrad", peers.Way("nowhere", "nowhere", ""))
    crew = process.Crew(1)
    monkeypatch.setattr(process.Process, "answer", lambda *a, **k: (_ for _ in ()).throw(process.Trouble("no")))
    assert crew.gather(["mygrad"], 1) == {"mygrad": "no"}
    assert not crew.processes
    monkeypatch.setattr(process, "Process", None)  # it is not tried again
    assert crew.gather(["mygrad"], 1) == {"mygrad": "no"}


def test_what_a_worker_answers_of_its_errors():
    fine, why = worker.answer(worker.Worker("numpy"), "open", ("tests.benchmark_rows", "no such row", 0.0))
    assert not fine and "KeyError" in why


# --- the command -----------------------------------------------------------------------------------------------------


def command(*arguments):
    return [sys.executable, "-m", "benchmarks", *arguments]


def test_a_run_writes_what_was_asked_for(tmp_path):
    files = {name: str(tmp_path / f"run.{name}") for name in ("json", "html")}
    history = tmp_path / "history.jsonl"
    options = ["tests.benchmark_rows", "--row", "fine", "--row", "broken", "--peer", "numpy", "--threads", "1"]
    options += ["--json", files["json"], "--html", files["html"], "--history", str(history)]
    done = subprocess.run(command(*options), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run = results.load(files["json"])
    assert [row["name"] for row in run["rows"]] == ["fine", "broken"] and not run["interrupted"]
    assert run["peaks"]["GFLOP/s"] > 0 and run["threads"] == 1 and set(run["settings"]) == {*peers.OURS, "numpy"}
    assert "numpy: ValueError: no such luck" in done.stdout and "1 rows in which something failed" in done.stdout
    (line,) = history.read_text().splitlines()
    assert json.loads(line)["rows"]["tests.benchmark_rows / g / fine"]["numpy"] > 0
    assert "<html" in Path(files["html"]).read_text()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupted_run_writes_what_is_done(tmp_path):
    path = tmp_path / "run.json"
    options = ["--row", "fine", "--row", "sleeping", "--peer", "numpy", "--json", str(path), "--no-history"]
    with subprocess.Popen(
        command("tests.benchmark_rows", *options), cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        while not any(line.startswith("  fine") for line in iter(run.stdout.readline, "")):
            assert run.poll() is None
        time.sleep(0.2)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does, to all processes of the run
        said, _ = run.communicate(timeout=60)
        assert run.returncode == 130, said
    assert "interrupted" in said
    stored = results.load(path)
    assert stored["interrupted"] and [row["name"] for row in stored["rows"]] == ["fine"]
    assert list(stored["rows"][0]["ways"]) == ["ours", "numpy"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["trian"], "no such suite: trian"),
        (["train", "--row", "no such row"], "has 'no such row' in its name"),
        (["--peer", "tensorflow"], "no such peer: tensorflow"),
        (["--threads", "0"], "--threads is at least 1"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_runs(arguments, why, capsys):
    with pytest.raises(SystemExit) as stopped:
        asked(arguments)
    assert stopped.value.code == 2 and why in capsys.readouterr().err


def test_who_takes_part(monkeypatch):
    monkeypatch.setitem(peers.WAYS, "mygrad", replace(peers.WAYS["mygrad"], package="no_such_package"))
    everyone, absent = ways(asked(["train"]), [])
    assert everyone[:2] == peers.OURS and absent.count("mygrad") == 1 and "mygrad" not in everyone
    some, _ = ways(asked(["train", "--peer", "numpy"]), [])
    assert some == [*peers.OURS, "numpy"]
    old, _ = ways(asked(["train", "--against", "main"]), ["main"])
    assert old == [*peers.OURS, "ours@main", "ours compiled@main"]


def test_rows_are_listed_and_chosen(capsys):
    main(["train", "--row", "LENET", "--list"])
    assert capsys.readouterr().out.startswith("train / training step / LeNet-5, batch 64  (ours, ours compiled, torch")
    everything = rows.chosen(rows.declared())
    assert len({row.key for row in everything}) == len(everything), "two rows of one name"
    quick = rows.chosen(rows.declared(), quick=True)
    assert {row.suite for row in quick} == set(rows.SUITES)
    for row in everything:
        assert set(row.ways) <= set(peers.WAYS) and (row.axis == "") == (row.size is None) == (row.series == "")


def test_declaring_rows_imports_no_library():
    code = "import sys; from benchmarks.rows import declared; list(declared()); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = {way.package for way in peers.WAYS.values()} - {"numpy"}
    assert not packages & set(done.stdout.split())


def test_another_revision_is_measured_beside_this_tree(tmp_path):
    git = lambda *arguments: against.git("-c", "user.name=n", "-c", "user.email=e", *arguments, tree=tmp_path)
    git("init", "-q")
    for name in ("autograd_core", "benchmarks"):
        (tmp_path / name).mkdir()
    (tmp_path / "autograd_core" / "__init__.py").write_text("old = True\n")
    git("add", ".")
    git("commit", "-qm", "old")
    (tmp_path / "autograd_core" / "__init__.py").write_text("old = False\n")
    (tmp_path / "benchmarks" / "new.py").write_text("")
    with against.worktree("HEAD", tmp_path) as place:
        assert (place / "autograd_core" / "__init__.py").read_text() == "old = True\n"
        assert (place / "benchmarks" / "new.py").exists()
    assert not place.exists() and git("worktree", "list").count("\n") == 0
    with pytest.raises(against.NoRevision):
        with against.worktree("no-such-revision", tmp_path):
            pass


def test_another_revision_is_compared_with_the_same_way():
    times = {"ours": [1.0, 1.0], "ours compiled": [0.5, 0.5], "ours@r": [2.0, 2.0], "ours compiled@r": [2.0, 2.0]}
    found = runner.ratios(times)
    assert {way: list(others) for way, others in found.items()} == {
        "ours": ["ours@r"],
        "ours compiled": ["ours compiled@r"],
    }
    assert found["ours"]["ours@r"]["ratio"] == 0.5


# --- the libraries ---------------------------------------------------------------------------------------------------

HERE = [way for way in peers.WAYS if peers.way(way).installed() and way not in ("torch.compile", "tinygrad")]


FIRST = {(row.suite, row.group): row for row in reversed([*rows.declared(["ops", "science"])])}
LIGHT = [
    row
    for row in FIRST.values()
    if (row.flops or 0) < 1e8 and "differential" not in row.group and "other" not in row.group
]


@pytest.mark.parametrize("row", LIGHT, ids=[row.key for row in LIGHT])
def test_rows_can_be_done_here(row, monkeypatch):
    monkeypatch.setenv("BENCHMARK_THREADS", str(ag.get_num_threads()))
    results = {}
    for way in [way for way in ("ours", "numpy", "scipy") if way in row.ways and peers.way(way).installed()]:
        lib = peers.loaded(way)
        step = row.ways[way](lib)
        results[way] = [array for _ in range(row.checked) for array in lib.numbers(step())]
    for way, found in results.items():
        assert found and method.difference(results["ours"], found, row.tolerance) == "", way


@pytest.mark.slow
def test_libraries_agree_on_training():
    (row,) = [row for row in rows.declared(["train"]) if "MLP 2-8-2" in row.key]
    few = replace(row, rounds=(1, 1), block=0.0, ways={way: make for way, make in row.ways.items() if way in HERE})
    found = []
    runner.run(runner.Plan([few], HERE, 1), found.append)
    assert "problems" not in found[0] and set(found[0]["ways"]) == set(few.ways)


def test_a_model_for_jax_has_no_arrays_of_one_that_is_gone():
    """Rows share processes, and Python gives a new object the id of one that is gone."""
    pytest.importorskip("jax")
    from benchmarks.peers import loaded
    from benchmarks.suites import models

    lib = loaded("jax")

    def widths(n):
        model = models.perceptron(n, n, 10)(lib)
        lib.trainer(model, lambda x: (model(x) ** 2).mean(), "SGD")(np.ones((2, n), np.float32))
        return {a.shape[-1] for a in lib.held[model][0].values() if a.ndim == 2}

    assert [widths(n) for n in (16, 64, 16, 64)] == [{16}, {64}, {16}, {64}]
