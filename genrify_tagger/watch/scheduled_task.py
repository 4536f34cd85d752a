"""The scheduled task for the service on Windows: the XML that ``schtasks /Create /XML`` takes.

The elements and their order are those of Microsoft's "Task Scheduler Schema".
"""

from __future__ import annotations

import ntpath
import subprocess
from collections.abc import Sequence
from xml.etree import ElementTree

from genrify_tagger.watch.native_service import NativeService

NAME = "Genrify Tagger"
NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"


def scheduled_task(command: Sequence[str], *, folder: str, user: str) -> NativeService:
    r"""Return the task that runs a command from when the user logs on.

    Parameters
    ----------
    command : sequence of str
        The command line of the service.
    folder : str
        Where the XML file is kept.
    user : str
        The user, with the domain or the computer: ``COMPUTER\name``.
    """
    path = ntpath.join(folder, "service.xml")
    return NativeService(
        manager="the Task Scheduler",
        path=path,
        content=task_xml(command, user=user),
        start=(
            ("schtasks", "/Create", "/TN", NAME, "/XML", path, "/F"),
            ("schtasks", "/Run", "/TN", NAME),
        ),
        stop=(("schtasks", "/End", "/TN", NAME), ("schtasks", "/Delete", "/TN", NAME, "/F")),
        ask=("schtasks", "/Query", "/TN", NAME),
    )


def task_xml(command: Sequence[str], *, user: str) -> bytes:
    """Return the definition of the task, in UTF-16 as Windows itself writes it."""
    task = ElementTree.Element("Task", {"version": "1.2", "xmlns": NAMESPACE})
    _add(task, "RegistrationInfo", Description="Tags new songs with their genre")
    _add(_add(task, "Triggers"), "LogonTrigger", Enabled="true", UserId=user)
    # With the rights of the user and no more, and with the network drives that are connected for the user.
    principal = _add(_add(task, "Principals"), "Principal", UserId=user, LogonType="InteractiveToken")
    principal.set("id", "Author")
    ElementTree.SubElement(principal, "RunLevel").text = "LeastPrivilege"
    settings = _add(
        task,
        "Settings",
        MultipleInstancesPolicy="IgnoreNew",
        DisallowStartIfOnBatteries="false",
        StopIfGoingOnBatteries="false",
        StartWhenAvailable="true",
    )
    _add(settings, "RestartOnFailure", Interval="PT1M", Count="3")
    ElementTree.SubElement(settings, "ExecutionTimeLimit").text = "PT0S"  # none; the default would be three days
    ElementTree.SubElement(settings, "Priority").text = "9"  # the lowest one but idle
    actions = _add(task, "Actions")
    actions.set("Context", "Author")
    _add(actions, "Exec", Command=command[0], Arguments=subprocess.list2cmdline(command[1:]))
    ElementTree.indent(task)
    text: str = ElementTree.tostring(task, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-16"?>\n{text}\n'.encode("utf-16")


def _add(parent: ElementTree.Element, name: str, **texts: str) -> ElementTree.Element:
    """Append an element with one child for each text, in order."""
    element = ElementTree.SubElement(parent, name)
    for child, text in texts.items():
        ElementTree.SubElement(element, child).text = text
    return element
