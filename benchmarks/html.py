"""A run as one page that needs nothing else: what it was measured on, rows with bars, curves, what went wrong."""

from __future__ import annotations

from html import escape
from typing import Any

from . import charts, views

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #888; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1180px; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { margin-top: 2.2rem; } h3 { margin: 1.6rem 0 .4rem; }
table { border-collapse: collapse; margin: .4rem 0; } td, th { padding: .25rem .7rem; text-align: right; vertical-align: top; }
th { border-bottom: 1px solid var(--line); font-weight: 600; } td:first-child, th:first-child { text-align: left; }
tr + tr td { border-top: 1px solid var(--line); } td small { color: var(--soft); display: block; }
.slower { color: #c0392b; } .faster { color: #2e8b57; } .same, .note { color: var(--soft); }
svg { font: 11px system-ui, sans-serif; } svg text { fill: currentColor; } .grid { stroke: var(--line); stroke-width: 1; }
.charts { display: flex; flex-wrap: wrap; gap: 1rem 2rem; } figure { margin: .5rem 0; } figcaption { font-weight: 600; }
""".strip()
CLASSES = {"faster": "faster", "slower": "slower", "no difference": "same"}


def page(run: dict[str, Any]) -> str:
    """The whole page."""
    body = [f"<h1>autograd-core beside its peers</h1>{_about(run)}"]
    suites = list(dict.fromkeys(row["suite"] for row in run["rows"]))
    body.append("<p>" + " · ".join(f'<a href="#{name}">{name}</a>' for name in suites) + "</p>")
    for name in suites:
        rows = [row for row in run["rows"] if row["suite"] == name]
        body.append(f'<h2 id="{name}">{name}</h2>{_curves(rows)}')
        body += [_table(group, members, run["peaks"]) for (_, group), members in views.groups(rows).items()]
    title = f"autograd-core, {escape(run['time'])}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    return f"<!doctype html>\n<html lang=en>{head}<style>{STYLE}</style>\n{chr(10).join(body)}\n</html>\n"


def _about(run: dict[str, Any]) -> str:
    machine, peaks = run["machine"], run["peaks"]
    found = ", ".join(f"{value:.0f} {unit}" for unit, value in peaks.items() if unit != "threads")
    lines = [
        f"{run['time']}, revision {run['revision'] or 'unknown'}, {run['threads']} threads",
        f"{machine['processor']}, {machine['vectors']}, {machine['cores']} cores; {machine['system']}",
        f"Python {machine['python']}, " + ", ".join(f"{k} {v}" for k, v in machine["versions"].items()),
        f"measured peaks: {found}" if found else "",
        "a ratio is our best time over theirs, the median over rounds in turn [quartiles]; grey: no difference",
    ]
    settings = "".join(f"<li>{views.label(way)}: {escape(text)}</li>" for way, text in run["settings"].items())
    warning = "<p class=slower>The run was interrupted: rows are missing.</p>" if run["interrupted"] else ""
    return "<p>" + "<br>".join(escape(line) for line in lines if line) + f"</p>{warning}<ul class=note>{settings}</ul>"


def _table(group: str, rows: list[dict[str, Any]], peaks: dict[str, float]) -> str:
    ways = views.columns(rows)
    head = "".join(f"<th>{escape(views.label(way))}</th>" for way in ways)
    lines = [f"<tr><td>{_name(row, peaks)}</td>{''.join(_cell(row, way) for way in ways)}</tr>" for row in rows]
    return f"<h3>{escape(group)}</h3><table><tr><th></th>{head}</tr>{''.join(lines)}</table>{_bars(rows)}"


def _name(row: dict[str, Any], peaks: dict[str, float]) -> str:
    way, notes = views.best(row), []
    if way and (found := views.shares(row, way, peaks)):
        notes = [f"{100 * share:.0f} % of peak {name}" for name, share in found.items()]
        notes.append(f"limited by {views.limit(found)}")
    return escape(row["name"]) + (f"<small>{', '.join(notes)}</small>" if notes else "")


def _cell(row: dict[str, Any], way: str) -> str:
    if way not in row["ways"]:
        problem = row.get("problems", {}).get(way)
        return f'<td class="slower" title="{escape(problem)}">failed</td>' if problem else "<td></td>"
    figures = row["ways"][way]
    compared = row.get("ratios", {}).get(views.best(row), {}).get(way)
    notes = [f"compiled in {views.seconds(figures['compile'])}"] if figures.get("compile", 0) > 0.05 else []
    notes += [f"{views.size(views.memory(figures))} of memory"] if views.memory(figures) else []
    notes += [f"{views.size(figures['fresh'])} anew per call"] if figures.get("fresh") else []
    notes += [escape(figures["settings"])] if figures.get("settings") else []
    ratio = ""
    if compared:
        spread = f"{compared['low']:.2f} .. {compared['high']:.2f}"
        ratio = (
            f' <span class="{CLASSES[compared["verdict"]]}" title="{spread}">{views.ratio(compared["ratio"])}</span>'
        )
    return f"<td>{views.seconds(figures['seconds'])}{ratio}<small>{'<br>'.join(notes)}</small></td>"


def _bars(rows: list[dict[str, Any]]) -> str:
    """Bars for rows that are no points of a curve."""
    shown = []
    for row in [row for row in rows if not row.get("axis") and row["ways"]]:
        named = [(w, charts.colour(w), f["seconds"], views.seconds(f["seconds"])) for w, f in row["ways"].items()]
        shown.append(f"<figure><figcaption>{escape(row['name'])}</figcaption>{charts.bars(named)}</figure>")
    return f"<details><summary>bars</summary><div class=charts>{''.join(shown)}</div></details>" if shown else ""


def _curves(rows: list[dict[str, Any]]) -> str:
    shown = []
    for (_, group, series), points in views.curves(rows).items():
        if len(points) < 2:
            continue
        ways = views.columns(points)
        for what, of, show in (("time", lambda f: f["seconds"], views.seconds), ("memory", views.memory, views.size)):
            lines = {w: [(p["size"], of(p["ways"][w])) for p in points if w in p["ways"]] for w in ways}
            if what == "memory" and points[0]["suite"] != "scale":
                continue
            chart = charts.curves({w: v for w, v in lines.items() if v}, points[0]["axis"], what, (views.count, show))
            title = f"{group}: {series}" if series not in group else group
            shown.append(f"<figure><figcaption>{escape(title)}, {what}</figcaption>{chart}</figure>" if chart else "")
    if not shown:
        return ""
    return f"<details open><summary>curves</summary><div class=charts>{''.join(shown)}</div></details>"
