"""How things hang together."""

from typing import Any

from agents.skills.cross_reference_analysis import TAG_SHARE_MAX, Edge, Found, Node, analyse, found, paths
from schemas.graph import EdgeKind, GraphEdge, GraphNode
from tests.agents.skills.hits import episode

A = "0192f0c0-0000-7000-8000-00000000000a"
B = "0192f0c0-0000-7000-8000-00000000000b"
C = "0192f0c0-0000-7000-8000-00000000000c"


def drawn(source: str, kind: EdgeKind, target: str) -> GraphEdge:
    return GraphEdge(source=source, target=target, kind=kind, agent_id="nexus", stream_seq=1)


def one(ident: str, *, start: bool = False, **fields: Any) -> Found:
    """An episode as the graph and memory tell it."""
    seen = episode(ident, **fields)
    node = GraphNode(id=ident, kind="episode", text="", agent_id="nexus", timestamp=seen.timestamp, distance=0)
    return found(node, seen, start=start)


class TestEdges:
    def test_an_edge_of_the_graph_is_one(self) -> None:
        seen = analyse([one(A, start=True), one(B)], [drawn(A, "cross_reference", B)])
        assert seen.edges == [Edge(source=A, target=B, kind="cross_reference")]
        assert seen.paths == [[A, B]]

    def test_the_strongest_kind_is_told(self) -> None:
        both = [drawn(A, "mentions", B), drawn(A, "cross_reference", B)]
        assert [e.kind for e in analyse([one(A), one(B)], both).edges] == ["cross_reference"]

    def test_what_is_not_there_is_no_end_of_one(self) -> None:
        assert analyse([one(A)], [drawn(A, "cross_reference", B)]).edges == []

    def test_what_leads_to_an_agent_is_none(self) -> None:
        assert analyse([one(A), one(B)], [drawn(A, "voted_on", B)]).edges == []

    def test_a_session_is_a_chain_in_time(self) -> None:
        row = [one(i, session_id="s", timestamp=t) for i, t in ((A, "3"), (B, "1"), (C, "2"))]
        assert [(e.source, e.target, e.kind) for e in analyse(row, []).edges] == [(B, C, "same_session"), (C, A, "same_session")]

    def test_a_shared_tag_is_one_unless_everything_has_it(self) -> None:
        two = [one(i, tags=["db"]) for i in (A, B)]
        assert analyse(two, []).edges == [Edge(source=A, target=B, kind="same_tag", detail="db")]
        many = [one(f"e{n}", tags=["db"]) for n in range(TAG_SHARE_MAX + 1)]
        assert analyse(many, []).edges == []


class TestPaths:
    def test_the_shortest_way_is_told_in_either_direction(self) -> None:
        edges = [
            Edge(source="a", target="b", kind="mentions"),
            Edge(source="c", target="b", kind="mentions"),
            Edge(source="c", target="d", kind="mentions"),
        ]
        assert paths(["a"], edges) == [["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"]]

    def test_what_is_not_reached_has_none(self) -> None:
        nodes = [Found(node=Node(id=i, kind="episode", text="", start=i == "a")) for i in "ab"]
        assert analyse(nodes, []).paths == []
