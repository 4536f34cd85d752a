"""The audio key and duration of a song, whatever was done to its tags, its name or its container."""

from __future__ import annotations

import hashlib
import random
import shutil
import struct
import zlib
from pathlib import Path

import av
import mutagen
import mutagen.apev2
import mutagen.flac
import mutagen.id3
import mutagen.mp3
import mutagen.mp4
import pytest

from genrify_tagger.audio import KEY_VERSION, audio_key, has_audio_of, probe
from genrify_tagger.errors import DecodeError
from tests import media

FILLING = "\u00e9a\u00ff" * 60_000


def png() -> bytes:
    """A picture of one pixel, followed by a chunk that looks like a row of MP3 frames."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    frames = (b"\xff\xfb\x90\x64" + bytes(413)) * 100
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    pixel = chunk(b"IDAT", zlib.compress(bytes(4)))
    return b"\x89PNG\r\n\x1a\n" + header + pixel + chunk(b"teSt", frames) + chunk(b"IEND", b"")


def grow(path: Path, text: str) -> None:
    song = mutagen.File(path)
    if song.tags is None:
        song.add_tags()
    if isinstance(song.tags, mutagen.id3.ID3):
        song.tags.add(mutagen.id3.TXXX(encoding=1, desc="filling", text=[text]))
    elif isinstance(song.tags, mutagen.mp4.MP4Tags):
        song.tags["----:com.example:filling"] = [text.encode()]
    else:
        song.tags["Filling"] = text
    song.save()


def naive_key(path: Path) -> str:
    """The definition of the key, as plain as it can be written: all packets as FFmpeg demuxes them."""
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.audio[0]
        context = stream.codec_context
        parameters = f"{KEY_VERSION} {context.codec.canonical_name} {context.sample_rate} {context.channels}\n"
        digest = hashlib.blake2b(parameters.encode(), digest_size=16)
        for packet in container.demux(stream):
            digest.update(bytes(packet))
    return digest.hexdigest()


@pytest.mark.parametrize("kind", media.KINDS)
def test_key_survives_every_edit_of_tags(kind: str, tmp_path: Path) -> None:
    path = media.make(kind, tmp_path)
    before = probe(str(path))
    for text in (FILLING, "short", FILLING * 3):
        grow(path, text)
        assert probe(str(path)) == before
    mutagen.File(path).delete()
    assert probe(str(path)) == before


@pytest.mark.parametrize("kind", media.KINDS)
def test_key_is_that_of_the_demuxed_packets(kind: str, tmp_path: Path) -> None:
    path = media.make(kind, tmp_path)
    if kind == "ape":  # FFmpeg takes the tag behind the audio for a part of the last packet
        mutagen.apev2.delete(path)
    assert audio_key(str(path)) == naive_key(path)


@pytest.mark.parametrize("kind", media.KINDS)
def test_key_survives_other_names(kind: str, tmp_path: Path) -> None:
    path = media.make(kind, tmp_path)
    before = probe(str(path))
    for name in ("song.mp3", "song.flac", "no suffix", "concat:song", "zwei\nZeilen.wav", "-y"):
        assert probe(str(path.rename(path.with_name(name)))) == before
        path = path.with_name(name)


@pytest.mark.parametrize("kind", media.KINDS)
def test_key_differs_for_other_audio(kind: str, tmp_path: Path) -> None:
    jazz = media.make(kind, tmp_path, "jazz")
    classical = media.make(kind, tmp_path, "classical", source=media.CLASSICAL)
    assert audio_key(str(jazz)) != audio_key(str(classical))


@pytest.mark.parametrize("kind", media.KINDS)
def test_truncated_file_is_another_shorter_song(kind: str, tmp_path: Path) -> None:
    path = media.make(kind, tmp_path)
    before = probe(str(path))
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * 0.6))
    if kind.startswith("m4a") or kind == "musepack":  # the table of contents was behind the audio
        with pytest.raises(DecodeError, match=r"not an audio format that FFmpeg knows|no audio in it can be read"):
            probe(str(path))
        return
    after = probe(str(path))
    assert after.key != before.key
    if kind != "ape":  # packets are whole frames of a known size there, and the last one is only shorter in bytes
        assert 0.3 * before.duration < after.duration < 0.75 * before.duration


@pytest.mark.parametrize("kind", ["m4a-aac", "m4a-alac"])
def test_m4a_with_its_contents_in_front(kind: str, tmp_path: Path) -> None:
    path = media.make(kind, tmp_path)
    before = probe(str(path))
    front = tmp_path / "front.m4a"
    media.ffmpeg("-i", path, "-c", "copy", "-movflags", "+faststart", front)
    remuxed = probe(str(front))
    assert remuxed.key == before.key
    size = front.stat().st_size
    grow(front, FILLING)
    assert probe(str(front)) == remuxed
    with front.open("r+b") as file:
        file.truncate(front.stat().st_size - int(0.4 * size))
    truncated = probe(str(front))
    assert truncated.key != before.key
    assert 0.2 * before.duration < truncated.duration < 0.75 * before.duration


def test_key_is_independent_of_the_container(tmp_path: Path) -> None:
    # M4A is read by its sample table, the other two packet by packet
    path = media.make("m4a-aac", tmp_path)
    before = audio_key(str(path))
    media.ffmpeg("-i", path, "-c", "copy", tmp_path / "song.mka")
    media.ffmpeg("-i", path, "-c", "copy", "-movflags", "+frag_keyframe+empty_moov", tmp_path / "fragments.m4a")
    assert audio_key(str(tmp_path / "song.mka")) == before
    assert audio_key(str(tmp_path / "fragments.m4a")) == before
    flac = media.make("flac", tmp_path)
    media.ffmpeg("-i", flac, "-c", "copy", tmp_path / "song.oga")
    assert audio_key(str(flac)) == audio_key(str(tmp_path / "song.oga"))


@pytest.mark.parametrize("kind", ["mp3-v2.3", "mp3-vbr", "mp3-bare"])
def test_mp3_between_all_kinds_of_tags(kind: str, tmp_path: Path) -> None:
    path = media.make(kind, tmp_path)
    before = probe(str(path))
    audio = path.read_bytes()
    lyrics2 = b"LYRICSBEGININD00002" + b"00" + b"LYR00004la\xff\xfb"
    lyrics2 += b"%06dLYRICS200" % len(lyrics2)
    lyrics1 = b"LYRICSBEGIN" + b"la la \xff\xfb" * 50 + b"LYRICSEND"
    id3v1 = b"TAG" + bytes(125)
    enhanced = b"TAG+" + bytes(223)
    # as if by several programs, one after the other
    for tail in (lyrics1 + id3v1, lyrics2 + id3v1, lyrics2 + enhanced + id3v1):
        path.write_bytes((audio[:-128] if kind == "mp3-vbr" else audio) + tail)
        assert probe(str(path)) == before
        tags = mutagen.apev2.APEv2()
        tags["Cover Art (Front)"] = mutagen.apev2.APEValue(b"c.png\0" + png() * 40, mutagen.apev2.BINARY)
        tags.save(path)
        assert path.stat().st_size > len(audio) + 1_000_000
        assert probe(str(path)) == before
        mutagen.id3.ID3(path).save(path, v1=2) if kind != "mp3-bare" else mutagen.id3.ID3().save(path, v1=2)
        assert probe(str(path)) == before


@pytest.mark.parametrize("kind", ["mp3-v2.3", "mp3-bare", "flac", "ape", "musepack", "wavpack"])
def test_large_id3_in_front(kind: str, tmp_path: Path) -> None:
    path = media.make(kind, tmp_path)
    before = probe(str(path))
    front = tmp_path / "front.id3"
    front.touch()
    tags = mutagen.id3.ID3()
    tags.add(mutagen.id3.APIC(mime="image/png", type=3, data=png() * 80))
    tags.save(front, padding=lambda _: 5000)
    assert front.stat().st_size > 3_000_000
    with path.open("rb") as song, front.open("ab") as both:
        shutil.copyfileobj(song, both)
    assert probe(str(front)) == before


@pytest.mark.parametrize("kind", ["mp3-vbr", "flac", "m4a-aac", "ogg-vorbis", "opus"])
def test_cover_art_and_padding(kind: str, tmp_path: Path) -> None:
    path = media.make(kind, tmp_path)
    before = probe(str(path))
    song = mutagen.File(path)
    picture = mutagen.flac.Picture()
    picture.data, picture.mime, picture.type, picture.width, picture.height = png(), "image/png", 3, 1, 1
    if kind == "mp3-vbr":
        song.tags.add(mutagen.id3.APIC(mime="image/png", type=3, data=png()))
    elif kind == "flac":
        song.add_picture(picture)
    elif kind == "m4a-aac":
        song["covr"] = [mutagen.mp4.MP4Cover(png(), mutagen.mp4.MP4Cover.FORMAT_PNG)]
    else:
        song["metadata_block_picture"] = mutagen_base64(picture)
    for padding in (0, 100_000, 10):
        song.save(padding=lambda _, size=padding: size)
        assert probe(str(path)) == before


def mutagen_base64(picture: mutagen.flac.Picture) -> str:
    import base64

    return base64.b64encode(picture.write()).decode()


def test_duration_of_vbr_without_a_xing_header(tmp_path: Path) -> None:
    path = tmp_path / "quiet_then_loud.mp3"
    media.ffmpeg(
        *("-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo:d=30", "-i", media.JAZZ, "-filter_complex"),
        *("[0:a][1:a]concat=n=2:v=0:a=1", "-c:a", "libmp3lame", "-q:a", "2", "-write_xing", "0", path),
    )
    with av.open(str(path)) as container:  # what FFmpeg makes of the first bit rate
        assert not 40 < container.duration / 1e6 < 50
    assert probe(str(path)).duration == pytest.approx(45.05, abs=0.1)


def test_duration_of_flac_without_a_total(tmp_path: Path) -> None:
    path = media.make("flac", tmp_path)
    before = probe(str(path))
    data = bytearray(path.read_bytes())
    at = data.index(b"fLaC") + 8 + 13
    data[at] &= 0xF0
    data[at + 1 : at + 5] = bytes(4)  # the total of samples, as a streaming encoder leaves it
    path.write_bytes(data)
    assert probe(str(path)) == before


def test_flac_of_a_single_frame_and_of_variable_blocks(tmp_path: Path) -> None:
    short = tmp_path / "short.flac"
    media.ffmpeg("-i", media.JAZZ, "-t", "0.05", "-c:a", "flac", short)
    assert probe(str(short)).duration == pytest.approx(0.05, abs=0.001)
    assert audio_key(str(short)) == naive_key(short)
    mixed = tmp_path / "mixed.flac"
    media.ffmpeg("-i", media.JAZZ, "-c:a", "flac", "-frame_size", "1000", mixed)
    assert probe(str(mixed)).duration == pytest.approx(15.019, abs=0.01)
    assert audio_key(str(mixed)) == naive_key(mixed)


def test_chained_ogg(tmp_path: Path) -> None:
    one, two = (
        media.make("ogg-vorbis", tmp_path, "one"),
        media.make("ogg-vorbis", tmp_path, "two", source=media.CLASSICAL),
    )
    chain = tmp_path / "chain.ogg"
    chain.write_bytes(one.read_bytes() + two.read_bytes())
    info = probe(str(chain))
    assert info.key != audio_key(str(one))
    assert info.duration > 14


def test_dsf_and_tta_survive_edits_of_tags(tmp_path: Path) -> None:
    bits = random.Random(5).randbytes(4096 * 100)
    form = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 1, 1, 2822400, 1, len(bits) * 8, 4096, 0)
    data = struct.pack("<4sQ", b"data", 12 + len(bits)) + bits
    dsf = tmp_path / "song.dsf"
    dsf.write_bytes(struct.pack("<4sQQQ", b"DSD ", 28, 28 + len(form) + len(data), 0) + form + data)
    tta = tmp_path / "song.tta"
    media.ffmpeg("-i", media.JAZZ, tta)
    for path, seconds in ((dsf, len(bits) * 8 / 2822400), (tta, 15.019)):
        before = probe(str(path))
        assert before.duration == pytest.approx(seconds, abs=0.02)
        grow(path, FILLING)
        assert probe(str(path)) == before


@pytest.mark.parametrize("kind", media.KINDS)
def test_audio_compared_byte_by_byte(kind: str, tmp_path: Path) -> None:
    path, former = (media.make(kind, tmp_path, name) for name in ("new", "former"))
    key = audio_key(str(former))
    grow(path, FILLING)
    assert has_audio_of(str(path), str(former), key)
    changed = bytearray(former.read_bytes())
    changed[len(changed) // 2] ^= 0x10
    path.write_bytes(changed)
    assert not has_audio_of(str(path), str(former), key)
    assert audio_key(str(path)) != key
    path.write_bytes(media.make(kind, tmp_path, "other", source=media.CLASSICAL).read_bytes())
    assert not has_audio_of(str(path), str(former), key)


def wave(data: bytes, *, size: int | None = None, behind: bytes = b"", rate: int = 44100) -> bytes:
    """Make a WAV file of 16-bit stereo whose chunk of samples may state another size."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, rate, rate * 4, 4, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data) if size is None else size) + data + behind
    return struct.pack("<4sI", b"RIFF", len(body)) + body


NOISE = random.Random(3).randbytes(1_000_000)
SILENCE = bytes(300_000)


@pytest.mark.parametrize(
    "content",
    [
        wave(NOISE),
        wave(NOISE[:400_001]),
        wave(NOISE[:400_002]),
        wave(NOISE, size=0),
        wave(NOISE, size=0xFFFFFFFF),
        wave(NOISE, size=2_000_000),
        wave(NOISE, behind=struct.pack("<4sI", b"data", 4000) + NOISE[:4000]),
        wave(NOISE, behind=struct.pack("<4sI", b"LIST", 4000) + NOISE[:4000]),
        wave(NOISE, rate=8000),
        wave(SILENCE),
        wave(b"\0\0\1\0\0\0\xff\xff" * 100_000),
        wave(NOISE[:8]),
    ],
)
def test_key_of_odd_wav_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    assert audio_key(str(path)) == naive_key(path)


def test_an_aiff_file_without_channels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.aiff"
    media.ffmpeg("-i", media.JAZZ, "-c:a", "pcm_s16be", path)
    content = bytearray(path.read_bytes())
    at = content.index(b"COMM") + 8
    content[at : at + 2] = bytes(2)
    path.write_bytes(content)
    with pytest.raises(DecodeError):
        audio_key(str(path))


@pytest.mark.parametrize("codec", ["dca", "ac3", "aac", "mp3"])
@pytest.mark.parametrize("before", [b"", SILENCE, bytes(100_000) + NOISE[:100_000]])
def test_key_of_other_codecs_that_wav_calls_pcm(codec: str, before: bytes, tmp_path: Path) -> None:
    stream = tmp_path / f"stream.{ {'dca': 'dts', 'aac': 'adts'}.get(codec, codec) }"
    bitrate = {"ac3": "640k"}.get(codec, "256k")
    options = ("-ac", "2", "-ar", "44100", "-c:a", codec, "-b:a", bitrate, "-strict", "-2", "-f", stream.suffix[1:])
    media.ffmpeg("-i", media.JAZZ, *options, stream)
    path = tmp_path / "song.wav"
    path.write_bytes(wave(before + stream.read_bytes() * 2))
    assert audio_key(str(path)) == naive_key(path)


@pytest.mark.parametrize("codec", ["pcm_s16be", "pcm_s24be", "pcm_s8", "pcm_s16le", "pcm_f32be", "pcm_alaw"])
def test_key_of_kinds_of_aiff(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "song.aiff"
    media.ffmpeg("-i", media.JAZZ, "-c:a", codec, path)
    assert audio_key(str(path)) == naive_key(path)
    content = path.read_bytes()
    at = content.index(b"SSND")
    size = int.from_bytes(content[at + 4 : at + 8], "big")
    # Samples may begin later in their chunk.
    path.write_bytes(content[:at] + struct.pack(">4sIII", b"SSND", size + 16, 16, 0) + bytes(16) + content[at + 16 :])
    assert audio_key(str(path)) == naive_key(path)


def test_mp2(tmp_path: Path) -> None:
    path = tmp_path / "song.mp2"
    media.ffmpeg("-i", media.JAZZ, "-c:a", "mp2", "-f", "mp2", path)
    info = probe(str(path))
    assert (info.codec, info.container) == ("mp2", "mp3")
    assert info.duration == pytest.approx(15.02, abs=0.06)


def test_properties_of_a_song(tmp_path: Path) -> None:
    info = probe(str(media.make("mp3-v2.4", tmp_path)))
    assert (info.container, info.codec, info.sample_rate, info.channels) == ("mp3", "mp3", 44100, 2)
    assert len(info.key) == 32
    assert int(info.key, 16)
    info = probe(str(media.make("ogg-speex", tmp_path)))
    assert (info.container, info.codec, info.sample_rate, info.channels) == ("ogg", "speex", 16000, 1)
