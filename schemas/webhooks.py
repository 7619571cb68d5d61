"""Webhooks: where a client of A2A is told of a task, in the bucket `a2a_push`."""

from schemas.words import Body


class Webhook(Body, frozen=True, kw_only=True):
    """One webhook of one task. It is told of entries after `after_seq`; `over` says that none will come any more.

    `token`, `scheme` and `credentials` are secrets of its client: they are shown to who asks for the webhook, and sent to it.
    """

    task_id: str
    id: str
    url: str
    token: str = ""
    scheme: str = ""
    credentials: str = ""
    after_seq: int = 0
    over: bool = False
