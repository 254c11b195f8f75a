from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from stenoflow.tasks.api.in_process import InProcessTransport

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def client(endpoint: Endpoint) -> httpx.AsyncClient:
    app = Starlette(routes=[Route("/it", endpoint, methods=["GET", "POST"])])
    return httpx.AsyncClient(transport=InProcessTransport(app), base_url="http://app")


def streaming(body: AsyncIterator[bytes]) -> Endpoint:
    async def answer(_: Request) -> Response:
        return StreamingResponse(body)

    return answer


async def test_a_request_comes_whole_and_its_answer_too() -> None:
    async def echo(request: Request) -> Response:
        return PlainTextResponse(await request.body(), 201, {"X-Query": request.url.query})

    async with client(echo) as http:
        answer = await http.post("/it?a=b", content=b"x" * 200_000)
    assert (answer.status_code, answer.headers["x-query"], len(answer.content)) == (201, "a=b", 200_000)


async def test_the_first_part_comes_before_the_last_one_is_made() -> None:
    heard = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await heard.wait()
        for _ in range(500):
            yield b"rest"

    async with client(streaming(parts())) as http, http.stream("GET", "/it") as answer:
        coming = answer.aiter_bytes()
        assert await anext(coming) == b"first"
        heard.set()
        assert b"".join([part async for part in coming]) == b"rest" * 500


async def test_an_app_that_breaks_midway_breaks_the_answer() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("the voice is gone")

    with pytest.raises(httpx.ReadError, match="the voice is gone"):
        async with client(streaming(parts())) as http:
            await http.get("/it")


async def test_an_app_that_cannot_answer_is_told_as_it_is() -> None:
    async def bare(*_: object) -> None:
        raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today"):
        async with httpx.AsyncClient(transport=InProcessTransport(bare), base_url="http://app") as http:
            await http.get("/it")


async def test_who_goes_away_ends_the_work() -> None:
    ended = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"on and on"
                await asyncio.sleep(0)
        finally:
            ended.set()

    async with client(streaming(parts())) as http:
        async with http.stream("GET", "/it") as answer:
            await anext(answer.aiter_bytes())
        await ended.wait()


async def test_a_call_that_is_cancelled_ends_the_work() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Response()

    async with client(slow) as http:
        call = asyncio.create_task(http.get("/it"))
        await begun.wait()
        call.cancel()
        await ended.wait()
