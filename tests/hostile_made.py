"""Hostile files that mutation does not find: absurd sizes, deep nesting, polyglots, bombs, huge sparse files."""

from __future__ import annotations

import functools
import io
import os
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from genrify_tagger.tags.memory_budget import MAX_TAG
from tests import media
from tests.corpus_chunks import FMT, fmt, sound
from tests.corpus_mp3 import audio
from tests.corpus_mp4 import HDLR, audio_atoms, item, meta, moved
from tests.corpus_rest import EXTENDED, LIBRARY, _asf, asf_object, attribute, extension, library, untagged
from tests.corpus_rest import HEADER as ASF_HEADER
from tests.corpus_xiph import _flac, _flac_file
from tests.hostile import Hostile
from tests.id3_bytes import frame, genre_frame, lyrics3_v1, some_frames, syncsafe, tag, text, v1
from tests.ogg_bytes import paged, with_comment
from tests.other_bytes import ape_item, ape_tag, atom, chunk, comments, flac_block

GIB = 1 << 30


def _nested(name: bytes, depth: int, inside: bytes = b"") -> bytes:
    """Return atoms (or RIFF chunks) within atoms, built from the inside without copying it all each time."""
    heads = [struct.pack(">I4s", 8 * (depth - level) + len(inside), name) for level in range(depth)]
    return b"".join(heads) + inside


def _chapters(depth: int) -> bytes:
    inside = text("deep")
    body = frame(4, "TIT2", inside)
    for _ in range(depth):
        body = frame(4, "CHAP", b"c\0" + bytes(16) + body)
    return body


def _contents(depth: int) -> bytes:
    body = frame(4, "TIT2", text("deep"))
    for _ in range(depth):
        body = frame(4, "CTOC", b"c\0\3\0" + body)
    return body


@functools.cache
def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1 << 24)) for _ in range(size >> 24)]
    return b"".join(parts) + packer.flush()


def deep() -> Iterator[Hostile]:
    yield Hostile("deep-chapters.mp3", tag(4, [_chapters(3000), genre_frame(4, "Rock")]) + audio())
    yield Hostile("deep-contents.mp3", tag(4, [_contents(3000)]) + audio())
    ftyp, mdat = audio_atoms("m4a-aac")[b"ftyp"], audio_atoms("m4a-aac")[b"mdat"]
    for name in (b"moov", b"udta", b"meta", b"trak", b"ilst", b"\xa9gen"):
        yield Hostile(f"deep-{name.hex()}.m4a", ftyp + _nested(name, 20_000) + mdat)
        yield Hostile(f"deep-moov-{name.hex()}.m4a", ftyp + mdat + atom(b"moov", _nested(name, 20_000)))
    yield Hostile("deep-list.wav", b"RIFF\xff\xff\0\0WAVE" + fmt() + b"LIST\xf0\xff\0\0INFO" * 5000 + sound())


def limits() -> Iterator[Hostile]:
    """Tags at their limits: as large, as many and as lying as the format can say."""
    yield Hostile("tags-100000.mp3", tag(4, []) * 100_000 + audio())
    yield Hostile("frames-500000.mp3", tag(3, [frame(3, "TXXX", b"\0a\0") * 500_000]) + audio())
    yield Hostile("genres-50000.mp3", tag(4, [genre_frame(4, "Rock") * 50_000]) + audio())
    yield Hostile("values-200000.mp3", tag(4, [genre_frame(4, "R\0" * 200_000)]) + audio())
    yield Hostile("tag-claims-256m.mp3", tag(4, some_frames(4), claim=(1 << 28) - 1) + audio())
    yield Hostile("frame-claims-4g.mp3", tag(3, [frame(3, "TCON", b"\0x", claim=0xFFFFFFFF)]) + audio())
    yield Hostile("lyrics-1000.mp3", audio() + lyrics3_v1() * 1000)
    yield Hostile("lyrics-claims.mp3", audio() + b"LYRICSBEGIN" + b"999999LYRICS200" + v1())
    yield Hostile("ape-3000.mp3", audio() + ape_tag([ape_item("Title", "x")]) * 3000)
    yield Hostile("ape-claims-4g.mp3", audio() + ape_tag([]).replace(struct.pack("<I", 32), b"\xff" * 4))
    yield Hostile(
        "ape-items-4g.wv", untagged("wavpack") + b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 0xFFFFFFFF, 0)
    )
    yield Hostile("ape-items-100000.wv", untagged("wavpack") + ape_tag([ape_item(f"k{n}", "") for n in range(100_000)]))
    yield Hostile("appended-3000.mp3", audio() + tag(4, [], footer=True) * 3000)
    yield Hostile("blocks-100000.flac", _flac_file([flac_block(1, b"")] * 100_000))
    yield Hostile("comments-1000000.flac", _flac_file([flac_block(4, comments([b"GENRE=Rock"] * 1_000_000))]))
    yield Hostile("comments-claim-4g.flac", _flac_file([flac_block(4, struct.pack("<II", 0, 0xFFFFFFFF))]))
    yield Hostile("vendor-claims-4g.flac", _flac_file([flac_block(4, b"\xff\xff\xff\xff")]))
    yield Hostile("no-last-block.flac", b"fLaC" + flac_block(0, _flac()[0]) + flac_block(1, bytes(100)))
    vorbis = media.master("ogg-vorbis").read_bytes()
    yield Hostile(
        "comments-claim-4g.ogg", with_comment(vorbis, b"\3vorbis" + struct.pack("<II", 0, 0xFFFFFFFF) + b"\1")
    )
    yield Hostile("comments-16m.ogg", with_comment(vorbis, b"\3vorbis" + comments([b"A=" + bytes(16 << 20)]) + b"\1"))
    yield Hostile("pages-empty.ogg", vorbis[:58] + b"".join(map(bytes, paged([b""] * 100_000, 7, first=1))))
    yield Hostile(
        "streams-5000.ogg",
        b"".join(bytes(p) for n in range(5000) for p in paged([b"\1vorbis" + bytes(23)], n, first=0, flags=2)),
    )
    yield Hostile(
        "page-never-ends.opus",
        media.master("opus").read_bytes()[:47] + bytes(paged([bytes(65_025)], 1, first=1)[0]) * 200,
    )
    yield Hostile("chunks-200000.wav", b"RIFF\xff\xff\xff\x7fWAVE" + fmt() + chunk(b"junk", b"") * 200_000 + sound())
    yield Hostile(
        "attributes-65535.wma",
        _wma(asf_object(EXTENDED, struct.pack("<H", 65_535) + attribute("WM/Genre", b"R\0\0\0") * 65_535)),
    )
    yield Hostile("objects-claim.wma", _wma(asf_object(b"\1" * 16, b"x"), count=0xFFFFFFFF))
    yield Hostile("object-of-zero.wma", _wma(b"\1" * 16 + bytes(8)))
    many = [item(b"\xa9gen", b"R") * 50_000]
    yield Hostile("genres-50000.m4a", _m4a(atom(b"udta", meta(many))))
    yield Hostile(
        "data-200000.m4a", _m4a(atom(b"udta", meta([atom(b"\xa9gen", atom(b"data", bytes(8), b"x") * 200_000)])))
    )
    yield Hostile("atom-of-one.m4a", audio_atoms("m4a-aac")[b"ftyp"] + b"\0\0\0\1moov" + bytes(8) + bytes(100))
    yield Hostile(
        "atom-claims-exabytes.m4a", audio_atoms("m4a-aac")[b"ftyp"] + b"\0\0\0\1moov\x7f" + b"\xff" * 7 + bytes(100)
    )
    yield Hostile("meta-short.m4a", _m4a(atom(b"udta", atom(b"meta", b"\0"))))
    yield Hostile("offsets-claim-4g.m4a", _m4a(b"").replace(b"stco\0\0\0\0\0\0\0", b"stco\0\0\0\0\xff\xff\xff"))


def largest() -> Iterator[Hostile]:
    """Tags as large as they may just be, and larger; a program that holds one several times over takes much memory."""
    size = MAX_TAG - (256 << 10)
    art = random.Random(1).randbytes(1 << 20) * (size >> 20) + bytes(size & 0xFFFFF)
    for version in (2, 3, 4):
        name = {2: "PIC", 3: "APIC", 4: "APIC"}[version]
        picture = frame(version, name, (b"\0image/png\0\3\0" + art)[: (1 << 24) - 1 if version == 2 else size])
        for place in (0, 1):
            frames = [picture]
            frames.insert(place, genre_frame(version, "Rock"))
            yield Hostile(f"largest-v2{version}-{place}.mp3", tag(version, frames, padding=1000) + audio())
        yield Hostile(f"largest-v2{version}-tight.mp3", tag(version, [picture]) + audio())
    synced = frame(3, "APIC", b"\0image/png\0\3\0" + b"\xff\0" * (size // 4))
    yield Hostile("largest-unsync.mp3", tag(3, [synced, genre_frame(3, "Rock")], unsync=True) + audio())
    yield Hostile(
        "largest-periodic.mp3", tag(3, [genre_frame(3, "Rock"), frame(3, "APIC", b"abc" * (size // 3))]) + audio()
    )
    half = frame(3, "APIC", art[: size // 2])
    yield Hostile("largest-two.mp3", tag(3, [half]) + tag(3, [half]) + audio())
    yield Hostile("largest-three.mp3", tag(3, [half]) * 3 + audio())
    yield Hostile("largest-genre.mp3", tag(4, [genre_frame(4, "R" * size)]) + audio())
    yield Hostile("largest-ape.mp3", audio() + ape_tag([ape_item("Cover Art (Front)", art, kind=1)]))
    yield Hostile("largest-genre.wv", untagged("wavpack") + ape_tag([ape_item("Genre", "R" * size)]))
    entries = [b"TITLE=x", b"METADATA_BLOCK_PICTURE=" + art[: (1 << 24) - 1000]]
    yield Hostile("largest.flac", _flac_file([flac_block(4, comments([b"GENRE=Rock", *entries]))]))
    yield Hostile("largest-genre.flac", _flac_file([flac_block(4, comments([b"GENRE=" + b"R" * (1 << 23)]))]))
    pictures = [flac_block(6, art[: (1 << 24) - 1])] * 4
    yield Hostile("largest-pictures.flac", _flac_file([flac_block(4, comments([b"GENRE=Rock"])), *pictures]))
    for kind, head, end in (("ogg-vorbis", b"\3vorbis", b"\1"), ("opus", b"OpusTags", b"")):
        body = head + comments([b"GENRE=Rock", b"METADATA_BLOCK_PICTURE=" + art]) + end
        yield Hostile(f"largest-{kind}.ogg", with_comment(media.master(kind).read_bytes(), body))
    covers = [item(b"\xa9gen", b"Rock"), item(b"covr", art), item(b"\xa9nam", b"x")]
    yield Hostile("largest.m4a", _m4a(atom(b"udta", meta(covers))))
    genre = asf_object(EXTENDED, struct.pack("<H", 1) + attribute("WM/Genre", b"R\0\0\0")) + extension()
    yield Hostile("largest.wma", _wma(genre + asf_object(b"\1" * 16, art)))
    kept = asf_object(LIBRARY, struct.pack("<H", 1) + library("WM/Picture", art, 1))
    yield Hostile(
        "largest-library.wma", _wma(genre.removesuffix(extension()) + extension(kept), count=len(_asf()[0]) + 2)
    )
    body = fmt() + sound() + chunk(b"id3 ", tag(3, [frame(3, "APIC", art), genre_frame(3, "Rock")]))
    yield Hostile("largest-id3.wav", b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body)
    body = fmt() + sound() + chunk(b"id3 ", tag(3, [frame(3, "APIC", art[: size // 2]), genre_frame(3, "Rock")]))
    body += chunk(b"LIST", b"INFO" + chunk(b"IGNR", b"Rock") + chunk(b"ICMT", art[: size // 2]))
    yield Hostile("largest.wav", b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body)


def _m4a(udta: bytes) -> bytes:
    tops = audio_atoms("m4a-aac")
    moov = atom(b"moov", tops[b"moov"][8:], udta)
    return tops[b"ftyp"] + moved(moov, len(tops[b"ftyp"]) + len(moov)) + tops[b"mdat"]


def _wma(extra: bytes, *, count: int | None = None) -> bytes:
    base, rest = _asf()
    whole = [*base, extra]
    size = sum(map(len, whole)) + 30
    head = ASF_HEADER + struct.pack("<QI", size, count or len(whole)) + b"\1\2"
    return head + b"".join(whole) + rest


def polyglots() -> Iterator[Hostile]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("song.mp3", tag(3, some_frames(3)) + audio())
    song = tag(3, some_frames(3)) + audio()
    flac, mp4, wav = _flac_file([]), _m4a(b""), media.master("wav").read_bytes()
    yield Hostile("zip-behind.mp3", song + packed.getvalue())
    yield Hostile("zip.mp3", packed.getvalue())
    yield Hostile("html.flac", b"<html><body><script>/*" + flac)
    yield Hostile("html-behind.flac", flac + b"*/</script></body></html>")
    yield Hostile("pdf.mp3", b"%PDF-1.4\n" + song)
    yield Hostile("jpeg.mp3", b"\xff\xd8\xff\xe0\0\x10JFIF\0" + song)
    yield Hostile("flac-mp3.flac", flac + song)
    yield Hostile("mp3-flac.mp3", song + flac)
    yield Hostile("id3-mp4.mp3", tag(3, [genre_frame(3, "Rock")]) + mp4)
    yield Hostile("id3-wav.mp3", tag(3, [genre_frame(3, "Rock")]) + wav)
    yield Hostile("id3-ogg.mp3", tag(3, []) + media.master("ogg-vorbis").read_bytes())
    yield Hostile("mp4-flac.m4a", mp4 + flac)
    yield Hostile("wav-ogg.wav", wav + media.master("opus").read_bytes())
    yield Hostile("ogg-mp3.ogg", media.master("ogg-vorbis").read_bytes() + song)
    yield Hostile("playlist.mp3", b"#EXTM3U\n/etc/passwd\nhttp://127.0.0.1/x.mp3\n")
    yield Hostile("concat.mp3", b"ffconcat version 1.0\nfile /etc/passwd\n")
    yield Hostile("hls.m4a", b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    yield Hostile("svg.flac", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>")
    yield Hostile("same-song-twice.mp3", song + v1() + song + v1())


def bombs() -> Iterator[Hostile]:
    """Little files that ask for much memory or time."""
    packed = _bomb(GIB)
    for version, flags, size in ((3, 0x80, b"\x40\0\0\0"), (4, 0x09, syncsafe(1 << 27))):
        name = f"bomb-v2{version}"
        yield Hostile(f"{name}-genre.mp3", tag(version, [frame(version, "TCON", size + packed, flags=flags)]) + audio())
        yield Hostile(f"{name}-art.mp3", tag(version, [frame(version, "APIC", size + packed, flags=flags)]) + audio())
        others = [frame(version, "TXXX", size + packed, flags=flags) for _ in range(8)]
        yield Hostile(f"{name}-texts.mp3", tag(version, others) + audio())
    bomb = tag(3, [frame(3, "APIC", b"\x40\0\0\0" + packed, flags=0x80)])
    yield Hostile("bomb.wav", b"RIFF\xff\xff\xff\x7fWAVE" + fmt() + sound() + chunk(b"id3 ", bomb))
    body = fmt() + sound() + chunk(b"id3 ", bomb)
    yield Hostile("bomb-sized.wav", b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body)
    info = bytearray(_flac()[0])
    for rate, name in ((1, "1hz"), (0, "0hz"), (0xFFFFF, "1mhz")):
        info[:4] = b"\xff\xff\xff\xff"
        info[10:18] = (rate << 44 | 7 << 41 | 31 << 36 | (1 << 36) - 1).to_bytes(8, "big")
        blocks = flac_block(0, bytes(info))
        yield Hostile(f"flac-{name}.flac", b"fLaC\x80" + blocks[1:] + _flac()[1])
    for rate in (0, 1, 0xFFFFFFFF):
        for channels in (0, 1, 0xFFFF):
            for bits, align in ((16, 2), (0, 0), (64, 0xFFFF)):
                head = struct.pack("<HHIIHH", 1, channels, rate, rate, align, bits)
                body = chunk(b"fmt ", head) + sound()
                name = f"wav-{rate}-{channels}-{bits}.wav"
                yield Hostile(name, b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body)
    for rate in (b"\x7f\xff" + b"\xff" * 8, bytes(10), b"\xff" * 10, b"\x40\x1d" + b"\x80" + bytes(7)):
        comm = chunk(b"COMM", struct.pack(">HIH", 1, 0xFFFFFFFF, 16) + rate, order="big")
        body = b"AIFF" + comm + chunk(b"SSND", bytes(8 + 100_000), order="big")
        yield Hostile(f"aiff-{rate[:3].hex()}.aiff", b"FORM" + len(body).to_bytes(4, "big") + body)
    wavpack = bytearray(untagged("wavpack"))
    for at, value in (
        (12, b"\xff\xff\xff\x7f"),
        (20, b"\xff\xff\xff\x7f"),
        (24, b"\xff\xff\xff\xff"),
        (24, b"\0\0\0\0"),
    ):
        mutated = bytearray(wavpack)
        mutated[at : at + 4] = value
        yield Hostile(f"wavpack-{at}-{value.hex()}.wv", bytes(mutated))
    mp4 = _m4a(b"")
    for name in (b"stts", b"stsz", b"stsc", b"mdhd", b"esds", b"stsd"):
        at = mp4.index(name)
        for offset in (4, 8, 12, 16):
            mutated = bytearray(mp4)
            mutated[at + offset : at + offset + 4] = b"\x7f\xff\xff\xff"
            yield Hostile(f"mp4-{name.decode()}-{offset}.m4a", bytes(mutated))
    monkey = b"MAC " + struct.pack("<HHIIIIIII16s", 3990, 0, 52, 24, 8, 44, 0, 1000, 0, bytes(16))
    for blocks, rate in ((0x7FFFFFFF, 44_100), (1, 1), (0x7FFFFFFF, 0x7FFFFFFF)):
        head = struct.pack("<HHIIIHHI", 5000, 0, blocks, 1, 0x7FFFFFFF, 16, 2, rate)
        yield Hostile(f"monkey-{blocks}-{rate}.ape", monkey + head + bytes(10_000))


def small() -> Iterator[Hostile]:
    """Nothing, or nearly nothing."""
    for suffix, magic in (
        (".mp3", b"ID3"), (".mp3", b"ID3\4\0\0"), (".mp3", b"TAG"), (".mp3", b"\xff\xfb"), (".flac", b"fLaC"),
        (".ogg", b"OggS"), (".m4a", b"\0\0\0\x18ftypM4A "), (".wav", b"RIFF\0\0\0\0WAVE"),
        (".aiff", b"FORM\0\0\0\0AIFF"), (".wma", b"0&\xb2u\x8ef\xcf\x11"),
        (".ape", b"MAC "), (".wv", b"wvpk"), (".mpc", b"MPCK"), (".dsf", b"DSD "), (".opus", b""), (".tta", b"TTA1"),
    ):  # fmt: skip
        yield Hostile(f"only-{magic.hex()}{suffix}", magic)
    yield Hostile("text.flac", b"this is no FLAC file\n" * 100)
    yield Hostile("ones.mp3", b"\xff" * 1_000_000)
    yield Hostile("syncs.mp3", b"\xff\xfb\x90\x00" * 250_000)
    yield Hostile("zeros.m4a", bytes(1_000_000))


MADE: tuple[Callable[[], Iterator[Hostile]], ...] = (small, deep, limits, largest, polyglots, bombs)


def made() -> Iterator[Hostile]:
    for maker in MADE:
        yield from maker()


def giants(folder: Path) -> list[Path]:
    """Make files that are huge but for the most part holes."""
    flac, mp4 = _flac_file([]), _m4a(b"")
    ftyp = audio_atoms("m4a-aac")[b"ftyp"]
    comm = b"COMM\0\0\0\x12\0\1\x7f\xff\xff\xff\0\x10\x40\x0e\xac\x44" + bytes(6)
    tree = b"\xc0\0\0\0moov\xb0\0\0\0udta\xa0\0\0\0meta\0\0\0\0" + HDLR + b"\x90\0\0\0ilst"
    head = b"RIFF\xff\xff\xff\xffWAVE" + chunk(b"fmt ", FMT) + b"data\xff\xff\xff\xff"
    riff = b"RIFF\xff\xff\xff\xffWAVE"
    head32 = fmt() + sound() + b"id3 \0\0\0\xb0" + tag(3, [genre_frame(3, "Rock")])
    starts = {
        "fmt.wav": (riff + b"fmt \0\0\0\xb0", 4 * GIB),
        "comm.aiff": (b"FORM\xff\xff\xff\xffAIFFCOMM\xb0\0\0\0", 4 * GIB),
        "id3-chunk.wav": (riff + head32, 4 * GIB),
        "uuid.m4a": (mp4 + b"\xc0\0\0\0uuid", len(mp4) + 3 * GIB),
        "zeros.mp3": (b"", 4 * GIB),
        "zeros.flac": (b"", 4 * GIB),
        "zeros.ogg": (b"", 4 * GIB),
        "id3-then-zeros.mp3": (tag(4, some_frames(4)), 8 * GIB),
        "id3-of-holes.mp3": (b"ID3\4\0\0\x7f\x7f\x7f\x7fTCON\x7f\x7f\x7f\x7f", 4 * GIB),
        "song-then-zeros.mp3": (audio(), 4 * GIB),
        "silence.wav": (head, 4 * GIB),
        "lying.wav": (head.replace(b"data\xff", b"data\x10"), 64 * GIB),
        "silence.aiff": (b"FORM\xff\xff\xff\xffAIFF" + comm + b"SSND\xff\xff\xff\xf0", 4 * GIB),
        "flac-then-zeros.flac": (flac, 8 * GIB),
        "ogg-then-zeros.ogg": (media.master("ogg-vorbis").read_bytes(), 4 * GIB),
        "mdat.m4a": (ftyp + struct.pack(">I4sQ", 1, b"mdat", 1 << 40), 1 << 40),
        "moov.m4a": (ftyp + b"\xff\xff\xff\xf0moov", 4 * GIB),
        "free.m4a": (mp4[:32] + b"\0\0\0\0free", 4 * GIB),
        "ilst.m4a": (ftyp + tree, 4 * GIB),
        "header.wma": (ASF_HEADER + struct.pack("<QI", 3 * GIB, 9) + b"\1\2", 4 * GIB),
        "wavpack-then-zeros.wv": (untagged("wavpack"), 4 * GIB),
        "zeros.dsf": (b"DSD " + struct.pack("<QQQ", 28, 4 * GIB, 3 * GIB), 4 * GIB),
    }  # fmt: skip
    paths = []
    for name, (start, size) in starts.items():
        path = folder / f"giant-{name}"
        path.write_bytes(start)
        os.truncate(path, size)
        paths.append(path)
    return paths
