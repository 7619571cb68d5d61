"""The questions that memory answers, as the NATS micro service `memory`: each row of the table and what answers it."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError, bad_request, not_found, refusal
from bus.service import Service
from memory.arrivals import Arrivals
from memory.concepts import get_concept, list_concepts, tell_concept
from memory.consolidation.run import Consolidation
from memory.continuity import Continuations
from memory.database import RAISED, Database, refused_reason
from memory.episodes import get_episodes, recent_episodes
from memory.forgetting.forgetter import Forgetter
from memory.forgetting.guard import was_forgotten
from memory.graph import graph_around
from memory.recalls import Recalls
from memory.search import Search
from memory.stats import Stats
from memory.working import WorkingMemory
from schemas.concepts import ConceptById, ConceptFilter, ConceptPage, ConceptRequest, ConceptView, ConceptWithSources
from schemas.forgetting import FORGOTTEN_CODE
from schemas.graph import GraphRequest, GraphView
from schemas.memory import (
    ById,
    Changed,
    Deleted,
    EpisodePage,
    EpisodeView,
    RecentFilter,
    SearchRequest,
    SearchResults,
    WorkingKey,
    WorkingPut,
    WorkingView,
)

SERVICE: Final = "memory"

Handler = Callable[[Any], Awaitable[Any]]


class Questions:
    """One method a question that does more than ask one part; `register` puts them all into a service."""

    def __init__(
        self,
        bus: Bus,
        database: Database,
        search: Search,
        working: WorkingMemory,
        arrivals: Arrivals,
        continuations: Continuations,
        stats: Stats,
        recalls: Recalls,
        consolidation: Consolidation,
        forgetter: Forgetter,
    ) -> None:
        self._bus = bus
        self._database = database
        self._search = search
        self._working = working
        self._arrivals = arrivals
        self._continuations = continuations
        self._stats = stats
        self._recalls = recalls
        self._consolidation = consolidation
        self._forgetter = forgetter

    def service(self, awaiting_max: int) -> Service:
        """The service, not started yet. `awaiting_max`: most `memory.await` that wait at a time."""
        service = Service(self._bus, SERVICE, "Episodes, working and semantic memory, and search over them")
        for row, handler in self._handlers().items():
            service.answer(row, refusing(handler))
        service.answer(subjects.MEMORY_AWAIT, refusing(self._arrivals.wait), concurrency_max=awaiting_max)
        return service

    def _handlers(self) -> dict[subjects.Subject, Handler]:
        return {
            subjects.MEMORY_SEARCH: self.search,
            subjects.MEMORY_RECENT: self.recent,
            subjects.MEMORY_GET: self.get,
            subjects.MEMORY_STATS: self._stats.report,
            subjects.MEMORY_WORKING_PUT: self.put_working,
            subjects.MEMORY_WORKING_GET: self._working.get,
            subjects.MEMORY_WORKING_LIST: self._working.list,
            subjects.MEMORY_WORKING_DELETE: self.delete_working,
            subjects.MEMORY_SEMANTIC_PUT: self.put_semantic,
            subjects.MEMORY_SEMANTIC_GET: self.get_semantic,
            subjects.MEMORY_SEMANTIC_LIST: self.list_semantic,
            subjects.MEMORY_FORGET: self._forgetter.forget,
            subjects.MEMORY_CONSOLIDATE: self._consolidation.consolidate,
            subjects.MEMORY_GRAPH: self.graph,
            subjects.MEMORY_CONTINUITY: self._continuations.tell,
        }

    async def search(self, asked: SearchRequest) -> SearchResults:
        found = await self._search.find(asked)
        self._recalls.note(asked, found)
        return found

    async def recent(self, asked: RecentFilter) -> EpisodePage:
        return await recent_episodes(self._database, asked)

    async def get(self, asked: ById) -> EpisodeView:
        """One episode or lesson. Raises a 404, whose code says so where it was forgotten; `Unavailable`."""
        found = await get_episodes(self._database, [asked.id])
        if not found and await was_forgotten(self._database, asked.id):
            raise refusal(404, f"episode {asked.id} was forgotten", code=FORGOTTEN_CODE)
        if not found:
            raise not_found(f"no episode {asked.id}")
        return found[0]

    async def put_working(self, asked: WorkingPut) -> WorkingView:
        view = await self._working.put(asked)
        await self._changed(view.key, view.agent_id)
        return view

    async def delete_working(self, asked: WorkingKey) -> Deleted:
        deleted, agent = await self._working.delete(asked)
        if agent is not None:
            await self._changed(asked.key, agent)
        return deleted

    async def put_semantic(self, asked: ConceptRequest) -> ConceptView:
        return await tell_concept(self._bus, self._database, self._arrivals, asked)

    async def get_semantic(self, asked: ConceptById) -> ConceptWithSources:
        return await get_concept(self._database, asked)

    async def list_semantic(self, asked: ConceptFilter) -> ConceptPage:
        return await list_concepts(self._database, asked)

    async def graph(self, asked: GraphRequest) -> GraphView:
        return await graph_around(self._database, asked)

    async def _changed(self, key: str, agent: str) -> None:
        try:
            await self._bus.notify(subjects.CHANGED, Changed(id=key, kind="working"), agent=agent, kind="working")
        except CerebroError:
            return  # the change is committed; who listens for it hears nothing while NATS is away, and neither does the caller


def refusing(handler: Handler) -> Handler:
    """`handler`, with PostgreSQL's refusals of a value (a NUL, a time out of range) told as what they are: a bad request."""

    async def _handle(asked: Any) -> Any:
        try:
            return await handler(asked)
        except RAISED as e:
            if (reason := refused_reason(e)) is None:
                raise
            raise bad_request(reason) from e

    return _handle
