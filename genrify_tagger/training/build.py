"""From the shared data to the shipped model: ``python -m genrify_tagger.training.build --help``.

Verifies the network, cross-validates the heads by artist, calibrates on what the cross-validation predicted, trains the
heads on everything and writes the two files of the model, with the figures of card and README (`scores.json`).
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

from genrify_tagger.spectrogram import FRONT_END
from genrify_tagger.training import broad, calibrate, export, musicnn, prune, quantize, scores, verify, vgg
from genrify_tagger.training.data import GENRES, NO_MUSIC, POP_ROCK, Clip, read_clips
from genrify_tagger.training.datasets import without_suffix
from genrify_tagger.training.head import train_head
from genrify_tagger.training.hearing import write_trained_on
from genrify_tagger.training.listening import Heard, listen
from genrify_tagger.training.musicnn import FloatArray
from genrify_tagger.training.validate import cross_validate, cross_validate_broad, figures, song_means

VERSION = "1.3"
Calibration = tuple[dict[str, float], float]

WRITTEN = {genre: genre.capitalize() for genre in GENRES} | {"hiphop": "Hip-Hop"}
LICENCE = "LICENSE-musicnn"
SCORES = "scores.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the model as the command line says."""
    options = _parser().parse_args(arguments)
    begun = time.monotonic()
    weights, vgg_weights = (musicnn.read_weights(options.wheel, name) for name in ("MSD_musicnn", "MSD_vgg"))
    clips = read_clips(options.shared)
    if not options.skip_verify:
        _verify(weights, vgg_weights, clips, options.shared)
    train, judge = listen(clips, options.shared, weights, vgg_weights, options.cache)
    tag_names = musicnn.read_tags(options.wheel)
    tagged = [tag_names.index(label) for label in broad.TAGGED]
    tags = song_means(_tag_probabilities(judge, weights)[:, tagged], judge.owner, len(clips))
    seeds = range(options.seed, options.seed + options.repeats)
    runs = [calibrate.sharpened(cross_validate(clips, train, judge, seed=seed)) for seed in seeds]
    broad_runs = [cross_validate_broad(clips, train, judge, seed=seed) for seed in seeds]
    ten = _calibrate(clips, runs)
    several = scores.broad_calibration(clips, broad_runs, tags)
    head = train_head(clips, train.of(_trained_on(clips)), seed=options.seed)
    broad_head = broad.train_broad(clips, train, seed=options.seed)
    network = export.assemble(export.listening_network(weights, vgg_weights), head, broad_head, tagged)
    flatbuffer = quantize.quantize(export.convert(network))
    _report("8 bits", verify.differences(network, flatbuffer, verify.sample_mel(clips, options.shared)))
    model = export.write_model(
        options.out, flatbuffer, version=VERSION, description=description(tag_names, ten, several)
    )
    write_trained_on(
        options.out, (without_suffix(clip.path.partition("/")[2]) for clip in clips if clip.part not in NO_MUSIC)
    )
    (options.out / LICENCE).write_text(musicnn.read_licence(options.wheel), encoding="utf-8")
    found = {
        "schema": scores.SCHEMA,
        "model": model,
        "accuracy": figures(clips, runs),
        "threshold": ten[1],
        "operating": scores.operating_figures(clips, runs, seeds),
        "broad": scores.broad_figures(clips, broad_runs, tags, *several),
    }
    text = json.dumps(scores.rounded(found), indent=1, ensure_ascii=False)
    (options.out / SCORES).write_text(text + "\n", encoding="utf-8")
    print(text)
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


def _verify(weights: musicnn.Weights, vgg_weights: musicnn.Weights, clips: Sequence[Clip], shared: Path) -> None:
    """Print how well the port agrees with the published tags, and the fast forms with the ports."""
    original, fast = musicnn.build(weights), prune.build(weights)
    correlation = verify.taggram_correlation(fast, clips, shared)
    mel = verify.sample_mel(clips, shared)
    r2, difference = verify.agreement(
        *(np.asarray(net.predict(mel, verbose=0)["embedding"]) for net in (original, fast))
    )
    median, low = float(np.median(correlation)), float(np.percentile(correlation, 5))
    _report("taggrams", {"windows": len(correlation), "median": median, "5th percentile": low})
    _report("fast form", {"segments": len(mel), "embedding R2": r2, "largest difference": difference})
    lean = export.listening_network(weights, vgg_weights).predict(mel, verbose=0)["embedding"][:, -vgg.SIZE :]
    r2, difference = verify.agreement(np.asarray(vgg.build(vgg_weights).predict(mel, verbose=0)), lean)
    _report("lean vgg", {"segments": len(mel), "embedding R2": r2, "largest difference": difference})


def _trained_on(clips: Sequence[Clip]) -> Any:
    return np.array([bool(clip.allowed) for clip in clips])


def _tag_probabilities(heard: Heard, weights: musicnn.Weights) -> FloatArray:
    return np.asarray(prune.tag_probabilities(heard.embedding[:, : -vgg.SIZE], weights), np.float32)


def _calibrate(clips: Sequence[Clip], runs: Sequence[FloatArray]) -> Calibration:
    """Fit calibration and threshold on the cross-validation's predictions."""
    songs, weights = calibrate.judged(clips, runs), calibrate.library_weights(clips, runs)
    calibration = {name: round(value, 4) for name, value in calibrate.fit(songs, weights, calibrate.ALIKE).items()}
    confidence = calibrate.confidences(songs, calibration, calibrate.ALIKE)
    return calibration, calibrate.choose_threshold(confidence, songs.right, scores.inside_weights(clips, runs))


def description(tags: list[str], ten: Calibration, several: Calibration) -> dict[str, Any]:
    """Return what the sidecar says of front end, vocabularies and outputs.

    Parameters
    ----------
    tags : list of str
    ten, several : tuple
        Calibration and threshold of `gtzan` and of `broad`.
    """
    gtzan = {
        "kind": "single",
        "labels": list(GENRES),
        "output": "gtzan",
        "outside": "outside",
        "names": WRITTEN,
        "alike": sorted(POP_ROCK),
        "calibration": ten[0],
        "min_confidence": ten[1],
    }
    many = {
        "kind": "multi",
        "labels": list(broad.LABELS),
        "output": "broad",
        "names": broad.written_names(),
        "calibration": several[0],
        "min_confidence": several[1],
    }
    return {
        "front_end": asdict(FRONT_END),
        "vocabularies": {"gtzan": gtzan, "broad": many},
        "tags": tags,
        "embedding_size": export.EMBEDDING,
    }


def _report(what: str, values: Any) -> None:
    print(json.dumps({what: scores.rounded(values)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
