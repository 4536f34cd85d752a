"""Genrify Tagger analyses the audio of songs offline and writes a genre into files that have none."""

__version__ = "0.1.0"
