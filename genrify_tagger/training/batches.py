"""What the network gets to hear in an epoch: segments drawn evenly over labels and artists, changed as chance has it.

Everything about an epoch follows from the seed and the epoch's number, so that a resumed run goes on as it would have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from genrify_tagger.spectrogram import log_mel
from genrify_tagger.training import augmentation
from genrify_tagger.training.decoded import SEGMENT_SAMPLES, Decoded, cut

FloatArray = npt.NDArray[np.float32]


class Batches:
    """The batches of one epoch.

    Parameters
    ----------
    entries : sequence of Decoded
    targets : ndarray, shape (n_entries, n_classes)
        Which classes each clip's label leaves open, ones and zeros.
    recipe : augmentation.Recipe
    batch, steps : int
        Segments in a batch, batches in the epoch.
    seed, epoch : int
    """

    def __init__(
        self,
        entries: Sequence[Decoded],
        targets: FloatArray,
        recipe: augmentation.Recipe,
        *,
        batch: int,
        steps: int,
        seed: int,
        epoch: int,
    ) -> None:
        self._entries, self._targets, self._recipe = entries, targets, recipe
        self._batch, self._steps = batch, steps
        self._key = (seed, epoch)
        self._drawn = draw(entries, targets, batch * steps, np.random.default_rng(self._key))

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Give the batches in turn, each made while the one before it is trained on."""
        with ThreadPoolExecutor(max_workers=1) as ahead:
            coming = ahead.submit(self.batch, 0)
            for index in range(self._steps):
                ready = coming.result()
                if index + 1 < self._steps:
                    coming = ahead.submit(self.batch, index + 1)
                yield ready

    def batch(self, index: int) -> tuple[Any, Any]:
        """Make one batch: log-mel segments (n, 187, 96) and what `networks.open_label_loss` wants to know of them."""
        rng = np.random.default_rng((*self._key, index))
        chosen = self._drawn[index * self._batch : (index + 1) * self._batch]
        sounds = [augmentation.augment(self._segment(at, rng), self._recipe, rng) for at in chosen]
        mel = augmentation.mask(log_mel(np.stack(sounds)), self._recipe.masks, rng)
        return augmentation.mix(mel, self._targets[chosen], self._recipe.mixup, rng)

    def _segment(self, at: int, rng: np.random.Generator) -> FloatArray:
        y = self._entries[at].load()
        return cut(y, int(rng.integers(max(1, len(y) - SEGMENT_SAMPLES + 1))))


def draw(entries: Sequence[Decoded], targets: FloatArray, n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw clips: first what the label leaves open, then an artist, then one of the artist's clips, each evenly."""
    by_label: dict[bytes, dict[str, list[int]]] = {}
    for at, (entry, open_classes) in enumerate(zip(entries, targets, strict=True)):
        by_label.setdefault(open_classes.tobytes(), {}).setdefault(entry.clip.group, []).append(at)
    pools = [[by_group[name] for name in sorted(by_group)] for _, by_group in sorted(by_label.items())]
    # As many of each label as of any other, within one; in random order.
    order = rng.permutation(np.arange(n) % len(pools))
    drawn = np.empty(n, np.int64)
    for position, number in enumerate(order):
        groups = pools[number]
        clips = groups[rng.integers(len(groups))]
        drawn[position] = clips[rng.integers(len(clips))]
    return drawn
