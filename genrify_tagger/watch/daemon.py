"""The life of the service: its lock, its signals, its settings, its sessions, and what it tells others."""

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
from genrify_tagger.pipeline import Result, Session, open_session
from genrify_tagger.store.process_identity import this_process
from genrify_tagger.watch.hooks import Hook
from genrify_tagger.watch.lock import alone_on_server, only_one
from genrify_tagger.watch.loop import Loop
from genrify_tagger.watch.run_batches import RunBatches
from genrify_tagger.watch.sd_notify import Notifier
from genrify_tagger.watch.service_state import LOST, STOPPING, remembered_mounts, state_path, write_state
from genrify_tagger.watch.service_stats import ServiceStats
from genrify_tagger.watch.signals import ControlFlags

log = logging.getLogger(__name__)

STATE_SECONDS = 1.0  # between two writings of the state, if there is news
HEARTBEAT_SECONDS = 900.0  # and if there is none: a disk at rest shall stay so
STEP_SECONDS = 60.0  # by which the time of day must have been set anew for the state's times to be wrong
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0

Beside = Callable[["Service"], AbstractContextManager[object]]


class Service:
    """One running service.

    Parameters
    ----------
    load : callable
        Returns the settings as they are now: called at the start and for every SIGHUP.
    paths : sequence of str
        Folders to watch; empty: the roots in the settings.
    tell : callable
        Is given every result.
    arguments : sequence of str
        The command line, for the history.
    beside : sequence of callable
        Context managers that are entered once the service runs, with the service, and left before it ends: for what
        is to run beside the loop, in threads of its own.

    Attributes
    ----------
    settings : Settings
        Those in force.
    flags : Wishes
        Where to ask it to stop.
    tally : Tally
        What it has done.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        paths: Sequence[str],
        tell: Callable[[Result], None],
        *,
        arguments: Sequence[str] = (),
        beside: Sequence[Beside] = (),
    ) -> None:
        self.settings = load()
        self.flags = ControlFlags()
        self.tally = ServiceStats()
        self._load = load
        self._paths = list(paths)
        self._tell = tell
        self._arguments = list(arguments)
        self._beside = beside
        self._notifier = Notifier()
        self._owner = this_process()
        self._expected: set[str] = set()
        self._hook = Hook()
        self._told: dict[str, Any] = {}
        self._told_at = self._told_time = 0.0
        self._has_started = self._has_rested = self._has_complained = False

    def run(self) -> None:
        """Run until SIGTERM, SIGINT or a wish ends it.

        Raises
        ------
        AlreadyRunningError
            If another service watches for this database.
        GenrifyError
            If it cannot start.
        """
        url = self.settings.database.url
        with self.flags.heard(), only_one(url), ExitStack() as stack:
            self._expected = set(remembered_mounts(url))
            stack.callback(self._tell_of_the_end)
            stack.callback(self._hook.close)
            pause = FIRST_PAUSE
            while not self.flags.stop:
                self._has_rested = False
                try:
                    with open_session(self._with_roots(self.settings)) as session, alone_on_server(session.store):
                        for thing in self._beside if not self._has_started else ():
                            stack.enter_context(thing(self))
                        self._watch(session)
                    pause = FIRST_PAUSE
                except StoreError as error:
                    if not self._has_started:
                        raise
                    if self._has_rested:
                        pause = FIRST_PAUSE  # what was wrong last time has been over
                    log.error("%s%s; trying again in %g s", _where(error), error.message, pause)
                    self._wait(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)

    # --- a session ---

    def _watch(self, session: Session) -> None:
        """Watch until the end, or until other settings are in force."""
        self.flags.restart = False
        self._hook.action = session.settings.watch.after_batch
        batches = RunBatches(session, self._arguments, self._hook.fire)
        paths = self._paths or list(self.settings.library.roots)
        loop = Loop(session, paths, self.flags, batches, self._expected, self._tick)
        for result in loop.run():
            self.tally.add(result)
            self._tell(result)

    def _with_roots(self, settings: Settings) -> Settings:
        """Return settings in which the watched folders are the roots that patterns are relative to."""
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

    def _read_settings_again(self) -> None:
        """Put the settings in force as they are now; bad ones are told of, and the old ones stay."""
        self.flags.reload = False
        self._notifier.reloading()
        try:
            found = self._load()
            if found.database != self.settings.database:
                log.warning("another database needs a restart of the service; the present one stays in use")
                found = dataclasses.replace(found, database=self.settings.database)
            with open_session(self._with_roots(found)):
                pass  # model and vocabulary are there
        except GenrifyError as error:
            log.error("the settings were not changed: %s%s", _where(error), error)
        else:
            self.settings = found
            self.flags.restart = True
            log.info("the settings were read again")
        self._notifier.ready()

    # --- telling ---

    def _tick(self, loop: Loop) -> float:
        """Do what is due in every round of the loop; return in how many seconds something will be."""
        if not self._has_started:
            self._has_started = True
            self._notifier.ready()
            for root in loop.roots:
                log.info("watching %s (%s)", display_path(root.path), root.reason or root.watching)
        self._has_rested |= loop.phase == "idle"
        self._notifier.ping()
        if self.flags.reload:
            self._read_settings_again()
        since = time.monotonic() - self._told_at
        if since >= STATE_SECONDS:
            state = self._state(loop)
            stepped = abs(time.time() - self._told_time - since) > STEP_SECONDS
            if state != self._told or since > HEARTBEAT_SECONDS or stepped:
                self._publish(state)
        return self._notifier.pause()

    def _state(self, loop: Loop) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "version": __version__,
            "phase": loop.phase,
            "roots": [root.as_json() for root in loop.roots],
            "queue": loop.queue_length,
            **self.tally.as_json(),
            "mounts": sorted(self._expected),
        }

    def _publish(self, state: dict[str, Any]) -> None:
        self._told, self._told_at, self._told_time = state, time.monotonic(), time.time()
        lost = sum(root["watching"] == LOST for root in state["roots"])
        words = f"{state['phase']}, {counted(state['queue'], 'file')} waiting, {self.tally.counts['tagged']:,} tagged"
        self._notifier.status(words + (f"; {counted(lost, 'folder is', 'folders are')} away" if lost else ""))
        try:
            write_state(state_path(self.settings.database.url), self._owner, state)
        except OSError as error:
            if not self._has_complained:
                log.warning("the state of the service cannot be written: %s", error.strerror)
            self._has_complained = True

    def _tell_of_the_end(self) -> None:
        self._notifier.stopping()
        if self._told:
            self._publish({**self._told, "phase": STOPPING})


def _where(error: GenrifyError) -> str:
    return f"{display_path(error.path)}: " if error.path else ""
