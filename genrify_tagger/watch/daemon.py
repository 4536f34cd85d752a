"""The service: its locks, signals, settings and sessions, and the state that it publishes."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from genrify_tagger import __version__
from genrify_tagger.config import Settings
from genrify_tagger.errors import ConfigError, GenrifyError, StoreError
from genrify_tagger.files import counted, display_path
from genrify_tagger.notify import PlayerNotifier
from genrify_tagger.pipeline import Result, Session, open_session
from genrify_tagger.process_identity import this_process
from genrify_tagger.watch.auto_learn import AutoLearn
from genrify_tagger.watch.lock import server_lock, service_lock
from genrify_tagger.watch.loop import Loop
from genrify_tagger.watch.run_batches import RunBatches
from genrify_tagger.watch.sd_notify import Notifier
from genrify_tagger.watch.service_state import LOST, NATIVE, STOPPING, state_path, write_state
from genrify_tagger.watch.service_stats import ServiceStats
from genrify_tagger.watch.signals import ControlFlags

log = logging.getLogger(__name__)

STATE_SECONDS = 1.0  # between two updates of the state file while something changes
HEARTBEAT_SECONDS = 900.0  # and while nothing does, so that a disk can spin down
STEP_SECONDS = 60.0  # a change of the system clock that makes a published state's times wrong
MIN_PAUSE, MAX_PAUSE = 5.0, 600.0

Companion = Callable[["Service"], AbstractContextManager[object]]


class Service:
    """One running service.

    Parameters
    ----------
    load : callable
        Returns the current settings; called at the start and on every SIGHUP.
    paths : sequence of str
        Folders to watch; empty: the roots in the settings.
    on_result : callable
        Called with every result.
    arguments : sequence of str
        The command line, for the history.
    companions : sequence of callable
        Functions that take the service and return a context manager, which is active while the service runs: for what
        runs beside the main loop, such as the web page.

    Attributes
    ----------
    settings : Settings
        The current settings.
    flags : ControlFlags
        Tell it to stop or to reload.
    stats : ServiceStats
        What it has done.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        paths: Sequence[str],
        on_result: Callable[[Result], None],
        *,
        arguments: Sequence[str] = (),
        companions: Sequence[Companion] = (),
    ) -> None:
        self.settings = load()
        self.flags = ControlFlags()
        self.stats = ServiceStats()
        self._load = load
        self._paths = list(paths)
        self._on_result = on_result
        self._arguments = list(arguments)
        self._companions = companions
        self._notifier = Notifier()
        self._owner = this_process()
        self._expected: set[str] = set()
        self._players = PlayerNotifier(self.settings.notify)
        self._auto_learn = AutoLearn()
        self._published: dict[str, Any] = {}
        self._published_at = self._published_time = 0.0
        self._has_started = self._was_idle = self._has_warned = False

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, or until `flags` tell it to stop.

        Raises
        ------
        AlreadyRunningError
            If another service uses this database.
        GenrifyError
            If it cannot start.
        """
        url = self.settings.database.url
        with self.flags.handle_signals(), service_lock(url), ExitStack() as stack:
            stack.callback(self._publish_stopping)
            stack.callback(self._players.close)
            stack.callback(self._auto_learn.close)
            pause = MIN_PAUSE
            while not self.flags.stop:
                self._was_idle = False
                try:
                    with open_session(self._with_roots(self.settings)) as session, server_lock(session.store):
                        for companion in self._companions if not self._has_started else ():
                            stack.enter_context(companion(self))
                        self._watch(session)
                    pause = MIN_PAUSE
                except StoreError as error:
                    if not self._has_started:
                        raise
                    if self._was_idle:
                        pause = MIN_PAUSE  # it had recovered in between
                    log.error("%s%s; trying again in %g s", _where(error), error.message, pause)
                    self._wait(pause)
                    pause = min(2 * pause, MAX_PAUSE)

    # --- a session ---

    def _watch(self, session: Session) -> None:
        """Watch until the service stops or its settings have been reloaded."""
        self.flags.restart = False
        self._expected |= set(session.store.known_mounts())
        self._players.settings = session.settings.notify
        batches = RunBatches(session, self._arguments, self._players.notify)
        paths = self._paths or list(self.settings.library.roots)
        loop = Loop(session, paths, self.flags, batches, self._expected, self._tick)
        for result in loop.run():
            self.stats.add(result)
            self._on_result(result)

    def _with_roots(self, settings: Settings) -> Settings:
        """Return settings whose roots, to which patterns are relative, include the watched folders."""
        wanted = [*settings.library.roots, *self._paths]
        if not wanted:
            raise ConfigError("no PATH given and no roots in the settings", hint="try 'genrify-tag watch ~/Music'")
        roots = tuple(dict.fromkeys(map(os.path.abspath, wanted)))
        return dataclasses.replace(settings, library=dataclasses.replace(settings.library, roots=roots))

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self.flags.stop and (left := deadline - time.monotonic()) > 0:
            self._notifier.ping()
            self.flags.wake.wait(min(left, 5.0))

    # --- settings ---

    def _reload_settings(self) -> None:
        """Reload the settings; if they are wrong, log that and keep the old ones."""
        self.flags.reload = False
        self._notifier.reloading()
        try:
            found = self._load()
            if found.database != self.settings.database:
                log.warning("the setting database.url takes effect after a restart of the service")
                found = dataclasses.replace(found, database=self.settings.database)
            with open_session(self._with_roots(found)):
                pass  # checks model and vocabulary
        except GenrifyError as error:
            log.error("the settings were not reloaded: %s%s", _where(error), error)
        else:
            self.settings = found
            self.flags.restart = True
            log.info("the settings were reloaded")
        self._notifier.ready()

    # --- the published state ---

    def _tick(self, loop: Loop) -> float:
        """Do the periodic work of the loop; return the seconds until the next call."""
        if not self._has_started:
            self._has_started = True
            self._notifier.ready()
            for root in loop.roots:
                how = "events" if root.watching == NATIVE else root.watching
                log.info("watching %s (%s%s)", display_path(root.path), how, f": {root.reason}" if root.reason else "")
        is_idle = loop.phase == "idle"
        self._was_idle |= is_idle
        self._auto_learn.tick(loop.session, processed=sum(self.stats.counts.values()), is_idle=is_idle)
        self._notifier.ping()
        if self.flags.reload:
            self._reload_settings()
        since = time.monotonic() - self._published_at
        if since >= STATE_SECONDS:
            state = self._state(loop)
            stepped = abs(time.time() - self._published_time - since) > STEP_SECONDS
            if state != self._published or since > HEARTBEAT_SECONDS or stepped:
                self._publish(state)
        return self._notifier.pause()

    def _state(self, loop: Loop) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "version": __version__,
            "phase": loop.phase,
            "roots": [root.as_json() for root in loop.roots],
            "queue": loop.queue_length,
            **self.stats.as_json(),
        }

    def _publish(self, state: dict[str, Any]) -> None:
        self._published, self._published_at, self._published_time = state, time.monotonic(), time.time()
        lost = sum(root["watching"] == LOST for root in state["roots"])
        words = f"{state['phase']}, {counted(state['queue'], 'file')} waiting, {self.stats.counts['tagged']:,} tagged"
        self._notifier.status(words + (f"; {counted(lost, 'folder')} unavailable" if lost else ""))
        try:
            write_state(state_path(self.settings.database.url), self._owner, state)
        except OSError as error:
            if not self._has_warned:
                log.warning("the state of the service cannot be written: %s", error.strerror)
            self._has_warned = True

    def _publish_stopping(self) -> None:
        self._notifier.stopping()
        if self._published:
            self._publish({**self._published, "phase": STOPPING})


def _where(error: GenrifyError) -> str:
    return f"{display_path(error.path)}: " if error.path else ""
