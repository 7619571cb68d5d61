"""Health, probes, counts and metrics, with stand-ins for the parts whose state they tell."""

from typing import Any

import msgspec
import pytest

from bus.subjects import ASK_AGENTS, ASK_TASKS, MEMORY_STATS
from schemas.members import AgentsView, AgentView
from schemas.memory import MemoryStats, ModelCalls, PartHealth, QueryTimes
from schemas.tasks import TaskPage
from tests.gateway.conftest import Door

PARTS = (
    "postgresql", "pgvector", "redis", "working_memory", "episodic_memory", "semantic_memory", "consolidation_engine",
    "continuity_manager", "integrated_graph_memory",
)  # fmt: skip
HEALTHY = PartHealth(status="healthy", latency_ms=1.0)
STATS = MemoryStats(
    episodes=5, concepts=1, lessons=2, working=0, persisted_seq=9, unpersisted=4, unembedded=0, db_connections=4, rss_bytes=1000,
    storage_bytes={"postgresql": 5000, "redis": 600}, parts=dict.fromkeys(PARTS, HEALTHY),
    queries={"search": QueryTimes(count=3, sum_s=0.5, buckets={"0.01": 1, "0.1": 2, "1": 3})},
)  # fmt: skip
AGENT = AgentView(
    role="r", status="active", specialization=[], skills=[], communication_patterns=[], last_seen="t", instances=1,
    neural_mesh_version="1", takes=[], load=0,
)  # fmt: skip


def agents(**statuses: Any) -> AgentsView:
    known = {name: msgspec.structs.replace(AGENT, status=status) for name, status in statuses.items()}
    return AgentsView(total_connected=len(known), mesh_topology="triangular_consensus", agents=known)


THREE = agents(nexus="active", aria="active", ricardo="active")


def part(name: str, status: Any) -> MemoryStats:
    return msgspec.structs.replace(STATS, parts={**STATS.parts, name: PartHealth(status=status, latency_ms=1.0, detail="why")})


class TestHealth:
    async def test_all_there_is_healthy(self, door: Door):
        await door.stand_in({MEMORY_STATS: STATS, ASK_AGENTS: THREE})
        response = await door.http.get("/health")
        told = response.json()
        assert (response.status_code, told["status"]) == (200, "healthy")
        assert set(told["components"]) == {"nats", "postgresql", "pgvector", "redis", "agents", "memory_components"}
        assert set(told["components"]["memory_components"]) == {
            "working_memory", "episodic_memory", "semantic_memory", "consolidation_engine", "continuity_manager",
            "integrated_graph_memory", "neural_mesh",
        }  # fmt: skip
        assert all(part["status"] == "healthy" for part in told["components"]["memory_components"].values())
        assert all({"status", "latency_ms", "detail"} <= c.keys() for c in told["components"]["agents"].values())

    @pytest.mark.parametrize(("answers", "status", "overall"), [
        ({MEMORY_STATS: part("redis", "unhealthy"), ASK_AGENTS: THREE}, 200, "degraded"),
        ({MEMORY_STATS: part("postgresql", "unhealthy"), ASK_AGENTS: THREE}, 503, "unhealthy"),
        ({MEMORY_STATS: part("pgvector", "degraded"), ASK_AGENTS: THREE}, 200, "degraded"),
        ({MEMORY_STATS: STATS, ASK_AGENTS: agents(nexus="active", aria="active", ricardo="gone")}, 200, "degraded"),
        ({MEMORY_STATS: STATS, ASK_AGENTS: agents(nexus="active", aria="active")}, 200, "degraded"),
        ({MEMORY_STATS: STATS, ASK_AGENTS: agents(nexus="active", aria="suspect", ricardo="active")}, 200, "degraded"),
        ({MEMORY_STATS: STATS, ASK_AGENTS: agents(nexus="active", aria="active", ricardo="active", ops="gone")}, 200, "healthy"),
        ({MEMORY_STATS: STATS}, 503, "unhealthy"),
        ({ASK_AGENTS: THREE}, 503, "unhealthy"),
        ({}, 503, "unhealthy"),
    ])  # fmt: skip
    async def test_what_is_missing_is_told(self, door: Door, answers: dict[Any, Any], status: int, overall: str):
        if answers:
            await door.stand_in(answers)
        response = await door.http.get("/health")
        assert (response.status_code, response.json()["status"]) == (status, overall)

    async def test_a_part_that_hangs_is_unhealthy_within_its_time(self, door: Door):
        async def hang(_: Any) -> Any:
            await door.stop.wait()

        await door.stand_in({MEMORY_STATS: hang, ASK_AGENTS: THREE})
        told = (await door.http.get("/health")).json()["components"]["postgresql"]
        assert told["status"] == "unhealthy"
        assert "within 2 s" in told["detail"]


class TestStats:
    async def test_counts_what_there_is(self, door: Door):
        await door.stand_in({MEMORY_STATS: STATS, ASK_AGENTS: THREE, ASK_TASKS: TaskPage(tasks=[], next_before=None)})
        told = (await door.http.get("/stats")).json()
        assert told["memory"]["episodes"] == 5
        assert told["agents"] == {"nexus": "active", "aria": "active", "ricardo": "active"}
        assert told["tasks_under_way"] == {"submitted": 0, "assigned": 0, "running": 0}

    async def test_what_cannot_be_asked_is_null(self, door: Door):
        told = (await door.http.get("/stats")).json()
        assert (told["memory"], told["agents"], told["tasks_under_way"]) == (None, None, None)


class TestMetrics:
    async def test_have_the_names_of_the_specification(self, door: Door):
        await door.stand_in({MEMORY_STATS: STATS, ASK_AGENTS: agents(nexus="active", ops="gone")})
        await door.http.get("/memory/episodic/some-id")
        await door.http.get("/nope")
        text = (await door.http.get("/metrics")).text
        for line in (
            'aria_http_requests_total{endpoint="/memory/episodic/{episode_id}",method="GET",status="503"} 1.0',
            'aria_http_requests_total{endpoint="unmatched",method="GET",status="404"} 1.0',
            'aria_http_request_duration_seconds_count{endpoint="unmatched",method="GET"} 1.0',
            'aria_neural_mesh_agent_connected{agent_id="nexus"} 1.0',
            'aria_neural_mesh_agent_connected{agent_id="ops"} 0.0',
            "aria_db_connections_active 4.0",
            "aria_memory_unpersisted_entries 4.0",
            'aria_db_query_duration_seconds_bucket{le="0.1",query_type="search"} 2.0',
            'aria_db_query_duration_seconds_bucket{le="+Inf",query_type="search"} 3.0',
            'aria_db_query_duration_seconds_sum{query_type="search"} 0.5',
            'aria_memory_usage_bytes{component="postgresql"} 5000.0',
            'aria_memory_usage_bytes{component="memory"} 1000.0',
        ):
            assert line in text.splitlines()

    async def test_count_messages_as_memory_was_brought_them(self, door: Door):
        brought = {"lesson": {"nexus": 3}, "task.assigned": {"aria": 1}}
        await door.stand_in({MEMORY_STATS: msgspec.structs.replace(STATS, messages=brought)})
        text = (await door.http.get("/metrics")).text.splitlines()
        assert 'aria_neural_mesh_messages_total{from_agent="nexus",message_type="lesson",to_agent="all"} 3.0' in text
        assert 'aria_neural_mesh_messages_total{from_agent="mesh",message_type="task.assigned",to_agent="aria"} 1.0' in text

    async def test_count_calls_to_a_language_model_as_memory_was_brought_them(self, door: Door):
        answered = ModelCalls(
            agent_id="ricardo", purpose="vote.weigh", result="answered", calls=2, input_tokens=100, output_tokens=20, cost=0.25
        )
        late = ModelCalls(agent_id="ricardo", purpose="vote.weigh", result="time", calls=1, input_tokens=10)
        took = {"vote.weigh": QueryTimes(count=3, sum_s=9.5, buckets={"1": 2, "10": 3})}
        await door.stand_in({MEMORY_STATS: msgspec.structs.replace(STATS, model_calls=[answered, late], model_call_times=took)})
        text = (await door.http.get("/metrics")).text.splitlines()
        for line in (
            'aria_llm_calls_total{agent_id="ricardo",purpose="vote.weigh",result="answered"} 2.0',
            'aria_llm_calls_total{agent_id="ricardo",purpose="vote.weigh",result="time"} 1.0',
            'aria_llm_tokens_total{agent_id="ricardo",direction="input"} 110.0',
            'aria_llm_tokens_total{agent_id="ricardo",direction="output"} 20.0',
            'aria_llm_cost_total{agent_id="ricardo"} 0.25',
            'aria_llm_call_duration_seconds_count{purpose="vote.weigh"} 3.0',
            'aria_llm_call_duration_seconds_bucket{le="1.0",purpose="vote.weigh"} 2.0',
        ):
            assert line in text

    async def test_of_parts_that_are_away_are_absent(self, door: Door):
        text = (await door.http.get("/metrics")).text
        assert "aria_db_connections_active" not in text
        assert 'aria_memory_usage_bytes{component="gateway"}' in text
