"""The vocabulary that decides: the model's, as the settings name it, or one that was learned from the library."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from genrify_tagger.classifier import Sidecar, Vocabulary
from genrify_tagger.config import AnalysisSettings, Settings, declared
from genrify_tagger.decision import Decision, likeliest
from genrify_tagger.errors import ConfigError
from genrify_tagger.genre_spelling import spelling
from genrify_tagger.genre_tree import TreeHead
from genrify_tagger.learned_vocabulary import LearnedVocabulary, learned_vocabulary
from genrify_tagger.pipeline.genre_words import GenreWords
from genrify_tagger.pipeline.model_tree import ModelTree, read_tree_head
from genrify_tagger.pipeline.settings_key import settings_key
from genrify_tagger.store import Store, StoredVocabulary

log = logging.getLogger(__name__)

_FORMER_DEFAULT = "gtzan"  # of analysis.vocabulary, before model 2.0


@dataclass(frozen=True, eq=False)
class ActiveVocabulary:
    """The labels to decide by, and all that follows from them.

    Attributes
    ----------
    settings : Settings
    words : GenreWords
    model_tree : ModelTree
    front_end : str
        The key under which analyses are stored: a learned vocabulary fits one only.
    stored : StoredVocabulary or None
        The learned vocabulary that the settings or `vocabulary use` choose.
    """

    settings: Settings
    words: GenreWords
    model_tree: ModelTree
    front_end: str
    stored: StoredVocabulary | None

    @property
    def _sidecar(self) -> Sidecar:
        return self.model_tree.sidecar

    @cached_property
    def learned(self) -> LearnedVocabulary | None:
        """The learned vocabulary that decides; None if there is none, or it is of another model."""
        if self.stored is None:
            return None
        learned = learned_vocabulary(self.stored.content)
        if (learned.model, learned.front_end) == (self.model_tree.id, self.front_end):
            return learned
        log.warning(
            "vocabulary %s is stale: it fits another model or number of segments; the shipped vocabulary decides until "
            "you scan and run `genrify-tag learn` again",
            self.stored.name,
        )
        return None

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The labels: those learned from the library, if there are any, or the model's."""
        if self.learned is None or self.stored is None:
            return self.sound
        return replace(
            self.sound,
            name=self.stored.name,
            labels=self.learned.genres,
            names={genre: genre for genre in self.learned.genres},
            min_confidence=float(self.learned.thresholds[0]),
            tree=None,
        )

    @cached_property
    def sound(self) -> Vocabulary:
        """The vocabulary of the model that the settings name; a model with a single one needs no setting.

        Raises
        ------
        ConfigError
            If the model has none of that name.
        """
        wanted, vocabularies = self.settings.analysis.vocabulary, self._sidecar.vocabularies
        if self.stored is not None and wanted not in vocabularies:
            wanted = AnalysisSettings().vocabulary
        if wanted == AnalysisSettings().vocabulary and len(vocabularies) == 1:
            return next(iter(vocabularies.values()))
        if wanted not in vocabularies:
            known = ", ".join(sorted(vocabularies))
            hint = "`genrify-tag vocabulary list` lists the learned ones"
            if not self.settings.analysis.model:
                hint += "; analysis.model or --model chooses another model"
            raise ConfigError(f"analysis.vocabulary is {wanted!r}; the model has: {known}", hint=hint)
        return vocabularies[wanted]

    @cached_property
    def tree_head(self) -> TreeHead | None:
        """The head of the genre tree, if the model's vocabulary is one."""
        return self.model_tree.head if self.sound is self.model_tree.vocabulary else read_tree_head(self.sound)

    @cached_property
    def learned_columns(self) -> dict[str, int]:
        """The column of each learned genre, by what is the same for all words for it."""
        words = {} if self.learned is None else self.learned.words()
        genres = () if self.learned is None else self.learned.genres
        return {self.words.spelling.key(word): genres.index(genre) for word, genre in words.items()}

    @cached_property
    def _tree_paths(self) -> dict[str, tuple[str, ...]]:
        """The written names from the top genre to each label of a tree."""
        found = self.tree_head.paths if self.tree_head else {}
        labels = {path[-1]: label for label, path in found.items()}
        return {
            label: tuple(self.words.written_name(labels[name]) if name in labels else name.title() for name in path)
            for label, path in found.items()
        }

    def tree_path(self, label: str | None) -> tuple[str, ...]:
        """Return the written names from the top genre to a label; none without a tree or a label."""
        if self.learned is not None and label is not None:
            above = self.words.tree.get(spelling(label), ())[:-1]
            return (*(name.title() if name.islower() else name for name in above), label)
        return self._tree_paths.get(label or "", ())

    def written_path(self, label: str) -> str:
        """Return a label's written name, below the top genre if it is a child in the tree: "Rock > Metal"."""
        name, top = self.words.written_name(label), self.tree_head.parents.get(label) if self.tree_head else None
        return f"{self.words.written_name(top)} > {name}" if top else name

    def named_nodes(self, decision: Decision) -> tuple[tuple[str, float], ...]:
        """Return the likeliest nodes of the tree by their written names, with the confidence in each."""
        return tuple((self.words.written_name(label), confidence) for label, confidence in decision.nodes)

    def label_of(self, name: str) -> str | None:
        """Return the label that is written as `name`."""
        return next((label for label in self.vocabulary.labels if self.words.written_name(label) == name), None)

    def guess(self, scores: Mapping[str, float], confidence: float | None) -> str | None:
        """Return the written name of the likeliest label, sure or not; None without an analysis."""
        label = likeliest(scores, confidence)
        return self.words.written_name(label) if label else None

    @cached_property
    def settings_key(self) -> str:
        """A digest of all settings that may change a file's outcome."""
        # A model's only vocabulary goes by the name that was the default before the tree, as it always has.
        return self._settings_key(self.vocabulary.name if len(self._sidecar.vocabularies) > 1 else _FORMER_DEFAULT)

    @cached_property
    def former_settings_keys(self) -> frozenset[str]:
        """The digests of the same settings with the vocabularies in whose place the tree has come."""
        former = (*declared()["analysis.vocabulary"].former, _FORMER_DEFAULT) if self.vocabulary.tree else ()
        return frozenset(map(self._settings_key, former))

    def _settings_key(self, vocabulary: str) -> str:
        return settings_key(self.settings, vocabulary, self.learned, self.words.files)


def chosen_vocabulary(settings: Settings, sidecar: Sidecar, store: Store) -> StoredVocabulary | None:
    """Return the learned vocabulary that the settings or `vocabulary use` choose; None if it is the model's."""
    wanted = settings.analysis.vocabulary
    if settings.tagging.evidence == "sound":
        return None
    if wanted == AnalysisSettings().vocabulary:
        return store.vocabulary_in_use()
    if wanted in sidecar.vocabularies:
        return None
    return next((known for known in store.vocabularies() if known.name == wanted), None)
