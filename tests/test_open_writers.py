"""Files that another program has open for writing are detected and left alone."""

import os
import subprocess
import sys

import pytest

from genrify_tagger import tags
from genrify_tagger.audio import audio_key
from genrify_tagger.errors import ChangedMeanwhileError
from genrify_tagger.files import has_writer
from tests import media

OPENED = "import sys; file = open(sys.argv[1], sys.argv[2]); print(flush=True); sys.stdin.read()"


@pytest.fixture
def song(tmp_path):
    return media.make("flac", tmp_path)


@pytest.fixture
def open_elsewhere(song):
    """Let another process have the song open, in the mode given."""
    processes = []

    def open_(mode):
        process = subprocess.Popen(
            [sys.executable, "-c", OPENED, song, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        processes.append(process)
        process.stdout.readline()
        return process

    yield open_
    for process in processes:
        process.communicate()


def writer_of(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return has_writer(descriptor)
    finally:
        os.close(descriptor)


def test_writers_are_seen_and_readers_are_not(song, open_elsewhere):
    if writer_of(song) is None:
        pytest.skip("this file system does not tell")
    assert writer_of(song) is False
    open_elsewhere("rb")
    assert writer_of(song) is False
    writer = open_elsewhere("r+b")
    assert writer_of(song) is True
    writer.communicate()
    assert writer_of(song) is False


def test_a_write_is_reverted_if_another_program_has_the_file_open_for_writing(song, open_elsewhere):
    if writer_of(song) is None:
        pytest.skip("this file system does not tell")
    before, inode = song.read_bytes(), song.stat().st_ino
    writer = open_elsewhere("r+b")
    with pytest.raises(ChangedMeanwhileError, match="is being written"):
        tags.apply(tags.plan_write(str(song), ["Jazz"]), audio_key=audio_key, expected_key=None)
    assert (song.read_bytes(), song.stat().st_ino) == (before, inode)
    assert [path.name for path in song.parent.iterdir()] == [song.name]
    writer.communicate()
    tags.apply(tags.plan_write(str(song), ["Jazz"]), audio_key=audio_key, expected_key=None)
    assert tags.read(str(song)).genres == ("Jazz",)
