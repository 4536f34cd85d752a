"""The HTML pages; scripts add what is interactive through the API."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from genrify_tagger.store import FileRecord
from genrify_tagger.web import charts, query, views
from genrify_tagger.web.app_context import app_context
from genrify_tagger.web.ids import track
from genrify_tagger.web.security import page_within

pages = Blueprint("pages", __name__)

_RUNS, _CHANGES = 50, 100
_COLOURS = 20  # as many as style.css has


@pages.get("/")
def home() -> str:
    """Show the start page, where songs are dropped."""
    return _page("home.html", here="home", largest_mb=app_context().uploads.largest >> 20)


@pages.get("/library")
def library() -> str:
    """Show the library."""
    wanted = query.parse(request.args)
    page = wanted.find()
    before, after = wanted.places(page)
    genres = [genre["name"] for genre in app_context().counts.last().get("genres", [])] or _names()
    return _page(
        "library.html",
        here="library",
        query=wanted,
        total=page.total,
        tracks=[_row(record) for record in page.files],
        before=before,
        after=after,
        genres=genres if not wanted.genre or wanted.genre in genres else [*genres, wanted.genre],
        formats=list(query.FORMATS),
        statuses=query.LISTED,
        none=query.NONE,
        orders=_ORDERS,
    )


@pages.get("/unsure")
def unsure() -> str:
    """Show the queue of unsure tracks."""
    return _page("unsure.html", here="unsure")


@pages.get("/overview")
def overview() -> str:
    """Show the library's statistics."""
    numbers = app_context().counts.find()
    return _page(
        "overview.html",
        here="overview",
        numbers=numbers,
        total=sum(count for status, count in numbers["statuses"].items() if status != "missing"),
        genres=charts.bars(numbers["genres"][:24]),
        confidence=charts.columns(numbers["confidence"]),
        days=charts.days(numbers["changes"]),
    )


@pages.get("/history")
def history() -> str:
    """Show the runs that changed files."""
    before = query.whole(request.args, "before", default=0, least=0, most=query.LARGEST)
    runs = app_context().session.store.changing_runs(before=before or None, limit=_RUNS)
    shown = [views.as_run(*run) for run in runs]
    return _page("history.html", here="history", runs=shown, more=len(shown) == _RUNS, before=before)


@pages.get("/history/<int(max=2147483647):run>")
def one_run(run: int) -> str:
    """Show the changes of a run."""
    before = query.whole(request.args, "before", default=0, least=0, most=query.LARGEST)
    store = app_context().session.store
    record = store.run(run) or abort(404, f"there is no run {run}")
    made, undone = store.tally_of(run)
    changes = [views.as_change(change) for change in store.changes(run=run, before=before or None, limit=_CHANGES)]
    return _page(
        "run.html",
        here="history",
        run=views.as_run(record, made, undone),
        changes=changes,
        more=len(changes) == _CHANGES,
        before=before,
    )


@pages.get("/tracks/<key>")
def one_track(key: str) -> str:
    """Show one track of the library."""
    record = track(key)
    changes = [views.as_change(change) for change in app_context().session.store.changes(path=record.path, limit=50)]
    return _page("track.html", here="library", track=_row(record), changes=changes)


@pages.get("/login")
def login() -> str | AnyResponse:
    """Ask for the token, then go to the requested page."""
    to = page_within(request.args.get("to", "/"))
    if app_context().access.admits(request):
        return redirect(to)
    return render_template("login.html", here="login", to=to, labels=[], genre_names=[], colour=lambda name: "")


@pages.get("/favicon.ico")
def icon() -> Response:
    """Return the icon."""
    return current_app.send_static_file("icon.svg")


#: By what the library can be sorted, and what comes first then: ascending, descending.
_ORDERS = {
    "path": ("path", "A first", "Z first"),
    "confidence": ("confidence", "Least sure first", "Surest first"),
    "genre": ("genre", "A first", "Z first"),
    "duration": ("length", "Shortest first", "Longest first"),
    "seen": ("last looked at", "Oldest first", "Newest first"),
}


def _page(template: str, **values: Any) -> str:
    session = app_context().session
    labels, names = list(session.vocabulary.labels), _names()
    colours = {name: f"g{index % _COLOURS}" for index, name in enumerate(names)}
    values |= {"labels": labels, "genre_names": names, "locked": not app_context().access.is_open}
    text = render_template(template, **values, colour=lambda name: colours.get(name, ""))
    # A broken tag may hold lone surrogates.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _names() -> list[str]:
    session = app_context().session
    return [session.written_name(label) for label in session.vocabulary.labels]


def _row(record: FileRecord) -> views.Json:
    row = views.as_track(app_context().session, record)
    called = " – ".join(filter(None, (row["artist"], row["title"]))) if row["title"] else row["name"]
    place = " / ".join(row["folder"].split("/")[-2:])
    return {**row, "called": called, "clock": clock(record.duration), "place": place}


def clock(seconds: float | None) -> str:
    """Format a duration as players do: 3:07, 1:02:33."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
