"""The labels of clips, read from a small folder laid out like the real one."""

from __future__ import annotations

import numpy as np
import pytest

from clips import CLASSES, class_table, read_clips
from genrify_tagger.training.genre_labels import GENRES, POP_ROCK

ALLMUSIC = """file,artist,title,genres
audio/one.opus,The Beat,A,Pop/Rock
audio/two.opus,The  beat!,B,Rap
audio/three.opus,Someone,C,Jazz;Pop/Rock
audio/four.opus,Other,D,Electronic;Jazz
audio/five.opus,Other,E,Electronic;Latin
audio/six.opus,,F,Classical
"""
MORE = """file,source,artist,title,genre,source_sample_rate,reliability
a/low.opus,a,X,T,blues,8000,high
a/disco.opus,a,THE BEAT,T,disco,44100,medium
a/folk.opus,a,,T,folk,44100,high
"""


@pytest.fixture
def clips(tmp_path):
    data = tmp_path / "data"
    for folder, names in (
        ("gtzan/jazz", ("jazz.00001", "jazz.00002", "jazz.00003")),
        ("gtzan_slivers/metal", ("metal.00007",)),
    ):
        (data / folder).mkdir(parents=True)
        for name in names:
            (data / folder / f"{name}.opus").touch()
    (data / "splits").mkdir()
    (data / "splits/train_filtered.txt").write_text("jazz/jazz.00001.wav\nmetal/metal.00007.wav\n")
    (data / "splits/valid_filtered.txt").write_text("jazz/jazz.00002.wav\n")
    for folder, text in (("allmusic", ALLMUSIC), ("more", MORE)):
        (data / folder).mkdir()
        (data / folder / "labels.csv").write_text(text)
    return {clip.path: clip for clip in read_clips(tmp_path)}


def test_non_musical_sounds_are_outside_and_held_out_by_kind(clips):
    made = [clip for path, clip in clips.items() if path.startswith("synthetic/")]
    assert {clip.allowed for clip in made} == {frozenset({"outside"})}
    assert {clip.answers for clip in made} == {frozenset()}
    assert {clip.artist for clip in made} == {
        f"synthetic {kind}" for kind in ("noise", "band", "tones", "hum", "clicks")
    }
    voices = [clip for path, clip in clips.items() if path.startswith("speech/")]
    assert {clip.allowed for clip in voices} == {frozenset({"outside"})}
    assert {clip.artist for clip in voices} == {f"speech {voice}" for voice in ("awb", "kal16", "rms", "slt")}


def test_clips_on_neither_list_are_left_out(clips):
    gtzan = {path: clip.part for path, clip in clips.items() if "gtzan" in path}
    assert gtzan == {
        "gtzan/jazz/jazz.00001.opus": "gtzan_train",
        "gtzan/jazz/jazz.00002.opus": "gtzan_valid",
        "gtzan_slivers/metal/metal.00007.opus": "slivers_train",
    }
    assert clips["gtzan_slivers/metal/metal.00007.opus"].weight == 0.1


def test_clips_without_treble_are_left_out(clips):
    assert "more/a/low.opus" not in clips
    assert clips["more/a/disco.opus"].weight == 0.5


def test_pop_rock_leaves_three_genres_open(clips):
    clip = clips["allmusic/audio/one.opus"]
    assert clip.allowed == clip.answers == POP_ROCK
    assert clip.single


def test_of_several_genres_the_first_teaches_and_any_is_right(clips):
    clip = clips["allmusic/audio/three.opus"]
    assert clip.allowed == {"jazz"}
    assert clip.answers == {"jazz", *POP_ROCK}
    assert (clip.weight, clip.single) == (0.5, False)
    assert clip.names == ("Jazz", "Pop/Rock")


def test_outside_is_taught_only_by_what_is_wholly_outside(clips):
    assert clips["allmusic/audio/five.opus"].allowed == {"outside"}
    assert clips["allmusic/audio/five.opus"].answers == frozenset()
    assert clips["allmusic/audio/four.opus"].allowed == frozenset()
    assert clips["allmusic/audio/four.opus"].answers == {"jazz"}
    assert clips["more/a/folk.opus"].allowed == {"outside"}


def test_an_artist_is_one_however_written_and_the_unknown_are_many(clips):
    same = {clips[path].artist for path in ("allmusic/audio/one.opus", "allmusic/audio/two.opus", "more/a/disco.opus")}
    assert same == {"thebeat"}
    assert clips["allmusic/audio/six.opus"].artist != clips["more/a/folk.opus"].artist


def test_targets_are_ones_where_the_label_is_open(clips):
    rows = class_table([clips["allmusic/audio/one.opus"], clips["allmusic/audio/four.opus"]])
    assert rows.shape == (2, 11)
    assert {CLASSES[column] for column in np.flatnonzero(rows[0])} == POP_ROCK
    assert not rows[1].any()
    assert len(GENRES) == 10
