"""docs/settings.md says what the code says."""

from cerebro.reference import PAGE, page
from cerebro.settings import Settings, variables


class TestSettingsPage:
    def test_it_is_what_make_docs_makes(self) -> None:
        assert PAGE.read_text() == page(), "run `make docs`"

    def test_every_variable_has_a_purpose(self) -> None:
        rows = {line.split("`")[1]: line.split("|")[-2].strip() for line in page().splitlines() if line.startswith("| `CEREBRO_")}
        assert set(rows) == {name for name, _ in variables(Settings)}
        assert all(rows.values())
