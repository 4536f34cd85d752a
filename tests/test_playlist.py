"""Playlists by genre and similarity, as MPD loads them; smart playlists of Navidrome."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import mediafile
import pytest

from genrify_tagger.playlist_files import PlaylistSong, m3u_text
from tests import media
from tests.program import Program
from tests.test_notify import running_mpd

SONGS = {
    "Abba/Björk & co": ("flac", media.JAZZ, "Jazz", "Ella"),
    "Abba/swing": ("mp3-v2.3", media.JAZZ, "Swing", "Ella"),
    "Abba/lower": ("opus", media.JAZZ, "jazz", "Louis"),
    "Brahms/dance": ("m4a-aac", media.CLASSICAL, "Classical", "Brahms"),
    "#1 hits/rap": ("flac", media.CLASSICAL, "Rap", ""),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The library, scanned: every song has a genre of its own, and none is changed."""
    program, music = Program(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("music")
    for name, (kind, source, genre, artist) in SONGS.items():
        path = media.make(kind, (music / name).parent, Path(name).name, source=source, genre=genre)
        tags = mediafile.MediaFile(path)
        tags.update({"artist": artist, "title": Path(name).name.title()})
        tags.save()
    shutil.copy(music / "Abba/Björk & co.flac", music / "Brahms/copy of Björk.flac")
    program.scan(music)
    return program, music


def playlist(made, *options, status=0):
    program, _ = made
    return program("playlist", *options, status=status)


def listed(made, *options):
    return [Path(line).name for line in playlist(made, *options).stdout.splitlines() if not line.startswith("#")]


def test_a_genre_includes_narrower_ones_and_other_spellings_and_each_song_once(made):
    assert listed(made, "--genre", "JAZZ") == ["Björk & co.flac", "lower.opus", "swing.mp3"]
    assert listed(made, "--genre", "swing") == ["swing.mp3"]
    assert listed(made, "--genre", "hip hop", "-g", "Classical") == ["rap.flac", "dance.m4a"]


def test_paths_are_relative_below_the_playlist_and_names_are_in_utf_8(made, tmp_path):
    _, music = made
    target = music / "jazz.m3u8"
    done = playlist(made, "--genre", "Jazz", "--out", target)
    assert done.stderr == f"Wrote 3 songs to {target}.\n"
    assert target.read_text("utf-8") == (
        "#EXTM3U\n#EXTINF:15,Ella - Björk & Co\nAbba/Björk & co.flac\n"
        "#EXTINF:15,Louis - Lower\nAbba/lower.opus\n#EXTINF:15,Ella - Swing\nAbba/swing.mp3\n"
    )
    assert os.stat(target).st_mode & 0o044 == 0o044
    elsewhere = tmp_path / "jazz.m3u8"
    playlist(made, "--genre", "Jazz", "--out", elsewhere)
    assert f"\n{music}/Abba/swing.mp3\n" in elsewhere.read_text("utf-8")
    playlist(made, "--genre", "Jazz", "--out", elsewhere, "--relative")
    assert f"\n{os.path.relpath(music, tmp_path)}/Abba/swing.mp3\n" in elsewhere.read_text("utf-8")
    playlist(made, "--genre", "Jazz", "--out", target, "--absolute")
    assert f"\n{music}/Abba/swing.mp3\n" in target.read_text("utf-8")
    # A relative path that begins with "#" would be a comment.
    playlist(made, "--genre", "Hip-Hop", "--out", target)
    assert target.read_text("utf-8") == f"#EXTM3U\n#EXTINF:12,Rap\n{music}/#1 hits/rap.flac\n"
    assert not [name for name in os.listdir(music) if name.startswith(".")]


def test_a_real_mpd_loads_it(made, tmp_path):
    _, music = made
    playlist(made, "--genre", "Jazz", "--out", music / "relative.m3u8")
    playlist(made, "--genre", "Jazz", "--out", music / "absolute.m3u8", "--absolute")
    saved = tmp_path / "playlists"
    saved.mkdir()
    playlist(made, "--genre", "Jazz", "--out", saved / "saved.m3u")
    with running_mpd(music, tmp_path, f'playlist_directory "{saved}"\n') as (_, at_socket, _genre_of):
        for name in ("relative.m3u8", "absolute.m3u8", "saved"):
            mpc = [media.need("mpc"), "--host", at_socket]
            subprocess.run([*mpc, "clear"], check=True, capture_output=True)
            subprocess.run([*mpc, "load", name], check=True, capture_output=True)
            queue = subprocess.run([*mpc, "playlist", "-f", "%file%"], check=True, capture_output=True, text=True)
            assert queue.stdout.splitlines() == ["Abba/Björk & co.flac", "Abba/lower.opus", "Abba/swing.mp3"], name


def test_similar_songs_of_one_and_of_several(made):
    _, music = made
    swing, dance = music / "Abba/swing.mp3", music / "Brahms/dance.m4a"
    assert listed(made, "--similar", swing, "--limit", "2", "--per-artist", "1") == ["lower.opus", "Björk & co.flac"]
    assert listed(made, "--similar", dance, "--limit", "1") == ["rap.flac"]
    both = listed(made, "--similar", swing, "--similar", dance)
    assert sorted(both) == ["Björk & co.flac", "lower.opus", "rap.flac"]
    assert listed(made, "--similar", dance, "--genre", "Jazz") == listed(made, "-s", dance, "-g", "Jazz", "-n", "9")
    assert set(listed(made, "--similar", dance, "--genre", "Jazz")) == {"Björk & co.flac", "lower.opus", "swing.mp3"}


def test_limits_and_random_order(made):
    jazz = listed(made, "--genre", "Jazz")
    assert listed(made, "--genre", "Jazz", "--limit", "2") == jazz[:2]
    assert listed(made, "--genre", "Jazz", "--per-artist", "1") == ["Björk & co.flac", "lower.opus"]
    orders = [listed(made, "--genre", "Jazz", "--shuffle", "--seed", str(seed)) for seed in range(6)]
    assert len(set(map(tuple, orders))) > 1
    # Either file of a song may be the one.
    same = [[name.replace("copy of Björk", "Björk & co") for name in order] for order in orders]
    assert all(sorted(names) == jazz for names in same)
    first = ("--genre", "Jazz", "--shuffle", "--seed", "3")
    assert listed(made, *first) == listed(made, *first)


def test_songs_that_are_gone_or_unsure_are_left_out(program, tmp_path):
    music = tmp_path / "music"
    for name in ("one", "two"):
        media.make("flac", music, name, source=media.JAZZ)
    program.scan(music, "--min-confidence", "0.05")
    (genre,) = mediafile.MediaFile(music / "one.flac").genres
    only = (program, music)
    # Both files hold one song, so each stands in for the other.
    assert listed(only, "--genre", genre) == ["one.flac"]
    (music / "one.flac").unlink()
    assert listed(only, "--genre", genre) == ["two.flac"]
    assert "no song fits" in playlist(only, "--genre", genre, "--min-confidence", "1", status=1).stderr
    (music / "two.flac").unlink()
    assert "no song fits" in playlist(only, "--genre", genre, status=1).stderr


def test_a_smart_playlist_names_the_genre_and_the_narrower_ones(made, tmp_path):
    target = tmp_path / "jazz.nsp"
    done = playlist(made, "--genre", "jazz", "--out", target, "--limit", "100", "--shuffle")
    assert done.stderr == f"Wrote a smart playlist to {target}.\n"
    found = json.loads(target.read_text("utf-8"))
    (rule,) = found.pop("all")
    assert found == {"sort": "random", "limit": 100}
    names = [one["is"]["genre"] for one in rule["any"]]
    assert names[0] == "Jazz"
    assert {"jazz", "Swing", "Vocal Jazz"} < set(names)
    playlist(made, "--genre", "Opera", "--out", target)  # no song has it yet
    assert json.loads(target.read_text("utf-8")) == {
        "all": [{"is": {"genre": "Opera"}}],
        "sort": "artist",
        "order": "asc",
    }
    playlist(made, "--genre", "rap", "--out", target)  # no song has it yet, and it is another word for a genre
    names = [one["is"]["genre"] for one in json.loads(target.read_text("utf-8"))["all"][0]["any"]]
    assert names[0] == "Hip-Hop" and {"Rap", "Trap"} <= set(names)


def test_only_playlists_are_overwritten(made, tmp_path):
    target = tmp_path / "notes.m3u8"
    target.write_text("my notes\n")
    assert "notes.m3u8: is not a playlist" in playlist(made, "-g", "Jazz", "-o", target, status=1).stderr
    assert target.read_text() == "my notes\n"
    playlist(made, "-g", "Jazz", "-o", target, "--force")
    assert target.read_text("utf-8").startswith("#EXTM3U\n")
    smart = tmp_path / "list.nsp"
    smart.write_text('{"name": "x"}')
    assert "is not a playlist" in playlist(made, "-g", "Jazz", "-o", smart, status=1).stderr
    linked = tmp_path / "link.m3u8"
    linked.symlink_to(target)
    playlist(made, "-g", "Classical", "-o", linked)
    assert linked.is_symlink()
    assert "Brahms" in target.read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ((), 2, "give a --genre or a song to which others are --similar"),
        (("-g", "Jaz"), 1, 'no song in the library has the genre "Jaz"; did you mean "Jazz"?'),
        (("-g", "Jazz", "-o", "song.mp3"), 2, "must end in .m3u8, .m3u or .nsp"),
        (("-s", "none.mp3"), 1, "none.mp3: No such file"),
        (("-g", "Jazz", "-o", "x.nsp", "--per-artist", "2"), 2, "a smart playlist of Navidrome knows no --per-artist"),
        (("-g", "Xyzzy", "-o", "x.nsp"), 1, "'genrify-tag genres' lists"),
        (("-g", "Jazz", "-o", "/none/x.m3u8"), 1, "the playlist cannot be written: No such file or directory"),
    ],
)
def test_errors_are_one_line(made, options, status, message):
    done = playlist(made, *options, status=status)
    assert message in done.stderr
    assert done.stdout == ""


def test_names_that_a_playlist_cannot_hold_are_left_out():
    songs = [
        PlaylistSong("/m/a\nb.mp3"),
        PlaylistSong("/m/\udcff.mp3"),
        PlaylistSong("/m/ok.mp3", 3.6, "", "Two\nlines"),
    ]
    text, left_out = m3u_text(songs, "/m")
    assert text == "#EXTM3U\n#EXTINF:4,Two\\nlines\nok.mp3\n"
    assert left_out == ["/m/a\nb.mp3", "/m/\udcff.mp3"]
