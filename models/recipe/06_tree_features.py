"""Step 6: compute the features of every clip, and of its altered copies, for the head of the genre tree."""

from __future__ import annotations

from collections import Counter

from recipe_options import parse_options, print_figures
from tree_clips import read_tree_clips
from tree_features import compute_features


def main() -> None:
    """Run the step."""
    options = parse_options(__doc__)
    clips = read_tree_clips(options.shared)
    compute_features(clips, options.shared, options.work)
    print_figures(clips=Counter(clip.part for clip in clips), sources=len({clip.source for clip in clips}))


if __name__ == "__main__":
    main()
