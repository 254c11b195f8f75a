"""File permissions bind everybody but root, who may run these tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65534


@contextmanager
def no_permission(path: Path) -> Iterator[None]:
    """Take away all rights to a file or folder for the block; root becomes nobody."""
    mode = path.stat().st_mode
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(0)
        path.chmod(mode)
