"""Query parameters of the library: filters, order, paging."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import abort
from werkzeug.datastructures import MultiDict

from genrify_tagger.pipeline import STATUSES
from genrify_tagger.store import MISSING, NO_GENRE, ORDERS, Order, ResultPage, TrackFilter
from genrify_tagger.web.app_context import app_context
from genrify_tagger.web.ids import track, track_id

#: File name suffixes by format.
FORMATS = {
    "MP3": (".mp3", ".mp2", ".mpga"),
    "FLAC": (".flac",),
    "AAC, ALAC": (".m4a", ".m4b", ".m4p", ".mp4", ".alac"),
    "Ogg": (".ogg", ".oga", ".spx"),
    "Opus": (".opus",),
    "WAV": (".wav", ".wave"),
    "AIFF": (".aif", ".aiff", ".aifc"),
    "WMA": (".wma", ".asf"),
    "APE": (".ape",),
    "WavPack": (".wv",),
    "Musepack": (".mpc", ".mp+", ".mpp"),
    "DSF": (".dsf",),
}
LISTED_STATUSES = (*(status for status in STATUSES if status != "unchanged"), MISSING)
NO_GENRE_PARAM = "(none)"  # the parameter's value for files without a genre
PER_PAGE, MAX_PER_PAGE = 50, 200
MAX_ROW_ID = 2**31 - 1  # of a run or change
#: The page's sort options: order, whether descending, and name.
SORTS: dict[str, tuple[Order, bool, str]] = {
    "album": ("album", False, "Album"),
    "title": ("title", False, "Title"),
    "artist": ("artist", False, "Artist"),
    "genre": ("genre", False, "Genre"),
    "surest": ("confidence", True, "Most confident first"),
    "least-sure": ("confidence", False, "Least confident first"),
    "newest": ("seen", True, "Last scanned first"),
    "longest": ("duration", True, "Longest first"),
    "shortest": ("duration", False, "Shortest first"),
    "path": ("path", False, "Folder and file name"),
}
DESCENDING_BY_DEFAULT = ("confidence", "duration", "seen")  # orders in which the largest come first by default


@dataclass(frozen=True)
class TrackQuery:
    """The requested page of the library; the fields are the query parameters."""

    q: str = ""
    genre: str = ""
    status: str = ""
    low: float | None = None
    high: float | None = None
    folder: str = ""
    format: str = ""
    order: Order = "path"
    descending: bool = False
    after: str = ""
    before: str = ""
    limit: int = PER_PAGE

    @property
    def is_filtered(self) -> bool:
        """Whether any filter is set."""
        return bool(self.q or self.genre or self.status or self.folder or self.format) or self.bounded

    @property
    def bounded(self) -> bool:
        """Whether the confidence is filtered."""
        return self.low is not None or self.high is not None

    def filter(self) -> TrackFilter:
        """Return the store's filter."""
        return TrackFilter(
            words=self.q,
            genre=NO_GENRE if self.genre == NO_GENRE_PARAM else self.genre or None,
            statuses=(self.status,) if self.status else (),
            low=self.low,
            high=self.high,
            folder=os.path.normpath(self.folder) if self.folder else None,
            suffixes=FORMATS.get(self.format, ()),
            one_per_song=self.status == "unsure",  # decided once, not for each copy
        )

    def find(self) -> ResultPage:
        """Return the page; files found to be gone are marked as missing first."""
        page, moves = self._browse(), app_context().session.moves
        gone = [record.path for record in page.files if not os.path.lexists(record.path)]
        if not gone or self.status == MISSING:
            return page
        for _ in moves.mark_gone(gone):
            pass
        return self._browse()

    def _browse(self) -> ResultPage:
        place = self.after or self.before
        return app_context().session.store.browse(
            self.filter(),
            order=self.order,
            descending=self.descending,
            beyond=track(place).path if place else None,
            backwards=bool(self.before),
            limit=self.limit,
        )

    def neighbours(self, page: ResultPage) -> tuple[str | None, str | None]:
        """Return the ids before and after which the previous and next pages are; None where there is none."""
        if not page.files:
            return None, None
        first, last = track_id(page.files[0].path), track_id(page.files[-1].path)
        if self.before:
            return (first if page.more else None), last
        return (first if self.after else None), (last if page.more else None)

    @property
    def sort(self) -> str:
        """The page's name for the order; "" if it offers no such order."""
        asked = (self.order, self.descending)
        return next((name for name, (*sort, _) in SORTS.items() if tuple(sort) == asked), "")

    def link(self, **changes: object) -> str:
        """Return this page's query string with some parameters changed; without `after` or `before`, the first."""
        words = {
            **{name: getattr(self, name) for name in ("q", "genre", "status", "low", "high", "folder", "format")},
            **({"sort": self.sort} if self.sort else {"order": self.order, "desc": int(self.descending)}),
            **changes,
        }
        return urlencode({name: value for name, value in words.items() if value not in ("", None)})


def parse_query(words: MultiDict[str, str], *, default_order: Order = "path") -> TrackQuery:
    """Parse query parameters, or abort with 400."""
    sort = words.get("sort")
    if sort and sort not in SORTS:
        abort(400, "unknown sort")
    order = SORTS[sort][0] if sort else words.get("order") or default_order
    status, kind = words.get("status", ""), words.get("format", "")
    folder = words.get("folder", "")
    if any("\0" in word for word in words.values()):
        abort(400, "parameters must not contain NUL")
    if order not in ORDERS or (status and status not in LISTED_STATUSES) or (kind and kind not in FORMATS):
        abort(400, "unknown order, status or format")
    if folder and not os.path.isabs(folder):
        abort(400, "folder must be an absolute path")
    return TrackQuery(
        q=words.get("q", "")[:500],
        genre=words.get("genre", "")[:200],
        status=status,
        low=_fraction_param(words, "low"),
        high=_fraction_param(words, "high"),
        folder=folder,
        format=kind,
        order=order,
        descending=SORTS[sort][1] if sort else _flag_param(words.get("desc"), order in DESCENDING_BY_DEFAULT),
        after=words.get("after", ""),
        before=words.get("before", ""),
        limit=int_param(words, "limit", default=PER_PAGE, least=1, most=MAX_PER_PAGE),
    )


def int_param(words: MultiDict[str, str], name: str, *, default: int, least: int, most: int) -> int:
    """Parse an integer parameter, or abort with 400."""
    text = words.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and least <= int(text[:18]) <= most):
        abort(400, f"{name} must be a whole number from {least} to {most}")
    return int(text)


def _fraction_param(words: MultiDict[str, str], name: str) -> float | None:
    text = words.get(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    return value if 0 <= value <= 1 else abort(400, f"{name} must be a number from 0 to 1")


def _flag_param(text: str | None, default: bool) -> bool:
    return default if text in (None, "") else text in ("1", "true")
