"""What taggers leave behind the audio: ID3v1, APEv2, Lyrics3 and appended ID3v2 tags, in any order."""

from __future__ import annotations

from dataclasses import dataclass

from genrify_tagger.tags import ape, id3
from genrify_tagger.tags.model import MAX_TAGS, check_count
from genrify_tagger.tags.patched_file import PatchedFile

V1_SIZE, V1_GENRE = 128, 127
_ENHANCED = 227
_LYRICS1_MAX = 5100 + 11 + 9


@dataclass(frozen=True, slots=True)
class TrailingTag:
    """A block behind the audio: ``kind`` is "v1", "v1+", "lyrics", "ape" or "id3"."""

    kind: str
    start: int
    end: int
    header: bool = False


def blocks(view: PatchedFile, front: int) -> list[TrailingTag]:
    """Find the blocks behind the audio, in file order; `front` is where the audio begins."""
    found: list[TrailingTag] = []
    end = view.size
    while (block := _last(view, front, end, after=found[0] if found else None)) is not None:
        found.insert(0, block)
        check_count(len(found), "tags behind the audio", limit=MAX_TAGS)
        end = block.start
    return found


def _last(view: PatchedFile, front: int, end: int, *, after: TrailingTag | None) -> TrailingTag | None:
    footer = view.at(end - ape.FRAME, ape.FRAME) if end - ape.FRAME >= front else b""
    before, _ = ape.extent(footer)
    if footer.startswith(ape.MAGIC) and end - ape.FRAME - before >= front:
        header = before >= ape.FRAME and view.at(end - ape.FRAME - before, 8) == ape.MAGIC
        return TrailingTag("ape", end - ape.FRAME - before, end, header=header)
    if after is None or after.kind != "v1":
        block = _v1(view, front, end)
        if block is not None:
            return block
    if after is not None and after.kind == "v1" and view.at(end - _ENHANCED, 4) == b"TAG+":
        return TrailingTag("v1+", end - _ENHANCED, end)
    return _lyrics(view, front, end) or _appended_id3(view, front, end)


def _v1(view: PatchedFile, front: int, end: int) -> TrailingTag | None:
    start = end - V1_SIZE
    # An APEv2 footer 131 bytes before the end would look like an ID3v1 tag ("APE" "TAGEX...").
    if start < front or view.at(start, 3) != b"TAG" or view.at(start - 3, 8) == ape.MAGIC:
        return None
    return TrailingTag("v1", start, end)


def _lyrics(view: PatchedFile, front: int, end: int) -> TrailingTag | None:
    mark = view.at(end - 9, 9)
    if mark == b"LYRICS200":
        digits = view.at(end - 15, 6)
        start = end - 15 - int(digits) if digits.isdigit() else -1
        if start >= front and view.at(start, 11) == b"LYRICSBEGIN":
            return TrailingTag("lyrics", start, end)
    elif mark == b"LYRICSEND":
        first = max(front, end - _LYRICS1_MAX)
        at = view.at(first, end - first).rfind(b"LYRICSBEGIN")
        if at >= 0:
            return TrailingTag("lyrics", first + at, end)
    return None


def _appended_id3(view: PatchedFile, front: int, end: int) -> TrailingTag | None:
    footer = view.at(end - id3.HEADER, id3.HEADER)
    if footer[:3] != b"3DI":
        return None
    start = end - id3.block_size(b"ID3" + footer[3:])
    if start >= front and view.at(start, 3) == b"ID3" and view.at(start, id3.HEADER)[3:] == footer[3:]:
        return TrailingTag("id3", start, end)
    return None
