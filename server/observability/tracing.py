"""Traces by the OpenTelemetry API: a span a call, in the caller's trace.

Without an SDK nothing is recorded, but a `traceparent` that a caller sends goes on to Triton. The stages of a call
become its children in `server/trace.py`. OpenTelemetry's own instrumentation of grpc.aio hangs clients.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import structlog
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace

_OURS = "/shortlist.v1."
_KEYS = ("traceparent", "tracestate", "baggage")


class TracingInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Interceptor that opens a span around the calls of `shortlist.v1`; the outermost one."""

    def __init__(self) -> None:
        self._traced: dict[str, tuple[grpc.RpcMethodHandler, grpc.RpcMethodHandler]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Returns the handler, in a span where it is ours."""
        handler = await continuation(details)
        if handler is None or not details.method.startswith(_OURS):
            return handler
        known = self._traced.get(details.method)
        if known is None or known[0] is not handler:
            known = self._traced[details.method] = handler, _with_span(handler, details.method)
        return known[1]


def _with_span(handler: grpc.RpcMethodHandler, method: str) -> grpc.RpcMethodHandler:
    for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
        behaviour = getattr(handler, kind)
        if behaviour is not None:
            make = getattr(grpc, f"{kind}_rpc_method_handler")
            return make(_traced(behaviour, method), handler.request_deserializer, handler.response_serializer)
    return handler


def _traced(behaviour: Callable[..., Any], method: str) -> Callable[..., Awaitable[Any]]:
    service, _, name = method[1:].partition("/")

    async def serve(request: object, context: grpc.aio.ServicerContext) -> Any:  # noqa: ANN401 -- any reply
        carrier = {key: value for key, value in context.invocation_metadata() or () if key in _KEYS}
        parent = propagate.extract(carrier) if carrier else otel_context.get_current()
        tracer = trace.get_tracer("shortlist")
        with tracer.start_as_current_span(
            f"{service}/{name}", parent, trace.SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            span_context = span.get_span_context()
            if span_context.is_valid:
                structlog.contextvars.bind_contextvars(trace_id=trace.format_trace_id(span_context.trace_id))
            try:
                result = behaviour(request, context)
                if hasattr(result, "__aiter__"):
                    async for reply in result:
                        await context.write(reply)
                    return None
                return await result
            finally:
                if span.is_recording():
                    _describe(span, service, name, context)

    return serve


def _describe(span: trace.Span, service: str, name: str, context: grpc.aio.ServicerContext) -> None:
    code = context.code()
    number = code.value[0] if isinstance(code, grpc.StatusCode) else int(code or 0)
    span.set_attributes(
        {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name, "rpc.grpc.status_code": number}
    )
    if number in (2, 4, 12, 13, 14, 15):  # what a server answers for: the conventions of OpenTelemetry for gRPC
        span.set_status(trace.StatusCode.ERROR)
