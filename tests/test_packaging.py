"""Wheel and sdist carry the model and the migrations, and what they install runs from any folder."""

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


# --- how to install an extra, in the words of the installer that was used ---


def hint_of(python, **environment):
    code = "from genrify_tagger.extras import install_command; print(install_command('web'))"
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return done.stdout.strip()


@pytest.mark.parametrize("kind", ["wheel", "editable", "git"])
def test_an_extra_is_installed_from_where_the_program_came_from(distributions, editable_sources, kind, tmp_path):
    python = fresh_environment(tmp_path / "a venv")
    place, options = distributions["wheel"], []
    if kind == "editable":
        place, options = editable_sources, ["-e"]
    expected = f"{place}[web]"
    if kind == "git":
        place = repository_of(editable_sources, tmp_path / "repository")
        expected = f"genrify-tagger[web] @ {place}"
    pip_install(python, *options, place)
    hint = hint_of(python)
    assert shlex.split(hint) == [str(python), "-m", "pip", "install", *options, expected]
    if kind == "wheel":  # the others are built once more, which takes its time
        media.run(*shlex.split(hint), "-q", "--no-deps")
    assert hint_of(python, VIRTUAL_ENV=str(tmp_path / "a venv")).startswith("pip install ")


def repository_of(sources, folder):
    """Return what pip is told to install a tagged copy of the sources from Git."""
    shutil.copytree(sources, folder)
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v1"]):
        media.run("git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@example.org", *command)
    return f"git+file://{folder}@v1"


def test_a_place_that_is_gone_is_said_to_be(distributions, tmp_path):
    python = fresh_environment(tmp_path / "venv")
    wheel = Path(shutil.copy(distributions["wheel"], tmp_path))
    pip_install(python, wheel)
    wheel.unlink()
    hint = f"install Genrify Tagger with its extra 'web'; {wheel}, where it was installed from, is gone"
    assert hint_of(python) == hint
    next((tmp_path / "venv").rglob("direct_url.json")).unlink()  # as if it came from an index
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
    asked = media.run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").stdout
    sites = [path for path in sys.path if path.endswith("site-packages")]
    Path(asked.decode().strip(), "libraries.pth").write_text("\n".join(sites))
    return python


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
