"""List what a file holds besides its genre, with readers that share no code with the program under test.

exiftool and FFmpeg read many files at once, since starting them costs more than reading; Ogg pages and MP4 atoms are
listed here, because a write may move parts that it does not change.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests import media
from tests.corpus_mp4 import INSIDE, atoms
from tests.ogg_bytes import MARKS, packets, sequences

# Where things are and how large they are may change; that is what the bytes themselves are compared for.
_MAY_CHANGE = re.compile(
    r"^(SourceFile|.*System:.*|.*(Offset|Size|Padding|Free|FileLength|Unknown_ID3|Duration)|.*Genre.*|.*:TCON.*)$"
)
_BATCH = 30


def exiftool(folder: Path) -> dict[str, set[str]]:
    """Return all fields of each file in a folder, without the group they are in, but its genre, place and size."""
    command = [media.need("exiftool"), "-json", "-G0:1:4", "-a", "-struct", folder]
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    listed = json.loads(done.stdout.decode("utf-8", "replace"))
    return {Path(entry["SourceFile"]).name: set(_fields(entry)) for entry in listed}


def _fields(entry: dict[str, Any]) -> Iterator[str]:
    for key, value in entry.items():
        if not _MAY_CHANGE.match(key) and "TCON" not in str(value):
            yield f"{key.rpartition(':')[2]}: {value}"


def audio_md5(files: Sequence[Path], folder: Path) -> dict[str, str]:
    """Return FFmpeg's MD5 over the undecoded packets of all audio streams of each file."""
    found: dict[str, str] = {}
    for batch in (files[at : at + _BATCH] for at in range(0, len(files), _BATCH)):
        outputs = {path.name: folder / (path.name + ".md5") for path in batch}
        inputs = [part for path in batch for part in ("-i", path)]
        wanted = [
            part
            for index, path in enumerate(batch)
            for part in ("-map", f"{index}:a", "-c", "copy", "-f", "md5", outputs[path.name])
        ]
        command = [media.need("ffmpeg"), "-nostdin", "-v", "quiet", "-y", *inputs, *wanted]
        subprocess.run([str(part) for part in command], capture_output=True, check=False)
        for name, output in outputs.items():
            found[name] = output.read_text().strip() if output.exists() else "FFmpeg cannot open it"
    return found


def ogg(data: bytes) -> list[Any]:
    """Return all packets of an Ogg file, the genre taken out of the comments; page numbers must be in order."""
    for serial, numbers in sequences(data).items():
        assert numbers == list(range(len(numbers))), f"stream {serial}: pages are numbered {numbers}"
    seen: dict[int, int] = {}
    listed: list[Any] = []
    for packet in packets(data):
        seen[packet.serial] = seen.get(packet.serial, 0) + 1
        # What page a packet of comments ends on may change, and with it which packet tells that page's position.
        header = seen[packet.serial] <= 3 and not packet.granule
        body = _without_genre(packet.data) if seen[packet.serial] == 2 else packet.data
        listed.append((packet.serial, body, None if header else packet.granule))
    return listed


def _without_genre(packet: bytes) -> Any:
    start = next((len(mark) for mark in MARKS if packet.startswith(mark)), 4 if packet[:1] in (b"\x04", b"\x84") else 0)
    try:
        length = struct.unpack_from("<I", packet, start)[0]
        vendor, at = packet[start + 4 : start + 4 + length], start + 4 + length
        (count,), at = struct.unpack_from("<I", packet, at), at + 4
        entries = []
        for _ in range(count):
            length = struct.unpack_from("<I", packet, at)[0]
            entries.append(packet[at + 4 : at + 4 + length])
            at += 4 + length
    except struct.error:
        return packet
    return vendor, [e for e in entries if e.partition(b"=")[0].lower() != b"genre"], packet[at:].rstrip(b"\0")


def mp4(data: bytes) -> list[Any]:
    """Return all atoms of an MP4 file but the genre and free space; places of samples as what stands there."""
    return list(_mp4_level(data, 0, len(data), ()))


def _mp4_level(data: bytes, start: int, end: int, above: tuple[bytes, ...]) -> Iterator[Any]:
    for name, _, content, stop in atoms(data, start, end):
        where = (*above, name)
        freeform = name == b"----" and b"name\0\0\0\0GENRE" in data[content:stop]
        if name in (b"\xa9gen", b"gnre", b"free", b"skip") or freeform:
            continue
        if name in INSIDE or name == b"mfra":
            # A list of atoms may end with four zero bytes, as QuickTime writes it.
            yield from _mp4_level(data, content, stop - (4 if stop - content == 4 else 0), where)
        elif name == b"meta" and data[content + 4 : content + 8] == b"hdlr":
            yield from _mp4_level(data, content, stop, where)
        elif name == b"meta":
            yield from _mp4_level(data, content + 4, stop, where)
        elif name == b"ilst":
            yield from _mp4_level(data, content, stop, where)
        elif name in (b"stco", b"co64"):
            yield where, list(_samples(data, content, 4 if name == b"stco" else 8))
        elif name == b"tfra":
            yield where, list(_fragments(data, content))
        elif name == b"tfhd" and data[content + 3] & 1:
            base = int.from_bytes(data[content + 8 : content + 16], "big")
            yield where, data[content : content + 8], data[base : base + 32], data[content + 16 : stop]
        elif name != b"meta" or above[-1:] != (b"udta",):
            yield where, data[content:stop]


def _samples(data: bytes, content: int, width: int) -> Iterable[bytes]:
    count = int.from_bytes(data[content + 4 : content + 8], "big")
    for at in range(content + 8, content + 8 + width * count, width):
        place = int.from_bytes(data[at : at + width], "big")
        yield data[place : place + 64]


def _fragments(data: bytes, content: int) -> Iterable[bytes]:
    """Yield what stands where the table of fragments says there is one."""
    width = 8 if data[content] else 4
    lengths = int.from_bytes(data[content + 8 : content + 12], "big")
    count = int.from_bytes(data[content + 12 : content + 16], "big")
    size = 2 * width + 3 + (lengths >> 4 & 3) + (lengths >> 2 & 3) + (lengths & 3)
    for at in range(content + 16, content + 16 + size * count, size):
        place = int.from_bytes(data[at + width : at + 2 * width], "big")
        yield data[place + 4 : place + 8]
