"""Helpers of the tag tests: write, read with other programs, undo."""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import mediafile
import pytest

from genrify_tagger import tags
from genrify_tagger.audio import audio_key
from tests.media import need, need_module, run


def write(path: Path, *genres: str, **options: object) -> tags.WritePlan:
    plan = tags.plan_write(str(path), genres, field=str(options.pop("field", "genre")))
    tags.apply(plan, audio_key=audio_key, expected_key=None, **options)  # type: ignore[arg-type]
    return plan


def undo(path: Path, plan: tags.WritePlan) -> tags.WritePlan:
    back = tags.plan_restore(str(path), plan.before.raw, field=plan.field, expected=plan.after.raw)
    tags.apply(back, audio_key=audio_key, expected_key=None)
    return back


def genres(path: Path, field: str = "genre") -> tuple[str, ...]:
    return tags.read(str(path), field=field).genres


def check_round_trip(path: Path, names: Sequence[str]) -> tags.WritePlan:
    """Write, read back, undo to the byte, redo to the byte; leave the file written."""
    original = path.read_bytes()
    plan = write(path, *names)
    assert genres(path) == tuple(names)
    assert tags.same_genre(tags.read(str(path)).raw, plan.after.raw)
    assert not tags.plan_write(str(path), names).changes
    written = path.read_bytes()
    back = undo(path, plan)
    assert path.read_bytes() == original
    undo(path, back)
    assert path.read_bytes() == written
    assert sorted(path.parent.glob(".*")) == []
    return plan


def ffprobe_tags(path: Path, *, readable: bool = True) -> dict[str, str]:
    command = (need("ffprobe"), "-v", "error", "-show_format", "-show_streams", "-of", "json", path)
    shown = run(*command) if readable else subprocess.run(command, capture_output=True, check=False)
    data = {"format": {}, "streams": [], **json.loads(shown.stdout)}
    found: dict[str, str] = {}
    for part in (data["format"], *data["streams"]):
        found |= {key.lower(): value for key, value in part.get("tags", {}).items()}
    return found


_BATCH = 20


def ffmpeg_tags(files: Sequence[Path], work: Path) -> dict[Path, dict[str, str]]:
    """Return what FFmpeg shows of each file; many at once, since starting it costs more than reading a file."""
    found: dict[Path, dict[str, str]] = {}
    for batch in (files[at : at + _BATCH] for at in range(0, len(files), _BATCH)):
        outputs = [work / f"{number}.ffmetadata" for number in range(len(batch))]
        written = [
            part
            for number, output in enumerate(outputs)
            for part in ("-map", str(number), "-map_metadata", str(number), "-c", "copy", "-f", "ffmetadata", output)
        ]
        inputs = [part for path in batch for part in ("-i", path)]
        command = (need("ffmpeg"), "-nostdin", "-v", "error", "-y", *inputs, *written)
        if subprocess.run(command, capture_output=True, check=False).returncode:  # it cannot open one of them
            found |= {path: ffprobe_tags(path, readable=False) for path in batch}
        else:
            shown = (output.read_text("utf-8", "replace") for output in outputs)
            found |= dict(zip(batch, map(_ffmetadata, shown), strict=True))
    return found


def _ffmetadata(text: str) -> dict[str, str]:
    """Parse FFmpeg's text form of tags, in which a backslash goes before what is not meant as syntax."""
    entries = re.findall(r"^((?:[^\\\n=]|\\.)+)=((?:[^\\\n]|\\.)*)$", text, re.MULTILINE | re.DOTALL)
    return {_unescaped(key).lower(): _unescaped(value) for key, value in entries}


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def mediafile_genres(path: Path) -> list[str] | None:
    return mediafile.MediaFile(path).genres


def exiftool_genre(path: Path) -> str | None:
    done = run(need("exiftool"), "-j", "-Genre", path)
    return json.loads(done.stdout)[0].get("Genre")


@contextmanager
def mpd(folder: Path, work: Path, more: str = "") -> Iterator[Callable[[str], list[tuple[str, str]]]]:
    """Run an MPD on `folder`, and yield a function that sends it a command and returns the pairs of the answer.

    `more` are lines of its configuration.
    """
    address = work / "mpd.sock"
    config = work / "mpd.conf"
    config.write_text(
        f'music_directory "{folder}"\ndb_file "{work}/db"\nbind_to_address "{address}"\n'
        f'pid_file "{work}/pid"\nstate_file "{work}/state"\nlog_file "{work}/log"\n'
        'audio_output {\n type "null"\n name "none"\n}\n' + more
    )
    server = subprocess.Popen([need("mpd"), "--no-daemon", str(config)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not address.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        run(need("mpc"), "--host", address, "update", "--wait")
        yield functools.partial(_ask_mpd, address)
    finally:
        server.terminate()
        server.wait(timeout=20)


def _ask_mpd(address: Path, command: str) -> list[tuple[str, str]]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(os.fspath(address))
        stream = client.makefile("rw", encoding="utf-8", errors="replace")
        stream.readline()
        stream.write(command + "\n")
        stream.flush()
        pairs = []
        for line in stream:
            key, _, value = line.rstrip("\n").partition(": ")
            if key == "OK" or key.startswith("ACK"):
                return pairs
            pairs.append((key, value))
        return pairs


def mpd_tags(folder: Path, work: Path) -> dict[str, dict[str, list[str]]]:
    """Return what MPD shows of each file: key in lower case -> values; ReplayGain is among them."""
    with mpd(folder, work) as ask:
        found: dict[str, dict[str, list[str]]] = {}
        name = ""
        for key, value in ask("listallinfo"):
            if key == "file":
                name = value
                found[name] = {}
            elif name:
                found[name].setdefault(key.lower(), []).append(value)
        for name, shown in found.items():
            gains = [(key, value) for key, value in ask(f'readcomments "{name}"') if key.lower().startswith("replay")]
            shown.update({key.lower(): [value] for key, value in gains})
        return found


def taglib_tags(path: Path) -> dict[str, list[str]]:
    """Return what TagLib shows of a file; key in lower case -> values."""
    if platform.machine() != "x86_64":
        pytest.skip("there is no wheel of pytaglib for this machine")
    taglib = need_module("taglib")
    try:
        with taglib.File(os.fspath(path)) as opened:
            return {key.lower(): list(values) for key, values in opened.tags.items()}
    except OSError:
        return {}  # not a file it knows
