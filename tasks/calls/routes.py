"""The ways to the providers of one run: a client and a limiter each, opened when it is first asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.errors import CallError
from stenoflow.tasks.api.limiter import Limiter
from stenoflow.tasks.api.model_table import ModelKind
from stenoflow.tasks.calls.provider import Asked, asked_for, find_provider, open_api
from stenoflow.tasks.context import AppContext


@dataclass(frozen=True, slots=True)
class Route:
    """The way to one provider.

    Attributes:
        limiter: how many calls at once, and the stop for all of them.
    """

    api: AudioApi
    limiter: Limiter


class Routes:
    """All ways of a run; belongs to its event loop. What is opened is closed by the stack.

    Args:
        context: the tools.
        stack: of the run.
        limit: the most calls at once at one provider.
        outer: what each call passes through beside its provider's own limit.
    """

    def __init__(
        self,
        context: AppContext,
        stack: AsyncExitStack,
        limit: int,
        outer: Callable[[], AbstractAsyncContextManager[None]] | None = None,
    ) -> None:
        self._context = context
        self._stack = stack
        self._limit = limit
        self._outer = outer
        self._routes: dict[str, Route] = {}
        self._opening = asyncio.Lock()
        self._stopped_by: CallError | None = None

    async def to(self, provider: str, kind: ModelKind, *, exact: bool = False) -> Route:
        """Return the way to a provider; to who is asked for that kind now, where its name says nothing.

        Args:
            provider: its name.
            kind: what is asked.
            exact: it was named by the user; nobody else will do.

        Raises:
            SettingsError: it cannot be asked as the settings have it.
        """
        asked = self._asked(provider, kind, exact=exact)
        async with self._opening:
            route = self._routes.get(asked.provider.name)
            if route is None:
                context = self._context
                api = await self._stack.enter_async_context(open_api(context.settings, context.models, asked))
                route = Route(api, Limiter(self._limit, outer=self._outer))
                if self._stopped_by is not None:
                    route.limiter.stop(self._stopped_by)
                self._routes[asked.provider.name] = route
        return route

    def stop(self, error: CallError) -> None:
        """Send nothing more to anybody."""
        self._stopped_by = self._stopped_by or error
        for route in self._routes.values():
            route.limiter.stop(error)

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more is sent to anybody."""
        return self._stopped_by is not None

    @property
    def busy(self) -> int:
        """How many calls are in flight."""
        return sum(route.limiter.busy for route in self._routes.values())

    def _asked(self, provider: str, kind: ModelKind, *, exact: bool) -> Asked:
        """Return who is meant by a name that stands in a job, which may be older than the settings."""
        settings = self._context.settings
        usual = asked_for(settings, kind)
        if provider == usual.provider.name:
            return usual
        others = (asked_for(settings, each) for each in ModelKind)
        named = next((each for each in others if each.provider.name == provider), None)
        if named is not None:
            return named
        return find_provider(settings, provider) if exact or provider in settings.providers else usual
