"""Read the genre of the user's files, plan a change, write it safely, undo it.

The only package that changes files. A change is planned first (`plan_write`, `plan_restore`: nothing is touched, and
the plan knows the exact outcome, so that it can be journalled), then carried out (`apply`: a verified new file replaces
the old one in one step). Every tag is split at its field boundaries, and only the bytes of the genre change; all other
bytes stay as they are, whether this package understands them or not.
"""

from genrify_tagger.tags.atomic import apply
from genrify_tagger.tags.genre_names import id3_numbers
from genrify_tagger.tags.inplace import backup_path
from genrify_tagger.tags.model import Snapshot, WritePlan, same_genre
from genrify_tagger.tags.planning import plan_restore, plan_write, read, stat_or_none
from genrify_tagger.tags.recovery import recover, restore_exchanged
from genrify_tagger.tags.tempfiles import sweep
from genrify_tagger.tags.writability import in_place_refusal, write_refusal

__all__ = [
    "Snapshot",
    "WritePlan",
    "apply",
    "backup_path",
    "id3_numbers",
    "in_place_refusal",
    "plan_restore",
    "plan_write",
    "read",
    "recover",
    "restore_exchanged",
    "same_genre",
    "stat_or_none",
    "sweep",
    "write_refusal",
]
