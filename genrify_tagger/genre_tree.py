"""The genre tree, a file in the form of beets' `genres-tree.yaml`, and the linear head that scores its genres.

The file is nested YAML lists of genre names, each genre below the wider one it belongs to.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from genrify_tagger.analysis import FloatArray
from genrify_tagger.errors import ModelError
from genrify_tagger.genre_rules import Tree, parse_tree
from genrify_tagger.genre_spelling import Path, spelling


@dataclass(frozen=True, eq=False)
class TreeHead:
    """A linear head on a song's features, and the positions of its labels in the tree.

    Attributes
    ----------
    weights : ndarray, shape (n_features, n_leaves)
        See `decision.song_features` for the features.
    bias : ndarray, shape (n_leaves,)
    leaves : tuple of str
        Names of the columns: labels, and what is never named.
    parents : mapping of str to str
        Label of the top genre, by label, for each label that is not itself a top genre.
    paths : mapping of str to tuple of str
        Names in the tree from the top genre to the label's own, by label.
    """

    weights: FloatArray
    bias: FloatArray
    leaves: tuple[str, ...]
    parents: Mapping[str, str]
    paths: Mapping[str, Path]


def load_tree_head(head: str, head_sha256: str, tree: str, tree_sha256: str, names: Mapping[str, str]) -> TreeHead:
    """Read a head and the tree it scores.

    Parameters
    ----------
    head : str
        An .npz file of `weights`, `bias` and `leaves`.
    tree : str
        A file in the form of beets' `genres-tree.yaml`.
    head_sha256, tree_sha256 : str
        Of the two files, hexadecimal.
    names : mapping of str to str
        Label to written name.

    Raises
    ------
    ModelError
        If a file is missing, damaged or not the one described, or the two do not fit together.
    """
    weights, bias, leaves = _head_arrays(_checked(head, head_sha256), head)
    known = _parsed_tree(_checked(tree, tree_sha256).decode(), tree)
    lacking = [name for name in names.values() if spelling(name) not in known]
    if lacking or not set(names) <= set(leaves):
        raise ModelError(f"the tree's head and the tree do not fit together ({', '.join(lacking)})", path=tree)
    paths = {label: known[spelling(name)] for label, name in names.items()}
    by_spelling = {spelling(name): label for label, name in names.items()}
    parents = {label: by_spelling[spelling(path[0])] for label, path in paths.items() if len(path) > 1}
    return TreeHead(weights, bias, leaves, parents, paths)


def _parsed_tree(text: str, path: str) -> Tree:
    try:
        return parse_tree(text)
    except ValueError as error:
        raise ModelError(f"the genre tree {error}", path=path) from error


def _checked(path: str, sha256: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ModelError(f"cannot read the model's genre tree: {error.strerror}", path=path) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError("is not the file that the model's description names", path=path)
    return content


def _head_arrays(content: bytes, path: str) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            weights, bias, leaves = (arrays[name] for name in ("weights", "bias", "leaves"))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError("the head of the genre tree is damaged", path=path) from error
    if weights.ndim != 2 or weights.shape[1:] != bias.shape or bias.shape != leaves.shape:
        raise ModelError("the arrays of the genre tree's head do not fit together", path=path)
    return weights.astype(np.float32), bias.astype(np.float32), tuple(str(leaf) for leaf in leaves)
