"""Tell all players in the settings at once, in the foreground or in the background."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from genrify_tagger.config import NotifySettings
from genrify_tagger.errors import PlayerError
from genrify_tagger.notify.changed_files import ChangedFiles

log = logging.getLogger(__name__)

CALL_SECONDS = 5.0  # for a connection, and for each part of an answer
MAX_SECONDS = 8.0  # for a player in all; a command of the user's has a limit of its own


@dataclass(frozen=True)
class Answer:
    """What a player answered, or what went wrong.

    Attributes
    ----------
    player : str
        Its name in the settings, and where it is: "mpd (localhost:6600)".
    text : str
    failed : bool
    """

    player: str
    text: str
    failed: bool = False


@dataclass(frozen=True)
class _Player:
    name: str
    tell: Callable[[ChangedFiles], str]
    is_limited: bool = True


def tell_players(
    settings: NotifySettings, changed: ChangedFiles, *, stop: threading.Event | None = None
) -> list[Answer]:
    """Tell every player in the settings that files have changed, all at once, and return their answers.

    Parameters
    ----------
    settings : NotifySettings
    changed : ChangedFiles
        Without folders: the whole library.
    stop : threading.Event
        Set to end a command of the user's early.
    """
    answers: dict[str, Answer] = {}

    def ask(player: _Player) -> None:
        answers[player.name] = _answer(player, changed)

    players = _players(settings, stop or threading.Event())
    threads = [
        threading.Thread(target=ask, args=[player], name=f"genrify-{player.name}", daemon=True) for player in players
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + MAX_SECONDS
    for player, thread in zip(players, threads, strict=True):
        thread.join(max(deadline - time.monotonic(), 0) if player.is_limited else None)
    return [answers.get(player.name) or Answer(player.name, "does not answer", failed=True) for player in players]


def warn_of_failures(answers: list[Answer]) -> None:
    """Log one line for each player that could not be told."""
    for answer in answers:
        if answer.failed:
            log.warning("%s was not told that files have changed: %s", answer.player, answer.text)
        else:
            log.debug("%s: %s", answer.player, answer.text)


class PlayerNotifier:
    """Tells the players in the background: one time after another, and once for changes that come together.

    Parameters
    ----------
    settings : NotifySettings
    delay : float
        Seconds to wait for further changes.
    """

    def __init__(self, settings: NotifySettings, *, delay: float = 0.0) -> None:
        self.settings = settings
        self._delay = delay
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._stop = threading.Event()
        self._waiting: ChangedFiles | None = None
        self._worker: threading.Thread | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nobody is being told, or is to be."""
        return self._worker is None

    def notify(self, changed: ChangedFiles) -> None:
        """Tell the players soon."""
        with self._lock:
            if self._waiting is None:
                self._waiting = ChangedFiles()
            self._waiting.update(changed)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="genrify-notify", daemon=True)
                self._worker.start()

    def close(self, seconds: float = 1.0) -> None:
        """Tell the players what they do not know yet, but give up after some seconds."""
        self._closing.set()
        worker = self._worker
        if worker is None:
            return
        worker.join(seconds)
        with self._lock:
            self._waiting = None
        self._stop.set()
        worker.join(1)

    def _work(self) -> None:
        while True:
            self._closing.wait(self._delay)
            with self._lock:
                if self._waiting is None:
                    self._worker = None
                    return
                changed, self._waiting = self._waiting, None
            warn_of_failures(tell_players(self.settings, changed, stop=self._stop))


def _answer(player: _Player, changed: ChangedFiles) -> Answer:
    try:
        return Answer(player.name, player.tell(changed))
    except (PlayerError, OSError) as error:
        text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    except Exception as error:  # whatever a player answers, it must not end a run
        log.debug("%s", player.name, exc_info=True)
        text = f"the answer is not the expected one ({type(error).__name__})"
    return Answer(player.name, text, failed=True)


def _players(settings: NotifySettings, stop: threading.Event) -> list[_Player]:
    """Return the players in the settings."""
    found: list[_Player] = []

    def add(key: str, tell: Callable[[ChangedFiles], str]) -> None:
        if getattr(settings, key):
            found.append(_Player(f"{key} ({getattr(settings, key)})", tell))

    add("mpd", lambda changed: _tell_mpd(settings, changed))
    add("navidrome", lambda _: _tell_navidrome(settings))
    for key, credential in (("jellyfin", "jellyfin_key"), ("emby", "emby_key"), ("plex", "plex_token")):
        add(key, functools.partial(_tell_server, settings, key, credential))
    if settings.url.strip():
        found.append(_Player(_url_name(settings.url), lambda _: _call(settings.url)))
    if settings.command.strip():
        found.append(_Player("command", lambda changed: _run(settings.command, changed, stop), is_limited=False))
    return found


def _tell_mpd(settings: NotifySettings, changed: ChangedFiles) -> str:
    from genrify_tagger.notify.mpd import update_mpd

    password = _secret(settings, "mpd_password", required=False)
    return update_mpd(settings.mpd, password, changed, settings.paths, seconds=CALL_SECONDS)


def _tell_navidrome(settings: NotifySettings) -> str:
    from genrify_tagger.notify.media_servers import scan_navidrome

    if not settings.navidrome_user:
        raise PlayerError("notify.navidrome_user is not set")
    password = _secret(settings, "navidrome_password")
    return scan_navidrome(settings.navidrome, settings.navidrome_user, password, seconds=CALL_SECONDS)


def _tell_server(settings: NotifySettings, key: str, credential: str, changed: ChangedFiles) -> str:
    from genrify_tagger.notify import media_servers

    tell = {
        "jellyfin": media_servers.scan_jellyfin,
        "emby": media_servers.scan_emby,
        "plex": media_servers.scan_plex,
    }[key]
    secret = _secret(settings, credential)
    return tell(getattr(settings, key), secret, changed, settings.paths, seconds=CALL_SECONDS)


def _call(url: str) -> str:
    from genrify_tagger.notify.own_hooks import call_url

    return call_url(url, seconds=CALL_SECONDS)


def _run(command: str, changed: ChangedFiles, stop: threading.Event) -> str:
    from genrify_tagger.notify.own_hooks import run_command

    return run_command(command, changed, stop)


def _url_name(text: str) -> str:
    from genrify_tagger.notify.http_request import without_secrets

    return f"url ({without_secrets(text.split()[-1])})"


def _secret(settings: NotifySettings, key: str, *, required: bool = True) -> str:
    """Return a password, key or token, from the settings or from the file that they name."""
    value: str = getattr(settings, key)
    file: str = getattr(settings, f"{key}_file")
    if not value and file:
        try:
            with open(file, encoding="utf-8") as stream:
                value = stream.read().strip()
        except OSError as error:
            raise PlayerError(f"notify.{key}_file cannot be read: {error.strerror}", path=file) from error
        except UnicodeDecodeError as error:
            raise PlayerError(f"notify.{key}_file is not a text file", path=file) from error
    if required and not value:
        raise PlayerError(f"notify.{key} is not set")
    return value
