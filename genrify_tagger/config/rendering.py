"""The settings as text: those in effect, a template for the settings file, their defaults for the docs."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from genrify_tagger.config.declarations import Setting, declared, sections
from genrify_tagger.config.loading import LoadedSettings
from genrify_tagger.files import display_path

_HEAD = """\
# Settings of Genrify Tagger. Every line is optional; remove the "#" in front of what you change.
# An environment variable GENRIFY_<SECTION>__<KEY> overrides this file, a command-line option overrides both.
# Relative paths are relative to this file's folder. "genrify-tag config show" prints what is in effect.
"""
_HIDDEN = "(set, not shown)"


def effective_toml(loaded: LoadedSettings) -> str:
    """Return the settings in effect as TOML, each with its origin as a comment."""
    lines = []
    for section, entries in _effective(loaded).items():
        given = [
            (
                f"{key} = {_toml(value)}"
                if value is not None
                else f"# {key} = ({declared()[f'{section}.{key}'].shown})",
                origin,
            )
            for key, (value, origin) in entries.items()
        ]
        width = min(max(len(text) for text, _ in given), 60)
        lines += [f"[{section}]", *(f"{text:{width}}  # {display_path(origin)}" for text, origin in given), ""]
    return "\n".join(lines[:-1])


def effective_json(loaded: LoadedSettings) -> dict[str, Any]:
    """Return the settings in effect as a JSON object: sections of keys, each with ``value`` and ``origin``."""
    return {
        section: {key: {"value": value, "origin": display_path(origin)} for key, (value, origin) in entries.items()}
        for section, entries in _effective(loaded).items()
    }


def settings_template(given: Mapping[str, Any] | None = None) -> str:
    """Return a settings file that explains every setting and changes none but those given as ``section.key``."""
    given = given or {}
    lines = [_HEAD]
    for section, settings in _by_section():
        lines.append(f"[{section}]")
        for setting in settings:
            lines += textwrap.wrap(setting.doc, 110, initial_indent="# ", subsequent_indent="# ")
            if setting.choices:
                lines.append(f"# One of: {', '.join(setting.choices)}.")
            is_given = setting.name in given
            value = f"{setting.key} = {_toml(given[setting.name])}" if is_given else ""
            lines += [value or f"# {setting.key} = {_example(setting)}", ""]
    return "\n".join(lines)


def default_text(setting: Setting) -> str:
    """Return a setting's default as Markdown: as it is written in the settings file, or in words."""
    return setting.shown or f"`{_toml(_default_of(setting))}`"


def example_text(setting: Setting) -> str:
    """Return a setting's example as Markdown; "" if it has none."""
    return "" if setting.example is None else f"`{setting.key} = {_toml(setting.example)}`"


def _by_section() -> Iterator[tuple[str, list[Setting]]]:
    names = dict.fromkeys(s.section for s in declared().values())
    for section in names:
        yield section, [s for s in declared().values() if s.section == section]


def _default_of(setting: Setting) -> Any:
    # Not by way of `Settings()`: the default database needs a home folder.
    declaration = next(item for item in dataclasses.fields(sections()[setting.section]) if item.name == setting.key)
    factory = declaration.default_factory
    return declaration.default if factory is dataclasses.MISSING else factory()


def _example(setting: Setting) -> str:
    if setting.example is None:
        return _toml(_default_of(setting))
    default = setting.shown or _toml(_default_of(setting))
    return f"{_toml(setting.example)}  # for example; by default {default}"


def _effective(loaded: LoadedSettings) -> Mapping[str, Mapping[str, tuple[Any, str]]]:
    """Return value and origin by section and key, with secrets hidden."""
    found: dict[str, dict[str, tuple[Any, str]]] = {}
    for setting in declared().values():
        value = _printable(setting, getattr(getattr(loaded.settings, setting.section), setting.key))
        found.setdefault(setting.section, {})[setting.key] = (value, loaded.origins[setting.name])
    return found


def _printable(setting: Setting, value: Any) -> Any:
    if setting.secret:
        return _HIDDEN if value else ""
    if setting.form == "database":
        return re.sub(r"(://[^/:@]*:)[^/]*@", r"\1***@", display_path(value))
    if isinstance(value, tuple):
        return [display_path(v) for v in value]
    return display_path(value) if isinstance(value, str) else value


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(v) for v in value)}]"
    if isinstance(value, float):
        return f"{value:g}"
    # A JSON string, number or flag is written the same way in TOML.
    return json.dumps(value, ensure_ascii=False)
