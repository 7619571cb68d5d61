"""The rows of the route table that are A2A's: the card, JSON-RPC at one address, HTTP+JSON at an address for each operation."""

from typing import Any

from gateway.a2a import card, faults, rest, rpc
from gateway.route import NOBODY, Area, Needs, Route

OK = {200: "What was asked for."}
STREAM = "text/event-stream"


def _a2a(
    method: str,
    path: str,
    summary: str,
    needs: Needs,
    handler: Any,
    *,
    body: bool = False,
    raw: str | None = None,
    acts_as: str | None = None,
) -> Route:
    """A route of the HTTP+JSON binding of A2A."""
    return Route(
        method=method,
        path=card.HTTP_PATH + path,
        area=Area.A2A,
        summary=summary,
        needs=needs,
        acts_as=acts_as,
        handler=handler,
        body=dict[str, Any] if body else None,
        path_type=rest.WebhookPath if "{config_id}" in path else rest.A2ATaskPath if "{id}" in path else None,
        reply=dict[str, Any],
        raw=raw,
        statuses=OK,
        undecoded=True,
        tell=faults.http,
    )


A2A: list[Route] = [
    Route(
        method="GET",
        path="/.well-known/agent-card.json",
        area=Area.A2A,
        summary="Agent card",
        needs=Needs.NOTHING,
        handler=card.agent_card,
        reply=dict[str, Any],
        statuses={200: "The card.", 304: "It is as you have it."},
    ),
    Route(
        method="POST",
        path=card.RPC_PATH,
        also=(f"{card.RPC_PATH}/",),
        area=Area.A2A,
        summary="A2A by JSON-RPC",
        needs=Needs.WRITE,
        handler=rpc.jsonrpc,
        body=dict[str, Any],
        reply=dict[str, Any],
        statuses={200: "The result, or the error; server-sent events where a stream was asked for."},
        undecoded=True,
        tell=faults.rpc,
    ),
    _a2a("POST", "/message:send", "Send a message", Needs.WRITE, rest.send_message, body=True, acts_as=NOBODY),
    _a2a(
        "POST",
        "/message:stream",
        "Send a message and hear",
        Needs.WRITE,
        rest.send_streaming_message,
        body=True,
        raw=STREAM,
        acts_as=NOBODY,
    ),
    _a2a("GET", "/tasks", "List tasks of A2A", Needs.READ, rest.list_tasks),
    _a2a("POST", "/tasks/{id}:cancel", "Cancel a task of A2A", Needs.WRITE, rest.cancel_task),
    _a2a("POST", "/tasks/{id}:subscribe", "Hear of a task", Needs.READ, rest.subscribe_to_task, raw=STREAM),
    _a2a("GET", "/tasks/{id}:subscribe", "Hear of a task (GET)", Needs.READ, rest.subscribe_by_get, raw=STREAM),
    _a2a("POST", "/tasks/{id}/pushNotificationConfigs", "Set a webhook", Needs.WRITE, rest.create_webhook, body=True),
    _a2a("GET", "/tasks/{id}/pushNotificationConfigs", "List webhooks", Needs.WRITE, rest.list_webhooks),
    _a2a("GET", "/tasks/{id}/pushNotificationConfigs/{config_id}", "A webhook", Needs.WRITE, rest.get_webhook),
    _a2a("DELETE", "/tasks/{id}/pushNotificationConfigs/{config_id}", "Delete a webhook", Needs.WRITE, rest.delete_webhook),
    _a2a("GET", "/tasks/{id}", "A task of A2A", Needs.READ, rest.get_task),
    _a2a("GET", "/extendedAgentCard", "Extended agent card", Needs.READ, rest.extended_agent_card),
]
