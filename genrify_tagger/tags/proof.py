"""Prove that a new file says what was planned, and that nothing else in it changed, before it takes its place.

The new file is read twice: by this package's own code, and by mutagen, which shares none of it. This happens in the
program's own process, so mutagen is kept from whatever costs more than looking: it cuts ID3 tags at their frames, but
does not read into them, where a megabyte can unfold to gigabytes and chapters can nest without end.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

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

from genrify_tagger.errors import WriteRefusedError
from genrify_tagger.tags.containers import open_state
from genrify_tagger.tags.model import GENRE, Plan, State, same_pieces
from genrify_tagger.tags.planning import check_outcome, snapshot, with_open
from genrify_tagger.tags.view import View


class _Closed(dict[str, Any]):
    """The frames mutagen knows, of which it gets none: it then keeps their bytes as they are."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)


_RAW: dict[str, Any] = {"translate": False, "known_frames": _Closed(Frames)}


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


def prove(plan: Plan, path: str) -> None:
    """Hold a finished file against the plan and the original.

    Parameters
    ----------
    plan : Plan
        What was planned.
    path : str
        The new file.

    Raises
    ------
    WriteRefusedError
        If anything differs that should not.
    """
    with_open(path, lambda new: with_open(plan.target, lambda old: _prove_own(plan, View(old), View(new))))
    former = _mutagen_view(plan, plan.target)
    if former == _mutagen_view(plan, path):
        return
    if isinstance(former, str):
        # The new file could be read, but putting the damage back could not be proven.
        raise WriteRefusedError("the tags are damaged where the genre is, so a change could not be taken back safely")
    raise WriteRefusedError("writing the genre would change other tags of the file (as mutagen reads them)")


def _prove_own(plan: Plan, old: View, new: View) -> None:
    before, after = _state(old, plan), _state(new, plan)
    check_outcome(before, after, plan.after.genres)
    if not same_pieces(snapshot(after, plan.field).raw, plan.after.raw):
        raise WriteRefusedError("the genre read back is not the one that was written")


def _state(view: View, plan: Plan) -> State:
    return open_state(view, plan.field, plan.target)


def _mutagen_view(plan: Plan, path: str) -> Any:
    """Return all fields but the genre as mutagen reads them, or the kind of error it ends with."""
    reader = _READERS.get(plan.before.container, APEv2)
    try:
        with open(path, "rb") as file:
            opened = reader(file)
    except mutagen.id3.ID3NoHeaderError:
        return []
    except mutagen.apev2.APENoHeaderError:
        return []
    except _BROKEN as error:
        return type(error).__name__
    tags = getattr(opened, "tags", opened) if not isinstance(opened, ID3 | APEv2) else opened
    if isinstance(tags, ID3):
        return sorted(_digest(frame) for frame in tags.unknown_frames if not _is_id3_field(tags, frame, plan.field))
    return [] if tags is None else sorted(_fields(tags, plan.field))


def _is_id3_field(tags: Any, frame: bytes, field: str) -> bool:
    length = 3 if tags.version[1] == 2 else 4
    if field == GENRE:
        return frame[:length] in (b"TCO", b"TCON")
    described = (field.encode("ascii"), field.encode("utf-16-le"))
    return frame[:3] == b"TXX" and any(name.lower() in frame.lower() for name in described)


def _fields(tags: Any, field: str) -> list[tuple[str, bytes]]:
    pairs = tags if isinstance(tags, list) else tags.items()
    return [(key, _digest(value)) for key, value in pairs if not _is_field(key, field)]


def _is_field(key: str, field: str) -> bool:
    if field == GENRE:
        return key in _GENRE_KEYS or key.lower() in _GENRE_KEYS
    # "GENRIFY", "TXXX:GENRIFY", "----:com.apple.iTunes:GENRIFY"
    return key.rpartition(":")[2].casefold() == field.casefold()


def _digest(value: Any) -> bytes:
    """Return a short stand-in for a value, which may hold a picture of many megabytes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in value if isinstance(value, list) else [value]:
        # What APEv2 and ASF wrap stands in `value`, beside language and stream; MP4 adds the kind to the bytes.
        raw = getattr(part, "value", part)
        more = sorted((name, repr(each)) for name, each in getattr(part, "__dict__", {}).items() if name != "value")
        digest.update(f"{type(part).__name__} {more} ".encode())
        if isinstance(raw, str):
            raw = raw.encode("utf-8", "surrogatepass")
        digest.update(raw if isinstance(raw, bytes) else repr(raw).encode())
    return digest.digest()
