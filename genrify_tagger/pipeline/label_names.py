"""The genre names that are written for the model's labels: the user's, or the model's own."""

from __future__ import annotations

from genrify_tagger.classifier import Sidecar, load_sidecar
from genrify_tagger.config import Settings, nearest
from genrify_tagger.genre_spelling import spelling


def written_names(settings: Settings, sidecar: Sidecar | None = None) -> dict[str, str]:
    """Return the name to write for each label: the user's, or the model's.

    Parameters
    ----------
    settings : Settings
        The effective settings; if vocabularies differ, `analysis.vocabulary` counts.
    sidecar : Sidecar, optional
        The model's, if it is loaded already.

    Raises
    ------
    ModelError
        If the model cannot be used.
    """
    vocabularies = (sidecar or load_sidecar(settings.analysis.model or None)).vocabularies
    names: dict[str, str] = {}
    for vocabulary in sorted(vocabularies, key=lambda name: name == settings.analysis.vocabulary):
        names |= vocabularies[vocabulary].names
    aliases = {spelling(word): name for word, name in settings.genres.aliases.items()}
    named = {label: aliases.get(spelling(name), name) for label, name in names.items()}
    return named | dict(settings.tagging.names)


def unknown_names(settings: Settings, sidecar: Sidecar | None = None) -> dict[str, str]:
    """Return the labels in `tagging.names` that the model lacks, each with a hint.

    Parameters
    ----------
    settings : Settings
        The effective settings.
    sidecar : Sidecar, optional
        The model's, if it is loaded already.

    Raises
    ------
    ModelError
        If the model cannot be used.
    """
    known = (sidecar or load_sidecar(settings.analysis.model or None)).labels()
    found = {}
    for label in settings.tagging.names:
        if label not in known:
            near = nearest(label, known)
            found[label] = f"did you mean {near}?" if near else f"its labels are {', '.join(known)}"
    return found
