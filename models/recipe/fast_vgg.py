"""MSD_vgg, the second network of the body, in an equivalent form without its dead filters.

It comes from the same wheel as MSD_musicnn, takes the same spectrogram and makes different errors. It has five 3 x 3
convolutions, each followed by ReLU, batch norm and pooling. 241 of its first 512 filters are dead. As in the fast form
of MSD_musicnn, a dead filter's constant and the shift of every batch norm meet the zero padding of the next
convolution, so they become the kernel of one added channel of ones. That channel is one more filter, of zeros and with
a bias. The scales of the batch norms are positive and are folded into the kernels. Pooling takes every other band of
the first convolution, so only those are computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from genrify_tagger.training.fast_musicnn import ALIVE
from genrify_tagger.training.musicnn_weights import BANDS, FRAMES, FloatArray, Weights, affine

GRAPH_NAME = "vgg"  # names its part of the graph, so that quantisation finds it
VGG_SIZE = 256
POOLING = (((4, 1), (2, 1)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4)))
# The channel of ones holds 16 instead: its kernel is a sum of many others, too large for the 8-bit scale they share.
ONES = 16.0


@dataclass(frozen=True)
class Convolution:
    """Kernel (3, 3, n_in, n_out) and bias (n_out,) of the living channels and the channel of ones."""

    kernel: FloatArray
    bias: FloatArray


def without_dead_filters(weights: Weights) -> tuple[list[Convolution], FloatArray]:
    """Drop the dead filters and fold the batch norms.

    Returns
    -------
    layers : list of Convolution
    shift : ndarray, shape (128,)
        To be added to the last layer's channels.
    """
    layers = []
    channels, shifts = np.ones(1, bool), np.zeros(1, np.float32)
    for number in range(1, len(POOLING) + 1):
        kernel, bias = weights[f"{number}CNN/kernel"], weights[f"{number}CNN/bias"]
        scale, shift = affine(weights, number)
        norms = np.sqrt((kernel**2).sum(axis=(0, 1, 2)))
        alive = norms > ALIVE * norms.max()
        if (scale[alive] <= 0).any():
            raise ValueError("a batch norm with a negative scale does not commute with the maximum")
        is_last = number == len(POOLING)
        kept = np.ones_like(alive) if is_last else alive
        gain = np.where(alive, scale, 0)[kept]
        if number > 1:
            ones = np.einsum("tbcf,c->tbf", kernel, shifts)[:, :, np.newaxis] / ONES
            kernel = np.concatenate([kernel[:, :, channels], ones], axis=2)
        kernel, folded_bias = kernel[..., kept] * gain, bias[kept] * gain
        if not is_last:
            kernel = np.concatenate([kernel, np.zeros_like(kernel[..., :1])], axis=3)
            folded_bias = np.append(folded_bias, ONES)
        layers.append(Convolution(kernel.astype(np.float32), folded_bias.astype(np.float32)))
        channels, shifts = alive, np.where(alive, shift, np.maximum(bias, 0) * scale + shift)
    return layers, shifts.astype(np.float32)


def embed_vgg(mel: Any, weights: Weights) -> Any:
    """Compute the last pooling of MSD_vgg in its fast form: (n, 187, 96) to (n, 256)."""
    import keras
    from keras import ops

    layers, shift = without_dead_filters(weights)
    given = keras.Input((FRAMES, BANDS))
    scale, offset = affine(weights, 0)
    x = ops.pad(ops.expand_dims(given, 3) * scale + offset, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for number, (layer, (size, strides)) in enumerate(zip(layers, POOLING, strict=True)):
        step, padding = ((1, 2), "valid") if number == 0 else ((1, 1), "same")
        x = ops.relu(ops.conv(x, layer.kernel, strides=step, padding=padding) + layer.bias)
        x = ops.max_pool(x, size, strides, padding="valid")
    features = ops.reshape(x, (-1, VGG_SIZE)) + np.tile(shift, VGG_SIZE // len(shift))
    return keras.Model(given, features, name=GRAPH_NAME)(mel)
