"""Run the service through a storm, killing and restarting it, and check the result at the end."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from tests.program import Program
from tests.storm import World
from tests.watching import SURE, Watching, query, until, watching

SETTLE = 0.5


def weather(
    program: Program,
    world: World,
    *,
    steps: int,
    seconds: float,
    kills: int,
    source: Path | None = None,
    losses: int = 0,
) -> None:
    """Run a storm of so many steps, in which the service is killed and the mount lost now and then.

    Parameters
    ----------
    source : Path or None
        What is mounted on the world's mount point.
    """
    roots = [*world.roots, *([world.mount] if world.mount else [])]
    dice = world.dice
    kill_at = set(dice.sample(range(steps), kills))
    lose_at = set(dice.sample(range(steps), losses))
    back_at = {number + dice.randrange(20, 200) for number in lose_at}
    numbers = iter(range(steps))

    def storm() -> bool:
        """Go on till the service is to be killed; False at the end."""
        for number in numbers:
            world.step()
            if source is not None and number in back_at:
                world.bring_mount_back(source)
            if number in lose_at:
                world.take_mount_away()
            time.sleep(seconds / steps)
            if number in kill_at:
                return True
        return False

    going_on = True
    while going_on:
        with watching(program, "--poll", "2", *roots, settle=SETTLE) as service:
            going_on = storm()
            if going_on:
                service.process.kill()
                service.process.wait()
                continue
            if source is not None:
                world.bring_mount_back(source)
            world.finish()
            service.rest(seconds=1800)
            check(program, world, service)
    scanned = program.scan(*SURE, *roots)  # a scan finds nothing left to do
    odd = [result for result in scanned if result["status"] not in {"unchanged"}]
    assert not odd, odd[:3]
    assert [r for r in scanned if r["path"] in map(str, world.songs)] and len(scanned) == len(world.songs)


def check(program: Program, world: World, service: Watching) -> None:
    """Check that files, database and journal agree."""
    until(lambda: {p for p, (_, there) in service.files().items() if there} == set(map(str, world.songs)))
    rows = query(program.database, "SELECT path, before_genres, after_genres, state, origin FROM changes ORDER BY id")
    written: dict[str, list[list[str]]] = {}
    for path, before, after, state, origin in rows:
        assert state in {"done", "failed"} and origin == "watch"
        if state == "done":
            assert not json.loads(before or "[]"), f"a genre was overwritten in {os.fsdecode(path)}"
            written.setdefault(os.fsdecode(path), []).append(json.loads(after))
    world.check(service.files(), written)
    # What was written last according to the journal, or what another program made of it since.
    tagged = query(program.database, "SELECT path, after FROM files WHERE status = 'tagged' AND missing_since IS NULL")
    assert all(json.loads(after) for _, after in tagged)
