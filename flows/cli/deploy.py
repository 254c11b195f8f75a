"""`stenoflow deploy`: register the deployments for workers on many machines."""

from __future__ import annotations

import asyncio
import os
from enum import StrEnum
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from stenoflow.flows.cli.console import result, say
from stenoflow.flows.prefect_server import PrefectError, surround
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources.file_names import is_plain, shown

if TYPE_CHECKING:
    from httpx import Response


class _PoolType(StrEnum):
    PROCESS = "process"
    DOCKER = "docker"
    KUBERNETES = "kubernetes"


def deploy(
    pool: Annotated[str, typer.Option(help="The work pool; it is made if it is not there.", metavar="NAME")],
    type_: Annotated[
        _PoolType,
        typer.Option(
            "--type", help="What its workers start for each flow run: process, docker or kubernetes."
        ),
    ] = _PoolType.PROCESS,
    image: Annotated[
        str | None,
        typer.Option(help="The image to start, with stenoflow in it.", metavar="IMAGE", show_default=False),
    ] = None,
) -> None:
    """Register the deployments for a pool's workers, with Prefect's server at PREFECT_API_URL.

    One for each flow, and one for each drop folder of the settings; those that are there are brought up to
    date. Workers then start with: prefect worker start --pool NAME

    Example: [bold]stenoflow deploy --pool stenoflow[/]
    """
    settings = load_settings()
    if not os.environ.get("PREFECT_API_URL"):
        raise SettingsError(
            "PREFECT_API_URL names no server to deploy to",
            "start one: prefect server start; on one machine, stenoflow serve needs none of this",
        )
    if type_ is not _PoolType.PROCESS and image is None:
        raise SettingsError(
            f"a pool of type {type_} needs an --image", "docker build makes one: see .deploy/"
        )
    if type_ is _PoolType.PROCESS and image is not None:
        raise SettingsError(
            f"a pool of processes starts no image, and --image names {image}",
            "add --type docker or --type kubernetes, or leave out --image",
        )
    _check_pool(pool)
    surround(settings.home)
    # Prefect reads its settings when it is imported.
    from httpx import HTTPError, HTTPStatusError  # noqa: PLC0415
    from prefect.deployments.runner import DeploymentApplyError  # noqa: PLC0415

    from stenoflow.flows.deployments import deploy_to_pool  # noqa: PLC0415
    from stenoflow.flows.inboxes import check_inboxes, folders_not_here  # noqa: PLC0415

    check_inboxes(settings)
    for name, failure in folders_not_here(settings):
        say(f"The inbox {name} is not seen from here: {failure.message}. Each worker must see it.")
    try:
        registered = asyncio.run(deploy_to_pool(settings, pool, type_.value, image))
    except DeploymentApplyError as error:
        raise PrefectError(f"the deployments could not be registered: {error}", _HINTS[403]) from error
    except HTTPStatusError as error:
        status = error.response.status_code
        hint = _HINTS.get(status, "check PREFECT_API_URL")
        raise PrefectError(
            f"the deployments could not be registered: the server answers {status}{_said(error.response)}",
            hint,
        ) from error
    except HTTPError as error:
        why = plain_reason(error)
        raise PrefectError(
            f"the deployments could not be registered: {why}", "check PREFECT_API_URL"
        ) from error
    for name in registered.names:
        result(name)
    for notice in registered.notices:
        say(notice)
    say(f"Workers: prefect worker start --pool {quote(pool)}")


def _check_pool(pool: str) -> None:
    """Refuse what Prefect takes for no name of a pool, before it says so in words of its own."""
    if not pool.strip() or not is_plain(pool) or any(sign in pool for sign in _IN_NO_NAME):
        raise SettingsError(
            f"no work pool can be called {shown(pool)!r}", f"a name has none of {' '.join(_IN_NO_NAME)}"
        )
    if pool.lower().startswith("prefect"):
        raise SettingsError(
            f"no work pool can be called {pool}: names that begin so are Prefect's own", "choose another name"
        )


_IN_NO_NAME = "/%&<>"
_HINTS = {
    401: "check PREFECT_API_AUTH_STRING",
    403: "a desk's own server takes pools of processes only; prefect server start takes images, too",
}


def _said(response: Response) -> str:
    """Return why a server says that it refuses."""
    try:
        said = response.json()
        return f": {said['detail']}"
    except (ValueError, KeyError, TypeError):
        return ""
