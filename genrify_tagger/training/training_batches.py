"""The batches of an epoch: segments drawn evenly over labels and artists, augmented at random.

An epoch depends only on the seed and its number, so that a resumed run is the same as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from genrify_tagger.spectrogram import log_mel
from genrify_tagger.training import augmentation
from genrify_tagger.training.decoded_cache import SEGMENT_SAMPLES, DecodedClip, cut_segment

FloatArray = npt.NDArray[np.float32]


class EpochBatches:
    """The batches of one epoch.

    Parameters
    ----------
    entries : sequence of DecodedClip
    targets : ndarray, shape (n_entries, n_classes)
        The classes that each clip's label leaves open, ones and zeros.
    augmentation_options : augmentation.Augmentation
    batch, steps : int
        Segments in a batch, batches in the epoch.
    seed, epoch : int
    """

    def __init__(
        self,
        entries: Sequence[DecodedClip],
        targets: FloatArray,
        augmentation_options: augmentation.Augmentation,
        *,
        batch: int,
        steps: int,
        seed: int,
        epoch: int,
    ) -> None:
        self._entries, self._targets, self._augmentation = entries, targets, augmentation_options
        self._batch, self._steps = batch, steps
        self._key = (seed, epoch)
        self._drawn = draw_clips(entries, targets, batch * steps, np.random.default_rng(self._key))

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield the batches in turn, each made in a thread while the one before it is trained on."""
        with ThreadPoolExecutor(max_workers=1) as ahead:
            coming = ahead.submit(self.batch, 0)
            for index in range(self._steps):
                ready = coming.result()
                if index + 1 < self._steps:
                    coming = ahead.submit(self.batch, index + 1)
                yield ready

    def batch(self, index: int) -> tuple[Any, Any]:
        """Make one batch: log-mel segments (n, 187, 96) and targets for `trainable_networks.open_label_loss`."""
        rng = np.random.default_rng((*self._key, index))
        chosen = self._drawn[index * self._batch : (index + 1) * self._batch]
        sounds = [augmentation.augment_segment(self._segment(at, rng), self._augmentation, rng) for at in chosen]
        mel = augmentation.mask_spectrograms(log_mel(np.stack(sounds)), self._augmentation.masks, rng)
        return augmentation.mix_spectrograms(mel, self._targets[chosen], self._augmentation.mixup, rng)

    def _segment(self, at: int, rng: np.random.Generator) -> FloatArray:
        y = self._entries[at].load()
        return cut_segment(y, int(rng.integers(max(1, len(y) - SEGMENT_SAMPLES + 1))))


def draw_clips(
    entries: Sequence[DecodedClip], targets: FloatArray, n: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw clips evenly over sets of open classes, then over artists, then over the artist's clips."""
    by_label: dict[bytes, dict[str, list[int]]] = {}
    for at, (entry, open_classes) in enumerate(zip(entries, targets, strict=True)):
        by_label.setdefault(open_classes.tobytes(), {}).setdefault(entry.clip.group, []).append(at)
    pools = [[by_group[name] for name in sorted(by_group)] for _, by_group in sorted(by_label.items())]
    # Equally many of each, give or take one, in random order.
    order = rng.permutation(np.arange(n) % len(pools))
    drawn = np.empty(n, np.int64)
    for position, number in enumerate(order):
        groups = pools[number]
        clips = groups[rng.integers(len(groups))]
        drawn[position] = clips[rng.integers(len(clips))]
    return drawn
