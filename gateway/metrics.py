"""Prometheus metrics under the names of the specification (`aria_…`), in a registry of our own.

What the gateway sees itself is counted as it happens; what the memory actor and the agents hold, and what memory counted of
the log, is read when Prometheus asks: to hear every entry only to count it was a twelfth of the cost of ingest. The number of
label values is bounded: agents' names and subjects come from outside.
"""

import functools
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas.members import AgentsView
from schemas.memory import MemoryStats, QueryTimes

METHODS: Final = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
AGENT_LABELS_MAX = 200
"""Most agents told apart by name; the rest are `other`."""
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
        self._connected = Gauge("aria_neural_mesh_agent_connected", "Agent connection status", ["agent_id"], registry=self.registry)
        self._agents: set[str] = set()
        self._memory = _MemoryFigures()
        self.registry.register(self._memory)

    def request(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """Count one request; `endpoint` is the route's template."""
        count, duration = self._of(method if method in METHODS else "other", endpoint, status)
        count.inc()
        duration.observe(seconds)

    @functools.cache  # noqa: B019 - the registry lives as long as the process, and the series are bounded
    def _of(self, method: str, endpoint: str, status: int) -> tuple[Counter, Histogram]:
        """The series of one kind of request: finding them by their labels takes longer than counting."""
        return self._requests.labels(method, endpoint, str(status)), self._durations.labels(method, endpoint)

    def text(self, stats: MemoryStats | None, agents: AgentsView | None) -> bytes:
        """The exposition. Without `stats` or `agents` (their actor is away) their series are absent, not stale."""
        self._memory.stats = stats
        self._connected.clear()
        for name, agent in agents.agents.items() if agents else ():
            self._connected.labels(self._label(name)).set(0 if agent.status == "gone" else 1)
        return generate_latest(self.registry)

    def _label(self, agent: str) -> str:
        if agent in self._agents or len(self._agents) < AGENT_LABELS_MAX:
            self._agents.add(agent)
            return agent
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
            yield self._messages(self.stats)
            yield from self._model_calls(self.stats)
        yield usage

    @staticmethod
    def _messages(stats: MemoryStats) -> Metric:
        labels = ["from_agent", "to_agent", "message_type"]
        messages = CounterMetricFamily("aria_neural_mesh_messages", "Neural mesh communication messages accepted by the log", labels=labels)
        for name, by_agent in stats.messages.items():
            for agent, count in by_agent.items():
                messages.add_metric(["mesh", agent, name] if name in TO_ITS_AGENT else [agent, EVERYONE, name], count)
        return messages

    @staticmethod
    def _model_calls(stats: MemoryStats) -> Iterator[Metric]:
        calls = CounterMetricFamily("aria_llm_calls", "Calls to a language model", labels=["agent_id", "purpose", "result"])
        tokens: Counts[tuple[str, str]] = Counts()
        cost: defaultdict[str, float] = defaultdict(float)
        for told in stats.model_calls:
            calls.add_metric([told.agent_id, told.purpose, told.result], told.calls)
            tokens.update({(told.agent_id, "input"): told.input_tokens, (told.agent_id, "output"): told.output_tokens})
            cost[told.agent_id] += told.cost
        yield calls
        used = CounterMetricFamily("aria_llm_tokens", "Tokens of language models", labels=["agent_id", "direction"])
        for labels, count in tokens.items():
            used.add_metric(labels, count)
        yield used
        paid = CounterMetricFamily("aria_llm_cost", "Cost of language models, by the prices of the settings", labels=["agent_id"])
        for agent, sum_of_it in cost.items():
            paid.add_metric([agent], sum_of_it)
        yield paid
        yield _histogram("aria_llm_call_duration_seconds", "Duration of calls to a language model", "purpose", stats.model_call_times)

    @staticmethod
    def _database(stats: MemoryStats) -> Iterator[Metric]:
        if stats.unpersisted is not None:
            yield GaugeMetricFamily("aria_memory_unpersisted_entries", "Entries of the log not persisted yet", value=stats.unpersisted)
        yield GaugeMetricFamily("aria_db_connections_active", "Active database connections", value=stats.db_connections)
        yield _histogram("aria_db_query_duration_seconds", "Database query execution time", "query_type", stats.queries)


def _histogram(name: str, documentation: str, label: str, told: Mapping[str, QueryTimes]) -> Metric:
    histogram = HistogramMetricFamily(name, documentation, labels=[label])
    for value, times in told.items():
        bounds = sorted((float(bound), float(count)) for bound, count in times.buckets.items() if float(bound) != float("inf"))
        buckets = [(str(bound), count) for bound, count in bounds] + [("+Inf", float(times.count))]
        histogram.add_metric([value], buckets=buckets, sum_value=times.sum_s)
    return histogram
