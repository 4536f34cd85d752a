"""Songs of every container and shape, each with the only two contents that it may have: the old and the new.

A write always produces the same bytes, so whenever a process is killed, a file must afterwards be byte for byte one of
the two. FFmpeg, which takes no part in writing, checks that both contain the same audio.
"""

from __future__ import annotations

import functools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import mutagen
from mutagen.id3 import ID3

from genrify_tagger import tags
from genrify_tagger.audio import audio_key
from tests import media

GENRE = "Drum and Bass"
STRANGER = 23456  # a user and group that need not exist


@dataclass(frozen=True)
class Song:
    """A file under torture: where it is, its other name (a hard link) if any, its two contents."""

    path: Path
    old: bytes
    new: bytes
    twin: Path | None = None

    def is_old(self) -> bool:
        """Whether it has the old content; False for the new one; anything else fails."""
        content = self.path.read_bytes()
        assert content in (self.old, self.new), f"{self.path} is damaged"
        return content == self.old


def clip() -> Path:
    """Three seconds of music: writes are to be many."""
    return media.clip(3)


def id3(path: Path, version: int, padding: int) -> None:
    opened = ID3(path)
    opened.save(path, v2_version=version, padding=lambda _: padding)


def id3v22(path: Path) -> None:
    """Put an ID3v2.2 tag before bare MPEG frames, by hand, as no writer of it is left."""
    text = b"\0A title"
    frame = b"TT2" + len(text).to_bytes(3, "big") + text
    path.write_bytes(b"ID3\2\0\0" + bytes([0, 0, 0, len(frame)]) + frame + path.read_bytes())


def flac_without_padding(path: Path) -> None:
    opened = mutagen.File(path)
    opened.save(padding=lambda _: 0)


def apev2(path: Path) -> None:
    opened = mutagen.apev2.APEv2()
    opened["Genre"] = "Oldies"
    opened.save(path)


SHAPES = {
    "v22": ("mp3-bare", id3v22),
    "v23-tight": ("mp3-v2.3", lambda path: id3(path, 3, 0)),
    "v23-padded": ("mp3-v2.3", lambda path: id3(path, 3, 3000)),
    "v24-tight": ("mp3-v2.4", lambda path: id3(path, 4, 0)),
    "v24-padded": ("mp3-v2.4", lambda path: id3(path, 4, 3000)),
    "with-apev2": ("mp3-v2.3", apev2),
    "flac-tight": ("flac", flac_without_padding),
}
SPECIMENS = (*(f"{kind}:{genre}" for kind in media.KINDS for genre in ("", "Oldies")), *SHAPES)


@functools.cache
def original(specimen: str) -> Path:
    """Return the file a specimen is copied from."""
    kind, _, genre = specimen.partition(":")
    if kind not in SHAPES:
        return media.master(kind, clip(), genre=genre if genre and kind != "mp3-bare" else None)
    base, shape = SHAPES[kind]
    made = media.make(base, media.own_folder() / "shapes", kind, source=clip())
    shape(made)
    return made


@functools.cache
def contents(specimen: str, genre: str = GENRE) -> tuple[bytes, bytes]:
    """Return a specimen's two contents, after checking that FFmpeg finds the same audio in both."""
    old = original(specimen)
    new = Path(shutil.copy(old, media.own_folder() / f"new-{specimen.replace(':', '-')}{old.suffix}"))
    tags.apply(tags.plan_write(str(new), [genre]), audio_key=audio_key, expected_key=None)
    # FFmpeg takes the tag behind Monkey's Audio for the end of its last packet.
    audio = decoded if old.suffix == ".ape" else packets
    assert audio(old) == audio(new)
    return old.read_bytes(), new.read_bytes()


def packets(path: Path) -> bytes:
    """Return FFmpeg's own digest of a file's audio packets."""
    return media.run(
        media.need("ffmpeg"), "-v", "error", "-i", path, "-map", "0:a", "-c", "copy", "-f", "md5", "-"
    ).stdout


def decoded(path: Path) -> bytes:
    """Return FFmpeg's digest of the sound itself."""
    return media.run(media.need("ffmpeg"), "-v", "error", "-i", path, "-map", "0:a", "-f", "md5", "-").stdout


def place(specimen: str, folder: Path, *, name: str | None = None, linked: bool = False, owned: bool = False) -> Song:
    """Put a fresh copy of a specimen into `folder`; perhaps with a second name elsewhere, or another owner."""
    old, new = contents(specimen)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ((name or specimen.replace(":", "-")) + original(specimen).suffix)
    path.write_bytes(old)
    if owned:
        os.chmod(path, 0o640)
        os.chown(path, STRANGER, STRANGER)
    twin = None
    if linked:
        twin = folder.parent / f"{folder.name}-twins" / path.name
        twin.parent.mkdir(exist_ok=True)
        os.link(path, twin)
    return Song(path, old, new, twin)
