"""The options of `cerebro up`."""

from cerebro.options import Options


class TestExternalServers:
    def test_a_variable_puts_an_external_server_in_the_place_of_the_embedded_one(self) -> None:
        assert Options(environment={"CEREBRO_REDIS_URL": "redis://r", "CEREBRO_NATS_URL": ""}).external == {"redis": "redis://r"}
