"""How a command ends: in its result, or in one clear line, and always with its exit code."""

from __future__ import annotations

import logging
import os
import sys

from stamina.instrumentation import set_on_retry_hooks

from stenoflow.flows.cli.app import app
from stenoflow.flows.cli.console import complain, say
from stenoflow.storage.errors import StenoflowError

_INTERRUPTED = 130


def run() -> None:
    """Run the command that the arguments name."""
    # Retries are in the ledger and in the display; stamina's own lines would break into both.
    set_on_retry_hooks([])
    logging.basicConfig(level=logging.INFO if _debugging() else logging.CRITICAL)
    try:
        app()
    except StenoflowError as error:
        complain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("Interrupted.")
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if _debugging():
            raise
        complain(StenoflowError(f"{type(error).__name__}: {error}", "STENOFLOW_DEBUG=1 shows where"))
        sys.exit(1)


def _debugging() -> bool:
    return bool(os.environ.get("STENOFLOW_DEBUG"))
