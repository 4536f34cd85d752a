"""What the tests of tags share: write, look with other programs' eyes, take back."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import mediafile

from genrify_tagger import tags
from genrify_tagger.audio import audio_key
from tests.media import need, run


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
    """Write, see it, undo to the byte, redo to the byte; leave the file written."""
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


def ffprobe_tags(path: Path) -> dict[str, str]:
    shown = run(need("ffprobe"), "-v", "error", "-show_format", "-show_streams", "-of", "json", path)
    data = json.loads(shown.stdout)
    found: dict[str, str] = {}
    for part in (data["format"], *data["streams"]):
        found |= {key.lower(): value for key, value in part.get("tags", {}).items()}
    return found


def mediafile_genres(path: Path) -> list[str] | None:
    return mediafile.MediaFile(path).genres


def exiftool_genre(path: Path) -> str | None:
    done = run(need("exiftool"), "-j", "-Genre", path)
    return json.loads(done.stdout)[0].get("Genre")


@contextmanager
def mpd_genres(folder: Path, work: Path) -> Iterator[dict[str, list[str]]]:
    """Run an MPD of our own on `folder`, and yield the genres it shows for each file name."""
    address = work / "mpd.sock"
    config = work / "mpd.conf"
    config.write_text(
        f'music_directory "{folder}"\ndb_file "{work}/db"\nbind_to_address "{address}"\n'
        f'pid_file "{work}/pid"\nstate_file "{work}/state"\nlog_file "{work}/log"\n'
        'audio_output {\n type "null"\n name "none"\n}\n'
    )
    server = subprocess.Popen([need("mpd"), "--no-daemon", str(config)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not address.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        run(need("mpc"), "--host", address, "update", "--wait")
        yield _ask_mpd(address)
    finally:
        server.terminate()
        server.wait(timeout=20)


def _ask_mpd(address: Path) -> dict[str, list[str]]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(os.fspath(address))
        stream = client.makefile("rw", encoding="utf-8")
        stream.readline()
        stream.write("listallinfo\n")
        stream.flush()
        found: dict[str, list[str]] = {}
        name = ""
        for line in stream:
            key, _, value = line.rstrip("\n").partition(": ")
            if key == "OK":
                break
            if key == "file":
                name = value
                found[name] = []
            elif key == "Genre":
                found[name].append(value)
    return found
