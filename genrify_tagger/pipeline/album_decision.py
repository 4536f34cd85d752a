"""The decision on an album as a whole, which takes the place of those on its songs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from genrify_tagger.decision import Decision
from genrify_tagger.pipeline.analyse_file import AnalysedFile


@dataclass(frozen=True, eq=False)
class AlbumDecision:
    """A genre for all songs of an album.

    Attributes
    ----------
    decision : Decision
        Sure enough to be written.
    likeliest : sequence of mapping
        The likeliest genres with their scores.
    songs : int
        How many songs it was made from.
    """

    decision: Decision
    likeliest: Sequence[Mapping[str, Any]]
    songs: int

    @property
    def reason(self) -> str:
        """Why a song of the album has its genre."""
        return f"the genre of its album, by {self.songs} songs"

    def instead_of(self, analysed: AnalysedFile) -> AnalysedFile:
        """Return a song's analysis with this decision instead of that on the song."""
        evidence = {**analysed.evidence, "whole_album": self.likeliest}
        return replace(analysed, decision=self.decision, evidence=evidence)
