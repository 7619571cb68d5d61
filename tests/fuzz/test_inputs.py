"""The inputs themselves: good ones are good, and everything follows from seed and index."""

import subprocess
import sys
from random import Random

import msgspec
import pytest

from bus import entries, subjects
from tests.fuzz import mutations
from tests.fuzz.bodies import good
from tests.fuzz.inputs import DOOR, REQUESTS, STORED, BusInput, made, mutated
from tests.fuzz.player import is_malformed

SEED = 4711
DIGEST = """
import hashlib
from tests.fuzz.inputs import made
print(hashlib.sha256(repr([made(4711, i) for i in range(300)]).encode()).hexdigest())
"""


class TestGoodBodies:
    @pytest.mark.parametrize("row", subjects.TABLE, ids=lambda row: row.name)
    def test_every_message_type_has_good_ones(self, row: subjects.Subject) -> None:
        for i in range(100):
            entries.decode(row.body, msgspec.json.encode(good(row.body, Random(i))))

    @pytest.mark.parametrize("route", DOOR, ids=lambda route: f"{route.method} {route.path}")
    def test_every_route_has_good_ones(self, route) -> None:
        for kind in (route.body, route.query, route.path_type):
            if kind is not None:
                for i in range(30):
                    msgspec.convert(good(kind, Random(i)), kind)

    def test_they_differ(self) -> None:
        assert len({msgspec.json.encode(good(subjects.PROPOSAL.body, Random(i))) for i in range(50)}) > 40


class TestMadeFromSeedAndIndex:
    def test_the_same_in_another_process_and_under_another_order_of_sets(self) -> None:
        digests = {
            subprocess.run(
                [sys.executable, "-c", DIGEST], env={"PYTHONHASHSEED": str(n)}, capture_output=True, text=True, check=True
            ).stdout
            for n in (1, 2)
        }
        assert len(digests) == 1

    def test_another_seed_gives_others(self) -> None:
        assert [made(1, i) for i in range(20)] != [made(2, i) for i in range(20)]

    def test_each_alone_is_what_it_is_among_the_others(self) -> None:
        several = [made(SEED, i) for i in range(500)]
        assert made(SEED, 499) == several[499]

    def test_every_row_and_route_is_among_them(self) -> None:
        rows = {made(SEED, i).row for i in range(20_000)}
        assert rows == {row.name for row in (*REQUESTS, *STORED)} | {f"{route.method} {route.path}" for route in DOOR}

    def test_most_are_malformed_and_some_are_not(self) -> None:
        inputs = [x for i in range(2_000) if isinstance(x := made(SEED, i), BusInput)]
        malformed = sum(is_malformed(x) for x in inputs)
        assert len(inputs) / 2 < malformed < len(inputs) * 0.95


class TestMutations:
    @pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda m: m.__name__)
    def test_each_changes_what_it_is_given(self, mutation: mutations.Mutation) -> None:
        changed = 0
        for i in range(50):
            value = good(subjects.PROPOSAL.body, Random(i))
            data = msgspec.json.encode(value)
            changed += mutation(value, data, Random(i)) != data
        assert changed > 25

    @pytest.mark.parametrize("value", [{}, [], {"a": []}])
    def test_each_takes_what_has_no_fields(self, value) -> None:
        for mutation in mutations.MUTATIONS:
            for i in range(20):
                mutation(value, msgspec.json.encode(value), Random(i))

    def test_names_say_what_was_done(self) -> None:
        _, how = mutated({"a": 1}, b'{"a":1}', Random(1))
        assert set(how) <= {m.__name__ for m in mutations.MUTATIONS}
