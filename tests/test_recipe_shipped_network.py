"""What is trained is what is shipped: through the converter, the sidecar and the program's own runtime."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from genre_head import genre_probabilities
from genrify_tagger.classifier import Classifier, load_sidecar
from genrify_tagger.training.flatbuffer import convert, write_model
from network_checks import agreement
from quantization import quantize_convolutions
from shipped_network import EMBEDDING_SIZE, Head, build_shipped_network, feature_network
from shipped_sidecar import sidecar_content
from tests.test_recipe_fast_vgg import random_vgg_weights
from tests.test_training_fast_musicnn import random_weights

CALIBRATION = {"calibration": {"temperature": 1.1}, "min_confidence": 0.7}
TAGS = [f"tag {number}" for number in range(50)]
CONTENT = sidecar_content(TAGS, CALIBRATION)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A model with a random head; the Keras network, the head and the folder it was written to."""
    rng = np.random.default_rng(2)

    def layer(n_in, n_out):
        return (rng.normal(size=(n_in, n_out)) / np.sqrt(n_in)).astype(np.float32), np.zeros(n_out, np.float32)

    nets = [[layer(EMBEDDING_SIZE, 16), layer(16, 11)], [layer(EMBEDDING_SIZE, 11)]]
    head = Head(rng.normal(size=EMBEDDING_SIZE).astype(np.float32), np.full(EMBEDDING_SIZE, 2, np.float32), nets)
    body = feature_network(random_weights(), random_vgg_weights())
    network = build_shipped_network(body, head)
    folder = tmp_path_factory.mktemp("model")
    write_model(folder, convert(network), version="9", description=CONTENT)
    return network, head, folder


@pytest.fixture(scope="module")
def mel():
    return (np.random.default_rng(1).random((5, 187, 96)) * 3).astype(np.float32)


def test_the_runtime_gives_what_keras_gives(shipped, mel):
    network, _, folder = shipped
    got, expected = Classifier(str(folder / "genrify.json")).predict(mel), network.predict_on_batch(mel)
    assert set(got) == {"gtzan", "outside", "tags", "embedding"}
    for name, values in got.items():
        np.testing.assert_allclose(values, expected[name], atol=2e-3, rtol=1e-3, err_msg=name)


def test_eight_bit_kernels_are_smaller_and_give_nearly_the_same_embedding(shipped, mel, tmp_path):
    network, _, folder = shipped
    flatbuffer = (folder / "genrify.tflite").read_bytes()
    smaller = quantize_convolutions(flatbuffer)
    assert len(smaller) < 0.8 * len(flatbuffer)
    write_model(tmp_path, smaller, version="9", description=CONTENT)
    got, expected = Classifier(str(tmp_path / "genrify.json")).predict(mel), network.predict_on_batch(mel)
    r2, difference = agreement(np.asarray(expected["embedding"]), got["embedding"])
    assert r2 > 0.98
    assert difference > 0, "nothing was rounded"


def test_genres_and_outside_are_one_distribution_taken_apart(shipped, mel):
    network, head, _ = shipped
    got = network.predict_on_batch(mel)
    joint = genre_probabilities(head, np.asarray(got["embedding"]))
    np.testing.assert_allclose(got["outside"], joint[:, -1:], atol=1e-4)
    np.testing.assert_allclose(got["gtzan"] * (1 - got["outside"]), joint[:, :-1], atol=1e-4)


def test_the_id_differs_between_models(tmp_path):
    first = write_model(tmp_path / "a", b"one", version="9", description=CONTENT)
    assert write_model(tmp_path / "b", b"one", version="9", description=CONTENT) == first
    assert load_sidecar(str(tmp_path / "a/genrify.json")).id == first
    other = sidecar_content(TAGS, CALIBRATION | {"min_confidence": 0.71})
    ids = {first, write_model(tmp_path / "c", b"two", version="9", description=CONTENT)}
    ids |= {write_model(tmp_path / "d", b"one", version="9", description=other)}
    assert len(ids) == 3
    assert all(one.startswith("9-") for one in ids)


def test_the_sidecar_has_the_given_content(shipped):
    _, _, folder = shipped
    content = json.loads((folder / "genrify.json").read_text())
    assert content["vocabularies"]["gtzan"]["min_confidence"] == 0.7
    assert content["front_end"]["n_fft"] == 512
