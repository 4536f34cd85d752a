"""Check a new file with mutagen, which shares no code with this package: it must read the same fields as before.

This may run in a worker process: mutagen holds several copies of a big tag in memory. It only splits ID3 tags into
frames and does not parse these, since a compressed megabyte can expand to gigabytes and chapters can nest without end.
Of FLAC it gets only the comments, without the pictures; in WAV and AIFF, a wrong length that players ignore is
corrected first.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, BinaryIO, Literal

import mutagen
from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2
from mutagen.asf import ASF
from mutagen.dsf import DSF
from mutagen.flac import FLAC
from mutagen.id3 import ID3, Frames
from mutagen.mp4 import MP4
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from genrify_tagger.tags.containers import open_state
from genrify_tagger.tags.flac import comments_only
from genrify_tagger.tags.model import GENRE, Edit
from genrify_tagger.tags.patched_file import PatchedFile
from genrify_tagger.tags.riff_iff import size_repair

Comparison = Literal["same", "other", "damaged"]


class _NoKnownFrames(dict[str, Any]):
    """A table of frames without entries: mutagen then keeps the bytes of every frame as they are."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)


_RAW: dict[str, Any] = {"translate": False, "load_v1": False, "known_frames": _NoKnownFrames(Frames)}


_OGG = [OggVorbis, OggOpus, OggSpeex, OggFLAC]
_READERS: Mapping[str, Callable[[BinaryIO], Any]] = {
    "mp3": functools.partial(ID3, **_RAW),
    "tta": functools.partial(ID3, **_RAW),
    "wav": functools.partial(WAVE, **_RAW),
    "aiff": functools.partial(AIFF, **_RAW),
    "dsf": functools.partial(DSF, **_RAW),
    "flac": FLAC,
    "ogg": lambda file: mutagen.File(file, options=_OGG),
    "mp4": MP4,
    "asf": ASF,
}
_GENRE_KEYS = {"TCON", "TCO", "\xa9gen", "gnre", "genre", "wm/genre"}
_BROKEN = (
    *(mutagen.MutagenError, ValueError, KeyError, IndexError, EOFError),
    *(OverflowError, AssertionError, RecursionError),
)


def compare_fields(container: str, field: str, former: str, fresh: str) -> Comparison:
    """Compare the tags of two files, except for the genre.

    Parameters
    ----------
    container : str
        From `Snapshot.container`.
    field : str
        "genre", or the name of the custom field.
    former, fresh : str
        Paths of the file before and after the change.

    Returns
    -------
    {"same", "other", "damaged"}
        "damaged" if mutagen cannot read the old file, and fails differently on the new one.
    """
    before = _fields_of(container, field, former, former)
    if before == _fields_of(container, field, fresh, former):
        return "same"
    return "damaged" if isinstance(before, str) else "other"


def _fields_of(container: str, field: str, path: str, name: str) -> Any:
    """Return all fields but the genre as mutagen reads them, or the kind of error that it raises.

    The suffix of `name` gives the kind of file; the file itself may be a temporary one.
    """
    reader = _READERS.get(container, APEv2)
    try:
        with ExitStack() as stack:
            file: BinaryIO = stack.enter_context(open(path, "rb"))
            edits = _edits_for_reading(container, PatchedFile(file))
            file.seek(0)
            if edits:
                file = _PatchedFileIO(PatchedFile(file, edits))
            opened = reader(file)
    except (mutagen.id3.ID3NoHeaderError, mutagen.apev2.APENoHeaderError):
        return _carried_fields(field, path, name)
    except _BROKEN as error:
        return type(error).__name__
    tags = getattr(opened, "tags", opened) if not isinstance(opened, ID3 | APEv2) else opened
    if isinstance(tags, ID3):
        return sorted(_digest(frame) for frame in tags.unknown_frames if not _is_id3_field(tags, frame, field))
    return _carried_fields(field, path, name) if tags is None else sorted(_fields(tags, field))


def _edits_for_reading(container: str, view: PatchedFile) -> list[Edit]:
    """Return the edits to make before mutagen reads the file: what to leave out or correct."""
    match container:
        case "flac":
            return comments_only(view)
        case "wav" | "aiff":
            return size_repair(view, "little" if container == "wav" else "big")
    return []


def _carried_fields(field: str, path: str, name: str) -> list[Any]:
    """Return the fields that a new tag repeats, because without them it would hide another tag."""
    with open(path, "rb") as file:
        carried = getattr(open_state(PatchedFile(file), field, name), "carried", b"")
    if not carried:
        return []
    if carried.startswith(b"ID3"):
        return sorted(map(_digest, _READERS["mp3"](io.BytesIO(carried)).unknown_frames))
    reader: Callable[[BinaryIO], Any] = APEv2
    return sorted(_fields(reader(io.BytesIO(carried)), field))


class _PatchedFileIO(io.BytesIO):
    """A `PatchedFile` as a file object for mutagen."""

    def __init__(self, view: PatchedFile) -> None:
        super().__init__()
        self._view = view
        self._at = 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = max(0, offset + (0, self._at, self._view.size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        data = self._view.at(self._at, self._view.size if size is None or size < 0 else size)
        self._at += len(data)
        return data


def _is_id3_field(tags: Any, frame: bytes, field: str) -> bool:
    length = 3 if tags.version[1] == 2 else 4
    if field == GENRE and frame[:length] in (b"TCO", b"TCON"):
        return True
    described = (field.encode("ascii"), field.encode("utf-16-le"))
    return frame[:3] == b"TXX" and any(name.lower() in frame.lower() for name in described)


def _fields(tags: Any, field: str) -> list[tuple[str, bytes]]:
    pairs = tags if isinstance(tags, list) else tags.items()
    return [(key, _digest(value)) for key, value in pairs if not _is_field(key, field)]


def _is_field(key: str, field: str) -> bool:
    if field == GENRE:
        return key in _GENRE_KEYS or key.lower().rpartition(":")[2] in _GENRE_KEYS
    # "GENRIFY", "TXXX:GENRIFY", "----:com.apple.iTunes:GENRIFY"
    return key.rpartition(":")[2].casefold() == field.casefold()


def _digest(value: Any) -> bytes:
    """Return a hash of a value, which may hold a picture of many megabytes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in value if isinstance(value, list) else [value]:
        # APEv2 and ASF wrap the content in `value`, beside language and stream; MP4 adds the kind to the bytes.
        raw = getattr(part, "value", part)
        more = sorted((name, repr(each)) for name, each in getattr(part, "__dict__", {}).items() if name != "value")
        digest.update(f"{type(part).__name__} {more} ".encode())
        if isinstance(raw, str):
            raw = raw.encode("utf-8", "surrogatepass")
        digest.update(raw if isinstance(raw, bytes) else repr(raw).encode())
    return digest.digest()
