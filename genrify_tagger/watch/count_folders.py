"""Count the folders that a scan of a root would enter, and find the folders elsewhere that symbolic links lead to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from genrify_tagger.files import is_inside

Place = tuple[str, str]  # a folder's real path, and the path under which the user knows it


def count_folders(root: Place, enters: Callable[[str], bool]) -> tuple[int, list[Place]]:
    """Return how many folders a scan of `root` enters, and the folders elsewhere that symbolic links lead to.

    Parameters
    ----------
    root : (str, str)
        Real path, and the path under which the user knows it.
    enters : callable
        Whether a scan would enter a folder.
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
            continue  # a scan reports folders that cannot be read
        yield None
        for path, name, is_link in below:
            if not enters(name):
                continue
            if is_link:
                yield os.path.realpath(path), name
            else:
                todo.append((path, name))
