"""The local web page: drop a song, hear it, see its genre; look through the library, correct, take back.

Flask behind waitress. A door like the command line: it calls the pipeline, and never the stages behind its back. What
comes from a browser names files of the library by ids and nothing else; what comes from tags is text and never markup.
"""

from genrify_tagger.web.app import make_app
from genrify_tagger.web.app_context import AppContext, open_app_context
from genrify_tagger.web.server import Server, listen

__all__ = [
    "AppContext",
    "Server",
    "listen",
    "make_app",
    "open_app_context",
]
