"""The model's sidecar: a JSON description of the flatbuffer, its vocabularies and its front end.

Reading it needs only the standard library.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Literal, cast

from genrify_tagger.errors import ModelError

SCHEMA: Final = 1
SIDECAR_NAME: Final = "genrify.json"
_GIVE_ANOTHER: Final = "give the folder or the genrify.json that genrify-tag train wrote"
REINSTALL: Final = "reinstall Genrify Tagger, or restore the model's two files"


@dataclass(frozen=True)
class TreeFiles:
    """Where a genre tree and its head are, and what may be written of it.

    Attributes
    ----------
    head, tree : str
        Paths; see `genre_tree.load_tree_head`.
    head_sha256, tree_sha256 : str
        Of the two files, hexadecimal.
    writable : frozenset of str
        Labels for which there is enough evidence to write them.
    """

    head: str
    head_sha256: str
    tree: str
    tree_sha256: str
    writable: frozenset[str]

    def files(self) -> dict[str, str]:
        """Return paths and hashes as `genre_tree.load_tree_head` takes them."""
        return {name: getattr(self, name) for name in ("head", "head_sha256", "tree", "tree_sha256")}


@dataclass(frozen=True)
class Vocabulary:
    """A set of labels that the model predicts.

    Attributes
    ----------
    name : str
        As in the setting `analysis.vocabulary`.
    kind : {"single", "tree"}
        Whether the labels exclude one another, or are genres of a tree that are scored by a head of their own.
    labels : tuple of str
        In the order of the output's columns.
    output : str
        Name of the flatbuffer's output. For a tree: of the one that tells the likeliest of its first labels for a
        single segment.
    outside : str or None
        Name of the output with the probability that none of the labels fits.
    names : mapping of str to str
        Label to written name.
    calibration : mapping of str to float
        Parameters that turn activations into a probability of being right; see `decision`.
    min_confidence : float
        Default threshold below which nothing is written.
    alike : frozenset of str
        Labels that are hard to tell apart.
    tree : TreeFiles or None
        For a tree: its files, and which labels may be written.
    """

    name: str
    kind: Literal["single", "tree"]
    labels: tuple[str, ...]
    output: str
    outside: str | None
    names: Mapping[str, str]
    calibration: Mapping[str, float]
    min_confidence: float
    alike: frozenset[str] = frozenset()
    tree: TreeFiles | None = None

    @property
    def writable(self) -> frozenset[str]:
        """Labels that may be written."""
        return self.tree.writable if self.tree else frozenset(self.labels)


@dataclass(frozen=True)
class Sidecar:
    """The description of a model.

    Attributes
    ----------
    path : str
        Path of the sidecar itself.
    id : str
        Stored with every result. A hash of the whole sidecar, including the flatbuffer's hash, so that another
        calibration or threshold makes another model.
    version : str
    flatbuffer : str
        Path of the flatbuffer.
    sha256 : str
        Of the flatbuffer, hexadecimal.
    front_end : mapping
        Parameters of the log-mel spectrogram it was trained on.
    vocabularies : mapping of str to Vocabulary
    tags : tuple of str
        Names of the columns of the output `tags`.
    embedding_size : int
        Columns of the output `embedding`.
    analyses : str
        Under which model's id analyses are stored: its own, or that of an earlier one with the same flatbuffer.
    """

    path: str
    id: str
    version: str
    flatbuffer: str
    sha256: str
    front_end: Mapping[str, Any]
    vocabularies: Mapping[str, Vocabulary]
    tags: tuple[str, ...]
    embedding_size: int
    analyses: str

    def labels(self) -> list[str]:
        """Return the labels of all vocabularies, each once."""
        return list(dict.fromkeys(label for vocabulary in self.vocabularies.values() for label in vocabulary.labels))

    def outputs(self) -> dict[str, int]:
        """Return every output the flatbuffer must have, with its number of columns."""
        sizes = {"tags": len(self.tags), "embedding": self.embedding_size}
        for vocabulary in self.vocabularies.values():
            if vocabulary.tree is None:
                sizes[vocabulary.output] = len(vocabulary.labels)
            if vocabulary.outside is not None:
                sizes[vocabulary.outside] = 1
        return sizes


def load_sidecar(path: str | None = None) -> Sidecar:
    """Read a model's sidecar.

    Parameters
    ----------
    path : str or None
        The sidecar, or the folder that `genrify-tag train` wrote it to; None for the shipped model.

    Raises
    ------
    ModelError
        If it is missing, damaged or of another schema.
    """
    hint = REINSTALL if path is None else _GIVE_ANOTHER
    path = path or os.fspath(cast("os.PathLike[str]", resources.files("genrify_tagger.models") / SIDECAR_NAME))
    if os.path.isdir(path):
        path = os.path.join(path, SIDECAR_NAME)
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError as error:
        raise ModelError("no such model", path=path, hint=hint) from error
    except OSError as error:
        raise ModelError(f"cannot read the model's description: {error.strerror}", path=path, hint=hint) from error
    except ValueError as error:
        raise ModelError("the model's description is damaged", path=path, hint=REINSTALL) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ModelError(f"the model's description does not have schema {SCHEMA}", path=path, hint=REINSTALL)
    try:
        return _sidecar(content, path)
    except (KeyError, TypeError, ValueError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"the model's description is wrong: {what}", path=path, hint=REINSTALL) from error


def _sidecar(content: Mapping[str, Any], path: str) -> Sidecar:
    folder = os.path.dirname(path)
    vocabularies = {name: _vocabulary(name, entry, folder) for name, entry in _mapping(content, "vocabularies").items()}
    if not vocabularies:
        raise ValueError("no vocabulary")
    own_id = model_id(content)
    return Sidecar(
        path=path,
        id=own_id,
        version=_text(content, "version"),
        flatbuffer=_beside(content, "flatbuffer", folder),
        sha256=_text(content, "sha256"),
        front_end=dict(_mapping(content, "front_end")),
        vocabularies=vocabularies,
        tags=_texts(content, "tags"),
        embedding_size=int(_number(content, "embedding_size")),
        analyses=_text(content, "analyses") if "analyses" in content else own_id,
    )


def model_id(content: Mapping[str, Any]) -> str:
    """Return the id of the model that a sidecar describes: its version, and a hash of everything but an id."""
    meaningful = {key: value for key, value in content.items() if key != "id"}
    digest = hashlib.sha256(json.dumps(meaningful, sort_keys=True, allow_nan=False).encode()).hexdigest()
    return f"{_text(content, 'version')}-{digest[:8]}"


def _vocabulary(name: str, entry: Any, folder: str) -> Vocabulary:
    if not isinstance(entry, dict):
        raise TypeError(f"vocabulary {name!r} is not a table")
    kind = _text(entry, "kind")
    if kind not in ("single", "tree"):
        raise ValueError(f"vocabulary {name!r} is of unknown kind {kind!r}")
    labels = _texts(entry, "labels")
    names = {label: _text(_mapping(entry, "names"), label) for label in labels}
    calibration = _mapping(entry, "calibration")
    min_confidence = _number(entry, "min_confidence")
    if not 0 <= min_confidence <= 1:
        raise ValueError(f"min_confidence of vocabulary {name!r} is not between 0 and 1")
    return Vocabulary(
        name=name,
        kind=cast("Literal['single', 'tree']", kind),
        labels=labels,
        output=_text(entry, "output"),
        outside=None if entry.get("outside") is None else _text(entry, "outside"),
        names=names,
        calibration={key: _number(calibration, key) for key in calibration},
        min_confidence=min_confidence,
        alike=frozenset(_texts(entry, "alike")) if entry.get("alike") else frozenset(),
        tree=_tree_files(entry, folder) if kind == "tree" else None,
    )


def _tree_files(entry: Mapping[str, Any], folder: str) -> TreeFiles:
    return TreeFiles(
        head=_beside(entry, "head", folder),
        head_sha256=_text(entry, "head_sha256"),
        tree=_beside(entry, "tree", folder),
        tree_sha256=_text(entry, "tree_sha256"),
        writable=frozenset(_texts(entry, "writable")),
    )


def _beside(content: Mapping[str, Any], key: str, folder: str) -> str:
    """Return the path of a file that must lie beside the sidecar."""
    file_name = _text(content, key)
    if os.path.basename(file_name) != file_name:
        raise ValueError(f"the {key} must be in the same folder")
    return os.path.join(folder, file_name)


def _text(content: Mapping[str, Any], key: str) -> str:
    if not isinstance(content[key], str) or not content[key]:
        raise TypeError(f"{key!r} is not text")
    return str(content[key])


def _texts(content: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = content[key]
    if not isinstance(values, list) or not values or not all(isinstance(value, str) and value for value in values):
        raise TypeError(f"{key!r} is not a list of texts")
    if len(set(values)) < len(values):
        raise ValueError(f"{key!r} contains a duplicate")
    return tuple(values)


def _number(content: Mapping[str, Any], key: str) -> float:
    value = content[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"{key!r} is not a number")
    return float(value)


def _mapping(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    if not isinstance(content[key], dict):
        raise TypeError(f"{key!r} is not a table")
    return cast("Mapping[str, Any]", content[key])
