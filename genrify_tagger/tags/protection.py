"""Recognise protected (encrypted) audio by the header of a file, before anything is decoded.

References
----------
ISO/IEC 14496-12, "Support for protected streams"; Microsoft: Advanced Systems Format (ASF) Specification.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from genrify_tagger.errors import NotTaggableError
from genrify_tagger.tags.mp4_atoms import Atom, first_of, inside
from genrify_tagger.tags.patched_file import PatchedFile

# Sample entries of encrypted audio and video: common encryption, FairPlay, Audible.
_ENTRIES = {b"enca", b"encv", b"encm", b"drms", b"drmi", b"p608", b"aavd"}
_MAX_ENTRIES = 100
_ASF_OBJECTS = {
    uuid.UUID("2211B3FB-BD23-11D2-B4B7-00A0C955FC6E").bytes_le,  # content encryption
    uuid.UUID("298AE614-2622-4C17-B935-DAE07EE9289C").bytes_le,  # extended content encryption
    uuid.UUID("43058533-6981-49E6-9B74-AD12CB86D58C").bytes_le,  # advanced content encryption
}
_ASF_STREAM = uuid.UUID("B7DC0791-A9B7-11CF-8EE6-00C00C205365").bytes_le
_ASF_ENCRYPTED = 1 << 15
AUDIBLE = b"\x57\x90\x75\x36"


def protected(kind: str) -> NotTaggableError:
    """Return the error for a protected file."""
    return NotTaggableError(f"protected: its audio is encrypted ({kind})")


def check_mp4(view: PatchedFile, moov: Atom) -> None:
    """Refuse an MP4 file with an encrypted track.

    Raises
    ------
    NotTaggableError
        If there is one.
    """
    for trak in (atom for atom in inside(view, moov) if atom.name == b"trak"):
        stsd = _descend(view, trak, (b"mdia", b"minf", b"stbl", b"stsd"))
        if stsd is not None and _is_encrypted(view, stsd):
            raise protected("MP4 with DRM")


def _descend(view: PatchedFile, atom: Atom | None, names: Sequence[bytes]) -> Atom | None:
    for name in names:
        atom = first_of(inside(view, atom), name) if atom is not None else None
    return atom


def _is_encrypted(view: PatchedFile, stsd: Atom) -> bool:
    at = stsd.body + 8
    for _ in range(_MAX_ENTRIES):
        head = view.at(at, 8)
        size = int.from_bytes(head[:4], "big")
        if at + 8 > stsd.end or size < 8:
            return False
        # The protection scheme is in "sinf" within the entry, wherever the entry's own fields end.
        if head[4:8] in _ENTRIES or b"sinf" in view.at(at, min(size, 1 << 16)):
            return True
        at += size
    return False


def check_asf(objects: Sequence[bytes]) -> None:
    """Refuse an ASF file whose header has an object of encryption or an encrypted stream.

    Raises
    ------
    NotTaggableError
        If there is one.
    """
    for each in objects:
        encrypted = each[:16] == _ASF_STREAM and int.from_bytes(each[72:74], "little") & _ASF_ENCRYPTED
        if encrypted or each[:16] in _ASF_OBJECTS:
            raise protected("Windows Media with DRM")
