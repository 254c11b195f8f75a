"""What the machine of `test_runs_machine` found, each made small."""

from __future__ import annotations

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.states import SegmentState
from stenoflow.storage.errors import StenoflowError
from tests.storage.database.rows import bill, open_job, request

LOST = StenoflowError("the connection broke")


def test_a_run_that_slept_over_its_call_does_not_set_aside_what_another_got_done(
    catalog: Catalog, ledger: Ledger
) -> None:
    job_id = open_job(catalog)
    late = ledger.begin(request(job_id, run_id="asleep"))
    ledger.succeed(ledger.begin(request(job_id, run_id="next")), "{}", bill())
    ledger.mark_unknown(late, LOST)
    ledger.fail_segment(job_id, 0, LOST)
    segment = catalog.segment(job_id, 0)
    assert (segment.state, segment.error_kind) == (SegmentState.DONE, None)
