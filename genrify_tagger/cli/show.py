"""`genrify-tag show`: everything known about one song."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from genrify_tagger.cli.context import CliContext, common_options, model_option
from genrify_tagger.cli.output import format_option, local_time, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.text import Text

    from genrify_tagger.pipeline import Session, TrackReport


@click.command()
@click.argument("file", type=click.Path())
@model_option
@click.option("--vocabulary", metavar="NAME", help="Vocabulary to use, learned or of the model.")
@format_option("text", "json")
@click.pass_obj
@common_options
def command(state: CliContext, file: str, vocabulary: str | None, output_format: str) -> None:
    """Show everything known about a song.

    The genre in the file, the decision and its confidence, the score of every genre, the most likely genre of each
    segment, the result of the last scan and the journal. A song that is not in the database is analysed; nothing is
    written into the file.

    \b
    Examples:
      genrify-tag show song.mp3
      genrify-tag show song.mp3 --format json
    """  # noqa: D301
    from genrify_tagger.config import shipped_choice
    from genrify_tagger.pipeline import inspect_file, open_session

    loaded = state.load({"analysis.vocabulary": vocabulary} | shipped_choice(vocabulary))
    named = loaded.is_given("database.url")  # the default one is created: a song can be shown before the first scan
    with open_session(loaded.settings, files=1, create=not named) as session:
        track_report = inspect_file(session, os.path.abspath(file))
        if output_format == "json":
            write_json(_as_json(session, track_report))
            return
        for line in _lines(session, track_report):
            state.out.print(line)


def _lines(session: Session, track_report: TrackReport) -> Iterator[Text | str]:
    from genrify_tagger.cli import report
    from genrify_tagger.decision import likeliest
    from genrify_tagger.files import display_path, printable
    from genrify_tagger.pipeline import container_name, describe_nodes

    decision, identity = track_report.decision, track_report.identity
    guess = likeliest(decision.scores, decision.confidence)
    genres = ", ".join(session.words.written_name(label) for label in decision.genres)
    names = {label: session.words.written_name(label) for label in session.active.vocabulary.labels}
    paths = {label: session.active.written_path(label) for label in names}
    yield display_path(track_report.path)
    yield f"  in the file    {printable(', '.join(track_report.snapshot.genres)) or '(no genre)'}"
    yield f"  decision       {genres or f'unsure: {decision.reason}'}"
    if guess:
        yield f"  confidence     {decision.confidence:.2f}"
    if decision.nodes:
        written = session.words.names_to_write(decision.genres)
        yield f"  genre tree     {describe_nodes(session.active.named_nodes(decision), written)}"
    if track_report.explanation:
        yield f"  evidence       {printable(track_report.explanation)}"
    container = container_name(identity.container)
    yield f"  audio          {container}, {report.duration(identity.duration)}, key {identity.audio_key}"
    yield f"  model          {session.sidecar.id}{' (cached)' if track_report.cached else ''}"
    yield ""
    if guess:
        yield "Scores"
        yield from report.bars(decision.scores, paths)
        yield ""
        segment_names = {label: session.words.written_name(label) for label in session.active.sound.labels}
        yield from _timeline(track_report, segment_names)
        yield ""
    yield from _past(track_report)


def _timeline(track_report: TrackReport, names: Mapping[str, str]) -> Iterator[str]:
    yield "Timeline"
    for (start, end), (label, score) in zip(track_report.analysis.intervals, track_report.timeline, strict=True):
        likely = f"{names[label]:<10} {score:.2f}" if label else "silence"
        yield f"  {_clock(start)}-{_clock(end)}  {likely}"


def _past(track_report: TrackReport) -> Iterator[str]:
    from genrify_tagger.files import printable

    record = track_report.record
    if record is None:
        yield "Last scan: not scanned yet"
    else:
        note = printable(record.error or record.reason or "")
        yield f"Last scan: {record.status}{f' ({note})' if note else ''}, {local_time(record.seen_at)}"
    if not track_report.changes:
        yield "Journal: no changes"
        return
    yield "Journal"
    for change in track_report.changes:
        before = printable(", ".join(change.before_genres or ())) or "(none)"
        after = printable(", ".join(change.after_genres or ())) or "(none)"
        undone = ", undone since" if change.undone_by else ""
        when = local_time(change.created_at)
        yield f"  {when}  run {change.run} {change.origin}: {before} -> {after} ({change.state}{undone})"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{seconds % 60:04.1f}"


def _as_json(session: Session, track_report: TrackReport) -> dict[str, Any]:
    from genrify_tagger.files import json_path
    from genrify_tagger.pipeline import container_name

    decision, identity, record = track_report.decision, track_report.identity, track_report.record
    return {
        "schema": 1,
        **json_path(track_report.path),
        "in_file": list(track_report.snapshot.genres),
        "genres": [session.words.written_name(label) for label in decision.genres],
        "confidence": decision.confidence,
        "reason": decision.reason,
        "scores": decision.scores,
        "vocabulary": session.active.vocabulary.name,
        "tree": list(session.active.tree_path(next(iter(decision.genres), None))),
        **({"evidence": dict(track_report.evidence)} if track_report.evidence else {}),
        "model": session.sidecar.id,
        "cached": track_report.cached,
        "audio_key": identity.audio_key,
        "container": container_name(identity.container),
        "duration": identity.duration,
        "timeline": [
            {"start": round(float(start), 3), "end": round(float(end), 3), "label": label, "score": score}
            for (start, end), (label, score) in zip(track_report.analysis.intervals, track_report.timeline, strict=True)
        ],
        "last_scan": record and {"status": record.status, "reason": record.reason, "error": record.error},
        "journal": [
            {
                "id": change.id,
                "run": change.run,
                "origin": change.origin,
                "state": change.state,
                "before": change.before_genres,
                "after": change.after_genres,
                "undone_by": change.undone_by,
                "at": change.created_at.isoformat(),
            }
            for change in track_report.changes
        ],
    }
