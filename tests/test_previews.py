"""What workers render for the page: pictures, titles, covers and Opus, for every kind of file."""

from __future__ import annotations

import io
import struct
import zlib

import av
import mediafile
import numpy as np
import pytest

from genrify_tagger import audio, spectrogram
from genrify_tagger.errors import DecodeError, WorkerMemoryError
from genrify_tagger.web.png import heatmap_png
from genrify_tagger.worker_main import Limits
from genrify_tagger.workers import Workers
from tests import media


@pytest.fixture(scope="module")
def workers():
    with Workers(jobs=1, segments=8) as opened:
        yield opened


@pytest.mark.parametrize("kind", media.KINDS)
def test_pictures_opus_and_titles_of_every_kind(workers, kind):
    path = str(media.master(kind))
    if kind != "mp3-bare":
        assert workers.read_titles(path) == {"title": "A title", "artist": "An artist", "album": "An album"}
    picture = workers.render_pictures(path, columns=300)
    assert picture.duration == pytest.approx(15, abs=0.2)
    assert picture.peaks.shape == picture.levels.shape == (300,)
    assert picture.mel.shape == (96, 300)
    assert picture.peaks.max() == 255 == picture.mel.max()
    assert (picture.levels <= picture.peaks).all()
    assert duration_of(workers.to_opus(path)) == pytest.approx(15, abs=0.2)


def duration_of(opus: bytes) -> float:
    with av.open(io.BytesIO(opus)) as container:
        stream = container.streams.audio[0]
        assert (container.format.name, stream.codec_context.name) == ("matroska,webm", "opus")
        assert container.duration is not None
        return sum(frame.samples / frame.sample_rate for frame in container.decode(stream))


def test_opus_sounds_like_the_song(tmp_path):
    made = tmp_path / "song.webm"
    made.write_bytes(audio.to_opus(str(media.JAZZ)))
    before, after = audio.decode_all(str(media.JAZZ)), audio.decode_all(str(made))
    length = min(len(before), len(after)) // 48000 * 48000
    ours, theirs = (spectrogram.log_mel(y[:length].reshape(-1, 48000)) for y in (before, after))
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.95


def test_a_tone_is_drawn_at_its_time_and_frequency(tmp_path):
    wav = tmp_path / "click.wav"
    media.ffmpeg(
        *("-f", "lavfi", "-i", "aevalsrc=exprs='if(between(t,7,7.5),0.8*sin(2*PI*440*t),0)':d=10:s=16000", wav),
    )
    from genrify_tagger.worker_main import render_pictures

    picture = render_pictures(str(wav), 100)
    assert set(np.flatnonzero(picture.peaks > 128)) == set(range(70, 75))
    loud = np.flatnonzero(picture.mel.max(axis=0) > 128)
    assert 69 <= loud.min() <= loud.max() <= 75
    band = 95 - int(picture.mel[:, 72].argmax())  # counted from the lowest
    centre = band * 3999 / 95  # a mel band is narrow; 440 Hz must be in the lower sixth of 8 kHz
    assert 100 < centre < 1400


def test_silence_and_a_moment_can_be_drawn(tmp_path):
    from genrify_tagger.worker_main import render_pictures

    wav = tmp_path / "silence.wav"
    media.ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=0.05", wav)
    picture = render_pictures(str(wav), 800)
    assert picture.peaks.max() == 0 == picture.mel.max()
    assert 1 <= len(picture.peaks) <= 5


@pytest.mark.parametrize("what", ["read_titles", "to_opus"])
def test_files_that_are_not_songs_are_reported(workers, tmp_path, what):
    text = tmp_path / "song.mp3"
    text.write_text("this is no song")
    with pytest.raises(DecodeError) as caught:
        getattr(workers, what)(str(text))
    assert caught.value.path == str(text)


def test_a_picture_that_needs_too_much_memory_fails_alone(tmp_path):
    long = tmp_path / "long.flac"
    media.ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=7200", "-c:a", "flac", long)
    with Workers(jobs=1, segments=8, limits=Limits(memory_limit=128 << 20)) as limited:
        with pytest.raises((WorkerMemoryError, DecodeError), match="memory"):
            limited.render_pictures(str(long), columns=800)
        assert limited.read_titles(str(media.master("flac")))["title"] == "A title"


def test_long_titles_are_shortened_and_broken_ones_replaced(workers, tmp_path):
    made = tmp_path / "song.flac"
    media.ffmpeg("-i", media.JAZZ, "-metadata", f"title={'x' * 5000}", "-metadata", "artist=a\nb\tc", made)
    assert workers.read_titles(str(made)) == {"title": "x" * 300, "artist": "a b c"}


def test_a_png_file_holds_the_levels():
    levels = np.arange(256, dtype=np.uint8).reshape(4, 64)
    data = heatmap_png(levels)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, place = {}, 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack(">I", data[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        place += 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (64, 4)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(4, 65)
    assert (rows[:, 0] == 0).all() and (rows[:, 1:] == levels).all()
    palette = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(256, 3).astype(int)
    assert (np.diff(palette.sum(axis=1)) >= 0).all()  # louder is never darker
    with av.open(io.BytesIO(data)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert (picture == palette[levels]).all()


# --- covers ---


def with_cover(kind, folder, picture: bytes):
    song = media.make(kind, folder)
    tags = mediafile.MediaFile(song)
    tags.images = [mediafile.Image(data=picture)]
    tags.save()
    return song


def draw(path, size: str, codec: str = "png") -> bytes:
    media.ffmpeg("-f", "lavfi", "-i", f"testsrc=s={size}", "-frames:v", "1", "-c:v", codec, path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["mp3-v2.3", "mp3-v2.4", "flac", "m4a-aac", "ogg-vorbis", "opus", "wma", "aiff"])
def test_an_embedded_cover_becomes_a_small_jpeg(workers, kind, tmp_path):
    song = with_cover(kind, tmp_path, draw(tmp_path / "cover.png", "800x600"))
    cover = workers.read_cover(str(song), size=320)
    assert cover.startswith(b"\xff\xd8\xff")
    with av.open(io.BytesIO(cover)) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height) == (320, 240)
        assert frame.to_ndarray(format="rgb24").std() > 50  # the test picture's bars, not one plain colour


def test_a_small_cover_is_not_enlarged_and_none_is_none(workers, tmp_path):
    song = with_cover("flac", tmp_path / "small", draw(tmp_path / "cover.jpg", "64x64", "mjpeg"))
    with av.open(io.BytesIO(workers.read_cover(str(song), size=320))) as container:
        assert container.streams.video[0].codec_context.width == 64
    assert workers.read_cover(str(media.master("flac")), size=320) is None


def test_a_hostile_cover_is_ignored(workers, tmp_path):
    noise = with_cover("flac", tmp_path / "noise", b"\x89PNG\r\n\x1a\n" + bytes(5000))
    assert workers.read_cover(str(noise), size=320) is None
    script = with_cover("mp3-v2.3", tmp_path / "script", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>")
    assert workers.read_cover(str(script), size=320) is None
    bomb = tmp_path / "bomb.png"
    size = struct.pack(">II", 60_000, 60_000)
    header = b"IHDR" + size + b"\x08\x02\0\0\0"
    chunks = [header, b"IDAT" + zlib.compress(bytes(1 << 20)), b"IEND"]
    bomb.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    )
    song = with_cover("flac", tmp_path / "bomb", bomb.read_bytes())
    assert workers.read_cover(str(song), size=320) is None
    assert workers.read_titles(str(song))["title"] == "A title"
