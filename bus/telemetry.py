"""Traces across the bus: the W3C `traceparent` header, by OpenTelemetry's own propagator."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("cerebro")


def start(service: str) -> None:
    """Give this process a tracer under its own name; an exporter is added by whoever runs one."""
    trace.set_tracer_provider(TracerProvider(resource=Resource.create({"service.name": f"cerebro-{service}"})))


def outgoing() -> dict[str, str]:
    """The headers that carry the current trace, if there is one."""
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers


@contextmanager
def span(name: str, headers: Mapping[str, str] | None = None, kind: SpanKind = SpanKind.CONSUMER) -> Iterator[None]:
    """A span that goes on with the trace in `headers`."""
    parent = _propagator.extract(dict(headers or {}))
    with _tracer.start_as_current_span(name, context=parent, kind=kind):
        yield


@contextmanager
def within(name: str, attributes: Mapping[str, str]) -> Iterator[Span]:
    """A span inside whatever is traced now; what else there is to say of it is said to the span."""
    with _tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=dict(attributes)) as current:
        yield current
