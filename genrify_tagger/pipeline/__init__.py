"""The only hall of the house: library -> workers -> decision -> store -> tags.

The command line, the watcher, the web page and the beets plugin call these functions and never the stages behind
their back.
"""

from genrify_tagger.decision import likeliest
from genrify_tagger.library import Candidate, UnreadablePath, is_audio
from genrify_tagger.pipeline.changes import PathFilter, find_changed, mark_gone
from genrify_tagger.pipeline.container_names import container_name
from genrify_tagger.pipeline.embedding_index import EmbeddingIndex, Neighbour
from genrify_tagger.pipeline.external_writes import (
    announce_write,
    change_reverted_by,
    confirm_write,
    latest_change,
    standing_change,
)
from genrify_tagger.pipeline.file_pool import FilePool
from genrify_tagger.pipeline.journalled_write import undisturbed
from genrify_tagger.pipeline.manual import set_genres
from genrify_tagger.pipeline.one_off import analyse_one_off, tag_copy
from genrify_tagger.pipeline.previews import read_titles, render_pictures, to_opus
from genrify_tagger.pipeline.process_file import ScanOptions
from genrify_tagger.pipeline.results import STATUSES, Result, Summary
from genrify_tagger.pipeline.scan_folders import discovered, scan_folders
from genrify_tagger.pipeline.session import (
    RunHandle,
    Session,
    open_known_store,
    open_session,
    reconcile,
    run_record,
    unknown_names,
    written_names,
)
from genrify_tagger.pipeline.suggestions import ExternalFile, Suggestion, record_suggestion, suggest
from genrify_tagger.pipeline.track_report import TrackReport, inspect_file
from genrify_tagger.pipeline.undo_changes import changes_of_run, changes_under, last_changing_run, undo_changes
from genrify_tagger.pipeline.write_policy import Provenance, meaningful

__all__ = [
    "STATUSES",
    "Candidate",
    "EmbeddingIndex",
    "ExternalFile",
    "FilePool",
    "Neighbour",
    "PathFilter",
    "Provenance",
    "Result",
    "RunHandle",
    "ScanOptions",
    "Session",
    "Suggestion",
    "Summary",
    "TrackReport",
    "UnreadablePath",
    "analyse_one_off",
    "announce_write",
    "change_reverted_by",
    "changes_of_run",
    "changes_under",
    "confirm_write",
    "container_name",
    "discovered",
    "find_changed",
    "inspect_file",
    "is_audio",
    "last_changing_run",
    "latest_change",
    "likeliest",
    "mark_gone",
    "meaningful",
    "open_known_store",
    "open_session",
    "read_titles",
    "reconcile",
    "record_suggestion",
    "render_pictures",
    "run_record",
    "scan_folders",
    "set_genres",
    "standing_change",
    "suggest",
    "tag_copy",
    "to_opus",
    "undisturbed",
    "undo_changes",
    "unknown_names",
    "written_names",
]
