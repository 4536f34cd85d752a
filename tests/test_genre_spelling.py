"""Words for genres: which mean the same, which name stands for them, and which fold into a wider genre."""

from hypothesis import given
from hypothesis import strategies as st

from genrify_tagger.genre_rules import parse_tree
from genrify_tagger.genre_spelling import UnifiedNames, fold_rare, genre_spelling, spelling, unify

TREE = parse_tree("- rock:\n    - metal:\n        - doom metal\n        - death metal\n    - surf\n- jazz\n")


def names_of(counts, **more):
    rules = genre_spelling(**more)
    return {genre.name: genre.files for genre in unify(counts, rules)}


def test_spellings_of_a_name_are_one():
    same = ["Drum & Bass", "drum and bass", "Drum'n'Bass", "Drum n Bass", "DRUM_AND_BASS", "drum-and-bass"]
    assert len({spelling(name) for name in same}) == 1
    assert spelling("Hip-Hop") == spelling("hip hop") == spelling("HIPHOP")
    assert spelling("R&B") == spelling("R and B") == spelling("R'n'B")
    assert spelling("Band") != spelling("B&")
    assert spelling("Candyland") != spelling("C&yl&")


def test_the_words_of_the_issue_are_one_genre():
    counts = {"Hip Hop": 9, "Hip-Hop": 2, "Rap/Hip-Hop": 3, "rap": 1, "hip hop": 1}
    assert names_of(counts) == {"Hip-Hop": 16}


def test_the_most_frequent_word_stands_for_a_genre_unless_a_name_is_known():
    counts = {"doom metal": 1, "Doom Metal": 5, "Doom-Metal": 2}
    assert names_of(counts) == {"Doom Metal": 8}
    assert names_of(counts, known=["Doom-Metal"]) == {"Doom-Metal": 8}
    assert names_of({"zydeco": 1, "Zydeco": 1, "ZYDECO": 1}) == {"Zydeco": 3}


def test_several_genres_in_one_field_are_separated_but_not_within_a_known_name():
    assert names_of({"Rock; Pop": 2, "Pop/Rock": 1, "Rock|Jazz": 1}) == {"Rock": 4, "Pop": 3, "Jazz": 1}
    assert names_of({"Singer/Songwriter": 2}, known=["Singer/Songwriter"]) == {"Singer/Songwriter": 2}


def test_the_users_aliases_win_and_a_genre_of_the_users_tree_is_nobodys_alias():
    assert names_of({"Rap": 2}, aliases={"rap": "Sprechgesang"}) == {"Sprechgesang": 2}
    assert names_of({"Rap": 2, "Hip-Hop": 1}, own={"rap"}) == {"Rap": 2, "Hip-Hop": 1}


def test_ignored_words_are_no_genre():
    rules = genre_spelling(ignored=["Favourites"])
    found = unify({"favourites; Jazz": 3}, rules)
    assert [genre.name for genre in found] == ["Jazz"]
    assert UnifiedNames(found, rules)(["favourites; Jazz", "JAZZ"]) == ("Jazz",)


WORDS = st.dictionaries(st.text("aB &-/;'n", min_size=1, max_size=8), st.integers(1, 9), max_size=6)


@given(WORDS)
def test_a_library_that_was_tidied_is_tidy(counts):
    rules = genre_spelling()
    names = UnifiedNames(unify(counts, rules), rules)
    for word in counts:
        assert names(names([word])) == names([word])


def test_rare_genres_fold_into_the_nearest_wider_one_that_is_frequent_enough():
    counts = {"Doom Metal": 3, "Death Metal": 40, "Surf": 1, "Rock": 9, "Jazz": 2, "Kids": 1}
    assert fold_rare(counts, TREE, 8) == {"Doom Metal": "Rock", "Surf": "Rock"}
    assert fold_rare({**counts, "Metal": 5}, TREE, 8) == {"Doom Metal": "Metal", "Surf": "Rock"}
    assert fold_rare({"Doom Metal": 4, "Death Metal": 4}, TREE, 8) == {"Doom Metal": "Metal", "Death Metal": "Metal"}


def test_the_users_alias_also_holds_for_the_common_words_for_that_genre() -> None:
    rules = genre_spelling({"hip hop": "Rap"})
    (genre,) = unify({"Hip-Hop": 2, "Rap/Hip-Hop": 3, "rap": 1}, rules)
    assert (genre.name, genre.files) == ("Rap", 6)
