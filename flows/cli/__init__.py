"""The command line `stenoflow`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; every error ends in one clear line and its exit code."""
    try:
        # Loading takes a second or two, in which Ctrl-C must end as well as later.
        from stenoflow.flows.cli.app import run  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    run()
