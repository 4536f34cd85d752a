"""APEv2 tags, chunks, atoms and pages put together by hand."""

from __future__ import annotations

import struct
from collections.abc import Sequence


def ape_item(key: str, value: str | bytes, *, kind: int = 0, read_only: bool = False) -> bytes:
    """Return an item; `kind` is 0 text, 1 binary, 2 address, 3 reserved."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<II", len(data), kind << 1 | read_only) + key.encode("latin-1") + b"\0" + data


def ape_tag(
    items: Sequence[bytes], *, header: bool = True, footer: bool = True, version: int = 2000, read_only: bool = False
) -> bytes:
    body = b"".join(items)
    flags = (1 << 31 if header else 0) | (0 if footer else 1 << 30) | read_only
    size = len(body) + (32 if footer else 0)

    def end(more: int) -> bytes:
        said = 0 if version == 1000 else flags | more
        return b"APETAGEX" + struct.pack("<IIII8x", version, size, len(items), said)

    return (end(1 << 29) if header else b"") + body + (end(0) if footer else b"")


def chunk(name: bytes, data: bytes, *, order: str = "little", pad: bytes = b"\0") -> bytes:
    """Return a RIFF or (order "big") IFF chunk."""
    return name + len(data).to_bytes(4, order) + data + (pad if len(data) % 2 else b"")


def atom(name: bytes, *parts: bytes, long: bool = False) -> bytes:
    body = b"".join(parts)
    if long:
        return struct.pack(">I4sQ", 1, name, len(body) + 16) + body
    return struct.pack(">I4s", len(body) + 8, name) + body


def full(name: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return atom(name, bytes((version,)) + flags.to_bytes(3, "big"), *parts)


def comments(entries: Sequence[bytes], *, vendor: bytes = b"somebody's encoder 1.0") -> bytes:
    """Return a Vorbis comment without framing bit."""
    listed = b"".join(struct.pack("<I", len(entry)) + entry for entry in entries)
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(entries)) + listed


def flac_block(kind: int, data: bytes) -> bytes:
    """Return a FLAC metadata block that is not the last."""
    return bytes((kind,)) + len(data).to_bytes(3, "big") + data
