"""Grouping: star clustering (Aslam, Pelekhov and Rus 2004) of the graph of sources that tell of the same.

The source that is like most others becomes the centre of a star and those like it its satellites; then the next that is in
no star yet. Each satellite goes to the centre that it is most like. So no chain of small likenesses joins what has nothing
in common: everything in a group is like its centre. Deterministic: ties are broken by time and id, whatever the order given.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from memory.consolidation.candidates import candidates
from memory.consolidation.likeness import Profile, enough, likeness

GROUP_LEN_MAX: Final = 40
"""Most sources of one group; what is over joins the concept that it forms, at the next look."""


class Group(msgspec.Struct, frozen=True, eq=False):
    """A centre and its satellites, the centre first, then by likeness to it. One that is like nothing else is a group of its own."""

    members: tuple[Profile, ...]
    left: tuple[Profile, ...] = ()
    """Those for whom there was no room."""

    @property
    def centre(self) -> Profile:
        return self.members[0]


def groups(found: Sequence[Profile]) -> list[Group]:
    """Every profile in exactly one group (or `left` by one), the largest likeness first."""
    found = sorted(found, key=lambda p: p.source.order)
    edges = _edges(found)
    centres = _centres(found, edges)
    stars: dict[int, list[tuple[float, int]]] = {centre: [] for centre in centres}
    for i in range(len(found)):
        if i not in stars:
            strength, earlier = max((edges[i][c], -c) for c in edges[i] if c in stars)
            stars[-earlier].append((-strength, i))
    return [_group(found, centre, satellites) for centre, satellites in stars.items()]


def _edges(found: Sequence[Profile]) -> list[dict[int, float]]:
    edges: list[dict[int, float]] = [{} for _ in found]
    for i, j in candidates(found):
        a, b = found[i], found[j]
        score = likeness(a, b)
        if score >= enough((a.source.agent, b.source.agent)):
            edges[i][j] = edges[j][i] = score
    return edges


def _centres(found: Sequence[Profile], edges: Sequence[dict[int, float]]) -> list[int]:
    """No two centres are neighbours, and everything is a centre or the neighbour of one."""
    covered: set[int] = set()
    centres = []
    for i in sorted(range(len(found)), key=lambda i: (-round(sum(edges[i].values()), 9), i)):
        if i not in covered:
            centres.append(i)
            covered.update((i, *edges[i]))
    return centres


def _group(found: Sequence[Profile], centre: int, satellites: list[tuple[float, int]]) -> Group:
    order = [centre, *(i for _, i in sorted(satellites))]
    members = tuple(found[i] for i in order)
    return Group(members[:GROUP_LEN_MAX], members[GROUP_LEN_MAX:])
