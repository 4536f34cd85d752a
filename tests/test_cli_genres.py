"""`genrify-tag genres` and `genres tidy`, through the installed program, on real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import media, tagging
from tests.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    home = tmp_path / "home"
    home.mkdir()
    return Program(home)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    media.need("metaflac")
    folder = tmp_path / "music"
    folder.mkdir()
    words = {"1": ["Hip Hop"], "2": ["Rap/Hip-Hop"], "3": ["Doom Metal"], "4": ["doom-metal"], "5": ["17"], "6": []}
    words["7"] = ["Doom Metal"]
    for name, genres in words.items():
        song = media.make("flac", folder, name)
        if genres:
            media.run("metaflac", "--remove-tag=GENRE", *[f"--set-tag=GENRE={genre}" for genre in genres], song)
    media.make("mp3-v2.3", folder, "8", genre="hip-hop")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def listed(program: Program) -> dict[str, dict[str, int]]:
    done = program("genres", "--format", "json")
    return {genre["name"]: genre["words"] for genre in json.loads(done.stdout)["genres"]}


def test_genres_are_listed_unified_on_request_and_undone(program: Program, music: Path) -> None:
    program.scan(music, "--min-confidence", "1")
    before = contents(music)
    assert listed(program) == {
        "Hip-Hop": {"Hip Hop": 1, "Rap/Hip-Hop": 1, "hip-hop": 1},
        "Doom Metal": {"Doom Metal": 2, "doom-metal": 1},
        "Rock": {"17": 1},
    }
    assert "Doom Metal" in program("genres").stdout
    done = program("genres", "tidy", "--format", "jsonl")
    assert contents(music) == before, "a dry run changes nothing"
    promised = {Path(item["path"]).name: item["after"] for item in map(json.loads, done.stdout.splitlines())}
    assert promised == {
        "1.flac": ["Hip-Hop"],
        "2.flac": ["Hip-Hop"],
        "4.flac": ["Doom Metal"],
        "5.flac": ["Rock"],
        "8.mp3": ["Hip-Hop"],
    }
    program("genres", "tidy", "--write")
    assert {name: list(tagging.genres(music / name)) for name in promised} == promised
    assert all(item["status"] in ("unchanged", "unsure") for item in program.scan(music, "--min-confidence", "1"))
    assert set(listed(program)) == {"Hip-Hop", "Doom Metal", "Rock"}
    program("undo")
    assert contents(music) == before


def test_after_the_spelling_is_undone_the_genre_is_the_users_and_stays(program: Program, music: Path) -> None:
    program.scan(music, "--min-confidence", "1")
    program("genres", "tidy", "--write")
    program("undo")
    results = program.scan(music, "--min-confidence", "1", "--reanalyse")
    assert {item["reason"] for item in results if item["before"]} == {"has a genre"}
    again = program("genres", "tidy", music / "1.flac").stdout
    assert again == f"same     {music / '1.flac'}  Hip Hop  (its genre was undone)\n"
    replaced = program.scan(music / "1.flac", "--min-confidence", "0", "--existing", "replace", "--dry-run")
    assert [item["status"] for item in replaced] == ["tagged"]


def test_paths_that_were_not_scanned_are_named(program: Program, music: Path) -> None:
    program.scan(music, "--min-confidence", "1")
    for command in (("genres", "tidy"), ("learn",), ("audit",)):
        for path in (music / "nothing", music.parent):
            done = program(*command, path, status=int(path != music.parent))
            assert ("no scanned file is there" in done.stderr) == (path != music.parent)


def test_the_wider_genre_is_listed_by_its_name_and_a_tree_must_be_one(program: Program, music: Path) -> None:
    program.scan(music, "--min-confidence", "1")
    tree = music.parent / "tree.yaml"
    tree.write_text("- heavy sounds:\n    - doom metal\n")
    found = program("genres", "--format", "json", GENRIFY_GENRES__TREE=str(tree)).stdout
    assert {one["name"]: one["above"] for one in json.loads(found)["genres"]}["Doom Metal"] == ["Heavy Sounds"]
    tree.write_text("heavy sounds\ndoom metal\n")
    done = program("genres", status=2, GENRIFY_GENRES__TREE=str(tree))
    assert done.stderr == f"genrify-tag: {tree}: genres.tree is not a list of genres in YAML\n"


def test_what_the_program_wrote_or_the_user_set_is_not_tidied(program: Program, music: Path) -> None:
    program.scan(music, "--min-confidence", "1")
    song = next(music.glob("6.*"))
    program("set", song, "doom metal")
    program("set", music / "7.flac", "Doom Metal")
    program("genres", "tidy", "--write", song)
    assert tagging.genres(song) == ("doom metal",)


def test_a_tidied_genre_stays_the_users(program: Program, music: Path) -> None:
    program.scan(music, "--min-confidence", "1")
    program("genres", "tidy", "--write")
    results = program.scan(music / "8.mp3", "--reanalyse", "--force", "--min-confidence", "0")
    assert [(item["status"], item["reason"]) for item in results] == [("kept", "has a genre")]


def test_aliases_and_a_whitelist_apply_to_what_a_scan_writes(program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    media.make("flac", folder)
    config = tmp_path / "config.toml"
    options = ("--config", str(config), "--min-confidence", "0", "--dry-run")
    config.write_text('[genres.aliases]\njazz = "Jazz Music"\n')
    assert program.scan(folder, *options)[0]["after"] == ["Jazz Music"]
    (tmp_path / "list.txt").write_text("improvised music\n")
    (tmp_path / "tree.yaml").write_text("- improvised music:\n    - jazz\n")
    config.write_text('[genres]\nwhitelist = "list.txt"\ntree = "tree.yaml"\n')
    assert program.scan(folder, *options)[0]["after"] == ["Improvised Music"]
    (tmp_path / "list.txt").write_text("polka\n")
    assert program.scan(folder, *options)[0]["status"] == "unsure"
    config.write_text('[genres]\nwhitelist = "nowhere.txt"\n')
    assert "nowhere.txt" in program("scan", folder, *options, status=2).stderr
