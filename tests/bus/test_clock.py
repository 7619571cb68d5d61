"""The time of day by the server, whatever the machine's own clock does meanwhile."""

from bus.clock import ServerClock


class Machine:
    """A machine's two clocks: one that only goes on, and one that can be set."""

    def __init__(self) -> None:
        self.passed = 100.0
        self.shown = 1_000_000.0

    def monotonic(self) -> float:
        return self.passed

    def here(self) -> float:
        return self.shown + self.passed


class TestServerClock:
    def test_until_the_server_is_heard_it_goes_on_from_what_the_machine_showed(self) -> None:
        machine = Machine()
        clock = ServerClock(machine.monotonic, machine.here)
        machine.passed += 5
        assert clock() == 1_000_105.0

    def test_a_machine_whose_clock_is_set_changes_nothing(self) -> None:
        machine = Machine()
        clock = ServerClock(machine.monotonic, machine.here)
        machine.shown -= 7_200
        machine.passed += 1
        assert clock() == 1_000_101.0

    def test_the_server_is_believed(self) -> None:
        machine = Machine()
        clock = ServerClock(machine.monotonic, machine.here)
        machine.passed += 2
        clock.heard(5_000_000.0, asked=100.0)
        assert clock() == 5_000_000.0
        machine.passed += 10
        assert clock() == 5_000_010.0
        clock.heard(4_000_000.0, asked=111.0)
        assert clock() == 4_000_001.0

    def test_an_answer_that_was_long_on_its_way_changes_only_what_it_contradicts(self) -> None:
        machine = Machine()
        clock = ServerClock(machine.monotonic, machine.here)
        machine.passed += 2
        clock.heard(1_000_101.5, asked=100.0)
        assert clock() == 1_000_102.0
        clock.heard(1_000_098.0, asked=100.0)
        assert clock() == 1_000_100.0
