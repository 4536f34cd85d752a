"""The clips that ideas are tried on (`training.ideas`), and what any network makes of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genrify_tagger.training import idea_networks, musicnn, prune, vgg
from genrify_tagger.training.data import Clip, read_clips
from genrify_tagger.training.listening import Embed, Heard, Network, hear_all
from genrify_tagger.training.musicnn import FloatArray, Weights
from genrify_tagger.training.validate import cross_validate

BOTH = ("MSD_musicnn", "MSD_vgg")

Joint = FloatArray
Mask = npt.NDArray[np.bool_]


@dataclass
class World:
    """Clips, and what any network makes of them.

    Parameters
    ----------
    shared, wheel, cache : Path
    seeds : sequence of int
    """

    shared: Path
    wheel: Path
    cache: Path
    seeds: Sequence[int]

    def __post_init__(self) -> None:
        self.clips = read_clips(self.shared)
        self._heard: dict[str, tuple[Heard, Heard]] = {}
        self._base: dict[int, Joint] = {}

    def load(self, *names: str) -> None:
        """Hear the clips with some networks, in one go, since most of it is decoding."""
        lacking: dict[str, Network] = {}
        for name in names:
            if name not in self._heard:
                checkpoint, make = FEATURES[name]
                weights = musicnn.read_weights(self.wheel, checkpoint)
                lacking[name] = [weights], functools.partial(make, weights)
        self._heard |= hear_all(self.clips, self.shared, lacking, self.cache)

    def hear(self, *names: str) -> tuple[Heard, Heard]:
        """Return features side by side, of the segments to train on and of those to judge by."""
        self.load(*names)
        parts = [self._heard[name] for name in names]
        return tuple(  # type: ignore[return-value]  # two of them
            Heard(np.concatenate([part[side].embedding for part in parts], axis=-1), parts[0][side].owner)
            for side in (0, 1)
        )

    def base(self, seed: int) -> Joint:
        """Return what the shipped recipe makes of the clips."""
        if seed not in self._base:
            self._base[seed] = self.try_out(seed)
        return self._base[seed]

    def try_out(
        self,
        seed: int,
        features: Sequence[str] = BOTH,
        *,
        clips: Sequence[Clip] | None = None,
        **options: Any,
    ) -> Joint:
        """Cross-validate with other features, labels, recipe, network, or without some clips."""
        return cross_validate(clips or self.clips, *self.hear(*features), seed=seed, **options)

    def mask(self, chosen: Callable[[Clip], bool]) -> Mask:
        """Mark clips."""
        return np.array([chosen(clip) for clip in self.clips])


def _predicting(build: Callable[[Weights], tuple[Any, Any]]) -> Callable[[Weights], Embed]:
    """Make a network of a function that returns its input and output."""

    def make(weights: Weights) -> Embed:
        import keras

        network = keras.Model(*build(weights))
        return lambda mel: np.asarray(network.predict_on_batch(mel), np.float32)

    return make


def _mel() -> Any:
    import keras

    return keras.Input((musicnn.FRAMES, musicnn.BANDS))


def _fast(layer: Callable[[Any, Weights], Any]) -> Callable[[Weights], tuple[Any, Any]]:
    def build(weights: Weights) -> tuple[Any, Any]:
        mel = _mel()
        return mel, layer(mel, weights)

    return build


def _pooled(mel: Any, weights: Weights) -> Any:
    return prune.pool(prune.middle(prune.channels(mel, weights), weights))


def _tag_odds(mel: Any, weights: Weights) -> Any:
    from keras import ops

    return ops.matmul(prune.embed(mel, weights), weights["dense_1/kernel"]) + weights["dense_1/bias"]


def _vgg_as_published(weights: Weights) -> tuple[Any, Any]:
    network = vgg.build(weights)
    return network.input, network.output


def _modulation(_: Weights) -> Embed:
    return idea_networks.modulation


def _channels(weights: Weights) -> Embed:
    heard = _predicting(_fast(prune.channels))(weights)
    return lambda mel: heard(mel).astype(np.float16)


#: By name: which checkpoint, and what is made of it. The first two stand side by side in the shipped model.
FEATURES: dict[str, tuple[str, Callable[[Weights], Embed]]] = {
    "MSD_musicnn": ("MSD_musicnn", _predicting(_fast(prune.embed))),
    "MSD_vgg": ("MSD_vgg", _predicting(_fast(vgg.embed))),
    "MTT_musicnn": ("MTT_musicnn", _predicting(_fast(prune.embed))),
    "MTT_vgg": ("MTT_vgg", _predicting(_vgg_as_published)),
    "pooled": ("MSD_musicnn", _predicting(_fast(_pooled))),
    "tags": ("MSD_musicnn", _predicting(_fast(_tag_odds))),
    "channels": ("MSD_musicnn", _channels),
    "modulation": ("MSD_musicnn", _modulation),
}
