"""Conversion of a Keras network to a LiteRT flatbuffer, and the two files that make up a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrify_tagger.classifier import SIDECAR_NAME, model_id
from genrify_tagger.training.musicnn_weights import BANDS, FRAMES

FLATBUFFER = "genrify.tflite"


def convert(model: Any) -> bytes:
    """Convert a network to a LiteRT flatbuffer with named input and outputs, all in float32."""
    import tensorflow as tf

    specification = tf.TensorSpec((None, FRAMES, BANDS), tf.float32, name="mel")

    class Served(tf.Module):  # type: ignore[misc]  # TensorFlow has no type information
        @tf.function(input_signature=[specification])  # type: ignore[untyped-decorator]
        def serve(self, mel: Any) -> Any:
            return model(mel)

    served = Served()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([served.serve.get_concrete_function()], served)
    return bytes(converter.convert())


def write_model(folder: Path, flatbuffer: bytes, *, version: str, description: Mapping[str, Any]) -> str:
    """Write a model's two files: flatbuffer and sidecar.

    Parameters
    ----------
    folder : Path
    flatbuffer : bytes
    version : str
        First part of the model's id; the second part is the start of a hash over both files.
    description : mapping
        The rest of the sidecar: `front_end`, `vocabularies`, `tags`, `embedding_size`.

    Returns
    -------
    str
        The model's id.
    """
    digest = hashlib.sha256(flatbuffer).hexdigest()
    content = {"schema": 1, "version": version, "flatbuffer": FLATBUFFER, "sha256": digest, **description}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FLATBUFFER).write_bytes(flatbuffer)
    identity = model_id(content)
    text = json.dumps({"id": identity, **content}, indent=1, ensure_ascii=False)
    (folder / SIDECAR_NAME).write_text(text + "\n", encoding="utf-8")
    return identity
