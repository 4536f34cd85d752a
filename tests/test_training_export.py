"""What is trained is what is shipped: through the converter, the sidecar and the program's own runtime."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from genrify_tagger.classifier import Classifier
from genrify_tagger.training.build import description
from genrify_tagger.training.export import Head, assemble, convert, write_model
from genrify_tagger.training.head import predict
from tests.test_training_prune import random_weights


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A model with a random head; the Keras network, the head and the folder it was written to."""
    rng = np.random.default_rng(2)

    def layer(n_in, n_out):
        return (rng.normal(size=(n_in, n_out)) / np.sqrt(n_in)).astype(np.float32), np.zeros(n_out, np.float32)

    nets = [[layer(200, 16), layer(16, 11)], [layer(200, 11)]]
    head = Head(rng.normal(size=200).astype(np.float32), np.full(200, 2, np.float32), nets)
    network = assemble(random_weights(), head)
    folder = tmp_path_factory.mktemp("model")
    tags = [f"tag {number}" for number in range(50)]
    write_model(folder, convert(network), version="9", description=description(tags, {"temperature": 1.1}, 0.7))
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


def test_genres_and_outside_are_one_distribution_taken_apart(shipped, mel):
    network, head, _ = shipped
    got = network.predict_on_batch(mel)
    joint = predict(head, np.asarray(got["embedding"]))
    np.testing.assert_allclose(got["outside"], joint[:, -1:], atol=1e-4)
    np.testing.assert_allclose(got["gtzan"] * (1 - got["outside"]), joint[:, :-1], atol=1e-4)


def test_the_id_tells_models_apart(shipped):
    _, _, folder = shipped
    content = json.loads((folder / "genrify.json").read_text())
    assert content["id"] == f"9-{content['sha256'][:8]}"
    assert content["vocabularies"]["gtzan"]["min_confidence"] == 0.7
    assert content["front_end"]["n_fft"] == 512
