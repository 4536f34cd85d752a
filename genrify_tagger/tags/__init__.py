"""The genre in the user's files: read it, plan a change, make it safely, take it back.

The only package that changes files. A change is planned first (`plan_write`, `plan_restore`: nothing is touched, and
the plan knows the exact outcome, so that it can be journalled), then carried out (`apply`: a proven new file takes the
old one's place in one step). Every container is cut at the borders of its own fields, and only the stretch that holds
the genre is exchanged; whatever stands beside it keeps its bytes, understood or not.
"""

from genrify_tagger.tags.atomic import apply
from genrify_tagger.tags.inplace import backup_path
from genrify_tagger.tags.model import Snapshot, WritePlan, same_genre
from genrify_tagger.tags.planning import plan_restore, plan_write, read, stat_or_none
from genrify_tagger.tags.recovery import give_back_exchanged, recover
from genrify_tagger.tags.tempfiles import sweep

__all__ = [
    "Snapshot",
    "WritePlan",
    "apply",
    "backup_path",
    "give_back_exchanged",
    "plan_restore",
    "plan_write",
    "read",
    "recover",
    "same_genre",
    "stat_or_none",
    "sweep",
]
