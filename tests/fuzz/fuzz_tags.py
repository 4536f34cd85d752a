"""Fuzz the reading and the splicing of tags, led by coverage (atheris; not a dependency of anything else).

    python -m venv fuzz && fuzz/bin/pip install atheris mutagen
    python -m tests.fuzz.seeds seeds
    PYTHONPATH=. fuzz/bin/python tests/fuzz/fuzz_tags.py read  corpus-read  seeds -max_total_time=600
    PYTHONPATH=. fuzz/bin/python tests/fuzz/fuzz_tags.py write corpus-write seeds -max_total_time=600

read: nothing but `GenrifyError` and `OSError` ever leaves `tags.read` and `tags.plan_write`.
write: a write ends in a refusal with the file untouched, or is read back and can be taken back to the byte.

libFuzzer writes an input that breaks this to `crash-...` in the current folder; giving that file as the last argument
in place of the folders runs it again.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile

import atheris

with atheris.instrument_imports(include=["genrify_tagger.tags"]):
    from genrify_tagger import tags
    from genrify_tagger.errors import GenrifyError

# Most of the kinds are told by their bytes; the suffix decides only where these leave a doubt.
FOLDER = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
PATH = os.path.join(FOLDER, "song.mp3")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


def fuzz_read(data: bytes) -> None:
    _store(data)
    try:
        tags.read(PATH)
        tags.read(PATH, field="GENRIFY")
        tags.plan_write(PATH, ("Jazz", "Hip-Hop"))
        tags.plan_write(PATH, ())
    except (GenrifyError, OSError) as error:
        assert str(error).isprintable(), error


def fuzz_write(data: bytes) -> None:
    _store(data)
    for wanted in (("Jazz",), ("A longer one", "Another"), ()):
        try:
            plan = tags.plan_write(PATH, wanted)
            tags.apply(plan, audio_key=lambda path: "", expected_key="")
        except (GenrifyError, OSError):
            assert _stored() == data, "changed though it was refused"
            continue
        assert "; ".join(tags.read(PATH).genres) == "; ".join(wanted)
        assert not tags.plan_write(PATH, wanted).changes, "would be written for ever"
        back = tags.plan_restore(PATH, plan.before.raw, expected=plan.after.raw)
        tags.apply(back, audio_key=lambda path: "", expected_key="")
        assert _stored() == data, "the undo left other bytes"


def _store(data: bytes) -> None:
    with open(PATH, "wb") as file:
        file.write(data)


def _stored() -> bytes:
    with open(PATH, "rb") as file:
        return file.read()


if __name__ == "__main__":
    target = {"read": fuzz_read, "write": fuzz_write}[sys.argv.pop(1)]
    atheris.Setup([*sys.argv, "-max_len=32768", "-timeout=10", "-rss_limit_mb=1024"], target)
    atheris.Fuzz()
