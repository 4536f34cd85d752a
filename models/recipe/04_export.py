"""Step 4: write the model's two files, the list of its training clips, and the licence of its weights."""

from __future__ import annotations

import json
import pickle

from clips import NO_MUSIC, read_clips
from genrify_tagger.training.datasets import without_suffix
from genrify_tagger.training.flatbuffer import convert, write_model
from genrify_tagger.training.inference import write_trained_on
from genrify_tagger.training.musicnn_weights import read_licence, read_tags, read_weights
from network_checks import runtime_differences, sample_mel
from quantization import quantize_convolutions
from recipe_options import CALIBRATION, HEAD, MODELS, parse_options, print_figures
from shipped_network import build_shipped_network, feature_network
from shipped_sidecar import sidecar_content

VERSION = "2.1"
LICENCE = "LICENSE-musicnn"


def main() -> None:
    """Run the step."""
    options = parse_options(__doc__)
    clips, tags = read_clips(options.shared), read_tags(options.wheel)
    calibration = json.loads((options.work / CALIBRATION).read_text(encoding="utf-8"))
    weights, vgg_weights = (read_weights(options.wheel, name) for name in ("MSD_musicnn", "MSD_vgg"))
    head = pickle.loads((options.work / HEAD).read_bytes())
    network = build_shipped_network(feature_network(weights, vgg_weights), head)
    flatbuffer = quantize_convolutions(convert(network))
    print_figures(quantised=runtime_differences(network, flatbuffer, sample_mel(clips, options.shared)))
    content = sidecar_content(tags, calibration)
    model = write_model(MODELS, flatbuffer, version=VERSION, description=content)
    music = (clip for clip in clips if clip.part not in NO_MUSIC)
    write_trained_on(MODELS, (without_suffix(clip.path.partition("/")[2]) for clip in music))
    (MODELS / LICENCE).write_text(read_licence(options.wheel), encoding="utf-8")
    print_figures(model=model, bytes=len(flatbuffer))


if __name__ == "__main__":
    main()
