"""MSD_musicnn and MSD_vgg as published, to compare their fast forms with.

References
----------
J. Pons and X. Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging", ISMIR 2019
late-breaking session. https://github.com/jordipons/musicnn
"""

from __future__ import annotations

from typing import Any

from fast_vgg import POOLING, VGG_SIZE
from genrify_tagger.training.fast_musicnn import musicnn_embedding, tag_probabilities
from genrify_tagger.training.musicnn_weights import BANDS, FRAMES, Weights, affine


def build_published_musicnn(weights: Weights) -> Any:
    """Build MSD_musicnn as published.

    Returns
    -------
    keras.Model
        Log-mel segments (n, 187, 96) to `tags`, probabilities (n, 50), and `embedding` (n, 200), the penultimate layer.
    """
    import keras
    from keras import ops

    def conv(x: Any, number: int, norm: int, *, padding: str) -> Any:
        suffix = f"_{number}" if number else ""
        y = ops.conv(x, weights[f"conv2d{suffix}/kernel"], padding=padding) + weights[f"conv2d{suffix}/bias"]
        scale, shift = affine(weights, norm)
        return ops.relu(y) * scale + shift

    def mid_conv(x: Any, number: int, norm: int) -> Any:
        kernel = weights[f"conv2d_{number}/kernel"][:, :, 0, :]
        padded = ops.pad(x, ((0, 0), (3, 3), (0, 0)))
        y = ops.conv(padded, kernel, padding="valid") + weights[f"conv2d_{number}/bias"]
        scale, shift = affine(weights, norm)
        return ops.relu(y) * scale + shift

    mel = keras.Input((FRAMES, BANDS), name="mel")
    scale, shift = affine(weights, 0)
    x = ops.expand_dims(mel, 3) * scale + shift
    padded = ops.pad(x, ((0, 0), (3, 3), (0, 0), (0, 0)))
    timbral = [conv(padded, number, number + 1, padding="valid") for number in (0, 1)]
    temporal = [conv(x, number, number + 1, padding="same") for number in (2, 3, 4)]
    front = ops.concatenate([ops.max(y, axis=2) for y in timbral + temporal], axis=2)
    mid1 = mid_conv(front, 5, 6)
    mid2 = mid_conv(mid1, 6, 7) + mid1
    mid3 = mid_conv(mid2, 7, 8) + mid2
    features = ops.concatenate([front, mid1, mid2, mid3], axis=2)
    # Maximum and mean stand side by side, channel by channel.
    pooled = ops.reshape(ops.stack([ops.max(features, axis=1), ops.mean(features, axis=1)], axis=2), (-1, 1506))
    scale, shift = affine(weights, 9)
    hidden = ops.relu(ops.matmul(pooled * scale + shift, weights["dense/kernel"]) + weights["dense/bias"])
    scale, shift = affine(weights, 10)
    embedding = hidden * scale + shift
    tags = ops.sigmoid(ops.matmul(embedding, weights["dense_1/kernel"]) + weights["dense_1/bias"])
    return keras.Model(mel, {"tags": tags, "embedding": embedding}, name="msd_musicnn")


def build_fast_musicnn(weights: Weights) -> Any:
    """Build the fast form of MSD_musicnn by itself: input and outputs as of `build_published_musicnn`."""
    import keras

    mel = keras.Input((FRAMES, BANDS), name="mel")
    embedding = musicnn_embedding(mel, weights)
    return keras.Model(
        mel, {"tags": tag_probabilities(embedding, weights), "embedding": embedding}, name="fast_musicnn"
    )


def build_published_vgg(weights: Weights) -> Any:
    """Build MSD_vgg as published, up to its last pooling: log-mel (n, 187, 96) to (n, 256)."""
    import keras
    from keras import ops

    mel = keras.Input((FRAMES, BANDS), name="mel")
    scale, shift = affine(weights, 0)
    x = ops.expand_dims(mel, 3) * scale + shift
    for number, (size, strides) in enumerate(POOLING, start=1):
        x = ops.conv(x, weights[f"{number}CNN/kernel"], padding="same") + weights[f"{number}CNN/bias"]
        scale, shift = affine(weights, number)
        x = ops.max_pool(ops.relu(x) * scale + shift, size, (2, 2) if number == 1 else strides, padding="valid")
    return keras.Model(mel, ops.reshape(x, (-1, VGG_SIZE)), name="msd_vgg")
