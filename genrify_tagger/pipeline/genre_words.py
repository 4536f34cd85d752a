"""The words for genres: the names that are written for the model's labels, and the user's own genre files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from genrify_tagger import tags
from genrify_tagger.classifier import Sidecar
from genrify_tagger.config import Settings
from genrify_tagger.genre_rules import GenreRules, Tree
from genrify_tagger.genre_spelling import GenreSpelling, genre_spelling
from genrify_tagger.pipeline.genre_files import GenreFiles, read_genre_files, shipped_tree
from genrify_tagger.pipeline.label_names import written_names


@dataclass(frozen=True, eq=False)
class GenreWords:
    """How genres are written, by the settings and the model's description.

    Attributes
    ----------
    settings : Settings
    sidecar : Sidecar
    """

    settings: Settings
    sidecar: Sidecar

    @cached_property
    def files(self) -> GenreFiles:
        """The user's whitelist and genre tree.

        Raises
        ------
        ConfigError
            If one of the files cannot be used.
        """
        return read_genre_files(self.settings.genres)

    @cached_property
    def tree(self) -> Tree:
        """The user's genre tree, or the shipped one."""
        return self.files.tree or shipped_tree()

    @cached_property
    def spelling(self) -> GenreSpelling:
        """Which words mean the same genre, by the settings and the names that the program writes."""
        genres = self.settings.genres
        return genre_spelling(
            {**tags.id3_numbers(), **genres.aliases},
            known=[self.written_name(label) for label in self.sidecar.labels()],
            ignored=(*genres.ignore, *self.settings.tagging.treat_as_missing),
            own=self.files.whitelist | set(self.files.tree),
        )

    @cached_property
    def _names(self) -> dict[str, str]:
        return written_names(self.settings, self.sidecar)

    def written_name(self, label: str) -> str:
        """Return the name to write for a label (see `written_names`); a label of another model is its own name."""
        return self._names.get(label, label)

    def names_to_write(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Return the names to write for labels, best first: those on the whitelist, or the nearest wider ones."""
        if not self.files.whitelist:
            return tuple(self.written_name(label) for label in labels)
        rules = GenreRules(
            written={label: self.written_name(label) for label in labels},
            chosen=self.settings.tagging.names,
            count=len(labels),
            whitelist=self.files.whitelist,
            tree=self.files.tree,
            canonical=True,
        )
        return rules(labels, ())
