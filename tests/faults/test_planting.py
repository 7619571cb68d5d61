"""What is planted can be planted: each text that a bug replaces stands in the product, once."""

from tests.faults import planted, test_clock, test_database, test_flood, test_network_planted, test_order, test_poison, test_slow_consumers
from tests.faults.planting import ROOT, Change

CHANGES: list[Change] = [
    *(change for bug in planted.BUGS for change in bug.changes),
    *(change for case in test_network_planted.ALL for change in case.bug.changes),
    *(change for change, _ in (*test_order.PLANTED.values(), *test_poison.PLANTED.values())),
    test_clock.OWN_CLOCK,
    test_database.GIVES_UP,
    test_flood.DISHONEST,
    test_flood.NO_LIMIT,
    test_slow_consumers.NO_BOUND,
]


def test_what_a_bug_replaces_stands_once() -> None:
    rotten = [change for change in CHANGES if (ROOT / change.file).read_text().count(change.old) != 1]
    assert not rotten
