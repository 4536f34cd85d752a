"""Find audio files: walk folders, apply include and exclude patterns, recognise audio by file name."""

from genrify_tagger.library.patterns import PathPatterns
from genrify_tagger.library.suffixes import NOT_TAGGABLE, TAGGABLE, is_audio
from genrify_tagger.library.walk import Candidate, UnreadablePath, candidate, discover

__all__ = [
    "NOT_TAGGABLE",
    "TAGGABLE",
    "Candidate",
    "PathPatterns",
    "UnreadablePath",
    "candidate",
    "discover",
    "is_audio",
]
