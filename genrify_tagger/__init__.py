"""Genrify Tagger listens to each song, offline, and writes its genre into the file, safely."""

__version__ = "0.1.0"
