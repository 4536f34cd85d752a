"""Wrong lengths in a file's headers are corrected by a write, so that players still read the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genrify_tagger import tags
from genrify_tagger.audio import audio_key
from tests import corpus_chunks, tagging
from tests.corpus import SHAPES
from tests.media import make

V1 = b"TAG" + bytes(124) + b"\xff"


def dsf(stated: int | None, behind: bytes, own: bytes = b"") -> bytes:
    data = next(shape for shape in SHAPES if shape.name == "dsf-no-tag").build().data
    total = len(data) + len(own)
    pointer = len(data) if own else 0
    head = (total if stated is None else stated).to_bytes(8, "little") + pointer.to_bytes(8, "little")
    return data[:12] + head + data[28:] + own + behind


def written_and_undone(path: Path) -> bytes:
    """Write Jazz, and return the file then; hold that undo gives the former bytes."""
    original = path.read_bytes()
    plan = tags.plan_write(str(path), ["Jazz"])
    tags.apply(plan, audio_key=lambda _: "same", expected_key="same")
    written = path.read_bytes()
    back = tags.plan_restore(str(path), plan.before.raw, expected=plan.after.raw)
    tags.apply(back, audio_key=lambda _: "same", expected_key="same")
    assert path.read_bytes() == original
    path.write_bytes(written)
    return written


@pytest.mark.parametrize("stated", [None, 0, 100])
@pytest.mark.parametrize("behind", [b"", bytes(128), V1], ids=["nothing", "zeros", "v1"])
@pytest.mark.parametrize("own", [b"", corpus_chunks.BARE], ids=["untagged", "tagged"])
def test_dsf(tmp_path: Path, stated: int | None, behind: bytes, own: bytes) -> None:
    path = tmp_path / "a.dsf"
    path.write_bytes(dsf(stated, behind, own))
    written = written_and_undone(path)
    assert int.from_bytes(written[12:20], "little") == len(written)
    assert tagging.taglib_tags(path)["genre"] == ["Jazz"]
    assert tagging.genres(path) == ("Jazz",)


@pytest.mark.parametrize("stated", [0, 36, 1000, 0xFFFFFFFF])
def test_riff(tmp_path: Path, stated: int) -> None:
    path = make("wav", tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:4] + stated.to_bytes(4, "little") + data[8:])
    key = audio_key(str(path))
    written = written_and_undone(path)
    assert int.from_bytes(written[4:8], "little") == len(written) - 8
    assert audio_key(str(path)) == key
    assert tagging.taglib_tags(path)["genre"] == ["Jazz"]
    assert tagging.ffprobe_tags(path)["genre"] == "Jazz"


@pytest.mark.parametrize("stated", [0, 46, 1000])
def test_form(tmp_path: Path, stated: int) -> None:
    path = make("aiff", tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:4] + stated.to_bytes(4, "big") + data[8:])
    written = written_and_undone(path)
    assert int.from_bytes(written[4:8], "big") == len(written) - 8
    assert tagging.taglib_tags(path)["genre"] == ["Jazz"]
    assert tagging.ffprobe_tags(path)["genre"] == "Jazz"


@pytest.mark.parametrize("stated", [0, 5000])
def test_asf(tmp_path: Path, stated: int) -> None:
    path = make("wma", tmp_path)
    data = path.read_bytes()
    at = data.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")) + 40
    path.write_bytes(data[:at] + stated.to_bytes(8, "little") + data[at + 8 :])
    written = written_and_undone(path)
    assert int.from_bytes(written[at : at + 8], "little") == len(written)
    assert tagging.taglib_tags(path)["genre"] == ["Jazz"]


def test_a_sparse_file_stays_sparse(tmp_path: Path) -> None:
    path = make("flac", tmp_path)
    head = path.read_bytes()
    with open(path, "r+b") as file:
        file.truncate(len(head) + (8 << 20))
        file.seek(len(head) + (4 << 20))
        file.write(b"x")
    original = path.read_bytes()
    if os.stat(path).st_blocks * 512 >= len(original):
        pytest.skip("the file system has no holes")
    plan = tags.plan_write(str(path), ["Jazz"])
    tags.apply(plan, audio_key=lambda _: "same", expected_key="same")
    assert len(path.read_bytes()) == len(original)
    assert os.stat(path).st_blocks * 512 < len(original) // 2
    back = tags.plan_restore(str(path), plan.before.raw, expected=plan.after.raw)
    tags.apply(back, audio_key=lambda _: "same", expected_key="same")
    assert path.read_bytes() == original
