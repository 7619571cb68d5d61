"""Ids."""

import uuid

from bus.ids import derived, event_id, uuid7


def test_uuid7_has_its_version_and_variant_and_grows_with_time() -> None:
    made = [uuid.UUID(uuid7()) for _ in range(100)]
    assert all(u.version == 7 and u.variant == uuid.RFC_4122 for u in made)
    times = [u.int >> 80 for u in made]
    assert times == sorted(times)
    assert len(set(made)) == 100


def test_the_same_parts_give_the_same_id_and_their_borders_matter() -> None:
    assert derived("a", "b") == derived("a", "b")
    assert derived("ab", "c") != derived("a", "bc")
    assert event_id("x", 1) != event_id("x", 2)
