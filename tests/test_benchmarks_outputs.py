"""What benchmarks write: files that come back as they were, pages, pictures, tables in documents, comparisons."""

import copy
import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import charts, html, method, readme, results, text, views
from benchmarks.__main__ import main

ROOT = Path(__file__).parent.parent


def figures(seconds):
    more = {"rounds": 5, "first": 0.5, "compile": 0.4, "peak": 3e8, "resident": 1e8, "fresh": 4096.0}
    return {"seconds": seconds, "low": seconds * 0.9, "high": seconds * 1.1, **more}


def row(suite, group, name, ways, problems=None, **more):
    """A row as the runner makes it, from medians."""
    ratios = {}
    for ours in ("ours", "ours compiled"):
        for other, seconds in ways.items():
            if ours in ways and not other.startswith("ours"):
                found = {
                    "ratio": ways[ours] / seconds,
                    "low": ways[ours] / seconds * 0.95,
                    "high": ways[ours] / seconds * 1.05,
                }
                found["verdict"] = method.verdict(found["low"], found["ratio"], found["high"])
                ratios.setdefault(ours, {})[other] = found
    known = {"suite": suite, "group": group, "name": name, "ways": {w: figures(s) for w, s in ways.items()}}
    return known | {"ratios": ratios, "threads": 2, "took": 1.0} | ({"problems": problems} if problems else {}) | more


def example():
    rows = [
        row("train", "training step", "MLP", {"ours": 2e-3, "ours compiled": 1e-3, "torch": 2e-3}, flops=1e8, bytes=1e6),
        row("train", "training step", "net <&>", {"ours": 3e-3, "torch": 2e-3}, {"jax": "broke <b>"}, flops=1e9),
        row("train", "training step", "same", {"ours": 2.01e-3, "torch": 2e-3}),
        *(
            row("ops", "softmax", f"softmax, 1e{k}", {"ours": 1e-8 * 10**k, "torch": 2e-8 * 10**k}, axis="entries",
                size=10.0**k, series="softmax", bytes=8.0 * 10**k)
            for k in (2, 4, 6)
        ),
        row("scale", "by tape: chain", "1,000 operations", {"ours": 1e-3}, axis="operations", size=1000.0, series="chain"),
        row("scale", "by tape: chain", "10,000 operations", {"ours": 1e-2}, axis="operations", size=10000.0, series="chain"),
    ]  # fmt: skip
    machine = {"processor": "A processor", "vectors": "AVX2", "cores": 2, "system": "Linux", "python": "3.11.7"}
    run = {"format": results.FORMAT, "time": "2026-01-02 03:04:05", "took": 9.0, "revision": "abc", "quick": False}
    run |= {
        "interrupted": False,
        "threads": 2,
        "machine": machine | {"versions": {"numpy": "2.4"}},
        "absent": ["mygrad"],
    }
    run |= {
        "peaks": {"GFLOP/s": 200.0, "GB/s": 40.0, "threads": 2},
        "settings": {"ours": "as it comes", "torch": "eager"},
    }
    return run | {"rows": rows}


# --- result files ----------------------------------------------------------------------------------------------------


def test_a_file_comes_back_as_it_was_written(tmp_path):
    path, run = tmp_path / "some" / "run.json", example()
    results.save(run, path)
    assert results.load(path) == results.rounded(run)
    again = tmp_path / "again.json"
    results.save(results.load(path), again)
    assert again.read_bytes() == path.read_bytes()
    assert [p.name for p in path.parent.iterdir()] == ["run.json"], "nothing half written is left"


@given(st.lists(st.floats() | st.integers() | st.text(max_size=3), max_size=5))
def test_rounding_twice_is_rounding_once(value):
    assert results.rounded(results.rounded(value)) == results.rounded(value)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 99, "rows": []}', '{"format": 1}'])
def test_what_is_no_result_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(results.Unreadable, match="other.json"):
        results.load(path)
    with pytest.raises(results.Unreadable, match="nowhere"):
        results.load(tmp_path / "nowhere.json")


def test_of_each_suite_the_last_run_counts(tmp_path):
    old, new = example(), example()
    new["time"], new["rows"] = "2026-02-01 00:00:00", [r for r in new["rows"] if r["suite"] == "train"]
    for name, run in (("a", new), ("b", old)):
        results.save(run, tmp_path / f"{name}.json")
    runs = results.stored([tmp_path / "a.json", tmp_path / "b.json"])
    assert results.suite(runs, "train")["time"] == new["time"] and results.suite(runs, "ops")["time"] == old["time"]
    assert {r["suite"] for r in results.suite(runs, "ops")["rows"]} == {"ops"} and results.suite(
        runs, "science"
    ) is None


def test_two_runs_beside_each_other(tmp_path):
    a, b = example(), example()
    b["rows"][0]["ways"]["ours"] = figures(8e-3)
    b["rows"][1]["ratios"]["ours"]["torch"]["verdict"] = method.FASTER
    b["rows"].pop()
    said = "\n".join(results.compare(a, b))
    assert re.search(r"2\.00 ms -> +8\.00 ms +4\.00 +ours +train / training step / MLP", said)
    assert "contrary" in said and "net <&>: ours against torch" in said and "only in the first: scale" in said
    shared, contrary = results.agreement(a, b)
    assert len(contrary) == 1 and shared == 7
    assert results.agreement(a, a) == (7, [])
    for name, run in (("a", a), ("b", b)):
        results.save(run, tmp_path / f"{name}.json")
    out = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--compare", "a.json", "missing.json"], cwd=tmp_path,
        capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert out.returncode == 1 and "missing.json" in out.stderr and "Traceback" not in out.stderr


def test_no_difference_contradicts_nobody():
    a, b = example(), example()
    b["rows"][1]["ratios"]["ours"]["torch"]["verdict"] = method.SAME
    assert results.agreement(a, b)[1] == []


# --- what results say ------------------------------------------------------------------------------------------------


def test_our_best_way_is_compared():
    first = example()["rows"][0]
    assert views.best(first) == "ours compiled" and views.against(first, "torch")["ratio"] == 0.5
    assert views.best({"ways": {"torch": figures(1.0)}}) == "" and views.against(first, "jax") is None
    assert views.counts(example()["rows"], "torch") == {"faster": 4, "slower": 1, "no difference": 1}


def test_shares_of_the_peaks_say_what_limits():
    run = example()
    first = views.shares(run["rows"][0], "ours compiled", run["peaks"])
    assert first == {"arithmetic": pytest.approx(0.5), "memory": pytest.approx(0.025)}
    assert views.limit(first) == "arithmetic" and views.limit({"arithmetic": 0.1, "memory": 0.2}) == "overhead"
    assert views.limit({"memory": 0.8}) == "memory"
    assert views.shares({**run["rows"][0], "threads": 1}, "ours", run["peaks"]) == {}, (
        "the peaks are those of two threads"
    )


@given(st.floats(1e-9, 1e4))
def test_times_are_told_in_three_digits(x):
    number, unit = views.seconds(x).split()
    scale = {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
    assert float(number) * scale == pytest.approx(x, rel=0.0051)
    assert 0.99 < float(number) < 1000 or unit == "s"


@given(st.floats(1, 1e12))
def test_memory_is_told_in_three_digits(x):
    number, unit = views.size(x).split()
    assert float(number) * {"GB": 1e9, "MB": 1e6, "kB": 1e3, "B": 1}[unit] == pytest.approx(x, rel=0.0051, abs=0.5)


# --- pages and pictures ----------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Which tags are open, and what a page would fetch."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched, self.words = [], [], []

    def handle_starttag(self, tag, attributes):
        self.fetched += [v for k, v in attributes if k in ("src", "href") and not v.startswith("#")]
        self.fetched += [tag] if tag in ("script", "link", "iframe", "img") else []
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_needs_nothing_else_and_closes_what_it_opens():
    page = Page()
    written = html.page(example())
    page.feed(written)
    assert page.open == [] and page.fetched == [] and "url(" not in written
    said = "".join(page.words)
    for words in ("net <&>", "failed", "A processor", "1.00 ms", "limited by", "softmax", "operations"):
        assert words in said
    assert "broke &lt;b&gt;" in written, "what a library said is text, not markup"


def test_charts_are_well_formed():
    run = example()
    for svg in re.findall(r"<svg.*?</svg>", html.page(run), flags=re.DOTALL):
        ElementTree.fromstring(svg)
    assert charts.curves({"ours": []}, "x", "y", (str, str)) == ""
    one = charts.curves({"ours": [(5.0, 1e-3)]}, "x", "y", (str, str))
    assert "circle" in one and "nan" not in one


@given(st.floats(1e-9, 1e3), st.floats(1, 1e6))
def test_the_axis_holds_all_points(low, factor):
    ticks = charts.decades(low, low * factor)
    assert len(ticks) >= 2 and ticks[0] <= low * (1 + 1e-6) and ticks[-1] >= low * factor * (1 - 1e-6)


@pytest.mark.parametrize("suites", [{"train"}, {"ops"}, {"train", "ops", "scale"}, set()])
def test_a_picture_is_drawn(tmp_path, suites):
    pytest.importorskip("matplotlib")
    from benchmarks import png

    run = example()
    run["rows"] = [r for r in run["rows"] if r["suite"] in suites]
    png.draw(run, tmp_path / "run.png")
    assert (tmp_path / "run.png").read_bytes()[:4] == b"\x89PNG"


def test_the_picture_says_what_it_needs(tmp_path, monkeypatch):
    from benchmarks import png

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(png.NoMatplotlib, match="plot"):
        png.draw(example(), tmp_path / "run.png")


# --- the terminal ----------------------------------------------------------------------------------------------------


def test_the_table_marks_what_is_slower_and_what_is_the_same(monkeypatch):
    said, run = [], example()
    monkeypatch.setattr(text.shutil, "get_terminal_size", lambda default: os.terminal_size((300, 40)))
    table = text.Table(["ours", "ours compiled", "torch", "jax"], said.append)
    for r in run["rows"]:
        table.show(r)
    line = lambda name: next(line for line in said if line.strip().startswith(name))
    assert line("MLP").endswith("2.00 ms   0.50 ") and line("net").split()[4:] == ["2.00", "ms", "1.50>", "failed"]
    assert line("same").rstrip().endswith("1.01~") and line("jax:").strip() == "jax: broke <b>"
    assert any("PyTorch: 4 faster, 1 slower, 1 no difference" in line for line in text.summary(run))
    assert any("mygrad" in line and "not installed" in line for line in text.about(run))


def test_progress_without_a_terminal_is_a_line_now_and_then(monkeypatch):
    out = io.StringIO()
    bar = text.Progress(3, out)
    bar.step("a")
    assert out.getvalue() == ""
    monkeypatch.setattr(text, "NOW_AND_THEN", -1.0)
    bar.step("b")
    assert "2 of 3 rows" in out.getvalue()
    bar.close()


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("absent", [[], ["rich"], ["rich", "tqdm"]])
def test_progress_in_a_terminal(monkeypatch, absent, capsys):
    find = text.importlib.util.find_spec
    monkeypatch.setattr(text.importlib.util, "find_spec", lambda name: None if name in absent else find(name))
    bar = text.Progress(2, Terminal())
    bar.step("first")
    bar.say("a line")
    bar.step("second")
    bar.close()
    assert "a line" in capsys.readouterr().out
    assert bar.done == 2 and "2 of 2 rows" in bar.plain()


# --- documents -------------------------------------------------------------------------------------------------------


def marked(*kinds):
    return (
        "before\n"
        + "".join(f"<!-- benchmarks: {kind} -->\nold\n<!-- end of benchmarks -->\n" for kind in kinds)
        + "after\n"
    )


def test_every_kind_of_table_is_written():
    document = marked(*(f"{kind} {suite}" for kind in readme.TABLES for suite in ("train", "ops", "scale")))
    written = readme.rewritten(document, [example()], results.suite)
    assert written.startswith("before\n<!--") and written.endswith("after\n") and "old" not in written
    assert readme.rewritten(written, [example()], results.suite) == written, "writing again changes nothing"
    for line in (
        "| MLP | 2.00 ms | 1.00 ms | 2.00 ms (0.50) |",
        "| net <&> | 3.00 ms |  | 2.00 ms (**1.50**) |",
        "Failed in every row: ",
    ):
        assert line in written
    assert "| softmax / PyTorch | 0.50 | 0.50 | 0.50 |" in written and "(~1.0" in written
    assert "| MLP | here, compiled | 100 (50 %) | 1.00 (2 %) | arithmetic |" in written
    for block in re.findall(r"(?:^\|.*\n)+", written, re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1, "a table whose lines are of one length"


def test_tables_of_suites_that_nobody_measured_stay():
    document = marked("table science")
    assert readme.rewritten(document, [example()], results.suite) == document


def test_a_table_that_there_is_not_is_refused():
    with pytest.raises(readme.NoSuchTable, match="chart train"):
        readme.rewritten(marked("chart train"), [example()], results.suite)


def test_the_documents_have_what_the_stored_results_say(capsys):
    runs = results.stored()
    assert results.suite(runs, "train") and results.suite(runs, "overhead")
    kinds = {name: readme.MARKED.findall((ROOT / name).read_text()) for name in readme.DOCUMENTS}
    asked = {name: {found[1] for found in marks} for name, marks in kinds.items()}
    assert {"table train", "table overhead", "machine train overhead"} <= asked["README.md"]
    assert "limits train" in asked["docs/performance.md"]
    main(["readme", "--check"])  # fails where a table is not what the results say
    assert "would change: nothing" in capsys.readouterr().out


def test_a_stale_document_is_found_and_mended(tmp_path, monkeypatch, capsys):
    path = tmp_path / "run.json"
    results.save(example(), path)
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    monkeypatch.setattr(readme, "DOCUMENTS", ("page.md",))
    (tmp_path / "page.md").write_text(marked("table train"))
    with pytest.raises(SystemExit):
        main(["readme", "--check", str(path)])
    assert "old" in (tmp_path / "page.md").read_text()
    main(["readme", str(path)])
    main(["readme", "--check", str(path)])
    assert "written: page.md" in capsys.readouterr().out and "2.00 ms (0.50)" in (tmp_path / "page.md").read_text()


def test_a_machine_may_be_that_of_several_suites():
    runs = [example(), {**example(), "time": "2026-03-01 00:00:00", "revision": "another"}]
    pick = lambda runs, suite: runs[suite == "ops"]
    text = readme.rewritten(marked("machine train ops overhead"), runs, pick)
    assert text.count("revision") == 2 and text.count("another") == 1


@pytest.mark.parametrize(
    "text",
    [
        marked("table trian"),
        marked("table train ops"),
        "<!--benchmarks: table train -->\nold\n<!-- end of benchmarks -->\n",
        "<!-- benchmarks: table train -->\nold\n",
    ],
)
def test_a_mark_that_would_be_passed_over_is_refused(text):
    with pytest.raises(readme.NoSuchTable):
        readme.rewritten(text, [example()], results.suite)


@pytest.mark.parametrize("how", ["quick", "interrupted"])
def test_figures_of_half_a_run_are_no_figures_for_documents(tmp_path, how):
    results.save({**example(), how: True}, tmp_path / "run.json")
    with pytest.raises(results.Unreadable, match="quick or interrupted"):
        main(["readme", "--check", str(tmp_path / "run.json")])


def test_a_reason_is_told_without_where_it_came_from():
    rows = [{"problems": {"jax": "RuntimeError: it needs more (jax.py:12)"}}, {"problems": {}}]
    assert readme.reason(rows, "jax") == " (it needs more)"
    assert readme.reason([*rows, {"problems": {"jax": "another"}}], "jax") == ""


def test_a_revision_is_compared_with_the_same_way_and_named_by_itself():
    figures, way = {"seconds": 1.0}, "ours@HEAD~1"
    row = {"ways": {"ours": figures, "ours compiled": {"seconds": 0.5}, way: figures}}
    row["ratios"] = {"ours": {way: {"ratio": 0.9, "verdict": "faster"}}, "ours compiled": {}}
    assert views.against(row, way)["ratio"] == 0.9 and "0.90" in text.cell(row, way)
    assert views.label(way) == "HEAD~1" and views.label("ours compiled@HEAD~1") == "HEAD~1, compiled"


def test_compiling_memory_and_shares_are_told_at_the_end():
    run = example()
    run["rows"][0] |= {"axis": "", "suite": "train", "flops": 1e9}
    said = "\n".join(text.summary(run))
    assert "compiling and memory" in said and "of the machine's peaks" in said


def test_an_interrupted_run_says_so():
    run = copy.deepcopy(example())
    run["interrupted"] = True
    assert "interrupted" in html.page(run)
