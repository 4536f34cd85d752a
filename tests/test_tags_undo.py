"""The journal can undo a change, to the byte if no other program wrote in between."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import mutagen
import pytest

from genrify_tagger import tags
from genrify_tagger.errors import TagError
from tests import tagging
from tests.media import KINDS, make


def as_version_1(raw: bytes | None, *, layout: dict[str, object]) -> bytes | None:
    """Return a raw form as versions before 2 of the journal held it: with hints about the layout, without a patch."""
    if raw is None:
        return None
    body = {key: value for key, value in json.loads(raw).items() if key != "patch"}
    return json.dumps({**body, "v": 1, "layout": layout, "across": layout}).encode()


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"mp3-bare"}))
@pytest.mark.parametrize("former", [None, "Oldies"])
def test_a_journal_entry_of_an_old_version_restores_the_genre(tmp_path: Path, kind: str, former: str | None) -> None:
    path = make(kind, tmp_path, genre=former)
    before = {key: value for key, value in tagging.ffprobe_tags(path).items() if key != "encoder"}
    pieces = json.loads(tags.read(str(path)).raw or b'{"pieces": []}')["pieces"]
    plan = tagging.write(path, "Jazz", "Électro")
    hints = {"moov": 1, "audio": 2, "sizes": {"ape:0": 3}, "image": {"size": 4, "edits": []}}
    old = [as_version_1(raw, layout=hints) for raw in (plan.before.raw, plan.after.raw)]
    back = tags.plan_restore(str(path), old[0], expected=old[1])
    tags.apply(back, audio_key=lambda _: "same", expected_key="same")
    assert tagging.genres(path) == (() if former is None else (former,))
    assert json.loads(tags.read(str(path)).raw or b'{"pieces": []}')["pieces"] == pieces
    assert {key: value for key, value in tagging.ffprobe_tags(path).items() if key != "encoder"} == before


def test_undo_keeps_what_another_program_wrote_in_between(tmp_path: Path) -> None:
    path = make("m4a-aac", tmp_path, genre="Oldies")
    plan = tagging.write(path, "Jazz")
    made = mutagen.File(path)
    made["\xa9nam"] = ["A much longer and better title than before"]
    made.save()
    tagging.undo(path, plan)
    assert tagging.genres(path) == ("Oldies",)
    assert mutagen.File(path)["\xa9nam"] == ["A much longer and better title than before"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_journal_stores_a_change_once_and_compactly(tmp_path: Path, kind: str) -> None:
    plan = tagging.write(make(kind, tmp_path), "Jazz", "Électro")
    bodies = [json.loads(raw) for raw in (plan.before.raw, plan.after.raw) if raw is not None]
    assert sum("patch" in body for body in bodies) == 1
    assert sum(len(raw or b"") for raw in (plan.before.raw, plan.after.raw)) < 4096


@pytest.mark.parametrize("patch", ["", "!", base64.b64encode(zlib.compress(b"short")).decode()])
def test_a_damaged_patch_is_an_error(tmp_path: Path, patch: str) -> None:
    path = make("flac", tmp_path, genre="Oldies")
    plan = tagging.write(path, "Jazz")
    raw = json.dumps({**json.loads(plan.after.raw or b""), "patch": patch}).encode()
    with pytest.raises(TagError, match="damaged"):
        tags.plan_restore(str(path), plan.before.raw, expected=raw)
