"""Claims: what contradicts what, and, more important, what does not."""

import pytest

from memory.consolidation.claims import claims


def contradict(one: str, other: str) -> bool:
    first = {claim.about: claim.says for claim in claims(one)}
    return any(claim.about in first and first[claim.about] != claim.says for claim in claims(other))


class TestContradictions:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("The pool size is 20.", "pool size is 50"),
            ("The pool size is set to 20 now.", "The pool size is 50."),
            ("timeout_s = 30", "timeout_s: 60"),
            ("The timeout is 30 s in staging.", "In fact: it broke.\nThe timeout is 60 s in staging."),
            ("The cache is enabled.", "The cache is disabled."),
            ("The cache is enabled.", "The cache isn't enabled."),
            ("The replica is fully up.", "The replica is down again."),
            ("The primary database is PostgreSQL.", "The primary database is MySQL."),
            ("Melanie lives in Boston.", "Melanie lives in Chicago."),
            ("The gateway listens on port 8001.", "The gateway listens on port 9001."),
            ("We must not deploy on Fridays.", "We deploy on Fridays."),
            ("Retries help here.", "Retries never help here."),
        ],
    )
    def test_same_subject_other_value(self, one: str, other: str) -> None:
        assert contradict(one, other)
        assert contradict(other, one)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("The pool size is 20.", "The pool size is 20.0."),
            ("The pool size is 20.", "The queue size is 50."),
            ("The timeout is 30 s in staging.", "The timeout is 60 s in production."),
            ("The timeout is 30 s.", "The timeout is 500 ms."),
            ("The pool size was 20.", "The pool size is 50."),
            ("The pool size should be 20.", "The pool size is 50."),
            ("Is the cache enabled?", "The cache is disabled."),
            ("If the cache is enabled it is fast.", "The cache is disabled."),
            ("The CPU load is 80 %.", "The CPU load is 90 %."),
            ("It is 5.", "It is 6."),
            ("Caroline: Thanks!", "Caroline: Bye!"),
            ("Alice is Canadian.", "Alice is Happy."),
            ("The door is open.", "The cache is disabled."),
            ("Sounds fun!", "No, but it sounds fun!"),
            ("We deploy on Fridays.", "We do not deploy on Mondays."),
        ],
    )
    def test_what_only_looks_like_one_is_none(self, one: str, other: str) -> None:
        assert not contradict(one, other)

    def test_of_two_values_in_one_text_the_later_stands(self) -> None:
        (claim,) = [c for c in claims("The pool size is 20.\nThe pool size is 50.") if not c.about.startswith("said")]
        assert (claim.says, claim.text) == ("50", "The pool size is 50.")

    @pytest.mark.parametrize("text", ["", "\0", "=" * 10_000, "a is " * 5_000, "is 5", "the is the", "- " * 3_000, "[" * 5_000])
    def test_nonsense_makes_no_trouble(self, text: str) -> None:
        assert all(claim.about for claim in claims(text))
