"""Find the songs: walk folders, tell audio files by their names, and never stumble over what a disk may hold."""

from genrify_tagger.library.patterns import Filter
from genrify_tagger.library.suffixes import NOT_TAGGABLE, TAGGABLE, is_audio
from genrify_tagger.library.walk import Candidate, Problem, candidate, discover

__all__ = ["NOT_TAGGABLE", "TAGGABLE", "Candidate", "Filter", "Problem", "candidate", "discover", "is_audio"]
