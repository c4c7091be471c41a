"""A run as one picture: a bar for each row that stands alone, and cost against size for each curve."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

from . import charts, views


class NoMatplotlib(Exception):
    """There is no matplotlib; the message says what to install."""


def required() -> None:
    """Raise if there is no matplotlib."""
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError:
        raise NoMatplotlib("--png needs matplotlib: pip install 'autograd-core[plot]'") from None


def draw(run: dict[str, Any], path: str | Path) -> None:
    """Write the picture."""
    required()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    alone = [row for row in run["rows"] if not row.get("axis") and row["ways"]]
    curves = [points for points in views.curves(run["rows"]).values() if len(points) > 1]
    tall = 1.0 + 0.22 * sum(len(row["ways"]) + 1 for row in alone)
    lines = math.ceil(len(curves) / 3)
    figure = Figure(figsize=(15, max(3.0, tall + 3.6 * lines)), layout="constrained")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(2, 1, height_ratios=[tall, 3.6 * lines + 0.01]) if curves else [figure]
    if alone:
        _bars(parts[0].subplots(), alone)
    for axes, points in zip(parts[-1].subplots(lines, 3, squeeze=False).flat if curves else [], curves):
        _curve(axes, points)
    for axes in list(parts[-1].axes)[len(curves) :] if curves else []:
        axes.set_visible(False)
    figure.suptitle(
        f"{run['machine']['processor']}, {run['threads']} threads, revision {run['revision']}, {run['time']}"
        + ", a quick run" * run["quick"]
        + ", interrupted" * run["interrupted"]
    )
    figure.savefig(path, dpi=110)


def _bars(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Times on a logarithmic axis, rows one below the other."""
    y, ticks = 0, []
    for row in rows:
        ticks.append((y + (len(row["ways"]) - 1) / 2, f"{row['group']}: {row['name']}"))
        for way, figures in row["ways"].items():
            axes.barh(y, figures["seconds"], color=charts.colour(way), label=views.label(way))
            axes.text(figures["seconds"], y, f" {views.seconds(figures['seconds'])}", va="center", fontsize=7)
            y += 1
        y += 1
    axes.set_xscale("log")
    axes.set_xlim(left=charts.decades(*[min(f["seconds"] for row in rows for f in row["ways"].values())] * 2)[0] / 3)
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks], fontsize=8)
    axes.set_xlabel("seconds")
    axes.invert_yaxis()
    handles = dict(zip(*reversed(axes.get_legend_handles_labels())))
    axes.legend(handles.values(), handles.keys(), fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _curve(axes: Any, points: list[dict[str, Any]]) -> None:
    for way in views.columns(points):
        line = [(p["size"], p["ways"][way]["seconds"]) for p in points if way in p["ways"]]
        if line:
            axes.loglog(*zip(*line), marker="o", markersize=3, color=charts.colour(way), label=views.label(way))
    first = points[0]
    axes.set_title(f"{first['group']}: {first['series']}", fontsize=8)
    axes.set_xlabel(first["axis"], fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7)
