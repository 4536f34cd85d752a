"""`genrify-tag audit`: planted wrong genres come first, and nothing is written."""

from __future__ import annotations

import json
from dataclasses import replace

from genrify_tagger.pipeline import open_session
from tests.learning import GENRES, fill, settings_for
from tests.program import Program


def test_planted_wrong_genres_come_first(tmp_path):
    options = settings_for(tmp_path)
    records = fill(options)
    planted = [replace(records[n], after=(GENRES[(GENRES.index(records[n].after[0]) + 1) % 3],)) for n in (4, 40, 70)]
    with open_session(options) as session:
        session.store.save_files(planted)
        before = [*session.store.files_under()]
    (tmp_path / "home").mkdir()
    program, database = Program(tmp_path / "home"), ("--database", str(tmp_path / "library.db"))
    done = program("audit", "--format", "jsonl", *database)
    listed = [json.loads(line) for line in done.stdout.splitlines()]
    assert {item["path"] for item in listed[:3]} == {record.path for record in planted}
    assert [item["expected"] for item in listed[:3]] == [
        records[[r.path for r in records].index(item["path"])].after[0] for item in listed[:3]
    ]
    assert planted[0].path in program("audit", "-n", "3", *database).stdout
    with open_session(options) as session:
        assert [*session.store.files_under()] == before
