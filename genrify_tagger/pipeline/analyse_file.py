"""Titles, identity, analysis (new or from the store) and decided genres of a file.

The reading half of the engine: nothing is written except the analysis cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from genrify_tagger.analysis import Analysis, Shortfall
from genrify_tagger.decision import Decision, decide, decide_in_tree, song_features
from genrify_tagger.errors import GenrifyError, InterruptedScanError, WorkerUnavailableError
from genrify_tagger.files import FileStat
from genrify_tagger.pipeline.library_evidence import Evidence, SongOrigin, decide_with_library
from genrify_tagger.pipeline.session import Session
from genrify_tagger.song_groups import album_key, artist_key
from genrify_tagger.store import FileRecord, GenreRow, as_stored


@dataclass(frozen=True)
class Titles:
    """Title, artist and album, "" if absent, and the keys that the songs of an artist or album share."""

    title: str
    artist: str
    album: str
    artist_key: str = ""
    album_key: str = ""


def titles_from_tags(tags: Mapping[str, str], path: str) -> Titles:
    """Return the titles in tags with the names that `audio.read_titles` gives them."""
    title, artist, album = (tags.get(name, "") for name in ("title", "artist", "album"))
    return Titles(title, artist, album, artist_key(tags), album_key(tags, path))


@dataclass(frozen=True)
class Identity:
    """The song in a file: its audio key, FFmpeg's name of the container, seconds of audio, what is missing of it."""

    audio_key: str
    container: str | None
    duration: float
    shortfall: Shortfall | None


@dataclass(frozen=True, eq=False)
class AnalysedFile:
    """A song's analysis, whether it came from the store (`cached`), and the decision by the session's settings."""

    analysis: Analysis
    cached: bool
    decision: Decision
    evidence: Evidence = field(default_factory=dict)


def titles_of(session: Session, path: str, stat: FileStat, record: FileRecord | None) -> Titles | None:
    """Return title, artist and album, "" for those that are missing or cannot be read.

    They are not read again if the store has them for the same file (`stat`). None if the worker process did not finish.

    Raises
    ------
    InterruptedScanError
        If the run was stopped meanwhile.
    """
    if record is not None and record.stat == stat and record.title is not None and record.artist_key is not None:
        known = (record.title, record.artist, record.album, record.artist_key, record.album_key)
        return Titles(*(value or "" for value in known))
    try:
        found = session.workers.read_titles(path)
    except InterruptedScanError:
        raise
    except WorkerUnavailableError:
        return None
    except GenrifyError:
        found = {}
    return titles_from_tags(found, path)


def identify(session: Session, path: str, stat: FileStat, record: FileRecord | None) -> Identity:
    """Identify the song in a file: from the store if the file is unchanged, else by its audio."""
    if record is not None and record.stat == stat and record.audio_key and record.duration is not None:
        return Identity(record.audio_key, record.container, record.duration, session.workers.find_shortfall(path))
    sound = session.workers.probe(path, is_new=record is None)
    return Identity(sound.key, sound.container, sound.duration, sound.shortfall)


def exceeds_max_length(session: Session, identity: Identity) -> bool:
    """Tell whether a song is longer than the settings allow."""
    return 0 < session.settings.library.max_minutes * 60 < identity.duration


def analyse_file(
    session: Session,
    path: str,
    identity: Identity,
    titles: Titles | None = None,
    *,
    others: Sequence[GenreRow] = (),
    again: bool = False,
    remember: bool = True,
) -> AnalysedFile:
    """Return a song's analysis and its decided genres.

    Parameters
    ----------
    session : Session
    path : str
    identity : Identity
    titles : Titles or None
        Of the file; they matter only to a vocabulary learned from the library.
    others : sequence of GenreRow
        See `SongOrigin`.
    again : bool
        Analyse it even if the store already has an analysis.
    remember : bool
        Whether the store may keep the analysis.
    """
    model, front_end = session.sidecar.analyses, session.front_end
    stored = None if again else session.store.find_analysis(identity.audio_key, model, front_end)
    needs_spread = session.active.tree_head is not None or session.active.learned is not None
    if stored is not None and stored.spread is None and needs_spread:
        stored = None  # an earlier version stored it without what the tree needs
    analysis = stored or as_stored(session.workers.analyse(path, duration=identity.duration))
    if stored is None and remember:
        session.store.save_analysis(identity.audio_key, model, front_end, analysis)
    if session.active.learned is not None:
        origin = SongOrigin(identity.audio_key, titles.artist_key, titles.album_key, others) if titles else None
        decision, evidence = decide_with_library(session, session.active.learned, analysis, origin)
        return AnalysedFile(analysis, stored is not None, decision, evidence)
    return AnalysedFile(analysis, stored is not None, _decide(session, analysis))


def _decide(session: Session, analysis: Analysis) -> Decision:
    tagging = session.settings.tagging
    if session.active.tree_head is not None:
        assert analysis.spread is not None
        return decide_in_tree(
            song_features(analysis.embedding, analysis.spread, analysis.tags),
            analysis.levels,
            session.active.tree_head,
            session.active.sound,
            min_confidence=tagging.min_confidence,
            level=tagging.tree_level,
        )
    return decide(
        analysis.outputs,
        analysis.levels,
        session.active.sound,
        min_confidence=tagging.min_confidence,
        max_genres=tagging.max_genres,
    )
