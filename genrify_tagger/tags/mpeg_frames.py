"""Recognise frames of MPEG audio (layers I to III)."""

from __future__ import annotations

_BITRATES_BAD, _RATES_BAD = 0xF0, 0x0C


def is_frame(head: bytes) -> bool:
    """Return whether four bytes are the header of a frame."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] & 0x18, head[1] & 0x06
    return (
        version != 0x08
        and layer != 0
        and head[2] & _BITRATES_BAD != _BITRATES_BAD
        and head[2] & _RATES_BAD != _RATES_BAD
    )


def has_frame(data: bytes) -> bool:
    """Return whether there is a frame header anywhere in `data`."""
    at = data.find(b"\xff")
    while at >= 0:
        if is_frame(data[at : at + 4]):
            return True
        at = data.find(b"\xff", at + 1)
    return False
