import pytest

from bus import subjects
from bus.errors import Refused
from gateway.filters import covers, filters_of, meets

EVERYTHING = subjects.PROTOCOLS
EPISODES = subjects.EPISODE.wildcard
VOTES = subjects.VOTE.wildcard
LESSONS = subjects.LESSON.wildcard


class TestFilters:
    def test_those_within_another_are_left_out(self):
        assert filters_of(f"{EVERYTHING},{VOTES},{EPISODES},{EVERYTHING}") == [EVERYTHING, EPISODES]

    def test_one_subject_is_a_filter(self):
        one = subjects.VOTE.subject(proposal="p", agent="nexus")
        assert filters_of(f" {one} ") == [one]

    @pytest.mark.parametrize("bad", ["", ",", ">", "*", f"{EVERYTHING}.x", "$SYS.>", "a b", f"{LESSONS}.", "mesh..x", "mes", "\u00e9"])
    def test_what_is_none_or_lies_elsewhere_is_refused(self, bad: str):
        with pytest.raises(Refused):
            filters_of(bad)

    def test_what_no_row_of_the_table_matches_is_refused(self):
        with pytest.raises(Refused, match="no subject of the table"):
            filters_of(f"{LESSONS}.x.y.z")

    def test_filters_that_overlap_are_refused_because_the_server_would(self):
        one = subjects.VOTE.subject(proposal="p")
        other = subjects.VOTE.subject(agent="nexus")
        with pytest.raises(Refused, match="overlap"):
            filters_of(f"{one},{other}")

    def test_a_filter_covers_what_it_matches(self):
        assert covers(VOTES, subjects.VOTE.subject(proposal="p", agent="nexus"))
        assert not covers(subjects.VOTE.subject(proposal="p", agent="nexus"), VOTES)
        assert not covers(LESSONS, subjects.INTEGRATED.wildcard)
        assert covers(EVERYTHING, LESSONS)
        assert not covers(LESSONS, EVERYTHING)

    def test_filters_meet_where_one_subject_matches_both(self):
        assert meets(EVERYTHING, LESSONS)
        assert not meets(LESSONS, subjects.INTEGRATED.wildcard)
        assert not meets(LESSONS, EPISODES)
