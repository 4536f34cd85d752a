"""Settings: defaults, file, environment, command line; and the messages if one of them is wrong."""

from __future__ import annotations

import os
import pickle
import re
import tomllib

import pytest

from genrify_tagger.config import (
    Settings,
    config_path,
    declared,
    default_database_url,
    effective_json,
    effective_toml,
    load_settings,
    settings_template,
    sqlite_path,
)
from genrify_tagger.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of its own, and no setting in the environment."""
    for name in [n for n in os.environ if n.startswith("GENRIFY_") or n.startswith("XDG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(home, text, name="genrify.toml"):
    path = home / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def from_file(home, text):
    return load_settings(config_file=written(home, text), environ={}).settings


def error_of(**given):
    with pytest.raises(ConfigError) as caught:
        load_settings(**{"environ": {}, **given})
    return caught.value


# --- defaults and order ---


def test_defaults():
    settings = load_settings(environ={}).settings
    assert settings == Settings()
    assert (settings.library.max_minutes, settings.analysis.segments, settings.analysis.jobs) == (20, 8, 0)
    assert (settings.analysis.vocabulary, settings.analysis.existing) == ("tree", True)
    assert (settings.analysis.time_limit_seconds, settings.analysis.memory_limit_mb) == (30, 512)
    assert (settings.tagging.existing, settings.tagging.field, settings.tagging.max_genres) == ("keep", "genre", 1)
    assert settings.tagging.treat_as_missing == ("", "Other", "Unknown", "Genre")
    assert settings.tagging.min_confidence is None
    assert (settings.tagging.hardlinks, settings.tagging.ownership, settings.tagging.keep_mtime) == (
        "refuse",
        "require",
        False,
    )
    assert (settings.watch.settle_seconds, settings.watch.rescan_hours, settings.watch.polling) == (10, 24, "auto")
    assert (settings.web.host, settings.web.port, settings.web.token) == ("127.0.0.1", 8650, "")


def test_later_sources_win_and_each_value_knows_its_origin(home):
    file = written(home, "[tagging]\n\nexisting = 'merge'\nmax_genres = 2\nfield = 'style'\n")
    loaded = load_settings(
        config_file=file,
        environ={"GENRIFY_TAGGING__MAX_GENRES": "3", "GENRIFY_TAGGING__FIELD": "mood"},
        overrides={"tagging.field": "genre", "tagging.keep_mtime": None, "library.include": ()},
    )
    tagging = loaded.settings.tagging
    assert (tagging.existing, tagging.max_genres, tagging.field, tagging.keep_mtime) == ("merge", 3, "genre", False)
    origins = {key.removeprefix("tagging."): value for key, value in loaded.origins.items()}
    assert origins["existing"] == f"{file}:3"
    assert origins["max_genres"] == "GENRIFY_TAGGING__MAX_GENRES"
    assert origins["field"] == "command line"
    assert origins["keep_mtime"] == origins["library.include"] == "default"


def test_names_are_added_to_label_by_label(home):
    file = written(home, '[tagging.names]\nhiphop = "Rap"\nrock = "Rock Music"\n')
    environ = {"GENRIFY_TAGGING__NAMES__ROCK": "Rock", "GENRIFY_TAGGING__NAMES": '{ pop = "Pop Music" }'}
    loaded = load_settings(config_file=file, environ=environ)
    assert loaded.settings.tagging.names == {"hiphop": "Rap", "rock": "Rock", "pop": "Pop Music"}


def test_settings_travel_to_other_processes(home):
    settings = from_file(home, '[tagging.names]\nrock = "Rock"\n')
    assert pickle.loads(pickle.dumps(settings)) == settings


# --- which file ---


def test_the_file_is_in_the_platforms_config_folder_or_where_the_environment_says(home):
    assert config_path({}) == str(home / ".config/genrify-tagger/config.toml")
    assert config_path({"GENRIFY_CONFIG": "~/x.toml"}) == str(home / "x.toml")
    (home / ".config/genrify-tagger").mkdir(parents=True)
    written(home, "[web]\nport = 1", ".config/genrify-tagger/config.toml")
    assert load_settings(environ={}).settings.web.port == 1
    named = written(home, "[web]\nport = 2")
    assert load_settings(environ={"GENRIFY_CONFIG": named}).settings.web.port == 2
    assert load_settings(environ={"GENRIFY_CONFIG": "/nowhere"}, config_file=named).settings.web.port == 2


@pytest.mark.parametrize(
    "given", [{"config_file": "/nowhere/x.toml"}, {"environ": {"GENRIFY_CONFIG": "/nowhere/x.toml"}}]
)
def test_a_named_file_has_to_exist(given):
    error = error_of(**given)
    assert (error.path, error.exit_status) == ("/nowhere/x.toml", 2)
    assert "no such settings file" in str(error)


def test_a_file_that_cannot_be_read_is_an_error_with_its_name(home):
    folder = home / "folder.toml"
    folder.mkdir()
    assert error_of(config_file=str(folder)).path == str(folder)
    latin = home / "latin.toml"
    latin.write_bytes(b"# caf\xe9")
    assert "UTF-8" in str(error_of(config_file=str(latin)))


def test_a_byte_order_mark_is_ignored(home):
    assert from_file(home, "\ufeff[web]\nport = 3").web.port == 3


# --- what is wrong, in plain words, with file and line ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tagging]\n\nexsting = 'keep'", 'line 3: unknown key "exsting" in [tagging]; did you mean "existing"?'),
        ("[library]\nsegments = 4", 'line 2: unknown key "segments" in [library]; "segments" belongs in [analysis]'),
        ("# x\nport = 4", 'line 2: unknown key "port" outside all sections; "port" belongs in [web]'),
        ("[taging]\n", "line 1: unknown section [taging]; did you mean [tagging]?"),
        ("[xyzzy]\n", "line 1: unknown section [xyzzy]; the sections are [library]"),
        ("library = 3", 'line 1: "library" is a section: write [library] on a line of its own'),
        ("tagging.existing = 'no'", 'line 1: tagging.existing must be "keep", "merge" or "replace", not "no"'),
        ("[tagging]\nkeep_mtime = 'yes'", 'line 2: tagging.keep_mtime must be true or false, not "yes"'),
        ("[web]\nport = 70000", "line 2: web.port must be a whole number from 0 to 65535, not 70000"),
        ("[web]\nport = 80.5", "line 2: web.port must be a whole number from 0 to 65535, not 80.5"),
        ("[web]\nport = true", "line 2: web.port must be a whole number from 0 to 65535, not true"),
        ("[tagging]\nmin_confidence = 60", "line 2: tagging.min_confidence must be a number from 0 to 1, not 60"),
        ("[tagging]\nmin_confidence = nan", "line 2: tagging.min_confidence must be a number from 0 to 1, not nan"),
        ("[watch]\nsettle_seconds = -1", "line 2: watch.settle_seconds must be a number of at least 0, not -1"),
        (
            f"[watch]\nsettle_seconds = {'9' * 400}",
            "line 2: watch.settle_seconds must be a number of at least 0, not 99",
        ),
        ("[library]\nroots = '~/Music'", 'line 2: library.roots must be a list such as ["~/Music"], not "~/Music"'),
        ("[library]\nroots = [3]", "line 2: library.roots must be text in quotes, not 3"),
        (
            "[library]\nexclude = ['/']",
            'line 2: library.exclude must not contain the pattern "/", which matches nothing',
        ),
        ("[tagging]\nfield = ''", "line 2: tagging.field must not be empty"),
        ("[tagging]\nfield = 'a=b'", 'line 2: tagging.field must not be "a=b"'),
        ("[tagging]\nnames = 3", "line 2: tagging.names must be a table such as"),
        (
            "[tagging.names]\nrock = 'Rock/Pop'",
            'line 1: tagging.names must not contain the name "Rock/Pop": players treat "/"',
        ),
        ("[tagging.names]\nrock = ' '", "line 1: tagging.names must not contain an empty name"),
        ("[database]\nurl = ''", "line 2: database.url must not be empty"),
        ("[tagging\n", "not valid TOML: "),
        ("[web]\nport = 1\nport = 2", "not valid TOML: "),
    ],
)
def test_a_mistake_in_the_file_is_reported_with_its_line(home, text, message):
    file = written(home, text)
    error = error_of(config_file=file)
    assert str(error).startswith(message)
    assert (error.path, error.exit_status) == (file, 2)
    assert "\n" not in str(error)
    assert len(str(error)) < 200


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "GENRIFY_ANALYSIS__JOBS",
            "many",
            "GENRIFY_ANALYSIS__JOBS: analysis.jobs must be a whole number from 0 to 256",
        ),
        (
            "GENRIFY_ANALYSIS__JOB",
            "1",
            "unknown environment variable GENRIFY_ANALYSIS__JOB; did you mean GENRIFY_ANALYSIS__JOBS?",
        ),
        (
            "GENRIFY_TAGGING_EXISTING",
            "keep",
            "unknown environment variable GENRIFY_TAGGING_EXISTING; did you mean GENRIFY_TAGGING__EXISTING?",
        ),
        ("GENRIFY_LIBRARY__ROOTS__X", "1", "unknown environment variable GENRIFY_LIBRARY__ROOTS__X"),
        ("GENRIFY_LIBRARY__ROOTS", "[1, ", "GENRIFY_LIBRARY__ROOTS: library.roots cannot be read as a TOML value"),
        (
            "GENRIFY_TAGGING__EXISTING",
            "\x1b[2J",
            r'GENRIFY_TAGGING__EXISTING: tagging.existing must be "keep", "merge" or "replace", not "\x1b[2J"',
        ),
    ],
)
def test_a_mistake_in_the_environment_is_reported_with_its_variable(variable, value, message):
    error = error_of(environ={variable: value})
    assert str(error).startswith(message)
    assert error.path is None


def test_a_variable_of_another_program_is_ignored():
    assert load_settings(environ={"GENRIFY_VERSION": "3", "GENRIFYX": "1"}).settings == Settings()


def test_a_mistake_on_the_command_line_is_reported_as_such():
    error = error_of(overrides={"tagging.min_confidence": 7.0})
    assert str(error) == "command line: tagging.min_confidence must be a number from 0 to 1, not 7.0"


# --- values ---


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("tagging.keep_mtime", "TRUE", True),
        ("tagging.keep_mtime", "no", False),
        ("tagging.min_confidence", "0.75", 0.75),
        ("tagging.min_confidence", "", None),
        ("library.max_minutes", "90", 90.0),
        ("tagging.protected", "Audiobook, Podcast", ("Audiobook", "Podcast")),
        ("tagging.protected", "", ()),
        ("tagging.protected", '["a, b"]', ("a, b")),
        ("tagging.treat_as_missing", ",Other", ("", "Other")),
        ("library.roots", "/a,/b", ("/a", "/b")),
    ],
)
def test_the_environment_can_hold_every_type(name, text, value):
    loaded = load_settings(environ={declared()[name].variable: text})
    section, key = name.split(".")
    found = getattr(getattr(loaded.settings, section), key)
    assert found == ((value,) if isinstance(value, str) else value)
    assert loaded.origins[name] == declared()[name].variable


def test_every_setting_can_be_given_by_environment_and_is_declared_with_a_sentence():
    for setting in declared().values():
        assert re.fullmatch(r"GENRIFY_[A-Z]+__[A-Z_]+", setting.variable)
        assert setting.doc.endswith("."), setting.name


def test_home_is_expanded_and_relative_paths_start_at_the_file(home):
    (home / "sub").mkdir()
    file = written(home, "[library]\nroots = ['~/Music', 'More', '/abs']\n[analysis]\nmodel = 'm.json'", "sub/c.toml")
    settings = load_settings(config_file=file, environ={}).settings
    assert settings.library.roots == (f"{home}/Music", f"{home}/sub/More", "/abs")
    assert settings.analysis.model == f"{home}/sub/m.json"
    from_here = load_settings(environ={}, overrides={"library.roots": ["x"]}).settings
    assert from_here.library.roots == (f"{home}/x",)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("~/a.db", "sqlite:///{home}/a.db"),
        ("a b.db", "sqlite:///{home}/a b.db"),
        ("sqlite:///a.db", "sqlite:///{home}/a.db"),
        ("sqlite:////srv/a.db", "sqlite:////srv/a.db"),
        ("postgresql://u:p@host/name", "postgresql://u:p@host/name"),
    ],
)
def test_a_database_is_a_url_or_a_file(home, given, url):
    settings = load_settings(environ={"GENRIFY_DATABASE__URL": given}).settings
    assert settings.database.url == url.format(home=home)


def test_a_database_file_with_a_question_mark_is_refused():
    assert "question mark" in str(error_of(environ={"GENRIFY_DATABASE__URL": "what?.db"}))


def test_the_default_database_is_in_the_data_folder(home):
    assert load_settings(environ={}).settings.database.url == default_database_url()
    assert sqlite_path(default_database_url()) == f"{home}/.local/share/genrify-tagger/library.db"
    assert sqlite_path("postgresql://host/name") is None


# --- as text ---


def test_the_template_changes_nothing_and_explains_everything(home):
    assert from_file(home, settings_template()) == Settings()
    for setting in declared().values():
        assert f"\n# {setting.key} = " in settings_template()


def test_every_line_of_the_template_is_valid_when_its_mark_is_removed(home):
    lines = settings_template().splitlines()
    text = "\n".join(line.removeprefix("# ") if re.match(r"# \w+ = ", line) else line for line in lines)
    assert {f"{s}.{k}" for s, table in tomllib.loads(text).items() for k in table} == set(declared())
    settings = from_file(home, text)
    assert settings.tagging.min_confidence == 0.6
    assert settings.tagging.treat_as_missing == Settings().tagging.treat_as_missing


def test_effective_settings_are_printed_as_equivalent_toml(home):
    file = written(home, "[library]\nroots = ['/m/\\u001b[2J']\n[web]\nport = 1\n[tagging.names]\nrock = 'R'\n")
    loaded = load_settings(config_file=file, environ={})
    text = effective_toml(loaded)
    found = tomllib.loads(text)
    assert found["web"]["port"] == 1
    assert found["tagging"]["names"] == {"rock": "R"}
    assert "\x1b" not in text
    assert re.search(rf"^port = 1 +# {re.escape(file)}:4$", text, re.M)
    assert effective_json(loaded)["web"]["port"] == {"value": 1, "origin": f"{file}:4"}
    assert effective_json(loaded)["tagging"]["min_confidence"]["value"] is None


def test_secrets_are_not_printed():
    environ = {"GENRIFY_WEB__TOKEN": "s3cret", "GENRIFY_DATABASE__URL": "postgresql://me:s3cret@host/db"}
    loaded = load_settings(environ=environ)
    assert loaded.settings.web.token == "s3cret"
    for text in (effective_toml(loaded), str(effective_json(loaded))):
        assert "s3cret" not in text
        assert "postgresql://me:***@host/db" in text


def test_keys_of_tables_are_shown_as_they_must_be_written(program):
    shown = program("config", "show", GENRIFY_CLUSTER__PATHS='{ "/srv/a b" = "/mnt/music" }').stdout
    assert tomllib.loads(shown)["cluster"]["paths"] == {"/srv/a b": "/mnt/music"}
