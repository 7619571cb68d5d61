"""Associations: action types, tags and outcomes that go together, in one episode or in one sitting.

A rule says: where these are, that is too. Its significance is Fisher's exact test, for a pair over all cases, for two premises over the
cases that have one of them, the worse of both, so that each must add something to the other (productive rules, Webb 2007). All
rules that the items allow count as tested.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import msgspec

from agents.skills.happenings import ACTION, OUTCOME, Happening
from agents.skills.significance import corrected, fisher

ITEMS_MAX = 150
"""Most items that are looked at, those in the most cases first."""
SET_ITEMS_MAX = 40
"""Most items of which rules with two premises are made."""


class Case(msgspec.Struct, frozen=True):
    """What goes together: the items of an episode or of a sitting, and the ids of the episodes."""

    items: frozenset[str]
    ids: tuple[str, ...]


class Association(msgspec.Struct, frozen=True, kw_only=True):
    """In `support` cases that have all of `premises` there is `conclusion` too: a share of `confidence` of them, `lift` times as often
    as among all cases.
    """

    premises: tuple[str, ...]
    conclusion: str
    support: int
    share: float
    confidence: float
    lift: float
    expected: float
    p: float
    q: float
    episodes: list[str]


def episode_cases(happenings: Iterable[Happening]) -> list[Case]:
    """Each episode as a case."""
    return [Case(h.items, (h.id,)) for h in happenings]


def sitting_cases(sittings: Iterable[Sequence[Happening]]) -> list[Case]:
    """Each sitting as a case: it has what any of its episodes has."""
    return [Case(frozenset().union(*(h.items for h in row)), tuple(h.id for h in row)) for row in sittings]


def associations(
    cases: Sequence[Case], support_min: int, q_max: float, evidence_max: int, *, one_action: bool = False
) -> list[Association]:
    """The rules with at least `support_min` cases, surest first. `one_action`: a case has one action type, so no rule joins two."""
    found = Counter(item for case in cases for item in case.items)
    common = sorted((i for i, n in found.items() if n >= support_min), key=lambda i: (-found[i], i))[:ITEMS_MAX]
    table = _Table(cases, common, support_min, one_action=one_action)
    told = [*_corrected(table.pairs(common), math.comb(len(common), 2), q_max)]
    few = common[:SET_ITEMS_MAX]
    told += _corrected(table.sets(few), len(few) * math.comb(max(0, len(few) - 1), 2), q_max)
    told.sort(key=lambda a: (a.q, a.p, len(a.premises), a.premises, a.conclusion))
    return [msgspec.structs.replace(a, episodes=_evidence(a, cases, evidence_max)) for a in told]


class _Table:
    """Which cases have which item, as the bits of numbers."""

    def __init__(self, cases: Sequence[Case], items: Sequence[str], support_min: int, *, one_action: bool) -> None:
        self._total = len(cases)
        self._support_min = support_min
        self._one_action = one_action
        self._having = {item: sum(1 << n for n, case in enumerate(cases) if item in case.items) for item in items}

    def pairs(self, items: Sequence[str]) -> Iterator[Association]:
        """A rule for each pair that meets more often than by chance: to the outcome, or else from the rarer to the commoner one."""
        everything = (1 << self._total) - 1
        for commoner, rarer in combinations(items, 2):
            if self._possible(commoner, rarer):
                turned = rarer.startswith(OUTCOME) and not commoner.startswith(OUTCOME)
                premise, conclusion = (commoner, rarer) if turned else (rarer, commoner)
                yield from self._rule((premise,), conclusion, [everything])

    def sets(self, items: Sequence[str]) -> Iterator[Association]:
        """The surest rule of each three items: two premises that lead to the third, both together more often than either."""
        for trio in combinations(items, 3):
            both = self._having[trio[0]] & self._having[trio[1]] & self._having[trio[2]]
            if both.bit_count() >= self._support_min and all(self._possible(a, b) for a, b in combinations(trio, 2)):
                rules = [rule for conclusion in trio for rule in self._leading_to(conclusion, trio)]
                yield from sorted(rules, key=lambda r: (r.p, -r.confidence, r.conclusion))[:1]

    def _leading_to(self, conclusion: str, trio: Sequence[str]) -> Iterator[Association]:
        first, second = (item for item in trio if item != conclusion)
        return self._rule((first, second), conclusion, [self._having[second], self._having[first]])

    def _possible(self, a: str, b: str) -> bool:
        return not (self._one_action and a.startswith(ACTION) and b.startswith(ACTION))

    def _rule(self, premises: tuple[str, ...], conclusion: str, among: Sequence[int]) -> Iterator[Association]:
        """The rule, tested for each premise among the cases of `among`, where it meets the conclusion more often than by chance."""
        having, goal = self._having, self._having[conclusion]
        premise = having[premises[0]] if len(premises) == 1 else having[premises[0]] & having[premises[1]]
        support = (premise & goal).bit_count()
        if support < self._support_min or not self._lifted(premise, goal, among):
            return
        tests = [
            fisher(support, (having[p] & cases).bit_count(), (goal & cases).bit_count(), cases.bit_count())
            for p, cases in zip(premises, among, strict=True)
        ]
        expected = premise.bit_count() * goal.bit_count() / self._total
        yield Association(
            premises=premises,
            conclusion=conclusion,
            support=support,
            share=support / self._total,
            confidence=support / premise.bit_count(),
            lift=support / expected,
            expected=expected,
            p=max(tests),
            q=1.0,
            episodes=[],
        )

    @staticmethod
    def _lifted(premise: int, goal: int, among: Sequence[int]) -> bool:
        """Whether the conclusion is commoner with the premises than in each of these."""
        support, holders = (premise & goal).bit_count(), premise.bit_count()
        return all(support * cases.bit_count() > (goal & cases).bit_count() * holders for cases in among)


def _corrected(rules: Iterable[Association], tested: int, q_max: float) -> list[Association]:
    """Pairs and sets have half of the false discovery rate each."""
    told = list(rules)
    rates = [min(1.0, 2 * q) for q in corrected([a.p for a in told], tested)]
    return [msgspec.structs.replace(a, q=q) for a, q in zip(told, rates, strict=True) if q <= q_max]


def _evidence(rule: Association, cases: Sequence[Case], most: int) -> list[str]:
    wanted = {*rule.premises, rule.conclusion}
    return [ident for case in cases if wanted <= case.items for ident in case.ids][:most]
