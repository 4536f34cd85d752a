"""The reference pages that are made from the code: commands, settings, HTTP API, genres, as Markdown.

`mkdocs_hooks.py` puts each text where a page has the mark ``<!-- generated: NAME -->``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import click

from genrify_tagger.classifier import load_sidecar
from genrify_tagger.cli import COMMANDS, PROGRAM, cli
from genrify_tagger.config import declared, default_text, example_text, sections
from genrify_tagger.genre_tree import load_tree_head
from genrify_tagger.web.openapi import document

METHODS = ("get", "post", "put", "patch", "delete")

Json = Mapping[str, Any]


# --- commands ---


def commands_index() -> str:
    """Return a table of all commands by heading, each with a link to its section."""
    lines = []
    for heading, part in COMMANDS.items():
        lines += [f"**{heading}**", "", "| Command | |", "|---|---|"]
        lines += [f"| [`{PROGRAM} {name}`](#{name}) | {first} |" for name, first in part.items()]
        lines.append("")
    return "\n".join(lines)


def commands() -> str:
    """Return a section for each command, with its help text and options."""
    context = click.Context(cli, info_name=PROGRAM)
    lines = ["## Options of all commands", "", *_options(cli, context)]
    for heading, part in COMMANDS.items():
        lines += [f"## {heading}", ""]
        for name in part:
            command = cli.get_command(context, name)
            assert command is not None
            lines += _command(command, context, name, level=3)
    return "\n".join(lines)


def _command(command: click.Command, parent: click.Context, name: str, *, level: int) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    path = context.command_path
    anchor = path.removeprefix(f"{PROGRAM} ").replace(" ", "-")
    yield from (f"{'#' * level} `{path}` {{#{anchor}}}", "")
    yield from ("```text", f"{path} {' '.join(command.collect_usage_pieces(context))}", "```", "")
    yield from _help(command.help or "")
    yield from _options(command, context)
    if isinstance(command, click.Group):
        for part in command.list_commands(context):
            inner = command.get_command(context, part)
            assert inner is not None
            yield from _command(inner, context, part, level=level + 1)


def _help(text: str) -> Iterator[str]:
    """Yield a help text as Markdown; click does not rewrap a paragraph that begins with a backspace: it is examples."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if not paragraph.startswith("\b"):
            yield from (paragraph, "")
            continue
        title, *examples = paragraph.splitlines()[1:]
        yield from (title, "", "```text", *(line.strip() for line in examples), "```", "")


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    shown = [option for option in command.get_params(context) if isinstance(option, click.Option)]
    records = [record for option in shown if (record := option.get_help_record(context)) is not None]
    if records:
        yield from ("| Option | |", "|---|---|")
        yield from (f"| `{names}` | {text.replace('|', '&#124;')} |" for names, text in records)
        yield ""


# --- settings ---


def settings() -> str:
    """Return a section for each section of the settings file, with a heading for each setting."""
    lines: list[str] = []
    for section, kind in sections().items():
        lines += [f"## `[{section}]` {{#{section}}}", "", inspect.getdoc(kind) or "", ""]
        for setting in declared().values():
            if setting.section != section:
                continue
            choices = f" One of {', '.join(f'`{choice}`' for choice in setting.choices)}." if setting.choices else ""
            text = (setting.doc + choices).replace("*", r"\*")
            lines += [f"### `{setting.name}` {{#{setting.name}}}", "", text, ""]
            example = f"Example: {text}. " if (text := example_text(setting)) else ""
            lines += [f"Default: {default_text(setting)}. {example}Environment: `{setting.variable}`.", ""]
    return "\n".join(lines)


# --- genres ---


def genres() -> str:
    """Return the genres of the shipped model: those that it writes, and those that it only shows."""
    vocabulary = load_sidecar().vocabularies["tree"]
    assert vocabulary.tree is not None
    parents = load_tree_head(**vocabulary.tree.files(), names=vocabulary.names).parents
    lines = ["| Genre | |", "|---|---|"]
    for label in sorted(vocabulary.labels, key=lambda label: vocabulary.names[label].casefold()):
        below = f", below {vocabulary.names[parents[label]]}" if label in parents else ""
        use = "written" if label in vocabulary.writable else "shown as a guess, not sure enough to be written"
        lines.append(f"| {vocabulary.names[label]} | {use}{below} |")
    return "\n".join([*lines, ""])


# --- HTTP API ---


def http_api() -> str:
    """Return a section for each operation of the HTTP API, and one for each schema."""
    api = document()
    lines = ["## Operations", ""]
    for path, item in api["paths"].items():
        for method in METHODS:
            if method in item:
                shared = item.get("parameters", [])
                lines += _operation(method, path, item[method], shared)
    lines += ["## Schemas", ""]
    for name, schema in api["components"]["schemas"].items():
        lines += [f"### {name} {{#{_anchor(name)}}}", "", *_schema_table(schema)]
    return "\n".join(lines)


def _operation(method: str, path: str, operation: Json, shared: list[Json]) -> Iterator[str]:
    yield from (f"### `{method.upper()} {path}` {{#{operation['operationId']}-{method}}}", "")
    yield from (operation["summary"], "")
    parameters = [*shared, *operation.get("parameters", [])]
    if parameters:
        yield from ("| Parameter | In | Value | |", "|---|---|---|---|")
        for one in parameters:
            needed = "" if one.get("required") else " (optional)"
            text = one.get("description", "")
            yield f"| `{one['name']}` | {one['in']}{needed} | {_value(one['schema'])} | {text} |"
        yield ""
    if "requestBody" in operation:
        kind, content = next(iter(operation["requestBody"]["content"].items()))
        yield from (f"Body: `{kind}`, {_value(content['schema'])}.", "")
    yield from ("| Status | Answer |", "|---|---|")
    for status, answer in operation["responses"].items():
        yield f"| {status} | {_answer(answer)} |"
    yield ""


def _answer(answer: Json) -> str:
    if "$ref" in answer:
        return _value({"$ref": "#/components/schemas/Error"})
    for kind, content in answer.get("content", {}).items():
        schema = content["schema"]
        return _value(schema) if kind == "application/json" and schema else f"`{kind}`"
    return str(answer["description"])


def _schema_table(schema: Json) -> Iterator[str]:
    if "properties" not in schema:
        yield from (_value(schema), "")
        return
    yield from ("| Field | Value |", "|---|---|")
    yield from (f"| `{name}` | {_value(value)} |" for name, value in schema["properties"].items())
    yield ""


def _value(schema: Json) -> str:
    """Describe what a schema allows, in one line."""
    match schema:
        case {"$ref": reference}:
            name = reference.rpartition("/")[2]
            return f"[{name}](#{_anchor(name)})"
        case {"const": constant}:
            return f"`{str(constant).lower()}`"
        case {"enum": choices}:
            return " or ".join(f"`{choice}`" for choice in choices)
        case {"oneOf": several} | {"anyOf": several}:
            return " or ".join(map(_value, several))
        case {"type": "array"}:
            return f"list of {_value(schema['items'])}"
        case {"type": "object", "properties": properties}:
            return "object of " + ", ".join(f"`{name}`: {_value(value)}" for name, value in properties.items())
        case {"type": [*several]}:
            return " or ".join(several)
        case {"type": "string", "format": "binary"}:
            return "bytes"
        case {"type": kind, "minimum": low, "maximum": high}:
            return f"{kind} from {low} to {high}"
        case {"type": kind}:
            return str(kind)
    return "anything"


def _anchor(schema: str) -> str:
    return f"schema-{schema.lower()}"


#: The text for each mark.
GENERATED = {
    "commands index": commands_index,
    "commands": commands,
    "settings": settings,
    "genres": genres,
    "http api": http_api,
}
