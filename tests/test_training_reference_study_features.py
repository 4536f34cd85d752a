"""The feature table of the reference study."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys

import numpy as np
import pytest

from genrify_tagger.errors import ConfigError, DecodeError
from genrify_tagger.training.datasets import open_dataset
from genrify_tagger.training.feature_table import (
    COLUMNS,
    build_table,
    compare_tables,
    compute_features,
    is_table,
    read_table,
    write_table,
)
from genrify_tagger.training.reference_study_features import (
    FEATURES,
    SAMPLE_RATE,
    SEGMENT_SAMPLES,
    decode_at_rate,
    features_of_clip,
    features_of_segment,
    separate_harmonic,
)
from tests import media
from tests.workbench import need_installed, need_library, tones, write_wav

need_installed("librosa")

# As published with GTZAN on Kaggle.
PUBLISHED_START = "filename,length,chroma_stft_mean,chroma_stft_var,rms_mean,rms_var,spectral_centroid_mean"
PUBLISHED_END = "mfcc20_mean,mfcc20_var,label"


@pytest.fixture(scope="module", autouse=True)
def _librosa():
    need_library("librosa")


def sine(hertz, seconds=3.0, amplitude=0.5):
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def test_columns_are_as_published():
    line = ",".join(COLUMNS)
    assert line.startswith(PUBLISHED_START) and line.endswith(PUBLISHED_END)
    assert (len(FEATURES), len(COLUMNS)) == (57, 60)
    assert COLUMNS.index("tempo") == 18


def test_features_of_a_sine_are_what_they_must_be():
    found, mfcc = features_of_segment(sine(1000.0))
    assert found["rms_mean"] == pytest.approx(0.5 / np.sqrt(2), rel=0.03)
    assert found["spectral_centroid_mean"] == pytest.approx(1000, rel=0.05)
    assert found["zero_crossing_rate_mean"] == pytest.approx(2 * 1000 / SAMPLE_RATE, rel=0.03)
    assert found["rolloff_mean"] == pytest.approx(1000, rel=0.05)
    assert found["harmony_var"] == pytest.approx(0.125, rel=0.05)
    assert found["perceptr_var"] < 0.01
    assert mfcc.shape == (130, 13)


def test_percussion_is_percussive():
    clicks = np.zeros(3 * SAMPLE_RATE, np.float32)
    clicks[:: SAMPLE_RATE // 2] = 1.0
    found, _ = features_of_segment(clicks)
    assert found["perceptr_var"] > 10 * found["harmony_var"]
    assert found["tempo"] == pytest.approx(120, rel=0.03)


def test_the_same_numbers_as_librosa_one_by_one():
    import librosa

    y = decode_at_rate(str(media.JAZZ), SAMPLE_RATE)[:SEGMENT_SAMPLES]
    found, _ = features_of_segment(y)
    expected = {
        "chroma_stft_mean": librosa.feature.chroma_stft(y=y, sr=SAMPLE_RATE).mean(),
        "spectral_bandwidth_mean": librosa.feature.spectral_bandwidth(y=y, sr=SAMPLE_RATE).mean(),
        "harmony_var": librosa.effects.harmonic(y).var(),
        "perceptr_var": librosa.effects.percussive(y).var(),
        "tempo": float(np.squeeze(librosa.beat.beat_track(y=y, sr=SAMPLE_RATE)[0])),
        "mfcc1_mean": librosa.feature.mfcc(y=y, sr=SAMPLE_RATE, n_mfcc=20)[0].mean(),
        "mfcc20_var": librosa.feature.mfcc(y=y, sr=SAMPLE_RATE, n_mfcc=20)[19].var(),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("samples", [SAMPLE_RATE, SEGMENT_SAMPLES])
def test_separation_is_librosas_to_the_bit(samples):
    import librosa

    spectrum = librosa.stft(decode_at_rate(str(media.JAZZ), SAMPLE_RATE)[:samples])
    magnitude, phase = librosa.magphase(spectrum)
    expected = librosa.decompose.hpss(spectrum)
    for ours, theirs in zip(separate_harmonic(magnitude), expected, strict=True):
        assert np.array_equal(ours * phase, theirs)


def test_silence_has_features_too():
    found, _ = features_of_segment(np.zeros(SEGMENT_SAMPLES, np.float32))
    assert np.isfinite(list(found.values())).all()


def test_segments_of_a_clip():
    described = features_of_clip(sine(440.0, 7.0))
    assert described.table.shape == (2, 57) and described.mfcc.shape == (2, 130, 13)
    assert described.lengths.tolist() == [SEGMENT_SAMPLES, SEGMENT_SAMPLES]
    assert features_of_clip(sine(440.0, 7.0), None).lengths.tolist() == [7 * SAMPLE_RATE]


def test_decoding_at_another_rate(tmp_path):
    path = write_wav(tmp_path / "tone.wav", sine(1000.0, 2.0), SAMPLE_RATE)
    y = decode_at_rate(str(path), 8000)
    assert len(y) == pytest.approx(16000, abs=8)
    with pytest.raises(DecodeError):
        decode_at_rate(str(tmp_path / "nothing.wav"), 8000)


def test_a_table_of_a_dataset(tmp_path):
    root = tones(tmp_path / "set", labels=("jazz", "rock"), clips=2, seconds=4.0)
    (root / "jazz/jazz.00054.wav").write_bytes(b"RIFF, but not really")
    clips = open_dataset(str(root)).clips
    described, problems = compute_features(clips, jobs=1, progress=False)
    assert [problem.path.rpartition("/")[2] for problem in problems] == ["jazz.00054.wav"]
    table = build_table(described)
    assert table.files[0] == "jazz.00000.0.wav" and set(table.labels) == {"jazz", "rock"}
    text = io.StringIO()
    write_table(table, text)
    path = tmp_path / "features_3_sec.csv"
    path.write_text(text.getvalue())
    assert next(csv.reader(io.StringIO(text.getvalue()))) == list(COLUMNS)
    assert is_table(str(path)) and not is_table(str(tmp_path))
    again = read_table(str(path))
    assert (again.values == table.values).all() and again.files == table.files


def test_comparing_tables(tmp_path):
    root = tones(tmp_path / "set", labels=("jazz", "rock"), clips=2, seconds=2.0)
    described, _ = compute_features(open_dataset(str(root)).clips, seconds=30, jobs=1, progress=False)
    table = build_table(described, seconds=30)
    assert table.files[0] == "jazz.00000.wav"
    n, columns = compare_tables(table, table)
    assert n == 4 and all(column.median == 0 for column in columns)
    centroid = next(column for column in columns if column.column == "spectral_centroid_mean")
    assert centroid.correlation == pytest.approx(1)
    with pytest.raises(ConfigError, match="fewer than three"):
        compare_tables(table, build_table(described[:1], seconds=30))
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="not a feature table"):
        read_table(str(tmp_path / "other.csv"))


def test_two_processes_that_begin_at_once_both_get_features_and_compile_nothing_later(tmp_path):
    """Slow (a quarter of a minute), since librosa is compiled anew: what two do at once some die of."""
    compiled = tmp_path / "compiled"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(compiled)}
    begin = "from genrify_tagger.training import reference_study_features as s; s.load_librosa()"
    command = [sys.executable, "-c", begin]
    both = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [one.wait(timeout=300) for one in both] == [0, 0]
    before = {path: path.stat().st_mtime_ns for path in compiled.rglob("*.nb?")}
    assert before

    path = write_wav(tmp_path / "song.wav", sine(440.0), SAMPLE_RATE)
    describing = [
        sys.executable,
        "-c",
        f"from genrify_tagger.training import reference_study_features as s; \
s.features_of_file(({str(path)!r}, None)); s.features_of_file(({str(path)!r}, s.SEGMENT_SAMPLES // 2))",
    ]
    subprocess.run(describing, env=environment, check=True, timeout=300)
    assert {path: path.stat().st_mtime_ns for path in compiled.rglob("*.nb?")} == before


def test_a_table_is_begun_when_librosa_is_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(write_wav(tmp_path / "a_file", sine(440.0)) / "below"))
    with pytest.raises(ConfigError, match=r"cannot be written.*NUMBA_CACHE_DIR"):
        compute_features([])
