"""MSD_vgg, the second network that listens, in an equivalent form without its dead filters.

It comes from the same wheel as MSD_musicnn (`training.musicnn`), hears the same spectrogram and errs elsewhere: five
3 x 3 convolutions, each followed by ReLU, batch norm and pooling. 241 of its first 512 filters are dead. As in
`training.prune`, a dead filter's constant and every batch norm's shift meet the zero padding of the next convolution,
so they become the kernel of one channel of ones. That channel costs nothing: it is one more filter, of zeros and with
a bias. The scales of the batch norms are positive and go into the kernels. Pooling takes every other band of the first
convolution, so only those are computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from genrify_tagger.training.musicnn import BANDS, FRAMES, FloatArray, Weights, affine
from genrify_tagger.training.prune import ALIVE

NAME = "vgg"  # of the part of the graph, by which it is found when weights are made smaller
SIZE = 256
POOLING = (((4, 1), (2, 1)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4)))
# The channel of ones is one of sixteens: its kernel sums many others, too large to be held in 8 bits beside them.
ONES = 16.0


@dataclass(frozen=True)
class Layer:
    """One convolution: kernel (3, 3, n_in, n_out) and bias (n_out,) of the living channels and the one of ones."""

    kernel: FloatArray
    bias: FloatArray


def build(weights: Weights) -> Any:
    """Build the network as published, up to its last pooling: log-mel (n, 187, 96) to (n, 256)."""
    import keras
    from keras import ops

    mel = keras.Input((FRAMES, BANDS), name="mel")
    scale, shift = affine(weights, 0)
    x = ops.expand_dims(mel, 3) * scale + shift
    for number, (size, strides) in enumerate(POOLING, start=1):
        x = ops.conv(x, weights[f"{number}CNN/kernel"], padding="same") + weights[f"{number}CNN/bias"]
        scale, shift = affine(weights, number)
        x = ops.max_pool(ops.relu(x) * scale + shift, size, (2, 2) if number == 1 else strides, padding="valid")
    return keras.Model(mel, ops.reshape(x, (-1, SIZE)), name="msd_vgg")


def lean(weights: Weights) -> tuple[list[Layer], FloatArray]:
    """Leave the dead filters out.

    Returns
    -------
    layers : list of Layer
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
        kernel, lean_bias = kernel[..., kept] * gain, bias[kept] * gain
        if not is_last:
            kernel = np.concatenate([kernel, np.zeros_like(kernel[..., :1])], axis=3)
            lean_bias = np.append(lean_bias, ONES)
        layers.append(Layer(kernel.astype(np.float32), lean_bias.astype(np.float32)))
        channels, shifts = alive, np.where(alive, shift, np.maximum(bias, 0) * scale + shift)
    return layers, shifts.astype(np.float32)


def embed(mel: Any, weights: Weights) -> Any:
    """Compute the last pooling of MSD_vgg, the fast way: (n, 187, 96) to (n, 256)."""
    import keras
    from keras import ops

    layers, shift = lean(weights)
    given = keras.Input((FRAMES, BANDS))
    scale, offset = affine(weights, 0)
    x = ops.pad(ops.expand_dims(given, 3) * scale + offset, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for number, (layer, (size, strides)) in enumerate(zip(layers, POOLING, strict=True)):
        step, padding = ((1, 2), "valid") if number == 0 else ((1, 1), "same")
        x = ops.relu(ops.conv(x, layer.kernel, strides=step, padding=padding) + layer.bias)
        x = ops.max_pool(x, size, strides, padding="valid")
    features = ops.reshape(x, (-1, SIZE)) + np.tile(shift, SIZE // len(shift))
    return keras.Model(given, features, name=NAME)(mel)
