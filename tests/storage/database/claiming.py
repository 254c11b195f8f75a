"""A worker that claims and answers the segments of a job as fast as it can, as many processes do at once.

Run as ``python -m tests.storage.database.claiming DATABASE FOLDER RUN JOB SEGMENTS``. It writes what it
does to ``FOLDER/RUN.log``, a line each, for whoever may kill it: ``sent INDEX NANOSECONDS`` before a request
leaves, ``kept INDEX NANOSECONDS`` when its answer is stored.
"""

from __future__ import annotations

import random
import sys
import time
from collections import deque
from pathlib import Path
from typing import TextIO

from stenoflow.storage.database.connection import open_database
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.errors import AnsweredError, TakenError
from tests.storage.database.rows import bill, request


def work(url: str, folder: Path, run_id: str, job_id: str, segments: int) -> None:
    """Go on until every segment has its answer, whoever got it."""
    database = open_database(url)
    leases = Leases(database, folder / "runs")
    ledger = Ledger(database, leases=leases)
    left = deque(random.Random(run_id).sample(range(segments), segments))
    with leases.held(run_id), (folder / f"{run_id}.log").open("w", encoding="utf-8") as log:
        while left:
            index = left.popleft()
            try:
                attempt = ledger.begin(request(job_id, index, run_id=run_id))
            except AnsweredError:
                continue
            except TakenError:
                left.append(index)
                continue
            _say(log, "sent", index)
            ledger.succeed(attempt, "{}", bill())
            _say(log, "kept", index)
    database.close()


def _say(log: TextIO, what: str, index: int) -> None:
    log.write(f"{what} {index} {time.monotonic_ns()}\n")
    log.flush()


if __name__ == "__main__":
    work(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
