"""Learn a vocabulary anew once it is worth it, in a process of its own at idle priority.

`python -m genrify_tagger.learn.renew` reads pickled settings from stdin and prints what it did as a line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import sys
from typing import Any

from genrify_tagger.errors import GenrifyError, ModelError
from genrify_tagger.learn.learning import learn_vocabulary
from genrify_tagger.learn.library import count_teaching_files
from genrify_tagger.learned_vocabulary import learned_vocabulary
from genrify_tagger.pipeline import Session, open_session
from genrify_tagger.store import StoredVocabulary

GROWTH = 0.1  # share of songs with a genre that are new, from which on it is worth it


def renew(session: Session) -> dict[str, Any]:
    """Learn the vocabulary in use anew if it is stale, or a tenth more songs have a genre since it was learned.

    Only one that was learned from the whole library, by the name in the settings. A new one that is not good enough to
    be put to use does not replace the old one.

    Returns
    -------
    dict
        "renewed": whether there is a new one; "reason": why, or why not; "songs" and "genres" of the new one.
    """
    name = session.settings.learn.name
    stored = session.store.vocabulary_in_use()
    reason = None if stored is None or stored.name != name else _why(session, stored)
    if stored is None or reason is None:
        return {"renewed": False, "reason": None}
    learned = learn_vocabulary(session, name)
    if learned.vocabulary is None or not learned.report["in_use"]:
        return {"renewed": False, "reason": f"{reason}, but {learned.report['reason']}"}
    now = session.store.vocabulary_in_use()
    if now is None or (now.name, now.created_at) != (name, stored.created_at):
        return {"renewed": False, "reason": "another vocabulary was put to use meanwhile"}
    session.store.save_vocabulary(name, learned.vocabulary.as_bytes(), in_use=True)
    size = {"songs": learned.report["songs"], "genres": len(learned.report["genres"])}
    return {"renewed": True, "reason": reason, **size}


def _why(session: Session, stored: StoredVocabulary) -> str | None:
    """Return why a vocabulary should be learned anew; None if it should not."""
    try:
        learned = learned_vocabulary(stored.content)
    except ModelError:
        return "it was learned by another version"
    report = learned.report
    if not report.get("whole_library", False):
        return None
    if (learned.model, learned.front_end) != (session.model_tree.id, session.front_end):
        return "it fits another model or number of segments"
    songs, before = count_teaching_files(session), int(report["songs_with_genre"])
    return f"{songs:,} songs have a genre, {before:,} had one" if songs - before >= GROWTH * before else None


def main() -> None:
    """Run as the child of a service; see `watch.auto_learn`."""
    _lower_priority()
    settings = pickle.load(sys.stdin.buffer)
    try:
        with open_session(settings, files=1, create=False) as session:
            done = renew(session)
    except GenrifyError as error:
        done = {"renewed": False, "reason": str(error)}
    print(json.dumps(done))


def _lower_priority() -> None:
    """Run only when nothing else needs the processors; on Windows the parent asks for that when it starts this."""
    with contextlib.suppress(OSError):
        if sys.platform != "win32":
            os.nice(19)
        if sys.platform == "linux":
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


if __name__ == "__main__":
    main()
