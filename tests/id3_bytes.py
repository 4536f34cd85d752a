"""ID3 tags put together by hand, byte by byte, so that tests depend on no library's idea of a valid tag.

References
----------
id3.org: ID3 tag version 2.2.0; 2.3.0; 2.4.0 main structure and native frames; Chapter Frame Addendum. Lyrics3 v2.00.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence


def _png(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


# A picture of one pixel, with a private part that holds every byte.
PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _png(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + _png(b"prVt", bytes(range(256)) * 3)
    + _png(b"IDAT", zlib.compress(b"\0\x80"))
    + _png(b"IEND", b"")
)
SYNCS = b"\xff\xe0\xff\x00\xff\xff\xfb\x90\x00\xff"  # every case unsynchronisation knows, ends in FF


def syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def unsynced(data: bytes) -> bytes:
    data = re.sub(rb"\xff(?=[\xe0-\xff\x00])", b"\xff\x00", data)
    return data + b"\0" if data.endswith(b"\xff") else data


def frame(
    version: int, name: str, body: bytes, *, flags: int = 0, wide: bool = False, claim: int | None = None
) -> bytes:
    """Return a frame; `wide` writes a v2.4 size as old iTunes did, `claim` lies about the size."""
    size = len(body) if claim is None else claim
    if version == 2:
        return name.encode("latin-1") + size.to_bytes(3, "big") + body
    number = syncsafe(size) if version == 4 and not wide else size.to_bytes(4, "big")
    return name.encode("latin-1") + number + flags.to_bytes(2, "big") + body


def tag(
    version: int,
    frames: Sequence[bytes],
    *,
    flags: int = 0,
    extended: bytes = b"",
    padding: int = 0,
    footer: bool = False,
    unsync: bool = False,
    claim: int | None = None,
) -> bytes:
    """Return a tag; `unsync` applies unsynchronisation to the whole of it (v2.2, v2.3) or only says so (v2.4)."""
    body = extended + b"".join(frames)
    if unsync and version < 4:
        body = unsynced(body)
    body += bytes(padding)
    flags |= (0x80 if unsync else 0) | (0x40 if extended else 0) | (0x10 if footer else 0)
    rest = bytes((version, 0, flags)) + syncsafe(len(body) if claim is None else claim)
    return b"ID3" + rest + body + (b"3DI" + rest if footer else b"")


def text(value: str, encoding: int = 0) -> bytes:
    """Return the body of a text frame."""
    return bytes((encoding,)) + value.encode(("latin-1", "utf-16", "utf-16-be", "utf-8")[encoding])


def v1(*, genre: int = 255, title: bytes = b"V1 title", comment: bytes = b"V1 comment\0junk\xff") -> bytes:
    return b"TAG" + struct.pack("30s30s30s4s30sB", title, b"V1 artist", b"V1 album", b"1999", comment, genre)


def v1_enhanced(genre: bytes = b"Jazz") -> bytes:
    return b"TAG+" + struct.pack(
        "60s60s60sB30s6s6s", b"long title", b"long artist", b"long album", 2, genre, b"0:00", b"9:59"
    )


def lyrics3_v1(words: bytes = b"[00:01]La la\r\n") -> bytes:
    return b"LYRICSBEGIN" + words + b"LYRICSEND"


def lyrics3_v2() -> bytes:
    fields = b"".join(
        name + b"%05d" % len(data) + data
        for name, data in ((b"IND", b"110"), (b"LYR", b"La la"), (b"EAL", b"Long album"))
    )
    body = b"LYRICSBEGIN" + fields
    return body + b"%06d" % len(body) + b"LYRICS200"


def _chapter(version: int) -> bytes:
    inside = frame(version, "TIT2", text("Chapter one")) + frame(version, "TCON", text("Speech"))
    return b"ch1\0" + struct.pack(">IIII", 0, 5000, 0xFFFFFFFF, 0xFFFFFFFF) + inside


def _contents(version: int) -> bytes:
    return b"toc\0" + b"\x03\x02ch1\0ch2\0" + frame(version, "TIT2", text("Contents"))


# Bodies of the frames that are no plain text and no plain address, as the standard lays them out.
_BODIES: dict[str, bytes] = {
    "AENC": b"owner@example.org\0\x00\x01\x00\x02key",
    "APIC": b"\0image/png\0\x03cover\0" + PNG,
    "ASPI": struct.pack(">IIHB", 1000, 20000, 4, 8) + b"\x01\x40\x80\xff",
    "COMM": b"\0engshort\0A comment, \xe4\xf6\xfc",
    "COMR": b"\0EUR12\x0020300101http://example.org\0\x02seller\0description\0image/png\0" + PNG[:64],
    "ENCR": b"owner\0\x80data",
    "EQU2": b"\x01curve\0" + struct.pack(">HhHh", 200, 512, 8000, -512),
    "ETCO": b"\x02" + struct.pack(">BIBI", 2, 1000, 3, 9000),
    "GEOB": b"\0text/plain\0file.txt\0described\0" + SYNCS,
    "GRID": b"owner\0\x81data",
    "IPLS": b"\0engineer\0Someone\0producer\0Another",
    "LINK": b"APIChttp://example.org/x.mp3\0more",
    "MCDI": bytes(range(256)),
    "MLLT": struct.pack(">H", 2) + b"\0\1\0\0\0\x1a\x04\x04" + b"\x12\x34",
    "OWNE": b"\0EUR5\x0020200101shop",
    "PCNT": b"\0\0\1\0",
    "PCST": b"\0\0\0\0",
    "POPM": b"me@example.org\0\xff\0\0\0\x07",
    "POSS": b"\x02\0\0\x10\0",
    "PRIV": b"WM/MediaClassPrimaryID\0" + bytes(range(240, 256)) + SYNCS,
    "RBUF": b"\0\x10\0\1\0\0\0\0",
    "RVA2": b"track\0\x01\xfb\x8c\x10\x12\x34",
    "RVAD": b"\x03\x10\0\1\0\2\0\3\0\4",
    "RVRB": struct.pack(">HH8B", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
    "SEEK": b"\0\0\0\0",
    "SIGN": b"\x81signature",
    "SYLT": b"\0eng\x02\x01words\0La\0\0\0\0\x10la\0\0\0\0\x20",
    "SYTC": b"\x02\x78\0\0\0\0",
    "TIPL": b"\0engineer\0Someone",
    "TMCL": b"\0drums\0Someone",
    "TXXX": b"\0replaygain_track_gain\0-6.20 dB",
    "UFID": b"http://musicbrainz.org\x000f5d1c6c-8d9b-4d3a-8cfd-5f2f0c2b6b1c",
    "USER": b"\0engterms of use",
    "USLT": b"\0eng\0line one\nline two",
    "WXXX": b"\0homepage\0http://example.org/",
}
_BODIES_2_2: dict[str, bytes] = {
    "BUF": _BODIES["RBUF"],
    "CNT": _BODIES["PCNT"],
    "COM": _BODIES["COMM"],
    "CRA": _BODIES["AENC"],
    "CRM": b"owner\0contents\0encrypted frame",
    "ETC": _BODIES["ETCO"],
    "GEO": _BODIES["GEOB"],
    "IPL": _BODIES["IPLS"],
    "LNK": b"PIChttp://example.org/x.mp3\0more",
    "MCI": _BODIES["MCDI"],
    "MLL": _BODIES["MLLT"],
    "PIC": b"\0PNG\x03cover\0" + PNG,
    "POP": _BODIES["POPM"],
    "REV": _BODIES["RVRB"],
    "RVA": _BODIES["RVAD"],
    "SLT": _BODIES["SYLT"],
    "STC": _BODIES["SYTC"],
    "TXX": _BODIES["TXXX"],
    "UFI": _BODIES["UFID"],
    "ULT": _BODIES["USLT"],
    "WXX": _BODIES["WXXX"],
}
_TEXTS = {
    "TBPM": "120",
    "TDRC": "1999-12-31",
    "TYER": "1999",
    "TDAT": "3112",
    "TIME": "2359",
    "TRCK": "3/12",
    "TBP": "120",
}


def body(version: int, name: str) -> bytes:
    """Return valid content for any kind of frame."""
    if name == "CHAP":
        return _chapter(version)
    if name == "CTOC":
        return _contents(version)
    special = (_BODIES_2_2 if version == 2 else _BODIES).get(name)
    if special is not None:
        return special
    if name.startswith("W"):
        return b"http://example.org/" + name.encode()
    encodings = 4 if version == 4 else 2
    return text(_TEXTS.get(name, f"Text of {name}"), sum(name.encode()) % encodings)


def other_frames(version: int, names: Sequence[str]) -> list[bytes]:
    """Return one frame of each kind in `names`."""
    return [frame(version, name, body(version, name)) for name in names]


def some_frames(version: int) -> list[bytes]:
    """Return a handful of frames as any song has them."""
    usual = ("TT2", "TP1", "TRK", "COM", "PIC") if version == 2 else ("TIT2", "TPE1", "TRCK", "COMM", "APIC", "PRIV")
    return other_frames(version, usual)


def genre_frame(version: int, value: str, encoding: int = 0) -> bytes:
    return frame(version, "TCO" if version == 2 else "TCON", text(value, encoding))
