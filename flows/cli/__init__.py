"""The command line `stenoflow`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line; every error ends in one clear line and its exit code."""
    # What is loaded stays; to look for garbage in it meanwhile takes a tenth of the start.
    gc.disable()
    try:
        # Loading takes a second or two, in which Ctrl-C must end as well as later.
        from stenoflow.flows.cli.app import run  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        run()
    finally:
        gc.enable()
