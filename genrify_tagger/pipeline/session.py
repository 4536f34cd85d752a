"""A session: settings, store, workers and the model's description, opened and closed together."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from genrify_tagger import store as stores
from genrify_tagger.classifier import Sidecar, load_sidecar
from genrify_tagger.config import Settings
from genrify_tagger.pipeline.active_vocabulary import ActiveVocabulary, chosen_vocabulary
from genrify_tagger.pipeline.file_claims import FileClaims
from genrify_tagger.pipeline.genre_words import GenreWords
from genrify_tagger.pipeline.label_names import unknown_names
from genrify_tagger.pipeline.model_tree import ModelTree
from genrify_tagger.pipeline.moves import MoveTracker
from genrify_tagger.pipeline.reconcile import reconcile
from genrify_tagger.store import Store
from genrify_tagger.workers import Workers, workers_for

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Session:
    """What all steps share; thread-safe.

    Attributes
    ----------
    settings : Settings
        The effective settings.
    store : Store
        The open database.
    workers : Workers
        The analysis processes (none is started before the first file).
    stop : threading.Event
        Set to end the session: no new write begins.
    """

    settings: Settings
    store: Store
    workers: Workers
    stop: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def moves(self) -> MoveTracker:
        """Finds songs that have moved."""
        return MoveTracker(self.store)

    @cached_property
    def claims(self) -> FileClaims:
        """The files that this process works on."""
        return FileClaims(self.store)

    @cached_property
    def sidecar(self) -> Sidecar:
        """The model's description."""
        return load_sidecar(self.settings.analysis.model or None)

    @cached_property
    def words(self) -> GenreWords:
        """How genres are written."""
        return GenreWords(self.settings, self.sidecar)

    @cached_property
    def model_tree(self) -> ModelTree:
        """The model's genre tree, whatever vocabulary decides."""
        return ModelTree(self.sidecar)

    @cached_property
    def active(self) -> ActiveVocabulary:
        """The vocabulary that decides."""
        stored = chosen_vocabulary(self.settings, self.sidecar, self.store)
        return ActiveVocabulary(self.settings, self.words, self.model_tree, self.front_end, stored)

    def follow_vocabulary(self) -> None:
        """Decide by the vocabulary that is in use now: `learn` may have run while this session was open."""
        if chosen_vocabulary(self.settings, self.sidecar, self.store) != self.active.stored:
            self.__dict__.pop("active", None)

    @cached_property
    def front_end(self) -> str:
        """The key under which analyses are stored: a digest of the front-end parameters, and the number of segments."""
        parameters = json.dumps(dict(self.sidecar.front_end), sort_keys=True)
        digest = hashlib.blake2b(parameters.encode(), digest_size=4).hexdigest()
        return f"{digest}-s{self.settings.analysis.segments}"


@contextmanager
def open_session(
    settings: Settings,
    *,
    files: int | None = None,
    workers: Workers | None = None,
    create: bool = True,
    needs_model: bool = True,
) -> Iterator[Session]:
    """Open a session, resolve what an earlier run left unfinished, and close everything at the end.

    Parameters
    ----------
    settings : Settings
        The effective settings.
    files : int or None
        Maximum number of files, if known: no more processes than that are started.
    workers : Workers or None
        The analysis processes, if the caller has them already; they are closed at the end.
    create : bool
        Whether to create the database if it does not exist; otherwise that is an error.
    needs_model : bool
        Whether to check the model, and the settings that go with it, before anything else.

    Raises
    ------
    ConfigError, ModelError, StoreError
        If settings, model or database cannot be used.
    """
    if needs_model:
        for label, hint in unknown_names(settings, load_sidecar(settings.analysis.model or None)).items():
            log.warning("tagging.names: the model has no label %s; %s", label, hint)
    with stores.open_store(settings.database.url, create=create) as store:
        reconcile(store)
        with workers or workers_for(settings.analysis, files=files) as opened:
            session = Session(settings, store, opened)
            if needs_model:
                _ = session.active.vocabulary, session.active.tree_head, session.words.files
            with closing(session.claims):
                yield session
