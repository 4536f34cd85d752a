"""The HTML pages; scripts add what is interactive through the API."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from genrify_tagger.errors import StoreError
from genrify_tagger.store import FileRecord
from genrify_tagger.web import album_groups, audit_list, charts, colours, query, views
from genrify_tagger.web.app_context import app_context
from genrify_tagger.web.ids import track
from genrify_tagger.web.security import safe_redirect_target

pages = Blueprint("pages", __name__)

#: What the histogram calls `charts.OUTCOMES`.
_OUTCOMES = {"written": "written", "unsure": "not written", "other": "had a genre, or was skipped"}
_RUNS_PER_PAGE, _CHANGES_PER_PAGE = 50, 100


@pages.get("/")
def home_page() -> str:
    """Show the start page, where songs are dropped."""
    is_empty = not sum(app_context().stats.current()["statuses"].values())
    return _render("home.html", here="home", is_empty=is_empty, largest_mb=app_context().uploads.largest >> 20)


@pages.get("/library")
def library_page() -> str:
    """Show the library."""
    wanted = query.parse_query(request.args, default_order="album")
    page = wanted.find()
    by_album = wanted.order == "album"
    if by_album:
        page = album_groups.whole_albums(page, backwards=bool(wanted.before))
    rows = [(record, _row(record)) for record in page.files]
    before, after = wanted.neighbours(page)
    genres = [genre["name"] for genre in app_context().stats.latest().get("genres", [])] or _genre_names()
    return _render(
        "library.html",
        here="library",
        query=wanted,
        total=page.total,
        groups=album_groups.group_by_album(rows) if by_album else [{"tracks": [row for _, row in rows]}],
        by_album=by_album,
        before=before,
        after=after,
        genres=genres if not wanted.genre or wanted.genre in genres else [*genres, wanted.genre],
        formats=list(query.FORMATS),
        statuses=query.LISTED_STATUSES,
        none=query.NO_GENRE_PARAM,
        sorts=query.SORTS,
    )


@pages.get("/unsure")
def unsure_page() -> str:
    """Show the queue of unsure tracks."""
    return _render("unsure.html", here="unsure")


@pages.get("/audit")
def audit_page() -> str:
    """Show the songs whose genre contradicts the rest of the library."""
    context = app_context()
    page = query.int_param(request.args, "page", default=1, least=1, most=audit_list.MOST_SONGS // audit_list.PER_PAGE)
    status = asdict(context.audit.status)
    audit = {**status, **views.audit_json(context.session, context.audit.result, page)}
    for song in audit["songs"]:
        song["track"] |= _shown_names(song["track"])
    return _render(
        "audit.html", here="audit", audit=audit, is_first=context.audit.result is None, most=audit_list.MOST_SONGS
    )


@pages.get("/overview")
def overview_page() -> str:
    """Show the library's statistics."""
    numbers = app_context().stats.current()
    return _render(
        "overview.html",
        here="overview",
        numbers=numbers,
        total=sum(count for status, count in numbers["statuses"].items() if status != "missing"),
        genres=charts.bar_chart(numbers["genres"][:24]),
        confidence=charts.histogram(numbers["confidence"]),
        outcomes=_OUTCOMES,
        days=charts.daily_changes(numbers["changes"]),
        origins=charts.ORIGINS,
    )


@pages.get("/history")
def history_page() -> str:
    """Show the runs that changed files."""
    before = query.int_param(request.args, "before", default=0, least=0, most=query.MAX_ROW_ID)
    runs = app_context().session.store.changing_runs(before=before or None, limit=_RUNS_PER_PAGE)
    shown = views.runs_json(app_context().session.store, runs)
    return _render(
        "history.html",
        here="history",
        runs=shown,
        more=len(shown) == _RUNS_PER_PAGE,
        before=before,
        beets_undo=views.BEETS_UNDO,
    )


@pages.get("/history/<int(max=2147483647):run>")
def run_page(run: int) -> str:
    """Show the changes of a run."""
    before = query.int_param(request.args, "before", default=0, least=0, most=query.MAX_ROW_ID)
    session = app_context().session
    record = session.store.run(run) or abort(404, f"there is no run {run}")
    found = session.store.changes(run=run, before=before or None, limit=_CHANGES_PER_PAGE)
    changes = views.changes_json(session, found)
    [shown] = views.runs_json(session.store, [(record, *session.store.change_counts(run))])
    return _render(
        "run.html",
        here="history",
        run=shown,
        changes=changes,
        more=len(changes) == _CHANGES_PER_PAGE,
        before=before,
        beets_undo=views.BEETS_UNDO,
    )


@pages.get("/tracks/<key>")
def track_page(key: str) -> str:
    """Show one track of the library."""
    record = track(key)
    session = app_context().session
    changes = views.changes_json(session, session.store.changes(path=record.path, limit=50))
    return _render("track.html", here="library", track=_row(record), changes=changes)


@pages.get("/login")
def login_page() -> str | AnyResponse:
    """Ask for the token, then go to the requested page."""
    to = safe_redirect_target(request.args.get("to", "/"))
    if app_context().auth.accepts(request):
        return redirect(to)
    return render_template("login.html", here="login", to=to, labels=[], names=[], colour=lambda name: "")


@pages.get("/genres.css")
def genre_colours() -> Response:
    """Return the style sheet with a colour for each genre."""
    return Response(
        colours.style_sheet(len(_coloured_genres())), mimetype="text/css", headers={"Cache-Control": "no-cache"}
    )


@pages.get("/favicon.ico")
def favicon() -> Response:
    """Return the icon."""
    return current_app.send_static_file("icon.svg")


def _render(template: str, **values: Any) -> str:
    with contextlib.suppress(StoreError):  # the page itself asks for what it shows, and says what is wrong
        app_context().session.follow_vocabulary()
    coloured = _coloured_genres()
    classes = {name: f"g{index}" for index, name in enumerate(coloured.values())}
    values |= {"labels": list(coloured), "names": list(coloured.values()), "genre_names": _genre_names()}
    values["locked"] = not app_context().auth.is_open
    text = render_template(template, **values, colour=lambda name: classes.get(name, ""))
    # A broken tag may hold lone surrogates.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _genre_names() -> list[str]:
    session = app_context().session
    return [session.words.written_name(label) for label in session.active.vocabulary.labels]


def _coloured_genres() -> dict[str, str]:
    """Return names by label: of the vocabulary, then of the model's where a learned one is in use."""
    session = app_context().session
    own = {label: session.words.written_name(label) for label in session.active.vocabulary.labels}
    of_model = {label: session.words.written_name(label) for label in session.active.sound.labels}
    return own | {label: name for label, name in of_model.items() if label not in own and name not in own.values()}


def _row(record: FileRecord) -> views.Json:
    row = views.track_json(app_context().session, record)
    return {**row, **_shown_names(row), "clock": clock(record.duration)}


def _shown_names(row: views.Json) -> views.Json:
    return {"called": row["title"] or row["name"], "place": " / ".join(row["folder"].split("/")[-2:])}


def clock(seconds: float | None) -> str:
    """Format a duration as players do: 3:07, 1:02:33."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
