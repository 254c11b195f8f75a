"""Waiting for what another process or thread does, for as long as that takes on a busy machine.

Nothing here gives up: what hangs is ended by pytest's own timeout, which is the only one.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import httpx

FOREVER = httpx.Timeout(None)
_LOOK_EVERY_S = 0.02


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[Any] | None = None) -> None:
    """Wait until a condition holds.

    Args:
        process: who brings it about; it must not end before.
    """
    while not condition():
        if process is not None and process.poll() is not None:
            # It may have ended between the look and now, all being done.
            assert condition(), process.communicate()
            return
        time.sleep(_LOOK_EVERY_S)
