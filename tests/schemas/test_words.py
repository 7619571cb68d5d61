"""Times: which are taken, and how they are written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from schemas.words import TIME_MAX, TIME_MIN, refuse_far_times, refuse_no_time, rfc3339


class TestWritten:
    def test_the_year_has_four_digits(self) -> None:
        assert rfc3339(TIME_MIN) == "0001-01-02T00:00:00.000000Z"

    def test_in_utc_with_microseconds(self) -> None:
        assert rfc3339(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == "2026-01-01T00:00:00.000000Z"


class TestRefused:
    @pytest.mark.parametrize("moment", [TIME_MIN, TIME_MAX, datetime(2026, 1, 1, tzinfo=UTC), None, 7])
    def test_what_can_be_given_back_is_not(self, moment: object) -> None:
        refuse_far_times(at=moment)

    @pytest.mark.parametrize("offset_h", [-14, 0, 14])
    def test_the_ends_of_the_calendar_are_wherever_they_are(self, offset_h: int) -> None:
        zone = timezone(timedelta(hours=offset_h))
        for moment in (datetime(1, 1, 1, tzinfo=zone), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=zone)):
            with pytest.raises(ValueError, match=r"^at must lie between"):
                refuse_far_times(at=moment)

    @pytest.mark.parametrize("text", ["", "soon", "2027-01-01", "2027-01-01T00:00:00", "0001-01-01T00:00:00Z"])
    def test_what_is_no_time_with_its_zone_is(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"^deadline must"):
            refuse_no_time("deadline", text)
