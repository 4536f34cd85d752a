"""From labels to genre names: the plugin's own rules, and lastgenre's as lastgenre itself applies them."""

import json
import subprocess
import sys

import pytest

from genrify_tagger.genre_rules import GenreRules
from tests.beets_library import need_beets

LABELS = ["hiphop", "disco", "metal", "jazz", "classical", "country", "reggae", "rock", "pop", "blues"]

# The genres that lastgenre itself resolves the same names to, in a separate process, without network.
ASK_LASTGENRE = """
import json, sys
from beets import config, plugins
config["lastgenre"].set(json.loads(sys.argv[1]))
from beetsplug.lastgenre import LastGenrePlugin
plugin = LastGenrePlugin()
words = json.loads(sys.argv[2])
format_ = getattr(plugin, "_format_genres", None) or plugin._format_and_stringify
print(json.dumps([format_(plugin._resolve_genres([word])) for word in words]))
"""


@pytest.fixture(scope="module")
def module():
    need_beets()
    import beetsplug.genrify.lastgenre_files

    return beetsplug.genrify.lastgenre_files


@pytest.fixture(scope="module")
def vocabulary():
    from genrify_tagger.classifier import load_sidecar

    return load_sidecar().vocabularies["tree"]


def make(module, vocabulary, **more):
    return GenreRules(written=vocabulary.names, chosen=more.pop("chosen", {}), **{"count": 1, **more})


def test_without_settings_labels_get_their_written_names(module, vocabulary):
    genre_rules = make(module, vocabulary, count=2)
    assert genre_rules(["hiphop", "rnb", "jazz"], []) == ("Hip-Hop", "R&B")


def test_the_users_names_are_never_respelled(module, vocabulary):
    genre_rules = make(module, vocabulary, chosen={"hiphop": "RaP"}, title_case=False, count=2)
    assert genre_rules(["hiphop", "jazz"], []) == ("RaP", "jazz")


def test_a_whitelist_ignores_spelling(module, vocabulary, tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("# mine\nHip Hop\n\njazz\n")
    genre_rules = make(module, vocabulary, whitelist=module.load_whitelist(str(file), None), count=3)
    assert genre_rules(["metal", "hiphop", "jazz"], []) == ("Hip-Hop", "Jazz")
    assert genre_rules(["metal"], []) == ()


def test_present_genres_count_when_they_are_kept(module, vocabulary):
    genre_rules = make(module, vocabulary, count=2, keep_existing=True)
    assert genre_rules(["hiphop", "jazz"], ["Dub"]) == ("Hip-Hop",)
    assert genre_rules(["hiphop", "jazz"], ["Hip Hop"]) == ("Jazz",)
    assert genre_rules(["hiphop"], ["Dub", "Ska"]) == ()
    assert make(module, vocabulary)(["jazz"], ["Jazz"]) == ("Jazz",)


def test_a_custom_tree_gives_the_parents(module, vocabulary, tmp_path):
    file = tmp_path / "tree.yaml"
    file.write_text("- urban:\n    - hip hop:\n        - trap\n    - r&b\n- jazz\n")
    tree = module.load_tree(str(file), None)
    assert make(module, vocabulary, tree=tree, canonical=True)(["hiphop"], []) == ("Urban",)
    wanted = frozenset({"hiphop", "urban"})
    both = make(module, vocabulary, tree=tree, canonical=True, whitelist=wanted, count=2)
    assert both(["hiphop"], []) == ("Hip Hop", "Urban")
    specific = make(module, vocabulary, tree=tree, prefer_specific=True, count=2)
    assert specific(["jazz", "hiphop"], []) == ("Hip-Hop", "Jazz")


@pytest.mark.parametrize(("choice", "complaint"), [("/nowhere", "cannot be read"), ("BINARY", "not UTF-8")])
def test_files_that_cannot_be_used_are_named(module, tmp_path, choice, complaint):
    from beets.ui import UserError

    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    file = choice.replace("BINARY", str(tmp_path / "binary"))
    for load in (module.load_whitelist, module.load_tree):
        with pytest.raises(UserError, match=complaint):
            load(file, None)
    (tmp_path / "bad.yaml").write_text("- [")
    with pytest.raises(UserError, match="not valid YAML"):
        module.load_tree(str(tmp_path / "bad.yaml"), None)


@pytest.mark.parametrize("whitelist", [True, False])
@pytest.mark.parametrize("count", [1, 3])
def test_lastgenres_tree_and_whitelist_work_as_in_lastgenre(module, vocabulary, whitelist, count):
    pytest.importorskip("pylast")
    settings = {"canonical": True, "whitelist": whitelist, "count": count, "auto": False}
    words = [vocabulary.names[label].lower().replace("hip-hop", "hip hop") for label in LABELS]
    done = subprocess.run(
        [sys.executable, "-c", ASK_LASTGENRE, json.dumps(settings), json.dumps(words)],
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = [names_.split(", ") if isinstance(names_, str) else names_ for names_ in json.loads(done.stdout)]
    genre_rules = make(
        module,
        vocabulary,
        tree=module.load_tree(True, None),
        whitelist=module.load_whitelist(whitelist, None),
        canonical=True,
        count=count,
    )
    assert [list(genre_rules([label], [])) for label in LABELS] == theirs
