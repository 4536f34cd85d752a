"""Other ways to analyse a song: that of the reference study, and MSD_musicnn over a full decode."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

from tests.benchmarks.measure import process

SONGS = 5

SEED = """
import json, sys, time, collections
import librosa, numpy as np, tensorflow as tf
paths = json.loads(sys.argv[1])
network = tf.keras.Sequential([
    tf.keras.layers.Input((130, 13, 1)),
    tf.keras.layers.Conv2D(32, 3, activation="relu"), tf.keras.layers.MaxPooling2D(3, 2, padding="same"),
    tf.keras.layers.BatchNormalization(),
    tf.keras.layers.Conv2D(32, 3, activation="relu"), tf.keras.layers.MaxPooling2D(3, 2, padding="same"),
    tf.keras.layers.BatchNormalization(),
    tf.keras.layers.Conv2D(32, 2, activation="relu"), tf.keras.layers.MaxPooling2D(2, 2, padding="same"),
    tf.keras.layers.BatchNormalization(),
    tf.keras.layers.Flatten(), tf.keras.layers.Dense(64, activation="relu"), tf.keras.layers.Dense(10, "softmax"),
])
def analyse(path):
    y, sr = librosa.load(path, sr=22050)
    pieces = [y[i:i + 66150] for i in range(0, len(y) - 66150 + 1, 66150)]
    mfcc = np.stack([librosa.feature.mfcc(y=p, sr=sr, n_mfcc=13, n_fft=2048, hop_length=512).T[:130] for p in pieces])
    votes = network.predict(mfcc[..., None], verbose=0).argmax(axis=1)
    return collections.Counter(votes.tolist()).most_common(1)[0][0]
analyse(paths[0])
wall, cpu = time.perf_counter(), time.process_time()
for path in paths:
    analyse(path)
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""

FULL_DECODE = """
import json, sys, time
import numpy as np
from genrify_tagger.audio import decode_all
from genrify_tagger.spectrogram import log_mel
paths, wheel = json.loads(sys.argv[1]), sys.argv[2]
if wheel:
    from ai_edge_litert.interpreter import Interpreter
    from genrify_tagger.training.flatbuffer import convert
    from genrify_tagger.training.musicnn import read_weights
    sys.path.insert(0, "models/recipe")
    from published_networks import build_published_musicnn
    interpreter = Interpreter(model_content=convert(build_published_musicnn(read_weights(wheel))), num_threads=1)
    given = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(given, [4, 187, 96]); interpreter.allocate_tensors()
    def predict(mel):
        for i in range(0, len(mel) - 3, 4):
            interpreter.set_tensor(given, mel[i:i + 4]); interpreter.invoke()
else:
    from genrify_tagger.classifier import Classifier
    predict = Classifier().predict
def analyse(path):
    y = decode_all(path)
    predict(log_mel(y[:len(y) // 48000 * 48000].reshape(-1, 48000)))
analyse(paths[0])
wall, cpu = time.perf_counter(), time.process_time()
for path in paths:
    analyse(path)
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""


def measure(songs: Path, wheel: str | None) -> dict[str, float]:
    """Return seconds a track, start-up left out; a rival whose libraries are missing is left out."""
    paths = [str(path) for path in sorted(songs.iterdir())[:SONGS]]
    figures = _figures("full decode, fast network", FULL_DECODE, paths, "")
    if _there("tensorflow", "librosa"):
        figures |= _figures("the seed's way", SEED, paths)
        if wheel:
            figures |= _figures("full decode, MSD_musicnn as published", FULL_DECODE, paths, wheel)
    return figures


def _there(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


def _figures(name: str, script: str, paths: list[str], *more: str) -> dict[str, float]:
    run = process([sys.executable, "-W", "ignore", "-c", script, json.dumps(paths), *more])
    wall, cpu = json.loads(run.output.splitlines()[-1])
    return {f"{name}, s a track": wall / len(paths), f"{name}, CPU s a track": cpu / len(paths)}
