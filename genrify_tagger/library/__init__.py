"""Find the songs: walk folders, tell audio files by their names, and never stumble over what a disk may hold."""

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
