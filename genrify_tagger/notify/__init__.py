"""Tell players (MPD, Navidrome, Jellyfin, Emby, Plex) and the user's own hooks that files have changed.

The modules that connect to a player are imported when one is told.
"""

from genrify_tagger.notify.changed_files import ChangedFiles
from genrify_tagger.notify.players import Answer, PlayerNotifier, tell_players, warn_of_failures

__all__ = ["Answer", "ChangedFiles", "PlayerNotifier", "tell_players", "warn_of_failures"]
