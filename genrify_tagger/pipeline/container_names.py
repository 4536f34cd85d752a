"""Display names of containers: MP4 for FFmpeg's "mov,mp4,m4a,3gp,3g2,mj2"."""

from __future__ import annotations

_CONTAINERS = {
    "mov": "MP4",
    "matroska": "Matroska",
    "asf": "ASF",
    "ape": "Monkey's Audio",
    "wv": "WavPack",
    "mpc": "Musepack",
    "mpc8": "Musepack",
    "ogg": "Ogg",
    "rm": "RealMedia",
    "tta": "True Audio",
    "shn": "Shorten",
}


def container_name(ffmpeg_name: str | None) -> str | None:
    """Return the display name of a container."""
    if ffmpeg_name is None:
        return None
    first = ffmpeg_name.partition(",")[0]
    return _CONTAINERS.get(first, first.upper())
