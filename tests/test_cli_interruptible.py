"""Ctrl-C at an unlucky moment."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The signal arrives while the garbage collector or a destructor runs, where Python drops every exception.
IN_COLLECTOR = "gc.callbacks.append(lambda phase, info: send()); gc.collect()"
IN_DESTRUCTOR = "type('Song', (), {'__del__': lambda self: send()})()"
CODE = """
import gc, os, signal, sys, time
from genrify_tagger.cli.interruptible import interruptible

sent = []

def send():
    if not sent:
        sent.append(True)
        os.kill(os.getpid(), signal.SIGINT)

with interruptible():
    try:
        {moment}
        time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("moment", [IN_COLLECTOR, IN_DESTRUCTOR])
def test_ctrl_c_is_not_lost(moment):
    code = CODE.replace("{moment}", moment)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (130, "")
