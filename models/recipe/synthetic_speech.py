"""Read passages by the Flite synthesiser inside FFmpeg: examples of speech, which no genre fits.

Trained on music only, the network takes a read passage for hip-hop. Four recorded voices become many by shifts of
pitch, tempo and bandwidth; a voice is held out as a whole, like an artist. Needs an `ffmpeg` built with Flite, such as
Debian's.
"""

from __future__ import annotations

import subprocess

import numpy as np

from genrify_tagger.audio import SAMPLE_RATE, SEGMENT_SAMPLES
from genrify_tagger.errors import DecodeError
from genrify_tagger.training.musicnn_weights import FloatArray

VOICES = ("awb", "kal16", "rms", "slt")
CLIPS_OF_A_VOICE = 12
VERSION = "speech 1"  # part of the key of stored embeddings: change it with anything below
N_SEGMENTS = 4
SENTENCES = 9
_SAMPLES = N_SEGMENTS * SEGMENT_SAMPLES
_LEVELS = (-35.0, -12.0)  # dBFS, RMS
_WHO = (
    "The old ferryman",
    "My neighbour",
    "A clerk from the harbour office",
    "Nobody in the village",
    "She",
    "The cook",
)
_DID = ("had never seen", "asked twice about", "carefully wrapped", "would not speak of", "sold", "remembered")
_WHAT = (
    "the lamp in the upper window",
    "a letter without a stamp",
    "seven boxes of nails",
    "the other side of the hill",
)
_WHEN = ("before the war", "on the first day of spring", "and then went home", "while the kettle boiled", "that year")


def passage_names() -> list[str]:
    """Return the name of every passage."""
    return [f"speech/{voice}-{number:02d}" for voice in VOICES for number in range(CLIPS_OF_A_VOICE)]


def voice_of(name: str) -> str:
    """Return which voice reads a passage.

    >>> voice_of("speech/awb-03")
    'awb'
    """
    return name.removeprefix("speech/").rpartition("-")[0]


def make_passage(name: str) -> FloatArray:
    """Synthesise a passage; the same name always gives the same samples.

    Returns
    -------
    ndarray, shape (4, 48000)
        Segments at 16 kHz.

    Raises
    ------
    DecodeError
        If FFmpeg is missing, fails or has no Flite.
    """
    rng = np.random.default_rng(list(name.encode()))
    voice = voice_of(name)
    pitch, tempo, top = rng.uniform(0.8, 1.25), rng.uniform(0.85, 1.2), rng.uniform(3500, 8000)
    chain = (
        f"flite=text='{_passage(rng)}':voice={voice},aresample={SAMPLE_RATE},asetrate={round(SAMPLE_RATE * pitch)},"
        f"aresample={SAMPLE_RATE},atempo={tempo / pitch:.3f},lowpass=f={top:.0f}"
    )
    y = np.resize(_run(chain), _SAMPLES).astype(np.float64) + rng.uniform(0, 0.003) * rng.standard_normal(_SAMPLES)
    y = y * 10 ** (rng.uniform(*_LEVELS) / 20) / np.sqrt(np.mean(np.square(y)))
    segments: FloatArray = np.clip(y, -1, 1).astype(np.float32).reshape(N_SEGMENTS, SEGMENT_SAMPLES)
    return segments


def _passage(rng: np.random.Generator) -> str:
    parts = [[rng.choice(words) for words in (_WHO, _DID, _WHAT, _WHEN)] for _ in range(SENTENCES)]
    return " ".join(" ".join(words) + "." for words in parts)


def _run(chain: str) -> FloatArray:
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", chain, "-ac", "1", "-f", "f32le", "-"]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except OSError as error:
        raise DecodeError("ffmpeg is needed to synthesise speech", hint="install ffmpeg") from error
    except subprocess.CalledProcessError as error:
        raise DecodeError(
            f"ffmpeg cannot synthesise speech: {error.stderr.decode(errors='replace').strip()}"
        ) from error
    return np.frombuffer(done.stdout, np.float32)
