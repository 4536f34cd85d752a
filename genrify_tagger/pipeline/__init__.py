"""The engine, and what the entry points (command line, service, page, beets plugin) need to use it.

library -> workers -> decision -> store -> tags. What only one entry point uses, it imports from its module.
"""

from genrify_tagger.pipeline.container_names import container_name
from genrify_tagger.pipeline.embedding_index import EmbeddingIndex, Neighbour
from genrify_tagger.pipeline.file_task import ScanOptions
from genrify_tagger.pipeline.manual import keep_genres, set_genres
from genrify_tagger.pipeline.results import STATUSES, Result, Summary, describe_nodes
from genrify_tagger.pipeline.run_record import run_record
from genrify_tagger.pipeline.session import Session, open_session
from genrify_tagger.pipeline.track_report import TrackReport, inspect_file, inspect_one_off
from genrify_tagger.pipeline.undo_changes import changes_of_run, undo_changes
from genrify_tagger.pipeline.writers import TagWriter

__all__ = [
    "STATUSES",
    "EmbeddingIndex",
    "Neighbour",
    "Result",
    "ScanOptions",
    "Session",
    "Summary",
    "TagWriter",
    "TrackReport",
    "changes_of_run",
    "container_name",
    "describe_nodes",
    "inspect_file",
    "inspect_one_off",
    "keep_genres",
    "open_session",
    "run_record",
    "set_genres",
    "undo_changes",
]
