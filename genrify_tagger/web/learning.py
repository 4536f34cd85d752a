"""Learning from the library while the page is served: the page then offers and decides by the learned genres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from genrify_tagger.learn import learn_vocabulary, save_vocabulary
from genrify_tagger.pipeline import Session


@dataclass(frozen=True)
class LearningOutcome:
    """What `genrify-tag learn` would say in closing, and whether the page decides by what was learned."""

    summary: str
    in_use: bool


def learn_from_library(session: Session, on_step: Callable[[str], None]) -> LearningOutcome:
    """Learn from the whole library, and put it to use if it is good enough; if not, what is in use stays so."""
    name = session.settings.learn.name
    learned = learn_vocabulary(session, name, on_step=on_step)
    is_good = bool(learned.report["in_use"])
    if is_good or session.store.vocabulary_in_use() is None:
        save_vocabulary(session, name, learned)
    session.follow_vocabulary()
    is_chosen = session.active.vocabulary.name == name  # the settings may name another one
    return LearningOutcome(learned.summary, in_use=is_good and is_chosen)
