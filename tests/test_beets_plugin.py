"""`beet genrify` on a real library, and beets' own commands afterwards."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing

import pytest
import yaml
from mediafile import MediaFile

from genrify_tagger.classifier import load_sidecar
from tests import media
from tests.beets_library import EXPECTED, NO_GENRES, damaged, in_files, song, with_killer
from tests.test_beets_import import as_a_scan_sees_it, commands, in_step

GENRE = {"Jazz 1": "Jazz"}


def history(beets):
    runs = beets.program("history", "--format", "jsonl").stdout.splitlines()
    return [json.loads(run) for run in runs]


def contents(beets):
    return {path: path.read_bytes() for path in beets.files()}


def test_items_without_a_genre_get_one_shown_as_beets_shows_changes(beets):
    done = beets("genrify")
    assert "An artist - An album - Jazz 1\n" in done.stdout
    assert "Jazz" in done.stdout and "genrify_confidence: " in done.stdout
    assert "genrify: 4 items: 4 tagged" in done.stderr
    assert beets.genres() == in_files(beets) == EXPECTED
    in_step(beets)
    as_a_scan_sees_it(beets)
    again = beets("genrify")
    assert again.stdout == "" and "4 items: 4 kept" in again.stderr
    in_step(beets)


def test_attributes_can_be_formatted_and_queried(beets):
    beets.configure(min_confidence=None)
    beets("genrify")
    items = beets.items()
    assert {item["genrify_status"] for item in items} == {"tagged", "unsure"}
    for item in items:
        best, score = item["genrify_scores"].split(", ")[0].split(" ")
        assert best in {"jazz", "classical"} and 0 < float(score) <= 1
        assert 0 < float(item["genrify_confidence"]) <= 1
        assert item["genrify_model"].count("-") == 1
    threshold = load_sidecar(None).vocabularies["tree"].min_confidence
    for item in items:
        sure = float(item["genrify_confidence"]) >= threshold
        assert sure == (item["genrify_status"] == "tagged")
    titles = {item["title"] for item in items}
    low = {item["title"] for item in beets.items("genrify_confidence:..0.7")}
    high = {item["title"] for item in beets.items("genrify_confidence:0.7..")}
    assert low and high and low | high == titles and not low & high
    assert {i["title"] for i in beets.items("genrify_scores::^jazz")} == {"Jazz 1", "Jazz 2"}
    unsure = {item["title"] for item in items if item["genrify_status"] == "unsure"}
    assert {i["title"] for i in beets.items("genrify_status:unsure")} == unsure != set()


def test_pretend_shows_and_does_nothing(beets):
    before = contents(beets)
    done = beets("genrify", "--pretend")
    assert done.stdout.count("Jazz") >= 2 and "undo" not in done.stderr
    assert "genrify: 4 items: 4 would be tagged\n" in done.stderr
    assert "An artist - An album\n" in done.stdout  # the album, too
    assert contents(beets) == before and beets.genres() == NO_GENRES
    assert beets.items()[0]["genrify_status"] == ""
    assert "No changes yet" in beets.program("history", "--all").stdout


@pytest.mark.parametrize(("import_write", "option"), [(True, "--nowrite"), (False, None), (False, "--write")])
def test_option_and_import_write_decide_whether_files_are_written(beets, import_write, option):
    beets.more["import"] = {"write": import_write}
    beets.configure()
    beets("genrify", *filter(None, [option]))
    assert beets.genres() == EXPECTED
    if option == "--write":
        assert in_files(beets) == EXPECTED
        return
    assert in_files(beets) == NO_GENRES
    assert beets("update").stdout == "" and beets.genres() == EXPECTED
    written = beets("-v", "-l", beets.home / "beets" / "library.db", "write").stdout
    assert written.count("An artist") == 4 and in_files(beets) == EXPECTED
    assert commands(beets) == ["beet write", "beet genrify"]
    in_step(beets)
    as_a_scan_sees_it(beets)


def test_a_present_genre_is_kept_unless_forced(beets):
    beets("modify", "-y", "genres=Dub", "title:Jazz 1")
    assert "3 tagged" in beets("genrify").stderr
    assert beets.genres() == {**EXPECTED, "Jazz 1": "Dub"}
    beets("genrify", "--force", "title:Jazz 1")
    assert beets.genres() == in_files(beets) == EXPECTED


def test_force_and_keep_existing_append_up_to_the_count(beets):
    beets("modify", "-y", "genres=Dub", "title:Jazz 1")
    beets("genrify", "--force", "--keep-existing", "title:Jazz 1")
    assert beets.genres("title:Jazz 1") == {"Jazz 1": "Dub"}
    beets("genrify", "--force", "--keep-existing", "--count", "2", "title:Jazz 1")
    assert beets.genres("title:Jazz 1") == {"Jazz 1": "Dub; Jazz"}
    assert in_files(beets)["Jazz 1"] == "Dub; Jazz"
    in_step(beets)


def test_the_options_choose_threshold_vocabulary_and_number(beets):
    assert "4 unsure" in beets("genrify", "--min-confidence", "0.999").stderr
    done = beets("genrify", "--vocabulary", "gtzan", "--count", "3", "--pretend", "--min-confidence", "0.01")
    assert "4 would be tagged" in done.stderr
    shown = beets("genrify", "--vocabulary", "gtzan", "--explain", "title:Jazz 1").stdout
    assert "gtzan, model 2." in shown and "genre tree" not in shown
    shown = beets("genrify", "--explain", "title:Jazz 1").stdout
    assert "tree, model 2." in shown and "  genre tree: Jazz 0." in shown
    assert "genrify.tree_level must be" in beets("genrify", "--tree-level", "twig", status=1).stderr
    assert "genrify.min_confidence must be" in beets("genrify", "--min-confidence", "7", status=1).stderr
    assert "no such option" in beets("genrify", "--frobnicate", status=2).stderr
    assert "no matching items" in beets("genrify", "title:Nothing", status=1).stderr


def test_explain_prints_every_score_and_changes_nothing(beets):
    before = contents(beets)
    shown = beets("genrify", "--explain", "title:Jazz 1").stdout.splitlines()
    assert shown[0] == "An artist - An album - Jazz 1"
    assert shown[1].startswith("  scores: jazz 0.") and shown[1].count(",") == 15
    assert shown[2].startswith("  decision: Jazz (confidence 0.")
    assert shown[3].startswith("  genre tree: Jazz 0.") and shown[3].endswith(": Jazz is written")
    assert shown[4] == "  genres: (none): would change to Jazz"
    assert contents(beets) == before and beets.genres() == NO_GENRES


def test_album_matches_albums_and_gives_them_a_genre(beets):
    beets("genrify", "--album", "album:An album", "--nowrite")
    assert beets.genres() == EXPECTED
    assert beets.album_genres()["An album"] in {"Classical", "Jazz"}


def test_an_album_keeps_a_genre_that_the_user_set(beets):
    beets("modify", "-y", "-a", "-I", "genres=Dub")
    beets("genrify")
    assert beets.album_genres() == {"An album": "Dub"} and beets.genres() == EXPECTED
    beets("genrify", "--undo")
    assert beets.album_genres() == {"An album": "Dub"} and beets.genres() == NO_GENRES


def test_an_album_whose_genre_the_user_removed_stays_without(beets):
    beets("genrify", "title:Jazz")
    beets("modify", "-y", "-a", "-I", "genres=")
    beets("genrify", "title:Dance")
    assert beets.album_genres() == {"An album": ""} and beets.genres() == EXPECTED


def test_an_albums_genre_follows_its_tracks_after_an_undo_of_some(beets):
    beets("genrify")
    first = beets.album_genres()["An album"]
    second, titles = ("Classical", "Jazz") if first == "Jazz" else ("Jazz", "Dance")
    shown = beets("genrify", "--undo", "--pretend", f"title:{titles}").stdout
    assert f"An artist - An album\n  genres:\n    - {first}\n    + {second}\n" in shown
    assert beets.album_genres() == {"An album": first}
    beets("genrify", "--undo", f"title:{titles} 1")
    assert beets.album_genres() == {"An album": second}
    beets("genrify", "--undo", f"title:{titles}")
    assert beets.album_genres() == {"An album": second}
    beets("genrify", "--undo")
    assert beets.album_genres() == {"An album": ""} and beets.genres() == NO_GENRES


def test_undo_restores_a_forced_album_genre_but_not_one_changed_since(beets):
    beets("modify", "-y", "-a", "-I", "genres=Dub")
    beets("genrify", "--force", "--keep-existing", "--count", "2")
    album = beets.album_genres()["An album"]
    assert album in {"Dub; Classical", "Dub; Jazz"}
    best, other = ("Jazz", "Classical") if album.endswith("Jazz") else ("Classical", "Jazz")
    beets("genrify", "--undo", "title:" + {"Jazz": "Jazz", "Classical": "Dance"}[best])
    assert beets.album_genres() == {"An album": f"Dub; {other}"}
    beets("genrify", "--undo")
    assert beets.album_genres() == {"An album": "Dub"}
    beets("genrify", "--force")
    beets("modify", "-y", "-a", "-I", "genres=Ska")
    beets("genrify", "--undo", "title:Jazz")
    assert beets.album_genres() == {"An album": "Ska"}
    beets("genrify", "--undo")
    assert beets.album_genres() == {"An album": "Ska"} and beets.genres() == NO_GENRES


def test_undo_restores_the_genres_before_the_last_run(beets):
    beets("modify", "-y", "genres=Dub", "title:Dance 1")
    beets("genrify", "--force")
    assert "undone" not in beets.program("history").stdout.splitlines()[1]
    pretended = beets("genrify", "--undo", "--pretend")
    assert pretended.stdout and beets.genres() == EXPECTED
    assert "4 items would be restored, 0 left alone" in pretended.stderr
    done = beets("genrify", "--undo")
    assert "4 items restored, 0 left alone" in done.stderr
    assert beets.genres() == in_files(beets) == {**NO_GENRES, "Dance 1": "Dub"}
    assert beets.album_genres() == {"An album": ""}
    in_step(beets)
    runs = [json.loads(line) for line in beets.program("history", "--format", "jsonl").stdout.splitlines()]
    assert [(r["command"], r["changed"], r["undone"]) for r in runs] == [
        ("beet genrify --undo", 4, 0),
        ("beet genrify", 4, 4),
    ]
    assert "nothing to undo for these items" in beets("genrify", "--undo", status=1).stderr


def test_an_undone_genre_is_not_written_again_unless_forced(beets):
    beets("genrify", "title:Jazz 1")
    beets("genrify", "--undo")
    assert "1 skipped" in beets("genrify", "title:Jazz 1").stderr
    reasons = {r["reason"] for r in beets.program.scan(beets.music, "--dry-run", "--min-confidence", "0.05")}
    assert "its genre was undone since; --force writes again" in reasons
    beets("genrify", "--force", "title:Jazz 1")
    assert beets.genres("title:Jazz 1") == GENRE


def test_undo_of_a_run_that_wrote_no_files_writes_none(beets):
    before = contents(beets)
    beets("genrify", "--nowrite")
    beets("genrify", "--undo")
    assert beets.genres() == NO_GENRES and contents(beets) == before
    assert "4 skipped" in beets("genrify").stderr


def test_undo_goes_back_run_by_run(beets):
    beets("modify", "-y", "genres=Dub", "title:Dance 1")
    beets("genrify", "--force")
    beets.configure(names={"jazz": "Swing", "classical": "Romantic"})
    beets("genrify", "--force")
    second = {title: {"Jazz": "Swing", "Classical": "Romantic"}[genre] for title, genre in EXPECTED.items()}
    assert in_files(beets) == second
    beets("modify", "-y", "title=Another", "title:Jazz 1")
    beets("modify", "-y", "title=Jazz 1", "title:Another")
    beets("genrify", "--undo")
    assert beets.genres() == in_files(beets) == EXPECTED
    assert beets.album_genres()["An album"] in {"Classical", "Jazz"}
    in_step(beets)
    beets("genrify", "--undo")
    assert beets.genres() == in_files(beets) == {**NO_GENRES, "Dance 1": "Dub"}
    assert beets.album_genres() == {"An album": ""}
    in_step(beets)
    runs = [json.loads(line) for line in beets.program("history", "--format", "jsonl").stdout.splitlines()]
    assert [(r["changed"], r["undone"]) for r in runs] == [(4, 0), (4, 0), (4, 4), (4, 4)]


def test_undo_skips_a_run_whose_genres_were_all_changed_since(beets):
    beets("genrify", "title:Dance")
    beets("genrify", "title:Jazz 1")
    beets("modify", "-y", "genres=Dub", "title:Jazz 1")
    assert "2 items restored, 0 left alone" in beets("genrify", "--undo").stderr
    assert beets.genres() == in_files(beets) == {**NO_GENRES, "Jazz 1": "Dub"}


def test_an_undo_in_the_library_only_is_journalled_when_beets_writes(beets):
    beets("modify", "-y", "genres=Rock/Pop; Soul, Funk", "title:Dance 1")
    beets("genrify", "--force")
    beets("genrify", "--undo", "--nowrite")
    assert in_files(beets) == EXPECTED and [r["undone"] for r in history(beets)] == [0]
    beets("modify", "-y", "genres=Polka", "title:Jazz 1")  # a change of the user's, although it was undone
    beets("write")
    assert in_files(beets) == {**NO_GENRES, "Dance 1": "Rock/Pop; Soul, Funk", "Jazz 1": "Polka"}
    assert [(r["command"], r["changed"], r["undone"]) for r in history(beets)] == [
        ("beet write", 3, 0),
        ("beet genrify", 4, 3),
    ]
    results = {os.path.basename(r["path"])[3:]: r["reason"] for r in beets.program.scan(beets.music, "--dry-run")}
    assert results.pop("Jazz 1.mp3").startswith("its genre was changed since")
    (dance,) = [name for name in results if name.startswith("Dance 1")]
    assert results.pop(dance) == "its genre was undone since"
    assert set(results.values()) == {"its genre was undone since; --force writes again"}


def test_a_late_write_of_an_earlier_genre_is_journalled_as_an_undo(beets):
    beets("genrify", "title:Jazz 1")
    beets.configure(names={"jazz": "Swing"})
    beets("genrify", "--force", "title:Jazz 1")
    beets("genrify", "--undo", "--nowrite")
    beets("write")
    assert in_files(beets)["Jazz 1"] == "Jazz"
    assert [(r["command"], r["undone"]) for r in history(beets)] == [
        ("beet write", 0),
        ("beet genrify", 1),
        ("beet genrify", 0),
    ]
    beets("genrify", "--undo")
    assert in_files(beets) == NO_GENRES and [r["undone"] for r in history(beets)] == [0, 0, 1, 1]


def test_undo_leaves_items_alone_that_were_changed_since(beets):
    beets("genrify")
    beets("modify", "-y", "genres=Dub", "title:Jazz 1")
    by_another = next(path for path in beets.files() if "Dance 1" in path.name)
    file = MediaFile(by_another)
    file.genres = ["Polka"]
    file.save()
    done = beets("genrify", "--undo")
    assert "2 items restored, 2 left alone" in done.stderr
    assert "Jazz 1.mp3: left alone: the genre in the file was changed since" in done.stderr
    assert in_files(beets) == {**NO_GENRES, "Jazz 1": "Dub", "Dance 1": "Polka"}


def test_genres_that_only_beets_can_write_are_journalled_and_restored(beets):
    beets("modify", "-y", "genres=Rock/Pop; Soul, Funk", "title:Jazz 1")
    assert "not journalled" not in beets("genrify", "--force", "title:Jazz 1").stderr
    assert "not journalled" not in beets("genrify", "--undo").stderr
    assert beets.genres() == in_files(beets) == {**NO_GENRES, "Jazz 1": "Rock/Pop; Soul, Funk"}
    assert commands(beets) == ["beet genrify --undo", "beet genrify"]
    results = {os.path.basename(r["path"]): r for r in beets.program.scan(beets.music, "--dry-run")}
    undone = next(r for name, r in results.items() if "Jazz 1" in name)
    assert undone["reason"] == "its genre was undone since"


def test_undo_finds_moved_items(beets, tmp_path):
    beets("genrify", "title:Jazz 1")
    beets("modify", "-y", "title=Another", "title:Jazz 1")
    assert any(path.name.endswith("Another.mp3") for path in beets.files())
    assert commands(beets) == ["beet genrify"]  # another's change of another field is no run of ours
    beets("genrify", "--undo")
    assert beets.genres("title:Another") == {"Another": ""} and in_files(beets)["Another"] == ""


def test_a_scan_respects_a_genre_changed_in_beets(beets):
    beets("genrify")
    beets("modify", "-y", "genres=Dub", "title:Jazz 1")
    results = {os.path.basename(r["path"]): r for r in beets.program.scan(beets.music, "--min-confidence", "0.05")}
    changed = next(r for name, r in results.items() if "Jazz 1" in name)
    assert changed["reason"] == "its genre was changed since"
    assert "1 kept" in beets("genrify", "title:Jazz 1").stderr
    beets("modify", "-y", "genres=", "title:Jazz 1")
    assert "1 skipped" in beets("genrify", "title:Jazz 1").stderr  # the user removed it: that counts, too


def test_a_genre_set_by_the_user_is_never_replaced(beets):
    path = next(path for path in beets.files() if "Jazz 1" in path.name)
    beets.program("set", path, "Blues")
    done = beets("genrify", "--force", "title:Jazz 1")
    assert "1 kept" in done.stderr and in_files(beets)["Jazz 1"] == "Blues"


def test_the_database_is_shared_with_genrify_tag_and_can_be_elsewhere(beets, tmp_path):
    database = tmp_path / "elsewhere.db"
    beets.configure(database=str(database))
    beets.program.scan(beets.music, "--dry-run", "--database", database)
    explained = beets("genrify", "--pretend", GENRIFY_ANALYSIS__TIME_LIMIT_SECONDS="1")
    assert "4 would be tagged" in explained.stderr and not beets.program.database.exists()
    beets("genrify")
    results = beets.program.scan(beets.music, "--database", database)
    assert [r["cached"] for r in results] == [True] * 4


def test_a_relative_database_is_beside_the_configuration(beets):
    beets.configure(database="genrify.db")
    beets("genrify", "--pretend")
    assert (beets.home / "beets" / "genrify.db").exists()


def test_a_damaged_file_fails_alone_and_is_not_tried_again(beets):
    path = next(path for path in beets.files() if path.suffix == ".flac")
    shutil.copy(damaged(beets.home / "other", "Broken"), path)
    done = beets("genrify")
    assert "3 tagged, 1 failed" in done.stderr.replace("1 failed, 3 tagged", "3 tagged, 1 failed")
    assert f"{path}: not analysed: " in done.stderr
    assert len(beets.items("genrify_status:failed")) == 1
    missing = next(path for path in beets.files() if path.suffix == ".mp3")
    beets("genrify", "--force", f"path:{missing}")
    missing.unlink()
    assert "No such file" in beets("genrify", "--force", "--pretend").stderr
    explained = beets("genrify", "--explain")
    assert "\n  No such file or directory\n" in explained.stdout and "No such file" not in explained.stderr
    undone = beets("genrify", "--undo")
    assert f"{missing}: left alone: No such file or directory\n" in undone.stderr


@pytest.mark.parametrize(("event", "first", "state"), [("write", False, "failed"), ("after_write", True, "done")])
def test_a_kill_while_beets_writes_is_resolved_at_the_next_start(beets, event, first, state):
    with_killer(beets, first=first)
    beets("genrify", "title:Jazz 1", status=-9, KILL_AT=event)
    path = next(path for path in beets.files() if "Jazz 1" in path.name)
    assert in_files(beets)["Jazz 1"] == ("Jazz" if state == "done" else "")
    beets("genrify", "--pretend")
    changes = beets.program("history", "--path", path, "--format", "jsonl").stdout
    assert [json.loads(line)["state"] for line in changes.splitlines()] == [state]
    beets("genrify")
    assert beets.genres() == in_files(beets) == EXPECTED


def test_ctrl_c_keeps_finished_items(beets):
    for number in range(40):
        song(beets.home / "more", f"More {number}", "mp3-v2.3" if number % 2 else "mp3-v2.4")
    beets.configure(auto=False, jobs=1, min_confidence=0.05)
    beets("import", "-A", "-s", beets.home / "more")
    running = subprocess.Popen(
        beets.command("genrify"),
        env=beets.environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    shown = 0
    while shown < 3:  # what is shown is done next: by the third, the first is
        shown += not running.stdout.readline().startswith(" ")
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert "interrupted; all changes so far are kept" in said and "Traceback" not in said
    given = [genre for genre in beets.genres().values() if genre]
    assert 0 < len(given) < 44 and beets.genres() == in_files(beets)
    runs = beets.program("history", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(run)["status"] for run in runs] == ["interrupted"]
    assert "40 tagged" not in beets("genrify").stderr
    assert "" not in beets.genres().values()


def test_file_names_that_are_not_utf8_work(beets):
    folder = os.fsencode(beets.home / "strange")
    os.mkdir(folder)
    strange = os.path.join(folder, b"\xff\xfe.mp3")
    shutil.copy(os.fsencode(next(path for path in beets.files() if path.suffix == ".mp3")), strange)
    broken = os.path.join(folder, b"\xff broken.flac")
    shutil.copy(damaged(beets.home / "other", "Broken"), broken)
    done = beets("import", "-A", "-s", "-C", os.fsdecode(folder))
    assert "not analysed" in done.stderr and "Logging error" not in done.stderr
    assert beets.genres("genrify_status:tagged") == GENRE


@contextlib.contextmanager
def immutable(path):
    """Make a file one that not even root can write."""
    if os.getuid() != 0:
        pytest.skip("needs root, for chattr")
    if subprocess.run(["chattr", "+i", path], capture_output=True).returncode:
        pytest.skip("this file system knows no immutable files")
    try:
        yield
    finally:
        media.run("chattr", "-i", path)


@contextlib.contextmanager
def read_only(path):
    path.chmod(0o444)
    yield
    path.chmod(0o644)


@pytest.mark.parametrize("unwritable", [immutable, read_only])
def test_an_unwritable_file_fails_in_a_dry_run_and_a_real_run(beets, unwritable):
    path = next(path for path in beets.files() if path.suffix == ".mp3")
    if unwritable is read_only and os.getuid() == 0:
        beets.prefix = [media.need("setpriv"), "--bounding-set=-dac_override,-dac_read_search,-fowner"]
    with unwritable(path):
        pretended = beets("genrify", "--pretend")
        done = beets("genrify")
    for said, rest in ((pretended, "3 would be tagged"), (done, "3 tagged")):
        assert f"{path}: cannot be written: " in said.stderr and "1 failed" in said.stderr and rest in said.stderr
        assert "Jazz 1\n" not in said.stdout
    assert beets.genres() == in_files(beets) == {**EXPECTED, "Jazz 1": ""}
    assert beets.items("title:Jazz 1")[0]["genrify_status"] == "failed"
    with unwritable(path):
        alone = beets("genrify", "title:Jazz 1")
    assert "1 item: 1 failed\n" in alone.stderr and "to undo" not in alone.stderr
    assert "1 tagged" in beets("genrify", "title:Jazz 1").stderr  # it is tried again
    assert beets.genres() == in_files(beets) == EXPECTED
    with unwritable(path):
        undone = beets("genrify", "--undo", "title:Jazz")
        assert "0 items restored, 1 left alone" in undone.stderr and beets.genres() == in_files(beets) == EXPECTED
    assert [run["changed"] for run in history(beets)] == [1, 3]
    in_step(beets)


BREAKER = """
import os
from beets.plugins import BeetsPlugin

class BreakerPlugin(BeetsPlugin):
    def __init__(self):
        super().__init__()
        self.register_listener("write", self.break_file)

    def break_file(self, item, path, tags):
        if os.environ.get("BREAK") in item.title:
            os.unlink(path)
"""


def test_a_write_that_fails_in_beets_counts_as_failed(beets):
    folder = beets.home / "breaker"
    folder.mkdir()
    (folder / "breaker.py").write_text(BREAKER)
    beets.plugins = ["genrify", "breaker"]
    beets.more = {"pluginpath": str(folder)}
    beets.configure()
    path = next(path for path in beets.files() if path.suffix == ".mp3")
    content = path.read_bytes()
    done = beets("genrify", BREAK="Jazz 1")
    assert "3 tagged" in done.stderr and "1 failed" in done.stderr
    path.write_bytes(content)
    assert beets.genres() == in_files(beets) == {**EXPECTED, "Jazz 1": ""}
    changes = beets.program("history", "--path", path, "--format", "jsonl").stdout
    assert json.loads(changes)["state"] == "failed"
    assert "1 tagged" in beets("genrify", "title:Jazz 1", BREAK="none").stderr
    undone = beets("genrify", "--undo", BREAK="Jazz 1")
    assert "0 items restored, 1 left alone" in undone.stderr
    path.write_bytes(content)


def test_genrify_tag_never_writes_what_beets_wrote_or_undid(beets):
    beets("genrify", "title:Jazz")
    beets("genrify", "--undo", "title:Jazz 1")
    path = next(path for path in beets.files() if "Jazz 1" in path.name)
    before = contents(beets)
    for arguments, hint in [
        (["1"], "`beet genrify --undo`"),
        (["2"], "`beet genrify --force`"),
        (["--path", beets.music], "`beet genrify --undo`"),
    ]:
        for options in ([], ["--dry-run"]):
            done = beets.program("undo", *arguments, *options, status=1)
            assert hint in done.stdout + done.stderr
    assert contents(beets) == before
    beets.program("set", path, "Blues")
    beets.program("undo", "--path", path)  # what genrify-tag wrote itself
    assert contents(beets) == before
    in_step(beets)


def test_an_album_gets_the_genre_of_at_least_half_of_its_tracks(beets, tmp_path):
    folder = tmp_path / "Six"
    for number in range(6):
        song(folder, f"Six {number}", "mp3-v2.3" if number else "flac", album="Six", track=number + 1)
    beets.configure(auto=False)
    beets("import", "-A", folder)
    beets("genrify", "title:Six 0")
    assert beets.album_genres() == {"An album": "", "Six": ""}
    beets("genrify", "title::Six [12]")
    assert beets.album_genres()["Six"] == "Jazz"
    beets("genrify", "--undo", "title:Six 1")
    assert beets.album_genres()["Six"] == ""  # two of six have it
    beets("genrify", "--force", "album:Six")
    assert beets.album_genres()["Six"] == "Jazz"


def test_files_of_beets_have_titles_in_the_library_of_genrify_tag(beets):
    beets("genrify", "title:Jazz")
    with closing(sqlite3.connect(beets.program.database)) as database:
        rows = database.execute("SELECT title, artist, album FROM files").fetchall()
    assert {(title, album) for title, _, album in rows} == {("Jazz 1", "An album"), ("Jazz 2", "An album")}


def test_a_journal_error_names_the_plugins_setting(beets):
    beets("genrify", "--nowrite", "title:Jazz 1")
    beets.configure(database="/proc/genrify.db")
    done = beets("write")
    assert "Jazz 1.mp3: not journalled: /proc/genrify.db: the database cannot be" in done.stderr
    assert "with the setting genrify.database" in done.stderr and in_files(beets)["Jazz 1"] == "Jazz"
    undone = beets("genrify", "--undo", status=1)
    assert undone.stderr.startswith("error: /proc/genrify.db: ") and beets.genres()["Jazz 1"] == "Jazz"


def test_tensorflow_librosa_and_scikit_learn_are_never_loaded(beets):
    code = (
        "import sys; from beets.ui import main; main(sys.argv[1:]);"
        "print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code, "genrify"], capture_output=True, text=True, env=beets.environment(), check=True
    )
    assert "4 tagged" in done.stderr
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "genrify_tagger" in loaded
    assert not loaded & {"tensorflow", "librosa", "sklearn", "matplotlib", "av", "ai_edge_litert", "numba", "pylast"}
    listing = subprocess.run(
        [sys.executable, "-c", code, "ls"], capture_output=True, text=True, env=beets.environment(), check=True
    )
    assert not set(listing.stderr.splitlines()[-1].split()) & {"sqlalchemy", "alembic", "rich"}


def test_help_explains_every_option(beets):
    shown = beets("genrify", "--help").stdout
    for option in ("--pretend", "--nowrite", "--force", "--keep-existing", "--count", "--min-confidence"):
        assert option in shown
    for option in ("--vocabulary", "--album", "--explain", "--undo"):
        assert option in shown
    assert "beet genrify --pretend artist:Abba" in shown


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("genrify:\n", ""),
        ("genrify: yes\n", "not a mapping of settings"),
        ("genrify:\n  auto: perhaps\n", "must be yes or no"),
    ],
)
def test_an_invalid_settings_block_is_reported_without_traceback(beets, block, words):
    file = beets.home / "beets" / "config.yaml"
    kept = [line for line in yaml.safe_load(file.read_text()).items() if line[0] != "genrify"]
    file.write_text(yaml.safe_dump(dict(kept)) + block)
    done = beets("genrify", "--pretend", GENRIFY_DATABASE__URL=str(beets.home / "own.db"))
    assert "Traceback" not in done.stderr and words in done.stderr
    assert "4 items" in done.stderr
