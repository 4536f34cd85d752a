"""A digest of all settings that may change a file's outcome."""

from __future__ import annotations

import hashlib
import json

from genrify_tagger.config import GenreSettings, Settings
from genrify_tagger.learned_vocabulary import LearnedVocabulary
from genrify_tagger.pipeline.genre_files import GenreFiles


def settings_key(settings: Settings, vocabulary: str, learned: LearnedVocabulary | None, files: GenreFiles) -> str:
    """Return the digest under which outcomes are stored: a file whose outcome has another one is looked at again.

    A setting that came later is part of it only where it is not the default: else every stored outcome would look
    outdated after an upgrade.

    Parameters
    ----------
    settings : Settings
    vocabulary : str
        The name of the vocabulary that decides.
    learned : LearnedVocabulary or None
        That vocabulary, if it was learned from the library.
    files : GenreFiles
        The user's whitelist and genre tree.
    """
    analysis, tagging, library = settings.analysis, settings.tagging, settings.library
    values: list[tuple[object, ...]] = [
        (analysis.segments, vocabulary, analysis.existing, library.max_minutes),
        (tagging.existing, list(tagging.treat_as_missing), tagging.min_confidence, tagging.max_genres),
        (tagging.changed, tagging.field, list(tagging.protected), sorted(tagging.names.items())),
        (tagging.hardlinks, tagging.ownership, tagging.keep_mtime),
    ]
    if tagging.incomplete:
        values.append((tagging.incomplete,))
    if tagging.tree_level != "leaf":
        values.append((tagging.tree_level,))
    if tagging.scope != "song":
        values.append((tagging.scope,))
    if learned is not None:
        values.append(("learned", learned.id))
    if settings.genres != GenreSettings():
        values.append((sorted(settings.genres.aliases.items()), sorted(files.whitelist)))
        values.append((sorted(files.tree.items()),))
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=8).hexdigest()
