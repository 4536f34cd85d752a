"""What each stage of a song costs alone, in CPU seconds of one process."""

from __future__ import annotations

import shutil
import tempfile
from itertools import count
from pathlib import Path

import av
from threadpoolctl import threadpool_limits

from genrify_tagger import tags
from genrify_tagger.audio import audio_key, has_audio_of, load_segments, probe, read_titles
from genrify_tagger.classifier import Classifier
from genrify_tagger.decision import decide
from genrify_tagger.spectrogram import log_mel
from genrify_tagger.store import open_store
from tests.benchmarks.measure import cpu_of

#: What a scan that writes a genre does to a new song.
OF_A_SCAN = ("read tag", "read titles", "probe", "segments", "log-mel", "network", "decide", "journal", "write tag")


def measure(song: Path) -> dict[str, float]:
    """Return CPU seconds by stage, and of a floor that seeks and decodes the same segments and does nothing else."""
    threadpool_limits(1)  # as a worker does
    path = str(song)
    classifier = Classifier()
    vocabulary = classifier.sidecar.vocabularies["gtzan"]
    info = probe(path)
    segments = load_segments(path, duration=info.duration)
    mel = log_mel(segments.y)
    outputs = classifier.predict(mel)
    levels = segments.y.std(axis=1)
    snapshot = tags.read(path)
    numbers = count()
    with tempfile.TemporaryDirectory(dir=song.parent.parent) as name, open_store(f"sqlite:///{name}/x.db") as store:
        run = store.start_run("benchmark", [], "none")
        copy = str(Path(name) / song.name)

        def journal() -> None:
            change = store.begin_change(
                run=run, path=f"{next(numbers)}", field="genre", before=None, after=b"x", origin="scan"
            )
            store.finish_change(change, "done")

        def write() -> None:
            plan = tags.plan_write(copy, ("Jazz",))
            tags.apply(plan, audio_key=audio_key, expected_key=info.key, has_audio_of=has_audio_of)

        def fresh_write() -> float:
            shutil.copy(path, copy)
            return cpu_of(write, repeats=1)

        return {
            "decode only": cpu_of(lambda: _decode_only(path, segments.intervals[:, 0].tolist())),
            "read tag": cpu_of(lambda: tags.read(path)),
            "read titles": cpu_of(lambda: read_titles(path)),
            "probe": cpu_of(lambda: probe(path)),
            "segments": cpu_of(lambda: load_segments(path, duration=info.duration)),
            "log-mel": cpu_of(lambda: log_mel(segments.y)),
            "network": cpu_of(lambda: classifier.predict(mel)),
            "decide": cpu_of(lambda: decide(outputs, levels, vocabulary)),
            "journal": cpu_of(journal),
            "write tag": min(fresh_write() for _ in range(3)) if snapshot.raw is None else 0.0,
        }


def _decode_only(path: str, starts: list[float]) -> None:
    with av.open(path) as container:
        stream = container.streams.audio[0]
        for start in starts:
            container.seek(int(start / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                if frame.time is not None and frame.time >= start + 3:
                    break
