"""The service, as the installed program: files are tagged once they have settled, and none is missed."""

import os
import shutil
import signal
import threading
import time

import mutagen
import pytest
from mutagen.flac import FLAC

from tests import media
from tests.storm import voice
from tests.watching import changes, genre, song, until, watching


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


def test_songs_are_tagged_as_they_arrive_and_moves_cost_nothing(program, music, tmp_path):
    early = song(music, "early")
    with watching(program, music) as service:
        service.tagged(early)
        late = song(music / "album", "late", "flac")  # in a folder that is new, too
        service.tagged(late)
        outside = song(tmp_path / "elsewhere" / "deep", "moved in", "opus")
        shutil.move(tmp_path / "elsewhere", music / "moved in")
        arrived = music / "moved in" / "deep" / outside.name
        service.tagged(arrived)
        assert service.rest()["counts"] == {"tagged": 3}
        analyses = service.query("SELECT count(*) FROM analyses")
        (music / "album").rename(music / "renamed album")
        early.rename(music / "renamed.mp3")
        until(lambda: str(music / "renamed album" / late.name) in service.files())
        until(lambda: str(music / "renamed.mp3") in service.files())
        arrived.unlink()
        until(lambda: service.files()[str(arrived)] == ("tagged", False))
        assert service.rest()["counts"] == {"tagged": 3}  # nothing was worked on again
        assert service.query("SELECT count(*) FROM analyses") == analyses
        assert {path: there for path, (_, there) in service.files().items()} == {
            str(music / "renamed.mp3"): True,
            str(music / "renamed album" / late.name): True,
            str(arrived): False,
        }
        assert len(changes(service)) == 3 and {c["origin"] for c in changes(service)} == {"watch"}
        shutil.rmtree(music / "renamed album")
        until(lambda: not service.files()[str(music / "renamed album" / late.name)][1])
        assert service.end() == 0
    assert service.query("SELECT count(*) FROM analyses") == analyses
    assert not list(music.rglob(".*"))


def test_files_added_while_it_was_stopped_are_found_at_the_start(program, music):
    first = song(music, "first")
    with watching(program, music) as service:
        service.tagged(first)
    gone = song(music, "gone", "opus")
    with watching(program, music) as service:
        service.tagged(gone)
    gone.unlink()
    first.rename(music / "other name.mp3")
    new = song(music, "new", "flac")
    with watching(program, music) as service:
        service.tagged(new)
        service.rest()
        assert {path: there for path, (_, there) in service.files().items()} == {
            str(gone): False,
            str(music / "other name.mp3"): True,  # the first song's row has moved along
            str(new): True,
        }
    assert len(changes(service)) == 3


def test_a_copy_that_takes_its_time_is_tagged_once_after_it_ends(program, music):
    content = song(music.parent / "source", kind="flac").read_bytes()
    with watching(program, music) as service:
        target = music / "slow.flac"
        with target.open("wb") as file:
            for part in range(6):  # pauses shorter than the settle time, then one that is much longer
                file.write(content[len(content) * part // 8 : len(content) * (part + 1) // 8])
                file.flush()
                time.sleep(0.4)
            time.sleep(4)
            assert str(target) not in service.files()
            file.write(content[len(content) * 6 // 8 :])
        ended = time.monotonic()
        service.tagged(target)
        assert time.monotonic() - ended > 0.9
        assert service.rest()["counts"] == {"tagged": 1}
    (change,) = changes(service)
    assert int(change["stat_before"].split()[0]) == len(content)


def test_partial_downloads_are_left_alone_and_atomic_renames_are_not(program, music):
    content = song(music.parent / "source", kind="flac").read_bytes()
    names = ["a.flac.part", "b.flac.crdownload", "c.flac.tmp", "d.flac.!qB", ".syncthing.e.flac.tmp", ".f.flac.Xy12ab"]
    with watching(program, music) as service:
        for name in names:
            (music / name).write_bytes(content)
        beside = music / "g.flac"  # aria2 and Firefox write the final name beside a file of their own
        beside.write_bytes(content)
        (music / "g.flac.aria2").touch()
        time.sleep(3)
        assert service.files() == {} and service.state()["last_file"] is None
        (music / "a.flac.part").rename(music / "a.flac")
        (music / ".f.flac.Xy12ab").rename(music / "f.flac")
        (music / "g.flac.aria2").unlink()
        for name in "afg":
            service.tagged(music / f"{name}.flac")
        service.rest()
        assert set(service.files()) == {str(music / f"{name}.flac") for name in "afg"}
    for name in names[1:5]:
        assert (music / name).read_bytes() == content


def test_its_own_writes_do_not_wake_it(program, music):
    with watching(program, music, "--log-format", "json", settle=1) as service:
        songs = [song(music, f"song{number}", kind) for number, kind in enumerate(media.KINDS)]
        for path in songs:
            service.tagged(path)
        seen = service.rest()
        time.sleep(3)  # were its own writes news, they would have settled by now
        now = service.state()
        assert now["counts"] == seen["counts"] == {"tagged": len(songs)}
        assert now["last_result"] == seen["last_result"]
    assert len(changes(service)) == len(songs)


@pytest.mark.parametrize("how", ["undo", "change", pytest.param("remove", marks=pytest.mark.torture)])
def test_what_the_user_undid_is_never_written_again(program, music, how):
    path = song(music, kind="flac")
    with watching(program, music) as service:
        service.tagged(path)
        service.rest()
        if how == "undo":
            program("undo")
        else:
            tags = FLAC(path)
            tags["genre"] = [] if how == "remove" else ["My Own"]
            tags.save()
        mine = genre(path)
        assert mine == (["My Own"] if how == "change" else [])
        service.rest()
        moved = path.rename(music / "moved.flac")
        os.utime(moved)
        service.rest()
        assert genre(moved) == mine
    with watching(program, music, settle=0.3) as service:
        until(lambda: str(moved) in service.files())
        os.utime(moved)
        service.rest()
        assert genre(moved) == mine
    assert sum(change["origin"] == "watch" for change in changes(service)) == 1


def test_nothing_of_another_tagger_at_work_is_lost(program, music):
    paths = [song(music, f"song{number}", "flac") for number in range(8)]
    written: dict[str, int] = {}
    stop = threading.Event()

    def tag() -> None:
        """Do what a tagger in use does: open, change, save in place, again and again, now and then with a rest."""
        number = 0
        while not stop.is_set():
            path = paths[number % len(paths)]
            opened = FLAC(path)
            opened["title"] = f"edit {number}"
            opened.save()
            written[str(path)] = number
            number += 1
            time.sleep(0.011 if number % 40 else 1.3)

    tagger = threading.Thread(target=tag)
    with watching(program, music, settle=0.2) as service:
        tagger.start()
        time.sleep(8)
        stop.set()
        tagger.join()
        for path in paths:
            service.tagged(path)
        service.rest()
    for path in paths:
        opened = FLAC(path)
        assert opened["title"] == [f"edit {written[str(path)]}"] and opened["genre"]
        media.run(media.need("flac"), "--test", "--silent", path)
    done = [change["path"] for change in changes(service) if change["state"] == "done"]
    assert sorted(done) == sorted(map(str, paths))


def test_a_genre_that_another_tagger_writes_meanwhile_is_kept(program, music):
    paths = [song(music, f"song{number:02}", "flac", number=number + 1) for number in range(12)]
    with watching(program, music, "--jobs", "1", settle=0.2) as service:
        until(lambda: changes(service))
        for path in reversed(paths):
            opened = FLAC(path)
            opened["genre"] = ["Theirs"]
            opened.save()
        service.rest()
    assert [genre(path) for path in paths] == [["Theirs"]] * len(paths)


def test_links_hidden_and_excluded_places(program, music, tmp_path):
    (music / ".hidden").mkdir()
    linked = tmp_path / "other disk" / "linked"
    linked.mkdir(parents=True)
    (music / "link").symlink_to(linked)
    with watching(program, music, GENRIFY_LIBRARY__EXCLUDE="Podcasts/, *.opus") as service:
        song(music / ".hidden", "hidden")
        song(music / "Podcasts" / "deep", "podcast")
        song(music, "excluded", "opus")
        wanted = [song(music, "wanted"), song(linked, "through the link", "flac"), song(linked / "new", "deeper")]
        for path in wanted:
            service.tagged(path)
        late = tmp_path / "late"
        song(late, "late")
        (music / "late").symlink_to(late)
        service.tagged(late / "late.mp3")
        service.rest()
        assert set(service.files()) == {*map(str, wanted), str(late / "late.mp3")}


def test_names_that_are_not_utf8(program, music):
    name = os.fsdecode(b"caf\xe9 \xff.flac")
    with watching(program, music) as service:
        made = song(music, "x", "flac")
        odd = made.rename(music / name)
        service.tagged(odd)
        assert service.rest()["last_file"].endswith("caf\ufffd \ufffd.flac")


def test_a_second_service_is_refused_with_the_pid_of_the_first(program, music):
    with watching(program, music) as service:
        refused = program("watch", music, status=1)
        assert f"process {service.process.pid}" in refused.stderr
        other = program.home / "other.db"
        with watching(program, "--database", other, music, ready=False) as second:
            until(lambda: "watching" in second.words)
            assert second.end() == 0
        service.process.kill()
        service.process.wait()
    assert service.state() is None
    with watching(program, music) as third:
        assert third.state()["pid"] == third.process.pid


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_five_seconds_and_leaves_nothing_half_done(program, music, how):
    content = song(music.parent / "source").read_bytes()
    with watching(program, music, settle=0.2) as service:
        for number in range(40):
            (music / f"{number:03}.mp3").write_bytes(content + b"\0" * number)
        until(lambda: len(changes(service)) > 5)
        began = time.monotonic()
        assert service.end(how) == 0
        assert time.monotonic() - began < 5
    done = {change["path"] for change in changes(service)}
    assert 5 < len(done) < 40
    assert {change["state"] for change in changes(service)} == {"done"}
    assert done == {str(path) for path in music.iterdir() if genre(path)}
    (run,) = service.query("SELECT status FROM runs WHERE command = 'watch'")
    assert run == ("interrupted",)
    with watching(program, music, settle=0.2) as service:
        until(lambda: len(changes(service)) == 40)
    assert all(genre(path) for path in music.iterdir())


def test_after_a_kill_it_continues(program, music):
    content = song(music.parent / "source").read_bytes()
    with watching(program, music, settle=0.2) as service:
        for number in range(40):
            (music / f"{number:03}.mp3").write_bytes(content + b"\0" * number)
        until(lambda: len(changes(service)) > 5)
        service.process.kill()
        service.process.wait()
    with watching(program, music, settle=0.2) as service:
        until(lambda: sum(change["state"] == "done" for change in changes(service)) == 40)
        service.rest()
    assert not list(music.rglob(".*"))
    assert all(mutagen.File(path) for path in music.iterdir())


def test_a_database_that_is_lost_twice_is_retried_as_soon_each_time(program, music):
    told = "was moved or deleted while in use; trying again in 5 s"
    with watching(program, music) as service:
        for number in (1, 2):
            service.rest()
            for file in program.database.parent.glob("library.db*"):
                if ".watch." not in file.name:
                    file.unlink()
            service.tagged(song(music, f"song{number}", "flac"))
            assert service.words.count(told) == number


def test_without_a_settle_time_a_song_changed_during_its_analysis_does_not_block(program, music):
    with watching(program, music, settle=0) as service:
        path = song(music)
        for _ in range(200):
            os.utime(path)
            time.sleep(0.01)
        service.tagged(path)
        service.rest()
        assert service.end() == 0


def test_a_song_below_two_roots_is_processed_once(program, music, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(music)
    songs = [music / f"{number}.mp3" for number in range(30)]
    with watching(program, link, music) as service:
        for number, path in enumerate(songs):
            path.write_bytes(voice(number * 7))
        for path in songs:
            service.tagged(path)
        assert service.rest()["counts"] == {"tagged": len(songs)}
        assert len(changes(service)) == len(songs)


def test_a_failure_is_reported_and_the_others_continue(program, music):
    with watching(program, music, "--log-format", "json") as service:
        broken = music / "broken.flac"
        broken.write_bytes(b"not a song at all\0" * 1000)
        good = song(music, "good", "flac")
        service.tagged(good)
        state = service.rest()
        assert state["counts"] == {"tagged": 1, "failed": 1}
        assert state["failures"][0]["path"] == str(broken) and state["failures"][0]["error"]
        shutil.copy(good, broken)  # mended
        until(lambda: service.files()[str(broken)][0] == "kept")
