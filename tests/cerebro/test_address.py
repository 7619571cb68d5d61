"""Addresses as users write them."""

import socket

import pytest

from cerebro.address import PORTS, Address


class TestAddress:
    @pytest.mark.parametrize(
        ("text", "host", "port"), [("127.0.0.1:8001", "127.0.0.1", 8001), ("localhost:0", "localhost", 0), ("[::1]:80", "::1", 80)]
    )
    def test_host_and_port(self, text: str, host: str, port: int) -> None:
        assert Address.parse(text) == Address(host, port)

    @pytest.mark.parametrize("text", ["", "8001", ":8001", "host:", "host:x", "host:65536", "host:-1"])
    def test_anything_else_is_refused_with_what_was_written(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not HOST:PORT"):
            Address.parse(text)

    def test_all_interfaces_are_reached_by_loopback(self) -> None:
        assert (str(Address("0.0.0.0", 1)), str(Address("::", 1)), str(Address("::1", 1))) == ("127.0.0.1:1", "[::1]:1", "[::1]:1")


class TestPorts:
    def test_port_0_becomes_a_free_one(self) -> None:
        Address().chosen().require_free()

    def test_it_is_none_that_an_outgoing_connection_could_take_meanwhile(self) -> None:
        assert {Address().chosen().port in PORTS for _ in range(20)} == {True}

    def test_is_chosen_once_though_nobody_listens_there_yet(self) -> None:
        assert len({Address().chosen().port for _ in range(1_000)}) == 1_000

    def test_a_port_in_use_is_not_free(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
            Address(port=taken.getsockname()[1]).require_free()

    def test_a_host_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(socket.gaierror):
            Address("host.invalid", 1).require_free()
