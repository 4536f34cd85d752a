"""The declaration of each setting: its name, type, default, limits and explanation, as `settings` has them."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from genrify_tagger.config.settings import Settings


@dataclass(frozen=True)
class Setting:
    """The declaration of one setting.

    Attributes
    ----------
    section, key : str
        Where it stands in the settings file.
    hint : type
        The type of its value, as annotated.
    doc : str
        What it is for.
    form : str
        What its text stands for, if the type does not say: "path" (``~`` is expanded, relative paths are made
        absolute), "glob", "genre" (a name to be written), "database", "server" (an http URL), "mpd" (an address of
        MPD), or "".
    low, high : float or None
        Limits of a number, both allowed.
    pattern : str
        Regular expression that a text has to match as a whole, or "".
    secret : bool
        Whether it is never shown.
    example : object
        A value for the template, if the default explains nothing.
    shown : str
        What to show as the default if it is not a constant.
    former : mapping of str to str
        Values that earlier versions had, and what takes their place.
    """

    section: str
    key: str
    hint: Any
    doc: str
    form: str = ""
    low: float | None = None
    high: float | None = None
    pattern: str = ""
    secret: bool = False
    example: Any = None
    shown: str = ""
    former: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Section and key, as in ``tagging.existing``."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"GENRIFY_{self.section}__{self.key}".upper()

    @property
    def is_table(self) -> bool:
        """Whether its value is a table."""
        return typing.get_origin(self.hint) is Mapping

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words, or () if it is not a choice."""
        return typing.get_args(self.hint) if typing.get_origin(self.hint) is Literal else ()


@functools.cache
def sections() -> Mapping[str, type[Any]]:
    """Return the class of each section by its name."""
    return typing.get_type_hints(Settings)


@functools.cache
def declared() -> Mapping[str, Setting]:
    """Return every setting's declaration by its name, in the order of the settings file."""
    found = {}
    for section, kind in sections().items():
        hints = typing.get_type_hints(kind)
        for item in dataclasses.fields(kind):
            setting = Setting(section=section, key=item.name, hint=hints[item.name], **item.metadata)
            found[setting.name] = setting
    return found
