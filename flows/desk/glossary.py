"""The glossary of an inbox: names and words that people corrected, told to the models of what comes next."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from stenoflow.flows.desk.recordings import inbox_of
from stenoflow.flows.desk.rendering import context_of
from stenoflow.flows.desk.visitor import Role, changing, visitor_of
from stenoflow.storage.database.audit import Audit
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.sources.glossary import is_term
from stenoflow.tasks.sources.inbox import prefix_of


def learn(context: AppContext, job: Job, terms: Iterable[str], who: str) -> None:
    """Put terms into the glossary of the inbox that a job's recording lies in, if it lies in one.

    Args:
        context: the tools.
        job: whose transcript was corrected.
        terms: names and words; what no glossary can hold is left out.
        who: who corrected it.
    """
    inbox = inbox_of(context.settings.inboxes, context.catalog.recording(job.recording_id).source)
    if inbox is None:
        return
    # In a file, # would begin a comment.
    fitting = [each for each in terms if each and is_term(each) and "#" not in each]
    if added := context.inboxes.add_terms(prefix_of(inbox.address), fitting, who, job.recording_id):
        Audit(context.database).add(who, "glossary", job.id, {"inbox": inbox.name, "added": len(added)})


@changing(Role.EDITOR)
async def change(request: Request, form: FormData) -> Response:
    """Take a word out of an inbox's glossary."""
    context, name, term = context_of(request), str(form.get("inbox", "")), str(form.get("remove", ""))
    inbox = next((each for each in context.settings.inboxes if each.name == name), None)
    if inbox is None or not await run_in_threadpool(
        context.inboxes.remove_term, prefix_of(inbox.address), term
    ):
        raise HTTPException(404, "There is no such word in the glossary.")
    details = {"inbox": name, "removed": 1}
    who = visitor_of(request).name
    await run_in_threadpool(Audit(context.database).add, who, "glossary", details=details)
    return RedirectResponse("/desk/health", 303)
