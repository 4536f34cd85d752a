"""Count the folders below a root, and find where symbolic links lead out of it, as the main job's walk would go."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from genrify_tagger.pipeline import is_inside

PATIENCE = 5.0  # seconds after which a file server counts as not answering

Place = tuple[str, str]  # a folder's real path, and the path by which the user knows it


@dataclass(frozen=True)
class Sight:
    """What is at a root's path: its real path, which folder that is, whether it is empty; or why it cannot be seen."""

    real: str
    identity: tuple[int, int] | None
    empty: bool = False
    problem: str | None = None


class Probe:
    """Looks at a folder without waiting for it for ever: a dead file server answers no call at all.

    Parameters
    ----------
    folder : str
        Its path.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._asking: threading.Thread | None = None
        self._asked = 0.0
        self._answer: Sight | None = None

    def ask(self) -> None:
        """Begin to look, unless an earlier look is still unanswered: several can be asked before one is waited for."""
        if self._asking is None:
            self._answer, self._asked = None, time.monotonic()
            self._asking = threading.Thread(target=self._see, name="genrify-probe", daemon=True)
            self._asking.start()

    def look(self) -> Sight | None:
        """Return what is there; None if there is no answer within `PATIENCE` seconds since it was asked."""
        self.ask()
        assert self._asking is not None
        self._asking.join(max(self._asked + PATIENCE - time.monotonic(), 0.0))
        if self._asking.is_alive():
            return None
        self._asking = None
        return self._answer

    def _see(self) -> None:
        real = self._folder
        try:
            real = os.path.realpath(self._folder)
            stat = os.stat(real)
            with os.scandir(real) as entries:
                self._answer = Sight(real, (stat.st_dev, stat.st_ino), next(entries, None) is None)
        except FileNotFoundError:
            self._answer = Sight(real, None, problem="there is no such folder")
        except OSError as error:
            self._answer = Sight(real, None, problem=error.strerror or str(error))


def count_folders(root: Place, enters: Callable[[str], bool]) -> tuple[int, list[Place]]:
    """Return how many folders a walk from `root` enters, and the folders elsewhere that symbolic links lead it to.

    Parameters
    ----------
    root : (str, str)
        Real path, and the path as the user knows it.
    enters : callable
        Whether a folder matters.
    """
    number, links, todo = 0, list[Place](), [root]
    while todo:
        place = todo.pop()
        for found in _folders(place, enters):
            if found is None:
                number += 1
            elif not is_inside(found[0], [real for real, _ in (root, *links)]):
                links.append(found)
                todo.append(found)
    return number, links


def _folders(place: Place, enters: Callable[[str], bool]) -> Iterator[Place | None]:
    """Yield None for each folder, and a place for each link to one."""
    todo = [place]
    while todo:
        real, shown = todo.pop()
        try:
            with os.scandir(real) as entries:
                below = [
                    (os.path.join(real, entry.name), os.path.join(shown, entry.name), entry.is_symlink())
                    for entry in entries
                    if entry.is_dir()
                ]
        except OSError:
            continue  # a look tells of folders that cannot be read
        yield None
        for path, name, is_link in below:
            if not enters(name):
                continue
            if is_link:
                yield os.path.realpath(path), name
            else:
                todo.append((path, name))
