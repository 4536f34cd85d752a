"""Incomplete files: real encoders' files of every container, truncated anywhere, and odd but complete ones."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

import mutagen
import pytest

from genrify_tagger.analysis import Shortfall
from genrify_tagger.audio import find_shortfall
from genrify_tagger.errors import DecodeError
from tests import media
from tests.corpus import SHAPES, Shape
from tests.other_bytes import ape_tag

# Containers that FFmpeg writes beside those of `media`.
MORE = {
    "tta": (".tta", ("-c:a", "tta")),
    "aifc": (".aifc", ("-c:a", "pcm_s16le", "-f", "aiff")),
    "rf64": (".wav", ("-rf64", "always")),
    "adpcm": (".wav", ("-c:a", "adpcm_ms")),
    "m4a-faststart": (".m4a", ("-c:a", "aac", "-movflags", "faststart")),
    "m4a-fragmented": (".m4a", ("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov")),
}
STATING = [kind for kind in (*media.KINDS, *MORE) if kind != "mp3-bare"]  # which has no frame that counts the others
SECONDS = 15.019
# Where the end is marked, or the length comes last, seconds cannot be told.
WITHOUT_SECONDS = {"ogg-vorbis", "ogg-flac", "ogg-speex", "opus", "m4a-aac", "m4a-alac", "m4a-fragmented", "adpcm"}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("originals")
    for kind, (suffix, arguments) in MORE.items():
        media.ffmpeg("-i", media.JAZZ, *arguments, folder / (kind + suffix))
    made = {path.stem: path for path in folder.iterdir()}
    return made | {kind: media.master(kind) for kind in media.KINDS}


def cut(original: Path, folder: Path, size: int) -> Path:
    path = folder / original.name
    path.write_bytes(original.read_bytes()[:size])
    return path


@pytest.mark.parametrize("kind", [*media.KINDS, *MORE])
def test_a_whole_file_is_complete(originals: dict[str, Path], kind: str) -> None:
    assert find_shortfall(str(originals[kind])) is None


@pytest.mark.parametrize("kind", STATING)
def test_a_file_truncated_anywhere_is_incomplete(originals: dict[str, Path], kind: str, tmp_path: Path) -> None:
    original = originals[kind]
    size = original.stat().st_size
    edge = size // 8 if kind == "ape" else 4000  # of the last frame the old format states no end
    edge = 50_000 if kind == "m4a-fragmented" else edge  # at the border of a fragment a file looks whole
    for at in [size // 2, size - edge, *random.Random(kind).sample(range(size // 50, size - edge), 20)]:
        assert find_shortfall(str(cut(original, tmp_path, at))) is not None, at
    half = find_shortfall(str(cut(original, tmp_path, size // 2)))
    assert half is not None
    if kind in WITHOUT_SECONDS:
        assert str(half) == "incomplete: the end of the file is missing"
        return
    assert half.stated == pytest.approx(SECONDS, abs=0.7) and half.unit == "s"
    assert half.present == pytest.approx(SECONDS / 2, abs=1.2)
    assert str(half) == f"incomplete: {half.present:.1f} of {half.stated:.1f} s are there"


@pytest.mark.parametrize("kind", STATING)
def test_allocated_space_does_not_count_as_audio(originals: dict[str, Path], kind: str, tmp_path: Path) -> None:
    original = originals[kind]
    content = original.read_bytes()
    half = len(content) // 2
    sparse = cut(original, tmp_path, half)
    os.truncate(sparse, len(content))  # a hole, as a download at an offset leaves it
    is_silence = kind in ("wav", "aiff", "aifc", "rf64")
    assert (find_shortfall(str(sparse)) is None) == is_silence  # 7 s of PCM may be silence
    if len(content) - half < 1 << 14 or is_silence or kind == "adpcm":
        return
    allocated = tmp_path / ("allocated" + original.suffix)
    allocated.write_bytes(content[:half] + bytes(len(content) - half))
    assert find_shortfall(str(allocated)) is not None


@pytest.mark.parametrize(("suffix", "arguments"), [(".wav", ()), (".aiff", ()), (".wav", ("-c:a", "libmp3lame"))])
def test_audio_in_a_chunk_of_which_most_was_only_allocated(
    suffix: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / f"song{suffix}"
    media.ffmpeg("-stream_loop", "2", "-i", media.JAZZ, *arguments, path)
    content = path.read_bytes()
    for share, whole in ((0.3, False), (0.7, True)):
        at = int(len(content) * share)
        path.write_bytes(content[:at] + bytes(len(content) - at))
        assert (find_shortfall(str(path)) is None) == whole
    path.write_bytes(content[:at])
    with path.open("r+b") as file:  # as a download in pieces leaves it
        file.truncate(at // 2 & -4096)
        file.seek(at)
        file.write(content[at:])
    assert find_shortfall(str(path)) is not None


SILENCE = {
    **{kind: (suffix, arguments) for kind, (suffix, arguments) in media.ENCODERS.items() if kind != "mp3-bare"},
    **MORE,
    "mp3-320k": (".mp3", ("-c:a", "libmp3lame", "-b:a", "320k")),
    "mp3-bare": (".mp3", ("-c:a", "libmp3lame", "-b:a", "320k", "-write_xing", "0")),
    "alac-fragmented": (".mp4", ("-c:a", "alac", "-movflags", "frag_keyframe+empty_moov")),
    "quicktime-pcm": (".mov", ("-c:a", "pcm_s16le")),
    "quicktime-pcm-faststart": (".mov", ("-c:a", "pcm_s16le", "-movflags", "faststart")),
}


@pytest.mark.parametrize("kind", SILENCE)
def test_silence_is_no_missing_audio(kind: str, tmp_path: Path) -> None:
    suffix, arguments = SILENCE[kind]
    quiet = {"all": "volume=0", "end": "apad=pad_dur=12", "middle": "volume=enable='between(t,2,14)':volume=0"}
    for name, filters in quiet.items():
        path = tmp_path / (name + suffix)
        media.ffmpeg("-i", media.JAZZ, "-af", filters, *arguments, path)
        assert find_shortfall(str(path)) is None, name


def test_padding_of_tags_is_no_missing_audio(originals: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("m4a-aac", "m4a-alac", "m4a-faststart", "flac", "ogg-vorbis", "mp3-v2.3", "wma"):
        path = Path(shutil.copy(originals[kind], tmp_path))
        song = mutagen.File(path)
        song.save(padding=lambda _: 200_000)
        assert path.stat().st_size > originals[kind].stat().st_size + 150_000
        assert find_shortfall(str(path)) is None, kind
        path.write_bytes(originals[kind].read_bytes() + bytes(200_000))
        assert find_shortfall(str(path)) is None, kind


def test_a_segment_index_states_the_length_of_a_fragmented_file(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    arguments = ("-c:a", "aac", "-f", "mp4", "-movflags", "dash+global_sidx", "-frag_duration", "2000000")
    media.ffmpeg("-i", media.JAZZ, *arguments, path)
    content = path.read_bytes()
    assert find_shortfall(str(path)) is None
    fragment = content.index(b"moof", len(content) // 2) - 4
    path.write_bytes(content[:fragment])  # between two fragments
    found = find_shortfall(str(path))
    assert found is not None and found.stated == pytest.approx(SECONDS, abs=0.1)
    assert found.present == pytest.approx(8, abs=1.1)


def test_vbri_states_the_length(tmp_path: Path) -> None:
    content = media.master("mp3-bare").read_bytes()
    length, frames = 417, len(content) // 417
    state = b"VBRI" + bytes(6) + (len(content) + length).to_bytes(4, "big") + frames.to_bytes(4, "big")
    content = (content[:4] + bytes(32) + state).ljust(length, b"\0") + content
    path = tmp_path / "song.mp3"
    path.write_bytes(content)
    assert find_shortfall(str(path)) is None
    path.write_bytes(content[: len(content) // 2])
    found = find_shortfall(str(path))
    assert found is not None and found.present == pytest.approx(SECONDS / 2, abs=0.2)


def test_musepack_7_states_its_frames(tmp_path: Path) -> None:
    chance = random.Random(7)
    sizes = [chance.randrange(1000, 4000) for _ in range(500)]
    bits = "0" * 8 + "".join(f"{size:020b}" + f"{chance.getrandbits(size):0{size}b}" for size in sizes)
    bits += "1" * (-len(bits) % 32)
    words = b"".join(int(bits[at : at + 32], 2).to_bytes(4, "little") for at in range(0, len(bits), 32))
    content = b"MP+\x07" + struct.pack("<I", len(sizes)) + bytes(16) + words
    path = tmp_path / "song.mpc"
    path.write_bytes(content)
    assert find_shortfall(str(path)) is None
    path.write_bytes(content[: len(content) // 2])
    found = find_shortfall(str(path))
    assert found is not None and found.stated == pytest.approx(500 * 1152 / 44100)
    assert found.present == pytest.approx(found.stated / 2, abs=0.4)


def test_mpeg_audio_without_a_count_ends_before_allocated_space(tmp_path: Path) -> None:
    content = media.master("mp3-bare").read_bytes()
    path = tmp_path / "song.mp3"
    for zeros, whole in ((1 << 16, True), (1 << 17, False)):
        path.write_bytes(content + bytes(zeros))
        assert (find_shortfall(str(path)) is None) == whole


@pytest.mark.parametrize("kind", ["flac", "mp3-v2.3", "ogg-vorbis", "m4a-faststart", "wavpack"])
def test_a_hole_in_the_middle_is_measured(originals: dict[str, Path], kind: str, tmp_path: Path) -> None:
    content = originals[kind].read_bytes()
    path = tmp_path / originals[kind].name
    start, end = len(content) // 3 & -4096, len(content) * 2 // 3 & -4096
    with path.open("wb") as file:
        file.write(content[:start])
        file.seek(end)
        file.write(content[end:])
    found = find_shortfall(str(path))
    assert found is not None
    assert found.unit == "MB" or kind == "mp3-v2.3"  # where frames are counted
    if found.unit == "MB":
        assert found.stated is not None and found.present is not None
        assert found.stated - found.present == pytest.approx((end - start) / 1e6, abs=0.02)


def test_silence_at_the_end_of_pcm_may_be_a_hole_but_not_most_of_a_song(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    media.ffmpeg("-i", media.JAZZ, path)
    size = path.stat().st_size
    for seconds, whole in ((5, True), (12, False)):
        with path.open("r+b") as file:
            file.truncate(size - int(seconds * size / SECONDS))
            file.truncate(size)
        assert (find_shortfall(str(path)) is None) == whole


@pytest.mark.parametrize("muxer", ["wav", "flac", "mp3", "asf", "aiff", "wv", "ogg", "opus", "mp4"])
def test_a_container_that_was_written_to_a_pipe_is_complete(muxer: str, tmp_path: Path) -> None:
    codec = {"ogg": ["-c:a", "libvorbis"], "mp4": ["-movflags", "empty_moov"]}.get(muxer, [])
    command = [media.need("ffmpeg"), "-v", "error", "-i", str(media.JAZZ), *codec, "-f", muxer, "-"]
    path = tmp_path / "piped"
    path.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    assert path.stat().st_size > 10_000
    assert find_shortfall(str(path)) is None


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF])
def test_a_wav_size_that_means_unknown_does_not_count(size: int, tmp_path: Path) -> None:
    content = bytearray(media.master("wav").read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = size.to_bytes(4, "little")
    content[4:8] = size.to_bytes(4, "little")
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    assert find_shortfall(str(path)) is None


def test_mdat_up_to_the_end_of_the_file_is_measured_by_the_samples(originals: dict[str, Path], tmp_path: Path) -> None:
    content = bytearray(originals["m4a-faststart"].read_bytes())
    at = content.index(b"mdat") - 4
    content[at : at + 4] = bytes(4)
    path = tmp_path / "song.m4a"
    path.write_bytes(content)
    assert find_shortfall(str(path)) is None
    path.write_bytes(content[: len(content) // 2])
    assert find_shortfall(str(path)) is not None


@pytest.mark.parametrize(("frames", "size", "whole"), [(3, 0, True), (3, 400, True), (40, 0, False), (40, None, True)])
def test_mp3_counts_may_be_off_by_some_frames(frames: int, size: int | None, whole: bool, tmp_path: Path) -> None:
    """Of `frames` too many; with `size` bytes too many, which is none of them if 0, or without a number of bytes."""
    content = bytearray(media.master("mp3-vbr").read_bytes())
    at = content.index(b"Xing")
    content[at + 8 : at + 12] = (int.from_bytes(content[at + 8 : at + 12], "big") + frames).to_bytes(4, "big")
    more = (1 << 20 if size == 0 else 0) if size is not None else 0
    content[at + 12 : at + 16] = (int.from_bytes(content[at + 12 : at + 16], "big") + more).to_bytes(4, "big")
    path = tmp_path / "song.mp3"
    path.write_bytes(content)
    assert (find_shortfall(str(path)) is None) == (whole and more == 0)


@pytest.mark.parametrize(
    "kind", ["mp3-v2.3", "flac", "ogg-vorbis", "wavpack", "musepack", "ape", "wav", "m4a-faststart"]
)
def test_tags_and_padding_after_the_audio_make_no_difference(
    originals: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    original = originals[kind]
    size = original.stat().st_size
    for behind in (b"TAG" + bytes(125), ape_tag([]), bytes(3000), b"\0some words that somebody left"):
        whole, part = cut(original, tmp_path, size), tmp_path / ("half" + original.suffix)
        whole.write_bytes(whole.read_bytes() + behind)
        assert find_shortfall(str(whole)) is None
        part.write_bytes(original.read_bytes()[: size // 2] + (behind if kind == "flac" else b""))
        assert find_shortfall(str(part)) is not None


def test_dsf_and_the_later_monkeys_audio_state_their_sizes(tmp_path: Path) -> None:
    bits = random.Random(5).randbytes(4096 * 100)
    form = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 1, 1, 2822400, 1, len(bits) * 8, 4096, 0)
    data = struct.pack("<4sQ", b"data", 12 + len(bits)) + bits
    dsf = struct.pack("<4sQQQ", b"DSD ", 28, 28 + len(form) + len(data), 0) + form + data
    audio = random.Random(6).randbytes(300_000)
    descriptor = struct.pack("<4sHH7I16x", b"MAC ", 3990, 0, 52, 24, 4, 0, len(audio), 0, 0)
    header = struct.pack("<HHIIIHHI", 2000, 32, 73728 * 4, 1000, 4, 16, 2, 44100)
    ape = descriptor + header + bytes(4) + audio
    for name, content, seconds in (("song.dsf", dsf, len(bits) * 8 / 2822400), ("song.ape", ape, 20.085)):
        path = tmp_path / name
        path.write_bytes(content)
        assert find_shortfall(str(path)) is None
        path.write_bytes(content[: len(content) // 2])
        found = find_shortfall(str(path))
        assert found is not None and found.stated == pytest.approx(seconds, abs=0.01)
        assert found.present == pytest.approx(seconds / 2, rel=0.01)


def test_no_file_of_the_tag_corpus_is_incomplete(tmp_path: Path) -> None:
    def shortfall(shape: Shape) -> Shortfall | None:
        path, _ = shape.make(tmp_path)
        return find_shortfall(str(path))

    found = {shape.name: shortfall(shape) for shape in SHAPES}
    assert {name: str(missing) for name, missing in found.items() if missing} == {}
    assert len(found) > 500


def test_damaged_headers_are_ignored(originals: dict[str, Path], tmp_path: Path) -> None:
    chance = random.Random(8)
    for original in originals.values():
        for _ in range(40):
            content = bytearray(original.read_bytes())
            for _ in range(chance.choice((1, 4, 20))):
                content[chance.randrange(min(len(content), 400))] = chance.choice((0, 127, 255, chance.randrange(256)))
            path = tmp_path / original.name
            path.write_bytes(content)
            with contextlib.suppress(DecodeError):  # nothing but tags
                find_shortfall(str(path))
