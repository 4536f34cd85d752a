"""Network and head in one flatbuffer, and the sidecar that describes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrify_tagger.classifier import model_id
from genrify_tagger.training import vgg
from genrify_tagger.training.musicnn import BANDS, FRAMES, FloatArray, Weights
from genrify_tagger.training.prune import embed, tag_probabilities

FLATBUFFER, SIDECAR = "genrify.tflite", "genrify.json"

EMBEDDING = 200 + vgg.SIZE

Layers = Sequence[tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class Head:
    """Networks on the standardised embedding whose class probabilities are averaged.

    Attributes
    ----------
    mean, deviation : ndarray, shape (456,)
        Of the embeddings trained on.
    nets : sequence of layers
        Each layer a kernel (n_in, n_out) and a bias (n_out,), ReLU between layers. The last layer has a column for
        each label; that of the ten genres one more, for "none of them".
    """

    mean: FloatArray
    deviation: FloatArray
    nets: Sequence[Layers]


def listening_network(weights: Weights, vgg_weights: Weights) -> Any:
    """Build what comes before the heads: log-mel (n, 187, 96) to `embedding` (n, 456) and `tags` (n, 50).

    The embedding is MSD_musicnn's penultimate layer and, behind it, MSD_vgg's last pooling.
    """
    import keras
    from keras import ops

    mel = keras.Input((FRAMES, BANDS), name="mel")
    hidden = embed(mel, weights)
    embedding = ops.concatenate([hidden, vgg.embed(mel, vgg_weights)], axis=1)
    outputs = {"embedding": embedding, "tags": tag_probabilities(hidden, weights)}
    return keras.Model(mel, outputs, name="listening")


def assemble(listening: Any, head: Head, broad: Head, tagged: Sequence[int]) -> Any:
    """Build the network that is shipped.

    Parameters
    ----------
    listening : keras.Model
        From `listening_network`.
    head, broad : Head
        Of the ten genres and of the labels that do not exclude one another.
    tagged : sequence of int
        Which tags are labels of `broad`, too, behind those of its head.

    Returns
    -------
    keras.Model
        Log-mel segments (n, 187, 96) to `gtzan` (n, 10), `outside` (n, 1), `broad` (n, n_labels), `tags` (n, 50),
        `embedding` (n, 456).
    """
    import keras
    from keras import ops

    mel = keras.Input((FRAMES, BANDS), name="mel")
    heard = listening(mel)
    embedding, tags = heard["embedding"], heard["tags"]
    joint = _mean_of_nets(embedding, head, ops.softmax)
    inside = joint[:, :-1]
    columns = [tags[:, index : index + 1] for index in tagged]
    outputs = {
        "gtzan": inside / ops.sum(inside, axis=1, keepdims=True),
        "outside": joint[:, -1:],
        "broad": ops.concatenate([_mean_of_nets(embedding, broad, ops.sigmoid), *columns], axis=1),
        "tags": tags,
        "embedding": embedding,
    }
    return keras.Model(mel, outputs, name="genrify")


def _mean_of_nets(embedding: Any, head: Head, squash: Callable[[Any], Any]) -> Any:
    x = (embedding - head.mean) * (1 / head.deviation)
    everyone = [squash(_logits(x, net)) for net in head.nets]
    total = everyone[0]
    for other in everyone[1:]:
        total = total + other
    return total * (1 / len(everyone))


def _logits(x: Any, net: Layers) -> Any:
    from keras import ops

    for number, (kernel, bias) in enumerate(net):
        x = ops.matmul(ops.relu(x) if number else x, kernel) + bias
    return x


def convert(model: Any) -> bytes:
    """Turn a network into a LiteRT flatbuffer with named input and outputs, all in float32."""
    import tensorflow as tf

    specification = tf.TensorSpec((None, FRAMES, BANDS), tf.float32, name="mel")

    class Served(tf.Module):  # type: ignore[misc]  # TensorFlow has no type information
        @tf.function(input_signature=[specification])  # type: ignore[untyped-decorator]
        def serve(self, mel: Any) -> Any:
            return model(mel)

    served = Served()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([served.serve.get_concrete_function()], served)
    return bytes(converter.convert())


def write_model(folder: Path, flatbuffer: bytes, *, version: str, description: Mapping[str, Any]) -> str:
    """Write the two files a model consists of.

    Parameters
    ----------
    folder : Path
    flatbuffer : bytes
    version : str
        First part of the model's id; the second is the beginning of a hash of all that is written.
    description : mapping
        What else the sidecar holds: `front_end`, `vocabularies`, `tags`, `embedding_size`.

    Returns
    -------
    str
        The model's id.
    """
    digest = hashlib.sha256(flatbuffer).hexdigest()
    content = {"schema": 1, "version": version, "flatbuffer": FLATBUFFER, "sha256": digest, **description}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FLATBUFFER).write_bytes(flatbuffer)
    identity = model_id(content)
    text = json.dumps({"id": identity, **content}, indent=1, ensure_ascii=False)
    (folder / SIDECAR).write_text(text + "\n", encoding="utf-8")
    return identity
