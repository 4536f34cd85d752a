"""Wheel and sdist carry the model and the migrations, and what they install runs from any folder."""

import os
import re
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
    assert found <= listed
    assert any(re.fullmatch(r"genrify_tagger/models/.*\.tflite", name) for name in names_in(distributions["wheel"]))


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_the_page_comes_with_its_templates_and_static_files(distributions, kind):
    names = "\n".join(names_in(distributions[kind]))
    for folder in ("templates", "static"):
        for file in (ROOT / "genrify_tagger/web" / folder).iterdir():
            assert f"genrify_tagger/web/{folder}/{file.name}" in names


def test_no_dependency_of_inference_is_a_training_library():
    names = {re.match(r"[\w.-]+", requirement).group() for requirement in PROJECT["project"]["dependencies"]}
    assert not names & {"tensorflow", "librosa", "matplotlib", "flask", "beets"}
