"""The LIST-INFO chunk of a WAV file: its entries, and the genre among them (``IGNR``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from genrify_tagger.tags import memory_budget
from genrify_tagger.tags.genre_names import split_joined
from genrify_tagger.tags.id3 import Tag, empty_tag
from genrify_tagger.tags.id3_frames import text_frame
from genrify_tagger.tags.model import GENRE, JOIN, Piece, insert_at
from genrify_tagger.tags.shadowing import TagContent, info_content

PLACE = "ignr"
# Entry -> the ID3v2.4 frame with the same meaning.
_FRAMES = {
    **{b"INAM": b"TIT2", b"IART": b"TPE1", b"IPRD": b"TALB", b"ICRD": b"TDRC", b"IPRT": b"TRCK", b"ITRK": b"TRCK"},
    **{b"IMUS": b"TCOM", b"ICMT": b"COMM", b"ICOP": b"TCOP"},
}
_NOT_CARRIED = {b"IGNR", b"ISFT", b"ITCH"}


@dataclass(frozen=True)
class InfoList:
    """The entries of one LIST-INFO chunk, pad bytes included; `name` is the place of its pieces."""

    name: str
    start: int
    end: int
    entries: tuple[bytes, ...]

    @property
    def exists(self) -> bool:
        """Whether it is in the file."""
        return self.end > self.start

    def pieces(self, field: str) -> list[Piece]:
        """Return the genre entries; no other field can be here."""
        if field != GENRE:
            return []
        return [Piece(self.name, i, entry) for i, entry in enumerate(self.entries) if entry[:4].upper() == b"IGNR"]

    def others(self, field: str) -> list[bytes]:
        """Return the other entries."""
        return [entry for entry in self.entries if field != GENRE or entry[:4].upper() != b"IGNR"]

    def content(self, field: str) -> TagContent:
        """Return the chunk's content besides the genre."""
        return info_content([entry[:4] for entry in self.others(field)])

    def compose(self, field: str, genres: Sequence[str]) -> list[Piece]:
        """Return the one entry with `genres`, at the position of the first former one."""
        if not genres or field != GENRE:
            return []
        former = self.pieces(field)
        # An entry after a damaged one, or one without its pad byte, would not be found.
        end = 0 if sum(map(len, self.entries)) % 2 else len(self.entries)
        return [Piece(self.name, former[0].at if former else end, _make_entry(genres))]

    def rebuilt(self, pieces: Sequence[Piece], field: str) -> list[bytes] | None:
        """Return the content of the chunk with `pieces` as the genre; None if that changes nothing."""
        wanted = [piece for piece in pieces if piece.place == self.name]
        if wanted == self.pieces(field):
            return None
        return [b"INFO", *insert_at(self.others(field), wanted)]


def as_id3(infos: Sequence[InfoList], version: int) -> Tag | None:
    """Return a new ID3v2.4 tag with the fields of LIST-INFO, without the genre; None if it cannot hold all of them."""
    frames: dict[bytes, bytes] = {}
    for entry in (entry for info in infos for entry in info.entries):
        name = entry[:4].upper()
        if name in _NOT_CARRIED:
            continue
        text = entry[8 : 8 + int.from_bytes(entry[4:8], "little")].split(b"\0")[0]
        if name not in _FRAMES or _FRAMES[name] in frames or not _is_utf8(text):
            return None
        frames[_FRAMES[name]] = text_frame(_FRAMES[name], text.decode("utf-8").strip())
    return replace(empty_tag(version), frames=tuple(frames.values()))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def cut_entries(body: bytes) -> tuple[bytes, ...]:
    """Split the content of LIST-INFO, after its name, into entries; a damaged end is one entry.

    Some programs leave the pad byte out; as in FFmpeg, it is not there if what follows it would not fit.
    """
    entries, at, view = [], 0, memoryview(body)
    while at < len(body):
        size = int.from_bytes(body[at + 4 : at + 8], "little")
        end = at + 8 + size
        if end > len(body):
            end = len(body)
        elif size % 2 and not (_is_entry(body, end) and not _is_entry(body, end + 1)):
            end = min(end + 1, len(body))
        entries.append(memory_budget.deduplicated(view[at:end]))
        at = end
    return tuple(entries)


def _is_entry(body: bytes, at: int) -> bool:
    name, size = body[at : at + 4], int.from_bytes(body[at + 4 : at + 8], "little")
    return len(name) == 4 and name.isalnum() and name.isascii() and at + 8 + size <= len(body)


def entry_values(entry: bytes) -> tuple[str, ...]:
    """Return the values in an entry."""
    text = entry[8 : 8 + int.from_bytes(entry[4:8], "little")].split(b"\0")[0]
    try:
        value = text.decode("utf-8").strip()
    except UnicodeDecodeError:
        value = text.decode("cp1252", "replace").strip()
    return split_joined([value])


def _make_entry(genres: Sequence[str]) -> bytes:
    text = JOIN.join(genres).encode("utf-8") + b"\0"
    return b"IGNR" + len(text).to_bytes(4, "little") + text + bytes(len(text) % 2)
