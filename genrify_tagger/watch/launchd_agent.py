"""The launchd agent for the service on macOS: a property list in ``~/Library/LaunchAgents`` (see launchd.plist(5))."""

from __future__ import annotations

import os
import plistlib
from collections.abc import Sequence

from genrify_tagger.watch.native_service import NativeService

LABEL = "genrify-tagger"


def launchd_agent(command: Sequence[str], *, home: str, user: int) -> NativeService:
    """Return the agent that runs a command as long as the user is logged in.

    Parameters
    ----------
    command : sequence of str
        The command line of the service.
    home : str
        The user's home folder.
    user : int
        The user's number.
    """
    path = os.path.join(home, "Library", "LaunchAgents", f"{LABEL}.plist")
    log = os.path.join(home, "Library", "Logs", f"{LABEL}.log")
    settings = {
        "Label": LABEL,
        "ProgramArguments": list(command),
        "RunAtLoad": True,
        # Wrong settings (exit status 2) would not become right; launchd does not tell statuses apart.
        "KeepAlive": {"Crashed": True},
        "ThrottleInterval": 30,
        "ExitTimeOut": 30,
        "ProcessType": "Background",
        "Nice": 19,
        "LowPriorityIO": True,
        "StandardErrorPath": log,
    }
    return NativeService(
        manager="launchd",
        path=path,
        content=plistlib.dumps(settings, sort_keys=False),
        # An agent that is loaded already would not be loaded again.
        start=(("launchctl", "bootstrap", f"gui/{user}", path),),
        stop=(("launchctl", "bootout", f"gui/{user}/{LABEL}"),),
        ask=("launchctl", "print", f"gui/{user}/{LABEL}"),
    )
