"""Step 8: calibrate the genre tree by held-out sources, put it into the sidecar, and write its figures."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrify_tagger.classifier import SIDECAR_NAME, load_sidecar, model_id
from genrify_tagger.genre_tree import load_tree_head
from genrify_tagger.training.inference import trained_on, write_trained_on
from recipe_options import MODELS, TREE_SCORES, parse_options, print_figures, rounded, write_figures
from tree_calibration import (
    ALIKE,
    CONDITIONS,
    Confidences,
    Rule,
    apply_calibration,
    choose_children,
    choose_threshold,
    choose_writable,
    cross_fit,
    fit_calibration,
)
from tree_clips import LABELS, NAMES, read_tree_clips, source_folds, trained_names
from tree_features import ORIGINAL, Array
from tree_figures import (
    calibration_figures,
    child_figures,
    copy_figures,
    genre_figures,
    operating_figures,
    outside_figures,
    source_figures,
)
from tree_songs import PARENTS, Mask, Songs, scores_of

SCHEMA = 1
OTHER_THRESHOLDS = (0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
HEAD, TREE = "genres-tree.npz", "genres-tree.yaml"  # in MODELS


def main() -> None:
    """Run the step."""
    options = parse_options(__doc__)
    clips = read_tree_clips(options.shared)
    folds, names = source_folds(clips)
    songs = Songs(clips, folds)
    by_source, by_artist = (_read(options.work / f"tree_by_{protocol}.npz") for protocol in ("source", "artist"))
    held_out = cross_fit(songs, by_source, ORIGINAL)
    rule = _choose_rule(songs, by_source[ORIGINAL], held_out[ORIGINAL])
    shutil.copy(options.work / "tree_head.npz", MODELS / HEAD)
    model = _write_sidecar(rule)
    write_trained_on(MODELS, (trained_on(load_sidecar(str(MODELS))) or frozenset()) | trained_names(clips))
    scores = rounded(_figures(songs, names, rule, held_out, by_artist[ORIGINAL])) | {"model": model}
    write_figures(MODELS / TREE_SCORES, scores)
    print_figures(model=model, threshold=rule.min_confidence, writable=sorted(rule.writable))


def _read(path: Path) -> dict[str, Array]:
    with np.load(path) as stored:
        return {copy: scores_of(stored[copy]) for copy in stored.files}


def _choose_rule(songs: Songs, scores: Array, confidences: Confidences) -> Rule:
    """Fit the calibration that is shipped on all clips; choose threshold and genres by held-out sources."""
    everything = np.ones(len(songs.clips), bool)
    writable = choose_writable(songs, confidences)
    threshold = choose_threshold(songs, confidences, writable, everything)
    writable |= choose_children(songs, confidences, writable, threshold)
    return Rule(fit_calibration(songs, scores, everything), writable, threshold)


def _figures(
    songs: Songs, names: list[str], rule: Rule, held_out: dict[str, Confidences], by_artist: Array
) -> dict[str, Any]:
    original = held_out[ORIGINAL]
    nested, thresholds = _nested(songs, rule, original, CONDITIONS)
    written = original.written(rule.writable, rule.min_confidence)
    known = apply_calibration(rule.calibration, by_artist).written(rule.writable, rule.min_confidence)
    world = songs.of_part("world")
    return {
        "schema": SCHEMA,
        "threshold": rule.min_confidence,
        "clips": int(songs.inside.sum()),
        "sources": len(songs.sources(songs.inside)),
        "folds": len(set(songs.folds[songs.inside])),
        "nested thresholds": sorted(set(thresholds)),
        "held-out sources": _held_out_figures(songs, nested),
        "held-out sources, shipped threshold": {
            "all": operating_figures(songs, written, songs.inside),
            "data/world alone": operating_figures(songs, written, world),
        },
        "thresholds": _threshold_figures(songs, rule, original),
        "conditions": _condition_figures(songs, rule, original),
        "held-out artists": {name: operating_figures(songs, known, part) for name, part in _known_parts(songs).items()},
        "calibration": calibration_figures(songs, original),
        "by source": source_figures(songs, names, written),
        "by genre": genre_figures(songs, written),
        "children": child_figures(songs, original, rule, list(PARENTS)),
        "outside": outside_figures(songs, written),
        "copies": copy_figures(songs, held_out, rule),
    }


def _threshold_figures(songs: Songs, rule: Rule, confidences: Confidences) -> list[dict[str, Any]]:
    """Return what other thresholds would write of held-out sources."""
    found = []
    for threshold in sorted({*OTHER_THRESHOLDS, rule.min_confidence}):
        written = confidences.written(rule.writable, threshold)
        parts = {"all": songs.inside, "data/world alone": songs.of_part("world")}
        figures = {name: operating_figures(songs, written, part) for name, part in parts.items()}
        found.append({"threshold": threshold, **figures})
    return found


def _condition_figures(songs: Songs, rule: Rule, confidences: Confidences) -> list[dict[str, Any]]:
    """Return what would be written if the threshold met fewer conditions, chosen without the clip's fold."""
    found = []
    for number in range(1, len(CONDITIONS) + 1):
        written, thresholds = _nested(songs, rule, confidences, CONDITIONS[:number])
        limits = {"lowest": min(thresholds), "highest": max(thresholds)}
        found.append({"conditions": CONDITIONS[:number], **limits, **_held_out_figures(songs, written)})
    return found


def _held_out_figures(songs: Songs, written: Array) -> dict[str, Any]:
    """Return the figures of all clips and of the newest sources, each also with every source counting alike."""
    parts = {"all": songs.inside, "data/world alone": songs.of_part("world")}
    return {
        name: operating_figures(songs, written, parts[name.removesuffix(ALIKE)], by_fold=ALIKE in name)
        for name in CONDITIONS
    }


def _nested(songs: Songs, rule: Rule, confidences: Confidences, conditions: Sequence[str]) -> tuple[Array, list[float]]:
    """Return what is written where the threshold, too, is chosen without the clip's fold."""
    written = np.full(len(songs.clips), -1)
    thresholds = []
    for fold in sorted(set(songs.folds)):
        part = songs.folds == fold
        thresholds.append(choose_threshold(songs, confidences, rule.writable, ~part, conditions))
        written[part] = confidences.written(rule.writable, thresholds[-1])[part]
    return written, thresholds


def _known_parts(songs: Songs) -> dict[str, Mask]:
    single = np.array([clip.single for clip in songs.clips])
    allmusic = songs.of_part("allmusic")
    return {
        "all": songs.inside,
        "AllMusic": allmusic,
        "AllMusic, one genre": allmusic & single,
        "GTZAN validation list": songs.of_part("gtzan_valid"),
        "data/world": songs.of_part("world"),
    }


def _write_sidecar(rule: Rule) -> str:
    """Make the tree the sidecar's first vocabulary; analyses stay those of the same network. Return the model's id."""
    path = MODELS / SIDECAR_NAME
    content = json.loads(path.read_text("utf-8"))
    content.setdefault("analyses", content["id"])
    hashes = {name: hashlib.sha256((MODELS / name).read_bytes()).hexdigest() for name in (HEAD, TREE)}
    load_tree_head(str(MODELS / HEAD), hashes[HEAD], str(MODELS / TREE), hashes[TREE], NAMES)
    tree = {
        "kind": "tree",
        "labels": list(LABELS),
        "output": "gtzan",
        "names": NAMES,
        "head": HEAD,
        "head_sha256": hashes[HEAD],
        "tree": TREE,
        "tree_sha256": hashes[TREE],
        "writable": [label for label in LABELS if label in rule.writable],
        "calibration": dict(rule.calibration),
        "min_confidence": rule.min_confidence,
    }
    content["vocabularies"] = {"tree": tree} | {"gtzan": content["vocabularies"]["gtzan"]}
    content["id"] = model_id(content)
    write_figures(path, content)
    return str(content["id"])


if __name__ == "__main__":
    main()
