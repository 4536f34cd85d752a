"""What one run needs, opened together and closed together: settings, store, workers, the model's sidecar."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from genrify_tagger import store as stores
from genrify_tagger import tags
from genrify_tagger.classifier import Sidecar, Vocabulary, load_sidecar
from genrify_tagger.config import Settings, nearest
from genrify_tagger.decision import likeliest
from genrify_tagger.errors import ConfigError, InterruptedScanError, UnfinishedWriteError
from genrify_tagger.files import display_path
from genrify_tagger.pipeline.results import Summary
from genrify_tagger.store import ChangeRecord, Store
from genrify_tagger.worker_main import Limits
from genrify_tagger.workers import Workers

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Session:
    """Everything that the steps of a run share; safe to use from several threads.

    Attributes
    ----------
    settings : Settings
        The effective settings.
    store : Store
        The open database.
    workers : Workers
        The listening processes (none is started before the first file).
    sidecar : Sidecar
        The model's description.
    stop : threading.Event
        Set when the run shall end: no new write is begun.
    """

    settings: Settings
    store: Store
    workers: Workers
    sidecar: Sidecar
    stop: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The labels to decide by."""
        wanted = self.settings.analysis.vocabulary
        try:
            return self.sidecar.vocabularies[wanted]
        except KeyError:
            known = ", ".join(sorted(self.sidecar.vocabularies))
            raise ConfigError(f"analysis.vocabulary is {wanted!r}; the model has: {known}") from None

    @cached_property
    def front_end(self) -> str:
        """Under which front-end parameters analyses are kept: the features' own, and how many segments."""
        parameters = json.dumps(dict(self.sidecar.front_end), sort_keys=True)
        digest = hashlib.blake2b(parameters.encode(), digest_size=4).hexdigest()
        return f"{digest}-s{self.settings.analysis.segments}"

    @cached_property
    def settings_key(self) -> str:
        """A digest of all settings that may change a file's outcome."""
        analysis, tagging, library = self.settings.analysis, self.settings.tagging, self.settings.library
        values = [
            (analysis.segments, analysis.vocabulary, analysis.existing, library.max_minutes),
            (tagging.existing, list(tagging.treat_as_missing), tagging.min_confidence, tagging.max_genres),
            (tagging.field, list(tagging.protected), sorted(tagging.names.items())),
            (tagging.hardlinks, tagging.ownership, tagging.keep_mtime),
        ]
        return hashlib.blake2b(json.dumps(values).encode(), digest_size=8).hexdigest()

    @cached_property
    def _names(self) -> dict[str, str]:
        return written_names(self.settings, self.sidecar)

    def written_name(self, label: str) -> str:
        """Return the name to write for a label; see `written_names`. A label that only another model has is its own."""
        return self._names.get(label, label)

    def guess(self, scores: Mapping[str, float], confidence: float | None) -> str | None:
        """Return the written name of what is likeliest, sure or not; None where nothing was heard."""
        label = likeliest(scores, confidence)
        return self.written_name(label) if label else None


@dataclass(frozen=True)
class RunHandle:
    """A run in the store (0 for a dry run) and what it counted."""

    number: int
    counts: Summary = field(default_factory=Summary)


@contextmanager
def open_session(settings: Settings, *, files: int | None = None, create: bool = True) -> Iterator[Session]:
    """Open what a run needs, settle what an earlier run left unfinished, and close it all at the end.

    Parameters
    ----------
    settings : Settings
        The effective settings.
    files : int or None
        How many files there will be at most, if that is known: no more processes than that are started.
    create : bool
        Whether to make a database that does not exist; else that is an error.

    Raises
    ------
    ConfigError, ModelError, StoreError
        If settings, model or database cannot be used.
    """
    sidecar = _model(settings)
    for label, advice in unknown_names(settings, sidecar).items():
        log.warning("tagging.names: the model has no label %s; %s", label, advice)
    with stores.open_store(settings.database.url, create=create) as store:
        reconcile(store)
        limits = Limits(
            time_limit=settings.analysis.time_limit_seconds,
            memory_limit=settings.analysis.memory_limit_mb << 20,
        )
        workers = Workers(
            jobs=_jobs(settings.analysis.jobs, files),
            segments=settings.analysis.segments,
            sidecar=settings.analysis.model or None,
            limits=limits,
        )
        with workers:
            session = Session(settings, store, workers, sidecar)
            _ = session.vocabulary
            yield session


def _model(settings: Settings) -> Sidecar:
    return load_sidecar(settings.analysis.model or None)


def written_names(settings: Settings, sidecar: Sidecar | None = None) -> dict[str, str]:
    """Return the name to write for each label: the user's, or the model's.

    Parameters
    ----------
    settings : Settings
        The effective settings; where vocabularies differ, that of `analysis.vocabulary` counts.
    sidecar : Sidecar, optional
        The model's, if it is loaded already.

    Raises
    ------
    ModelError
        If the model cannot be used.
    """
    vocabularies = (sidecar or _model(settings)).vocabularies
    names: dict[str, str] = {}
    for vocabulary in sorted(vocabularies, key=lambda name: name == settings.analysis.vocabulary):
        names |= vocabularies[vocabulary].names
    return names | dict(settings.tagging.names)


def unknown_names(settings: Settings, sidecar: Sidecar | None = None) -> dict[str, str]:
    """Return the labels that names are given to though the model lacks them, each with advice.

    Parameters
    ----------
    settings : Settings
        The effective settings.
    sidecar : Sidecar, optional
        The model's, if it is loaded already.

    Raises
    ------
    ModelError
        If the model cannot be used.
    """
    known = (sidecar or _model(settings)).labels()
    found = {}
    for label in settings.tagging.names:
        if label not in known:
            near = nearest(label, known)
            found[label] = f"did you mean {near}?" if near else f"its labels are {', '.join(known)}"
    return found


@contextmanager
def open_known_store(url: str, *, named: bool) -> Iterator[Store]:
    """Open only what the program remembers, to look at it; no database is made.

    Parameters
    ----------
    url : str
        The database's.
    named : bool
        Whether somebody has named it. Then it has to exist: a mistyped name is no empty library. The usual one need
        not, before the first scan.

    Raises
    ------
    StoreError
        If the database cannot be used.
    """
    file = stores.database_file(url)
    if named or file is None or os.path.exists(file):
        with stores.open_store(url, create=False) as store:
            yield store
        return
    with tempfile.TemporaryDirectory() as folder, stores.open_store(os.path.join(folder, "empty.db")) as store:
        yield store


@contextmanager
def run_record(
    session: Session, command: str, arguments: Sequence[str], *, dry_run: bool = False
) -> Iterator[RunHandle]:
    """Book a run in the store for as long as the `with` block lasts; a dry run leaves no trace.

    How the block ends says how the run ended: "done", "interrupted" or "failed".
    """
    run = RunHandle(0)
    if not dry_run:
        run = RunHandle(session.store.start_run(command, list(arguments), session.sidecar.id))
    status = "failed"
    try:
        yield run
        status = "done"
    except (KeyboardInterrupt, InterruptedScanError):
        status = "interrupted"
        raise
    finally:
        if not dry_run:
            session.store.finish_run(run.number, status, run.counts)


def _jobs(wanted: int, files: int | None) -> int:
    jobs = wanted or processors()
    return jobs if files is None else min(jobs, max(files, 1))


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def reconcile(store: Store) -> None:
    """Settle changes that were journalled but whose end is unknown, because a run was killed while writing.

    The file itself tells whether the new genre reached it; left-over temporary files are removed. Where the disk is
    away or does not allow it, that is left for a later start.
    """
    pending = store.pending_changes()
    # All of them first: the temporary files of one folder are swept away together.
    reachable = [change for change in pending if _is_reachable(change) and _has_given_back(change)]
    for change in reachable:
        try:
            state, error = _settle(change)
        except UnfinishedWriteError as unsettled:
            _warn(change, str(unsettled))
            continue
        store.finish_change(change.id, state, stat_after=tags.stat_or_none(change.path), error=error)
        _warn(change, error or "it is done")


def _is_reachable(change: ChangeRecord) -> bool:
    """Tell a file that is gone from one whose disk is away, as far as one can."""
    folder = os.path.dirname(change.path)
    return os.path.lexists(change.path) or (os.path.isdir(folder) and change.backup is None)


def _has_given_back(change: ChangeRecord) -> bool:
    try:
        if change.stat_before is not None:
            tags.restore_exchanged(change.path, change.stat_before, change.after, field=change.field)
    except UnfinishedWriteError as error:
        _warn(change, str(error))
        return False
    return True


def _warn(change: ChangeRecord, words: str) -> None:
    log.warning("an earlier run was cut off while writing %s: %s", display_path(change.path), words)


def _settle(change: ChangeRecord) -> tuple[str, str | None]:
    tags.sweep(os.path.dirname(os.path.realpath(change.path)))
    found = tags.recover(change.path, change.before, change.after, change.backup, field=change.field)
    if found == "after":
        return "done", None
    if found == "before":
        return "failed", "cut off before the file was replaced"
    return "failed", "cut off, and the genre is neither the old nor the new one"
