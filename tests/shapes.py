"""The type of the tag corpus' entries: a shape of tags, and how to build it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Built:
    """A file as other programs leave it.

    Attributes
    ----------
    data : bytes
        The whole file.
    kept : sequence of bytes
        Stretches of it that must stand, in this order, in whatever a write makes of the file.
    trailing : bool
        There are tags behind the audio which FFmpeg may take for audio; the audio is one of the kept stretches.
    """

    data: bytes
    kept: Sequence[bytes] = ()
    trailing: bool = False


@dataclass(frozen=True)
class Shape:
    """One shape of tags on real audio.

    Attributes
    ----------
    name : str
    suffix : str
        With the dot.
    build : callable
        Makes the file's bytes.
    genres : tuple of str or None
        What a person would say the file's genre is; None where opinions may differ.
    refused : str or None
        Why the file must not be written, a word that the refusal must contain; None if it must be written.
    """

    name: str
    suffix: str
    build: Callable[[], Built] = field(repr=False)
    genres: tuple[str, ...] | None = None
    refused: str | None = None

    def make(self, folder: Path) -> tuple[Path, Built]:
        """Write the file into `folder`."""
        built = self.build()
        path = folder / (self.name + self.suffix)
        path.write_bytes(built.data)
        return path, built

    def __str__(self) -> str:
        return self.name
