"""The settings of the players that are told about changed files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from genrify_tagger.config.setting_field import setting_field as _setting


@dataclass(frozen=True)
class NotifySettings:
    """Which players are told that files have changed, after each run that changed any.

    Instead of a password, key or token, name a file that holds it.
    """

    mpd: str = _setting(
        "MPD, as host, host:port, or the path of its socket. By the socket, it updates only the folders that changed.",
        "",
        form="mpd",
        example="localhost:6600",
    )
    mpd_password: str = _setting("Password of MPD, if it has one.", "", secret=True, example="a password")
    mpd_password_file: str = _setting("File that holds MPD's password.", "", form="path", example="~/.secrets/mpd")
    navidrome: str = _setting(
        "URL of Navidrome, or of another server with the Subsonic API (Gonic, Airsonic).",
        "",
        form="server",
        example="http://localhost:4533",
    )
    navidrome_user: str = _setting("User of Navidrome; must be an administrator.", "", example="ana")
    navidrome_password: str = _setting(
        "Password of that user. It is not sent, only a digest of it.", "", secret=True, example="a password"
    )
    navidrome_password_file: str = _setting(
        "File that holds that password.", "", form="path", example="/run/secrets/navidrome_password"
    )
    jellyfin: str = _setting("URL of Jellyfin.", "", form="server", example="http://localhost:8096")
    jellyfin_key: str = _setting("API key of Jellyfin (Dashboard, API keys).", "", secret=True, example="0123abcd")
    jellyfin_key_file: str = _setting(
        "File that holds the API key of Jellyfin.", "", form="path", example="/run/secrets/jellyfin_key"
    )
    emby: str = _setting("URL of Emby.", "", form="server", example="http://localhost:8096")
    emby_key: str = _setting("API key of Emby (Settings, API keys).", "", secret=True, example="0123abcd")
    emby_key_file: str = _setting(
        "File that holds the API key of Emby.", "", form="path", example="/run/secrets/emby_key"
    )
    plex: str = _setting("URL of the Plex Media Server.", "", form="server", example="http://localhost:32400")
    plex_token: str = _setting("X-Plex-Token for it.", "", secret=True, example="0123abcd")
    plex_token_file: str = _setting("File that holds the token.", "", form="path", example="/run/secrets/plex_token")
    command: str = _setting(
        "Command for the shell. It finds the number of changed files in `GENRIFY_TAGGED`, the run in `GENRIFY_RUN`.",
        "",
        secret=True,
        example="mpc --quiet update",
    )
    url: str = _setting(
        "URL to request, with GET or the method in front of it.",
        "",
        secret=True,
        pattern=r"\s*((?i:GET|POST|PUT) +)?(?i:https?)://\S+\s*|",
        example="POST http://localhost:8123/api/webhook/music",
    )
    paths: Mapping[str, str] = _setting(
        "Folders here and where the players have them, where that is another place, as in a container.",
        factory=dict,
        form="path",
        example={"/srv/music": "/music"},
    )
