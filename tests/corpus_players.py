"""Files with title, artist and ReplayGain in a tag that is not the container's own."""

from __future__ import annotations

import functools
import shutil
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mutagen

from tests import corpus_chunks, corpus_mp4, media
from tests.id3_bytes import frame, genre_frame, tag
from tests.other_bytes import ape_item, ape_tag, atom, chunk, comments, flac_block, full

TITLE, ARTIST = b"A title", b"An artist"
GAIN = b"\0replaygain_track_gain\0-3.00 dB"
FRAMES = [frame(3, "TIT2", b"\0" + TITLE), frame(3, "TPE1", b"\0" + ARTIST)]
TITLED = tag(3, FRAMES)
TITLED_GAIN = tag(3, [*FRAMES, frame(3, "TXXX", GAIN)])
EMPTY_ID3 = tag(3, [], padding=100)
PICTURE_ID3 = tag(3, [frame(3, "APIC", b"\0image/png\0\3\0" + bytes(50))])
ENCODER_ID3 = tag(3, [frame(3, "TSSE", b"\0Lavf")])
APPENDED = tag(4, [frame(4, "TIT2", b"\0" + TITLE), frame(4, "TPE1", b"\0" + ARTIST)], footer=True)
APE_ITEMS = [ape_item("Title", "A title"), ape_item("Artist", "An artist")]
APE_GAIN = ape_item("replaygain_track_gain", "-3.00 dB")
APE = ape_tag(APE_ITEMS)
APE_WITH_GAIN = ape_tag([*APE_ITEMS, APE_GAIN])
ONLY_GAIN = ape_tag([APE_GAIN])
EMPTY_APE = ape_tag([])


def v1(genre: int = 255, *, title: bytes = TITLE, artist: bytes = ARTIST) -> bytes:
    return b"TAG" + title.ljust(30, b"\0") + artist.ljust(30, b"\0") + bytes(30) + b"1999" + bytes(30) + bytes((genre,))


def with_genre(version: int = 3) -> bytes:
    return tag(version, [*FRAMES, genre_frame(version, "Rock")])


@dataclass(frozen=True)
class PlayerCase:
    """A file, and what it must be.

    Attributes
    ----------
    name, suffix : str
    build : callable
        Makes the file's bytes.
    genres : tuple of str
        What a player shows as its genre before.
    refused : str or None
        A word of the refusal, None if the genre must be written.
    blind : str or None
        A reader that does not show this container's genre.
    """

    name: str
    suffix: str
    build: Callable[[], bytes]
    genres: tuple[str, ...] = ()
    refused: str | None = None
    blind: str | None = None

    def __str__(self) -> str:
        return self.name


CASES: list[PlayerCase] = []


def case(
    name: str,
    suffix: str,
    build: Callable[[], bytes],
    genres: tuple[str, ...] = (),
    refused: str | None = None,
    *,
    blind: str | None = None,
) -> None:
    CASES.append(PlayerCase(name, suffix, build, genres, refused, blind))


# Audio without any tag


@functools.cache
def mp3() -> bytes:
    return media.master("mp3-bare").read_bytes()


@functools.cache
def flac(*entries: bytes) -> bytes:
    """Return a FLAC file with a comment block of these entries."""
    data, at = media.master("flac", media.clip(4)).read_bytes(), 4
    while True:
        last, size = data[at] & 0x80, int.from_bytes(data[at + 1 : at + 4], "big")
        at += 4 + size
        if last:
            break
    info = data[4:42]
    return b"fLaC" + info[:1] + info[1:] + flac_last(comments(list(entries))) + data[at:]


def flac_last(data: bytes) -> bytes:
    return bytes((0x84,)) + flac_block(4, data)[1:]


@functools.cache
def flac_without_comments() -> bytes:
    data = flac()
    return data[:4] + b"\x80" + data[5:42] + data[42 + len(flac_last(comments([]))) :]


@functools.cache
def untagged(kind: str) -> bytes:
    """Return an APEv2 kind without its tag."""
    data = media.master(kind, media.clip(4)).read_bytes()
    at = data.find(b"APETAGEX")
    return data if at < 0 else data[:at]


@functools.cache
def pcm() -> bytes:
    return media.master("wav").read_bytes()[4096 : 4096 + 44_100 * 4 * 3]


FMT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, 44100, 176400, 4, 16))
INFO_FIELDS = chunk(b"INAM", TITLE + b"\0") + chunk(b"IART", ARTIST + b"\0")
SOFTWARE = chunk(b"ISFT", b"Lavf59\0")
BEXT = chunk(b"bext", b"description".ljust(602, b"\0"))


def info(*entries: bytes) -> bytes:
    return chunk(b"LIST", b"INFO" + b"".join(entries))


def wav(*chunks: bytes, behind: tuple[bytes, ...] = ()) -> bytes:
    body = b"WAVE" + FMT + b"".join(chunks) + chunk(b"data", pcm()) + b"".join(behind)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


for _kind, _suffix in (("wavpack", ".wv"), ("musepack", ".mpc"), ("ape", ".ape")):
    case(f"{_kind}-id3", _suffix, lambda k=_kind: TITLED + untagged(k))
    case(f"{_kind}-id3-gain", _suffix, lambda k=_kind: TITLED_GAIN + untagged(k))
    case(f"{_kind}-id3-genre", _suffix, lambda k=_kind: with_genre() + untagged(k), ("Rock",))
    case(f"{_kind}-id3-empty-ape", _suffix, lambda k=_kind: TITLED + untagged(k) + EMPTY_APE)
    case(f"{_kind}-id3-gain-ape", _suffix, lambda k=_kind: TITLED + untagged(k) + ONLY_GAIN)
    case(f"{_kind}-v1", _suffix, lambda k=_kind: untagged(k) + v1())
    case(f"{_kind}-v1-genre", _suffix, lambda k=_kind: untagged(k) + v1(17), ("Rock",))
    case(f"{_kind}-v1-gain-ape", _suffix, lambda k=_kind: untagged(k) + ONLY_GAIN + v1())
    case(f"{_kind}-id3-v1", _suffix, lambda k=_kind: TITLED + untagged(k) + v1())
    case(f"{_kind}-ape-and-id3", _suffix, lambda k=_kind: TITLED + untagged(k) + APE)
    case(f"{_kind}-plain", _suffix, lambda k=_kind: untagged(k))

for _name, _base in (
    ("empty", flac),
    ("none", flac_without_comments),
    ("encoder", lambda: flac(b"ENCODER=Lavf")),
    ("gain", lambda: flac(b"REPLAYGAIN_TRACK_GAIN=-3.00 dB")),
):
    case(f"flac-{_name}-id3", ".flac", lambda b=_base: TITLED + b())
    case(f"flac-{_name}-id3-gain", ".flac", lambda b=_base: TITLED_GAIN + b())
    case(f"flac-{_name}-id3-genre", ".flac", lambda b=_base: with_genre() + b(), ("Rock",))
    case(f"flac-{_name}-v1", ".flac", lambda b=_base: b() + v1())
    case(f"flac-{_name}-v1-genre", ".flac", lambda b=_base: b() + v1(17), ("Rock",))
    case(f"flac-{_name}-ape", ".flac", lambda b=_base: b() + APE)
    case(f"flac-{_name}-id3-v1", ".flac", lambda b=_base: TITLED + b() + v1())
    case(f"flac-{_name}-appended-id3", ".flac", lambda b=_base: b() + APPENDED)
    case(f"flac-{_name}-plain", ".flac", lambda b=_base: b())
case("flac-full-id3-genre", ".flac", lambda: with_genre() + flac(b"TITLE=A title", b"ARTIST=An artist"), ("Rock",))
case("flac-full-v1-genre", ".flac", lambda: flac(b"TITLE=A title", b"ARTIST=An artist") + v1(17), ("Rock",))
case("flac-full-id3", ".flac", lambda: TITLED + flac(b"TITLE=A title", b"ARTIST=An artist"))
case("flac-empty-empty-id3", ".flac", lambda: EMPTY_ID3 + flac())

case("mp3-ape", ".mp3", lambda: mp3() + APE)
case("mp3-ape-gain", ".mp3", lambda: mp3() + APE_WITH_GAIN)
case("mp3-ape-v1", ".mp3", lambda: mp3() + APE + v1())
case("mp3-gain-ape-v1", ".mp3", lambda: mp3() + ONLY_GAIN + v1())
case("mp3-gain-ape-id3", ".mp3", lambda: TITLED + mp3() + ONLY_GAIN)
case("mp3-empty-ape-id3", ".mp3", lambda: TITLED + mp3() + EMPTY_APE)
case("mp3-gain-ape", ".mp3", lambda: mp3() + ONLY_GAIN)
case("mp3-empty-id3-ape", ".mp3", lambda: EMPTY_ID3 + mp3() + APE)
case("mp3-picture-id3-ape", ".mp3", lambda: PICTURE_ID3 + mp3() + APE)
case("mp3-encoder-id3-ape", ".mp3", lambda: ENCODER_ID3 + mp3() + APE)
case("mp3-empty-id3-v1", ".mp3", lambda: EMPTY_ID3 + mp3() + v1())
case("mp3-picture-id3-v1", ".mp3", lambda: PICTURE_ID3 + mp3() + v1())
case("mp3-encoder-id3-v1", ".mp3", lambda: ENCODER_ID3 + mp3() + v1())
case("mp3-zeros-id3", ".mp3", lambda: bytes(512) + TITLED + mp3())
case("mp3-zeros-id3-genre", ".mp3", lambda: bytes(512) + with_genre() + mp3(), ("Rock",))
case("mp3-junk-id3", ".mp3", lambda: b"junk" * 20 + TITLED + mp3())
case("mp3-frames-id3", ".mp3", lambda: mp3()[:4180] + TITLED + mp3())
case("mp3-empty-id3-id3", ".mp3", lambda: EMPTY_ID3 + TITLED + mp3())
case("mp3-appended-id3", ".mp3", lambda: mp3() + APPENDED)
case("mp3-v1", ".mp3", lambda: mp3() + v1())
case("mp3-v1-latin1", ".mp3", lambda: mp3() + v1(title="Un café".encode("latin-1")))
case("mp3-v1-utf8", ".mp3", lambda: mp3() + v1(title="Песня".encode()))
case("mp3-v1-cp1251", ".mp3", lambda: mp3() + v1(title="Песня".encode("cp1251")))
case("mp3-v1-sjis", ".mp3", lambda: mp3() + v1(title="日本の歌".encode("shift-jis")))
case("mp3-plain", ".mp3", mp3)

case("wav-plain", ".wav", lambda: wav())
case("wav-info", ".wav", lambda: wav(info(INFO_FIELDS)))
case("wav-info-behind", ".wav", lambda: wav(behind=(info(INFO_FIELDS),)))
case("wav-info-software", ".wav", lambda: wav(info(SOFTWARE)))
case("wav-info-software-id3", ".wav", lambda: wav(info(SOFTWARE), behind=(chunk(b"id3 ", TITLED),)))
case("wav-info-empty-id3", ".wav", lambda: wav(info(INFO_FIELDS), behind=(chunk(b"id3 ", EMPTY_ID3),)))
case("wav-info-encoder-id3", ".wav", lambda: wav(info(INFO_FIELDS), behind=(chunk(b"id3 ", ENCODER_ID3),)))
case("wav-info-id3", ".wav", lambda: wav(info(INFO_FIELDS), behind=(chunk(b"id3 ", TITLED),)))
case("wav-empty-info-id3", ".wav", lambda: wav(info(), behind=(chunk(b"id3 ", TITLED),)))
case("wav-id3", ".wav", lambda: wav(behind=(chunk(b"id3 ", TITLED),)))
case("wav-bext", ".wav", lambda: wav(BEXT))
case("wav-bext-id3", ".wav", lambda: wav(BEXT, behind=(chunk(b"id3 ", TITLED),)))
case("wav-bext-info", ".wav", lambda: wav(BEXT, info(INFO_FIELDS)))
case(
    "wav-two-infos",
    ".wav",
    lambda: wav(info(INFO_FIELDS), behind=(info(chunk(b"ICMT", b"odd\0"), chunk(b"IGNR", b"Rock\0")),)),
    ("Rock",),
)
case(
    "wav-two-infos-two-genres",
    ".wav",
    lambda: wav(info(INFO_FIELDS, chunk(b"IGNR", b"Pop\0")), behind=(info(chunk(b"IGNR", b"Rock\0")),)),
    ("Pop",),
)


def iff(name: bytes, data: bytes) -> bytes:
    return chunk(name, data, order="big")


def aiff(*chunks: bytes) -> bytes:
    sound = pcm()
    comm = struct.pack(">HIH", 2, len(sound) // 4, 16) + b"\x40\x0e\xac\x44\0\0\0\0\0\0"
    body = b"AIFF" + iff(b"COMM", comm) + b"".join(chunks) + iff(b"SSND", bytes(8) + sound)
    return b"FORM" + len(body).to_bytes(4, "big") + body


case("aiff-plain", ".aiff", lambda: aiff())
case("aiff-name", ".aiff", lambda: aiff(iff(b"NAME", TITLE), iff(b"AUTH", ARTIST)), blind="mpd")
case(
    "aiff-name-empty-id3",
    ".aiff",
    lambda: aiff(iff(b"NAME", TITLE), iff(b"AUTH", ARTIST), iff(b"ID3 ", EMPTY_ID3)),
    blind="mpd",
)
case(
    "aiff-name-id3", ".aiff", lambda: aiff(iff(b"NAME", TITLE), iff(b"AUTH", ARTIST), iff(b"ID3 ", TITLED)), blind="mpd"
)


@functools.cache
def ogg(kind: str, *entries: bytes) -> bytes:
    """Return an Ogg file whose comment has just these entries."""
    path = media.master(kind)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(path, folder))
        made = mutagen.File(copy)
        made.tags.clear()
        for entry in entries:
            key, _, value = entry.decode().partition("=")
            made[key] = value
        made.save()
        return copy.read_bytes()


for _kind, _suffix in (("ogg-vorbis", ".ogg"), ("opus", ".opus"), ("ogg-flac", ".oga"), ("ogg-speex", ".spx")):
    case(f"{_kind}-plain", _suffix, lambda k=_kind: ogg(k))
    case(f"{_kind}-id3", _suffix, lambda k=_kind: TITLED + ogg(k))
    case(f"{_kind}-id3-genre", _suffix, lambda k=_kind: with_genre() + ogg(k), ("Rock",))
    case(f"{_kind}-v1", _suffix, lambda k=_kind: ogg(k) + v1())
    case(f"{_kind}-ape", _suffix, lambda k=_kind: ogg(k) + APE)
    case(f"{_kind}-encoder-id3", _suffix, lambda k=_kind: TITLED + ogg(k, b"ENCODER=Lavf"))
    case(f"{_kind}-full-id3-genre", _suffix, lambda k=_kind: with_genre() + ogg(k, b"TITLE=A title"), ("Rock",))


@functools.cache
def tta() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tta"
        media.ffmpeg("-i", media.JAZZ, "-t", "3", "-map_metadata", "-1", "-c:a", "tta", path)
        data = path.read_bytes()
        return data[data.index(b"TTA1") : data.find(b"APETAGEX")]


case("tta-plain", ".tta", tta)
case("tta-ape", ".tta", lambda: tta() + APE)
case("tta-v1", ".tta", lambda: tta() + v1())
case("tta-id3-gain-ape", ".tta", lambda: TITLED + tta() + ONLY_GAIN)
case("tta-empty-id3-ape", ".tta", lambda: EMPTY_ID3 + tta() + APE)

for _version in (2, 3, 4):
    _name = "TXX" if _version == 2 else "TXXX"
    _title = frame(_version, "TT2" if _version == 2 else "TIT2", b"\0" + TITLE)
    for _key in (b"GENRE", b"genre"):
        _alias = tag(_version, [_title, frame(_version, _name, b"\0" + _key + b"\0Rock")])
        case(
            f"mp3-v2{_version}-txxx-{_key.decode() if _key == b'GENRE' else 'lower'}",
            ".mp3",
            lambda t=_alias: t + mp3(),
            ("Rock",),
        )
        case(
            f"wav-v2{_version}-txxx-{_key.decode() if _key == b'GENRE' else 'lower'}",
            ".wav",
            lambda t=_alias: wav(behind=(chunk(b"id3 ", t),)),
            ("Rock",),
        )
_both = tag(3, [*FRAMES, frame(3, "TXXX", b"\0GENRE\0Pop"), genre_frame(3, "Rock")])
case("mp3-tcon-and-txxx", ".mp3", lambda: _both + mp3(), ("Rock",))


# MP4: homes of a title and a genre besides moov.udta.meta.ilst


def mp4(
    *, udta: bytes = b"", in_moov: bytes = b"", in_trak: bytes = b"", at_top: bytes = b"", brand: bytes = b"M4A "
) -> bytes:
    """Return an MP4 file with these atoms in moov.udta, moov, the first trak, and at file level."""
    tops = corpus_mp4.audio_atoms("m4a-aac")
    ftyp = atom(b"ftyp", brand + bytes(4) + brand + b"isom")
    moov = tops[b"moov"]
    children = [moov[start:end] for _, start, _, end in corpus_mp4.atoms(moov, 8)]
    if in_trak:
        children = [atom(b"trak", child[8:], in_trak) if child[4:8] == b"trak" else child for child in children]
    moov = atom(b"moov", *children, atom(b"udta", udta) if udta else b"", in_moov)
    front = len(ftyp) + len(at_top)
    return ftyp + at_top + tops[b"mdat"] + corpus_mp4.moved(moov, front)


def quicktime(name: bytes, text: bytes) -> bytes:
    return atom(name, struct.pack(">HH", len(text), 0x55C4) + text)


def threegp(name: bytes, text: bytes) -> bytes:
    return full(name, b"\x15\xc7" + text + b"\0")


def ilst(*items: bytes) -> bytes:
    return full(b"meta", full(b"hdlr", bytes(4) + b"mdirappl" + bytes(9)), atom(b"ilst", *items))


NAME_ITEMS = (corpus_mp4.item(b"\xa9nam", TITLE), corpus_mp4.item(b"\xa9ART", ARTIST))
GENRE_ITEM = corpus_mp4.item(b"\xa9gen", b"Rock")
QT_FIELDS = quicktime(b"\xa9nam", TITLE) + quicktime(b"\xa9ART", ARTIST)
GP_FIELDS = threegp(b"titl", TITLE) + threegp(b"perf", ARTIST)
case("mp4-plain", ".m4a", mp4)
case("mp4-ilst", ".m4a", lambda: mp4(udta=ilst(*NAME_ITEMS)))
case("mp4-quicktime", ".m4a", lambda: mp4(udta=QT_FIELDS))
case("mp4-quicktime-genre", ".m4a", lambda: mp4(udta=QT_FIELDS + quicktime(b"\xa9gen", b"Rock")), ("Rock",))
case(
    "mp4-quicktime-genre-and-ilst",
    ".m4a",
    lambda: mp4(udta=quicktime(b"\xa9gen", b"Rock") + ilst(*NAME_ITEMS)),
    ("Rock",),
)
case(
    "mp4-quicktime-and-ilst-genre",
    ".m4a",
    lambda: mp4(udta=quicktime(b"\xa9gen", b"Pop") + ilst(*NAME_ITEMS, GENRE_ITEM)),
    ("Rock",),
)
case("mp4-3gp", ".m4a", lambda: mp4(udta=GP_FIELDS, brand=b"3gp6"))
case("mp4-3gp-genre", ".m4a", lambda: mp4(udta=GP_FIELDS + threegp(b"gnre", b"Rock"), brand=b"3gp6"), ("Rock",))
case("mp4-meta-in-moov", ".m4a", lambda: mp4(in_moov=ilst(*NAME_ITEMS)))
case("mp4-meta-in-moov-genre", ".m4a", lambda: mp4(in_moov=ilst(*NAME_ITEMS, GENRE_ITEM)), ("Rock",))
case(
    "mp4-meta-in-trak-genre",
    ".m4a",
    lambda: mp4(in_trak=atom(b"udta", ilst(*NAME_ITEMS, GENRE_ITEM))),
    ("Rock",),
)
case("mp4-meta-direct-in-trak-genre", ".m4a", lambda: mp4(in_trak=ilst(*NAME_ITEMS, GENRE_ITEM)), ("Rock",))
case("mp4-meta-at-top", ".m4a", lambda: mp4(at_top=ilst(*NAME_ITEMS)))
case("mp4-meta-at-top-genre", ".m4a", lambda: mp4(at_top=ilst(*NAME_ITEMS, GENRE_ITEM)), ("Rock",))
case(
    "mp4-quicktime-in-trak-genre",
    ".m4a",
    lambda: mp4(in_trak=atom(b"udta", QT_FIELDS, quicktime(b"\xa9gen", b"Rock"))),
    ("Rock",),
)
case("mp4-freeform-genre", ".m4a", lambda: mp4(udta=ilst(*NAME_ITEMS, corpus_mp4.freeform("GENRE", "Rock"))), ("Rock",))
case("mp4-second-ilst-genre", ".m4a", lambda: mp4(udta=ilst(*NAME_ITEMS) + ilst(GENRE_ITEM)), ("Rock",))
case("mp4-v1", ".m4a", lambda: mp4() + v1(), refused="ID3v1")
case("mp4-ape", ".m4a", lambda: mp4() + APE, refused="after the audio")
case("mp4-ilst-v1", ".m4a", lambda: mp4(udta=ilst(*NAME_ITEMS)) + v1())
case("mp4-junk", ".m4a", lambda: mp4() + b"some junk behind the file")
case("wav-v1", ".wav", lambda: wav() + v1(), refused="ID3v1")
case("wav-ape", ".wav", lambda: wav() + APE, refused="after the audio")
case("wav-info-v1", ".wav", lambda: wav(info(INFO_FIELDS)) + v1())
case("aiff-v1", ".aiff", lambda: aiff() + v1(), refused="ID3v1")

# LIST-INFO as careless programs write it

_ODD = b"INAM" + (3).to_bytes(4, "little") + b"abc"
_IGNR = b"IGNR" + (5).to_bytes(4, "little") + b"Rock\0"
case(
    "wav-info-without-pads",
    ".wav",
    lambda: wav(info(_ODD, _IGNR, chunk(b"IART", ARTIST + b"\0"))),
    ("Rock",),
    blind="mpd",
)
# Of equal length before and after, so that no size changes and the edits stand in the order of the file.
_FULL_ID3, _FULL_INFO = chunk(b"id3 ", with_genre()), info(INFO_FIELDS, chunk(b"IGNR", b"Rock\0"))
case("wav-id3-before-info", ".wav", lambda: wav(_FULL_ID3, _FULL_INFO), ("Rock",))
case("wav-info-before-id3", ".wav", lambda: wav(_FULL_INFO, _FULL_ID3), ("Rock",))
case("wav-id3-before-data-and-info-behind", ".wav", lambda: wav(_FULL_ID3, behind=(_FULL_INFO,)), ("Rock",))
case("wav-info-unknown-entry", ".wav", lambda: wav(info(INFO_FIELDS, chunk(b"IXYZ", b"x\0"))))
case("wav-info-latin1", ".wav", lambda: wav(info(chunk(b"INAM", b"Un caf\xe9\0"))))


# ASF


@functools.cache
def wma(*attributes: tuple[str, str]) -> bytes:
    """Return a WMA file with just these attributes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(media.master("wma"), folder))
        made = mutagen.File(path)
        made.tags.clear()
        for key, value in attributes:
            made[key] = value
        made.save()
        return path.read_bytes()


_WMA_FIELDS = (("Title", "A title"), ("Author", "An artist"))
case("wma-plain", ".wma", wma)
case("wma-full", ".wma", lambda: wma(*_WMA_FIELDS))
case("wma-genre-attribute", ".wma", lambda: wma(*_WMA_FIELDS, ("Genre", "Rock")), ("Rock",))
case("wma-v1", ".wma", lambda: wma() + v1(), refused="ID3v1")
case("wma-full-v1", ".wma", lambda: wma(*_WMA_FIELDS) + v1())
case("dsf-plain-v1", ".dsf", lambda: dsf() + v1(), refused="ID3v1")


def dsf() -> bytes:
    return next(shape for shape in corpus_chunks.shapes if shape.name == "dsf-no-tag").build().data
