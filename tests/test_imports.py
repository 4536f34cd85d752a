"""The import rules of docs/developers/architecture.md, checked in every module's source, and what a start may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "genrify_tagger"
BEETS_PLUGIN = ROOT / "beets_plugin" / "genrify"

BASE = {
    "errors",
    "windows_api",
    "open_files",
    "files",
    "analysis",
    "genre_rules",
    "genre_spelling",
    "song_groups",
    "learned_vocabulary",
    "playlist_files",
    "genre_tree",
    "tag_blocks",
    "mounts",
    "process_identity",
    "user_folders",
    "system_limits",
    "extras",
}
STAGES = {"config", "library", "audio", "spectrogram", "classifier", "decision", "store", "tags"}
ANALYSIS = {"audio", "spectrogram", "classifier"}
ENTRY_POINTS = {"watch", "web", "learn", "cluster"}  # and beets_plugin, which is outside of the package
# What an entry point may use: the pipeline, and the stages that never open a user's file. It only reads the store.
FOR_ENTRY_POINTS = BASE | {"logs", "notify", "config", "library", "decision", "store", "pipeline"}
STORE_CHANGES = {"save_files", "save_analysis", "begin_change", "finish_change", "mark_missing", "mark_found", "forget"}

# part -> what it may import of the package besides itself
ALLOWED = {
    "errors": set(),
    "analysis": set(),
    "genre_spelling": set(),
    "song_groups": set(),
    "learned_vocabulary": {"errors"},
    "playlist_files": {"errors", "files", "open_files"},
    "genre_rules": {"genre_spelling"},
    "genre_tree": {"errors", "analysis", "genre_rules", "genre_spelling"},
    "tag_blocks": set(),
    "windows_api": set(),
    "open_files": {"windows_api"},
    "files": {"errors", "windows_api"},
    "mounts": {"files"},
    "process_identity": {"windows_api"},
    "user_folders": {"errors"},
    "system_limits": set(),
    "extras": set(),
    "logs": {"errors", "files"},
    "notify": BASE | {"config"},
    **dict.fromkeys(STAGES, BASE),
    "worker_main": BASE | ANALYSIS | {"tags"},
    "worker_process": {"worker_main", "system_limits"},
    "process_pool": {"errors", "worker_main", "worker_process"},
    "workers": BASE | ANALYSIS | {"config", "tags", "worker_main", "process_pool", "worker_process"},
    "pipeline": BASE | STAGES - ANALYSIS | {"classifier", "worker_main", "workers"},
    **dict.fromkeys(ENTRY_POINTS, FOR_ENTRY_POINTS | ENTRY_POINTS),
    "cluster": BASE | {"classifier", "worker_main", "workers"},
    "beets_plugin": FOR_ENTRY_POINTS,
    "training": BASE | STAGES - {"config"} | {"workers", "worker_main"},
    "cli": FOR_ENTRY_POINTS | ENTRY_POINTS | {"training", "workers"},
    "__main__": {"cli"},
    "container": {"cli", "config", "errors", "files"},
    "models": set(),
    # How the shipped model is made: scripts that no part of the package imports.
    "recipe": BASE | {"audio", "spectrogram", "classifier", "decision", "store", "training", "worker_main"},
    "migrations": {"store"},
}

# library -> the parts that may import it as a whole, and those that may do so inside a function only
OWNERS = {
    "mutagen": {"tags"},
    "sqlalchemy": {"store", "migrations"},
    "alembic": {"store", "migrations"},
    "av": {"audio", "worker_main", "training"},
    "ai_edge_litert": {"classifier", "recipe"},
    "ai_edge_quantizer": {"recipe"},
    "pebble": {"training"},
    "watchdog": {"watch"},
    "distributed": {"cluster"},
    "flask": {"web"},
    "waitress": {"web"},
    "dask": {"cluster"},
    "tensorflow": {"training", "recipe"},
    "librosa": {"training"},
    "matplotlib": {"training"},
    "sklearn": {"training", "recipe"},
    "scipy": {"training", "recipe"},
    "beets": {"beets_plugin"},
    "beetsplug": {"beets_plugin"},
    "mediafile": {"beets_plugin"},
}
LATE = {
    "tensorflow",
    "librosa",
    "waitress",
    "matplotlib",
    "sklearn",
    "scipy",
    "ai_edge_litert",
    "ai_edge_quantizer",
    "alembic",
    "flask",
    "dask",
}
LATE_EVERYWHERE_BUT = {"training", "recipe", "migrations", "web", "cluster"}

Import = tuple[str, str | None, bool]  # module, name imported from it, whether at module level


def modules() -> list[tuple[str, Path]]:
    """Return every module of the package with the part it belongs to."""
    found = [(part_of(path.relative_to(PACKAGE)), path) for path in PACKAGE.rglob("*.py")]
    found += [("migrations", path) for path in (ROOT / "migrations").rglob("*.py")]
    found += [("beets_plugin", path) for path in BEETS_PLUGIN.rglob("*.py")]
    found += [("models", path) for path in (ROOT / "models").glob("*.py")]
    found += [("recipe", path) for path in (ROOT / "models/recipe").glob("*.py")]
    return [(part, path) for part, path in found if part]


def part_of(relative: Path) -> str:
    first = relative.parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imports(path: Path) -> Iterator[Import]:
    def walk(node: ast.AST, top: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, None, top) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                # The plugin goes by several names: beetsplug.genrify, or whatever a pluginpath makes of it.
                assert not child.level or path.is_relative_to(BEETS_PLUGIN), f"{path}: relative import"
                if child.level:
                    continue
                yield from ((child.module or "", alias.name, top) for alias in child.names)
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            is_typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from walk(child, top and not is_function and not is_typing)

    yield from walk(ast.parse(path.read_text("utf-8")), True)


def our_part(module: str, name: str | None) -> str | None:
    """Return which part of the package an import reaches; None for others' modules and for the version."""
    first, *rest = module.split(".")
    if first != "genrify_tagger":
        return None
    if rest:
        return rest[0]
    return None if name in (None, "__version__") else name


def named(found: list[tuple[str, Path]]) -> dict[str, tuple[str, Path]]:
    return {str(path.relative_to(ROOT)): (part, path) for part, path in found}


MODULES = named(modules())


def test_all_parts_of_the_package_are_seen():
    outside = {"migrations", "beets_plugin"}
    assert {part for part, _ in MODULES.values()} >= {*STAGES, *outside, "cli", "pipeline", "workers", "training"}


def test_imports_point_only_to_the_left():
    assert {part for part, _ in MODULES.values()} <= set(ALLOWED), "a new part: say in ALLOWED what it may import"
    wrong = {
        name: reached
        for name, (part, path) in MODULES.items()
        if (reached := {our_part(module, item) for module, item, _ in imports(path)} - {None, part} - ALLOWED[part])
    }
    assert wrong == {}


def test_a_library_is_touched_only_by_its_owner_and_loaded_late():
    wrong = [
        f"{name} imports {module}"
        for name, (part, path) in MODULES.items()
        for module, _, top in imports(path)
        if part not in OWNERS.get(library := module.split(".")[0], {part})
        or (top and library in LATE and part not in LATE_EVERYWHERE_BUT)
    ]
    assert wrong == []


# part -> what it may import of the package at module level
EARLY = {"beets_plugin": {"errors"}, "cli": ALLOWED["cli"] - {"training"} | {"cli"}}


@pytest.mark.parametrize("part", EARLY)
def test_a_part_loads_what_is_heavy_only_inside_a_function(part):
    early = {
        our_part(module, item)
        for owner, path in MODULES.values()
        if owner == part
        for module, item, top in imports(path)
        if top
    }
    assert early - {None} <= EARLY[part]


def test_only_the_pipeline_changes_file_records():
    found = {name: path for name, (part, path) in MODULES.items() if part in {*ENTRY_POINTS, "cli", "beets_plugin"}}
    assert len(found) > 50
    called = {
        (name, node.attr)
        for name, path in found.items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
    }
    assert {(name, attribute) for name, attribute in called if attribute in STORE_CHANGES} == set()


def test_the_pipelines_facade_exports_what_several_entry_points_use():
    users: dict[str, set[str]] = {}
    for part, path in MODULES.values():
        for module, name, _ in imports(path):
            if module == "genrify_tagger.pipeline" and name:
                users.setdefault(name, set()).add(part)
    exported = ast.literal_eval(_value_of_all(PACKAGE / "pipeline" / "__init__.py"))
    assert {name: users.get(name, set()) for name in exported if len(users.get(name, set())) < 2} == {}


def _value_of_all(path: Path) -> ast.expr:
    assignments = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.Assign)]
    return next(node.value for node in assignments if ast.unparse(node.targets[0]) == "__all__")


def test_modules_stay_short():
    long = {name: len(path.read_text("utf-8").splitlines()) for name, (_, path) in MODULES.items()}
    assert {name: lines for name, lines in long.items() if lines > 350} == {}


HEAVY = {
    *(
        "tensorflow",
        "librosa",
        "sklearn",
        "matplotlib",
        "flask",
        "waitress",
        "av",
        "ai_edge_litert",
        "sqlalchemy",
        "numpy",
    ),
    *("mutagen", "alembic", "pebble", "watchdog", "scipy", "rich", "platformdirs", "http", "ssl"),
}
RUN = """
import sys
from genrify_tagger.cli import main
status = main(sys.argv[1:])
print(status, *sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def loaded_by(*args: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", RUN, *args], capture_output=True, text=True, check=True, timeout=60)
    status, *found = done.stderr.split()
    assert status == "0"
    return set(found)


@pytest.mark.parametrize(
    "args", [("--help",), ("--version",), ("config", "--help"), ("notify", "--help"), ("db", "backup", "--help")]
)
def test_help_loads_nothing_heavy(args):
    assert loaded_by(*args) & HEAVY == set()


@pytest.mark.parametrize("args", [("completion", "zsh"), ("config", "path"), ("config", "show", "--format", "json")])
def test_small_commands_load_nothing_heavy(args):
    assert loaded_by(*args) & HEAVY <= {"platformdirs"}


def test_completing_a_command_imports_no_command():
    code = f"""
import os, sys
os.environ.update(_GENRIFY_TAG_COMPLETE="bash_complete", COMP_WORDS="genrify-tag s", COMP_CWORD="1")
{RUN}"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert {"plain,scan", "plain,set", "plain,show", "plain,status"} <= set(done.stdout.split())
    assert set(done.stderr.split()) & HEAVY == set()
