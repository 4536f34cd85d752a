"""Passages read by a synthesiser: reproducible, and of the requested length."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

import synthetic_speech
from genrify_tagger.errors import DecodeError
from tests.media import need


def flite() -> None:
    need("ffmpeg")
    filters = subprocess.run(["ffmpeg", "-hide_banner", "-filters"], capture_output=True, text=True, check=True).stdout
    if " flite " not in filters:
        pytest.skip("this ffmpeg has no Flite")


def test_every_voice_reads_as_often():
    names = synthetic_speech.passage_names()
    assert len(set(names)) == len(names) == len(synthetic_speech.VOICES) * synthetic_speech.CLIPS_OF_A_VOICE
    assert {synthetic_speech.voice_of(name) for name in names} == set(synthetic_speech.VOICES)


def test_a_passage_is_always_the_same_and_another_is_not():
    flite()
    first, again, other = (
        synthetic_speech.make_passage(name) for name in ("speech/slt-00", "speech/slt-00", "speech/slt-01")
    )
    assert first.shape == (4, 48000)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    level = 10 * np.log10(np.mean(np.square(first)))
    assert -36 < level < -11


def test_an_ffmpeg_that_fails_says_so():
    flite()
    with pytest.raises(DecodeError, match="cannot synthesise speech"):
        synthetic_speech.make_passage("speech/nobody-00")
