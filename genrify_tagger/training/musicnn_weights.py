"""The weights of MSD_musicnn and MSD_vgg, read from the checkpoints in the PyPI wheel `musicnn` 0.1.0.

The wheel is read as a zip file (running it needs TensorFlow 1); its licence is ISC, kept as `models/LICENSE-musicnn`.
Get it with ``pip download --no-deps musicnn==0.1.0``.

References
----------
J. Pons and X. Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging", ISMIR 2019
late-breaking session. https://github.com/jordipons/musicnn
"""

from __future__ import annotations

import ast
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genrify_tagger.errors import ModelError

FRAMES, BANDS = 187, 96
EPSILON = 1e-3

FloatArray = npt.NDArray[np.float32]
Weights = Mapping[str, FloatArray]

_CHECKPOINT = (".index", ".data-00000-of-00001")


def read_weights(wheel: str | Path, network: str = "MSD_musicnn") -> dict[str, FloatArray]:
    """Read the trained variables of a network from the wheel.

    Parameters
    ----------
    wheel : str or Path
    network : {"MSD_musicnn", "MSD_vgg"}

    Raises
    ------
    ModelError
        If the file is not the wheel of musicnn 0.1.0.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(wheel) as archive:
                for part in _CHECKPOINT:
                    (Path(folder) / f"model{part}").write_bytes(archive.read(f"musicnn/{network}/{part}"))
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise ModelError(
                f"has no {network} checkpoint", path=str(wheel), hint="pip download --no-deps musicnn==0.1.0"
            ) from error
        reader = tf.train.load_checkpoint(str(Path(folder) / "model"))
        names = [n for n in reader.get_variable_to_shape_map() if "Adam" not in n and not n.startswith("beta")]
        return {name: np.asarray(reader.get_tensor(name), np.float32) for name in names}


def read_tags(wheel: str | Path) -> list[str]:
    """Return the names of the 50 tags, in the order of the network's output."""
    with zipfile.ZipFile(wheel) as archive:
        tree = ast.parse(archive.read("musicnn/configuration.py").decode("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MSD_LABELS":
            return [str(tag) for tag in ast.literal_eval(node.value)]
    raise ModelError("has no tag names", path=str(wheel))


def read_licence(wheel: str | Path) -> str:
    """Return the text of the licence the wheel comes with."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read("musicnn-0.1.0.dist-info/LICENSE.md").decode("utf-8")


def affine(weights: Weights, number: int) -> tuple[FloatArray, FloatArray]:
    """Return the scale and shift that batch norm `number` (0 is the input's) applies in inference."""
    name = f"batch_normalization_{number}" if number else "batch_normalization"
    scale = weights[f"{name}/gamma"] / np.sqrt(weights[f"{name}/moving_variance"] + EPSILON)
    return scale, weights[f"{name}/beta"] - weights[f"{name}/moving_mean"] * scale
