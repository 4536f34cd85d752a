"""The shipped network: MSD_musicnn and MSD_vgg side by side, and the head of the ten genres on their embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fast_vgg import VGG_SIZE, embed_vgg
from genrify_tagger.training.fast_musicnn import musicnn_embedding, tag_probabilities
from genrify_tagger.training.musicnn_weights import BANDS, FRAMES, FloatArray, Weights

EMBEDDING_SIZE = 200 + VGG_SIZE

Layers = Sequence[tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class Head:
    """Networks on the standardised embedding whose class probabilities are averaged.

    Attributes
    ----------
    mean, deviation : ndarray, shape (456,)
        Of the training embeddings.
    nets : sequence of layers
        Each layer a kernel (n_in, n_out) and a bias (n_out,), ReLU between layers. The last layer has a column for
        each label and one for "none of them".
    """

    mean: FloatArray
    deviation: FloatArray
    nets: Sequence[Layers]


def feature_network(weights: Weights, vgg_weights: Weights) -> Any:
    """Build the body, the part before the heads: log-mel (n, 187, 96) to `embedding` (n, 456) and `tags` (n, 50).

    The embedding is MSD_musicnn's penultimate layer followed by MSD_vgg's last pooling.
    """
    import keras
    from keras import ops

    mel = keras.Input((FRAMES, BANDS), name="mel")
    hidden = musicnn_embedding(mel, weights)
    embedding = ops.concatenate([hidden, embed_vgg(mel, vgg_weights)], axis=1)
    outputs = {"embedding": embedding, "tags": tag_probabilities(hidden, weights)}
    return keras.Model(mel, outputs, name="features")


def build_shipped_network(body: Any, head: Head) -> Any:
    """Build the whole network that is shipped.

    Parameters
    ----------
    body : keras.Model
        From `feature_network`.
    head : Head
        Of the ten genres. The head of the genre tree is applied to the song, outside the network.

    Returns
    -------
    keras.Model
        Log-mel segments (n, 187, 96) to `gtzan` (n, 10), `outside` (n, 1), `tags` (n, 50), `embedding` (n, 456).
    """
    import keras
    from keras import ops

    mel = keras.Input((FRAMES, BANDS), name="mel")
    features = body(mel)
    joint = _mean_of_nets(features["embedding"], head)
    inside = joint[:, :-1]
    outputs = {
        "gtzan": inside / ops.sum(inside, axis=1, keepdims=True),
        "outside": joint[:, -1:],
        "tags": features["tags"],
        "embedding": features["embedding"],
    }
    return keras.Model(mel, outputs, name="genrify")


def _mean_of_nets(embedding: Any, head: Head) -> Any:
    from keras import ops

    x = (embedding - head.mean) * (1 / head.deviation)
    outputs = [ops.softmax(_logits(x, net)) for net in head.nets]
    total = outputs[0]
    for other in outputs[1:]:
        total = total + other
    return total * (1 / len(outputs))


def _logits(x: Any, net: Layers) -> Any:
    from keras import ops

    for number, (kernel, bias) in enumerate(net):
        x = ops.matmul(ops.relu(x) if number else x, kernel) + bias
    return x
