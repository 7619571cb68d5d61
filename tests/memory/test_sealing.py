"""The chain over what was persisted: what is whole is said to be, and every way to touch it is found and named."""

import asyncio
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec import structs

from bus import subjects
from bus.errors import Misconfigured
from memory.database import Database, Statement
from memory.hashes import State
from memory.sealing import sealer as sealing
from memory.sealing.chain import GENESIS, digest, link
from memory.sealing.keys import PublicKeys, SealKeys, kept, public
from memory.sealing.sealer import NEWS, ROWS, STREAM, Sealer
from memory.sealing.verifying import Fault, History, verify
from memory.settings import MemorySettings
from schemas.sealing import Seal
from tests.memory.conftest import MakeRow, Remember
from tests.memory.forgetting.test_projection import forgotten, row_of

SEQS = (1, 2, 3, 5, 8, 2_500, 2_501)
"""Places of rows, with holes, one of them longer than a window."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def keys(folder: Path) -> SealKeys:
    return kept(folder)


@pytest.fixture(scope="module")
def readable(folder: Path, keys: SealKeys) -> PublicKeys:
    return public(folder)


@pytest.mark.parametrize("forged", ["Größe", "a", "AAAA"])
def test_a_seal_whose_signature_is_no_base64_is_signed_by_nobody(keys: SealKeys, readable: PublicKeys, forged: str) -> None:
    seal = structs.replace(keys.seal(STREAM, 1, "0" * 64), ed25519=forged)
    assert not readable.signed(STREAM, seal)


class Past:
    """Rows that were sealed."""

    def __init__(self, database: Database, settings: MemorySettings, readable: PublicKeys) -> None:
        self._database = database
        self._readable = readable
        self.sealer = Sealer(None, database, None, settings)  # type: ignore[arg-type]

    async def run(self, sql: str, *values: Any) -> Sequence[Any]:
        return await self._database.rows(Statement("test", sql), *values)

    async def head(self) -> tuple[int, str]:
        [last] = await self.run("SELECT stream_seq, link FROM memory_system.seal_links ORDER BY 1 DESC LIMIT 1")
        return last["stream_seq"], last["link"].hex()

    async def look(self, *copies: Seal) -> History:
        return await verify(self._database, self._readable, copies)

    async def faults(self, *copies: Seal) -> list[tuple[int, str]]:
        return [(fault.seq, fault.kind) for fault in (await self.look(*copies)).faults]


@pytest_asyncio.fixture
async def past(database: Database, settings: MemorySettings, readable: PublicKeys, make_row: MakeRow, remember: Remember) -> Past:
    await remember([make_row(seq, context_state={"n": seq}, handoff_packet={"n": 1}, session_id="s", tags=["a"]) for seq in SEQS])
    made = Past(database, settings, readable)
    await made.sealer.seal()
    return made


class TestWhole:
    async def test_what_was_sealed_and_not_touched_is_whole(self, past: Past, keys: SealKeys) -> None:
        found = await past.look(keys.seal(STREAM, *await past.head()))
        assert found == History(links=len(SEQS), forgotten=0, last_seq=SEQS[-1], waiting=0, seals=1, signed_seq=SEQS[-1], faults=[])

    async def test_it_goes_on_where_it_ended(self, past: Past, make_row: MakeRow, remember: Remember) -> None:
        before = await past.run("SELECT * FROM memory_system.seal_links ORDER BY 1")
        await remember([make_row(2_502), make_row(2_503)])
        assert (await past.look()).waiting == 2
        await past.sealer.seal()
        found = await past.look()
        assert (found.links, found.waiting, found.faults) == (len(SEQS) + 2, 0, [])
        assert (await past.run("SELECT * FROM memory_system.seal_links ORDER BY 1"))[: len(SEQS)] == before

    async def test_two_sealers_make_one_chain(self, past: Past, settings: MemorySettings, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(seq) for seq in range(3_000, 3_050)])
        other = Sealer(None, past._database, None, settings)  # type: ignore[arg-type]
        await asyncio.gather(past.sealer.seal(), other.seal(), past.sealer.seal())
        found = await past.look()
        assert (found.links, found.faults) == (len(SEQS) + 50, [])

    async def test_what_becomes_of_a_row_later_is_no_change(self, past: Past) -> None:
        await past.run("UPDATE memory_system.episodes SET consolidated = true")
        assert await past.faults() == []


class TestSigning:
    async def news(self, past: Past) -> bool:
        [found] = await past.run(NEWS.sql, subjects.SEAL.name)
        return bool(found["any"])

    async def test_what_was_never_signed_is_news(self, past: Past) -> None:
        assert await self.news(past)

    async def test_the_last_seal_alone_is_none(self, past: Past, keys: SealKeys, remember: Remember) -> None:
        await remember([row_of(2_600, subjects.SEAL, keys.seal(STREAM, *await past.head()), stream=STREAM)])
        await past.sealer.seal()
        assert not await self.news(past)

    async def test_what_came_while_it_was_signed_is(self, past: Past, keys: SealKeys, make_row: MakeRow, remember: Remember) -> None:
        seal = keys.seal(STREAM, *await past.head())
        await remember([make_row(2_599), row_of(2_600, subjects.SEAL, seal, stream=STREAM)])
        await past.sealer.seal()
        assert await self.news(past)


class TestTouched:
    async def test_every_column_that_was_given_is_sealed(self, past: Past, database: Database) -> None:
        async with database.connection() as connection:
            columns = {column.name for column in (await State(database, connection, 0).catalog())["episodes"]}
        changes = {
            "episode_id": "'other'", "kind": "'lesson'", "agent_id": "'aria'", "timestamp": "timestamp + '1 us'", "action_type": "'other'",
            "action_details": "'{\"text\": \"forged\"}'", "context_state": "NULL", "importance_score": "0.51", "tags": "'{a,b}'",
            "cross_reference": "gen_random_uuid()", "project_dna_id": "gen_random_uuid()", "handoff_packet": "'{\"n\": 2}'",
            "session_id": "NULL", "subject": "'memory.episode.aria'", "recorded_at": "recorded_at + '1 us'", "content_hash": "'\\x00'",
            "content": "content || ' '",
        }  # fmt: skip
        assert set(changes) == columns - {"id", "consolidated", "search_terms", "stream_seq"}
        kept_rows = await past.run("CREATE TABLE public.kept AS SELECT * FROM memory_system.episodes WHERE stream_seq = 3")
        assert kept_rows == []
        for column, value in changes.items():
            await past.run(f"UPDATE memory_system.episodes SET {column} = {value} WHERE stream_seq = 3")
            assert await past.faults() == [(3, "changed")], column
            await past.run(f"UPDATE memory_system.episodes AS e SET {column} = k.{column} FROM public.kept AS k WHERE e.id = k.id")
            assert await past.faults() == [], column

    @pytest.mark.parametrize(
        ("touch", "first"),
        [
            (("DELETE FROM memory_system.episodes WHERE stream_seq = 3",), (3, "deleted")),
            (("DELETE FROM memory_system.episodes WHERE stream_seq = 3",
              "UPDATE memory_system.seal_links SET salt = NULL WHERE stream_seq = 3"), (3, "deleted")),
            (("DELETE FROM memory_system.episodes WHERE stream_seq = 3",
              "DELETE FROM memory_system.seal_links WHERE stream_seq = 3"), (5, "moved")),
            (("UPDATE memory_system.episodes SET stream_seq = 4 WHERE stream_seq = 3",), (3, "deleted")),
            (("UPDATE memory_system.episodes SET stream_seq = -1 WHERE stream_seq = 2",
              "UPDATE memory_system.episodes SET stream_seq = 2 WHERE stream_seq = 3",
              "UPDATE memory_system.episodes SET stream_seq = 3 WHERE stream_seq = -1"), (2, "changed")),
            (("UPDATE memory_system.seal_links SET stream_seq = 4 WHERE stream_seq = 3",), (3, "inserted")),
            (("UPDATE memory_system.seal_links SET digest = '\\x00' WHERE stream_seq = 3",), (3, "changed")),
            (("UPDATE memory_system.seal_links SET salt = NULL WHERE stream_seq = 3",), (3, "changed")),
        ],
        ids=["deleted", "deleted and unsalted", "deleted with its link", "moved", "swapped", "link moved", "digest", "salt"],
    )  # fmt: skip
    async def test_the_first_place_is_named(self, past: Past, touch: tuple[str, ...], first: tuple[int, str]) -> None:
        for sql in touch:
            await past.run(sql)
        assert (await past.faults())[0] == first

    async def test_a_row_put_in_later_is_named(self, past: Past, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(4)])
        assert await past.faults() == [(4, "inserted")]

    async def test_a_chain_computed_again_does_not_fit_a_signed_head(self, past: Past, keys: SealKeys) -> None:
        first = keys.seal(STREAM, 2, await self._link_at(past, 2))
        last = keys.seal(STREAM, *await past.head())
        await past.run("UPDATE memory_system.episodes SET content = 'forged' WHERE stream_seq = 5")
        await self._compute_again(past)
        assert await past.faults() == []  # nobody could tell, but for a head that was signed before
        assert await past.faults(first, last) == [(3, "rewritten")]

    async def test_an_end_that_was_cut_off_shows_by_a_seal_from_elsewhere(self, past: Past, keys: SealKeys) -> None:
        copy = keys.seal(STREAM, *await past.head())
        for table in ("seal_links", "episodes"):
            await past.run(f"DELETE FROM memory_system.{table} WHERE stream_seq > 5")
        assert await past.faults() == []
        assert await past.faults(copy) == [(6, "truncated")]

    async def test_a_seal_of_other_keys_is_none(self, past: Past, tmp_path: Path) -> None:
        assert await past.faults(kept(tmp_path).seal(STREAM, *await past.head())) == [(SEQS[-1], "forged")]

    @pytest.mark.parametrize("field", ["ed25519", "ml_dsa_65"])
    async def test_both_signatures_must_hold(self, past: Past, keys: SealKeys, field: str) -> None:
        head = await past.head()
        other = keys.seal(STREAM, head[0], "0" * 64)
        signatures = _signatures(keys, head) | {field: getattr(other, field)}
        mixed = Seal(last_seq=head[0], head=head[1], **signatures)
        assert await past.faults(mixed) == [(SEQS[-1], "forged")]

    async def _link_at(self, past: Past, seq: int) -> str:
        [found] = await past.run("SELECT link FROM memory_system.seal_links WHERE stream_seq = $1", seq)
        return str(found["link"].hex())

    async def _compute_again(self, past: Past) -> None:
        """What a forger can do who has the database, but not the keys."""
        before = GENESIS
        rows = {row["stream_seq"]: row["columns"] for row in await past.run(ROWS.sql, 0, SEQS[-1])}
        for record in await past.run("SELECT stream_seq, salt FROM memory_system.seal_links ORDER BY 1"):
            of_row = digest(record["salt"], rows[record["stream_seq"]])
            before = link(before, record["stream_seq"], of_row)
            change = "UPDATE memory_system.seal_links SET digest = $2, link = $3 WHERE stream_seq = $1"
            await past.run(change, record["stream_seq"], of_row, before)


def _signatures(keys: SealKeys, head: tuple[int, str]) -> dict[str, str]:
    seal = keys.seal(STREAM, *head)
    return {"ed25519": seal.ed25519, "ml_dsa_65": seal.ml_dsa_65}


class TestForgotten:
    async def test_is_accounted_for_and_leaves_no_salt(self, past: Past, remember: Remember) -> None:
        await remember([forgotten(2_600, "event-3", "event-5", seqs=[3, 5])])
        await past.sealer.seal()
        found = await past.look()
        assert (found.links, found.forgotten, found.faults) == (len(SEQS) + 1, 2, [])
        unsalted = await past.run("SELECT stream_seq FROM memory_system.seal_links WHERE salt IS NULL ORDER BY 1")
        assert [r["stream_seq"] for r in unsalted] == [3, 5]

    async def test_before_it_was_sealed_is_no_link(self, past: Past, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(2_600), make_row(2_601)])
        await remember([forgotten(2_602, "event-2600", seqs=[2_600])])
        await past.sealer.seal()
        found = await past.look()
        assert (found.links, found.forgotten, found.faults) == (len(SEQS) + 2, 0, [])

    async def test_a_telling_that_was_forged_accounts_for_nothing(self, past: Past, remember: Remember) -> None:
        await past.run("DELETE FROM memory_system.episodes WHERE stream_seq = 3")
        details = '{"ids": ["event-3"], "seqs": [3]}'
        await past.run(
            "UPDATE memory_system.episodes SET action_type = $1, action_details = $2 WHERE stream_seq = 8", subjects.FORGOTTEN.name, details
        )
        assert await past.faults() == [(3, "deleted"), (8, "changed")]


class TestKeys:
    def test_are_made_once_and_for_their_owner_only(self, tmp_path: Path) -> None:
        keys = kept(tmp_path / "deep" / "seal")
        again = kept(tmp_path / "deep" / "seal")
        seal = again.seal(STREAM, 1, "a" * 64)
        assert public(tmp_path / "deep" / "seal").signed(STREAM, seal)
        assert keys.ed25519.private_bytes_raw() == again.ed25519.private_bytes_raw()
        private = [path for path in (tmp_path / "deep" / "seal").iterdir() if not path.name.endswith(".pub.pem")]
        assert [stat.S_IMODE(path.stat().st_mode) for path in private] == [0o600, 0o600]

    def test_a_seal_is_of_its_stream_place_and_head(self, keys: SealKeys, readable: PublicKeys) -> None:
        seal = keys.seal(STREAM, 7, "a" * 64)
        assert readable.signed(STREAM, seal)
        assert not readable.signed("OTHER", seal)
        for other in ({"last_seq": 8}, {"head": "b" * 64}):
            assert not readable.signed(STREAM, Seal(**{"last_seq": 7, "head": "a" * 64, **_signatures(keys, (7, "a" * 64)), **other}))

    def test_what_is_no_key_is_said_with_its_folder(self, tmp_path: Path) -> None:
        kept(tmp_path)
        (tmp_path / "seal-ml-dsa-65.pub.pem").write_bytes((tmp_path / "seal-ed25519.pub.pem").read_bytes())
        with pytest.raises(Misconfigured, match=r"seal-ml-dsa-65\.pub\.pem holds another kind of key"):
            public(tmp_path)
        (tmp_path / "seal-ed25519.pem").write_text("nothing")
        with pytest.raises(Misconfigured, match="the keys that seal history"):
            kept(tmp_path)


def test_a_link_stands_for_its_place_its_row_and_all_before() -> None:
    base = link(GENESIS, 1, b"a" * 32)
    assert len({base, link(GENESIS, 2, b"a" * 32), link(GENESIS, 1, b"b" * 32), link(base, 1, b"a" * 32)}) == 4


def test_windows_are_smaller_than_the_hole_of_these_tests() -> None:
    assert SEQS[5] - SEQS[4] > sealing.WINDOW


def test_faults_are_in_the_order_of_the_log() -> None:
    assert min(Fault(9, "changed", ""), Fault(2, "moved", "")).seq == 2
