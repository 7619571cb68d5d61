"""Prometheus metrics under the names of the specification (`aria_…`), in a registry of our own.

What the gateway sees itself is counted as it happens; what the memory actor and the agents hold is read when
Prometheus asks. The number of label values is bounded: agents' names and subjects come from outside.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas.llm import CallContext, CallFigures
from schemas.members import AgentsView
from schemas.memory import MemoryStats

METHODS: Final = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
LABELS_MAX = 200
"""Most agents, and most purposes, told apart by name; the rest are `other`."""
EVERYONE = "all"
MEDIA = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
TO_ITS_AGENT = {"task.assigned", "task.input", "task.cancel", "emotion.stimulus"}
"""Messages whose subject names the agent that they are for; others name the one they are from."""


class Metrics:
    """The gateway's registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("aria_http_requests", "Total HTTP requests", ["method", "endpoint", "status"], registry=self.registry)
        self._durations = Histogram(
            "aria_http_request_duration_seconds",
            "HTTP request duration",
            ["method", "endpoint"],
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._messages = Counter(
            "aria_neural_mesh_messages",
            "Neural mesh communication messages accepted by the log",
            ["from_agent", "to_agent", "message_type"],
            registry=self.registry,
        )
        self._connected = Gauge("aria_neural_mesh_agent_connected", "Agent connection status", ["agent_id"], registry=self.registry)
        self._calls = Counter("aria_llm_calls", "Calls to a language model", ["agent_id", "purpose", "result"], registry=self.registry)
        self._tokens = Counter("aria_llm_tokens", "Tokens of language models", ["agent_id", "direction"], registry=self.registry)
        self._cost = Counter(
            "aria_llm_cost", "Cost of language models, by the prices of the settings", ["agent_id"], registry=self.registry
        )
        self._durations_llm = Histogram(
            "aria_llm_call_duration_seconds",
            "Duration of calls to a language model",
            ["purpose"],
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._agents: set[str] = set()
        self._purposes: set[str] = set()
        self._memory = _MemoryFigures()
        self.registry.register(self._memory)

    def request(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """Count one request; `endpoint` is the route's template."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, endpoint, str(status)).inc()
        self._durations.labels(method, endpoint).observe(seconds)

    def message(self, name: str, agent: str) -> None:
        """Count one entry that the log accepted: `name` is its row of the table, `agent` the one its subject names."""
        agent = self._label(agent)
        source, target = ("mesh", agent) if name in TO_ITS_AGENT else (agent, EVERYONE)
        self._messages.labels(source, target, name).inc()

    def model_call(self, agent: str, call: CallContext, figures: CallFigures) -> None:
        """Count one call to a language model, as the agent remembers it."""
        agent, purpose = self._label(agent), _bounded(call.purpose, self._purposes)
        self._calls.labels(agent, purpose, call.result).inc()
        self._durations_llm.labels(purpose).observe(figures.duration_s)
        self._tokens.labels(agent, "input").inc(figures.input_tokens)
        self._tokens.labels(agent, "output").inc(figures.output_tokens)
        self._cost.labels(agent).inc(figures.cost or 0.0)

    def text(self, stats: MemoryStats | None, agents: AgentsView | None) -> bytes:
        """The exposition. Without `stats` or `agents` (their actor is away) their series are absent, not stale."""
        self._memory.stats = stats
        self._connected.clear()
        for name, agent in agents.agents.items() if agents else ():
            self._connected.labels(self._label(name)).set(0 if agent.status == "gone" else 1)
        return generate_latest(self.registry)

    def _label(self, agent: str) -> str:
        return _bounded(agent, self._agents)


def _bounded(name: str, known: set[str]) -> str:
    """The name as a label's value, as long as not too many are known."""
    if name in known or len(known) < LABELS_MAX:
        known.add(name)
        return name
    return "other"


class _MemoryFigures(Collector):
    """What the memory actor says of itself and its database, as last asked."""

    def __init__(self) -> None:
        self.stats: MemoryStats | None = None

    def collect(self) -> Iterable[Metric]:
        """Called by the registry for each scrape."""
        usage = GaugeMetricFamily("aria_memory_usage_bytes", "Memory usage by component", labels=["component"])
        usage.add_metric(["gateway"], psutil.Process().memory_info().rss)
        if self.stats is not None:
            usage.add_metric(["memory"], self.stats.rss_bytes)
            for component, size in self.stats.storage_bytes.items():
                usage.add_metric([component], size)
            yield from self._database(self.stats)
        yield usage

    @staticmethod
    def _database(stats: MemoryStats) -> Iterator[Metric]:
        yield GaugeMetricFamily("aria_db_connections_active", "Active database connections", value=stats.db_connections)
        queries = HistogramMetricFamily("aria_db_query_duration_seconds", "Database query execution time", labels=["query_type"])
        for query, times in stats.queries.items():
            bounds = sorted((float(bound), float(count)) for bound, count in times.buckets.items() if float(bound) != float("inf"))
            buckets = [(str(bound), count) for bound, count in bounds] + [("+Inf", float(times.count))]
            queries.add_metric([query], buckets=buckets, sum_value=times.sum_s)
        yield queries
