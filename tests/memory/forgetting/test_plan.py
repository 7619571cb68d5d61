"""How a forgetting is told."""

from bus import subjects
from memory.forgetting.plan import IDS_MAX, REMAINS_MAX, Event, Plan


def events(count: int, kind: str = "episode") -> list[Event]:
    return [Event(f"e{n}", kind, subjects.EPISODE.subject(agent="ops"), n) for n in range(1, count + 1)]


def test_nothing_asked_for_is_empty_and_a_dead_letter_is_not() -> None:
    assert Plan(selector="s").empty
    assert not Plan(selector="s", dead_letters=1).empty


def test_one_entry_names_ids_and_places_once() -> None:
    plan = Plan(selector="s", events=events(2), places=[2, 9], letters=["e1", "x"])
    (told,) = plan.told(3)
    assert (told.ids, told.seqs, told.working_items, told.pieces) == (["e1", "e2", "x"], [1, 2, 9], 3, 1)


def test_many_are_told_in_pieces_and_counted_in_the_first() -> None:
    told = Plan(selector="s", events=[*events(IDS_MAX), *events(2 * IDS_MAX, "lesson")[IDS_MAX:]]).told(0)
    assert [len(piece.ids) for piece in told] == [IDS_MAX, IDS_MAX]
    assert [(piece.episodes, piece.lessons) for piece in told] == [(IDS_MAX, IDS_MAX), (0, 0)]
    assert all(piece.pieces == 2 and piece.selector == "s" for piece in told)


def test_what_told_a_concept_is_erased_and_not_counted_as_an_episode() -> None:
    telling = Event("t", "episode", subjects.CONCEPT.subject(concept="c"), 7)
    (told,) = Plan(selector="s", events=events(1), tellings=[telling], concepts=["c"]).told(0)
    assert (told.ids, told.seqs, told.episodes, told.concepts) == (["e1", "t"], [1, 7], 1, ["c"])


def test_working_memory_alone_is_told_too() -> None:
    (told,) = Plan(selector="s").told(4)
    assert (told.ids, told.working_items) == ([], 4)


def test_of_what_remains_so_many_are_named() -> None:
    (told,) = Plan(selector="s", events=events(1), remains=[str(n) for n in range(2 * REMAINS_MAX)]).told(0)
    assert len(told.remains) == REMAINS_MAX
