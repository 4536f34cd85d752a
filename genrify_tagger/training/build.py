"""From the shared data to the shipped model: ``python -m genrify_tagger.training.build --help``.

Verifies the network, cross-validates the head by artist, calibrates on what the cross-validation predicted, trains the
head on everything and writes the two files of the model. Every figure of the model card is printed here.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from genrify_tagger.features import FRONT_END
from genrify_tagger.training import calibrate, export, musicnn, prune, verify
from genrify_tagger.training.data import GENRES, Clip, read_clips
from genrify_tagger.training.head import train_head
from genrify_tagger.training.listening import listen
from genrify_tagger.training.musicnn import FloatArray
from genrify_tagger.training.validate import cross_validate, figures

VERSION = "1.0"
WRITTEN = {genre: genre.capitalize() for genre in GENRES} | {"hiphop": "Hip-Hop"}
LICENCE = "LICENSE-musicnn"


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the model as the command line says."""
    options = _parser().parse_args(arguments)
    begun = time.monotonic()
    weights = musicnn.read_weights(options.wheel)
    clips = read_clips(options.shared)
    if not options.skip_verify:
        _verify(weights, clips, options.shared)
    train, judge = listen(clips, options.shared, weights, options.cache)
    runs = [cross_validate(clips, train, judge, seed=options.seed + run) for run in range(options.repeats)]
    _report("cross-validation", figures(clips, runs))
    calibration, threshold = _calibrate(clips, runs)
    head = train_head(clips, train.of(_trained_on(clips)), seed=options.seed)
    flatbuffer = export.convert(export.assemble(weights, head))
    about = description(musicnn.read_tags(options.wheel), calibration, threshold)
    export.write_model(options.out, flatbuffer, version=VERSION, description=about)
    (options.out / LICENCE).write_text(musicnn.read_licence(options.wheel), encoding="utf-8")
    _report("built", {"bytes": len(flatbuffer), "minutes": (time.monotonic() - begun) / 60})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m genrify_tagger.training.build", description=__doc__)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/gtzan, data/allmusic, ...")
    parser.add_argument("--wheel", type=Path, required=True, help="from `pip download --no-deps musicnn==0.1.0`")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model's files")
    parser.add_argument("--cache", type=Path, required=True, help="folder for embeddings, kept between runs")
    parser.add_argument("--repeats", type=int, default=3, help="cross-validations to average (default: 3)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--skip-verify", action="store_true", help="do not prove the network again")
    return parser


def _verify(weights: musicnn.Weights, clips: Sequence[Clip], shared: Path) -> None:
    """Print how well the port agrees with the published tags, and the fast form with the port."""
    original, fast = musicnn.build(weights), prune.build(weights)
    correlation = verify.taggram_correlation(fast, clips, shared)
    mel = verify.sample_mel(clips, shared)
    r2, difference = verify.agreement(
        *(np.asarray(net.predict(mel, verbose=0)["embedding"]) for net in (original, fast))
    )
    median, low = float(np.median(correlation)), float(np.percentile(correlation, 5))
    _report("taggrams", {"windows": len(correlation), "median": median, "5th percentile": low})
    _report("fast form", {"segments": len(mel), "embedding R2": r2, "largest difference": difference})


def _trained_on(clips: Sequence[Clip]) -> Any:
    return np.array([bool(clip.allowed) for clip in clips])


def _calibrate(clips: Sequence[Clip], runs: Sequence[FloatArray]) -> tuple[dict[str, float], float]:
    """Fit calibration and threshold on the cross-validation's predictions, and print what they amount to."""
    songs, weights = calibrate.judged(clips, runs), calibrate.library_weights(clips, runs)
    calibration = {name: round(value, 4) for name, value in calibrate.fit(songs, weights).items()}
    confidence = calibrate.confidences(songs, calibration)
    threshold = calibrate.choose_threshold(confidence, songs.right, weights)
    _report("calibration", calibration | {"min_confidence": threshold})
    precision = calibrate.library_precision(confidence, songs.right, weights, threshold)
    _report("as in a library", precision)
    for name, chosen in calibrate.populations(clips, runs).items():
        _report(name, calibrate.outcome(confidence[chosen], songs.right[chosen], threshold))
    return calibration, threshold


def description(tags: list[str], calibration: dict[str, float], threshold: float) -> dict[str, Any]:
    """Return what the sidecar says of front end, vocabularies and outputs."""
    gtzan = {
        "kind": "single",
        "labels": list(GENRES),
        "output": "gtzan",
        "outside": "outside",
        "names": WRITTEN,
        "calibration": calibration,
        "min_confidence": threshold,
    }
    return {
        "front_end": asdict(FRONT_END),
        "vocabularies": {"gtzan": gtzan},
        "tags": tags,
        "embedding_size": 200,
    }


def _report(what: str, values: Any) -> None:
    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(entry) for key, entry in value.items()}
        return float(f"{value:.6g}") if isinstance(value, float) else value

    print(json.dumps({what: rounded(values)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
