"""Segments decoded by seeking equal slices of the full decode, in every container, for sound and damaged files."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import mutagen
import mutagen.id3
import numpy as np
import pytest
import scipy.signal
from av.audio.frame import AudioFrame

from genrify_tagger.audio import SAMPLE_RATE, SEGMENT_SAMPLES, Segments, decode_all, load_segments, probe
from genrify_tagger.audio.resample import Mixer, SharedConverters
from genrify_tagger.errors import DecodeError
from tests import media
from tests.test_audio_identity import grow, png

EXACT = ("mp3-v2.3", "mp3-v2.4", "mp3-vbr", "mp3-bare", "flac", "wav", "aiff", "wavpack", "ape", "musepack")


def correlations(segments: Segments, y: np.ndarray, *, tolerance: float = 0.0) -> list[float]:
    """Return how well each segment correlates with the slice of the full decode at its interval, give or take."""
    shift = round(tolerance * SAMPLE_RATE)
    padded = np.pad(y, (shift, shift + SEGMENT_SAMPLES))
    result = []
    for segment, (start, _) in zip(segments.y, segments.intervals, strict=True):
        at = round(float(start) * SAMPLE_RATE)
        around = padded[at : at + SEGMENT_SAMPLES + 2 * shift]
        scores = scipy.signal.correlate(around, segment, "valid") if shift else np.zeros(1)
        best = int(scores.argmax())
        result.append(float(np.corrcoef(segment, around[best : best + SEGMENT_SAMPLES])[0, 1]))
    return result


def song(kind: str, folder: Path, *, seconds: int, lead_in: int = 0) -> Path:
    """Loop the clip until it is a song, perhaps behind some silence, without the clip's jitter of time stamps."""
    suffix, encoder = media.ENCODERS[kind]
    path, wav = folder / f"song{suffix}", folder / "loop.wav"
    delay = ("-af", f"adelay={lead_in}s:all=1") if lead_in else ()
    media.ffmpeg("-stream_loop", "-1", "-i", media.JAZZ, "-t", str(seconds), *delay, "-map", "0:a", wav)
    media.ffmpeg("-i", wav, *encoder, path)
    return path


def tone(
    folder: Path, *, rate: int = 44100, layout: str = "stereo", seconds: float = 4, name: str = "tone.wav"
) -> Path:
    path = folder / name
    source = f"sine=frequency=440:sample_rate={rate}:duration={seconds}"
    channels = {"mono": 1, "stereo": 2, "5.1": 6, "7.1": 8}.get(layout, 2)
    copies = "|".join(f"c{n}=c0" for n in range(channels))
    media.ffmpeg("-f", "lavfi", "-i", source, "-af", f"pan={layout}|{copies}", path)
    return path


@pytest.mark.parametrize("kind", media.KINDS)
def test_segments_are_slices_of_the_full_decode(kind: str, tmp_path: Path) -> None:
    path = str(media.make(kind, tmp_path))
    segments, y = load_segments(path), decode_all(path)
    assert segments.y.shape == (5, SEGMENT_SAMPLES)  # a clip of 15.02 seconds
    assert segments.y.dtype == segments.intervals.dtype == y.dtype == np.float32
    assert len(y) == pytest.approx(15.02 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    # the clip's own time stamps jitter by 10 ms, and some containers keep them
    assert min(correlations(segments, y, tolerance=0 if kind in EXACT else 0.025)) > 0.997
    again = load_segments(path, duration=probe(path).duration)
    assert np.array_equal(again.y, segments.y)
    assert np.array_equal(again.intervals, segments.intervals)


@pytest.mark.parametrize("kind", [kind for kind in media.ENCODERS if kind not in ("mp3-v2.4", "ogg-speex", "aiff")])
def test_seeking_in_a_song_is_exact(kind: str, tmp_path: Path) -> None:
    path = str(song(kind, tmp_path, seconds=50))
    segments = load_segments(path)
    assert segments.y.shape == (8, SEGMENT_SAMPLES)
    # the middles of eight equal parts
    assert segments.intervals.mean(axis=1) == pytest.approx((np.arange(8) + 0.5) * 50 / 8, abs=0.1)
    assert np.diff(segments.intervals) == pytest.approx(3, abs=1e-5)
    assert min(correlations(segments, decode_all(path))) > 0.998


@pytest.mark.parametrize("kind", media.KINDS)
def test_segments_survive_a_retagging(kind: str, tmp_path: Path) -> None:
    path = media.make(kind, tmp_path)
    before = load_segments(str(path))
    grow(path, "filling" * 50_000)
    after = load_segments(str(path))
    assert np.array_equal(before.intervals, after.intervals)
    assert np.allclose(before.y, after.y, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 37800, 48000, 96000, 192000])
def test_sample_rates(rate: int, tmp_path: Path) -> None:
    y = load_segments(str(tone(tmp_path, rate=rate, name="tone.flac"))).y
    spectrum = np.abs(np.fft.rfft(y[0] * np.hanning(SEGMENT_SAMPLES)))
    assert np.argmax(spectrum) * SAMPLE_RATE / SEGMENT_SAMPLES == pytest.approx(440, abs=0.5)
    assert np.sqrt(np.mean(y**2)) == pytest.approx(0.125 / np.sqrt(2), rel=0.02)


@pytest.mark.parametrize("layout", ["mono", "stereo", "2.1", "quad", "5.0", "5.1", "6.1", "7.1"])
def test_layouts_are_mixed_without_clipping_or_loss(layout: str, tmp_path: Path) -> None:
    # the same loud tone in every channel stays as it is
    path = tmp_path / "tone.wav"
    count = {"mono": 1, "stereo": 2, "2.1": 3, "quad": 4, "5.0": 5, "5.1": 6, "6.1": 7, "7.1": 8}[layout]
    copies = "|".join(f"c{n}=7.9*c0" for n in range(count))
    media.ffmpeg("-f", "lavfi", "-i", "sine=frequency=440:duration=4", "-af", f"pan={layout}|{copies}", path)
    y = load_segments(str(path)).y
    assert 0.97 < np.abs(y).max() <= 1.0
    assert np.sqrt(np.mean(y**2)) == pytest.approx(7.9 * 0.125 / np.sqrt(2), rel=0.02)


@pytest.mark.parametrize("channels", [3, 5, 8, 9, 12])
def test_channels_without_a_layout(channels: int, tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    n = np.arange(4 * 16000)
    samples = np.repeat((8000 * np.sin(2 * np.pi * 440 * n / 16000)).astype("<i2")[:, None], channels, axis=1)
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    y = load_segments(str(path)).y
    assert np.sqrt(np.mean(y**2)) == pytest.approx(8000 / 32768 / np.sqrt(2), rel=0.02)
    assert len(decode_all(str(path))) == pytest.approx(4 * SAMPLE_RATE, abs=2)


def test_stereo_is_the_mean_whatever_the_sample_format(tmp_path: Path) -> None:
    for encoder in ("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_f32le"):
        path = tmp_path / f"{encoder}.wav"
        source = "sine=frequency=440:duration=4,pan=stereo|c0=4*c0|c1=0*c0"
        media.ffmpeg("-f", "lavfi", "-i", source, "-c:a", encoder, path)
        y = load_segments(str(path)).y
        assert np.sqrt(np.mean(y**2)) == pytest.approx(4 * 0.125 / 2 / np.sqrt(2), rel=0.02)


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3-v2.3", "m4a-aac", "ogg-vorbis", "opus", "wma"])
def test_shorter_than_a_segment(kind: str, tmp_path: Path) -> None:
    path = song(kind, tmp_path, seconds=1)
    segments = load_segments(str(path))
    assert segments.y.shape == (1, SEGMENT_SAMPLES)
    assert segments.intervals.tolist() == [[0, 3]]
    assert np.abs(segments.y[0, : SAMPLE_RATE // 2]).max() > 0.01
    assert not segments.y[0, int(1.2 * SAMPLE_RATE) :].any()


@pytest.mark.parametrize(("seconds", "n"), [(2.9, 1), (3.1, 1), (5.9, 1), (6.1, 2), (23.9, 7), (24.1, 8), (60, 8)])
def test_as_many_segments_as_fit_without_overlap(seconds: float, n: int, tmp_path: Path) -> None:
    path = tone(tmp_path, seconds=seconds)
    intervals = load_segments(str(path)).intervals
    assert len(intervals) == n
    assert (np.diff(intervals[:, 0]) >= 2.95).all()
    assert intervals[0, 0] >= 0
    assert intervals[-1, 1] <= max(3, seconds + 0.04)


def test_number_of_segments_asked_for(tmp_path: Path) -> None:
    path = str(media.make("flac", tmp_path))
    assert len(load_segments(path, n_segments=2).y) == 2
    assert len(load_segments(path, n_segments=1).y) == 1


def test_seek_past_the_end_is_silence(tmp_path: Path) -> None:
    for kind in ("mp3-vbr", "flac", "m4a-aac", "ogg-vorbis", "opus", "wma", "wavpack", "musepack", "wav", "ape"):
        segments = load_segments(str(media.make(kind, tmp_path)), duration=60)
        audible = np.abs(segments.y).max(axis=1) > 0.01
        assert audible.tolist() == [True, True] + [False] * 6, kind


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3-v2.3", "ogg-vorbis", "wavpack", "m4a-alac", "m4a-aac", "opus"])
def test_silence_is_zeros(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"silence{media.ENCODERS[kind][0]}"
    media.ffmpeg("-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo:d=10", *media.ENCODERS[kind][1], path)
    segments = load_segments(str(path))
    assert segments.y.shape == (3, SEGMENT_SAMPLES)
    assert not segments.y.any()


def test_long_silent_lead_in_leaves_most_segments_to_the_music(tmp_path: Path) -> None:
    path = song("mp3-vbr", tmp_path, seconds=80, lead_in=20)
    levels = np.sqrt(np.mean(load_segments(str(path)).y ** 2, axis=1))
    assert (levels[2:] > 0.01).all()
    assert levels[0] < 1e-4


@pytest.mark.parametrize("kind", ["mp3-v2.3", "flac", "m4a-aac"])
def test_cover_art_is_ignored(kind: str, tmp_path: Path) -> None:
    plain = media.make(kind, tmp_path, "plain")
    path = tmp_path / f"cover{plain.suffix}"
    art = tmp_path / "cover.png"
    media.ffmpeg("-f", "lavfi", "-i", "color=red:size=64x64:duration=1", "-frames:v", "1", art)
    picture = ("-map", "0:a", "-map", "1:v", "-c", "copy", "-disposition:v", "attached_pic")
    media.ffmpeg("-i", plain, "-i", art, *picture, path)
    assert np.allclose(load_segments(str(path)).y, load_segments(str(plain)).y, atol=1e-3)


def test_broken_cover_art_does_no_harm(tmp_path: Path) -> None:
    path = media.make("flac", tmp_path)
    before = load_segments(str(path))
    flac = mutagen.File(path)
    picture = mutagen.flac.Picture()
    picture.data, picture.mime, picture.type = png()[:50], "image/png", 3
    flac.add_picture(picture)
    flac.save()
    assert np.array_equal(load_segments(str(path)).y, before.y)


@pytest.mark.parametrize(
    "kind", ["mp3-v2.3", "mp3-vbr", "flac", "m4a-aac", "ogg-vorbis", "opus", "wma", "wavpack", "ape"]
)
def test_damage_in_the_middle_costs_one_segment_at_most(kind: str, tmp_path: Path) -> None:
    path = media.make(kind, tmp_path) if kind == "ape" else song(kind, tmp_path, seconds=27)
    y, duration = decode_all(str(path)), probe(str(path)).duration
    data = bytearray(path.read_bytes())
    inside = int(len(data) * 0.45)
    data[inside : inside + 3000] = random.Random(1).randbytes(3000)
    path.write_bytes(data)
    # what is lost shifts what follows it, where a file has no time stamps
    found = correlations(load_segments(str(path), duration=duration), y, tolerance=0.4)
    assert sum(score > 0.99 for score in found) >= len(found) - 1
    assert len(decode_all(str(path))) > 0.9 * len(y)


def test_truncated_song_is_decoded_up_to_its_end(tmp_path: Path) -> None:
    path = song("mp3-vbr", tmp_path, seconds=50)  # its Xing header goes on speaking of 50 seconds
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    segments = load_segments(str(path))
    assert segments.intervals[-1, 1] < 27
    assert min(correlations(segments, decode_all(str(path)))) > 0.998


def test_the_reason_for_a_flac_cut_off_in_its_first_frame_is_plain(tmp_path: Path) -> None:
    path = media.make("flac", tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\xff\xf8", 4000) + 1000])
    with pytest.raises(DecodeError, match="truncated") as caught:
        load_segments(str(path), duration=probe(str(path)).duration)
    assert "permitted" not in str(caught.value)


def test_chained_streams(tmp_path: Path) -> None:
    one = media.make("ogg-vorbis", tmp_path, "one")
    two = media.make("ogg-vorbis", tmp_path, "two", source=media.CLASSICAL)
    other = tmp_path / "other.ogg"
    media.ffmpeg("-i", media.CLASSICAL, "-ac", "1", "-ar", "22050", "-c:a", "libvorbis", other)
    chain = tmp_path / "chain.ogg"
    chain.write_bytes(one.read_bytes() + two.read_bytes())
    assert len(decode_all(str(chain))) == pytest.approx((15.02 + 12) * SAMPLE_RATE, abs=0.2 * SAMPLE_RATE)
    # FFmpeg does not go on where the chain changes its kind; what comes before is decoded
    chain.write_bytes(one.read_bytes() + other.read_bytes())
    assert load_segments(str(chain)).y.any(axis=1).sum() >= 4
    assert len(decode_all(str(chain))) >= 15 * SAMPLE_RATE


def test_mp3_that_changes_from_mono_to_stereo(tmp_path: Path) -> None:
    mono, stereo = tmp_path / "mono.mp3", tmp_path / "stereo.mp3"
    for path, channels in ((mono, "1"), (stereo, "2")):
        options = ("-ac", channels, "-c:a", "libmp3lame", "-b:a", "96k", "-write_xing", "0", "-id3v2_version", "0")
        media.ffmpeg("-i", media.JAZZ, *options, path)
    both = tmp_path / "both.mp3"
    both.write_bytes(mono.read_bytes() + stereo.read_bytes())
    segments = load_segments(str(both))
    assert len(segments.y) == 8
    assert min(correlations(segments, decode_all(str(both)))) > 0.99


REFUSED = {
    "empty.mp3": (b"", "empty file"),
    "text.flac": (b"This is no music.\n" * 100, "not an audio format that FFmpeg knows"),
    "subtitles.mp3": (b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 5, "no audio stream"),
    "noise.ogg": (random.Random(2).randbytes(100_000), "not an audio format that FFmpeg knows"),
    "list.flac": (b"ffconcat version 1.0\nfile 'song.flac'\n", "not an audio format that FFmpeg knows"),
    "list.mp3": (b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nsong.flac\n#EXT-X-ENDLIST\n", "not an audio format"),
    "hollow.flac": (b"fLaC\x80\0\0\x22\x10\0\x10\0" + bytes(6) + b"\x0a\xc4\x42\xf0" + bytes(20), "no audio|FFmpeg"),
    "tags.mp3": (b"ID3\x04\0\0\0\0\0\x0a" + bytes(10), "nothing but tags"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_without_audio_are_described(name: str, tmp_path: Path) -> None:
    media.make("flac", tmp_path)  # what the play lists point to
    path = tmp_path / name
    content, words = REFUSED[name]
    path.write_bytes(content)
    for listen in (probe, load_segments, decode_all):
        with pytest.raises(DecodeError, match=words) as caught:
            listen(str(path))
        assert caught.value.path == str(path)


def test_no_audio_in_a_film_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "film.m4a"
    media.ffmpeg("-f", "lavfi", "-i", "testsrc=duration=1:size=64x64", "-c:v", "mpeg4", "-f", "mp4", path)
    with pytest.raises(DecodeError, match="no audio stream"):
        load_segments(str(path))


def test_film_is_decoded_by_its_first_audio_track(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    inputs = ("-f", "lavfi", "-i", "testsrc=duration=15:size=64x64:rate=5", "-i", media.JAZZ)
    media.ffmpeg(*inputs, "-c:v", "mpeg4", "-c:a", "flac", path)
    segments = load_segments(str(path))
    assert min(correlations(segments, decode_all(str(path)), tolerance=0.025)) > 0.99


@pytest.mark.parametrize("name", ["song.tta", "song.aac", "song.ac3", "song.caf", "song.mka", "song.ts", "song.avi"])
def test_other_containers(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    media.ffmpeg("-i", media.JAZZ, path)
    segments = load_segments(str(path))
    assert len(segments.y) == 5
    assert min(correlations(segments, decode_all(str(path)), tolerance=0.025)) > 0.99


def test_missing_and_special_files(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp3"
    os.mkfifo(pipe)
    for path, words in ((pipe, "not a regular file"), (tmp_path, "not a regular file|cannot be read")):
        with pytest.raises(DecodeError, match=words):
            load_segments(str(path))
    with pytest.raises(DecodeError, match="cannot be read: No such file"):
        probe(str(tmp_path / "missing.mp3"))


def test_name_and_tags_that_are_not_utf_8(tmp_path: Path) -> None:
    path = media.make("wav", tmp_path)
    data = path.read_bytes()
    info = b"LIST\x10\0\0\0INFOINAM\x04\0\0\0\xe9\xff\xfe\0"
    path.write_bytes(data[:4] + (len(data) + len(info) - 8).to_bytes(4, "little") + data[8:] + info)
    odd = os.fsdecode(os.fsencode(str(tmp_path)) + b"/\xff\xfe.wav")
    path.rename(odd)
    assert len(load_segments(odd).y) == 5


def test_ffmpeg_stays_silent(tmp_path: Path) -> None:
    path = media.make("mp3-vbr", tmp_path)
    data = bytearray(path.read_bytes())
    data[20_000:24_000] = random.Random(3).randbytes(4000)
    path.write_bytes(data)
    (tmp_path / "song.aac").write_bytes(random.Random(4).randbytes(20_000))
    code = (
        "import sys\nfrom genrify_tagger import audio, errors\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        audio.load_segments(path)\n        audio.decode_all(path)\n"
        "    except errors.DecodeError:\n        pass\n"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "song.aac")]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == done.stderr == b""


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44056, 44100, 48000, 96000, 192000])
def test_runs_that_share_a_converter_get_the_samples_that_each_gets_alone(rate: int) -> None:
    noise = np.random.default_rng(rate).normal(0, 0.3, (6, 2, rate)).astype(np.float32)
    shared = SharedConverters()
    for number, run in enumerate(noise):
        together, alone = (Mixer(16000, gather=True, shared=given) for given in (shared, None))
        length = rate - 37 * number
        for mixer in (together, alone):
            for start in range(0, length, 1152):
                part = np.ascontiguousarray(run[:, start : min(start + 1152, length)])
                frame = AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
                frame.sample_rate = rate
                mixer.write(frame)
        inner = slice(500, 15000)
        found = together.read_inner(500, 15000)[inner]
        assert len(found) == 14500
        assert np.array_equal(found, alone.read()[inner])
