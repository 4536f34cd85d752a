"""Print the cost of decoding: CPU seconds per container for a four-minute song.

Run as `python -m tests.benchmarks.bench_audio [SECONDS]`; the best of several runs is printed, so that other work on
the machine does not count.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from genrify_tagger.audio import decode_all, load_segments, probe
from genrify_tagger.spectrogram import log_mel
from tests import media

KINDS = ("mp3-v2.3", "mp3-vbr", "m4a-aac", "m4a-alac", "flac", "ogg-vorbis", "opus", "wma", "wavpack", "wav", "aiff")
REPEATS = 7


def cpu(function: Callable[[], object], repeats: int = REPEATS) -> float:
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        function()
        best = min(best, time.process_time() - begin)
    return best


def main(seconds: float) -> None:
    print(f"CPU seconds for a song of {seconds:g} s, best of {REPEATS}")
    print(f"{'':12}{'probe':>8}{'8 segments':>12}{'all of it':>11}{'log-mel':>9}")
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "master.wav"
        media.ffmpeg("-stream_loop", "-1", "-i", media.JAZZ, "-t", str(seconds), wav)
        for kind in KINDS:
            suffix, encoder = media.ENCODERS[kind]
            path = Path(folder) / f"{kind}{suffix}"
            media.ffmpeg("-i", wav, *encoder, path)
            print(f"{kind:12}" + figures(str(path)))


def figures(path: str) -> str:
    duration = probe(path).duration
    y = load_segments(path, duration=duration).y
    probing = cpu(lambda: probe(path))
    loading = cpu(lambda: load_segments(path, duration=duration))
    decoding = cpu(lambda: decode_all(path), repeats=2)
    return f"{probing:8.4f}{loading:12.4f}{decoding:11.3f}{cpu(lambda: log_mel(y)):9.4f}"


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 240)
