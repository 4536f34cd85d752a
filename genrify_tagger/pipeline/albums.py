"""One genre for an album: its songs are analysed, then decided together, then finished.

An album is the songs of one album key (see `song_groups`) in one folder, or in the folders of its discs. Songs that
have a genre already count for it and keep it. If the album as a whole is not sure enough, its songs are decided one by
one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from genrify_tagger.analysis import SILENCE
from genrify_tagger.decision import (
    SILENT,
    Decision,
    decide_by_scores,
    decide_by_song_scores,
    leaf_probabilities,
    node_scores,
    song_features,
    song_scores,
)
from genrify_tagger.decision.album import pooled_probabilities, with_genre
from genrify_tagger.decision.evidence import KNOWN, STRANGER, decide_by_probabilities
from genrify_tagger.files import real_path
from genrify_tagger.genre_spelling import spelling
from genrify_tagger.pipeline.album_decision import AlbumDecision
from genrify_tagger.pipeline.engine import prepare_file
from genrify_tagger.pipeline.file_run import FileRun
from genrify_tagger.pipeline.file_task import FileTask, Outcome, ScanOptions
from genrify_tagger.pipeline.session import Session
from genrify_tagger.song_groups import FOLDER, FOLDER_LIMIT, album_folder
from genrify_tagger.store import FileRecord
from genrify_tagger.tags import stat_or_none

MOST_SONGS = 1000  # of a folder, which are held in memory until they are decided together
_SHOWN = 3

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DecidedSongs:
    """What to do with the songs of a folder.

    Attributes
    ----------
    songs : sequence of Outcome or (FileRun, AlbumDecision or None)
        What is known already, and songs to be finished; in the order of the folder.
    undecided : sequence of str
        Files that were unsure, and would not be with the rest of their album, but were not to be processed now.
    """

    songs: Sequence[Outcome | tuple[FileRun, AlbumDecision | None]]
    undecided: Sequence[str]


def by_folder(items: Iterable[FileRun | Outcome]) -> Iterator[list[FileRun | Outcome]]:
    """Yield consecutive files of one folder together, or of the folders of an album's discs."""
    group: list[FileRun | Outcome] = []
    folder = ""
    for item in items:
        here = album_folder(item.task.path if isinstance(item, FileRun) else item.result.path)
        if group and (here != folder or len(group) >= MOST_SONGS):
            yield group
            group = []
        folder = here
        group.append(item)
    if group:
        yield group


def decide_albums(session: Session, items: Sequence[FileRun | Outcome]) -> DecidedSongs:
    """Decide on the albums of a folder.

    Parameters
    ----------
    session : Session
    items : sequence of FileRun or Outcome
        Prepared files, and those that have not changed since they were recorded.
    """
    albums: dict[str, list[FileRun]] = {}
    for item in items:
        if isinstance(item, FileRun) and (key := _album_key(item)):
            albums.setdefault(key, []).append(item)
    decided: dict[str, AlbumDecision] = {}
    again: dict[str, FileRun] = {}
    for key, songs in albums.items():
        if all(map(_is_settled, songs)):
            continue
        others = _others(session, key, songs)
        album = decide_album(session, key, [*songs, *others])
        if album is not None:
            again |= {song.task.target: song for song in others if not _is_settled(song)}
            decided |= {song.task.target: album for song in [*songs, *others]}
    found: list[Outcome | tuple[FileRun, AlbumDecision | None]] = []
    for item in items:
        song = item if isinstance(item, FileRun) else again.pop(real_path(item.result.path), None) if again else None
        found.append(item if isinstance(item, Outcome) and song is None else _with_album(song, decided))
    return DecidedSongs(found, _forget_decisions(session, again.values()))


def decide_album(session: Session, key: str, songs: Sequence[FileRun]) -> AlbumDecision | None:
    """Decide on an album; None if it is not sure enough, or no album."""
    members = sorted((song for song in songs if _counts(song)), key=lambda song: song.task.target)
    if len(members) < 2 or (key.startswith(FOLDER) and len(members) > FOLDER_LIMIT):
        return None
    genres = [_kept_labels(session, song) for song in members]
    songs_of_album = [_probabilities(session, song, labels) for song, labels in zip(members, genres, strict=True)]
    decision = _decide(session, pooled_probabilities(songs_of_album), members, genres)
    if not decision.genres:
        return None
    best = sorted(decision.scores, key=lambda label: -decision.scores[label])[:_SHOWN]
    likeliest = [
        {"genre": session.words.written_name(label), "score": round(decision.scores[label], 4)} for label in best
    ]
    return AlbumDecision(decision, likeliest, len(members))


def _with_album(song: FileRun | None, decided: dict[str, AlbumDecision]) -> tuple[FileRun, AlbumDecision | None]:
    assert song is not None
    return song, decided.get(song.task.target)


def _is_settled(song: FileRun) -> bool:
    """Tell whether a decision on the album would not matter to a song."""
    return song.ended is not None or bool(song.kept_genres)


def _counts(song: FileRun) -> bool:
    return bool(song.kept_genres) or (song.analysed is not None and song.analysed.decision.reason != SILENT)


def _album_key(song: FileRun) -> str:
    if song.analysed is None and not song.kept_genres:
        return ""
    return song.titles.album_key if song.titles else ""


def _others(session: Session, key: str, songs: Sequence[FileRun]) -> list[FileRun]:
    """Return further songs of the album that are known and have not changed, prepared."""
    one = songs[0]
    folder, own = album_folder(one.task.target), {song.task.target for song in songs}
    rows = session.store.genre_rows_of("", key, limit=MOST_SONGS)
    paths = [row.path for row in rows if row.path not in own and album_folder(row.path) == folder]
    records = session.store.files(paths) if paths else {}
    tasks = [task for _, record in sorted(records.items()) if (task := _unchanged_task(record)) is not None]
    return [prepare_file(session, task, one.writer, ScanOptions()) for task in tasks]


def _unchanged_task(record: FileRecord) -> FileTask | None:
    if record.stat is None or record.missing_since is not None or stat_or_none(record.path) != record.stat:
        return None
    return FileTask(path=record.path, target=record.path, stat=record.stat, record=record)


def _forget_decisions(session: Session, songs: Iterable[FileRun]) -> list[str]:
    """Have the next scan decide again on some songs; return their paths."""
    records = [song.task.record for song in songs if song.task.record is not None and song.writer.remembers]
    if records:
        session.store.save_files([replace(record, settings_key=None) for record in records])
    return [record.path for record in records]


def _kept_labels(session: Session, song: FileRun) -> frozenset[str]:
    """Return the labels that the genres in a file stand for: their own, or of the nearest wider genres."""
    rules, by_key = session.words.spelling, _labels_by_key(session)
    found = set()
    for word in [part for genre in song.kept_genres for part in rules.parts(genre)]:
        wider = reversed(session.words.tree.get(spelling(word), ()))
        found.update([by_key[key] for name in (word, *wider) if (key := rules.key(name)) in by_key][:1])
    return frozenset(found)


def _labels_by_key(session: Session) -> dict[str, str]:
    if session.active.learned is not None:
        return {key: session.active.learned.genres[column] for key, column in session.active.learned_columns.items()}
    return {
        session.words.spelling.key(session.words.written_name(label)): label
        for label in session.active.vocabulary.labels
    }


def _probabilities(session: Session, song: FileRun, labels: frozenset[str]) -> Array:
    """Return the probability of each leaf of the tree, or of each label of another vocabulary."""
    head = session.active.tree_head if session.active.learned is None else None
    classes = session.active.vocabulary.labels if head is None else head.leaves
    if song.analysed is None or song.analysed.decision.reason == SILENT:
        found = np.full(len(classes), 1 / len(classes))
    elif head is None:
        found = np.array([song.analysed.decision.scores[label] for label in classes])
    else:
        analysis = song.analysed.analysis
        assert analysis.spread is not None
        found = leaf_probabilities(song_features(analysis.embedding, analysis.spread, analysis.tags), head)
    if not labels:
        return found
    parents = head.parents if head else {}
    return with_genre(found, np.array([name in labels or parents.get(name) in labels for name in classes]))


def _decide(
    session: Session, probabilities: Array, songs: Sequence[FileRun], genres: Sequence[frozenset[str]]
) -> Decision:
    tagging = session.settings.tagging
    if session.active.learned is not None:
        evidence = [song.analysed.evidence for song in songs if song.analysed is not None]
        is_known = any(genres) or any(one.get("artist") or one.get("album") for one in evidence)
        regime = KNOWN if is_known else STRANGER
        return decide_by_probabilities(
            probabilities, regime, session.active.learned, min_confidence=tagging.min_confidence
        )
    vocabulary = session.active.sound
    if session.active.tree_head is not None:
        head = session.active.tree_head
        scores = node_scores(probabilities, head.leaves, vocabulary.labels, head.parents)
        return decide_by_scores(
            scores, head.parents, vocabulary, min_confidence=tagging.min_confidence, level=tagging.tree_level
        )
    analyses = [song.analysed.analysis for song in songs if song.analysed is not None]
    audible = [one for one in analyses if (one.levels > SILENCE).any()]
    inside = [song_scores(one.outputs, one.levels > SILENCE, vocabulary)[1] for one in audible]
    return decide_by_song_scores(
        probabilities,
        float(np.mean(inside)) if inside else 1.0,
        vocabulary,
        min_confidence=tagging.min_confidence,
        max_genres=tagging.max_genres,
    )
