"""Datasets in their layouts, splits, and the cache of decoded music."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from genrify_tagger.errors import ConfigError
from genrify_tagger.training import splits
from genrify_tagger.training.datasets import Clip, Columns, open_dataset, read_list, without_suffix
from genrify_tagger.training.decoded_cache import cut_segments, decode_clips
from genrify_tagger.training.genre_labels import acceptable_genres, genres_of_label
from genrify_tagger.training.target_classes import choose_classes, open_class_table
from tests import media
from tests.workbench import SAMPLE_RATE, sound, tones, write_wav


def clip(name, *labels, group=None):
    return Clip(f"/music/{name}.opus", name, labels, group or name)


def test_a_folder_per_genre(tmp_path):
    tones(tmp_path / "gtzan", clips=2)
    (tmp_path / "gtzan/metal/.hidden.wav").touch()
    (tmp_path / "gtzan/metal/notes.txt").touch()
    dataset = open_dataset(str(tmp_path / "gtzan"))
    assert [clip.name for clip in dataset.clips[:3]] == [
        "classical/classical.00000",
        "classical/classical.00001",
        "metal/metal.00000",
    ]
    assert {clip.labels for clip in dataset.clips} == {("classical",), ("metal",), ("reggae",)}
    assert len(dataset.only(["metal/metal.00001.au", "metal/metal.00077.wav"]).clips) == 1


def test_a_table_of_files_and_labels(tmp_path):
    for name in ("a", "b", "c"):
        write_wav(tmp_path / f"sound/{name}.wav", sound("metal", 1, 0.6))
    rows = [
        "file,artist,genres",
        "sound/a.wav,The Who?,Pop/Rock;R&B",
        "sound/b.wav,the who,Rap",
        "sound/c.wav,,",
        "sound/d.wav,,Rap",
    ]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    dataset = open_dataset(str(tmp_path))
    assert [clip.labels for clip in dataset.clips] == [("pop/rock", "rnb"), ("rap",)]
    assert [clip.group for clip in dataset.clips] == ["thewho", "thewho"]
    assert {problem.reason for problem in dataset.problems} == {"no label", "no such file"}


def test_columns_of_a_table_by_name(tmp_path):
    write_wav(tmp_path / "a.wav", sound("metal", 1, 0.6))
    (tmp_path / "x.csv").write_text("Datei,Genre,Album\na.wav,Jazz,One\n")
    columns = Columns(file="Datei", label="Genre", group="Album")
    (found,) = open_dataset(str(tmp_path / "x.csv"), columns=columns).clips
    assert (found.labels, found.group) == (("jazz",), "one")
    with pytest.raises(ConfigError, match="no column"):
        open_dataset(str(tmp_path / "x.csv"))


def test_rows_that_stop_early(tmp_path):
    write_wav(tmp_path / "a.wav", sound("metal", 1, 0.6))
    (tmp_path / "labels.csv").write_text("file,artist,genre\n,,\na.wav\na.wav,Ana,Jazz\n")
    dataset = open_dataset(str(tmp_path))
    assert [(clip.labels, clip.group) for clip in dataset.clips] == [(("jazz",), "ana")]
    assert [problem.reason for problem in dataset.problems] == ["no label"]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"\xff\xfefile,genre", "not CSV in UTF-8"), (b"", "its columns: none")]
)
def test_an_invalid_table(tmp_path, content, reason):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=reason):
        open_dataset(str(tmp_path / "x.csv"))
    with pytest.raises(ConfigError, match="cannot read the table"):
        open_dataset(f"csv:{tmp_path}")


def fma(root, tracks):
    """Write tracks.csv as published: two header rows, one that names the index, and a cell with a line break."""
    columns = [("", ""), ("artist", "name"), ("artist", "bio"), ("set", "split"), ("set", "subset")]
    columns.append(("track", "genre_top"))
    root.mkdir(parents=True, exist_ok=True)
    with (root / "tracks.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([group for group, _ in columns])
        writer.writerow([name for _, name in columns])
        writer.writerow(["track_id", *[""] * (len(columns) - 1)])
        writer.writerow(["7", "cut short"])
        for number, artist, subset, genre in tracks:
            writer.writerow([number, artist, "Born,\nraised", "training", subset, genre])


@pytest.mark.parametrize("below", ["", "fma_metadata"])
def test_the_fma_layout(tmp_path, below):
    tracks = [
        (2, "AWOL", "small", "Hip-Hop"),
        (5, "AWOL", "small", ""),
        (1003, "Kurt", "medium", "International"),
        (140, "Nico", "large", "Rock"),
    ]
    fma(tmp_path / below, tracks)
    media.make("mp3-v2.3", tmp_path / "fma_large/000", "000002")
    media.make("mp3-v2.3", tmp_path / "001", "001003")
    small = open_dataset(str(tmp_path), subset="small")
    assert [(clip.name, clip.labels, clip.group) for clip in small.clips] == [("000/000002", ("hiphop",), "awol")]
    medium = open_dataset(str(tmp_path), subset="medium")
    assert [clip.labels for clip in medium.clips] == [("hiphop",), ("international",)]
    everything = open_dataset(f"fma:{tmp_path}")
    assert [problem.reason for problem in everything.problems] == ["no such file"]
    assert everything.problems[0].path.endswith("000/000140.mp3")


def test_an_fma_table_of_another_kind(tmp_path):
    (tmp_path / "tracks.csv").write_text("a,b\nc,d\n")
    with pytest.raises(ConfigError, match="no column set/subset"):
        open_dataset(str(tmp_path))


def test_a_tagged_library(tmp_path):
    media.make("mp3-v2.4", tmp_path / "Miles/Kind", "song", genre="Jazz")
    media.make("flac", tmp_path / "Miles/Live", "other", genre="Jazz")
    media.make("opus", tmp_path / "Nobody", "third", genre="Polka")
    media.make("flac", tmp_path / "Nobody", "untagged")
    (tmp_path / "Nobody/broken.mp3").write_bytes(b"no audio")
    dataset = open_dataset(f"library:{tmp_path}")
    assert [(clip.name, clip.labels, clip.group) for clip in dataset.clips] == [
        ("Miles/Kind/song", ("jazz",), "Miles"),
        ("Miles/Live/other", ("jazz",), "Miles"),
    ]
    reasons = {problem.path.rpartition("/")[2]: problem.reason for problem in dataset.problems}
    assert reasons["third.opus"] == "none of the ten genres: polka"
    assert reasons["untagged.flac"] == "has no genre" and len(reasons) == 3
    everything = open_dataset(f"library:{tmp_path}", any_label=True)
    assert [clip.labels for clip in everything.clips] == [("jazz",), ("jazz",), ("polka",)]


def test_nothing_there(tmp_path):
    with pytest.raises(ConfigError, match="no such dataset"):
        open_dataset(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="no labelled audio"):
        open_dataset(str(tmp_path))
    with pytest.raises(ConfigError, match="cannot read the list"):
        read_list(str(tmp_path / "nowhere"))
    (tmp_path / "list.txt").write_bytes(b"\x80\xff")
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        read_list(str(tmp_path / "list.txt"))


@pytest.mark.parametrize(
    ("label", "genres"),
    [("Pop/Rock", {"pop", "rock", "metal"}), ("Rap", {"hiphop"}), ("Hip-Hop", {"hiphop"}), ("Latin", set())],
)
def test_genres_of_labels(label, genres):
    assert genres_of_label(label) == genres


def test_several_labels():
    assert acceptable_genres(["pop/rock", "blues", "latin"]) == {"pop", "rock", "metal", "blues"}
    assert without_suffix("blues/blues.00001.wav") == "blues/blues.00001"
    assert without_suffix("blues/blues.00001") == "blues/blues.00001"


def test_open_classes_of_clips():
    clips = [clip("a", "pop/rock"), clip("b", "latin"), clip("c", "latin", "jazz"), clip("d", "jazz", "blues")]
    target = choose_classes("gtzan", clips)
    chosen, table = open_class_table(target, clips)
    assert (target.outside, chosen, table.shape) == (True, [0, 1, 3], (3, 11))
    assert [target.labels[column] for column in np.flatnonzero(table[0])] == ["metal", "pop", "rock"]
    assert np.flatnonzero(table[1]).tolist() == [10]
    assert [target.labels[column] for column in np.flatnonzero(table[2])] == ["jazz"]
    own = choose_classes("own", clips)
    assert own.labels == ("jazz", "latin", "pop/rock")
    with pytest.raises(ConfigError, match="only one label"):
        choose_classes("own", clips[1:3])


LABELS = ["jazz"] * 40 + ["rock"] * 40
TRACKS = [f"track{number // 4}" for number in range(80)]
GROUPS = [f"artist{number // 8}" for number in range(80)]


def mixed_up(protocol, groups):
    """Return what is on both sides of any fold."""
    names = np.array(groups)
    return set().union(*(set(names[train]) & set(names[test]) for train, test in protocol.folds))


def test_a_split_by_segment_is_called_leaky_and_is():
    protocol = splits.by_segment(LABELS)
    assert protocol.leaky and "leaky" in protocol.name
    assert mixed_up(protocol, TRACKS)


def test_honest_splits_keep_together_what_belongs_together():
    by_track = splits.by_track(LABELS, TRACKS)
    assert not by_track.leaky and not mixed_up(by_track, TRACKS) and mixed_up(by_track, GROUPS)
    by_group = splits.by_group(LABELS, GROUPS)
    assert not mixed_up(by_group, GROUPS)
    tested = np.concatenate([test for _, test in by_group.folds])
    assert sorted(tested) == list(range(80))
    again = splits.by_group(LABELS, GROUPS)
    assert all((one[1] == other[1]).all() for one, other in zip(by_group.folds, again.folds, strict=True))


def test_splits_by_lists():
    ((train, test),) = splits.by_lists(TRACKS, ["track0", "track1"], ["track2"]).folds
    assert (train.tolist(), test.tolist()) == (list(range(8)), [8, 9, 10, 11])
    with pytest.raises(ConfigError, match="both lists"):
        splits.by_lists(TRACKS, ["track0"], ["track0"])
    with pytest.raises(ConfigError, match="names no clip"):
        splits.by_lists(TRACKS, ["track0"], ["elsewhere"])


def test_decoding_once_and_reporting_what_is_broken(tmp_path):
    root = tones(tmp_path / "set", labels=("jazz", "rock"), clips=1)
    (root / "jazz/jazz.00054.wav").write_bytes(b"RIFF, but not really")
    write_wav(root / "rock/short.wav", np.zeros(400))
    clips = open_dataset(str(root)).clips
    entries, problems = decode_clips(clips, tmp_path / "cache", jobs=1, progress=False)
    assert [entry.clip.name for entry in entries] == ["jazz/jazz.00000", "rock/rock.00000"]
    assert {problem.path.rpartition("/")[2] for problem in problems} == {"jazz.00054.wav", "short.wav"}
    y = np.asarray(entries[0].load(), np.float32)
    assert np.abs(y - sound("jazz", 0)).max() < 2e-3
    stamps = {entry.samples: entry.samples.stat().st_mtime_ns for entry in entries}
    again, _ = decode_clips([entry.clip for entry in entries], tmp_path / "cache", jobs=1, progress=False)
    assert {entry.samples: entry.samples.stat().st_mtime_ns for entry in again} == stamps
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_a_changed_file_is_decoded_anew(tmp_path):
    root = tones(tmp_path / "set", labels=("jazz", "rock"), clips=1)
    clips = open_dataset(str(root)).clips[:1]
    ((before,), _) = decode_clips(clips, tmp_path / "cache", jobs=1, progress=False)
    write_wav(root / "jazz/jazz.00000.wav", sound("metal", 3, 5.0))
    ((after,), _) = decode_clips(clips, tmp_path / "cache", jobs=1, progress=False)
    assert after.load().shape == (5 * SAMPLE_RATE,) != before.load().shape


def test_cutting_a_clip_up():
    assert cut_segments(np.zeros(48000 * 2 + 100, np.float16)).shape == (2, 48000)
    assert cut_segments(np.zeros(48000 * 2, np.float16), hop=24000).shape == (3, 48000)
    short = cut_segments(np.ones(100, np.float16))
    assert short.shape == (1, 48000) and short.sum() == 100


def test_rounding_in_the_cache_is_negligible(tmp_path):
    """Float16 samples give the same log-mel as the file itself, to well below a decibel."""
    from genrify_tagger.audio import decode_all
    from genrify_tagger.spectrogram import log_mel

    one = Clip(str(media.JAZZ), "jazz", ("jazz",), "jazz")
    ((entry,), _) = decode_clips([one], tmp_path, jobs=1, progress=False)
    y = decode_all(str(media.JAZZ))
    exact = log_mel(y[: len(y) // 48000 * 48000].reshape(-1, 48000))
    assert np.abs(log_mel(cut_segments(entry.load())) - exact).max() < 0.01
