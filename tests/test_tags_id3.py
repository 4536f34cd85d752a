"""ID3 tags of other programs, built by hand: the genre is replaced, every other byte stays, and undo restores all."""

from __future__ import annotations

import zlib
from pathlib import Path

import mutagen.apev2
import mutagen.id3
import pytest

from genrify_tagger import tags
from genrify_tagger.errors import NotTaggableError, TagReadError
from tests import tagging
from tests.media import make

PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8 + b"\xff\xd9"


def syncsafe(number: int) -> bytes:
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))


def unsynchronised(data: bytes) -> bytes:
    out = bytearray()
    for index, byte in enumerate(data):
        out.append(byte)
        following = data[index + 1] if index + 1 < len(data) else 0
        if byte == 0xFF and (following >= 0xE0 or following == 0):
            out.append(0)
    return bytes(out)


def frame(version: int, name: bytes, body: bytes, flags: bytes = b"\0\0") -> bytes:
    if version == 2:
        return name + len(body).to_bytes(3, "big") + body
    size = syncsafe(len(body)) if version == 4 else len(body).to_bytes(4, "big")
    return name + size + flags + body


def tag(version: int, body: bytes, flags: int = 0) -> bytes:
    head = bytes((version, 0, flags)) + syncsafe(len(body))
    return b"ID3" + head + body + (b"3DI" + head if flags & 0x10 else b"")


def texts(version: int, *pairs: tuple[bytes, bytes]) -> bytes:
    return b"".join(frame(version, name, b"\0" + text) for name, text in pairs)


TITLE = {2: (b"TT2", b"A title"), 3: (b"TIT2", b"A title"), 4: (b"TIT2", b"A title")}
GENRE = {2: b"TCO", 3: b"TCON", 4: b"TCON"}
PIC = {
    2: frame(2, b"PIC", b"\0JPG\x03\0" + PICTURE),
    3: frame(3, b"APIC", b"\0image/jpeg\0\x03\0" + PICTURE),
    4: frame(4, b"APIC", b"\0image/jpeg\0\x03\0" + PICTURE),
}
UNKNOWN = {
    2: frame(2, b"ZZZ", b"\1\2\3\xff\xfe"),
    3: frame(3, b"ZZZZ", b"\1\2\3\xff\xfe", b"\xe0\x1f"),
    4: frame(4, b"ZZZZ", b"\1\2\3\xff\xfe", b"\x70\x00"),
}


def audio(folder: Path) -> bytes:
    return make("mp3-bare", folder / "bare").read_bytes()


def v1(genre: int = 255) -> bytes:
    fields = (b"V1 title".ljust(30, b"\0"), b"V1 artist".ljust(30, b"\0"), b"V1 album".ljust(30, b"\0"), b"1999")
    return b"TAG" + b"".join(fields) + b"V1 comment".ljust(28, b"\0") + b"\0\x07" + bytes((genre,))


def song(folder: Path, front: bytes, behind: bytes = b"") -> Path:
    path = folder / "song.mp3"
    path.write_bytes(front + audio(folder) + behind)
    return path


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("padding", [0, 5, 500])
@pytest.mark.parametrize("former", [None, b"Oldies", b"(17)"])
def test_plain_tags_of_every_version(tmp_path: Path, version: int, padding: int, former: bytes | None) -> None:
    genre = frame(version, GENRE[version], b"\0" + former) if former else b""
    front = texts(version, TITLE[version]) + genre + PIC[version] + UNKNOWN[version]
    path = song(tmp_path, tag(version, front + bytes(padding)))
    tagging.check_round_trip(path, ["Jazz"])
    data = path.read_bytes()
    assert data[3] == version
    for part in (texts(version, TITLE[version]), PIC[version], UNKNOWN[version]):
        assert part in data
    assert mutagen.id3.ID3(path).getall("TCON")[0].genres == ["Jazz"]
    assert tagging.mediafile_genres(path) == ["Jazz"]
    assert tagging.ffprobe_tags(path)["genre"] == "Jazz"
    assert tagging.exiftool_genre(path) == "Jazz"


def test_mpd_sees_every_version(tmp_path: Path) -> None:
    for version in (2, 3, 4):
        folder = tmp_path / "music" / str(version)
        folder.mkdir(parents=True)
        body = texts(version, TITLE[version]) + PIC[version]
        path = folder / "song.mp3"
        path.write_bytes(tag(version, body) + audio(tmp_path))
        tagging.write(path, "Jazz")
    shown = {name: found.get("genre", []) for name, found in tagging.mpd_tags(tmp_path / "music", tmp_path).items()}
    assert shown == {f"{version}/song.mp3": ["Jazz"] for version in (2, 3, 4)}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("former", [None, b"\x01\xff\xfeR\0o\0c\0k\0"])
@pytest.mark.parametrize("tail", [b"", bytes(300)])
def test_unsynchronisation_of_the_whole_tag(tmp_path: Path, version: int, former: bytes | None, tail: bytes) -> None:
    genre = frame(version, GENRE[version], former) if former else b""
    body = texts(version, TITLE[version]) + genre + PIC[version] + UNKNOWN[version]
    path = song(tmp_path, tag(version, unsynchronised(body) + tail, 0x80))
    assert tagging.genres(path) == (("Rock",) if former else ())
    tagging.check_round_trip(path, ["Ёлка"])
    assert unsynchronised(PIC[version]) in path.read_bytes()
    seen = mutagen.id3.ID3(path)
    assert seen.getall("TCON")[0].genres == ["Ёлка"]
    assert seen.getall("APIC")[0].data == PICTURE


def test_a_writer_that_unsynchronises_more_than_it_must(tmp_path: Path) -> None:
    picture = PIC[3].replace(b"\xff", b"\xff\x00")
    path = song(tmp_path, tag(3, texts(3, TITLE[3]) + picture + bytes(50), 0x80))
    tagging.check_round_trip(path, ["Jazz"])
    assert picture in path.read_bytes()


def test_unsynchronisation_frame_by_frame(tmp_path: Path) -> None:
    inner = unsynchronised(PIC[4][10:])
    picture = frame(4, b"APIC", syncsafe(len(PIC[4]) - 10) + inner, b"\0\x03")
    former = frame(4, b"TCON", syncsafe(7) + b"\x01\xff\x00\xfeR\0o\0", b"\0\x03")
    path = song(tmp_path, tag(4, former + picture, 0x80))
    assert tagging.genres(path) == ("Ro",)
    tagging.check_round_trip(path, ["Jazz", "Ёлка"])
    seen = mutagen.id3.ID3(path)
    assert seen.getall("TCON")[0].genres == ["Jazz", "Ёлка"]
    assert seen.getall("APIC")[0].data == PICTURE


@pytest.mark.parametrize("padding", [0, 200])
@pytest.mark.parametrize("right", [True, False])
def test_extended_header_of_v23(tmp_path: Path, padding: int, right: bool) -> None:
    frames = texts(3, TITLE[3], (b"TCON", b"Oldies"))
    crc = zlib.crc32(frames) ^ (0 if right else 1)
    extended = (10).to_bytes(4, "big") + b"\x80\0" + padding.to_bytes(4, "big") + crc.to_bytes(4, "big")
    path = song(tmp_path, tag(3, extended + frames + bytes(padding), 0x40))
    tagging.check_round_trip(path, ["Hip-Hop"])
    data = path.read_bytes()
    written = texts(3, TITLE[3], (b"TCON", b"Hip-Hop"))
    assert data[24 : 24 + len(written)] == written
    assert int.from_bytes(data[16:20], "big") == max(0, padding - 1)
    assert data[20:24] == (zlib.crc32(written) if right else crc).to_bytes(4, "big")


@pytest.mark.parametrize("footer", [0, 0x10])
def test_extended_header_of_v24_with_and_without_footer(tmp_path: Path, footer: int) -> None:
    padding = b"" if footer else bytes(64)
    body = texts(4, TITLE[4], (b"TCON", b"Oldies")) + padding
    crc = zlib.crc32(body)
    coded = bytes((crc >> shift) & 0x7F for shift in (28, 21, 14, 7, 0))
    extended = syncsafe(12) + b"\x01\x20\x05" + coded
    path = song(tmp_path, tag(4, extended + body, 0x40 | footer))
    tagging.check_round_trip(path, ["Jazz", "Hip-Hop"])
    data = path.read_bytes()
    end = 10 + sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    now = zlib.crc32(data[22:end])
    assert data[17:22] == bytes((now >> shift) & 0x7F for shift in (28, 21, 14, 7, 0))
    assert (data[end : end + 3] == b"3DI") == bool(footer)
    if footer:
        assert data[end + 3 : end + 10] == data[3:10]


def test_old_itunes_sizes_of_v24(tmp_path: Path) -> None:
    def wide(name: bytes, body: bytes) -> bytes:
        return name + len(body).to_bytes(4, "big") + b"\0\0" + body

    picture = wide(b"APIC", PIC[4][10:])
    path = song(tmp_path, tag(4, picture + wide(b"TIT2", b"\0A title") + bytes(20)))
    tagging.check_round_trip(path, ["x" * 200])
    assert picture in path.read_bytes()
    assert mutagen.id3.ID3(path).getall("TCON")[0].genres == ["x" * 200]


def test_flags_of_the_genre_frame(tmp_path: Path) -> None:
    packed = zlib.compress(b"\0Oldies")
    body = (7).to_bytes(4, "big") + b"\x42" + packed
    path = song(tmp_path, tag(3, frame(3, b"TCON", body, b"\x40\xa0") + bytes(60)))
    assert tagging.genres(path) == ("Oldies",)
    tagging.check_round_trip(path, ["Jazz"])
    assert frame(3, b"TCON", b"\x42\0Jazz", b"\x40\x20") in path.read_bytes()


def test_an_encrypted_genre_is_refused(tmp_path: Path) -> None:
    path = song(tmp_path, tag(3, frame(3, b"TCON", b"\x01secret", b"\0\x40")))
    with pytest.raises(TagReadError, match="encrypted"):
        tags.read(str(path))


def test_several_consecutive_tags(tmp_path: Path) -> None:
    first = tag(3, texts(3, TITLE[3]) + bytes(40))
    second = tag(4, texts(4, (b"TCON", b"Oldies"), (b"TALB", b"Second")) + bytes(3))
    path = song(tmp_path, first + second)
    assert tagging.genres(path) == ("Oldies",)
    tagging.check_round_trip(path, ["Jazz"])
    assert path.read_bytes().count(b"Jazz") == 2


def test_several_genre_frames_become_one_and_come_back(tmp_path: Path) -> None:
    body = texts(3, (b"TCON", b"Oldies"), TITLE[3], (b"TCON", b"Rock"))
    path = song(tmp_path, tag(3, body))
    assert tagging.genres(path) == ("Oldies", "Rock")
    tagging.check_round_trip(path, ["Jazz"])
    assert path.read_bytes().count(b"TCON") == 1


def test_an_appended_tag(tmp_path: Path) -> None:
    appended = tag(4, texts(4, (b"TCON", b"Oldies")), 0x10)
    path = song(tmp_path, tag(4, texts(4, TITLE[4])), appended + v1(17))
    tagging.check_round_trip(path, ["Jazz"])
    assert path.read_bytes().count(b"Jazz") == 2


@pytest.mark.parametrize("encoding", [0, 1, 2, 3])
def test_the_encoding_is_kept_where_it_holds_the_text(tmp_path: Path, encoding: int) -> None:
    codec = ("latin-1", "utf-16", "utf-16-be", "utf-8")[encoding]
    path = song(tmp_path, tag(4, frame(4, b"TCON", bytes((encoding,)) + "Öldies".encode(codec)) + bytes(99)))
    tagging.check_round_trip(path, ["Électro"])
    frames = mutagen.id3.ID3(path, translate=False).getall("TCON")
    assert (frames[0].encoding, frames[0].text) == (encoding, ["Électro"])


def test_latin1_gives_way_to_text_it_cannot_hold(tmp_path: Path) -> None:
    for version, encoding in ((3, 1), (4, 3)):
        path = song(tmp_path, tag(version, texts(version, (b"TCON", b"Oldies")) + bytes(99)))
        tagging.check_round_trip(path, ["ヴィジュアル系"])
        assert mutagen.id3.ID3(path, translate=False).getall("TCON")[0].encoding == encoding


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"(17)", ("Rock",)),
        (b"17", ("Rock",)),
        (b"(4)Eurodisco", ("Disco", "Eurodisco")),
        (b"(31)(39)", ("Trance", "Noise")),
        (b"(RX)", ("Remix",)),
        (b"Rock; Jazz", ("Rock", "Jazz")),
        (b"Rock/Jazz", ("Rock/Jazz",)),
        (b"", ()),
    ],
)
def test_genre_numbers_are_resolved(tmp_path: Path, text: bytes, read: tuple[str, ...]) -> None:
    path = song(tmp_path, tag(3, texts(3, (b"TCON", text))))
    assert tagging.genres(path) == read
    assert not read or not tags.plan_write(str(path), read).changes


def test_what_cannot_be_parsed_is_kept(tmp_path: Path) -> None:
    junk = b"\x01\x02not a frame\xff" * 5
    path = song(tmp_path, tag(3, texts(3, TITLE[3]) + junk))
    tagging.check_round_trip(path, ["Jazz"])
    assert junk in path.read_bytes()
    assert mutagen.id3.ID3(path).getall("TCON")[0].genres == ["Jazz"]


def test_a_single_id3v1_tag_gets_the_genre_in_its_byte(tmp_path: Path) -> None:
    path = song(tmp_path, b"", v1(17))
    size = path.stat().st_size
    assert tagging.genres(path) == ("Rock",)
    tagging.check_round_trip(path, ["Hip-Hop"])
    assert path.stat().st_size == size
    assert path.read_bytes()[-1] == 7
    assert tagging.mediafile_genres(path) == ["Hip-Hop"]
    assert tagging.ffprobe_tags(path)["title"] == "V1 title"


def test_only_id3v1_is_not_hidden_by_a_new_tag(tmp_path: Path) -> None:
    path = song(tmp_path, b"", v1())
    seen = {key: value for key, value in mutagen.id3.ID3(path).items() if key != "TCON"}
    tagging.check_round_trip(path, ["Jazz", "Électro"])
    now = mutagen.id3.ID3(path)
    assert now.pop("TCON").genres == ["Jazz", "Électro"]
    assert dict(now.items()) == seen
    assert tagging.ffprobe_tags(path)["artist"] == "V1 artist"
    assert path.read_bytes()[-128:] == v1(8)


def ape(folder: Path, **items: str) -> bytes:
    path = folder / "ape"
    path.write_bytes(b"")
    made = mutagen.apev2.APEv2()
    made.update(items)
    made.save(path)
    return path.read_bytes()


LYRICS3 = b"LYRICSBEGININD0000210LYR00005hello" + b"000034LYRICS200"


@pytest.mark.parametrize("lyrics", [b"", LYRICS3, b"LYRICSBEGINhello there\xffLYRICSEND"])
@pytest.mark.parametrize("old", [b"", v1(17)])
def test_all_kinds_of_tags_at_once(tmp_path: Path, lyrics: bytes, old: bytes) -> None:
    behind = ape(tmp_path, Title="A title", Genre="Oldies", MP3GAIN_UNDO="1") + lyrics + old
    path = song(tmp_path, tag(3, texts(3, TITLE[3], (b"TCON", b"Rock")) + bytes(100)), behind)
    tagging.check_round_trip(path, ["Jazz"])
    data = path.read_bytes()
    assert mutagen.id3.ID3(path).getall("TCON")[0].genres == ["Jazz"]
    # mutagen does not look behind every kind of Lyrics3.
    alone = tmp_path / "alone.ape"
    alone.write_bytes(data[data.index(b"APETAGEX") :].removesuffix(old[:-1] + b"\x08").removesuffix(lyrics))
    assert dict(mutagen.apev2.APEv2(alone)) == {"Title": "A title", "Genre": "Jazz", "MP3GAIN_UNDO": "1"}
    assert lyrics in data
    assert not old or data.endswith(old[:-1] + b"\x08")


def test_apev2_beside_id3_gets_the_genre_if_it_had_none(tmp_path: Path) -> None:
    path = song(tmp_path, tag(4, texts(4, (b"TCON", b"Rock"))), ape(tmp_path, MP3GAIN_UNDO="1"))
    tagging.check_round_trip(path, ["Jazz", "Pop"])
    assert list(mutagen.apev2.APEv2(path)["Genre"]) == ["Jazz", "Pop"]


def test_a_hidden_tag_with_another_genre_is_corrected(tmp_path: Path) -> None:
    path = song(tmp_path, tag(4, texts(4, (b"TCON", b"Rock"))), ape(tmp_path, Genre="Oldies"))
    assert tagging.genres(path) == ("Rock",)
    tagging.check_round_trip(path, ["Rock"])
    assert mutagen.apev2.APEv2(path)["Genre"] == "Rock"


def test_a_tag_converted_by_another_program_is_still_undone(tmp_path: Path) -> None:
    path = song(tmp_path, tag(3, texts(3, TITLE[3], (b"TCON", b"(17)"))))
    plan = tagging.write(path, "Jazz")
    mutagen.id3.ID3(path).save()
    assert path.read_bytes()[3] == 4
    tagging.undo(path, plan)
    assert mutagen.id3.ID3(path).getall("TCON")[0].genres == ["Rock"]


@pytest.mark.parametrize("damage", ["size", "version", "extended"])
def test_damaged_tags_are_refused(tmp_path: Path, damage: str) -> None:
    body = texts(3, TITLE[3])
    front = {
        "size": b"ID3\3\0\0" + syncsafe(1 << 27) + body,
        "version": tag(9, body),
        "extended": tag(3, b"\x7f\xff\xff\xff" + body, 0x40),
    }[damage]
    with pytest.raises(TagReadError):
        tags.read(str(song(tmp_path, front)))


def test_raw_aac_after_an_id3_tag_is_not_taggable(tmp_path: Path) -> None:
    path = tmp_path / "a.aac"
    path.write_bytes(tag(4, texts(4, TITLE[4])) + b"\xff\xf1\x50\x80" + bytes(500))
    with pytest.raises(NotTaggableError):
        tags.read(str(path))


def test_junk_before_the_audio_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(bytes(1000) + audio(tmp_path))
    tagging.check_round_trip(path, ["Jazz"])
    assert path.read_bytes().endswith(bytes(1000) + audio(tmp_path))
