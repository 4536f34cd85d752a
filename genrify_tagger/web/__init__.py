"""The local web page: analyse dropped songs, browse and correct the library, undo changes.

Flask behind waitress, calling the pipeline. Requests name library files by id only; text from tags is never markup.
"""

from genrify_tagger.web.app import make_app
from genrify_tagger.web.app_context import AppContext, open_app_context
from genrify_tagger.web.server import Server, make_server

__all__ = [
    "AppContext",
    "Server",
    "make_app",
    "make_server",
    "open_app_context",
]
