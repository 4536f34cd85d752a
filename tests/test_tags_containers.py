"""Odd but valid files of the other containers: only the genre changes, and undo restores all bytes."""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.flac
import mutagen.mp4
import mutagen.oggvorbis
import mutagen.wave
import pytest

from genrify_tagger import tags
from genrify_tagger.audio import audio_key
from genrify_tagger.errors import NotTaggableError, TagReadError, WriteRefusedError
from genrify_tagger.tags import ogg, ogg_pages
from genrify_tagger.tags.patched_file import PatchedFile
from tests import tagging
from tests.media import JAZZ, ffmpeg, make, need, run
from tests.test_tags_id3 import PICTURE, TITLE, tag, texts, v1


def packets_md5(path: Path) -> bytes:
    return run(need("ffmpeg"), "-v", "error", "-i", path, "-map", "0:a", "-f", "md5", "-").stdout


# FLAC


def flac_blocks(path: Path) -> list[tuple[int, bytes]]:
    data, at, found = path.read_bytes(), 4, []
    while True:
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        found.append((kind & 0x7F, data[at + 4 : at + 4 + size]))
        at += 4 + size
        if kind & 0x80:
            return found


@pytest.mark.parametrize("padding", [None, 0, 3, 11, 12, 4000])
@pytest.mark.parametrize("picture", [False, True])
def test_flac_padding(tmp_path: Path, padding: int | None, picture: bool) -> None:
    path = make("flac", tmp_path)
    run(need("metaflac"), "--dont-use-padding", "--remove", "--block-type=PADDING", path)
    if picture:
        made = mutagen.flac.FLAC(path)
        art = mutagen.flac.Picture()
        art.data, art.mime, art.type = PICTURE, "image/jpeg", 3
        made.add_picture(art)
        made.save(padding=lambda info: 0)
    if padding is not None:
        run(need("metaflac"), f"--add-padding={padding}", path)
    size = path.stat().st_size
    tagging.check_round_trip(path, ["Jazz"])
    assert path.stat().st_size == size + (0 if padding in (4000, 14) else 14)
    run(need("flac"), "--test", "--silent", path)
    assert [art.data for art in mutagen.flac.FLAC(path).pictures] == ([PICTURE] if picture else [])


@pytest.mark.parametrize("padding", [True, False])
def test_flac_without_a_comment_block(tmp_path: Path, padding: bool) -> None:
    path = make("flac", tmp_path)
    kinds = "VORBIS_COMMENT" if padding else "VORBIS_COMMENT,PADDING,SEEKTABLE"
    run(need("metaflac"), "--dont-use-padding", "--remove", f"--block-type={kinds}", path)
    assert 4 not in [kind for kind, _ in flac_blocks(path)]
    tagging.check_round_trip(path, ["Jazz"])
    assert flac_blocks(path)[1][0] == 4
    run(need("flac"), "--test", "--silent", path)


def test_flac_between_id3_tags_leaves_them_alone(tmp_path: Path) -> None:
    path = make("flac", tmp_path)
    front = tag(3, texts(3, TITLE[3], (b"TCON", b"Oldies")) + bytes(10))
    path.write_bytes(front + path.read_bytes() + v1(17))
    tagging.check_round_trip(path, ["Jazz"])
    assert path.read_bytes().startswith(front)
    assert path.read_bytes().endswith(v1(17))


def test_a_padding_block_with_a_wrong_length_is_not_used(tmp_path: Path) -> None:
    path = make("flac", tmp_path)
    run(need("metaflac"), "--dont-use-padding", "--remove", "--block-type=PADDING", path)
    run(need("metaflac"), "--add-padding=30", path)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x81\x00\x00\x1e" + bytes(30))
    data[at + 3] += 8
    path.write_bytes(data)
    plan = tags.plan_write(str(path), ["Jazz"])
    assert all(edit.end <= at + 34 for edit in plan.edits)


# Vorbis comments


def test_keys_keep_their_spelling_and_place(tmp_path: Path) -> None:
    path = make("flac", tmp_path)
    made = mutagen.flac.FLAC(path)
    made.tags[:] = [("Title", "a"), ("genre", "One"), ("ARTIST", "b"), ("Genre", "Two"), ("COMMENT", "c")]
    made.save()
    tagging.check_round_trip(path, ["Jazz"])
    assert list(mutagen.flac.FLAC(path).tags) == [("Title", "a"), ("genre", "Jazz"), ("ARTIST", "b"), ("COMMENT", "c")]


# Ogg


@pytest.mark.parametrize("kind", ["ogg-vorbis", "opus", "ogg-speex", "ogg-flac"])
@pytest.mark.parametrize("length", [100, 20_000, 64_000, 64_990, 65_010, 200_000])
def test_ogg_with_large_comments_on_many_pages(tmp_path: Path, kind: str, length: int) -> None:
    path = make(kind, tmp_path)
    made = mutagen.File(path)
    made["METADATA_BLOCK_PICTURE"] = base64.b64encode(bytes(range(256)) * (length // 340)).decode()
    made.save(padding=lambda info: 0)
    before = mutagen.File(path)
    md5 = packets_md5(path)
    tagging.check_round_trip(path, ["Jazz", "Électro" * 40])
    after = mutagen.File(path)
    assert after.pop("genre") == ["Jazz", "Électro" * 40]
    assert dict(after) == dict(before)
    assert packets_md5(path) == md5
    check_pages(path)


def check_pages(path: Path) -> None:
    """Hold that page numbers have no gap and checksums are right."""
    with open(path, "rb") as file:
        view, at, expected = PatchedFile(file), 0, {}
        while at < view.size:
            page = ogg_pages.read_page(view, at)
            data = view.at(at, page.end - at)
            assert ogg_pages.checksum(data[:22] + bytes(4) + data[26:]) == int.from_bytes(data[22:26], "little")
            assert page.number == expected.get(page.serial, 0)
            expected[page.serial] = page.number + 1
            at = page.end


@pytest.mark.parametrize("same_serial", [False, True])
def test_chained_ogg_keeps_every_later_link(tmp_path: Path, same_serial: bool) -> None:
    first = make("ogg-vorbis", tmp_path)
    second = make("ogg-vorbis", tmp_path / "two", genre="Other")
    if not same_serial:
        again = mutagen.oggvorbis.OggVorbis(second)
        assert again["genre"] == ["Other"]
        ffmpeg("-i", JAZZ, "-t", "4", "-c:a", "libvorbis", "-metadata", "genre=Other", "-serial_offset", "77", second)
    made = mutagen.oggvorbis.OggVorbis(first)
    made["x"] = "y" * 64_900
    made.save(padding=lambda info: 0)
    link = second.read_bytes()
    first.write_bytes(first.read_bytes() + link)
    tagging.check_round_trip(first, ["Jazz", "z" * 900])
    assert first.read_bytes().endswith(link)
    assert tagging.genres(first) == ("Jazz", "z" * 900)


def test_ogg_padding_is_used(tmp_path: Path) -> None:
    for kind in ("ogg-vorbis", "opus"):
        path = make(kind, tmp_path, genre="Oldies")
        made = mutagen.File(path)
        made.save(padding=lambda info: 300)
        size = path.stat().st_size
        tagging.check_round_trip(path, ["Jazz", "Hip-Hop"])
        assert path.stat().st_size == size


def test_opus_data_after_the_comments_is_kept(tmp_path: Path) -> None:
    path = make("opus", tmp_path)
    with open(path, "rb") as file:
        view = PatchedFile(file)
        found = ogg.open_ogg(view, "genre")
        packet = b"".join([found.prefix, *found.comment.parts()]) + b"\x01must stay"
        page = found.pages[0]
        lacing = b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,))
        made = bytearray(view.at(page.start, 26) + bytes((len(lacing),)) + lacing + packet)
        made[22:26] = bytes(4)
        made[22:26] = ogg_pages.checksum(bytes(made)).to_bytes(4, "little")
        data = view.at(0, page.start) + made + view.at(page.end, view.size)
    path.write_bytes(data)
    tagging.check_round_trip(path, ["Jazz"])
    assert b"\x01must stay" in path.read_bytes()


def test_ogg_after_an_id3_tag_leaves_the_tag_alone(tmp_path: Path) -> None:
    path = make("ogg-vorbis", tmp_path)
    front = tag(3, texts(3, TITLE[3]) + bytes(10))
    path.write_bytes(front + path.read_bytes())
    tagging.check_round_trip(path, ["Jazz"])
    assert path.read_bytes().startswith(front)
    assert tagging.ffprobe_tags(path)["genre"] == "Jazz"


def test_ogg_with_video_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "film.ogg"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc=d=1:s=64x64", "-i", JAZZ, "-t", "1"),
        *("-map", "0:v", "-map", "1:a", "-c:v", "libtheora", "-c:a", "libvorbis", "-metadata", "title=x", path),
    )
    tagging.check_round_trip(path, ["Jazz"])
    check_pages(path)


# MP4


def mp4(folder: Path, *options: str, name: str = "song.m4a") -> Path:
    path = folder / name
    tags_ = ("-metadata", "title=A title", "-metadata", "genre=Oldies")
    ffmpeg("-i", JAZZ, "-t", "6", "-map", "0:a", "-c:a", "aac", *tags_, *options, path)
    return path


def mp4_view(path: Path) -> dict[str, object]:
    return {key: value for key, value in mutagen.mp4.MP4(path).tags.items() if key not in ("\xa9gen", "gnre")}


@pytest.mark.parametrize("options", [(), ("-movflags", "+faststart"), ("-movflags", "frag_keyframe+empty_moov")])
@pytest.mark.parametrize("padding", [0, 8, 9, 2000])
def test_mp4_index_before_and_behind(tmp_path: Path, options: tuple[str, ...], padding: int) -> None:
    path = mp4(tmp_path, *options)
    if "frag_keyframe+empty_moov" not in options:
        made = mutagen.mp4.MP4(path)
        made["covr"] = [mutagen.mp4.MP4Cover(PICTURE)]
        made["----:com.apple.iTunes:MOOD"] = [b"calm", b"late"]
        made["trkn"] = [(3, 9)]
        made.save(padding=lambda info: padding)
    before, md5 = mp4_view(path), packets_md5(path)
    tagging.check_round_trip(path, ["Jazz", "A much longer name than there was before"])
    assert mp4_view(path) == before
    assert packets_md5(path) == md5
    assert mutagen.mp4.MP4(path).tags["\xa9gen"] == ["Jazz", "A much longer name than there was before"]


def test_mp4_without_any_tag(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    ffmpeg("-i", JAZZ, "-t", "3", "-map", "0:a", "-map_metadata", "-1", "-fflags", "+bitexact", "-c:a", "aac", path)
    made = mutagen.mp4.MP4(path)
    made.delete()
    for level in (b"ilst", b"meta", b"udta"):
        strip_atom(path, level)
        assert level not in path.read_bytes()
        tagging.check_round_trip(path, ["Jazz"])
        assert tagging.mediafile_genres(path) == ["Jazz"]
        plan = tags.plan_write(str(path), [])
        tags.apply(plan, audio_key=audio_key, expected_key=None)


def strip_atom(path: Path, name: bytes) -> None:
    """Remove an atom on the way to the tag (the index stands behind the audio, so no offset changes)."""
    data = bytearray(path.read_bytes())
    at = data.rfind(name) - 4
    if at < 0:
        return
    size = int.from_bytes(data[at : at + 4], "big")
    for parent in (b"moov", b"udta", b"meta"):
        if parent == name:
            break
        spot = data.rfind(parent) - 4
        data[spot : spot + 4] = (int.from_bytes(data[spot : spot + 4], "big") - size).to_bytes(4, "big")
    del data[at : at + size]
    path.write_bytes(data)


def test_mp4_legacy_genre_number(tmp_path: Path) -> None:
    path = mp4(tmp_path)
    text = b"\0\0\0\x1e\xa9gen\0\0\0\x16data\0\0\0\1\0\0\0\0Oldies"
    number = b"\0\0\0\x1agnre\0\0\0\x12data\0\0\0\0\0\0\0\0\0\x12"
    data = path.read_bytes()
    assert data.count(text) == 1
    at = data.index(text)
    data = data.replace(text, number)
    for parent in (b"moov", b"udta", b"meta", b"ilst"):
        spot = data.rindex(parent, 0, at) - 4
        size = int.from_bytes(data[spot : spot + 4], "big") - 4
        data = data[:spot] + size.to_bytes(4, "big") + data[spot + 4 :]
    path.write_bytes(data)
    assert tagging.genres(path) == ("Rock",)
    tagging.check_round_trip(path, ["Jazz"])
    assert b"gnre" not in path.read_bytes()


def test_mp4_chapters(tmp_path: Path) -> None:
    chapters = tmp_path / "chapters.txt"
    chapters.write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=2\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1\nSTART=2\nEND=4\ntitle=Two\n"
    )
    path = tmp_path / "book.m4b"
    ffmpeg(
        *("-i", JAZZ, "-i", chapters, "-map", "0:a", "-map_chapters", "1", "-t", "4"),
        *("-c:a", "aac", "-movflags", "+faststart", path),
    )
    show = (need("ffprobe"), "-v", "error", "-show_chapters", "-of", "json", path)
    before = run(*show).stdout
    assert b"Two" in before
    tagging.check_round_trip(path, ["Jazz"])
    assert run(*show).stdout == before


def test_mp4_with_a_table_of_offsets_that_cannot_be_moved_is_refused(tmp_path: Path) -> None:
    path = mp4(tmp_path, "-movflags", "+faststart")
    data = path.read_bytes()
    at = data.index(b"moov") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    alien = struct.pack(">I4sIII", 20, b"saio", 0, 1, 5000)
    path.write_bytes(data[:at] + struct.pack(">I", size + 20) + data[at + 4 : at + size] + alien + data[at + size :])
    with pytest.raises(WriteRefusedError, match="saio"):
        tags.plan_write(str(path), ["A name that needs more room than there is"])


# WAV and AIFF


def wav(
    folder: Path, *, samples: bytes = bytes(2001), extra: bytes = b"", behind: bytes = b"", pad: bool = True
) -> Path:
    form = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
    data = b"data" + struct.pack("<I", len(samples)) + samples + (b"\0" if pad and len(samples) % 2 else b"")
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + extra + data
    path = folder / "song.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body + behind)
    return path


def riff_chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


@pytest.mark.parametrize("samples", [2000, 2001])
@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("behind", [b"", b"junk behind the form"])
def test_wav_without_tags(tmp_path: Path, samples: int, pad: bool, behind: bytes) -> None:
    path = wav(tmp_path, samples=bytes(samples), pad=pad, behind=behind if pad else b"")
    tagging.check_round_trip(path, ["Jazz"])
    assert mutagen.wave.WAVE(path).tags["TCON"].genres == ["Jazz"]
    data = path.read_bytes()
    size = int.from_bytes(data[4:8], "little") + 8
    assert size == len(data) - len(behind if pad else b"")
    assert size % 2 == 0


@pytest.mark.parametrize("genre", [b"", riff_chunk(b"IGNR", b"Oldies\0")])
@pytest.mark.parametrize("version", [None, 3, 4])
def test_wav_with_list_info_and_id3(tmp_path: Path, genre: bytes, version: int | None) -> None:
    title = riff_chunk(b"INAM", b"A title\0")
    info = riff_chunk(b"LIST", b"INFO" + title + genre + riff_chunk(b"IART", b"Me\0"))
    own = b"" if version is None else riff_chunk(b"id3 ", tag(version, texts(version, TITLE[version]) + bytes(7)))
    path = wav(tmp_path, extra=riff_chunk(b"bext", bytes(602)) + info + own)
    assert tagging.genres(path) == (("Oldies",) if genre else ())
    tagging.check_round_trip(path, ["Jazz", "Pop"])
    shown = tagging.ffprobe_tags(path)
    assert (shown["genre"], shown["title"], shown["artist"]) == ("Jazz; Pop", "A title", "Me")
    data = path.read_bytes()
    assert title in data
    assert data[data.index(b"id3 ") + 11] == (version or 4)


def test_wav_whose_audio_is_truncated_gets_its_size(tmp_path: Path) -> None:
    path = wav(tmp_path)
    path.write_bytes(path.read_bytes()[:-101])
    size = path.stat().st_size
    tagging.check_round_trip(path, ["Jazz"])
    content = path.read_bytes()
    data = content.index(b"data")
    assert int.from_bytes(content[data + 4 : data + 8], "little") == size - data - 8
    assert tagging.mediafile_genres(path) == ["Jazz"]


def test_wav_with_a_truncated_tag_or_too_long_is_refused(tmp_path: Path) -> None:
    path = wav(tmp_path)
    content = path.read_bytes() + b"LIST\x40\0\0\0INFOIGNR"
    path.write_bytes(content[:4] + (len(content) + 48).to_bytes(4, "little") + content[8:])
    with pytest.raises(TagReadError):
        tags.read(str(path))
    path.write_bytes(b"RF64" + path.read_bytes()[4:])
    with pytest.raises(NotTaggableError):
        tags.read(str(path))


def test_aiff_without_tags(tmp_path: Path) -> None:
    path = tmp_path / "song.aiff"
    ffmpeg("-i", JAZZ, "-t", "2", "-map_metadata", "-1", "-c:a", "pcm_s16be", path)
    tagging.check_round_trip(path, ["Jazz"])
    assert tagging.mediafile_genres(path) == ["Jazz"]


@pytest.mark.parametrize("tagged", [False, True])
def test_dsf(tmp_path: Path, tagged: bool) -> None:
    own = tag(3, texts(3, TITLE[3], (b"TCON", b"Oldies")) + bytes(3)) if tagged else b""
    form = struct.pack("<4sQIIIIIIQIxxxx", b"fmt ", 52, 1, 0, 2, 2, 2822400, 1, 4096 * 8, 4096)
    data = b"data" + struct.pack("<Q", 12 + 8192) + bytes(range(256)) * 32
    total = 28 + len(form) + len(data)
    head = b"DSD " + struct.pack("<QQQ", 28, total + len(own), total if tagged else 0)
    path = tmp_path / "song.dsf"
    path.write_bytes(head + form + data + own)
    plan = tags.plan_write(str(path), ["Jazz"])
    tags.apply(plan, audio_key=lambda _: "same", expected_key="same")
    assert tagging.mediafile_genres(path) == ["Jazz"]
    assert struct.unpack("<Q", path.read_bytes()[12:20])[0] == path.stat().st_size
    back = tags.plan_restore(str(path), plan.before.raw, expected=plan.after.raw)
    tags.apply(back, audio_key=lambda _: "same", expected_key="same")
    assert path.read_bytes() == head + form + data + own


def test_tta(tmp_path: Path) -> None:
    path = tmp_path / "song.tta"
    ffmpeg("-i", JAZZ, "-t", "2", "-map_metadata", "-1", "-c:a", "tta", path)
    tagging.check_round_trip(path, ["Jazz"])
    assert mutagen.File(path).tags["TCON"].genres == ["Jazz"]


def test_id3_where_it_does_not_belong_is_refused(tmp_path: Path) -> None:
    path = wav(tmp_path)
    path.write_bytes(tag(3, texts(3, TITLE[3])) + path.read_bytes())
    with pytest.raises(NotTaggableError, match="ID3 tag in front"):
        tags.read(str(path))


# ASF


def test_asf_attributes_in_every_place(tmp_path: Path) -> None:
    path = make("wma", tmp_path)
    made = mutagen.asf.ASF(path)
    made["WM/Genre"] = ["One", "Two", "Three"]
    made["WM/Mood"] = ["calm"]
    made["WM/Picture"] = mutagen.asf.ASFByteArrayAttribute(bytes(70_000))
    made.save()
    before = {key: value for key, value in mutagen.asf.ASF(path).tags.as_dict().items() if key != "WM/Genre"}
    assert tagging.genres(path) == ("One", "Two", "Three")
    tagging.check_round_trip(path, ["Jazz", "Pop"])
    after = mutagen.asf.ASF(path).tags.as_dict()
    assert sorted(str(value) for value in after.pop("WM/Genre")) == ["Jazz", "Pop"]
    assert after == before


@pytest.mark.parametrize("padding", [0, 3, 1000])
def test_asf_padding(tmp_path: Path, padding: int) -> None:
    path = make("wma", tmp_path)
    mutagen.asf.ASF(path).save(padding=lambda info: padding)
    size = path.stat().st_size
    tagging.check_round_trip(path, ["Jazz"])
    assert (path.stat().st_size == size) == (padding == 1000)


# APEv2


def test_ape_item_flags_and_case_are_kept(tmp_path: Path) -> None:
    path = make("wavpack", tmp_path)
    item = struct.pack("<II", 3, 1) + b"GENRE\0Old"
    foot = struct.pack("<8sIIIIQ", b"APETAGEX", 2000, len(item) + 32, 1, 0x80000000, 0)
    head = struct.pack("<8sIIIIQ", b"APETAGEX", 2000, len(item) + 32, 1, 0xA0000000, 0)
    bare = path.read_bytes()
    path.write_bytes(bare[: bare.rindex(b"APETAGEX", 0, len(bare) - 32)] + head + item + foot)
    assert tagging.genres(path) == ("Old",)
    tagging.check_round_trip(path, ["Jazz"])
    assert struct.pack("<II", 4, 1) + b"GENRE\0Jazz" in path.read_bytes()


@pytest.mark.parametrize("behind", [b"", v1(17)])
def test_wavpack_without_an_ape_tag(tmp_path: Path, behind: bytes) -> None:
    path = make("wavpack", tmp_path)
    mutagen.apev2.delete(path)
    path.write_bytes(path.read_bytes() + behind)
    tagging.check_round_trip(path, ["Jazz"])
    assert tagging.mediafile_genres(path) == ["Jazz"]
    assert not behind or path.read_bytes()[-128:] == v1(8)


def test_apev1_without_a_header(tmp_path: Path) -> None:
    path = make("musepack", tmp_path)
    mutagen.apev2.delete(path)
    item = struct.pack("<II", 3, 0) + b"Genre\0Old"
    foot = struct.pack("<8sIIIIQ", b"APETAGEX", 1000, len(item) + 32, 1, 0, 0)
    path.write_bytes(path.read_bytes() + item + foot)
    tagging.check_round_trip(path, ["Jazz"])
    with pytest.raises(WriteRefusedError):
        tags.plan_write(str(path), ["Électro"])
