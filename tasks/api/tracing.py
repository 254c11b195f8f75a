"""OpenTelemetry's traces of jobs, segments and calls, where the environment asks for them.

The extra `otel` brings what sends them. A span has ids, models, states and kinds of errors; no texts, names,
addresses of recordings or messages: those may hold what is nobody's business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Span as SdkSpan
    from opentelemetry.trace import Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PREFIX = "stenoflow."
_USUAL_NAMES = {"model": "gen_ai.request.model", "provider": "gen_ai.provider.name", "error": "error.type"}


class Span:
    """A part of a trace; does nothing where nobody asked for one."""

    def __init__(self, span: SdkSpan | None = None) -> None:
        self._span = span

    def note(self, **attributes: str | int | None) -> None:
        """Say more of it; what is None is left out."""
        if self._span is not None:
            self._span.set_attributes(_named(attributes))

    def fail(self, kind: str) -> None:
        """Mark it as failed."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - for those that ask for it

            self.note(error=kind)
            self._span.set_status(Status(StatusCode.ERROR, kind))


@contextmanager
def traced(name: str, **attributes: str | int | None) -> Iterator[Span]:
    """Trace a block, inside of what is traced around it. An exception marks it as failed.

    Args:
        name: of the span: the same for all of its kind.
        attributes: of it, without their prefix.
    """
    tracer = _tracer()
    if tracer is None:
        yield Span()
        return
    given = _named(attributes)
    # An exception's text may say more than a trace should.
    with tracer.start_as_current_span(
        name, attributes=given, record_exception=False, set_status_on_exception=False
    ) as begun:
        span = Span(begun)
        try:
            yield span
        except BaseException as error:
            span.fail(str(getattr(error, "kind", type(error).__name__)))
            raise


def _named(attributes: dict[str, str | int | None]) -> dict[str, Any]:
    return {
        _USUAL_NAMES.get(name, f"{_PREFIX}{name}"): value
        for name, value in attributes.items()
        if value is not None
    }


def untraced() -> str | None:
    """Return why nothing is traced though the environment asks for it; None where that is not so."""
    if not _is_asked_for() or _tracer() is not None:
        return None
    return (
        "nothing is traced, though OTEL_* asks for it: install the extra otel: pip install 'stenoflow[otel]'"
    )


def _is_asked_for() -> bool:
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "otlp")
    return any(map(os.environ.get, _ENDPOINTS)) and exporter == "otlp"


@cache
def _tracer() -> Tracer | None:
    """Return what traces; None where the environment asks for nothing, or cannot have it."""
    if not _is_asked_for():
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        # Whoever sets these for all programs of a machine is not to have ours stopped.
        return None
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "stenoflow"}
    # Its own, not the process's: Prefect's spans would come along. What is left is sent at the end.
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("stenoflow")
