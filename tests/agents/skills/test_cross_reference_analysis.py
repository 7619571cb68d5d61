"""How things hang together."""

from agents.skills.cross_reference_analysis import TAG_SHARE_MAX, Edge, Found, Node, analyse, from_episode, paths
from tests.agents.skills.hits import episode

A = "0192f0c0-0000-7000-8000-00000000000a"
B = "0192f0c0-0000-7000-8000-00000000000b"
C = "0192f0c0-0000-7000-8000-00000000000c"


class TestEdges:
    def test_a_cross_reference_is_one(self) -> None:
        found = analyse([from_episode(episode(A, cross_reference=B), start=True), from_episode(episode(B))])
        assert found.edges == [Edge(source=A, target=B, kind="cross_reference")]
        assert found.paths == [[A, B]]

    def test_an_id_that_is_mentioned_is_one(self) -> None:
        found = analyse([from_episode(episode(A, f"as in {B}")), from_episode(episode(B))])
        assert found.edges == [Edge(source=A, target=B, kind="mentions")]

    def test_the_strongest_kind_is_told(self) -> None:
        both = episode(A, f"as in {B}", cross_reference=B)
        assert [e.kind for e in analyse([from_episode(both), from_episode(episode(B))]).edges] == ["cross_reference"]

    def test_evidence_is_a_source(self) -> None:
        judged = episode(A, action_details={"evidence": ["plain-id"]})
        assert [e.kind for e in analyse([from_episode(judged), from_episode(episode("plain-id"))]).edges] == ["source"]

    def test_what_is_not_there_is_no_end_of_one(self) -> None:
        assert analyse([from_episode(episode(A, cross_reference=B))]).edges == []

    def test_a_session_is_a_chain_in_time(self) -> None:
        row = [from_episode(episode(i, session_id="s", timestamp=t)) for i, t in ((A, "3"), (B, "1"), (C, "2"))]
        assert [(e.source, e.target, e.kind) for e in analyse(row).edges] == [(B, C, "same_session"), (C, A, "same_session")]

    def test_a_shared_tag_is_one_unless_everything_has_it(self) -> None:
        two = [from_episode(episode(i, tags=["db"])) for i in (A, B)]
        assert analyse(two).edges == [Edge(source=A, target=B, kind="same_tag", detail="db")]
        many = [from_episode(episode(f"e{n}", tags=["db"])) for n in range(TAG_SHARE_MAX + 1)]
        assert analyse(many).edges == []


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
        assert analyse(nodes).paths == []
