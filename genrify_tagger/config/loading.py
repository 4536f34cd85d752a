"""Load the settings from defaults, file, environment and command line."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from genrify_tagger.config import values
from genrify_tagger.config.declarations import Setting, declared, sections
from genrify_tagger.config.default_paths import config_path
from genrify_tagger.config.renamed import current_name
from genrify_tagger.config.settings import Settings
from genrify_tagger.errors import ConfigError
from genrify_tagger.files import display_path

log = logging.getLogger(__name__)

_PREFIX = "GENRIFY_"


@dataclass(frozen=True)
class LoadedSettings:
    """The effective settings.

    Attributes
    ----------
    settings : Settings
        Their values.
    origins : mapping of str to str
        Origin of each value by name (``tagging.existing``): "default", "FILE:LINE", the name of an environment
        variable, or "command line".
    file : str or None
        The settings file, whether it exists or not; None if it is not named and there is no home folder.
    """

    settings: Settings
    origins: Mapping[str, str]
    file: str | None

    def is_given(self, name: str) -> bool:
        """Whether a value was set explicitly, even to the default."""
        return self.origins[name] != "default"


@dataclass(frozen=True)
class _RawValue:
    """A value as the user wrote it, before validation."""

    setting: Setting
    raw: object
    origin: str
    folder: str


def load_settings(
    *,
    config_file: str | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    overrider: str = "command line",
) -> LoadedSettings:
    """Load the settings; later sources win: defaults, file, environment, `overrides`.

    Parameters
    ----------
    config_file : str, optional
        The settings file (``--config``); it has to exist. By default ``GENRIFY_CONFIG``, which has to exist too, or
        ``config.toml`` in the platform's config folder, which need not.
    environ : mapping of str to str, optional
        The environment variables, by default those of the process.
    overrides : mapping of str to object, optional
        Values of command-line options by name of the setting (``tagging.existing``). None and () mean "not given".
    overrider : str
        Origin of the overrides, for messages.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a key is unknown, or a value is of the wrong type or not allowed.
    """
    variables = os.environ if environ is None else environ
    must_exist = bool(config_file or variables.get("GENRIFY_CONFIG"))
    file = _settings_file(config_file, variables)
    found: dict[str, Any] = {}
    origins = dict.fromkeys(declared(), "default")
    for raw_value in _raw_values(file, must_exist, variables, overrides or {}, overrider):
        value = _checked(raw_value, file)
        name = raw_value.setting.name
        # Tables are merged label by label, anything else is replaced.
        found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
        origins[name] = raw_value.origin
    return LoadedSettings(settings=_assemble(found), origins=origins, file=file)


def _settings_file(config_file: str | None, environ: Mapping[str, str]) -> str | None:
    if config_file:
        return os.path.abspath(os.path.expanduser(config_file))
    # Without a home folder there is no settings file; the program works if the options name everything.
    with contextlib.suppress(ConfigError):
        return config_path(environ)
    return None


def _raw_values(
    file: str | None, must_exist: bool, environ: Mapping[str, str], overrides: Mapping[str, object], overrider: str
) -> Iterator[_RawValue]:
    if file is not None:
        yield from _from_file(file, must_exist=must_exist)
    yield from _from_environment(environ)
    for name, raw in overrides.items():
        if raw is not None and raw != ():
            yield _RawValue(declared()[name], raw, overrider, os.getcwd())


def _checked(raw_value: _RawValue, file: str | None) -> Any:
    try:
        value = values.check(raw_value.setting, raw_value.raw, folder=raw_value.folder)
        return current_value(raw_value.setting.name, value)
    except ValueError as error:
        message = f"{raw_value.setting.name} {error}"
        if file is not None and raw_value.origin.startswith(file):
            raise ConfigError(_at(raw_value.origin[len(file) + 1 :], message), path=file) from error
        raise ConfigError(f"{raw_value.origin}: {message}") from error


def current_value(name: str, value: Any) -> Any:
    """Return what takes the place of a setting's value of earlier versions, with a notice; else the value itself."""
    former = declared()[name].former
    if not isinstance(value, str) or value not in former:
        return value
    _warn_former(name, value, former[value])
    return former[value]


@functools.cache  # settings are loaded several times
def _warn_former(name: str, value: str, now: str) -> None:
    log.warning('%s: "%s" has become "%s"; change it where it is set', name, value, now)


def _assemble(found: Mapping[str, Any]) -> Settings:
    parts = {}
    for section, kind in sections().items():
        prefix = f"{section}."
        parts[section] = kind(**{n.removeprefix(prefix): v for n, v in found.items() if n.startswith(prefix)})
    return Settings(**parts)


# --- the file ---


def _from_file(file: str, *, must_exist: bool) -> Iterator[_RawValue]:
    text = _read(file, must_exist=must_exist)
    for section, table in _parse(file, text).items():
        _check_section(file, text, section, table)
        for key, raw in table.items():
            line = _line_of(text, section, key)
            setting = declared().get(current_name(f"{section}.{key}", raw))
            if setting is None:
                raise ConfigError(
                    _at(line, f'unknown key "{key}" in [{section}]'), path=file, hint=_suggestion(section, key)
                )
            yield _RawValue(setting, raw, f"{file}:{line}" if line else file, os.path.dirname(file))


def _read(file: str, *, must_exist: bool) -> str:
    try:
        with open(file, encoding="utf-8-sig") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        if not must_exist:
            return ""
        raise ConfigError("no such settings file", path=file, hint='"genrify-tag config init" writes one') from error
    except OSError as error:
        if not must_exist and not _can_be_seen(file):
            _warn_hidden(file, error.strerror)
            return ""
        hint = "make it readable, or name another one with --config or GENRIFY_CONFIG"
        raise ConfigError(f"the settings file cannot be read: {error.strerror}", path=file, hint=hint) from error
    except UnicodeDecodeError as error:
        raise ConfigError("the settings file is not UTF-8 text", path=file) from error


def _can_be_seen(file: str) -> bool:
    """Return whether the folder of a file may be entered; if not, the settings are not this user's."""
    try:
        os.lstat(file)
    except PermissionError:
        return False
    except OSError:
        pass
    return True


@functools.cache  # settings are loaded several times
def _warn_hidden(file: str, reason: str) -> None:
    text = "no settings file: %s cannot be opened (%s); --config or GENRIFY_CONFIG names another one"
    log.warning(text, display_path(file), reason)


def _parse(file: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Some of tomllib's messages quote the text, which may hold line breaks.
        raise ConfigError(f"not valid TOML: {' '.join(str(error).split())}", path=file) from error


def _check_section(file: str, text: str, section: str, table: object) -> None:
    if section not in sections():
        is_table = isinstance(table, dict)
        line = _line_of(text, section, "") if is_table else _line_of(text, "", section)
        if is_table:
            near = values.nearest(section, sections())
            hint = f"did you mean [{near}]?" if near else f"the sections are {', '.join(f'[{s}]' for s in sections())}"
            raise ConfigError(_at(line, f"unknown section [{section}]"), path=file, hint=hint)
        raise ConfigError(
            _at(line, f'unknown key "{section}" outside all sections'), path=file, hint=_suggestion("", section)
        )
    if not isinstance(table, dict):
        line = _line_of(text, "", section)
        raise ConfigError(_at(line, f'"{section}" is a section: write [{section}] on a line of its own'), path=file)


def _suggestion(section: str, key: str) -> str | None:
    """Suggest a setting for an unknown key: the same key elsewhere, the nearest here, or the nearest anywhere."""
    keys = {s.key: s for s in reversed([*declared().values()])}
    if key in keys:
        return f'"{key}" belongs in [{keys[key].section}]'
    here = values.nearest(key, [s.key for s in declared().values() if s.section == section])
    if here:
        return f'did you mean "{here}"?'
    anywhere = values.nearest(key, keys)
    return f'did you mean "{anywhere}" in [{keys[anywhere].section}]?' if anywhere else None


def _line_of(text: str, section: str, key: str) -> int | None:
    """Return the line that gives `key` in `section`, or `section`'s header if `key` is empty; None if not found.

    tomllib does not report lines; this finds them in files written by hand, not in every valid TOML.
    """
    wanted = [part for part in (section, key) if part]
    header: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        opened = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$", line)
        if opened:
            header = _parts(opened[1])
        raw_value = None if opened else re.match(r"\s*([\w\"'][\w\s.\"'-]*?)\s*=", line)
        here = header if opened else [*header, *_parts(raw_value[1])] if raw_value else []
        if here[: len(wanted)] == wanted and (raw_value or len(here) == len(wanted)):
            return number
    return None


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def _at(line: object, message: str) -> str:
    return f"line {line}: {message}" if line else message


# --- the environment ---


def _from_environment(environ: Mapping[str, str]) -> Iterator[_RawValue]:
    by_variable = {s.variable: s for s in declared().values()}
    for variable in sorted(v for v in environ if v.startswith(_PREFIX) and v != "GENRIFY_CONFIG"):
        table = by_variable.get(variable.rpartition("__")[0])
        setting = by_variable.get(variable) or table or _renamed(variable, environ[variable])
        if setting is None or (setting is table and not setting.is_table):
            _reject_unknown(variable, by_variable)
            continue
        text = environ[variable]
        if setting is table:
            raw: object = {variable.rpartition("__")[2].lower(): text}
        else:
            raw = _read_text(variable, setting, text)
        yield _RawValue(setting, raw, variable, os.getcwd())


def _renamed(variable: str, text: str) -> Setting | None:
    section, _, key = variable.removeprefix(_PREFIX).lower().partition("__")
    return declared().get(current_name(f"{section}.{key}", text))


def _read_text(variable: str, setting: Setting, text: str) -> object:
    try:
        return values.parse_text(setting, text)
    except ValueError as error:
        raise ConfigError(f"{variable}: {setting.name} {error}") from error


def _reject_unknown(variable: str, known: Mapping[str, Setting]) -> None:
    # Another program may use a variable such as GENRIFY_VERSION; one that resembles a setting is a mistake.
    if "__" in variable:
        near = values.nearest(variable.lower(), [k.lower() for k in known])
    else:
        near = next((k for k in known if k.replace("__", "_") == variable), None)
    if near or "__" in variable:
        hint = f"did you mean {near.upper()}?" if near else None
        raise ConfigError(f"unknown environment variable {variable}", hint=hint)
