"""FLAC and Ogg files with ID3 or APEv2 tags around them: the genre goes where players read the other fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from genrify_tagger.tags import vorbis
from genrify_tagger.tags.flac import Flac
from genrify_tagger.tags.model import Edit, Piece
from genrify_tagger.tags.ogg import Ogg
from genrify_tagger.tags.shadowing import CandidateTag, choose_tags, keyed_content
from genrify_tagger.tags.tagged_stream import TaggedStream, open_stream


@dataclass(frozen=True)
class CommentWithOuterTags:
    """The genre field of a file with a Vorbis comment and other tags around it."""

    native: Flac | Ogg
    outer: TaggedStream

    @property
    def container(self) -> str:
        """Short name of the container."""
        return self.native.container

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The field's comments, and its pieces in the outer tags."""
        return (*self.native.pieces, *self.outer.pieces)

    @property
    def values_by_place(self) -> tuple[tuple[str, ...], ...]:
        """The genres in the comments, then those in the outer tags; ID3v1 counts only if there is no other."""
        native = self.native.values_by_place
        if any(native) and (
            self._is_alone or not any(located.pieces(self.native.field) for located in self.outer.tags)
        ):
            return native
        return (*native, *self.outer.values_by_place)

    @property
    def _candidate(self) -> CandidateTag:
        field = self.native.field
        keys = [entry.partition(b"=")[0].decode("latin-1") for entry in vorbis.others(self.native.comment, field)]
        return CandidateTag(vorbis.PLACE, keyed_content("vorbis", keys), bool(self.native.pieces), is_usual=True)

    @property
    def _is_alone(self) -> bool:
        """Whether players show nothing of the outer tags: with FLAC, if the comment has something to show."""
        return self.native.container == "flac" and self._candidate.content.is_shown

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return the comments, unless they would hide another tag, and the pieces of the outer tags to write."""
        if genres and self._is_alone:
            return (*self.native.compose(genres), *self.outer.pieces)
        chosen = choose_tags([self._candidate, *self.outer.candidates])
        native = self.native.compose(genres) if vorbis.PLACE in chosen else ()
        return (*native, *self.outer.compose_in(chosen, genres))

    def splice(self, pieces: Sequence[Piece]) -> list[Edit]:
        """Return the edits of the comment and of the other tags."""
        native = [piece for piece in pieces if piece.place == vorbis.PLACE]
        outer = [piece for piece in pieces if piece.place != vorbis.PLACE]
        return [*self.native.splice(native), *self.outer.splice(outer)]

    def others(self) -> list[bytes]:
        """Return what is near the field in all of them."""
        return [*self.native.others(), *self.outer.others()]


def with_outer_tags(native: Flac | Ogg) -> Flac | Ogg | CommentWithOuterTags:
    """Return the field of a FLAC or Ogg file together with the tags around it, if there are any."""
    outer = open_stream(native.view, native.field, native.container, primary="none")
    if not outer.tags and outer.v1 is None:
        return native
    return CommentWithOuterTags(native, outer)
