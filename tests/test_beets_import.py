"""`beet import` with the plugin: quiet and timid, copy and move; never aborted, no needless analysis."""

import json

import pytest
import yaml
from mediafile import MediaFile

from tests import media
from tests.beets_library import (
    EXPECTED,
    NO_GENRES,
    Beets,
    damaged,
    in_files,
    song,
    with_matches,
)


def in_step(beets: Beets) -> None:
    """Check that neither `beet update` nor `beet write` has anything to do."""
    assert beets("update").stdout == ""
    assert beets("write", "--pretend").stdout == ""


def as_a_scan_sees_it(beets: Beets, *, reason: str = "tagged earlier") -> None:
    """Check that a scan recognises the genres as this program's, without a new analysis."""
    results = beets.program.scan(beets.music, "--min-confidence", "0.05")
    assert [(r["status"], r["reason"], r["cached"]) for r in results] == [("kept", reason, True)] * 4


def commands(beets: Beets) -> list[str]:
    """Return the commands in the journal, the newest first."""
    runs = beets.program("history", "--all", "--format", "jsonl").stdout.splitlines()
    return [json.loads(run)["command"] for run in runs]


@pytest.mark.parametrize("operation", ["copy", "move"])
def test_a_quiet_import_fills_in_what_is_missing(tmp_path, incoming, operation):
    beets = with_matches(tmp_path / "home")
    beets.more["import"] = {"copy": operation == "copy", "move": operation == "move"}
    beets.configure()
    done = beets("import", incoming)
    assert "genrify" not in done.stderr
    assert beets.genres() == in_files(beets) == EXPECTED
    assert bool(list(incoming.glob("*.*"))) == (operation == "copy")
    in_step(beets)
    as_a_scan_sees_it(beets)
    assert commands(beets) == ["scan", "beet import"]
    assert "`beet genrify --undo`" in beets.program("undo", status=1).stderr
    assert in_files(beets) == EXPECTED


def test_a_timid_import_still_asks(tmp_path, incoming):
    beets = with_matches(tmp_path / "home", more={"import": {"quiet": False, "timid": True}})
    done = beets("import", "-t", incoming, typed="A\n")
    assert "[A]pply" in done.stdout
    assert in_files(beets) == EXPECTED
    in_step(beets)


def test_an_import_as_is_sets_the_genre_in_the_library_only(tmp_path, incoming):
    beets = Beets(tmp_path / "home")
    beets("import", "-A", incoming)
    assert beets.genres() == EXPECTED
    assert in_files(beets) == NO_GENRES
    assert beets("update").stdout == ""  # and does not take the genres away again
    assert beets.genres() == EXPECTED
    assert "+ Jazz" in beets("write").stdout or "-> Jazz" in beets("write").stdout
    assert in_files(beets) == EXPECTED
    in_step(beets)
    as_a_scan_sees_it(beets)


@pytest.mark.parametrize("threaded", [True, False])
def test_an_import_survives_a_file_that_cannot_be_analysed(tmp_path, incoming, threaded):
    damaged(incoming, "Broken")
    beets = with_matches(tmp_path / "home", more={"threaded": threaded})
    done = beets("import", incoming)
    assert "Broken.flac: not analysed: " in done.stderr
    assert beets.genres() == {**EXPECTED, "Broken": ""}
    assert beets.items("title:Broken")[0]["genrify_status"] == "failed"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"database": "/proc/nowhere/genrify.db"}, "/proc/nowhere"),
        ({"count": "many"}, "genrify.count must be a whole number"),
        ({"whitelist": "/nowhere/list.txt"}, "genrify.whitelist: /nowhere/list.txt cannot be read"),
        ({"vocabulary": "klingon"}, "genrify.vocabulary is 'klingon'; the model has: gtzan, tree"),
        (
            {"database": "/proc"},
            "/proc: the database is a folder; name another file with the setting genrify.database",
        ),
        ({"database": "://"}, "the setting genrify.database is not a valid database URL"),
        ({"settings": "/nowhere/config.toml"}, "no such settings file (it is named by genrify.settings)"),
        (
            {"names": {"hip-hop": "Rap"}},
            "genrify.names: the model has no label hip-hop; did you mean hiphop?",
        ),
        ({"names": ["Rap"]}, "genrify.names must be a mapping with a line such as `hiphop: Rap`"),
        ({"whitelist": ["jazz"]}, "genrify.whitelist must be yes, no or the name of a file"),
        ({"title_case": "perhaps"}, "genrify.title_case: must be a bool"),
    ],
)
def test_an_import_survives_wrong_settings(tmp_path, incoming, settings, complaint):
    beets = Beets(tmp_path / "home", settings=settings)
    done = beets("import", "-A", "-s", incoming)
    assert complaint in done.stderr and done.stderr.count("imported without analysis") == 1
    assert beets.genres() == NO_GENRES
    again = beets("genrify", status=1)
    assert complaint in again.stderr and len(again.stderr.splitlines()) == 1


def test_an_item_with_a_genre_is_kept_and_not_analysed(tmp_path, incoming):
    for path in incoming.iterdir():
        path.unlink()
    song(incoming, "Kept", genre="Dub")
    song(incoming, "Junk", "flac", genre="Other")
    beets = with_matches(tmp_path / "home")
    beets("import", incoming)
    assert beets.genres() == {"Junk": "Jazz", "Kept": "Dub"}
    assert {i["title"]: i["genrify_status"] for i in beets.items()} == {"Junk": "tagged", "Kept": ""}


def test_auto_no_leaves_imports_alone(tmp_path, incoming):
    beets = with_matches(tmp_path / "home", settings={"auto": False})
    beets("import", incoming)
    assert in_files(beets) == NO_GENRES
    assert not beets.program.database.exists()


def test_a_single_song_is_imported_with_its_genre(tmp_path, incoming):
    beets = with_matches(tmp_path / "home")
    beets("import", "-s", incoming)
    assert in_files(beets) == EXPECTED
    assert beets.album_genres() == {}


def test_the_album_gets_the_genre_of_most_tracks_and_the_tracks_keep_their_own(tmp_path, incoming):
    song(incoming, "Jazz 3", "opus")
    beets = with_matches(tmp_path / "home")
    beets("import", incoming)
    assert beets.album_genres() == {"An album": "Jazz"}
    assert in_files(beets) == {**EXPECTED, "Jazz 3": "Jazz"}
    in_step(beets)


def test_an_album_that_is_imported_again_keeps_the_plugins_genre(tmp_path, incoming):
    song(incoming, "A first", "opus", source=media.CLASSICAL, track=1)
    (incoming / "Dance 2.ogg").unlink()
    (incoming / "Dance 1.m4a").unlink()
    beets = with_matches(tmp_path / "home")
    beets("import", incoming)
    assert beets.album_genres() == {"An album": "Jazz"}
    for again in (["-A", "-L"], ["-A", beets.music], ["-L"]):
        beets("import", *again)  # beets gives an album its first track's genre
        assert beets.album_genres() == {"An album": "Jazz"}
    beets("genrify", "--undo", "title:Jazz")
    assert beets.album_genres() == {"An album": ""}  # so it still counts as the plugin's


def test_a_genre_that_was_never_written_is_set_again_on_reimport(tmp_path, incoming):
    beets = Beets(tmp_path / "home")
    beets("import", "-A", incoming)
    given = beets.album_genres()
    beets("import", "-A", beets.music)
    assert beets.genres() == EXPECTED and beets.album_genres() == given
    beets("write")
    assert in_files(beets) == EXPECTED
    for path in beets.files():  # and now somebody removes it there
        file = MediaFile(path)
        file.genres = None
        file.save()
    beets("import", "-A", beets.music)
    assert beets.genres() == in_files(beets) == NO_GENRES


def test_an_import_of_a_scanned_library_analyses_nothing(tmp_path, incoming):
    beets = with_matches(tmp_path / "home")
    beets.program.scan(incoming, "--dry-run")
    beets("import", incoming)
    assert in_files(beets) == EXPECTED
    with_model = [(r["status"], r["cached"]) for r in beets.program.scan(incoming, "--dry-run")]
    assert all(cached for _, cached in with_model)


@pytest.mark.parametrize("order", [["genrify", "convert"], ["convert", "genrify"]])
def test_copies_that_convert_keeps_have_the_genre(tmp_path, incoming, order):
    copies = tmp_path / "copies"
    beets = with_matches(tmp_path / "home")
    beets.plugins = ["localmatch", *order]
    beets.more["convert"] = {"auto_keep": True, "dest": str(copies), "format": "ogg", "quiet": True}
    beets.configure()
    beets("import", incoming)
    assert beets.genres() == in_files(beets) == EXPECTED
    made = [MediaFile(path) for path in copies.rglob("*.*")]
    assert {file.title: "; ".join(file.genres or []) for file in made} == {
        title: genre
        for title, genre in EXPECTED.items()
        if title != "Dance 2"  # which is Ogg already
    }
    in_step(beets)
    as_a_scan_sees_it(beets)


def test_unknown_settings_are_named(tmp_path):
    beets = Beets(tmp_path, settings={"cuont": 2})
    assert "unknown setting genrify.cuont; did you mean count?" in beets("ls").stderr


def test_the_configuration_of_the_documentation_loads(tmp_path, incoming):
    text = (media.DATA.parent.parent / "docs/how-to/beets.md").read_text("utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    beets = Beets(tmp_path / "home")
    given = yaml.safe_load(example)["genrify"]
    given.pop("database"), given.pop("settings")
    beets.configure(**given)
    done = beets("import", "-A", incoming)
    assert "genrify" not in done.stderr
    assert set(beets.genres().values()) <= {"Classical", "Jazz", ""}
