"""Wheel and sdist carry the model and the migrations, and what they install runs from any folder."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import genrify_tagger
from tests import media

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    sources = tmp_path_factory.mktemp("source") / "project"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in tracked.decode().split("\0")[:-1]:
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            target = sources / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    media.run(sys.executable, "-m", "build", "--outdir", folder, sources)
    return {"wheel": next(folder.glob("*.whl")), "sdist": next(folder.glob("*.tar.gz"))}


def names_in(archive):
    if archive.suffix == ".whl":
        return zipfile.ZipFile(archive).namelist()
    with tarfile.open(archive) as tar:
        return tar.getnames()


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_installs_with_model_and_migrations(distributions, kind, tmp_path):
    target = tmp_path / "site"
    media.run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, distributions[kind])
    check = (
        "import genrify_tagger; from genrify_tagger.classifier import Classifier;"
        "from genrify_tagger.store import open_store;"
        f"assert genrify_tagger.__file__.startswith({str(target)!r}), genrify_tagger.__file__;"
        "print(Classifier().sidecar.id);"
        f"open_store({str(tmp_path / 'new.db')!r}).close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", check],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new.db").stat().st_size > 0


def test_every_package_of_the_tree_is_built(distributions):
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    found = {
        ".".join(folder.relative_to(ROOT).parts)
        for folder in [ROOT / "genrify_tagger", *(ROOT / "genrify_tagger").rglob("*/")]
        if (folder / "__init__.py").exists()
    }
    assert found | {"beetsplug.genrify"} <= listed
    assert not [name for name in names_in(distributions["wheel"]) if name == "beetsplug/__init__.py"]
    assert any(re.fullmatch(r"genrify_tagger/models/.*\.tflite", name) for name in names_in(distributions["wheel"]))


def test_the_recipe_of_the_model_stays_outside(distributions):
    assert not [name for name in names_in(distributions["wheel"]) if "recipe" in name]
    assert not [name for name in names_in(distributions["wheel"]) if name.startswith("models/")]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_the_page_comes_with_its_templates_and_static_files(distributions, kind):
    names = "\n".join(names_in(distributions[kind]))
    for folder in ("templates", "static"):
        for file in (ROOT / "genrify_tagger/web" / folder).iterdir():
            assert f"genrify_tagger/web/{folder}/{file.name}" in names


def test_no_dependency_of_inference_is_a_training_library():
    names = {re.match(r"[\w.-]+", requirement).group() for requirement in PROJECT["project"]["dependencies"]}
    assert not names & {"tensorflow", "librosa", "matplotlib", "flask", "beets"}


# --- what an index and the installers of tools make of it ---


def test_the_distributions_pass_the_checks_of_an_index(distributions):
    media.need_module("twine")
    media.need_module("check_wheel_contents")
    media.run(sys.executable, "-m", "twine", "check", "--strict", *distributions.values())
    # Its settings are in pyproject.toml.
    media.run(sys.executable, "-m", "check_wheel_contents", "--config", ROOT / "pyproject.toml", distributions["wheel"])


def test_the_version_comes_from_one_place(distributions):
    assert PROJECT["project"]["dynamic"] == ["version"]
    version = genrify_tagger.__version__
    assert distributions["wheel"].name == f"genrify_tagger-{version}-py3-none-any.whl"
    assert distributions["sdist"].name == f"genrify_tagger-{version}.tar.gz"
    assert re.search("^## (.*) \\(", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE).group(1) == version


def in_folder(folder, *names):
    """Return the environment with variables that name folders in `folder`."""
    return {**os.environ, "HOME": str(folder), **{name: str(folder / name.lower()) for name in names}}


def run_tool(folder, *arguments):
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=in_folder(folder))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_uv_installs_it_as_a_tool_with_all_it_needs(distributions, tmp_path):
    uv = media.need_module("uv").find_uv_bin()
    environment = in_folder(tmp_path, "UV_TOOL_DIR", "UV_TOOL_BIN_DIR")
    command = [uv, "tool", "install", "--quiet", "--python", sys.executable, distributions["wheel"]]
    subprocess.run(command, check=True, env={**environment, "HOME": os.environ["HOME"]})  # whose cache it may use
    program = tmp_path / "uv_tool_bin_dir/genrify-tag"
    song = media.make("mp3-v2.3", tmp_path)
    found = json.loads(run_tool(tmp_path, program, "scan", "--format", "jsonl", "--min-confidence", "0.05", song))
    assert found["status"] == "tagged"
    hint = hint_of(tmp_path / "uv_tool_dir/genrify-tagger/bin/python")
    assert hint == f"uv tool install --force '{distributions['wheel']}[web]'"


def test_pipx_installs_it(distributions, tmp_path):
    media.need_module("pipx")
    environment = {**in_folder(tmp_path, "PIPX_HOME", "PIPX_BIN_DIR"), "HOME": os.environ["HOME"]}  # for uv's cache
    command = [sys.executable, "-m", "pipx", "install", "--backend", "uv", "--python", sys.executable]
    done = subprocess.run([*command, distributions["wheel"]], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    program = tmp_path / "pipx_bin_dir/genrify-tag"
    assert run_tool(tmp_path, program, "--version").split() == ["genrify-tag", genrify_tagger.__version__]
    python = program.resolve().with_name("python")
    assert hint_of(python) == f"pipx install --force '{distributions['wheel']}[web]'"


# --- how to install an extra, in the words of the installer that was used ---


def hint_of(python, **environment):
    code = "from genrify_tagger.extras import install_command; print(install_command('web'))"
    # In a folder of its own: what is beside the sources would be found first.
    done = subprocess.run(
        [python, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=python.parent,
        env={**os.environ, **environment},
    )
    return done.stdout.strip()


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_an_extra_is_installed_from_where_the_program_came_from(distributions, editable_sources, kind, tmp_path):
    python = fresh_environment(tmp_path / "a venv")
    place, options = distributions["wheel"], []
    if kind == "editable":
        place, options = editable_sources, ["-e"]
    pip_install(python, *options, place)
    hint = hint_of(python)
    assert shlex.split(hint) == [str(python), "-m", "pip", "install", *options, f"{place}[web]"]
    if kind == "wheel":  # the other is built once more, which takes its time
        media.run(*shlex.split(hint), "-q", "--no-deps")
    assert hint_of(python, VIRTUAL_ENV=str(tmp_path / "a venv")).startswith("pip install ")


def test_an_extra_of_a_place_that_is_gone_of_git_and_of_an_index(distributions, tmp_path):
    python = fresh_environment(tmp_path / "venv")
    wheel = Path(shutil.copy(distributions["wheel"], tmp_path))
    pip_install(python, wheel)
    wheel.unlink()
    hint = f"install Genrify Tagger with its extra 'web'; {wheel}, where it was installed from, is gone"
    assert hint_of(python) == hint
    record = next((tmp_path / "venv").rglob("direct_url.json"))
    repository = {"vcs": "git", "requested_revision": "v1", "commit_id": "0" * 40}  # as PEP 610 has it
    record.write_text(json.dumps({"url": "https://example.org/tagger.git", "vcs_info": repository}))
    assert shlex.split(hint_of(python))[-1] == "genrify-tagger[web] @ git+https://example.org/tagger.git@v1"
    record.unlink()  # as if it came from an index
    assert shlex.split(hint_of(python))[-1] == "genrify-tagger[web]"


# --- the beets plugin, whichever way it is installed, beside beets' own plugins ---

PLUGIN = """
import importlib.util, sys
import beetsplug.genrify as plugin
assert importlib.util.find_spec("beetsplug.lastgenre"), "beets' own plugins are hidden"
assert plugin.GenrifyPlugin.__module__.startswith("beetsplug.genrify")
print(plugin.__file__)
"""


def fresh_environment(folder):
    """Make a virtual environment that sees the libraries of this one, but not this project."""
    media.run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    see_libraries(python)
    return python


def see_libraries(python):
    asked = media.run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").stdout
    sites = [path for path in sys.path if path.endswith("site-packages")]
    Path(asked.decode().strip(), "libraries.pth").write_text("\n".join(sites))


def pip_install(python, *what):
    media.run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", *what)


def beet(python, folder, *arguments, config="", status=0):
    home = folder / "beets"
    home.mkdir(exist_ok=True)
    (home / "config.yaml").write_text(f"directory: {folder / 'music'}\nplugins: genrify\n{config}")
    environment = {**os.environ, "BEETSDIR": str(home), "HOME": str(folder)}
    done = subprocess.run(
        [python, "-m", "beets", *arguments], capture_output=True, text=True, cwd=folder, env=environment, check=False
    )
    assert "Traceback" not in done.stderr and done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def editable_sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("editable") / "project"
    for name in ("genrify_tagger", "beets_plugin", "models", "migrations"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable"])
def test_beets_finds_the_plugin_beside_its_own(distributions, editable_sources, kind, tmp_path):
    pytest.importorskip("beets")
    python = fresh_environment(tmp_path / "venv")
    what = ("-e", editable_sources) if kind == "editable" else (distributions[kind],)
    pip_install(python, *what)
    place = media.run(python, "-c", PLUGIN).stdout.decode().strip()
    expected = editable_sources / "beets_plugin" if kind == "editable" else tmp_path / "venv"
    assert place.startswith(str(expected))
    assert "tag genres by analysing the audio" in beet(python, tmp_path, "help")
    assert "no matching items" in beet(python, tmp_path, "genrify", status=1)


def test_beets_finds_the_plugin_by_pluginpath(distributions, tmp_path):
    pytest.importorskip("beets")
    python = fresh_environment(tmp_path / "venv")
    pip_install(python, distributions["wheel"])
    installed = Path(media.run(python, "-c", PLUGIN).stdout.decode().strip()).parent
    shutil.move(installed, tmp_path / "elsewhere" / "genrify")
    pluginpath = f"pluginpath: {tmp_path / 'elsewhere'}\n"
    assert "tag genres by analysing the audio" in beet(python, tmp_path, "help", config=pluginpath)


def test_installing_the_plugin_leaves_beets_alone(distributions):
    beside = {name for name in names_in(distributions["wheel"]) if name.startswith("beetsplug/")}
    assert beside and all(name.startswith("beetsplug/genrify/") for name in beside)
    requirements = PROJECT["project"]["optional-dependencies"]["beets"]
    assert requirements == ["beets>=2.7"]
