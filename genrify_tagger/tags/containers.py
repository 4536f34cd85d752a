"""Detect the container of a file by its bytes, and open its genre field with the container's module."""

from __future__ import annotations

import os
from collections.abc import Callable

from genrify_tagger.errors import NotTaggableError, TagReadError
from genrify_tagger.tags import asf
from genrify_tagger.tags.dsf import open_dsf
from genrify_tagger.tags.flac import open_flac
from genrify_tagger.tags.foreign_formats import foreign_format
from genrify_tagger.tags.model import TagState, check_bytes
from genrify_tagger.tags.mp4 import open_mp4
from genrify_tagger.tags.mpeg_frames import has_frame, is_frame
from genrify_tagger.tags.ogg import open_ogg
from genrify_tagger.tags.outer_tags import with_outer_tags
from genrify_tagger.tags.patched_file import PatchedFile
from genrify_tagger.tags.protection import AUDIBLE, protected
from genrify_tagger.tags.riff_iff import open_aiff, open_wav
from genrify_tagger.tags.tagged_stream import front_tags, open_stream

_APE_FIRST = {
    b"MAC ": "ape",
    b"MP+": "musepack",
    b"MPCK": "musepack",
    b"wvpk": "wavpack",
    b"OFR ": "optimfrog",
    b"tBaK": "tak",
}
_MP4_ATOMS = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}
_MPEG_SUFFIXES = {".mp3", ".mp2", ".mp1", ".mpga"}
_SEARCH = 64 << 10


def open_state(view: PatchedFile, field: str, path: str) -> TagState:
    """Open the field of a file.

    Parameters
    ----------
    view : PatchedFile
        The file, perhaps with edits applied.
    field : str
        "genre" or a custom name, as `names.check_field` gives it.
    path : str
        Only its suffix matters, and only if the bytes are ambiguous.

    Raises
    ------
    NotTaggableError
        If the container has no place for a genre.
    TagReadError
        If it is damaged or unknown.
    """
    if not view.size:
        raise TagReadError("the file is empty")
    state = _opened(view, field, path)
    check_bytes(sum(len(piece.data) for piece in state.pieces))
    return state


def _opened(view: PatchedFile, field: str, path: str) -> TagState:
    front = front_tags(view)
    start = front[-1][1] if front else 0
    head = view.at(start, 16)
    opener = _by_magic(head, start)
    if opener is not None:
        return opener(view, field)
    if head[4:8] == AUDIBLE:
        raise protected("Audible")
    what = foreign_format(view, start)
    if what is not None:
        raise NotTaggableError(f"this is {what}, which has no place for a genre that this program can write safely")
    return _mpeg(view, field, path, start, head, tagged=bool(front))


def _by_magic(head: bytes, start: int) -> Callable[[PatchedFile, str], TagState] | None:
    return _streamed(head, start) or _boxed(head, start)


def _streamed(head: bytes, start: int) -> Callable[[PatchedFile, str], TagState] | None:
    """Return the function that opens a container that may have ID3 tags in front of it."""
    if head.startswith(b"fLaC"):
        return lambda view, field: with_outer_tags(open_flac(view, field, start))
    if head.startswith(b"OggS"):
        return lambda view, field: with_outer_tags(open_ogg(view, field, start))
    name = next((name for magic, name in _APE_FIRST.items() if head.startswith(magic)), None)
    if name is not None:
        return lambda view, field: open_stream(view, field, name, primary="ape")
    if head.startswith(b"TTA1"):
        return lambda view, field: open_stream(view, field, "tta", primary="id3")
    return None


def _boxed(head: bytes, start: int) -> Callable[[PatchedFile, str], TagState] | None:
    """Return the function that opens a container that cannot have an ID3 tag in front of it."""
    opener = _box_opener(head)
    if opener is not None and start:
        raise NotTaggableError("the file has an ID3 tag in front that does not belong there")
    return opener


def _box_opener(head: bytes) -> Callable[[PatchedFile, str], TagState] | None:
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return open_wav
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return open_aiff
    if head.startswith(b"DSD "):
        return open_dsf
    if head.startswith(asf.HEADER):
        return asf.open_asf
    return open_mp4 if head[4:8] in _MP4_ATOMS else None


def _mpeg(view: PatchedFile, field: str, path: str, start: int, head: bytes, *, tagged: bool) -> TagState:
    if head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xF6 == 0xF0:
        raise NotTaggableError("raw AAC files have no place for a genre that this program can write safely")
    suffix = os.path.splitext(path)[1].lower()
    if is_frame(head) or ((tagged or suffix in _MPEG_SUFFIXES) and has_frame(view.at(start, _SEARCH))):
        return open_stream(view, field, "mp3", primary="id3")
    if suffix in _MPEG_SUFFIXES:
        raise TagReadError("there is no MPEG audio in the file")
    raise TagReadError("this is not a known kind of audio file")
