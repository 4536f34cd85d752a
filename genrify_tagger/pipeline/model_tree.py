"""The model's genre tree, whatever vocabulary decides: learning starts from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from genrify_tagger.classifier import Sidecar, Vocabulary
from genrify_tagger.decision.evidence import coarse_columns
from genrify_tagger.genre_tree import TreeHead, load_tree_head


@dataclass(frozen=True, eq=False)
class ModelTree:
    """The genre tree that comes with a model; a user's own model may have none.

    Attributes
    ----------
    sidecar : Sidecar
        The model's description.
    """

    sidecar: Sidecar

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary that is a tree; None if the model has none."""
        return next((known for known in self.sidecar.vocabularies.values() if known.tree is not None), None)

    @cached_property
    def head(self) -> TreeHead | None:
        """The head that judges the tree's leaves."""
        return None if self.vocabulary is None else read_tree_head(self.vocabulary)

    @cached_property
    def id(self) -> str:
        """What a learned vocabulary depends on: the analyses' model and the head of the tree; "" without one."""
        files = None if self.vocabulary is None else self.vocabulary.tree
        return "" if files is None else f"{self.sidecar.analyses} {files.head_sha256[:12]}"

    @cached_property
    def coarse_columns(self) -> npt.NDArray[np.int64]:
        """Which features the coarse head of a learned vocabulary is fed."""
        assert self.head is not None
        return coarse_columns(self.sidecar.embedding_size, len(self.sidecar.tags), len(self.head.leaves))


def read_tree_head(vocabulary: Vocabulary) -> TreeHead | None:
    """Return the head of a vocabulary that is a tree, else None."""
    files = vocabulary.tree
    return None if files is None else load_tree_head(**files.files(), names=vocabulary.names)
