"""The options of `cerebro up`."""

import pytest

from cerebro.options import Options, instances, known


class TestExternalServers:
    def test_a_variable_puts_an_external_server_in_the_place_of_the_embedded_one(self) -> None:
        assert Options(environment={"CEREBRO_REDIS_URL": "redis://r", "CEREBRO_NATS_URL": ""}).external == {"redis": "redis://r"}


class TestInstances:
    AGENTS = ("aria", "nexus")

    def test_each_is_a_process_with_a_name_that_no_agent_can_have(self) -> None:
        options = Options(agents=self.AGENTS, instances={"nexus": 3, "aria": 0})
        assert options.agent_processes == {"nexus": "nexus", "nexus.2": "nexus", "nexus.3": "nexus"}

    def test_where_nothing_is_said_there_is_one(self) -> None:
        assert list(Options(agents=self.AGENTS).agent_processes) == ["aria", "nexus"]

    def test_a_count_is_read(self) -> None:
        assert instances(["nexus=2", "aria=0"], self.AGENTS) == {"nexus": 2, "aria": 0}

    @pytest.mark.parametrize("given", ["nexus", "nexus=", "nexus=two", "nexus=-1", "nexus=101"])
    def test_what_is_no_count_is_refused(self, given: str) -> None:
        with pytest.raises(ValueError, match=f"--agent {given}: NAME=COUNT, of at most 100"):
            instances([given], self.AGENTS)

    def test_an_agent_that_is_not_there_is_named(self) -> None:
        with pytest.raises(ValueError, match="no agent sage; there are aria, nexus"):
            known({"sage": 2}, self.AGENTS)
