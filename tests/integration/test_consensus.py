"""Consensus on the real mesh: REST in, the log decides, every door tells the same."""

import asyncio
import json
from typing import Any

import httpx
import nats

from bus.ids import uuid7
from tests.integration.rest import BAD, GOOD, client, eventually, get, post


async def test_good_attributes_are_accepted_two_of_three_on_a_fresh_mesh(mesh: dict[str, Any]) -> None:
    body = {"title": f"Rotate the {uuid7()} certificates", "attributes": GOOD, "electorate": ["nexus", "aria", "ricardo"]}
    async with client(mesh["http"]) as http:
        found = await post(http, "/neural-mesh/consensus", body, 200)
        assert (found["status"], found["choice"]) == ("accepted", "approve")
        assert {v["agent"]: v["choice"] for v in found["votes"] if v["counted"]}.items() >= {
            "nexus": "approve",
            "ricardo": "approve",
        }.items()
        assert all(v["rationale"] for v in found["votes"])
        again = await get(http, f"/neural-mesh/consensus/{found['proposal_id']}")
        assert (again["status"], again["decided_at_seq"], again["tally"]) == (found["status"], found["decided_at_seq"], found["tally"])


async def test_bad_attributes_are_rejected(mesh: dict[str, Any]) -> None:
    body = {"title": f"Drop the {uuid7()} database", "attributes": BAD, "electorate": ["nexus", "aria", "ricardo"]}
    async with client(mesh["http"]) as http:
        assert (await post(http, "/neural-mesh/consensus", body, 200))["status"] == "rejected"


async def test_agents_that_are_not_there_are_absent_and_it_expires(mesh: dict[str, Any]) -> None:
    body = {"title": "Wait for nobody", "electorate": ["ghost", "phantom"], "timeout_s": 0.7}
    async with client(mesh["http"]) as http:
        found = await post(http, "/neural-mesh/consensus", body, 200)
    assert (found["status"], found["choice"], found["tally"]["absent"]) == ("expired", None, 2)


async def test_a_lesson_learned_before_changes_a_later_vote(mesh: dict[str, Any]) -> None:
    what = f"migrate the ledger{uuid7()[:8]} schema on Friday evening"
    proposal = {
        "title": what,
        "domain": "technical",
        "electorate": ["nexus", "aria", "ricardo"],
        "attributes": {**GOOD, "risk": 0.3, "cost": 0.4},
    }
    async with client(mesh["http"]) as http:
        before = await post(http, "/neural-mesh/consensus", proposal, 200)
        lesson = {
            "agent": "ricardo",
            "topic": what,
            "content": f"Never {what}: it failed, caused an outage and lost data. Avoid it.",
            "domain": "technical",
            "confidence": 1.0,
        }
        receipt = await post(http, "/neural-mesh/cross-learning", lesson, 202)
        assert "nexus" in receipt["integrated_by"]
        after = await post(http, "/neural-mesh/consensus", proposal, 200)
    first, second = (next(v for v in p["votes"] if v["agent"] == "nexus") for p in (before, after))
    assert first["choice"] == "approve"
    assert second["choice"] != "approve" or second["confidence"] < first["confidence"]
    assert receipt["lesson_id"] in second["rationale"] + " ".join(second["evidence"])


async def test_each_proposal_has_one_opening_and_one_decision_in_the_log(mesh: dict[str, Any]) -> None:
    async with client(mesh["http"]) as http:
        bodies = [{"title": f"Storm {i}", "attributes": GOOD} for i in range(20)]
        found = await asyncio.gather(*(post(http, "/neural-mesh/consensus", b, 200) for b in bodies))
    connection = await nats.connect(**mesh["credentials"])
    try:
        for view in found:
            for row in ("opened", "decision"):
                info = await connection.jetstream().stream_info("MESH", subjects_filter=f"mesh.consensus.{view['proposal_id']}.{row}")
                assert sum((info.state.subjects or {}).values()) == 1, (view, row)
    finally:
        await connection.close()


async def test_what_cannot_be_voted_on_is_refused_at_the_door_and_a_dead_letter_by_hand(mesh: dict[str, Any]) -> None:
    bad = [
        {"threshold": "1/2"},
        {"threshold": "most"},
        {"options": ["approve"]},
        {"electorate": []},
        {"required_approvers": ["boss"]},
        {"electorate": ["nexus"], "required_approvers": ["aria"]},
    ]
    async with client(mesh["http"]) as http:
        for fields in bad:
            problem = await post(http, "/neural-mesh/consensus", {"title": "No", **fields}, 400)
            assert problem["status"] == 400
            assert problem["detail"] or problem["errors"]
    connection = await nats.connect(**mesh["credentials"])
    try:
        letters = await connection.subscribe("dead.>")
        await connection.flush()
        for fields in bad:
            subject = f"mesh.consensus.{uuid7()}.proposal.ops"
            await connection.publish(subject, json.dumps({"title": "No", **fields}).encode())
            letter = json.loads((await letters.next_msg(10)).data)
            assert letter["subject"] == subject
            assert letter["reason"]
    finally:
        await connection.close()


async def test_what_nobody_can_read_does_not_stand_in_the_way(mesh: dict[str, Any]) -> None:
    """Where the mesh wants to be the first to say something of a proposal, only an entry that can be read was before it."""
    connection = await nats.connect(**mesh["credentials"])
    try:
        for row in ("opened", "decision"):
            ident = uuid7()
            await connection.jetstream().publish(f"mesh.consensus.{ident}.{row}", b"{no json")
            proposal = {"title": f"Go on all the same {ident}", "attributes": GOOD, "timeout_s": 20}
            await connection.jetstream().publish(f"mesh.consensus.{ident}.proposal.operator", json.dumps(proposal).encode())
            async with client(mesh["http"]) as http:
                found = await eventually(lambda ident=ident, http=http: _decided(http, ident))
            assert (found["status"], found["choice"]) == ("accepted", "approve"), row
    finally:
        await connection.close()


async def _decided(http: httpx.AsyncClient, ident: str) -> Any:
    found = await get(http, f"/neural-mesh/consensus/{ident}")
    return found if found["status"] != "open" else None
