"""The law of consolidation: what belongs together, what joins what, and what is written of it."""

import random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.consolidation import rules
from memory.consolidation.extract import EXTRACT_LEN_MAX, EXTRACT_SENTENCES_MAX, extract
from memory.consolidation.grouping import GROUP_LEN_MAX
from memory.consolidation.source import Gathering, Plan, Source, Standing
from schemas.concepts import ConceptFormed
from tests.memory.consolidation.told import DEPLOYS, ODD, QUEUES, ids, said

GIVEN = st.lists(
    st.tuples(st.sampled_from(["nexus", "aria"]), st.text("ab cAB1.-\n", max_size=30), st.sampled_from([None, "s"])), max_size=12
)


def grouped(plan: Plan) -> list[list[str]]:
    return [ids(gathering.sources) for gathering in plan.gatherings]


def written(gathering: Gathering) -> ConceptFormed:
    told = gathering.standing.told if gathering.standing else None
    summary = "\n".join(part for part in (told, extract(gathering.known, told or "")) if part)
    return rules.concept(gathering, rules.judge(gathering), summary, "run")


def standing(sources: list[Source], **fields: Any) -> Standing:
    """The concept that these sources form, as a later run finds it."""
    (gathering,) = rules.plan(sources).gatherings
    body = written(gathering)
    known = {
        "id": "c1", "version": 1, "concept": body.concept, "content": body.content, "knowledge_type": body.knowledge_type,
        "origin": "consolidated", "source_ids": tuple(body.source_episodes), "statements": tuple(body.statements),
        "sources": tuple(msgspec.structs.replace(s, is_new=False) for s in sources),
    }  # fmt: skip
    return Standing(**(known | fields))


class TestGroups:
    def test_what_tells_of_the_same_is_together_and_what_is_like_nothing_is_alone(self) -> None:
        plan = rules.plan(said(*DEPLOYS, *QUEUES, ODD))
        assert grouped(plan) == [["e0", "e1", "e2"], ["e3", "e4"]]
        assert plan.alone == {"e5": plan.alone["e5"]}
        assert "penguin" in plan.alone["e5"]

    def test_across_agents_only_what_is_clearly_the_same(self) -> None:
        clear = rules.plan([*said(DEPLOYS[0]), *said(DEPLOYS[2], agent="aria", start=1)])
        assert grouped(clear) == [["e0", "e1"]]
        vague = ("The billing service was restarted.", "The billing service got a new logo.")
        assert grouped(rules.plan([*said(vague[0]), *said(vague[1], agent="aria", start=1)])) == []

    def test_no_chain_of_small_likenesses_joins_what_has_nothing_in_common(self) -> None:
        chain = said("alpha bravo charlie delta", "charlie delta echo foxtrot", "echo foxtrot golf hotel", "golf hotel india juliett")
        for group in grouped(rules.plan(chain)):
            assert not {"e0", "e3"} <= set(group)

    def test_what_refers_to_the_other_needs_less_likeness(self) -> None:
        texts = ("Restarted the billing service by hand.", "The billing service leaks memory.")
        assert grouped(rules.plan(said(*texts))) == []
        first, second = said(*texts)
        linked = msgspec.structs.replace(second, links=(first.id,))
        plan = rules.plan([first, linked])
        assert grouped(plan) == [["e0", "e1"]]

    def test_vectors_join_what_says_the_same_in_other_words(self) -> None:
        texts = ("The database was slow.", "PostgreSQL performance trouble.", "We had pasta for lunch.")
        vectors = np.array([[1, 0, 0], [0.9, 0.435889894, 0], [0, 0, 1]], dtype=np.float32)
        assert grouped(rules.plan(said(*texts))) == []
        assert grouped(rules.plan([msgspec.structs.replace(s, vector=v) for s, v in zip(said(*texts), vectors, strict=True)])) == [
            ["e0", "e1"]
        ]

    def test_a_pair_that_was_looked_at_before_is_not_looked_at_again(self) -> None:
        old = [msgspec.structs.replace(s, is_new=False) for s in said(*DEPLOYS[:2])]
        assert rules.plan(old) == Plan(gatherings=(), alone={})
        assert grouped(rules.plan([*old, *said(DEPLOYS[2], start=2)])) == [["e0", "e1", "e2"]]

    def test_a_group_has_a_limit_and_what_is_over_is_neither_in_it_nor_alone(self) -> None:
        same = said(*[DEPLOYS[0]] * (GROUP_LEN_MAX + 20))
        plan = rules.plan(same)
        assert max(len(group) for group in grouped(plan)) == GROUP_LEN_MAX
        assert plan.alone == {}
        joined = rules.plan(same[-20:], [standing(same[:GROUP_LEN_MAX])])
        assert [g.standing.id for g in joined.gatherings if g.standing] == ["c1"]
        assert grouped(joined) == [ids(same[-20:])]

    @given(told=GIVEN, seed=st.integers(0, 100))
    def test_the_order_in_which_sources_are_given_means_nothing(self, told: list[tuple[str, str, str | None]], seed: int) -> None:
        sources = [said(text, agent=agent, session=session, start=n)[0] for n, (agent, text, session) in enumerate(told)]
        shuffled = random.Random(seed).sample(sources, len(sources))
        plan, other = rules.plan(sources), rules.plan(shuffled)
        assert [written(g) for g in plan.gatherings] == [written(g) for g in other.gatherings]
        assert plan.alone == other.alone

    @given(told=GIVEN)
    def test_every_source_is_in_one_group_or_alone(self, told: list[tuple[str, str, str | None]]) -> None:
        sources = [said(text, agent=agent, session=session, start=n)[0] for n, (agent, text, session) in enumerate(told)]
        plan = rules.plan(sources)
        assert sorted([*(ident for group in grouped(plan) for ident in group), *plan.alone]) == ids(sources)


class TestJoining:
    def test_a_near_duplicate_joins_the_standing_concept_and_makes_it_surer(self) -> None:
        before = standing(said(*DEPLOYS[:2]))
        (gathering,) = rules.plan(said(DEPLOYS[2], agent="aria", start=2), [before]).gatherings
        first, joined = written(rules.plan(said(*DEPLOYS[:2])).gatherings[0]), written(gathering)
        assert gathering.standing is before
        assert (joined.source_episodes, joined.consolidated) == (["e0", "e1", "e2"], ["e2"])
        assert joined.concept == first.concept
        assert joined.confidence_score > first.confidence_score

    def test_what_is_like_another_concept_joins_that_one(self) -> None:
        deploys, queues = standing(said(*DEPLOYS[:2])), standing(said(*QUEUES, start=5), id="c2")
        plan = rules.plan([*said(DEPLOYS[2], start=8), *said(QUEUES[0], start=9), *said(ODD, start=10)], [deploys, queues])
        assert [(g.standing.id, ids(g.sources)) for g in plan.gatherings if g.standing] == [("c1", ["e8"]), ("c2", ["e9"])]
        assert list(plan.alone) == ["e10"]

    def test_a_full_concept_takes_no_more_and_another_is_formed(self) -> None:
        full = standing(said(*DEPLOYS[:2]), source_ids=tuple(f"s{n}" for n in range(rules.SOURCES_MAX)))
        (gathering,) = rules.plan(said(DEPLOYS[2], DEPLOYS[0], start=2), [full]).gatherings
        assert gathering.standing is None

    def test_a_told_concept_is_joined_by_what_is_like_its_words_though_its_sources_are_others(self) -> None:
        told = Standing(
            id="c1", version=1, concept="Staging", content=DEPLOYS[0], knowledge_type="rule", origin="told", source_ids=("e0",),
            sources=tuple(said(ODD)), told=DEPLOYS[0], told_confidence=0.9,
        )  # fmt: skip
        plan = rules.plan(said(DEPLOYS[1], "We had pasta for lunch.", start=1), [told])
        assert grouped(plan) == [["e1"]]

    def test_a_told_concept_keeps_its_words_and_type_and_starts_as_sure_as_it_was_told(self) -> None:
        told = Standing(
            id="c1", version=1, concept="Staging", content=DEPLOYS[0], knowledge_type="rule", origin="told", source_ids=(),
            sources=(), told=DEPLOYS[0], told_confidence=0.9,
        )  # fmt: skip
        (gathering,) = rules.plan(said("The deploy to staging failed with TimeoutError on db-2 and db-3."), [told]).gatherings
        body = written(gathering)
        assert (body.concept, body.knowledge_type, body.confidence_score) == ("Staging", "rule", pytest.approx((1.8 + 1) / 3, abs=1e-4))
        assert body.content.startswith(DEPLOYS[0])


class TestContradictions:
    def test_both_statements_are_kept_with_their_times_and_the_concept_is_less_sure(self) -> None:
        agreed = written(rules.plan([*said("The pool size is 20."), *said("Pool size is 20.", agent="aria", start=1)]).gatherings[0])
        sources = [*said("The pool size is 20."), *said("Pool size is 20.", agent="aria", start=1), *said("The pool size is 50.", start=2)]
        body = written(rules.plan(sources).gatherings[0])
        assert [(s.episode_id, s.says, s.stance) for s in body.statements] == [
            ("e0", "20", "held"),
            ("e1", "20", "held"),
            ("e2", "50", "against"),
        ]
        assert body.contradicts == ["e2"]
        assert (
            "Contradiction: “Pool size is 20.” (aria, 2026-11-22 10:01:00) but “The pool size is 50.” (nexus, 2026-11-22 10:02:00)"
            in body.content
        )
        assert body.confidence_score < agreed.confidence_score

    def test_what_was_said_last_is_held_where_as_many_say_either(self) -> None:
        body = written(rules.plan(said("The pool size is 20.", "The pool size is 50.")).gatherings[0])
        assert body.contradicts == ["e0"]

    def test_a_statement_stays_when_its_source_is_no_longer_at_hand(self) -> None:
        before = standing(said("The pool size is 20.", "The pool size is 50."))
        later = msgspec.structs.replace(before, sources=before.sources[1:])
        (gathering,) = rules.plan(said("The pool size is 50 today.", start=3), [later]).gatherings
        assert {(s.episode_id, s.stance) for s in written(gathering).statements} == {("e0", "against"), ("e1", "held"), ("e3", "held")}

    def test_a_name_and_the_same_name_with_a_version_agree(self) -> None:
        texts = ("The primary database is PostgreSQL.", "The primary database is PostgreSQL 18.")
        (gathering,) = rules.plan(said(*texts)).gatherings
        assert rules.judge(gathering).statements == ()


class TestWords:
    def test_the_extract_says_nothing_that_no_source_says_and_keeps_its_limits(self) -> None:
        texts = [f"{DEPLOYS[0]} Attempt {n} was made by team {'abcdefghij'[n % 10] * 30}. {'x' * n} happened too." for n in range(40)]
        content = extract(said(*texts))
        lines = content.splitlines()
        assert 1 < len(lines) <= EXTRACT_SENTENCES_MAX
        assert len(content) <= EXTRACT_LEN_MAX
        assert all(any(line.rsplit(" (", 1)[0] in text for text in texts) for line in lines)

    def test_a_sentence_is_not_repeated(self) -> None:
        assert extract(said(DEPLOYS[0], DEPLOYS[0])).count("TimeoutError") == 1

    def test_the_name_is_made_of_the_most_telling_words(self) -> None:
        body = written(rules.plan(said(*DEPLOYS)).gatherings[0])
        assert {"staging", "TimeoutError", "db-2"} <= set(body.concept.split())
