"""Prefect's API, of its app in this process or of another server: flow runs are started and cancelled."""

from __future__ import annotations

import asyncio
import logging
import os
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from stenoflow.storage.errors import StenoflowError

DEPLOYMENT = "stenoflow"
"""What each flow's deployment is called, in `prefect.yaml` and by `stenoflow serve`."""
_MOST = 200
# A page does not wait for longer.
_SOON_S = 2.0
_FAILED = ("FAILED", "CRASHED")
_log = logging.getLogger(__name__)


class StartError(StenoflowError):
    """Prefect did not start or stop a flow run."""

    kind = "prefect"


@dataclass(frozen=True, slots=True)
class FailedLook:
    """A look into an inbox that failed."""

    at: datetime
    reason: str


class PrefectApi:
    """Asks Prefect.

    Args:
        client: opens a client whose base is Prefect's API; None: there is none, and nothing can be started.
    """

    def __init__(self, client: Callable[[], httpx.AsyncClient] | None = None) -> None:
        self._open = client

    @classmethod
    def of_app(cls, app: ASGIApp) -> Self:
        """Ask Prefect's own app, in this process."""
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return cls(partial(httpx.AsyncClient, transport=transport, base_url="http://desk/api", timeout=60))

    @classmethod
    def of_server(cls, api_url: str) -> Self:
        """Ask another server, as Prefect's own client would log in there."""
        auth, headers = os.environ.get("PREFECT_API_AUTH_STRING"), {}
        if auth is not None:
            headers["Authorization"] = f"Basic {b64encode(auth.encode()).decode()}"
        elif (key := os.environ.get("PREFECT_API_KEY")) is not None:
            headers["Authorization"] = f"Bearer {key}"
        return cls(partial(httpx.AsyncClient, base_url=api_url, headers=headers, timeout=60))

    async def start(self, flow: str, parameters: Mapping[str, Any], tags: Sequence[str] = ()) -> str:
        """Start a flow run of a deployment of ours; return its id.

        Raises:
            StartError: there is no such deployment, or Prefect refused.
        """
        async with self._client() as client:
            deployment = (await self._ask(client, "GET", f"/deployments/name/{flow}/{DEPLOYMENT}"))["id"]
            body = {"parameters": dict(parameters), "tags": list(tags), "state": {"type": "SCHEDULED"}}
            run = await self._ask(client, "POST", f"/deployments/{deployment}/create_flow_run", body)
            return str(run["id"])

    async def knows(self, key: str) -> bool:
        """Tell whether Prefect has an artifact of a key; True where it does not say in a while."""
        if self._open is None:
            return False
        try:
            async with self._open() as client:
                reply = await client.get(f"/artifacts/{quote(key, safe='')}/latest", timeout=_SOON_S)
        except httpx.HTTPError:
            return True
        return reply.status_code != 404

    async def failed_look(self, inbox: str) -> FailedLook | None:
        """Return the last look into an inbox of the settings, if it failed.

        None also where Prefect knows of none, or does not say in a while.
        """
        if self._open is None:
            return None
        wanted = {
            "flows": {"name": {"any_": ["ingest"]}},
            "deployments": {"name": {"any_": [inbox]}},
            "flow_runs": {"state": {"type": {"any_": ["COMPLETED", *_FAILED]}}},
            "sort": "END_TIME_DESC",
            "limit": 1,
        }
        try:
            async with asyncio.timeout(_SOON_S), self._client() as client:
                for run in await self._ask(client, "POST", "/flow_runs/filter", wanted):
                    state = run["state"]
                    if state["type"] in _FAILED:
                        at = datetime.fromisoformat(run["end_time"] or state["timestamp"])
                        return FailedLook(at, state["message"] or "its process died")
        except (StartError, TimeoutError, KeyError, TypeError, ValueError) as error:
            _log.warning("Prefect does not say how the looks into %s ended: %s", inbox, error)
        return None

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
        if self._open is None:
            raise StartError("there is no Prefect here to start it", "use the command line")
        return self._open()

    async def _ask(self, client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
        headers = {}
        try:
            if method != "GET":
                name = uuid4().hex
                reply = await client.get("/csrf-token", params={"client": name})
                if reply.is_success:
                    headers = {"Prefect-Csrf-Token": reply.json()["token"], "Prefect-Csrf-Client": name}
            reply = await client.request(method, path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise StartError(
                f"Prefect's server cannot be reached: {type(error).__name__}", "try again in a while"
            ) from error
        if reply.status_code == 404:
            raise StartError("Prefect does not know this flow", "is `stenoflow serve` still starting?")
        if not reply.is_success:
            raise StartError(f"Prefect refused: {reply.status_code} {reply.text[:300]}")
        return reply.json() if reply.content else None


def signpost(pages: str) -> ASGIApp:
    """Return an app that leads to another server of Prefect's, by the paths that its pages have there.

    Args:
        pages: where they begin.
    """

    async def lead(request: Request) -> Response:
        if request.url.path == "/api/health":
            return JSONResponse(content=True)
        if request.url.path.startswith("/api/"):
            return JSONResponse({"detail": "Prefect's API is at another server"}, 404)
        return RedirectResponse(f"{pages.rstrip('/')}{quote(request.url.path)}", 303)

    return Starlette(routes=[Route("/{path:path}", lead)])


def _is_of(parameters: Mapping[str, Any], job_id: str, source: str) -> bool:
    return parameters.get("job") == job_id or parameters.get("source") == source
