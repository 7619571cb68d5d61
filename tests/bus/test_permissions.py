"""Permissions are what the table says, and what stands beside it lets nobody act for another."""

import re

import pytest

from bus import subjects
from bus.permissions import Identity, Role, allowed, matches, names, permissions
from bus.settings import BusSettings
from bus.subjects import By, Subject

OPERATOR, MEMORY, GATEWAY = Identity("operator", Role.OPERATOR), Identity("memory", Role.MEMORY), Identity("gateway", Role.GATEWAY)
NEXUS, ARIA = Identity("nexus", Role.BUILTIN), Identity("aria", Role.BUILTIN)
OPS, MALLORY = Identity("ops", Role.EXTERNAL), Identity("mallory", Role.EXTERNAL)
EVERYONE = (OPERATOR, MEMORY, GATEWAY, NEXUS, ARIA, OPS, MALLORY)
SETTINGS = BusSettings()
MAY = {
    By.SELF: {Role.BUILTIN, Role.EXTERNAL},
    By.MESH: {Role.BUILTIN},
    By.ANY: {Role.BUILTIN, Role.EXTERNAL, Role.MEMORY, Role.GATEWAY},
    By.MEMORY: {Role.MEMORY},
    By.ACTORS: {Role.BUILTIN, Role.MEMORY},
    By.OPERATOR: set(),
    By.SERVER: {Role.BUILTIN},
}


def may_publish(who: Identity, subject: str, settings: BusSettings = SETTINGS) -> bool:
    found = permissions(who, EVERYONE, settings)
    return allowed(subject, found.publish, found.publish_denied)


def may_hear(who: Identity, subject: str, settings: BusSettings = SETTINGS) -> bool:
    found = permissions(who, EVERYONE, settings)
    return allowed(subject, found.subscribe, found.subscribe_denied)


def example(row: Subject, agent: str) -> str:
    tokens = dict.fromkeys(re.findall(r"\{(\w+)\}", row.pattern), "x")
    return row.subject(**tokens | {"bucket": row.name} | ({"agent": agent} if "agent" in tokens else {}))


@pytest.mark.parametrize("who", EVERYONE, ids=lambda i: i.name)
@pytest.mark.parametrize("row", subjects.TABLE, ids=lambda r: r.name)
class TestTable:
    def test_who_may_publish_is_what_its_row_says(self, row: Subject, who: Identity) -> None:
        for agent in ("nexus", "ops", "nobody"):
            guests = row.guest and who.role is Role.BUILTIN and (agent == "nobody" or row.foreign)
            own = row.by is not By.SELF or "{agent}" not in row.pattern or agent == who.name or guests
            declared = who.role is Role.OPERATOR or (who.role in MAY[row.by] and own) or (row.gateway and who.role is Role.GATEWAY)
            assert may_publish(who, example(row, agent)) is declared, (who, row.name, agent)

    def test_only_who_answers_hears_a_question(self, row: Subject, who: Identity) -> None:
        if row.reply is not None:
            answers = {By.MESH: Role.BUILTIN, By.MEMORY: Role.MEMORY}
            themselves = row.answered_by is By.SELF and (who.name == "ops" or (row.guest and who.role is Role.BUILTIN))
            declared = who.role in {Role.OPERATOR, answers.get(row.answered_by)} or themselves
            assert may_hear(who, example(row, "ops")) is declared

    def test_nobody_but_the_operator_hears_what_is_stored_but_by_its_copy(self, row: Subject, who: Identity) -> None:
        """Who hears a publish hears where its acknowledgement goes, and could give it before the server does."""
        if row.stream is not None:
            assert may_hear(who, example(row, "ops")) is (who.role is Role.OPERATOR)
            assert may_hear(who, f"{subjects.LOG_COPY}.{example(row, 'ops')}")


@pytest.mark.parametrize("who", [i for i in EVERYONE if i is not OPERATOR], ids=lambda i: i.name)
class TestBesideTheTable:
    def test_an_inbox_is_its_owners(self, who: Identity) -> None:
        for other in EVERYONE:
            assert may_hear(who, f"_INBOX.{other.name}.x") is (who is other), other
        assert not may_hear(who, "_INBOX.>")
        assert not may_hear(who, ">")

    def test_an_external_agent_cannot_answer_for_others_into_the_inbox_of_a_part_of_ours(self, who: Identity) -> None:
        for other in (MEMORY, GATEWAY, NEXUS, ARIA):
            assert may_publish(who, f"_INBOX.{other.name}.x") is (who.role in {Role.BUILTIN, Role.MEMORY})

    def test_only_its_own_work_is_pulled_and_acknowledged(self, who: Identity) -> None:
        for consumer in ("work-nexus", "work-aria", "work-ops", "work-mallory"):
            own = consumer == f"work-{who.name}"
            assert may_publish(who, f"$JS.ACK.MESH.{consumer}.1.2.3.4.5") is own
            assert may_publish(who, f"$JS.API.CONSUMER.MSG.NEXT.MESH.{consumer}") is own

    @pytest.mark.parametrize("stream", names(SETTINGS))
    def test_streams_are_neither_purged_nor_deleted_and_only_memory_erases(self, who: Identity, stream: str) -> None:
        remakes = who is MEMORY and stream == "KV_affect"
        for verb in ("PURGE", "UPDATE", "RESTORE", "SNAPSHOT"):
            webhooks = (who, verb, stream) == (GATEWAY, "PURGE", "KV_a2a_push")
            assert may_publish(who, f"$JS.API.STREAM.{verb}.{stream}") is webhooks
        for verb in ("CREATE", "DELETE"):
            assert may_publish(who, f"$JS.API.STREAM.{verb}.{stream}") is remakes
        erases = who is MEMORY and stream in {"MESH", "LESSONS", "DEAD", "KV_idempotency"}
        assert may_publish(who, f"$JS.API.STREAM.MSG.DELETE.{stream}") is erases

    def test_a_mesh_with_a_prefix_is_all_that_its_parties_reach(self, who: Identity) -> None:
        settings = BusSettings(prefix="blue")
        found = permissions(who, EVERYONE, settings)
        elsewhere = [f for f in (*found.publish, *found.subscribe) if "blue" not in f]
        assert {f for f in elsewhere if not f.startswith("agents.")} <= {"$SRV.>", "_INBOX.>", "_INBOX.agents.>", "_ASK.*.>"}


class TestExternal:
    """What it reads, it reads by asking: JetStream answers wherever a request says, and an entry's body there would be an entry."""

    @pytest.mark.parametrize(
        "verb",
        [
            "DIRECT.GET.MESH",
            "DIRECT.GET.KV_affect.$KV.affect.ops",
            "STREAM.MSG.GET.MESH",
            "CONSUMER.CREATE.MESH",
            "CONSUMER.CREATE.LESSONS",
            "CONSUMER.CREATE.MESH.work-ops.mesh.>",
            "CONSUMER.DURABLE.CREATE.MESH.work-ops",
            "CONSUMER.DELETE.MESH.work-ops",
            "CONSUMER.LIST.MESH",
        ],
    )
    def test_it_may_not(self, verb: str) -> None:
        assert not may_publish(OPS, f"$JS.API.{verb}")

    def test_it_makes_its_consumer_over_its_own_assignments(self) -> None:
        assert may_publish(OPS, "$JS.API.CONSUMER.CREATE.MESH.work-ops.mesh.task.*.assigned.ops")

    def test_it_takes_the_name_of_no_service_of_ours(self) -> None:
        assert may_hear(OPS, "$SRV.PING")
        assert may_hear(OPS, "$SRV.PING.agents.x")
        assert not may_hear(OPS, "$SRV.PING.mesh")
        assert not may_hear(OPS, "$SRV.INFO.memory.x")


class TestFilters:
    @pytest.mark.parametrize(
        ("pattern", "subject", "fits"),
        [
            ("a.*", "a.b", True),
            ("a.*", "a.b.c", False),
            ("a.>", "a.b.c", True),
            ("a.>", "a", False),
            (">", "a.b", True),
            ("a.b", "a.b", True),
            ("a.b.>", "a.c.d", False),
        ],
    )
    def test_they_are_nats(self, pattern: str, subject: str, fits: bool) -> None:
        assert matches(pattern, subject) is fits
