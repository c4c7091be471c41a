"""Charts as SVG, for the page: bars by row, and cost against size on logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

COLOURS = {
    "ours": "#d1495b", "ours compiled": "#8c1c3a", "torch": "#e8871e", "torch.compile": "#a65d00", "jax": "#3a7ca5",
    "autograd": "#5b8e7d", "mygrad": "#8a6fb3", "tinygrad": "#444444", "numpy": "#7f9c2b", "scipy": "#2f6690",
}  # fmt: skip
OTHER = "#999999"


def colour(way: str) -> str:
    """The colour of a way; a revision's is that of the way, if it has no colour of its own."""
    return OTHER if "@" in way else COLOURS.get(way, OTHER)


def decades(low: float, high: float) -> list[float]:
    """Powers of ten from below the lowest to above the highest."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    return [10.0**k for k in range(first, max(last, first + 1) + 1)]


def bars(named: Sequence[tuple[str, str, float, str]]) -> str:
    """A bar for each way, colour, length and caption, one below the other; lengths are parts of the longest."""
    longest, line, left = max((value for _, _, value, _ in named), default=1.0), 17, 112
    parts = []
    for k, (name, fill, value, caption) in enumerate(named):
        y, width = k * line, max(1.0, 260 * value / longest)
        parts.append(f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{left}" y="{y + 3}" width="{width:.1f}" height="11" fill="{fill}"/>')
        parts.append(f'<text x="{left + width + 5:.1f}" y="{y + 12}">{escape(caption)}</text>')
    return _svg(560, line * len(named) + 4, parts)


def curves(
    lines: dict[str, Sequence[tuple[float, float]]],
    across: str,
    up: str,
    show: tuple,
    width: int = 460,
    height: int = 300,
) -> str:
    """A line of points for each way; `show` makes the captions of either axis."""
    points = [point for line in lines.values() for point in line if point[0] > 0 and point[1] > 0]
    if not points:
        return ""
    xs, ys = ([p[k] for p in points] for k in range(2))
    ticks = sorted(set(xs)), decades(min(ys), max(ys))
    left, top, right, bottom = 64, 10, width - 120, height - 40
    low, high = (math.log10(min(v)) for v in ticks), (math.log10(max(v)) for v in ticks)
    (x0, y0), (x1, y1) = tuple(low), tuple(high)
    px = lambda x: left + (right - left) * ((math.log10(x) - x0) / (x1 - x0) if x1 > x0 else 0.5)
    py = lambda y: bottom - (bottom - top) * (math.log10(y) - y0) / (y1 - y0)
    parts = []
    for x in ticks[0]:
        parts.append(f'<line x1="{px(x):.1f}" y1="{top}" x2="{px(x):.1f}" y2="{bottom}" class="grid"/>')
        parts.append(f'<text x="{px(x):.1f}" y="{bottom + 15}" text-anchor="middle">{escape(show[0](x))}</text>')
    for y in ticks[1]:
        parts.append(f'<line x1="{left}" y1="{py(y):.1f}" x2="{right}" y2="{py(y):.1f}" class="grid"/>')
        parts.append(f'<text x="{left - 6}" y="{py(y) + 4:.1f}" text-anchor="end">{escape(show[1](y))}</text>')
    parts.append(f'<text x="{(left + right) / 2}" y="{height - 6}" text-anchor="middle">{escape(across)}</text>')
    parts.append(f'<text x="12" y="{(top + bottom) / 2}" transform="rotate(-90 12 {(top + bottom) / 2})" ')
    parts[-1] += f'text-anchor="middle">{escape(up)}</text>'
    for k, (way, line) in enumerate(lines.items()):
        path = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in line if x > 0 and y > 0)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour(way)}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="3" fill="{colour(way)}"/>' for p in path.split()
        ]
        parts.append(f'<rect x="{right + 10}" y="{top + 18 * k}" width="11" height="11" fill="{colour(way)}"/>')
        parts.append(f'<text x="{right + 26}" y="{top + 18 * k + 10}">{escape(way)}</text>')
    return _svg(width, height, parts)


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">{"".join(parts)}</svg>'
