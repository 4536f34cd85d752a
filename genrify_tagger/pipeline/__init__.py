"""The only hall of the house: library -> workers -> decision -> store -> tags.

The command line, the watcher, the web page and the beets plugin call these functions and never the stages behind
their back.
"""

from genrify_tagger.decision import likeliest
from genrify_tagger.library import Candidate, Problem, is_audio
from genrify_tagger.pipeline.advice import Advice, Song, advise, note
from genrify_tagger.pipeline.crew import Crew
from genrify_tagger.pipeline.deputy import announce, behind, confirm, last_word, taken_back_by
from genrify_tagger.pipeline.guest import hear, tag_copy
from genrify_tagger.pipeline.human import set_genres
from genrify_tagger.pipeline.journalled import undisturbed
from genrify_tagger.pipeline.looking import Interest, is_inside, look, mark_gone
from genrify_tagger.pipeline.looks import captions, depict, to_opus
from genrify_tagger.pipeline.portrait import Portrait, portray
from genrify_tagger.pipeline.results import STATUSES, Result, Summary
from genrify_tagger.pipeline.scan import discovered, scan
from genrify_tagger.pipeline.session import (
    Booking,
    Session,
    booked,
    open_memory,
    open_session,
    reconcile,
    unknown_names,
    written_names,
)
from genrify_tagger.pipeline.similar import Neighbour, Neighbourhood
from genrify_tagger.pipeline.song import ScanOptions
from genrify_tagger.pipeline.undo import changes_of_run, changes_under, last_changing_run, undo
from genrify_tagger.pipeline.verdict import Past, meaningful
from genrify_tagger.pipeline.wording import container_name

__all__ = [
    "STATUSES",
    "Advice",
    "Booking",
    "Candidate",
    "Crew",
    "Interest",
    "Neighbour",
    "Neighbourhood",
    "Past",
    "Portrait",
    "Problem",
    "Result",
    "ScanOptions",
    "Session",
    "Song",
    "Summary",
    "advise",
    "announce",
    "behind",
    "booked",
    "captions",
    "changes_of_run",
    "changes_under",
    "confirm",
    "container_name",
    "depict",
    "discovered",
    "hear",
    "is_audio",
    "is_inside",
    "last_changing_run",
    "last_word",
    "likeliest",
    "look",
    "mark_gone",
    "meaningful",
    "note",
    "open_memory",
    "open_session",
    "portray",
    "reconcile",
    "scan",
    "set_genres",
    "tag_copy",
    "taken_back_by",
    "to_opus",
    "undisturbed",
    "undo",
    "unknown_names",
    "written_names",
]
