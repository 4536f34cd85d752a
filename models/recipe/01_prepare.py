"""Step 1: check the networks against what was published, and embed every segment of every clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clips import SourceClip, read_clips
from embeddings import embed_clips
from fast_vgg import VGG_SIZE
from genrify_tagger.training.musicnn_weights import Weights, read_weights
from network_checks import agreement, sample_mel, taggram_correlation
from published_networks import build_fast_musicnn, build_published_musicnn, build_published_vgg
from recipe_options import parse_options, print_figures
from shipped_network import feature_network


def main() -> None:
    """Run the step."""
    options = parse_options(__doc__)
    weights, vgg_weights = (read_weights(options.wheel, name) for name in ("MSD_musicnn", "MSD_vgg"))
    clips = read_clips(options.shared)
    check_networks(weights, vgg_weights, clips, options.shared)
    training, test = embed_clips(clips, options.shared, weights, vgg_weights, options.work)
    print_figures(clips=len(clips), training_segments=len(training.owner), test_segments=len(test.owner))


def check_networks(weights: Weights, vgg_weights: Weights, clips: Sequence[SourceClip], shared: Path) -> None:
    """Report how well the port agrees with the published tags, and the fast forms with the port."""
    published, fast = build_published_musicnn(weights), build_fast_musicnn(weights)
    correlation = taggram_correlation(fast, clips, shared)
    median, low = (float(np.percentile(correlation, share)) for share in (50, 5))
    print_figures(taggrams={"windows": len(correlation), "median": median, "5th percentile": low})
    mel = sample_mel(clips, shared)
    r2, difference = agreement(*(np.asarray(net.predict(mel, verbose=0)["embedding"]) for net in (published, fast)))
    print_figures(fast_musicnn={"segments": len(mel), "embedding R2": r2, "largest difference": difference})
    fast_vgg = feature_network(weights, vgg_weights).predict(mel, verbose=0)["embedding"][:, -VGG_SIZE:]
    r2, difference = agreement(np.asarray(build_published_vgg(vgg_weights).predict(mel, verbose=0)), fast_vgg)
    print_figures(fast_vgg={"segments": len(mel), "embedding R2": r2, "largest difference": difference})


if __name__ == "__main__":
    main()
