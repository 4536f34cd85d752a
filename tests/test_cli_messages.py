"""Messages of commands that say what is wrong, or what to do next."""

import subprocess

import pytest

from tests import media, tagging


@pytest.fixture
def song(tmp_path):
    return media.make("flac", tmp_path / "music", "song", genre="Jazz")


def test_a_folder_may_have_the_name_of_the_genre_that_is_set(program, song, monkeypatch):
    monkeypatch.chdir(song.parent)
    (song.parent / "Reggae").mkdir()
    program("set", "song.flac", "Reggae")
    assert tagging.genres(song) == ("Reggae",)


def test_set_does_not_take_a_folder(program, song):
    done = program("set", str(song.parent), "Reggae", status=2)
    assert f"'{song.parent}' is a folder; give the files in it" in done.stderr


def test_a_list_without_files_says_so(program, song):
    program.scan(song.parent)
    done = program("status", "--list", "failed")
    assert (done.stdout, done.stderr) == ("", "No file is failed.\n")
    assert program("status", "--list", "kept").stderr == ""


def test_with_too_few_songs_learn_says_what_to_do(program, song):
    program.scan(song.parent)
    done = program("learn")
    assert "Not put to use: not enough examples" in done.stdout
    assert done.stderr == "Learn again when more songs have a genre.\n"


def test_an_unknown_vocabulary_is_reported_with_what_makes_one(program, song):
    program.scan(song.parent)
    done = program("vocabulary", "use", "mine", status=1)
    assert done.stderr == "genrify-tag: there is no learned vocabulary 'mine'; `genrify-tag learn` makes one\n"


def test_a_page_for_the_network_says_how_other_machines_reach_it(program):
    process = program.start(
        *("serve", "--port", "0", "--host", "0.0.0.0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=program.environment(GENRIFY_WEB__TOKEN="correct horse battery"),
    )
    assert process.stdout.readline().startswith("Hear it. Genrify it. http://127.0.0.1:")
    assert process.stderr.readline() == "From other machines, use the IP address of this one instead of 127.0.0.1.\n"
    process.terminate()
    process.communicate(timeout=60)
