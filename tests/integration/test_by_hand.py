"""docs/nats-cli.md and docs/external-agents.md, line by line, with a bare NATS client: nothing of ours but the page."""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "nats-cli.md"
EXTERNAL = DOCS / "external-agents.md"
README = DOCS.parent / "README.md"
ANYTHING = "…"
PATIENCE_S = 20.0
"""Longest wait until a question is answered as the page says: what was published before it takes its way first."""


def steps(page: Path = PAGE) -> Iterator[tuple[list[str], Any]]:
    """Each command of the page with the answer that stands under it, or `ANYTHING`."""
    blocks = re.findall(r"```(sh|json)\n(.*?)```", page.read_text(), re.DOTALL)
    for i, (kind, text) in enumerate(blocks):
        if kind == "sh":
            lines = text.strip().splitlines()
            shown = blocks[i + 1][1] if i + 1 < len(blocks) and blocks[i + 1][0] == "json" else None
            for line in lines:
                yield shlex.split(line.removeprefix("nats ")), json.loads(shown) if shown and line == lines[-1] else ANYTHING


def fits(shown: Any, real: Any) -> bool:
    """Whether `real` holds all that the page shows, of a list in the same order; an ellipsis stands for any value."""
    if shown == ANYTHING:
        return True
    if isinstance(shown, dict):
        return isinstance(real, dict) and all(k in real and fits(v, real[k]) for k, v in shown.items())
    if isinstance(shown, list):
        rest = iter(real if isinstance(real, list) else ())
        return isinstance(real, list) and all(any(fits(item, other) for other in rest) for item in shown)
    return bool(shown == real)


class Hand:
    """The `nats` command, as far as the page uses it."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._js = nc.jetstream()

    async def run(self, words: list[str]) -> Any:
        match words:
            case ["pub", subject, body, *header]:
                await self._until_opened(subject)
                name, _, value = header[1].partition(":") if header else ("", "", "")
                await self._nc.publish(subject, body.encode(), headers={name: value} if name else None)
            case ["req", subject, body]:
                return json.loads((await self._nc.request(subject, body.encode(), timeout=10)).data)
            case ["sub", subject]:
                await self._nc.subscribe(subject)
            case ["kv", "put", bucket, key, body]:
                await (await self._js.key_value(bucket)).put(key, body.encode())
            case ["kv", "get", bucket, key]:
                return (await (await self._js.key_value(bucket)).get(key)).value
            case ["kv", "del", bucket, key]:
                await (await self._js.key_value(bucket)).delete(key)
            case ["consumer", "next", stream, name]:
                work = await self._js.pull_subscribe_bind(name, stream)
                [msg] = await work.fetch(1, timeout=PATIENCE_S)
                await msg.ack()
                return json.loads(msg.data)
            case ["stream", "get", stream, "--last-for", subject]:
                return json.loads((await self._js.get_last_msg(stream, subject)).data or b"{}")
            case ["micro", "list"]:
                return json.loads((await self._nc.request("$SRV.PING.mesh", b"", timeout=5)).data)
            case ["stream", "ls"]:
                return [s.config.name for s in await self._js.streams_info()]
            case _:
                raise AssertionError(f"the page uses a command this test does not know: {words}")
        return None

    async def _until_opened(self, subject: str) -> None:
        """The page says to wait for the opening before voting."""
        if found := re.match(r"mesh\.consensus\.([^.]+)\.vote", subject):
            async with asyncio.timeout(PATIENCE_S):
                while "proposal_id" not in await self.run(["req", "ask.proposal", json.dumps({"id": found[1]})]):
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def beating(nc: Client, page: Path) -> AsyncIterator[None]:
    """The agent of the page puts its profile every second, as the page says."""
    words = next(w for w, _ in steps(page) if w[:2] == ["kv", "put"])
    hand = Hand(nc)

    async def beat() -> None:
        while True:
            await hand.run(words)
            await asyncio.sleep(1)

    task = asyncio.create_task(beat(), name="presence")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def answered_as_shown(hand: Hand, words: list[str], shown: Any) -> Any:
    real: Any = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    real = await hand.run(words)
                except NotFoundError as e:
                    real = e
                else:
                    if fits(shown, real):
                        return real
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{' '.join(words)}\nthe page shows {shown}\nthe mesh says {real}") from None


@pytest.mark.parametrize("page", [PAGE, EXTERNAL], ids=lambda p: p.stem)
async def test_every_line_of_the_page_works_and_answers_as_it_says(mesh: dict[str, Any], page: Path) -> None:
    nc = await nats.connect(**mesh["credentials"])
    hand = Hand(nc)
    walked = list(steps(page))
    leaving = next(i for i, (words, _) in enumerate(walked) if words[:2] == ["kv", "del"])
    try:
        async with beating(nc, page):
            for words, shown in walked[:leaving]:
                await answered_as_shown(hand, words, shown)
        for words, shown in walked[leaving:]:
            await answered_as_shown(hand, words, shown)
    finally:
        await nc.close()


async def test_the_lines_of_the_readme_work(mesh: dict[str, Any]) -> None:
    """With the operator's key, as it says."""
    nc = await nats.connect(**mesh["credentials"])
    lines = [line for line in README.read_text().splitlines() if line.startswith("nats ")]
    assert {line.split()[1] for line in lines} == {"kv", "pub", "sub"}
    try:
        hand = Hand(nc)
        await hand.run(["pub", "mesh.consensus.of-the-readme.proposal.ops", '{"title": "By the README", "timeout_s": 1}'])
        for line in lines:
            await hand.run(shlex.split(line.replace("<proposal>", "of-the-readme").removeprefix("nats ")))
        await nc.flush()
        assert nc.last_error is None
    finally:
        await nc.close()


async def test_the_page_shows_every_kind_of_message_an_agent_may_publish() -> None:
    published = " ".join(words[1] for words, _ in steps() if words[0] == "pub")
    for part in ("mesh.learning.", ".proposal.", ".vote.", "mesh.emotion.", ".submitted", ".progress.", ".result.", "memory.episode."):
        assert part in published
