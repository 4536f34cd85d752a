"""Coordinates of the overview's SVG charts, which need no inline style."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from genrify_tagger.store import utc_now
from genrify_tagger.web.library_stats import DAYS

WIDTH, HEIGHT = 600, 160
ORIGINS = ("scan", "watch", "set", "undo", "beets")

Json = dict[str, Any]


def bar_chart(items: Sequence[Json]) -> list[Json]:
    """Add the width of a horizontal bar, in per cent of the longest, to items with `files`."""
    most = max((item["files"] for item in items), default=0) or 1
    return [{**item, "width": round(100 * item["files"] / most, 2)} for item in items]


def histogram(counts: Sequence[int]) -> list[Json]:
    """Return counts in equal bins from 0 to 1 as columns."""
    most, width = max(counts, default=0) or 1, WIDTH / len(counts)
    return [
        {
            "count": count,
            "low": index / len(counts),
            "high": (index + 1) / len(counts),
            "x": round(index * width + 1, 2),
            "width": round(width - 2, 2),
            "height": round(HEIGHT * count / most, 2),
            "y": round(HEIGHT - HEIGHT * count / most, 2),
        }
        for index, count in enumerate(counts)
    ]


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
    parts, top = [], float(HEIGHT)
    for origin in ORIGINS:
        height = HEIGHT * counts.get(origin, 0) / most
        if height:
            top -= height
            parts.append({"origin": origin, "count": counts[origin], "y": round(top, 2), "height": round(height, 2)})
    return {"day": day.isoformat(), "x": x, "width": round(width, 2), "total": sum(counts.values()), "parts": parts}
