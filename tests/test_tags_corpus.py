"""Tags as other programs write them: every shape of the corpus is written, read by independent readers, and undone.

The genre is the only thing that may differ after a write, and nothing at all after an undo. What cannot be kept is
refused with a reason, and then the file is untouched.
"""

from __future__ import annotations

import collections
import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mutagen
import mutagen.id3
import pytest

from genrify_tagger import tags
from genrify_tagger.audio import audio_key
from genrify_tagger.errors import DecodeError, TagError
from tests import corpus_mp3, listing, media
from tests.corpus import SHAPES, Shape
from tests.program import Program

# What a tag that has to be made brings with it, and what it takes over from an ID3v1 tag that it would hide.
NEW = re.compile(
    r"Vendor: Genrify Tagger|Handler(Type: Metadata|VendorID: Apple)"
    r"|RecordingTime: 1999|Title: x$|Comment: (\(ID3v1 Comment\) )?(V1 )?comment|Track: 7"
)
OGG = {".ogg", ".oga", ".opus", ".spx"}
MP4 = {".m4a", ".m4b", ".mp4"}
WANTED = (("Jazz",), ("Hip-Hop", "Electronic"), ("Metal",))


@dataclass(repr=False)  # pytest prints what a failed test was given, and these hold whole files
class Case:
    """What became of one shape."""

    shape: Shape
    wanted: tuple[str, ...]
    original: Path
    written: Path
    kept: tuple[bytes, ...]
    trailing: bool
    read: tuple[str, ...] | None = None
    reread: tuple[str, ...] | None = None
    refusal: TagError | None = None
    undone: bytes | None = None

    @property
    def files(self) -> tuple[Path, Path]:
        return self.original, self.written


@dataclass(repr=False)
class Round:
    """The whole corpus: as it was, and as it is after a write."""

    cases: dict[str, Case]
    exiftool: dict[str, tuple[set[str], set[str]]]
    audio: dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def corpus() -> Iterator[Round]:
    # In memory where possible: every write is forced to disk twice, which is not what is tested here.
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        folders = [Path(name) / part for part in ("original", "written", "md5")]
        for folder in folders:
            folder.mkdir()
        cases = {shape.name: _process(shape, *folders[:2], number) for number, shape in enumerate(SHAPES)}
        before, after = (listing.exiftool(folder) for folder in folders[:2])
        files = [case.original for case in cases.values() if case.refusal is None]
        first = listing.audio_md5(files, folders[2])
        second = listing.audio_md5([folders[1] / path.name for path in files], folders[2])
        yield Round(
            cases,
            {path.name: (before.get(path.name, set()), after.get(path.name, set())) for path in files},
            {path.name: (first[path.name], second[path.name]) for path in files},
        )


def _process(shape: Shape, originals: Path, copies: Path, number: int) -> Case:
    path, built = shape.make(originals)
    copy = Path(shutil.copy(path, copies))
    case = Case(shape, WANTED[number % len(WANTED)], path, copy, tuple(built.kept), built.trailing)
    try:
        case.read = tags.read(str(copy)).genres
        plan = tags.plan_write(str(copy), case.wanted)
        tags.apply(plan, audio_key=_key, expected_key=None)
    except TagError as error:
        case.refusal = error
        return case
    case.reread = tags.read(str(copy)).genres
    undone = Path(shutil.copy(copy, copies.parent / "undone"))
    back = tags.plan_restore(str(undone), plan.before.raw, expected=plan.after.raw)
    tags.apply(back, audio_key=_key, expected_key=_key(str(path)))
    case.undone = undone.read_bytes()
    return case


def _key(path: str) -> str:
    try:
        return audio_key(path)
    except DecodeError as error:
        return f"none: {error}"  # some shapes are beyond FFmpeg; then both must be


def _shapes(*suffixes: str, refused: bool = False) -> list[Shape]:
    chosen = [shape for shape in SHAPES if not suffixes or shape.suffix in suffixes]
    return [shape for shape in chosen if (shape.refused is not None) == refused]


@pytest.mark.parametrize("shape", _shapes(), ids=str)
def test_only_the_genre_changes_and_undo_restores_every_byte(shape: Shape, corpus: Round) -> None:
    case = corpus.cases[shape.name]
    assert case.refusal is None, case.refusal
    assert "; ".join(case.reread or ()) == "; ".join(case.wanted)
    if shape.genres is not None:
        assert case.read == shape.genres
    check_kept_pieces(case)
    first, second = corpus.audio[case.original.name]
    assert first == second or case.trailing
    if shape.suffix in OGG and not shape.name.endswith(("-in-front", "-behind")):  # these are not Ogg from end to end
        before, after = (listing.ogg(path.read_bytes()) for path in case.files)
        assert after == before, "another packet or comment was changed"
    if shape.suffix in MP4:
        check_atoms(case)
    check_exiftool_fields(*corpus.exiftool[shape.name + shape.suffix])
    assert case.undone == case.original.read_bytes()


def check_kept_pieces(case: Case) -> None:
    data = case.written.read_bytes()
    at = 0
    for number, piece in enumerate(case.kept):
        found = data.find(piece, at)
        assert found >= 0, f"piece {number} is lost: {piece[:60]!r}"
        at = found + len(piece)


def check_atoms(case: Case) -> None:
    """Every other atom is kept, and every sample is found at its offset."""
    before, after = (listing.mp4(path.read_bytes()) for path in case.files)
    handler = b"moov udta meta hdlr".split()
    if all(list(atom[0]) != handler for atom in before):
        after = [atom for atom in after if list(atom[0]) != handler]  # a new list of items needs one
    assert after == before


def check_exiftool_fields(before: set[str], after: set[str]) -> None:
    """Compare what exiftool shows; it shows nothing of the containers that it does not read."""
    # A free-form item GENRE is the genre, too; a wrong size of audio is corrected.
    ignored = ("GENRE: ", "Warning: Stopped parsing at large data chunk")
    before, after = ({field for field in fields if not field.startswith(ignored)} for fields in (before, after))
    assert before <= after
    assert not before or {field for field in after - before if not NEW.match(field)} == set()


def test_exiftool_reads_most_of_the_corpus(corpus: Round) -> None:
    seen = [bool(before) for before, _ in corpus.exiftool.values()]
    assert sum(seen) > 0.9 * len(seen)


@pytest.mark.parametrize("shape", _shapes(refused=True), ids=str)
def test_what_cannot_be_kept_is_refused_and_untouched(shape: Shape, corpus: Round) -> None:
    case = corpus.cases[shape.name]
    assert case.refusal is not None
    assert shape.refused in str(case.refusal)
    assert case.refusal.path == str(case.written)
    assert "b'" not in str(case.refusal)
    assert case.written.read_bytes() == case.original.read_bytes()


def test_nothing_but_the_files_is_left_in_the_folder(corpus: Round) -> None:
    folder = next(iter(corpus.cases.values())).written.parent
    assert {path.name for path in folder.iterdir()} == {case.written.name for case in corpus.cases.values()}


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_corpus_has_every_frame_that_mutagen_knows(version: int) -> None:
    shape = next(shape for shape in SHAPES if shape.name == f"mp3-v2{version}-every-frame-genre")
    tag = mutagen.id3.ID3(fileobj=io.BytesIO(shape.build().data), translate=False)
    assert len(tag.values()) >= len(corpus_mp3.names(version))
    assert not tag.unknown_frames
    known = mutagen.id3.Frames_2_2 if version == 2 else mutagen.id3.Frames
    assert set(known) <= {*corpus_mp3.names(version), *corpus_mp3.V23_ONLY, *corpus_mp3.V24_ONLY, "TCON", "TCO"}


def test_the_corpus_is_broad() -> None:
    assert len({shape.name for shape in SHAPES}) == len(SHAPES) >= 600
    kinds = collections.Counter(shape.suffix for shape in SHAPES)
    assert {
        ".mp3",
        ".flac",
        ".ogg",
        ".opus",
        ".spx",
        ".oga",
        ".m4a",
        ".wav",
        ".aiff",
        ".dsf",
        ".wv",
        ".mpc",
        ".wma",
    } <= set(kinds)
    media.need("exiftool")


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.torture)])
def test_the_installed_program_scans_the_corpus_and_undoes_it(step: int, corpus: Round, program: Program) -> None:
    folder = program.home / "music"
    folder.mkdir()
    cases = list(corpus.cases.values())[::step]
    for case in cases:
        shutil.copy(case.original, folder)
    results = program.scan(folder, "--existing", "replace", "--min-confidence", "0.05", status=None)
    before = {case.original.name: case.original.read_bytes() for case in cases}
    assert {Path(result["path"]).name for result in results} == set(before)
    for result in results:
        path = Path(result["path"])
        changed = path.read_bytes() != before[path.name]
        assert changed == (result["status"] == "tagged"), result
        assert changed or result["error"] or result["reason"], result
    tagged = [result for result in results if result["status"] == "tagged"]
    assert len(tagged) > 0.9 * len(results)
    undone = program("undo")
    assert f"Changed {len(tagged)} files" in undone.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    print(f"{len(results)} files, {len(tagged)} of them tagged and taken back to the byte")
