"""Learning: what is learned from, what is held out, what is refused, and what it changes; see also test_learn_scan."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrify_tagger.decision.evidence import KNOWN, STRANGER, join_evidence, tag_scores
from genrify_tagger.errors import ModelError
from genrify_tagger.learn import learn_vocabulary
from genrify_tagger.learn.discriminant import DiscriminantTrainer
from genrify_tagger.learn.evidence_fit import choose_threshold, fit_weights
from genrify_tagger.learn.held_out import Songs, artist_folds, held_out_evidence, others, pooled, song_folds
from genrify_tagger.learned_vocabulary import KINDS, learned_vocabulary
from genrify_tagger.pipeline import open_session
from tests import media
from tests.learning import GENRES, fill, settings_for
from tests.program import Program


def learned_from(settings, **more):
    with open_session(settings) as session:
        return learn_vocabulary(session, "mine", **more)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    (tmp_path / "home").mkdir()
    return Program(tmp_path / "home")


# --- what is learned ---


def test_genres_of_the_users_own_are_learned_and_told_apart(tmp_path):
    options = settings_for(tmp_path)
    fill(options, untagged=1)
    learned = learned_from(options)
    report = learned.report
    assert learned.vocabulary is not None
    assert [genre["name"] for genre in report["genres"]] == sorted(GENRES)
    assert {(genre["songs"], genre["artists"]) for genre in report["genres"]} == {(20, 10)}
    assert (report["songs"], report["artists"], report["in_use"], report["reason"]) == (60, 30, True, None)
    assert report["held_out"] == {"songs": 60, "written": 60, "right": 60}
    assert (learned.untagged, sum(learned.filled)) == (30, 30)


def test_it_is_the_same_each_time(tmp_path):
    options = settings_for(tmp_path)
    fill(options)
    one, other = (learned_from(options).vocabulary for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.as_bytes() == other.as_bytes()
    assert one.id == learned_vocabulary(one.as_bytes()).id


def test_permuted_genres_give_chance_and_are_not_put_to_use(tmp_path):
    options = settings_for(tmp_path)
    fill(options, artists=12, shuffled=True, artist_key="", album_key="")
    learned = learned_from(options)
    assert not learned.report["in_use"]
    held_out = learned.report["held_out"]
    assert held_out["written"] <= 0.05 * held_out["songs"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [("tagged", None), ("kept", "tagged earlier"), ("kept", "already has this genre"), ("unsure", "x")],
)
def test_what_the_program_wrote_itself_never_teaches(tmp_path, status, reason):
    options = settings_for(tmp_path)
    fill(options, status=status, reason=reason)
    assert learned_from(options).report["songs"] == 0


def test_the_journal_tells_what_the_program_wrote(tmp_path):
    options = settings_for(tmp_path)
    records = fill(options)
    with open_session(options) as session:
        for origin, record in zip(("scan", "beets", "watch", "set", "undo"), records, strict=False):
            run = session.store.start_run(origin)
            change = session.store.begin_change(
                run=run,
                path=record.path,
                field="genre",
                before=None,
                after=b"x",
                after_genres=record.after,
                origin=origin,
                audio_key=record.audio_key,
            )
            session.store.finish_change(change, "done")
    assert learned_from(options).report["songs"] == len(records) - 3


def test_corrections_count_most(tmp_path):
    options = settings_for(tmp_path)
    fill(options)
    plain = learned_from(options).vocabulary
    with open_session(options) as session:
        records = [*session.store.files_under()]
        session.store.save_files([replace(records[0], reason="set by hand")])
    corrected = learned_from(options).vocabulary
    assert plain is not None
    assert corrected is not None
    assert not np.array_equal(plain.fine_bias, corrected.fine_bias)


def test_only_songs_below_the_given_paths_teach(tmp_path):
    options = settings_for(tmp_path)
    fill(options)
    assert learned_from(options, paths=["/music/1", "/music/2"]).report["songs"] == 0
    assert learned_from(options, paths=["/music"]).report["songs"] == 90


# --- refusals ---


def test_too_few_examples_are_refused(tmp_path):
    options = settings_for(tmp_path)
    fill(options, artists=2, songs=2)
    learned = learned_from(options)
    assert learned.vocabulary is None
    assert "not enough examples" in learned.report["reason"]
    assert set(learned.left_out) == set(GENRES)


def test_songs_that_an_earlier_model_analysed_are_counted(tmp_path):
    options = settings_for(tmp_path)
    fill(options)
    with closing(sqlite3.connect(tmp_path / "library.db")) as database, database:
        database.execute("UPDATE analyses SET model = '1.3-68ba208a' WHERE audio_key < ?", (f"{15:032x}",))
        database.execute("UPDATE analyses SET spread = NULL WHERE audio_key >= ?", (f"{80:032x}",))
    learned = learned_from(options)
    assert (learned.outdated, learned.report["songs"]) == (25, 65)


def test_a_genre_of_one_artist_is_left_out(tmp_path):
    options = settings_for(tmp_path)
    records = fill(options)
    with open_session(options) as session:
        one = [replace(r, artist_key="one") for r in records if r.after == ("Kids",)]
        session.store.save_files(one)
    learned = learned_from(options)
    assert learned.left_out == {"Kids": "one artist makes up most of it"}
    assert [genre["name"] for genre in learned.report["genres"]] == ["Chanson", "Doom Metal"]


def test_an_export_names_no_path_title_or_artist_and_damage_is_found(tmp_path):
    options = settings_for(tmp_path)
    fill(options)
    vocabulary = learned_from(options).vocabulary
    assert vocabulary is not None
    content = vocabulary.as_bytes()
    assert not [word for word in (b"/music", b"Artist", b"artist1", b"song 1") if word in content]
    for broken in (b"", content[:100], content.replace(b"fine_bias", b"fine_bits")):
        with pytest.raises(ModelError):
            learned_vocabulary(broken)


# --- held-out songs never reach the head that judges them ---


def songs_of(rng, n=60, genres=3) -> Songs:
    classes = rng.integers(0, genres, n)
    leaves = rng.dirichlet(np.ones(4), n)
    return Songs(
        features=rng.normal(size=(n, 12)).astype(np.float32) + classes[:, np.newaxis].astype(np.float32),
        coarse_columns=np.arange(5),
        leaf_probabilities=leaves,
        genres=classes,
        allowed=np.eye(genres, dtype=bool)[classes],
        judged=np.ones(n, bool),
        artists=rng.integers(-1, 15, n),
        albums=rng.integers(-1, 25, n),
        weights=np.ones(n),
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([STRANGER, KNOWN]))
def test_what_is_said_of_a_held_out_song_does_not_depend_on_its_genre(seed, regime):
    rng = np.random.default_rng(seed)
    songs = songs_of(rng)
    folds = artist_folds(songs) if regime == STRANGER else song_folds(songs)
    held_out = folds == 0
    changed = songs.genres.copy()
    changed[held_out] = (changed[held_out] + 1) % 3
    other = replace(songs, genres=changed, allowed=np.eye(3, dtype=bool)[changed])
    # frequencies are told of the library as a whole; the sound's evidence is not
    for kind, before, after in zip(
        KINDS, held_out_evidence(songs, regime), held_out_evidence(other, regime), strict=True
    ):
        if kind.endswith(("coarse", "fine")):
            np.testing.assert_allclose(before[held_out], after[held_out], atol=1e-6, err_msg=kind)


def test_artists_are_held_out_as_a_whole():
    songs = songs_of(np.random.default_rng(1))
    folds = artist_folds(songs)
    for artist in range(15):
        assert len(set(folds[songs.artists == artist])) <= 1


def test_a_head_without_a_fold_is_that_of_the_other_songs():
    songs = songs_of(np.random.default_rng(2))
    folds = song_folds(songs)
    trainer = DiscriminantTrainer(songs.features, songs.genres, songs.weights, 3, 0.3)
    for fold, head in enumerate(trainer.held_out(folds)):
        rest = np.where(folds == fold, -1, songs.genres)
        alone = DiscriminantTrainer(songs.features, rest, songs.weights, 3, 0.3).train()
        np.testing.assert_allclose(head.weights, alone.weights, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(head.bias, alone.bias, rtol=1e-4, atol=1e-5)


# --- joining ---


def test_company_does_not_include_the_song_itself():
    values = np.array([[1.0], [2.0], [4.0], [8.0]])
    groups = np.array([0, 0, -1, -1])
    assert others(values, groups).ravel().tolist() == [2, 1, 0, 0]
    assert pooled(values, groups).ravel().tolist() == [1.5, 1.5, 4, 8]


def test_without_other_songs_their_genres_say_nothing():
    assert tag_scores(np.zeros((1, 3)), np.array([0.2, 0.3, 0.5])) == pytest.approx(np.zeros((1, 3)))


def test_evidence_never_counts_against_what_it_speaks_for():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 200)
    allowed = np.eye(3, dtype=bool)[truth]
    good = np.eye(3)[truth] * 2 + rng.normal(size=(200, 3))
    scores = [good if kind == "coarse" else -good if kind == "fine" else rng.normal(size=(200, 3)) for kind in KINDS]
    weights = fit_weights(scores, allowed, np.ones(200))
    assert (weights >= 0).all()
    assert weights[KINDS.index("fine")] == 0
    assert (join_evidence(scores, weights).argmax(axis=1) == truth).mean() > 0.8


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60), st.sampled_from([0.8, 0.9, 0.95]))
def test_above_the_threshold_the_wanted_share_is_right(songs, precision):
    confidence = np.array([c for c, _ in songs])
    right = np.array([r for _, r in songs], bool)
    above = confidence >= choose_threshold(confidence, right, precision)
    assert not above.any() or right[above].mean() >= precision or (confidence[above] == 1).all()


# --- the program ---


def test_the_program_learns_lists_shares_and_forgets(program, tmp_path):
    options = settings_for(tmp_path)
    fill(options, untagged=1)
    database = ("--database", str(tmp_path / "library.db"))
    done = program("learn", *database)
    assert "Of 30 songs without a genre, 30 would get one: the right one in" in done.stdout
    assert done.stderr == "To tag songs with these genres: genrify-tag scan ~/Music\n"
    report = json.loads(program("learn", *database, "--format", "json").stdout)
    assert list(report) == [
        *("vocabulary", "songs", "artists", "sample", "genres", "held_out", "threshold", "in_use", "reason"),
    ]
    assert list(report["genres"][0]) == ["name", "songs", "artists", "precision", "coverage"]
    assert "mine" in program("vocabulary", "list", *database).stdout
    file = tmp_path / "mine.genrify"
    program("vocabulary", "export", "mine", str(file), *database)
    program("vocabulary", "delete", "mine", *database)
    assert program("vocabulary", "show", "mine", *database, status=1).stderr
    program("vocabulary", "import", str(file), "--name", "anna", *database)
    program("vocabulary", "use", "anna", *database)
    listed = json.loads(program("vocabulary", "list", "--format", "json", *database).stdout)["vocabularies"]
    assert [(one["name"], one["in_use"], one["genres"]) for one in listed] == [("anna", True, 3)]
    program("vocabulary", "use", "--none", *database)
    assert "no" in program("vocabulary", "list", *database).stdout
    file.write_bytes(b"nonsense")
    assert "no learned vocabulary" in program("vocabulary", "import", str(file), *database, status=1).stderr


def test_the_program_says_what_became_of_a_vocabulary(program, tmp_path):
    options = settings_for(tmp_path)
    fill(options)
    database, file = ("--database", str(tmp_path / "library.db")), tmp_path / "mine.genrify"
    program("learn", *database)
    assert "Saved vocabulary mine" in program("vocabulary", "export", "mine", file, *database).stderr
    for name, refusal in (("a b", 'allowed are letters, digits, "_", "." and "-"'), ("", "empty"), ("tree", "model")):
        assert refusal in program("vocabulary", "import", file, "--name", name, *database, status=2).stderr
    assert (
        "genrify-tag vocabulary use anna" in program("vocabulary", "import", file, "--name", "anna", *database).stderr
    )
    assert "Vocabulary anna is in use" in program("vocabulary", "use", "anna", *database).stderr
    empty = ("--database", str(tmp_path / "empty.db"))
    program("scan", tmp_path, *empty)
    assert "no song was analysed yet; scan the library first" in program("learn", *empty).stdout
    few = str(next(song.path for song in _some_file(options)))
    assert "Vocabulary anna stays in use." in program("learn", few, "--name", "few", *database).stdout
    assert "The model's own is in use" in program("vocabulary", "delete", "anna", *database).stderr
    assert "The shipped vocabulary decides." in program("learn", few, *database).stdout
    learned = learned_from(settings_for(tmp_path, precision=0.999))
    hopeless = replace(learned, report={**learned.report, "in_use": False, "reason": "not sure"}).report
    assert learned.vocabulary is not None
    content = replace(learned.vocabulary, report=hopeless).as_bytes()
    with open_session(options) as session:
        session.store.save_vocabulary("hopeless", content, in_use=False)
    assert "it was not put to use: not sure." in program("vocabulary", "use", "hopeless", *database).stderr
    assert "it was not put to use: not sure." in program("vocabulary", "show", "hopeless", *database).stdout


def _some_file(options):
    with open_session(options) as session:
        return list(session.store.files_under())


def test_the_vocabulary_tree_can_be_named_while_a_learned_one_is_in_use(program, tmp_path):
    options = settings_for(tmp_path)
    fill(options)
    database = ("--database", str(tmp_path / "library.db"))
    program("learn", *database)
    song = media.make("flac", tmp_path)
    for named, vocabulary in (((), "mine"), (("--vocabulary", "mine"), "mine"), (("--vocabulary", "tree"), "tree")):
        shown = json.loads(program("show", song, *named, "--format", "json", *database).stdout)
        (scanned,) = program.scan(song, *named, "--dry-run", *database)
        assert (shown["vocabulary"], scanned["vocabulary"]) == (vocabulary, vocabulary)


def test_without_a_learned_vocabulary_nothing_changes(tmp_path):
    options = settings_for(tmp_path)
    fill(options)
    with open_session(options) as session:
        before, labels = session.active.settings_key, session.active.vocabulary.labels
        learned = learn_vocabulary(session, "mine").vocabulary
        assert learned is not None
        session.store.save_vocabulary("mine", learned.as_bytes(), in_use=False)
    with open_session(options) as session:
        assert (session.active.settings_key, session.active.vocabulary.labels) == (before, labels)
        session.store.use_vocabulary("mine")
        session.follow_vocabulary()
        assert session.active.vocabulary.labels == learned.genres
    with open_session(options) as session:
        assert session.active.vocabulary.labels == learned.genres
        assert session.active.settings_key != before
    with open_session(settings_for(tmp_path, evidence="sound")) as session:
        assert (session.active.settings_key, session.active.vocabulary.labels) == (before, labels)


def test_a_vocabulary_of_another_models_analyses_is_stale(tmp_path, caplog):
    options = settings_for(tmp_path)
    fill(options)
    with open_session(options) as session:
        learned = learn_vocabulary(session, "mine").vocabulary
        assert learned is not None
        session.store.save_vocabulary("mine", replace(learned, model="other").as_bytes(), in_use=True)
    with open_session(options) as session:
        assert session.active.vocabulary.labels != learned.genres
    assert "genrify-tag learn" in caplog.text
