"""Learning from the library while the page is served: the page then offers and decides by the learned genres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from genrify_tagger.learn import learn_vocabulary, save_vocabulary
from genrify_tagger.pipeline import Session

NAME = "mine"  # of the vocabulary, as of `genrify-tag learn`


@dataclass(frozen=True)
class LearningOutcome:
    """What `genrify-tag learn` would say in closing, and whether the page decides by what was learned."""

    summary: str
    in_use: bool


def learn_from_library(session: Session, on_step: Callable[[str], None]) -> LearningOutcome:
    """Learn from the whole library, and put it to use if it is better than the shipped vocabulary."""
    learned = learn_vocabulary(session, NAME, on_step=on_step)
    save_vocabulary(session, NAME, learned)
    session.follow_vocabulary()
    is_chosen = session.learned is not None  # the settings may name another vocabulary
    return LearningOutcome(learned.summary, in_use=bool(learned.report["in_use"]) and is_chosen)
