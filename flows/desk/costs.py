"""The costs page: by month and day as pictures, by any heading as a table and as CSV, and the budgets."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import UTC, date, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from stenoflow.flows.desk.charts import columns
from stenoflow.flows.desk.recordings import day_of
from stenoflow.flows.desk.rendering import context_of, page
from stenoflow.storage.database.charges import CURRENCY
from stenoflow.storage.database.costs import NO_HEADING, CostLine, CostsBy, Spending
from stenoflow.storage.database.health import Health
from stenoflow.tasks.artifacts.sanitize import for_cell
from stenoflow.tasks.billing.amounts import from_micro
from stenoflow.tasks.context import AppContext

_MONTHS, _DAYS = 12, 30
# Of 100,000 recordings a browser would make a page of minutes; all of them are in the file.
_MOST_LINES = 200


def show(request: Request) -> Response:
    """Show the costs."""
    context = context_of(request)
    by, now = _heading(request), datetime.now(UTC)
    since = day_of(request.query_params.get("since", ""))
    lines = _sorted(by, context.reports.costs(by, since, _MOST_LINES + 1))
    spent = context.reports.costs(CostsBy.ACTIVITY, since)
    daily = _daily(context, _month_before(now.date(), _MONTHS - 1))
    monthly: Counter[str] = Counter()
    for day, micro in daily.items():
        monthly[day[:7]] += micro
    months = [f"{_month_before(now.date(), back):%Y-%m}" for back in reversed(range(_MONTHS))]
    days = [f"{now.date() - timedelta(days=back):%Y-%m-%d}" for back in reversed(range(_DAYS))]
    return page(
        request,
        "costs.html.jinja",
        by=by.value,
        headings=[each.value for each in CostsBy],
        since=since and since.date().isoformat(),
        lines=_with_shares(lines[:_MOST_LINES], spent),
        has_more=len(lines) > _MOST_LINES,
        total=_total(spent),
        charts=[
            ("Twelve months", columns([(each, monthly[each]) for each in months])),
            ("Thirty days", columns([(each, daily[each]) for each in days])),
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
    since = day_of(request.query_params.get("since", ""))
    for line in _sorted(by, context.reports.costs(by, since)):
        writer.writerow(
            (
                # Others name tags and recordings; the sign for none is ours.
                line.heading if line.heading == NO_HEADING else for_cell(line.heading),
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


def _daily(context: AppContext, since: date) -> Counter[str]:
    """Return what was spent on each day from one on."""
    start = datetime(since.year, since.month, since.day, tzinfo=UTC)
    lines = context.reports.costs(CostsBy.DAY, start)
    return Counter({each.heading: each.spending.actual_micro for each in lines if each.currency == CURRENCY})


def _sorted(by: CostsBy, lines: list[CostLine]) -> list[CostLine]:
    """Put the newest first where the heading is a time, else what cost most."""
    if by in {CostsBy.DAY, CostsBy.MONTH}:
        return lines[::-1]
    return sorted(lines, key=lambda line: -line.spending.actual_micro)


def _with_shares(lines: list[CostLine], whole: list[CostLine]) -> list[tuple[CostLine, float]]:
    """Return lines, each with how much it is of all that was spent in its currency, in per cent."""
    spent: Counter[str] = Counter()
    for line in whole:
        spent[line.currency] += line.spending.actual_micro
    return [(line, 100 * line.spending.actual_micro / max(1, spent[line.currency])) for line in lines]


def _total(lines: list[CostLine]) -> Spending:
    spent = [line.spending for line in lines if line.currency == CURRENCY]
    return Spending(
        sum(each.actual_micro for each in spent),
        sum(each.possible_micro for each in spent),
        sum(each.unpriced for each in spent),
    )


def _month_before(day: date, months: int) -> date:
    number = day.year * 12 + day.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)
