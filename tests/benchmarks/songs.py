"""Songs to measure with: four minutes long, every one with audio of its own, cut from freely licensed clips."""

from __future__ import annotations

from pathlib import Path

from tests import media

SECONDS = 240
CONTAINERS = ("mp3-v2.3", "flac", "m4a-aac", "m4a-alac", "ogg-vorbis", "opus", "wav", "aiff", "wma", "wavpack")


def master(folder: Path, seconds: float = SECONDS) -> Path:
    """Return a WAV file of two pieces of music in turn, some longer than a song, to cut songs from."""
    made = folder / "master.wav"
    if not made.exists():
        listing = folder / "master.txt"
        listing.write_text("".join(f"file '{clip}'\n" for clip in (media.JAZZ, media.CLASSICAL) * 20))
        length = str(seconds + 110)
        media.ffmpeg("-f", "concat", "-safe", "0", "-i", listing, "-ar", "44100", "-ac", "2", "-t", length, made)
    return made


def encoded(folder: Path, kind: str, seconds: float = SECONDS) -> Path:
    """Return a file of `kind` with the whole master."""
    suffix, encoder = media.ENCODERS[kind]
    made = folder / f"master-{kind}{suffix}"
    if not made.exists():
        media.ffmpeg("-i", master(folder, seconds), *encoder, made)
    return made


def library(folder: Path, kind: str, count: int, seconds: float = SECONDS) -> Path:
    """Return a folder with `count` songs of `kind`, no two with the same audio."""
    songs = folder / f"{kind}-{count}"
    if not songs.exists():
        partial = folder / f"partial-{kind}-{count}"
        partial.mkdir(exist_ok=True)
        source = encoded(folder, kind, seconds)
        for number in range(count):
            start = str(number * 100 / count)
            song = partial / f"{number:03}{source.suffix}"
            # The header of a copied part of a FLAC file states the length of the whole.
            encoder = media.ENCODERS[kind][1] if kind == "flac" else ("-c", "copy")
            media.ffmpeg("-ss", start, "-t", str(seconds), "-i", source, "-map", "0:a", *encoder, song)
        partial.rename(songs)
    return songs
