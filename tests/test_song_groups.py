"""Which songs belong to one artist or album."""

import pytest

from genrify_tagger.song_groups import album_key, artist_key


@pytest.mark.parametrize(
    ("tags", "key"),
    [
        ({"artist": "The Beatles"}, "beatles"),
        ({"artist": "BEATLES, The feat. Someone"}, "beatlesthe"),
        ({"artist": "Sigur Rós feat. X", "album_artist": "sigur ros"}, "sigurros"),
        ({"artist": "Bob", "album_artist": "Various Artists"}, "bob"),
        ({"artist": "Bob", "album_artist": "Anna", "compilation": "1"}, "bob"),
        ({"artist": "Various Artists"}, ""),
        ({"artist_id": "AB-1"}, "id:ab-1"),
        ({}, ""),
        ({"artist": "宇多田ヒカル"}, "宇多田ヒカル"),
    ],
)
def test_artists(tags, key):
    assert artist_key(tags) == key


@pytest.mark.parametrize(
    ("tags", "key"),
    [
        ({"artist": "Anna", "album": "One!"}, "anna/one"),
        ({"artist": "Anna", "album": "One", "album_id": "X"}, "id:x"),
        ({"album": "One"}, "/m/a/one"),
        ({"artist": "Anna", "album": "Hits", "album_artist": "Various"}, ""),
        ({"artist": "Anna", "album": "Drive (Original Soundtrack)"}, ""),
        ({"artist": "Anna"}, ""),
        ({}, "folder:/m/a"),
    ],
)
def test_albums(tags, key):
    assert album_key(tags, "/m/a/1.mp3") == key
