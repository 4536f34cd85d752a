"""Discovery in real folders: every file once, one problem for each unreadable path, no exception."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import tempfile
import tracemalloc
import unicodedata
from pathlib import Path

import pytest

from genrify_tagger.files import file_stat
from genrify_tagger.library import NOT_TAGGABLE, TAGGABLE, Candidate, PathPatterns, UnreadablePath, discover
from tests.media import ENCODERS, need


def touch(*paths):
    for path in paths:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "ab"):
            pass


def below(root, *names):
    return [os.path.join(root, name) for name in names]


def found(paths, **more):
    """Return the paths of all candidates, in order; there must be no problem."""
    items = list(discover([os.fspath(p) for p in paths], **more))
    assert [i for i in items if isinstance(i, UnreadablePath)] == []
    return [i.path for i in items]


def problems(paths, **more):
    return {i.path: i.error for i in discover([os.fspath(p) for p in paths], **more) if isinstance(i, UnreadablePath)}


# --- what is found, and in which order ---


def test_files_come_first_then_folders_each_sorted(tmp_path):
    names = below(tmp_path, "b.mp3", "c.FLAC", "a/z.ogg", "a/y/1.opus", "d/0.m4a")
    touch(*reversed(names))
    assert found([tmp_path]) == below(tmp_path, "b.mp3", "c.FLAC", "a/z.ogg", "a/y/1.opus", "d/0.m4a")


def test_a_candidate_carries_target_and_fingerprint(tmp_path):
    touch(*below(tmp_path, "a.mp3"))
    (item,) = discover([str(tmp_path)])
    assert item == Candidate(f"{tmp_path}/a.mp3", f"{tmp_path}/a.mp3", file_stat(f"{tmp_path}/a.mp3"), True)


def test_other_and_hidden_files_are_ignored(tmp_path):
    touch(
        *below(
            tmp_path, "a.mp3", "cover.jpg", "notes", ".b.mp3", ".hidden/c.mp3", ".genrify-d.mp3", "mp3", "e.mp3.part"
        )
    )
    os.mkfifo(tmp_path / "pipe")
    assert found([tmp_path]) == below(tmp_path, "a.mp3")


def test_audio_that_cannot_be_tagged_is_flagged(tmp_path):
    touch(*below(tmp_path, "a.mka", "b.MKV", "c.webm", "d.aac", "e.mp3"))
    assert [i.taggable for i in discover([str(tmp_path)])] == [False, False, False, False, True]
    assert not TAGGABLE & NOT_TAGGABLE


def test_every_container_of_the_tests_is_known_as_taggable():
    assert {suffix for suffix, _ in ENCODERS.values()} | {".mpc", ".ape"} <= TAGGABLE


def test_a_named_file_is_always_yielded(tmp_path):
    touch(*below(tmp_path, "a.xyz", ".hidden.mp3", "out.mp3", "v.mkv"))
    named = below(tmp_path, "a.xyz", ".hidden.mp3", "out.mp3")
    assert found(named, exclude=["out.mp3"], include=["nothing"]) == named
    (video,) = discover([f"{tmp_path}/v.mkv"])
    assert not video.taggable


def test_a_hidden_folder_can_be_named(tmp_path):
    touch(*below(tmp_path, ".music/a.mp3"))
    assert found([tmp_path / ".music"]) == below(tmp_path, ".music/a.mp3")


def test_any_name_the_file_system_allows_is_found(tmp_path):
    root = os.fsencode(tmp_path)
    names = [b"new\nline.mp3", b"latin-\xe9.mp3", b"\x1b[2J.mp3", b"-dash.mp3", b" .mp3", "ノ.mp3".encode()]
    for name in names:
        with open(os.path.join(root, name), "wb"):
            pass
    assert {os.fsencode(p) for p in found([tmp_path])} == {os.path.join(root, n) for n in names}


def test_relative_paths_become_absolute_and_dots_are_left_to_the_file_system(tmp_path, monkeypatch):
    touch(*below(tmp_path, "a/1.mp3", "x/y/2.mp3", "x/3.mp3"))
    os.symlink("../x/y", tmp_path / "a/link")
    monkeypatch.chdir(tmp_path / "a")
    assert found(["./1.mp3", ".//"]) == below(tmp_path, "a/1.mp3", "a/link/2.mp3")
    # In the file system the parent of a/link is x, not a.
    assert found(["link/../3.mp3"]) == below(tmp_path, "x/3.mp3")


# --- once ---


def test_overlapping_paths_yield_each_file_once(tmp_path):
    a, b = below(tmp_path, "a/1.mp3", "b/2.mp3")
    touch(a, b)
    assert found([tmp_path, a, tmp_path / "b", tmp_path]) == [a, b]
    assert found([b, tmp_path / "a", b, tmp_path]) == [b, a]


def test_hard_links_are_files_of_their_own(tmp_path):
    a, b = below(tmp_path, "a.mp3", "b.mp3")
    touch(a)
    os.link(a, b)
    assert found([tmp_path]) == [a, b]


def test_a_linked_song_is_yielded_under_its_own_path_if_it_has_one(tmp_path):
    touch(*below(tmp_path, "music/real/1.mp3", "outside/2.mp3"))
    os.mkdir(tmp_path / "music/favourites")
    os.symlink("../real/1.mp3", tmp_path / "music/favourites/one.mp3")
    os.symlink(tmp_path / "outside/2.mp3", tmp_path / "music/favourites/two.mp3")
    os.symlink(tmp_path / "outside/2.mp3", tmp_path / "music/favourites/two again.mp3")
    items = list(discover([str(tmp_path / "music")]))
    assert [(i.path, i.target) for i in items] == [
        (f"{tmp_path}/music/real/1.mp3", f"{tmp_path}/music/real/1.mp3"),
        (f"{tmp_path}/music/favourites/two again.mp3", f"{tmp_path}/outside/2.mp3"),
    ]
    assert items[1].stat == file_stat(f"{tmp_path}/outside/2.mp3")


def test_a_link_to_an_ignored_folder_counts(tmp_path):
    """As in git-annex, whose files are links into a hidden folder."""
    touch(*below(tmp_path, ".git/annex/x.mp3", "blob"))
    os.symlink(".git/annex/x.mp3", tmp_path / "a.mp3")
    os.symlink("blob", tmp_path / "b.mp3")
    assert found([tmp_path]) == below(tmp_path, "a.mp3", "b.mp3")


def test_linked_folders_are_followed_once_and_loops_end(tmp_path):
    touch(*below(tmp_path, "m/a/1.mp3", "out/2.mp3"))
    os.symlink("..", tmp_path / "m/a/up")
    os.symlink("a", tmp_path / "m/also a")
    os.symlink(tmp_path / "out", tmp_path / "m/b")
    os.symlink(tmp_path / "out", tmp_path / "m/c")
    os.symlink(tmp_path / "m", tmp_path / "out/back")
    assert found([tmp_path / "m"]) == below(tmp_path, "m/a/1.mp3", "m/b/2.mp3")


def test_a_named_link_and_its_target_are_one(tmp_path):
    touch(*below(tmp_path, "a.mp3"))
    os.symlink("a.mp3", tmp_path / "l.mp3")
    assert found(below(tmp_path, "l.mp3", "a.mp3")) == below(tmp_path, "l.mp3")
    assert found([tmp_path / "l.mp3", tmp_path]) == below(tmp_path, "l.mp3")


# --- problems ---


def test_a_missing_path_is_one_problem_however_often_it_is_named(tmp_path):
    missing = f"{tmp_path}/no.mp3"
    assert list(discover([missing, missing])) == [UnreadablePath(missing, "no such file or folder")]
    assert problems([""]) == {"": "no such file or folder"}
    assert problems(["/a\0b"]) == {"/a\0b": "not a valid path"}
    touch(*below(tmp_path, "file.mp3"))
    assert problems([f"{tmp_path}/file.mp3/x.mp3"]) == {f"{tmp_path}/file.mp3/x.mp3": "no such file or folder"}


def test_broken_and_looping_links_are_problems_if_they_may_have_been_songs(tmp_path):
    for name in ("song.mp3", "Album Vol. 2", "cover.jpg", ".lock.mp3"):
        os.symlink("nowhere", tmp_path / name)
    os.symlink("loop.mp3", tmp_path / "loop.mp3")
    assert problems([tmp_path, f"{tmp_path}/song.mp3"]) == {
        f"{tmp_path}/song.mp3": "a broken symbolic link",
        f"{tmp_path}/Album Vol. 2": "a broken symbolic link",
        f"{tmp_path}/loop.mp3": "a symbolic link that points to itself",
    }
    assert problems([f"{tmp_path}/cover.jpg"]) == {f"{tmp_path}/cover.jpg": "a broken symbolic link"}
    assert problems([tmp_path], exclude=["*.mp3", "album*"]) == {}


def test_pipes_sockets_and_devices_are_problems_if_named_or_named_like_songs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    os.mkfifo("pipe.mp3")
    os.mkfifo("pipe")
    os.symlink("pipe", "link.mp3")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.flac")
        assert problems(["."]) == dict.fromkeys(below(tmp_path, "pipe.mp3", "s.flac", "link.mp3"), "not a regular file")
        assert problems(["pipe", "/dev/null"]) == dict.fromkeys([f"{tmp_path}/pipe", "/dev/null"], "not a regular file")


def test_our_own_temporary_file_is_never_a_song(tmp_path):
    touch(*below(tmp_path, ".genrify-abc"))
    assert problems([f"{tmp_path}/.genrify-abc"]) == {f"{tmp_path}/.genrify-abc": "a temporary file of Genrify Tagger"}


@contextlib.contextmanager
def unprivileged_folder():
    """Give a folder as somebody for whom permissions count: root becomes nobody for a while."""
    folder = tempfile.mkdtemp()
    root = os.geteuid() == 0
    if root:
        os.chmod(folder, 0o777)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(folder)


def test_an_unreadable_folder_is_one_problem_and_the_walk_goes_on():
    with unprivileged_folder() as root:
        touch(*below(root, "a/1.mp3", "b/2.mp3", "c/3.mp3", "d/4.mp3"))
        os.chmod(f"{root}/b", 0o000)
        os.chmod(f"{root}/c", 0o400)  # may be listed but not entered
        items = list(discover([root]))
        os.chmod(f"{root}/b", 0o700)
        os.chmod(f"{root}/c", 0o700)
    assert [i.path for i in items] == below(root, "a/1.mp3", "b", "c/3.mp3", "d/4.mp3")
    assert [i.error for i in items if isinstance(i, UnreadablePath)] == ["Permission denied"] * 2


def test_what_vanishes_during_the_walk_is_one_problem_each(tmp_path):
    touch(*below(tmp_path, "1.mp3", "2.mp3", "3.mp3", "a/4.mp3", "b/5.mp3"))
    walk = discover([str(tmp_path)])
    assert next(walk).path == f"{tmp_path}/1.mp3"
    os.remove(tmp_path / "2.mp3")
    shutil.rmtree(tmp_path / "a")
    assert [(i.path, type(i)) for i in walk] == [
        (f"{tmp_path}/2.mp3", UnreadablePath),
        (f"{tmp_path}/3.mp3", Candidate),
        (f"{tmp_path}/a", UnreadablePath),
        (f"{tmp_path}/b/5.mp3", Candidate),
    ]


def test_a_path_that_is_too_long_is_a_problem(tmp_path):
    assert problems([f"{tmp_path}/{'x' * 300}.mp3"]) == {f"{tmp_path}/{'x' * 300}.mp3": "File name too long"}
    deepest = os.open(tmp_path, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=deepest)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=deepest)
        os.close(deepest)
        deepest = inner
    os.close(deepest)
    assert list(problems([tmp_path]).values()) == ["File name too long"]


# --- include and exclude ---


def tree(root):
    names = ["a.mp3", "b.flac", "Podcasts/p.mp3", "x/Podcasts/q.mp3", "x/live/r.flac", "x/y/s.mp3"]
    touch(*below(root, *names))
    return names


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ([], ["podcasts/"], ["a.mp3", "b.flac", "x/live/r.flac", "x/y/s.mp3"]),
        ([], ["/Podcasts/"], ["a.mp3", "b.flac", "x/Podcasts/q.mp3", "x/live/r.flac", "x/y/s.mp3"]),
        ([], ["*.mp3/"], ["a.mp3", "b.flac", "Podcasts/p.mp3", "x/Podcasts/q.mp3", "x/live/r.flac", "x/y/s.mp3"]),
        ([], ["x/*.mp3"], ["a.mp3", "b.flac", "Podcasts/p.mp3", "x/Podcasts/q.mp3", "x/live/r.flac", "x/y/s.mp3"]),
        ([], ["x/**/*.mp3"], ["a.mp3", "b.flac", "Podcasts/p.mp3", "x/live/r.flac"]),
        (["*.FLAC"], [], ["b.flac", "x/live/r.flac"]),
        (["x/"], ["podcasts"], ["x/live/r.flac", "x/y/s.mp3"]),
        (["*.flac"], ["x"], ["b.flac"]),
        (["x/y"], [], ["x/y/s.mp3"]),
    ],
)
def test_patterns_choose(tmp_path, include, exclude, expected):
    names = tree(tmp_path)
    assert found([tmp_path], include=include, exclude=exclude) == below(tmp_path, *expected)
    rules = PathPatterns(include, exclude)
    assert {n for n in names if rules.wants(n)} == set(expected)


def test_patterns_are_relative_to_the_root_the_named_folder_lies_in(tmp_path):
    tree(tmp_path)
    rules = {"include": ["x/"], "exclude": ["/x/y"], "roots": [str(tmp_path)]}
    assert found([tmp_path / "x"], **rules) == below(tmp_path, "x/Podcasts/q.mp3", "x/live/r.flac")
    # What is named is looked at, whatever the patterns say of it.
    assert found([tmp_path / "x/y"], **rules) == below(tmp_path, "x/y/s.mp3")
    assert found([tmp_path / "x"], exclude=["/y"]) == below(tmp_path, "x/Podcasts/q.mp3", "x/live/r.flac")


def test_no_link_leads_to_what_is_excluded(tmp_path):
    tree(tmp_path)
    os.symlink("../Podcasts/p.mp3", tmp_path / "x/sneaky.mp3")
    os.symlink("../Podcasts", tmp_path / "x/sneaky")
    assert found([tmp_path], exclude=["Podcasts/"]) == below(tmp_path, "a.mp3", "b.flac", "x/live/r.flac", "x/y/s.mp3")


def test_spelling_of_accents_does_not_matter(tmp_path):
    name = unicodedata.normalize("NFD", "Café")
    touch(f"{tmp_path}/{name}/a.mp3")
    assert found([tmp_path], exclude=[unicodedata.normalize("NFC", "café") + "/"]) == []


def test_hidden_and_other_files_are_not_wanted():
    assert not any(PathPatterns().wants(n) for n in (".a.mp3", ".x/a.mp3", "a.txt", "x/.genrify-1", "mp3"))
    assert PathPatterns().wants("x/a.mp3")


PATTERNS = [
    *("*.mp3", "a", "a/", "/a", "a/b", "/a/b/", "**/b", "a/**", "a/**/b", "**", "*", "?", "[ab]", "[!ab]*", "[^a]"),
    *(
        "*/a",
        "a*b",
        "**/a/**",
        "a/**/*.mp3",
        "[a-c].mp3",
        r"\*",
        r"a\?b",
        "[[]x]",
        "x]",
        "a**b",
        "[]a]",
        "b/*",
        "/**/c",
    ),
    *("*.MP3", "A/", "[]-a]", "a\\[b", "**/", "*/", "/*", "c/**/", "a/*/b", "new\nline"),
]


def test_patterns_mean_what_they_mean_to_git(tmp_path):
    """Every pattern against a tree of small names, compared with `git check-ignore`."""
    git = need("git")
    chance = random.Random(7)
    names = ["a", "b", "c", "a.mp3", "b.mp3", "ab", "axb", "*", "a?b", "[x]", "x]", "]", "A.MP3", "a[b", "new\nline"]
    paths = sorted({"/".join(chance.choices(names, k=chance.randint(1, 4))) for _ in range(300)})
    files = [p for p in paths if not any(other.startswith(p + "/") for other in paths)]
    touch(*below(tmp_path, *files))
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def run(*args, **more):
        return subprocess.run([git, *args], cwd=tmp_path, env=environ, capture_output=True, check=False, **more)

    run("init", "-q")
    for pattern in PATTERNS:
        if "\n" in pattern:
            continue  # .gitignore has no way to say it
        Path(tmp_path, ".git/info/exclude").write_text(pattern + "\n", encoding="utf-8")
        told = run(
            *("-c", "core.ignorecase=true", "check-ignore", "--no-index", "-z", "--stdin"),
            input="\0".join(files).encode(),
        )
        assert told.returncode in (0, 1), told.stderr
        ignored = {p for p in told.stdout.decode().split("\0") if p}
        rules = PathPatterns(exclude=[pattern])
        assert {p for p in files if rules.excludes_any(p)} == ignored, pattern
    assert {p for p in files if PathPatterns(exclude=["new\nline"]).excludes_any(p)} == {
        p for p in files if "new\nline" in p
    }


def test_odd_patterns():
    assert PathPatterns(exclude=["[abc"]).excludes("[abc", folder=False)
    assert not PathPatterns(exclude=["[z-a]"]).excludes("b", folder=False)
    assert PathPatterns(exclude=["!!!"]).excludes("!!!", folder=True)
    assert not PathPatterns(exclude=["a[/]b"]).excludes("a/b", folder=False)


# --- size ---


def test_memory_does_not_grow_with_the_library(tmp_path):
    for folder in range(60):
        touch(*below(tmp_path, *(f"{folder}/{n}.mp3" for n in range(50))))
    tracemalloc.start()
    try:
        assert sum(1 for _ in discover([str(tmp_path)])) == 3_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 3,000 candidates at once would take more than 1.5 MB.
    assert peak < 300_000
