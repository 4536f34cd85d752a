"""A session: settings, store, workers and the model's description, opened and closed together."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from genrify_tagger import store as stores
from genrify_tagger import tags
from genrify_tagger.classifier import Sidecar, Vocabulary, load_sidecar
from genrify_tagger.config import AnalysisSettings, GenreSettings, Settings, declared
from genrify_tagger.decision import Decision, likeliest
from genrify_tagger.decision.evidence import coarse_columns
from genrify_tagger.errors import ConfigError
from genrify_tagger.genre_rules import GenreRules, Tree
from genrify_tagger.genre_spelling import GenreSpelling, genre_spelling, spelling
from genrify_tagger.genre_tree import TreeHead, load_tree_head
from genrify_tagger.learned_vocabulary import LearnedVocabulary, learned_vocabulary
from genrify_tagger.pipeline.genre_files import GenreFiles, read_genre_files, shipped_tree
from genrify_tagger.pipeline.label_names import unknown_names, written_names
from genrify_tagger.pipeline.moves import MoveTracker
from genrify_tagger.pipeline.reconcile import reconcile
from genrify_tagger.store import Store, StoredVocabulary
from genrify_tagger.system_limits import available_processors
from genrify_tagger.worker_main import Limits
from genrify_tagger.workers import Workers

log = logging.getLogger(__name__)

# what a session keeps that another vocabulary changes
_BY_VOCABULARY = (
    *("_stored_vocabulary", "learned", "learned_columns", "vocabulary", "sound_vocabulary", "tree_head", "_tree_paths"),
    *("settings_key", "former_settings_keys"),
)

_FORMER_DEFAULT = "gtzan"  # of analysis.vocabulary, before model 2.0


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
    sidecar : Sidecar
        The model's description.
    stop : threading.Event
        Set to end the session: no new write begins.
    """

    settings: Settings
    store: Store
    workers: Workers
    sidecar: Sidecar
    stop: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def moves(self) -> MoveTracker:
        """Finds songs that have moved."""
        return MoveTracker(self.store)

    @cached_property
    def learned(self) -> LearnedVocabulary | None:
        """The learned vocabulary that decides; None if there is none, or another one is asked for."""
        stored = self._stored_vocabulary
        if stored is None:
            return None
        learned = learned_vocabulary(stored.content)
        if (learned.model, learned.front_end) == (self.learning_model, self.front_end):
            return learned
        log.warning(
            "vocabulary %s fits another model's analyses; scan, then `genrify-tag learn` renews it", stored.name
        )
        return None

    @cached_property
    def _stored_vocabulary(self) -> StoredVocabulary | None:
        wanted = self.settings.analysis.vocabulary
        if self.settings.tagging.evidence == "sound":
            return None
        if wanted == AnalysisSettings().vocabulary:
            return self.store.vocabulary_in_use()
        if wanted in self.sidecar.vocabularies:
            return None
        return next((known for known in self.store.vocabularies() if known.name == wanted), None)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The labels to decide by: those learned from the library, if there are any, or the model's."""
        if self.learned is None or self._stored_vocabulary is None:
            return self.sound_vocabulary
        names = {genre: genre for genre in self.learned.genres}
        return replace(
            self.sound_vocabulary,
            name=self._stored_vocabulary.name,
            labels=self.learned.genres,
            names=names,
            min_confidence=float(self.learned.thresholds[0]),
            tree=None,
        )

    def follow_vocabulary(self) -> None:
        """Decide by the vocabulary that is in use now: `learn` may have run while this session was open."""
        for name in _BY_VOCABULARY:
            self.__dict__.pop(name, None)

    @cached_property
    def sound_vocabulary(self) -> Vocabulary:
        """The vocabulary of the model that the settings name; a model with a single one needs no setting."""
        wanted, vocabularies = self.settings.analysis.vocabulary, self.sidecar.vocabularies
        if self._stored_vocabulary is not None and wanted not in vocabularies:
            wanted = AnalysisSettings().vocabulary
        if wanted == AnalysisSettings().vocabulary and len(vocabularies) == 1:
            return next(iter(vocabularies.values()))
        if wanted not in vocabularies:
            known = ", ".join(sorted(vocabularies))
            hint = None if self.settings.analysis.model else "analysis.model or --model chooses another model"
            raise ConfigError(f"analysis.vocabulary is {wanted!r}; the model has: {known}", hint=hint)
        return vocabularies[wanted]

    @cached_property
    def tree_head(self) -> TreeHead | None:
        """The head of the genre tree, if the vocabulary is one."""
        return self.leaf_head if self.sound_vocabulary is self.tree_vocabulary else _tree_head(self.sound_vocabulary)

    @cached_property
    def tree_vocabulary(self) -> Vocabulary | None:
        """The model's genre tree, whatever vocabulary is chosen; None if it has none."""
        return next((known for known in self.sidecar.vocabularies.values() if known.tree is not None), None)

    @cached_property
    def leaf_head(self) -> TreeHead | None:
        """The head of the model's genre tree, from which learning starts."""
        return None if self.tree_vocabulary is None else _tree_head(self.tree_vocabulary)

    @cached_property
    def learned_columns(self) -> dict[str, int]:
        """The column of each learned genre, by what is the same for all words for it."""
        words = {} if self.learned is None else self.learned.words()
        genres = () if self.learned is None else self.learned.genres
        return {self.genre_spelling.key(word): genres.index(genre) for word, genre in words.items()}

    @cached_property
    def learning_model(self) -> str:
        """What a learned vocabulary depends on: the analyses' model and the head of its genre tree; "" without one."""
        vocabulary = self.tree_vocabulary
        files = None if vocabulary is None else vocabulary.tree
        return "" if files is None else f"{self.sidecar.analyses} {files.head_sha256[:12]}"

    @cached_property
    def coarse_columns(self) -> npt.NDArray[np.int64]:
        """Which features the coarse head of a learned vocabulary is fed."""
        assert self.leaf_head is not None
        return coarse_columns(self.sidecar.embedding_size, len(self.sidecar.tags), len(self.leaf_head.leaves))

    @cached_property
    def _tree_paths(self) -> dict[str, tuple[str, ...]]:
        """The written names from the top genre to each label of a tree."""
        found = self.tree_head.paths if self.tree_head else {}
        labels = {path[-1]: label for label, path in found.items()}
        return {
            label: tuple(self.written_name(labels[name]) if name in labels else name.title() for name in path)
            for label, path in found.items()
        }

    def tree_path(self, label: str | None) -> tuple[str, ...]:
        """Return the written names from the top genre to a label; none without a tree or a label."""
        if self.learned is not None and label is not None:
            above = self.genre_tree.get(spelling(label), ())[:-1]
            return (*(name.title() if name.islower() else name for name in above), label)
        return self._tree_paths.get(label or "", ())

    def written_path(self, label: str) -> str:
        """Return a label's written name, below the top genre if it is a child in the tree: "Rock > Metal"."""
        top = self.tree_head.parents.get(label) if self.tree_head else None
        return f"{self.written_name(top)} > {self.written_name(label)}" if top else self.written_name(label)

    def named_nodes(self, decision: Decision) -> tuple[tuple[str, float], ...]:
        """Return the likeliest nodes of the tree by their written names, with the confidence in each."""
        return tuple((self.written_name(label), confidence) for label, confidence in decision.nodes)

    def label_of(self, name: str) -> str | None:
        """Return the label of the vocabulary that is written as `name`."""
        return next((label for label in self.vocabulary.labels if self.written_name(label) == name), None)

    @cached_property
    def front_end(self) -> str:
        """The key under which analyses are stored: a digest of the front-end parameters, and the number of segments."""
        parameters = json.dumps(dict(self.sidecar.front_end), sort_keys=True)
        digest = hashlib.blake2b(parameters.encode(), digest_size=4).hexdigest()
        return f"{digest}-s{self.settings.analysis.segments}"

    @cached_property
    def settings_key(self) -> str:
        """A digest of all settings that may change a file's outcome."""
        # A model's only vocabulary goes by the name that was the default before the tree, as it always has.
        return self._settings_key(self.vocabulary.name if len(self.sidecar.vocabularies) > 1 else _FORMER_DEFAULT)

    @cached_property
    def former_settings_keys(self) -> frozenset[str]:
        """The digests of the same settings with the vocabularies in whose place the tree has come."""
        former = (*declared()["analysis.vocabulary"].former, _FORMER_DEFAULT) if self.vocabulary.tree else ()
        return frozenset(map(self._settings_key, former))

    def _settings_key(self, vocabulary: str) -> str:
        analysis, tagging, library = self.settings.analysis, self.settings.tagging, self.settings.library
        values: list[tuple[object, ...]] = [
            (analysis.segments, vocabulary, analysis.existing, library.max_minutes),
            (tagging.existing, list(tagging.treat_as_missing), tagging.min_confidence, tagging.max_genres),
            (tagging.changed, tagging.field, list(tagging.protected), sorted(tagging.names.items())),
            (tagging.hardlinks, tagging.ownership, tagging.keep_mtime),
        ]
        if tagging.incomplete:  # only then: the default must not make every stored outcome look outdated
            values.append((tagging.incomplete,))
        if tagging.tree_level != "leaf":
            values.append((tagging.tree_level,))
        if tagging.scope != "song":
            values.append((tagging.scope,))
        if self.learned is not None:
            values.append(("learned", self.learned.id))
        if self.settings.genres != GenreSettings():
            genres = self.settings.genres
            values.append((sorted(genres.aliases.items()), sorted(self.genre_files.whitelist)))
            values.append((sorted(self.genre_files.tree.items()),))
        return hashlib.blake2b(json.dumps(values).encode(), digest_size=8).hexdigest()

    @cached_property
    def genre_files(self) -> GenreFiles:
        """The user's whitelist and genre tree."""
        return read_genre_files(self.settings.genres)

    @cached_property
    def genre_tree(self) -> Tree:
        """The user's genre tree, or the shipped one."""
        return self.genre_files.tree or shipped_tree()

    @cached_property
    def genre_spelling(self) -> GenreSpelling:
        """Which words mean the same genre, by the settings and the names that the program writes."""
        genres, files = self.settings.genres, self.genre_files
        return genre_spelling(
            {**tags.id3_numbers(), **genres.aliases},
            known=[self.written_name(label) for label in self.sidecar.labels()],
            ignored=(*genres.ignore, *self.settings.tagging.treat_as_missing),
            own=files.whitelist | set(files.tree),
        )

    def names_to_write(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Return the names to write for labels, best first: those on the whitelist, or the nearest wider ones."""
        files = self.genre_files
        if not files.whitelist:
            return tuple(self.written_name(label) for label in labels)
        rules = GenreRules(
            written={label: self.written_name(label) for label in labels},
            chosen=self.settings.tagging.names,
            count=len(labels),
            whitelist=files.whitelist,
            tree=files.tree,
            canonical=True,
        )
        return rules(labels, ())

    @cached_property
    def _names(self) -> dict[str, str]:
        return written_names(self.settings, self.sidecar)

    def written_name(self, label: str) -> str:
        """Return the name to write for a label (see `written_names`); a label of another model is its own name."""
        return self._names.get(label, label)

    def guess(self, scores: Mapping[str, float], confidence: float | None) -> str | None:
        """Return the written name of the likeliest label, sure or not; None without an analysis."""
        label = likeliest(scores, confidence)
        return self.written_name(label) if label else None


@contextmanager
def open_session(settings: Settings, *, files: int | None = None, create: bool = True) -> Iterator[Session]:
    """Open a session, resolve what an earlier run left unfinished, and close everything at the end.

    Parameters
    ----------
    settings : Settings
        The effective settings.
    files : int or None
        Maximum number of files, if known: no more processes than that are started.
    create : bool
        Whether to create the database if it does not exist; otherwise that is an error.

    Raises
    ------
    ConfigError, ModelError, StoreError
        If settings, model or database cannot be used.
    """
    sidecar = load_sidecar(settings.analysis.model or None)
    for label, hint in unknown_names(settings, sidecar).items():
        log.warning("tagging.names: the model has no label %s; %s", label, hint)
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
            _ = session.tree_head, session.genre_files, session.vocabulary
            yield session


def _tree_head(vocabulary: Vocabulary) -> TreeHead | None:
    files = vocabulary.tree
    return None if files is None else load_tree_head(**files.files(), names=vocabulary.names)


def _jobs(wanted: int, files: int | None) -> int:
    jobs = wanted or available_processors()
    return jobs if files is None else min(jobs, max(files, 1))
