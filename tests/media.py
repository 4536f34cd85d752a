"""Real audio for the tests: every container, encoded from freely licensed clips with FFmpeg and Debian's encoders."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import mutagen.apev2
import pytest

from tests import monkey

DATA = Path(__file__).parent / "data"
JAZZ = DATA / "vibe_ace_15s.ogg"
CLASSICAL = DATA / "hungarian_dance_12s.ogg"

# kind -> (suffix, encoder arguments of FFmpeg); "musepack" and "ape" have ways of their own below.
ENCODERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mp3-v2.3": (".mp3", ("-c:a", "libmp3lame", "-b:a", "128k", "-id3v2_version", "3")),
    "mp3-v2.4": (".mp3", ("-c:a", "libmp3lame", "-b:a", "128k", "-id3v2_version", "4")),
    "mp3-vbr": (".mp3", ("-c:a", "libmp3lame", "-q:a", "4", "-id3v2_version", "3", "-write_id3v1", "1")),
    "mp3-bare": (".mp3", ("-c:a", "libmp3lame", "-b:a", "128k", "-id3v2_version", "0", "-write_xing", "0")),
    "flac": (".flac", ("-c:a", "flac")),
    "wav": (".wav", ("-c:a", "pcm_s16le")),
    "aiff": (".aiff", ("-c:a", "pcm_s16be", "-write_id3v2", "1")),
    "m4a-aac": (".m4a", ("-c:a", "aac", "-b:a", "128k")),
    "m4a-alac": (".m4a", ("-c:a", "alac")),
    "ogg-vorbis": (".ogg", ("-c:a", "libvorbis", "-q:a", "3")),
    "ogg-flac": (".oga", ("-c:a", "flac", "-f", "ogg")),
    "ogg-speex": (".spx", ("-c:a", "libspeex", "-ar", "16000", "-ac", "1")),
    "opus": (".opus", ("-c:a", "libopus", "-b:a", "96k")),
    "wma": (".wma", ("-c:a", "wmav2", "-b:a", "128k")),
    "wavpack": (".wv", ("-c:a", "wavpack")),
}
KINDS = (*ENCODERS, "musepack", "ape")


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def missing(reason: str) -> NoReturn:
    """Skip a test for want of something on a user's machine, and fail in CI."""
    if in_ci():
        pytest.fail(f"in CI, {reason}")
    pytest.skip(reason)


def need(program: str) -> str:
    """Return the path of a program a test needs; without it skip on a user's machine and fail in CI."""
    return shutil.which(program) or missing(f"{program} is not installed")


def need_module(name: str) -> ModuleType:
    """Return a Python module a test needs; without it skip on a user's machine and fail in CI."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(f"the Python module {name} is not installed")


def run(*command: str | Path) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"
    return done


def ffmpeg(*arguments: str | Path) -> None:
    run(need("ffmpeg"), "-nostdin", "-v", "error", "-y", *arguments)


TAGS = {"title": "A title", "artist": "An artist", "album": "An album", "comment": "Left alone"}


CACHE = "TEST_MEDIA_FOLDER"  # names the folder that all test processes of a run share


@contextlib.contextmanager
def shared_cache() -> Iterator[None]:
    """Let this process and those that it starts make each file once."""
    with tempfile.TemporaryDirectory(prefix="genrify-test-media-") as folder:
        os.environ[CACHE] = folder
        try:
            yield
        finally:
            del os.environ[CACHE]


@functools.cache
def _cache() -> Path:
    return Path(os.environ.get(CACHE) or own_folder())


@functools.cache
def own_folder() -> Path:
    """Return a folder of this test process, for files that it makes once."""
    folder = Path(tempfile.mkdtemp(prefix="genrify-test-", dir=os.environ.get(CACHE)))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def clip(seconds: int) -> Path:
    """Return the first seconds of JAZZ, for tests of tags, to which the sound matters little."""
    made = _cache() / f"clip-{seconds}s.flac"
    if not made.exists():
        partial = made.with_name(f"partial-{os.getpid()}-{made.name}")
        ffmpeg("-t", str(seconds), "-i", JAZZ, "-map_metadata", "-1", "-c:a", "flac", partial)
        partial.rename(made)
    return made


def master(kind: str, source: Path = JAZZ, *, genre: str | None = None) -> Path:
    """Return a cached file of `kind` (see KINDS), with TAGS and perhaps a genre; it is not to be changed."""
    suffix = {"musepack": ".mpc", "ape": ".ape"}.get(kind) or ENCODERS[kind][0]
    made = _cache() / f"{kind}-{source.stem}-{genre or 'none'}{suffix}"
    if not made.exists():
        partial = made.with_name(f"partial-{os.getpid()}-{made.name}")
        tags = {**TAGS, **({"genre": genre} if genre else {})}
        metadata = [part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")]
        if kind == "musepack":
            wav = partial.with_suffix(".wav")
            ffmpeg("-i", source, "-c:a", "pcm_s16le", wav)
            run(need("mpcenc"), "--silent", *_mpc_tags(tags), wav, partial)
            wav.unlink()
        elif kind == "ape":
            _encode_ape(source, partial, tags)
        else:
            ffmpeg("-i", source, "-map", "0:a", "-map_metadata", "-1", *metadata, *ENCODERS[kind][1], partial)
        partial.rename(made)
    return made


def _encode_ape(source: Path, target: Path, tags: dict[str, str]) -> None:
    raw = target.with_suffix(".raw")
    ffmpeg("-i", source, "-ac", "1", "-ar", "16000", "-f", "s16le", raw)
    target.write_bytes(monkey.encode(memoryview(raw.read_bytes()).cast("h").tolist(), 16000))
    raw.unlink()
    apev2 = mutagen.apev2.APEv2()
    apev2.update({key.capitalize(): value for key, value in tags.items()})
    apev2.save(target)


def _mpc_tags(tags: dict[str, str]) -> list[str]:
    return [part for key, value in tags.items() for part in ("--tag", f"{key.capitalize()}={value}")]


def make(kind: str, folder: Path, name: str = "song", *, source: Path = JAZZ, genre: str | None = None) -> Path:
    """Copy a fresh file of `kind` into `folder`."""
    original = master(kind, source, genre=genre)
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(original, folder / (name + original.suffix)))
