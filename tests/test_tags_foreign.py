"""Files that cannot be tagged are recognised by their bytes, whatever their names; so is protected audio."""

from __future__ import annotations

import struct
import tarfile
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from genrify_tagger import tags
from genrify_tagger.errors import NotTaggableError
from tests import corpus_mp4
from tests.id3_bytes import frame, tag
from tests.media import JAZZ, ffmpeg, make, master
from tests.other_bytes import atom, full
from tests.program import Program

TITLED = tag(3, [frame(3, "TIT2", b"\0A title")])


def by_ffmpeg(container: str, *codec: str) -> Callable[[Path], None]:
    return lambda path: ffmpeg(
        "-i", JAZZ, "-t", "3", "-map", "0:a", *(codec or ("-c:a", "libmp3lame")), "-f", container, path
    )


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(master("mp3-bare"), "a.mp3")


def tarred(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.add(master("mp3-bare"), "a.mp3")


def m2ts(path: Path) -> None:
    """Give each packet of a transport stream four bytes of time in front, as on a Blu-ray disc."""
    by_ffmpeg("mpegts")(path)
    data = path.read_bytes()
    path.write_bytes(b"".join(bytes(4) + data[at : at + 188] for at in range(0, len(data), 188)))


def flash(path: Path) -> None:
    path.write_bytes(b"FWS\x05" + struct.pack("<I", 5000) + master("mp3-bare").read_bytes()[:40_000])


def behind(signature: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(signature + bytes(60) + master("mp3-bare").read_bytes())


def old_tar(path: Path) -> None:
    """Write a TAR archive of the first kind, without a signature."""
    tarred(path)
    data = bytearray(path.read_bytes())
    data[257:265] = bytes(8)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    path.write_bytes(data)


RAW = {
    "latm": ("-c:a", "aac"),
    "sox": ("-c:a", "pcm_s32le"),
    "ircam": ("-c:a", "pcm_s16le"),
    "spdif": ("-c:a", "ac3"),
    "mlp": ("-c:a", "mlp", "-strict", "-2"),
    "truehd": ("-c:a", "truehd", "-strict", "-2"),
}

KINDS: dict[str, Callable[[Path], None]] = {
    "avi": by_ffmpeg("avi"),
    "flv": by_ffmpeg("flv"),
    "mpegts": by_ffmpeg("mpegts"),
    "m2ts": m2ts,
    "mpeg-ps": by_ffmpeg("mpeg"),
    "vob": by_ffmpeg("vob", "-c:a", "mp2"),
    "nut": by_ffmpeg("nut"),
    "matroska": by_ffmpeg("matroska"),
    "asf-in-avi-form": behind(b"RIFF\0\0\0\0AMV "),
    "rmp3": behind(b"RIFF\0\0\1\0RMP3data"),
    "8svx": behind(b"FORM\0\0\1\x008SVX"),
    "swf": flash,
    "zip": zipped,
    "tar": tarred,
    "gzip": behind(b"\x1f\x8b\x08"),
    "rar": behind(b"Rar!\x1a\x07\x00"),
    "7z": behind(b"7z\xbc\xaf\x27\x1c"),
    "realmedia": behind(b".RMF\0\0\0\x12"),
    "mxf": behind(b"\x06\x0e\x2b\x34"),
    "nsv": behind(b"NSVf"),
    "pdf": behind(b"%PDF-1.4"),
    "png": behind(b"\x89PNG\r\n\x1a\n"),
    "elf": behind(b"\x7fELF"),
    "html": behind(b"<!DOCTYPE html>"),
    **{name: by_ffmpeg(name, *codec) for name, codec in RAW.items()},
    "disc": lambda path: path.write_bytes(bytes(32768) + b"\1CD001\1" + bytes(2041) + master("mp3-bare").read_bytes()),
    "boot disc": lambda path: path.write_bytes(
        b"\x45\x08" * 16384 + b"\1CD001\1" + bytes(2041) + master("mp3-bare").read_bytes()
    ),
    "old tar": old_tar,
    "text": lambda path: path.write_bytes(b'FILE "a.wav" WAVE\n  TRACK 01 AUDIO\n' * 200),
    "utf-16": lambda path: path.write_bytes("A text of some words".encode("utf-16")),
    "page with a byte order mark": lambda path: path.write_bytes(b"\xef\xbb\xbf\n<html>" + bytes(100)),
    "bitmap": behind(b"BM" + bytes(12) + b"\x28\0\0\0"),
    "e-book": behind(bytes(1).rjust(60, b"x") + b"BOOKMOBI"),
    "ace": behind(bytes(7) + b"**ACE**"),
    "lz4": behind(b"\x04\x22\x4d\x18"),
    "java": behind(b"\xca\xfe\xba\xbe"),
    "torrent": behind(b"d8:announce35:"),
    "disk image": behind(b"conectix"),
    "font": behind(b"OTTO"),
    "module": behind(b"title".ljust(1080, b"\0") + b"M.K."),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("front", [b"", TITLED], ids=["bare", "id3"])
@pytest.mark.parametrize("suffix", [".mp3", ".mp2"])
def test_only_mpeg_audio_gets_an_id3_tag(tmp_path: Path, kind: str, front: bytes, suffix: str) -> None:
    path = tmp_path / ("a" + suffix)
    KINDS[kind](path)
    path.write_bytes(front + path.read_bytes())
    with pytest.raises(NotTaggableError) as caught:
        tags.plan_write(str(path), ["Jazz"])
    assert caught.value.path == str(path)
    assert caught.value.message.startswith("this is a")


def test_what_ffmpeg_takes_for_another_format_is_skipped(program: Program, tmp_path: Path) -> None:
    """A container whose signature this program does not know, with bytes like the header of a frame."""
    path = tmp_path / "a.mp3"
    by_ffmpeg("ast", "-c:a", "pcm_s16be_planar")(path)
    before = path.read_bytes()
    for options in (["--dry-run"], []):
        (result,) = program.scan(path, "--min-confidence", "0.05", *options)
        assert (result["status"], result["reason"]) == (
            "skipped",
            "this is not MPEG audio, but another format (ast)",
        )
    assert path.read_bytes() == before


@pytest.mark.parametrize("junk", [bytes(1200) + b"text", b"text" * 400, bytes(512), b"junk" * 100, b"\0junk"])
def test_mpeg_audio_after_junk_is_still_mpeg_audio(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(junk + master("mp3-bare").read_bytes())
    assert tags.read(str(path)).container == "mp3"


# Protected audio


def encrypted_mp4(path: Path, entry: bytes = b"drms", *, sinf: bool = True) -> None:
    """Rename the sample entry of an M4A file, and put a description of the protection behind its own fields."""
    tops = corpus_mp4.audio_atoms("m4a-aac")
    moov = tops[b"moov"]
    at = moov.index(b"stsd") + 12
    size = int.from_bytes(moov[at : at + 4], "big")
    more = atom(b"sinf", atom(b"frma", b"mp4a"), full(b"schm", b"itun\0\0\0\0")) if sinf else b""
    changed = (
        moov[:at] + (size + len(more)).to_bytes(4, "big") + entry + moov[at + 8 : at + size] + more + moov[at + size :]
    )
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        spot = changed.index(parent) - 4
        grown = int.from_bytes(changed[spot : spot + 4], "big") + len(more)
        changed = changed[:spot] + grown.to_bytes(4, "big") + changed[spot + 4 :]
    ftyp = atom(b"ftyp", b"M4P \0\0\0\0M4P mp42")
    path.write_bytes(ftyp + tops[b"mdat"] + corpus_mp4.moved(changed, len(ftyp)))


def encrypted_asf(path: Path, guid: str = "2211B3FB-BD23-11D2-B4B7-00A0C955FC6E") -> None:
    data = make("wma", path.parent / "made").read_bytes()
    each = uuid.UUID(guid).bytes_le + (24 + 16).to_bytes(8, "little") + bytes(16)
    size, count = int.from_bytes(data[16:24], "little"), int.from_bytes(data[24:28], "little")
    head = data[:16] + (size + len(each)).to_bytes(8, "little") + (count + 1).to_bytes(4, "little")
    path.write_bytes(head + data[28:size] + each + data[size:])


def encrypted_stream(path: Path) -> None:
    data = bytearray(make("wma", path.parent / "made").read_bytes())
    at = data.index(uuid.UUID("B7DC0791-A9B7-11CF-8EE6-00C00C205365").bytes_le)
    data[at + 73] |= 0x80
    path.write_bytes(data)


PROTECTED: dict[str, Callable[[Path], None]] = {
    "fairplay.m4p": encrypted_mp4,
    "fairplay.m4a": encrypted_mp4,
    "common.m4a": lambda path: encrypted_mp4(path, b"enca"),
    "sinf-only.m4a": lambda path: encrypted_mp4(path, b"mp4a"),
    "without-sinf.m4a": lambda path: encrypted_mp4(path, sinf=False),
    "audible.m4b": lambda path: encrypted_mp4(path, b"aavd", sinf=False),
    "content.wma": encrypted_asf,
    "extended.wma": lambda path: encrypted_asf(path, "298AE614-2622-4C17-B935-DAE07EE9289C"),
    "advanced.wma": lambda path: encrypted_asf(path, "43058533-6981-49E6-9B74-AD12CB86D58C"),
    "stream.wma": encrypted_stream,
    "book.aa": lambda path: path.write_bytes(bytes(4) + b"\x57\x90\x75\x36" + bytes(5000)),
}


@pytest.mark.parametrize("name", PROTECTED)
def test_protected_audio_is_recognised_by_the_header(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    PROTECTED[name](path)
    with pytest.raises(NotTaggableError, match=r"^protected: "):
        tags.read(str(path))


def test_a_scan_skips_protected_and_foreign_files(program: Program) -> None:
    folder = program.home / "music"
    folder.mkdir()
    encrypted_mp4(folder / "bought.m4a")
    encrypted_asf(folder / "bought.wma")
    by_ffmpeg("avi")(folder / "film.mp3")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    results = {Path(result["path"]).name: result for result in program.scan(folder, status=None)}
    for name, result in results.items():
        if name in before:
            assert result["status"] == "skipped", result
            assert ("protected" in result["reason"]) == name.startswith("bought")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
