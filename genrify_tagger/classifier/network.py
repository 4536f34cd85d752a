"""The network, a LiteRT flatbuffer: log-mel spectrograms in, activations out. Opening it loads the runtime."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from genrify_tagger.classifier.sidecar import REINSTALL, Sidecar, load_sidecar
from genrify_tagger.errors import ModelError

if TYPE_CHECKING:
    from genrify_tagger.analysis import FloatArray

MAX_BATCH: Final = 4  # segments; larger batches cost memory without being faster


class Classifier:
    """The loaded model.

    Parameters
    ----------
    sidecar_path : str or None
        None for the shipped model.
    num_threads : int
        Threads per call; it is faster to process several songs in parallel.

    Raises
    ------
    ModelError
        If one of the two files is missing or damaged, or they do not match.
    """

    def __init__(self, sidecar_path: str | None = None, *, num_threads: int = 1) -> None:
        self.sidecar = load_sidecar(sidecar_path)
        self._interpreter = _load(self.sidecar, num_threads)
        (entry,) = self._interpreter.get_input_details()
        self._input = int(entry["index"])
        self._shape = tuple(int(size) for size in entry["shape"][1:])
        self._outputs = self._named_outputs()
        self._batch = 0
        # The runtime prints its delegate to stderr at the first allocation of a process.
        with silent_stderr():
            self._allocate(MAX_BATCH)

    def predict(self, mel: FloatArray) -> dict[str, FloatArray]:
        """Compute the activations of segments.

        Parameters
        ----------
        mel : ndarray, shape (n, 187, 96)
            Log-mel spectrograms from `spectrogram.log_mel`.

        Returns
        -------
        dict of str to ndarray, shape (n, n_columns)
            Activations by name of output: one for each vocabulary, `outside` if the model has it, `tags`, `embedding`.

        Raises
        ------
        ModelError
            If the segments have the wrong shape, or the outputs are not finite.
        """
        import numpy as np

        if mel.ndim != 3 or mel.shape[1:] != self._shape or not len(mel):
            raise ModelError(f"the model expects segments of shape {self._shape}, not {mel.shape}")
        batches = [self._invoke(mel[start : start + MAX_BATCH]) for start in range(0, len(mel), MAX_BATCH)]
        activations = {name: np.concatenate([batch[name] for batch in batches]) for name in self._outputs}
        if not all(np.isfinite(values).all() for values in activations.values()):
            raise ModelError("the model's outputs are not finite", path=self.sidecar.flatbuffer)
        return activations

    def _invoke(self, mel: FloatArray) -> dict[str, FloatArray]:
        import numpy as np

        self._allocate(len(mel))
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(mel, dtype=np.float32))
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}

    def _allocate(self, batch: int) -> None:
        """Allocate tensors for `batch` segments, unless they have that size already."""
        if batch == self._batch:
            return
        self._interpreter.resize_tensor_input(self._input, (batch, *self._shape), strict=True)
        self._interpreter.allocate_tensors()
        self._batch = batch

    def _named_outputs(self) -> dict[str, int]:
        """Return the index of every output in the sidecar by name."""
        (signature,) = self._interpreter.get_signature_list().values()
        runner = self._interpreter.get_signature_runner()
        details = runner.get_output_details()
        for name, columns in self.sidecar.outputs().items():
            if name not in signature["outputs"] or details[name]["shape"][-1] != columns:
                raise ModelError(
                    f"the model has no output {name!r} of {columns} columns",
                    path=self.sidecar.flatbuffer,
                    hint=REINSTALL,
                )
        return {name: int(details[name]["index"]) for name in self.sidecar.outputs()}


def _load(sidecar: Sidecar, num_threads: int) -> Any:
    """Load the flatbuffer into the runtime, after checking that it matches the sidecar."""
    try:
        with open(sidecar.flatbuffer, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ModelError(f"cannot read the model: {error.strerror}", path=sidecar.flatbuffer, hint=REINSTALL) from error
    if hashlib.sha256(content).hexdigest() != sidecar.sha256:
        raise ModelError("the model does not match its description", path=sidecar.flatbuffer, hint=REINSTALL)
    from ai_edge_litert.interpreter import Interpreter

    try:
        return Interpreter(model_content=content, num_threads=num_threads)
    except ValueError as error:
        raise ModelError("the model is damaged", path=sidecar.flatbuffer, hint=REINSTALL) from error


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Discard what C code prints to stderr; LiteRT and TensorFlow have no option to silence it."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
