"""The rules that decide whether a genre may be written."""

from dataclasses import replace

import pytest

from genrify_tagger.config import TaggingSettings
from genrify_tagger.decision import Decision
from genrify_tagger.pipeline.write_policy import Provenance, WriteDecision, decide_write

SURE = Decision(genres=("rock",), confidence=0.9, scores={"rock": 0.9, "pop": 0.1}, reason=None)
UNSURE = Decision(genres=(), confidence=0.3, scores={"rock": 0.5, "pop": 0.5}, reason="confidence 0.30 below 0.60")
RULES = TaggingSettings()


def verdict(present, decision=SURE, provenance=Provenance.NOT_WRITTEN, rules=RULES, **options):
    names = ("Rock",) if decision.genres else ()
    return decide_write(present, decision, names, provenance, rules, **options)


def test_an_empty_file_gets_the_genre():
    assert verdict(()) == WriteDecision("tagged", ("Rock",))


@pytest.mark.parametrize("junk", ["", "Other", "unknown", " Genre "])
def test_junk_counts_as_none(junk):
    assert verdict((junk,)) == WriteDecision("tagged", ("Rock",))


def test_a_present_genre_is_kept_by_default():
    assert verdict(("Shoegaze",)).status == "kept"


def test_merge_appends():
    rules = replace(RULES, existing="merge")
    assert verdict(("Shoegaze",), rules=rules) == WriteDecision("tagged", ("Shoegaze", "Rock"))
    assert verdict(("shoegaze", "ROCK"), rules=rules).status == "kept"


def test_replace_replaces_only_what_differs():
    rules = replace(RULES, existing="replace")
    assert verdict(("Shoegaze",), rules=rules) == WriteDecision("tagged", ("Rock",))
    assert verdict(("rock",), rules=rules).status == "kept"


def test_unsure_is_never_written():
    assert verdict((), UNSURE) == WriteDecision("unsure", reason="confidence 0.30 below 0.60")
    assert verdict(("Jazz",), UNSURE, rules=replace(RULES, existing="replace")).status == "kept"


@pytest.mark.parametrize("provenance", [Provenance.UNDONE, Provenance.CHANGED_SINCE])
def test_changes_by_others_are_respected_unless_forced(provenance):
    assert verdict((), provenance=provenance).status == "skipped"
    assert verdict(("Own",), provenance=provenance, rules=replace(RULES, existing="replace")).status == "kept"
    assert verdict((), provenance=provenance, force=True) == WriteDecision("tagged", ("Rock",))
    assert verdict((), provenance=provenance, reanalyse=True).status == "skipped"


def test_a_genre_set_by_hand_is_never_replaced():
    rules = replace(RULES, existing="replace")
    assert (
        verdict(("Own",), provenance=Provenance.SET_BY_HAND, rules=rules, force=True, reanalyse=True).status == "kept"
    )
    assert verdict((), provenance=Provenance.SET_BY_HAND, force=True).status == "kept"


def test_a_genre_of_this_program_changes_only_on_reanalysis():
    assert verdict(("Pop",), provenance=Provenance.WRITTEN_BY_PROGRAM).status == "kept"
    assert verdict(("Pop",), provenance=Provenance.WRITTEN_BY_PROGRAM, reanalyse=True) == WriteDecision(
        "tagged", ("Rock",)
    )
    assert verdict(("Pop",), UNSURE, provenance=Provenance.WRITTEN_BY_PROGRAM, reanalyse=True).status == "kept"


def test_protected_genres_are_left_alone():
    rules = replace(RULES, existing="replace", protected=("Audiobook",))
    spared = verdict(("audiobook",), rules=rules, force=True)
    assert spared == WriteDecision("skipped", reason="audiobook is a protected genre")
