"""The plugin beside lastgenre, whose network answers are stubbed at the socket and nowhere else."""

import shutil

import pytest

from tests import lastfm, media
from tests.beets_library import EXPECTED, in_files, with_matches

pytest.importorskip("pylast") if not media.in_ci() else __import__("pylast")


@pytest.fixture
def two_albums(incoming):
    """An album that Last.fm knows and one that it does not."""
    from mediafile import MediaFile

    other = shutil.copytree(incoming, incoming.parent / "Unknown")
    for path in other.iterdir():
        file = MediaFile(path)
        file.update({"album": "Unknown", "title": f"{file.title} again", "artist": "Nobody", "albumartist": "Nobody"})
        file.save()
    return incoming.parent


@pytest.mark.parametrize("order", [["lastgenre", "genrify"], ["genrify", "lastgenre"]])
def test_it_fills_in_what_lastgenre_leaves_empty_whatever_the_order(tmp_path, two_albums, order):
    beets = with_matches(tmp_path / "home", plugins=order)
    with lastfm.answering(tmp_path, {"An album": "hip hop"}) as (environment, calls):
        done = beets("import", two_albums, **environment)
    assert "album.gettoptags" in {call.lower() for call in calls}
    assert "genrify" not in done.stderr
    expected = {**dict.fromkeys(EXPECTED, "Hip Hop"), **{f"{title} again": genre for title, genre in EXPECTED.items()}}
    assert beets.genres() == in_files(beets) == expected
    assert beets.album_genres()["An album"] == "Hip Hop"
    assert beets.album_genres()["Unknown"] in {"Classical", "Jazz"}
    assert beets("update").stdout == "" and beets("write", "-p").stdout == ""


def test_force_replaces_what_lastgenre_gave(tmp_path, incoming):
    beets = with_matches(tmp_path / "home", plugins=["lastgenre", "genrify"], settings={"min_confidence": 0.05})
    beets.configure(force=True)
    with lastfm.answering(tmp_path, {"An album": "hip hop"}) as (environment, _):
        beets("import", incoming, **environment)
    assert in_files(beets) == EXPECTED


def test_names_go_through_lastgenres_tree_and_whitelist(tmp_path, incoming):
    tree = tmp_path / "tree.yaml"
    tree.write_text("- serious music:\n    - classical\n- improvised:\n    - jazz\n")
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("improvised\n")
    more = {"lastgenre": {"canonical": str(tree), "whitelist": str(wanted), "auto": False}}
    beets = with_matches(tmp_path / "home", plugins=["lastgenre", "genrify"], more=more)
    beets.configure(canonical=True, whitelist=True)
    beets("import", incoming)
    jazz = {"Jazz 1": "Improvised", "Jazz 2": "Improvised"}
    assert in_files(beets) == {**dict.fromkeys(EXPECTED, ""), **jazz}
    assert beets.items("title:Dance 1")[0]["genrify_status"] == "unsure"
    beets.configure(whitelist=False)
    assert "2 tagged" in beets("genrify", "title:Dance").stderr
    assert in_files(beets)["Dance 1"] == "Serious Music"
