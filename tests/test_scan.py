"""The main job, on the command line: tag, keep, leave alone, remember, undo."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import mutagen
import pytest
from mediafile import MediaFile
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer

from tests import media

SURE = ("--min-confidence", "0.05")  # the short clips are no test of the model: what it hears is written


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "music"
    for kind in media.KINDS:
        media.make(kind, folder / kind)
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def title(path):
    return mutagen.File(path, easy=True).get("title")


def test_every_container_is_tagged_and_undone_byte_for_byte(program, library):
    before = contents(library)
    titles = {str(path): title(path) for path in before}
    results = program.scan(library, *SURE)
    assert [r["status"] for r in results] == ["tagged"] * len(media.KINDS)
    for result in results:
        assert result["before"] == [] and result["after"] == result["genres"] and len(result["after"]) == 1
        assert sum(result["scores"].values()) > 0.5 and len(result["scores"]) == 16
        assert result["duration"] == pytest.approx(15, abs=0.2)
        assert title(result["path"]) == titles[result["path"]]
        if not result["path"].endswith((".oga", ".spx")):  # mediafile knows neither FLAC in Ogg nor Speex
            assert MediaFile(result["path"]).genres == result["after"]
    assert not list(library.rglob(".*"))
    undone = program("undo")
    assert f"Changed {len(media.KINDS)} files" in undone.stderr
    assert contents(library) == before


class Opened(FileSystemEventHandler):
    """Notes which files are opened, by anyone."""

    def __init__(self):
        self.paths = set()

    def on_opened(self, event):
        if not event.is_directory:
            self.paths.add(event.src_path)


def opened_during(folder, work):
    handler, observer = Opened(), Observer()
    observer.schedule(handler, str(folder), recursive=True)
    observer.start()
    try:
        outcome = work()
        time.sleep(0.5)
    finally:
        observer.stop()
        observer.join()
    return handler.paths, outcome


def test_a_second_scan_opens_no_audio_file(program, library):
    opened, first = opened_during(library, lambda: program.scan(library, *SURE))
    assert {r["path"] for r in first} <= opened  # so the test can see it
    opened, second = opened_during(library, lambda: program.scan(library, *SURE))
    assert not opened
    assert {r["status"] for r in second} == {"unchanged"} and all(r["cached"] for r in second)
    assert [r["scores"] for r in second] == [r["scores"] for r in first]
    assert [r["genres"] for r in second] == [r["genres"] for r in first]


def test_existing_genres_are_kept_merged_or_replaced(command_line, tmp_path):
    song = media.make("flac", tmp_path / "music", genre="Shoegaze")
    kept = command_line.scan(song, *SURE)[0]
    assert (kept["status"], kept["after"], kept["before"]) == ("kept", ["Shoegaze"], ["Shoegaze"])
    assert kept["scores"]  # it was analysed anyway
    merged = command_line.scan(song, *SURE, "--existing", "merge")[0]
    assert merged["status"] == "tagged" and merged["after"] == ["Shoegaze", *merged["genres"]]
    assert MediaFile(song).genres == merged["after"]
    command_line("undo")
    assert MediaFile(song).genres == ["Shoegaze"]


def test_replace_only_on_request(command_line, tmp_path):
    song = media.make("mp3-v2.4", tmp_path / "music", genre="Shoegaze")
    replaced = command_line.scan(song, *SURE, "--existing", "replace")[0]
    assert replaced["status"] == "tagged" and MediaFile(song).genres == replaced["genres"] != ["Shoegaze"]


@pytest.mark.parametrize("junk", ["Other", "unknown"])
def test_junk_counts_as_no_genre(command_line, tmp_path, junk):
    song = media.make("m4a-aac", tmp_path / "music", genre=junk)
    assert command_line.scan(song, *SURE)[0]["status"] == "tagged"
    assert MediaFile(song).genres != [junk]


def test_unsure_writes_nothing(command_line, tmp_path):
    song = media.make("opus", tmp_path / "music")
    before = song.read_bytes()
    result = command_line.scan(song, "--min-confidence", "1")[0]
    assert result["status"] == "unsure" and "below 1" in result["reason"] and result["genres"] == []
    assert song.read_bytes() == before
    assert str(song) in command_line("status", "--list", "unsure").stdout


def test_a_guess_has_the_name_that_would_be_written(command_line, tmp_path):
    song = media.make("mp3-v2.3", tmp_path / "music")
    named = {"GENRIFY_TAGGING__NAMES": '{ jazz = "Swing" }'}
    scan = ("scan", "--min-confidence", "1", "--verbose", song)
    assert re.search(r"^unsure +Swing\? 0\.\d\d ", command_line(*scan, **named).stdout)
    assert re.search(r"^unchanged +Swing\? 0\.\d\d ", command_line(*scan, **named).stdout)
    listing = ("status", "--list", "unsure")
    assert ", best guess Swing)" in command_line(*listing, **named).stdout
    assert ", best guess Jazz)" in command_line(*listing, GENRIFY_ANALYSIS__VOCABULARY="gtzan").stdout
    no_model = command_line(*listing, GENRIFY_ANALYSIS__MODEL=str(tmp_path / "none.json"))
    assert ", best guess jazz)" in no_model.stdout


def test_a_dry_run_writes_nothing_and_reports_the_same(command_line, tmp_path):
    song = media.make("ogg-vorbis", tmp_path / "music")
    before, stat = song.read_bytes(), song.stat()
    planned = command_line.scan(song, *SURE, "--dry-run")[0]
    assert (song.read_bytes(), song.stat().st_mtime_ns) == (before, stat.st_mtime_ns)
    done = command_line.scan(song, *SURE)[0]
    assert done["cached"] and not planned["cached"]
    assert {k: v for k, v in planned.items() if k != "cached"} == {k: v for k, v in done.items() if k != "cached"}


def test_only_new_audio_is_analysed_again(command_line, tmp_path):
    song = media.make("mp3-vbr", tmp_path / "music", genre="Own")
    assert command_line.scan(song)[0]["cached"] is False
    tags = MediaFile(song)
    tags.title = "Another title, so long that the tag has to grow " * 50
    tags.save()
    os.utime(song)
    moved = song.rename(song.with_name("elsewhere.mp3"))
    again = command_line.scan(moved)[0]
    assert (again["status"], again["cached"]) == ("kept", True)
    media.make("mp3-vbr", tmp_path / "music", "elsewhere", source=media.CLASSICAL, genre="Own")
    assert command_line.scan(moved)[0]["cached"] is False


def test_settings_change_the_outcome_without_a_new_analysis(command_line, tmp_path):
    song = media.make("flac", tmp_path / "music")
    assert command_line.scan(song, "--min-confidence", "1")[0]["status"] == "unsure"
    sure = command_line.scan(song, *SURE)[0]
    assert (sure["status"], sure["cached"]) == ("tagged", True)


@pytest.mark.parametrize("how", ["undo", "remove", "change"])
def test_what_the_user_undid_is_not_written_again(command_line, tmp_path, how):
    song = media.make("flac", tmp_path / "music")
    command_line.scan(song, *SURE)
    if how == "undo":
        command_line("undo", "--path", song)
    else:
        tags = MediaFile(song)
        tags.genres = None if how == "remove" else ["My own"]
        tags.save()
    after = MediaFile(song).genres
    for options in ([], ["--existing", "replace"], ["--reanalyse"]):
        result = command_line.scan(song, *SURE, *options)[0]
        assert result["status"] in {"skipped", "kept", "unchanged"}
        # With a genre in the file, --force alone would not write either.
        assert ("--force" in result["reason"]) == (how != "change" or "replace" in options), result["reason"]
        assert MediaFile(song).genres == after
    forced = command_line.scan(song, *SURE, "--existing", "replace", "--force")[0]
    assert forced["status"] == "tagged" and MediaFile(song).genres == forced["genres"]


def test_what_the_user_undid_is_not_written_again_after_a_move(command_line, tmp_path):
    song = media.make("mp3-v2.3", tmp_path / "music")
    command_line.scan(song, *SURE)
    command_line("undo")
    moved = song.rename(tmp_path / "music" / "moved.mp3")
    assert command_line.scan(moved, *SURE)[0]["status"] == "skipped"


def test_a_genre_set_by_hand_is_never_replaced(command_line, tmp_path):
    song = media.make("m4a-alac", tmp_path / "music")
    command_line("set", song, "Bossa Nova", "hiphop")
    assert MediaFile(song).genres == ["Bossa Nova", "Hip-Hop"]
    result = command_line.scan(song, *SURE, "--existing", "replace", "--force", "--reanalyse")[0]
    assert (result["status"], result["reason"]) == ("kept", "set by hand")
    command_line("undo")
    assert MediaFile(song).genres is None
    command_line("set", "--none", song)


def test_undo_refuses_if_the_genre_was_changed_since(command_line, tmp_path):
    one = media.make("flac", tmp_path / "music", "one")
    two = media.make("flac", tmp_path / "music", "two")
    command_line.scan(tmp_path / "music", *SURE)
    tags = MediaFile(one)
    tags.genres = ["Mine"]
    tags.save()
    done = command_line("undo", status=1)
    assert "one.flac" in done.stdout and "1 left alone" in done.stderr
    assert MediaFile(one).genres == ["Mine"] and MediaFile(two).genres is None


def test_undo_refuses_if_the_audio_was_changed_since(command_line, tmp_path):
    song = media.make("wav", tmp_path / "music")
    command_line.scan(song, *SURE)
    content = bytearray(song.read_bytes())
    content[len(content) // 2] ^= 0x55
    song.write_bytes(content)
    done = command_line("undo", status=1)
    assert "the audio was changed or replaced by another program" in done.stdout
    assert song.read_bytes() == content


def test_a_genre_set_twice_is_undone_in_one_step(command_line, tmp_path):
    song = media.make("flac", tmp_path / "music", genre="Folk")
    command_line("set", song, "Jazz", "jazz")
    command_line("set", song, "Jazz")
    assert MediaFile(song).genres == ["Jazz"]
    command_line("undo", "--path", song)
    assert MediaFile(song).genres == ["Folk"]


def test_undo_keeps_a_file_that_already_has_the_former_genre(command_line, tmp_path):
    song = media.make("flac", tmp_path / "music", genre="Folk")
    command_line("set", song, "Folk")
    done = command_line("undo")
    assert done.stdout.startswith("same") and done.stderr == "Changed 0 files; 1 had the former genre already.\n"


def test_undo_can_be_undone_and_follows_moved_files(command_line, tmp_path):
    song = media.make("opus", tmp_path / "music")
    written = command_line.scan(song, *SURE)[0]["after"]
    moved = song.rename(tmp_path / "music" / "moved.opus")
    command_line.scan(moved, *SURE)
    command_line("undo", "1")
    assert MediaFile(moved).genres is None
    assert "already" in command_line("undo", "1", status=1).stderr
    undo_run = json.loads(command_line("history", "--format", "jsonl").stdout.splitlines()[0])
    assert undo_run["command"] == "undo"
    command_line("undo", str(undo_run["run"]))
    assert MediaFile(moved).genres == written


def test_names_protection_fields_and_globs(command_line, tmp_path):
    folder = tmp_path / "music"
    song = media.make("flac", folder)
    book = media.make("mp3-v2.4", folder, "book", genre="Audiobook")
    media.make("wav", folder, "left out")
    (command_line.home / "settings.toml").write_text(
        '[tagging]\nprotected = ["audiobook"]\nexisting = "replace"\nmin_confidence = 0.01\n'
        "[tagging.names]\n" + "\n".join(f'{label} = "My {label}"' for label in ("jazz", "classical", "rock", "pop"))
    )
    results = {
        os.path.basename(r["path"]): r
        for r in command_line.scan(
            "--config", command_line.home / "settings.toml", folder, "--exclude", "*.wav", "--field", "MOOD"
        )
    }
    assert set(results) == {"song.flac", "book.mp3"}
    assert MediaFile(song).genres is None and MediaFile(book).genres == ["Audiobook"]
    results = {
        os.path.basename(r["path"]): r
        for r in command_line.scan("--config", command_line.home / "settings.toml", folder, "--exclude", "*.wav")
    }
    assert results["book.mp3"]["status"] == "skipped" and MediaFile(book).genres == ["Audiobook"]
    assert MediaFile(song).genres == results["song.flac"]["after"] == [f"My {top(results['song.flac'])}"]


def test_a_name_for_an_unknown_label_is_reported(command_line, tmp_path):
    song = media.make("flac", tmp_path)
    (command_line.home / "settings.toml").write_text('[tagging.names]\nelectronik = "Electronica"\njazz = "Jazz!"\n')
    done = command_line("scan", "--dry-run", "--config", command_line.home / "settings.toml", song)
    warning = "genrify-tag: warning: tagging.names: the model has no label electronik; did you mean electronic?"
    assert done.stderr.splitlines().count(warning) == 1
    assert "no label jazz" not in done.stderr


def top(result):
    return max(result["scores"], key=result["scores"].get)


def test_text_output_and_the_next_commands_in_the_summary(program, library):
    done = program("scan", library, *SURE)
    lines = done.stdout.splitlines()
    assert len(lines) == len(media.KINDS) and all(line.startswith("tagged") for line in lines)
    assert f"{len(media.KINDS)} tagged" in done.stderr and "genrify-tag undo 1" in done.stderr
    again = program("scan", library, *SURE)
    assert again.stdout == "" and f"{len(media.KINDS)} unchanged" in again.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_done_and_the_next_scan_resumes(program, tmp_path, sent):
    folder = tmp_path / "music"
    master = media.master("mp3-v2.3")
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:03}.mp3").write_bytes(master.read_bytes() + b"\0" * number)
    before = master.read_bytes()
    process = subprocess.Popen(
        program.command("scan", folder, *SURE, "--format", "jsonl", "--reanalyse", "--segments", "2"),
        env=program.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(sent)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "Run the same command again to continue" in err and "Traceback" not in err
    assert not list(folder.glob(".*"))
    told = out.count('"tagged"') + 1
    tagged = sum(path.read_bytes() != before + b"\0" * int(path.stem) for path in folder.iterdir())
    assert 0 < told <= tagged < 60
    rest = program.scan(folder, *SURE, "--segments", "2")
    statuses = [r["status"] for r in rest]
    assert statuses.count("unchanged") == tagged and statuses.count("tagged") == 60 - tagged
    run = json.loads(program("history", "--format", "jsonl").stdout.splitlines()[-1])
    assert (run["status"], run["changed"]) == ("interrupted", tagged)


def test_a_scan_imports_no_training_library(program, tmp_path):
    song = media.make("flac", tmp_path / "music")
    done = program("scan", song, PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "mutagen" in imported
    assert not imported & {"tensorflow", "librosa", "sklearn", "matplotlib", "av", "ai_edge_litert", "flask"}


def test_show_status_export_and_history(command_line, tmp_path):
    song = media.make("flac", tmp_path / "music")
    shown = json.loads(command_line("show", song, "--format", "json").stdout)
    assert shown["in_file"] == [] and shown["last_scan"] is None and len(shown["timeline"]) >= 4
    assert MediaFile(song).genres is None
    written = command_line.scan(song, *SURE)[0]
    assert written["cached"]
    text = command_line("show", song).stdout
    assert "█" in text and "Timeline" in text and "run 1 scan: (none) -> " in text
    assert json.loads(command_line("status", "--format", "json").stdout)["counts"] == {"tagged": 1}
    exported = json.loads(command_line("export", "--format", "jsonl").stdout)
    assert (exported["path"], exported["after"], exported["scores"]) == (str(song), written["after"], written["scores"])
    assert command_line("export").stdout.splitlines()[0].startswith("path,status,")
    assert str(song) in command_line("history", "--path", tmp_path).stdout


def test_a_mistyped_path_is_an_error(command_line, tmp_path):
    command_line.scan(media.make("flac", tmp_path / "music"), *SURE)
    gone = tmp_path / "nowhere"
    for command in (("status", gone), ("export", gone), ("history", "--path", gone)):
        done = command_line(*command, status=1)
        assert done.stdout == "" and "no such file or folder, neither on disk nor in the database" in done.stderr
    assert "there is no run 999" in command_line("history", "999", status=1).stderr
    assert "is not in the range" in command_line("undo", "9" * 20, status=2).stderr
    (tmp_path / "music").rename(tmp_path / "away")
    assert str(tmp_path / "music") in command_line("history", "--path", tmp_path / "music").stdout


def test_undoing_a_genre_set_by_hand_makes_the_song_unsure(command_line, tmp_path):
    song = media.make("flac", tmp_path / "music")
    assert command_line.scan(song, "--min-confidence", "1")[0]["status"] == "unsure"
    command_line("set", song, "Jazz")
    assert str(song) not in command_line("status", "--list", "unsure").stdout
    command_line("undo")
    assert str(song) in command_line("status", "--list", "unsure").stdout
    assert MediaFile(song).genres is None


def test_a_named_file_that_is_not_audio_is_reported_but_not_recorded(command_line, tmp_path):
    notes, odd = tmp_path / "notes.txt", tmp_path / "a song by its content"
    notes.write_text("no song")
    shutil.copy(media.master("flac"), odd)
    done = command_line("scan", notes, tmp_path / "nofile", odd, *SURE, status=1)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["failed", "tagged"]
    assert f"{notes}  (this is not a known kind of audio file)" in done.stdout
    assert f"{tmp_path / 'nofile'}: no such file or folder; scanning the others" in done.stderr
    assert "1 tagged, 1 failed." in done.stderr
    assert "--list failed" not in done.stderr  # that list does not have them
    assert command_line("status", "--list", "failed").stdout == ""
    assert json.loads(command_line("status", "--format", "json").stdout)["counts"] == {"tagged": 1}
    broken = tmp_path / "broken.mp3"
    broken.write_text("no song")
    assert "--list failed" in command_line("scan", notes, broken, status=1).stderr
    assert str(broken) in command_line("status", "--list", "failed").stdout


def test_silence_has_no_guess(command_line, tmp_path):
    song = tmp_path / "silent.flac"
    media.ffmpeg("-f", "lavfi", "-i", "anullsrc", "-t", "12", song)
    guesses = re.compile("blues|classical|jazz|[?]|0[.]", re.IGNORECASE)
    texts = [command_line("scan", song).stdout, command_line("scan", "--verbose", song).stdout]
    texts += [command_line("status", "--list", "unsure").stdout, command_line("show", song).stdout.partition("key ")[0]]
    for text in texts:
        assert "silence" in text and not guesses.search(text.replace("12.0 s", "")), text
    shown = json.loads(command_line("show", song, "--format", "json").stdout)
    assert {(one["label"], one["score"]) for one in shown["timeline"]} == {(None, 0.0)}
    assert set(shown["scores"].values()) == {0.0}


def test_silence_within_a_song_has_no_genre(command_line, tmp_path):
    song = tmp_path / "pause.wav"
    media.ffmpeg("-i", media.CLASSICAL, "-af", "apad=pad_dur=60", song)
    lines = command_line("show", song).stdout.splitlines()
    timeline = lines[lines.index("Timeline") + 1 : lines.index("Timeline") + 9]
    assert "Classical" in timeline[0] and timeline[-1].endswith("  silence")


def test_containers_have_their_usual_names(command_line, tmp_path):
    names = {"m4a-aac": "MP4", "mp3-v2.4": "MP3", "wma": "ASF", "wavpack": "WavPack", "ogg-vorbis": "Ogg"}
    for kind, name in names.items():
        song = media.make(kind, tmp_path / kind)
        assert f"  audio          {name}, " in command_line("show", song).stdout
    command_line.scan(tmp_path)
    exported = [
        json.loads(line)["container"] for line in command_line("export", "--format", "jsonl").stdout.splitlines()
    ]
    assert sorted(exported) == sorted(names.values())
