"""Coordinates of the overview's SVG charts, which need no inline style."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from genrify_tagger.store import utc_now
from genrify_tagger.web.library_stats import DAYS

WIDTH, HEIGHT = 600, 160
ORIGINS = ("scan", "watch", "set", "web", "undo", "beets")

#: What became of the tracks in the histogram, by status; the last takes all others.
OUTCOMES: dict[str, tuple[str, ...]] = {"written": ("tagged",), "unsure": ("unsure",), "other": ()}

Json = dict[str, Any]


def bar_chart(items: Sequence[Json]) -> list[Json]:
    """Add the width of a horizontal bar, in per cent of the longest, to items with `files`."""
    most = max((item["files"] for item in items), default=0) or 1
    return [{**item, "width": round(100 * item["files"] / most, 2)} for item in items]


def histogram(counts: Mapping[str, Sequence[int]]) -> list[Json]:
    """Return counts by status, in equal bins from 0 to 1, as stacked columns."""
    bins = len(next(iter(counts.values()), ()))
    totals = [sum(steps[index] for steps in counts.values()) for index in range(bins)]
    most = max(totals, default=0) or 1
    return [
        {
            "count": totals[index],
            "low": index / bins,
            "high": (index + 1) / bins,
            "x": round(index * WIDTH / bins + 1, 2),
            "width": round(WIDTH / bins - 2, 2),
            "parts": _stack({kind: _of_kind(counts, statuses, index) for kind, statuses in OUTCOMES.items()}, most),
        }
        for index in range(bins)
    ]


def _of_kind(counts: Mapping[str, Sequence[int]], statuses: Collection[str], index: int) -> int:
    known = {status for listed in OUTCOMES.values() for status in listed}
    return sum(
        steps[index] for status, steps in counts.items() if status in statuses or (not statuses and status not in known)
    )


def _stack(counts: Mapping[str, int], most: int) -> list[Json]:
    """Return counts as the parts of a column, the first at the bottom; `most` is as high as the chart."""
    parts, top = [], float(HEIGHT)
    for name, count in counts.items():
        if count:
            height = HEIGHT * count / most
            top -= height
            parts.append({"name": name, "count": count, "y": round(top, 2), "height": round(height, 2)})
    return parts


def daily_changes(changes: Sequence[Json]) -> list[Json]:
    """Return changes by day and origin as stacked columns up to today; empty if there are none."""
    by_day = {item["day"]: item["by"] for item in changes}
    most = max((sum(by.values()) for by in by_day.values()), default=0)
    if not most:
        return []
    today, width = utc_now().date(), WIDTH / DAYS
    return [
        _day_column(today - timedelta(days=DAYS - 1 - index), round(index * width + 0.5, 2), width - 1, by_day, most)
        for index in range(DAYS)
    ]


def _day_column(day: date, x: float, width: float, by_day: dict[str, dict[str, int]], most: int) -> Json:
    counts = by_day.get(day.isoformat(), {})
    parts = _stack({origin: counts.get(origin, 0) for origin in ORIGINS}, most)
    return {"day": day.isoformat(), "x": x, "width": round(width, 2), "total": sum(counts.values()), "parts": parts}
