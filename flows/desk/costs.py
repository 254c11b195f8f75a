"""What was spent: by month as a picture, by any heading as a table and as CSV, and the budgets."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from stenoflow.flows.desk.charts import columns
from stenoflow.flows.desk.rendering import context_of, page
from stenoflow.storage.database.health import Health
from stenoflow.storage.database.reports import CostLine, CostsBy, Spending
from stenoflow.tasks.artifacts.sanitize import for_cell
from stenoflow.tasks.billing.amounts import from_micro
from stenoflow.tasks.context import AppContext

_MONTHS, _DAYS = 12, 30
_CURRENCY = "USD"


def show(request: Request) -> Response:
    """Show the costs."""
    context = context_of(request)
    by, since = _heading(request), _since(request)
    now = datetime.now(UTC)
    lines = _sorted(by, context.reports.costs(by, since))
    monthly = dict(_by_heading(context, CostsBy.MONTH, _month_before(now.date(), _MONTHS - 1)))
    daily = dict(_by_heading(context, CostsBy.DAY, now.date() - timedelta(days=_DAYS - 1)))
    months = [f"{_month_before(now.date(), back):%Y-%m}" for back in reversed(range(_MONTHS))]
    days = [f"{now.date() - timedelta(days=back):%Y-%m-%d}" for back in reversed(range(_DAYS))]
    return page(
        request,
        "costs.html.jinja",
        by=by.value,
        headings=[each.value for each in CostsBy],
        since=since and f"{since:%Y-%m-%d}",
        lines=lines,
        total=_total(lines),
        charts=[
            ("Twelve months", columns([(each, monthly.get(each, 0)) for each in months])),
            ("Thirty days", columns([(each, daily.get(each, 0)) for each in days])),
        ],
        budgets=context.ledger.budgets_of_the_month(),
        uncertain=Health(context.database).uncertain(now - timedelta(days=31)),
    )


def download(request: Request) -> Response:
    """Answer with the table as CSV."""
    context, by = context_of(request), _heading(request)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        (by.value, "requests", "audio_seconds", "characters", "cost", "possible", "unpriced", "currency")
    )
    for line in _sorted(by, context.reports.costs(by, _since(request))):
        writer.writerow(
            (
                # Others name tags and recordings.
                for_cell(line.heading),
                line.calls,
                line.audio_ms / 1000,
                line.characters,
                f"{from_micro(line.spending.actual_micro):.6f}",
                f"{from_micro(line.spending.possible_micro):.6f}",
                line.spending.unpriced,
                line.currency,
            )
        )
    headers = {"Content-Disposition": f'attachment; filename="costs-by-{by.value}.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _heading(request: Request) -> CostsBy:
    try:
        return CostsBy(request.query_params.get("by", CostsBy.TAG))
    except ValueError:
        return CostsBy.TAG


def _since(request: Request) -> datetime | None:
    try:
        return datetime.fromisoformat(request.query_params.get("since", "")).replace(tzinfo=UTC)
    except ValueError:
        return None


def _by_heading(context: AppContext, by: CostsBy, since: date) -> list[tuple[str, int]]:
    start = datetime(since.year, since.month, since.day, tzinfo=UTC)
    lines = context.reports.costs(by, start)
    return [(each.heading, each.spending.actual_micro) for each in lines if each.currency == _CURRENCY]


def _sorted(by: CostsBy, lines: list[CostLine]) -> list[CostLine]:
    """Put the newest first where the heading is a time, else what cost most."""
    if by in {CostsBy.DAY, CostsBy.MONTH}:
        return lines[::-1]
    return sorted(lines, key=lambda line: -line.spending.actual_micro)


def _total(lines: list[CostLine]) -> Spending:
    spent = [line.spending for line in lines if line.currency == _CURRENCY]
    return Spending(
        sum(each.actual_micro for each in spent),
        sum(each.possible_micro for each in spent),
        sum(each.unpriced for each in spent),
    )


def _month_before(day: date, months: int) -> date:
    number = day.year * 12 + day.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)
