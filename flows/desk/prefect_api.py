"""Prefect's API, asked inside its own process: flow runs are started and cancelled as its pages do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import httpx
from starlette.types import ASGIApp

from stenoflow.storage.errors import StenoflowError

_DEPLOYMENT = "stenoflow"
_MOST = 200


class StartError(StenoflowError):
    """Prefect did not start or stop a flow run."""

    kind = "prefect"


class PrefectApi:
    """Asks Prefect's app.

    Args:
        app: Prefect's; None: there is none, and nothing can be started.
    """

    def __init__(self, app: ASGIApp | None) -> None:
        self._app = app

    async def start(self, flow: str, parameters: Mapping[str, Any], tags: Sequence[str] = ()) -> str:
        """Start a flow run of a deployment of ours; return its id.

        Raises:
            StartError: there is no such deployment, or Prefect refused.
        """
        async with self._client() as client:
            deployment = (await self._ask(client, "GET", f"/deployments/name/{flow}/{_DEPLOYMENT}"))["id"]
            body = {"parameters": dict(parameters), "tags": list(tags), "state": {"type": "SCHEDULED"}}
            run = await self._ask(client, "POST", f"/deployments/{deployment}/create_flow_run", body)
            return str(run["id"])

    async def cancel(self, job_id: str, source: str) -> int:
        """Cancel the flow runs that work on a job or its recording; return how many there were.

        Calls in flight go on to their end; what is paid for is kept.
        """
        wanted = {
            "flow_runs": {
                "state": {"type": {"any_": ["RUNNING", "PENDING", "SCHEDULED"]}},
                "deployment_id": {"is_null_": False},
            },
            "limit": _MOST,
        }
        async with self._client() as client:
            found = await self._ask(client, "POST", "/flow_runs/filter", wanted)
            ours = [each for each in found if _is_of(each.get("parameters") or {}, job_id, source)]
            for run in ours:
                body = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": False}
                await self._ask(client, "POST", f"/flow_runs/{run['id']}/set_state", body)
            return len(ours)

    def _client(self) -> httpx.AsyncClient:
        if self._app is None:
            raise StartError("there is no Prefect here to start it", "use the command line")
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self._app, raise_app_exceptions=False),
            base_url="http://desk/api",
            timeout=60,
        )

    async def _ask(self, client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
        headers = {}
        if method != "GET":
            name = uuid4().hex
            reply = await client.get("/csrf-token", params={"client": name})
            if reply.is_success:
                headers = {"Prefect-Csrf-Token": reply.json()["token"], "Prefect-Csrf-Client": name}
        reply = await client.request(method, path, json=body, headers=headers)
        if reply.status_code == 404:
            raise StartError("Prefect does not know this flow", "is `stenoflow serve` still starting?")
        if not reply.is_success:
            raise StartError(f"Prefect refused: {reply.status_code} {reply.text[:300]}")
        return reply.json() if reply.content else None


def _is_of(parameters: Mapping[str, Any], job_id: str, source: str) -> bool:
    return parameters.get("job") == job_id or parameters.get("source") == source
