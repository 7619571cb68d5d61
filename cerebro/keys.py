"""The keys of a data folder: who is who on the bus, and what the NATS server is told of it.

    DIR/keys/NAME.nk          seed of an identity's nkey, readable by its owner only; the file is the registry, there is no other
    DIR/keys/builtin.json        prefix and built-in agents of the mesh that the keys are for
    DIR/nats/users.conf       every public key with its permissions (`bus.permissions`), for the server's configuration to include
    DIR/nats/context/*.json   contexts of the `nats` command, found with XDG_CONFIG_HOME=DIR; `operator` is the one that is chosen

The server never sees a seed: an identity signs what the server makes up for each connection.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import nkeys

from bus import on_disk
from bus.permissions import Identity, Permissions, Role, permissions
from bus.settings import BusSettings
from bus.subjects import SERVICES, is_token

OPERATOR: Final = "operator"
OURS: Final = {OPERATOR: Role.OPERATOR, "memory": Role.MEMORY, "gateway": Role.GATEWAY}
RESERVED: Final = frozenset({*SERVICES, "server", "agents"})
"""Names that are no identity's, but are said to publish or to answer."""
SUFFIX: Final = ".nk"
AUTHENTICATE_S: Final = 10
"""How long the server waits for a client's signature, in seconds; its own 2 s are short on a busy machine."""
HEAD: Final = "# Made by Cerebro from its table of subjects and the keys beside: changes made here are lost.\n"


class KeyRefused(Exception):
    """A key cannot be made, replaced or revoked. The message says why."""


class Mesh(msgspec.Struct, frozen=True):
    """The mesh that the keys are for."""

    agents: list[str]
    prefix: str = ""


class Keys:
    """Of the data folder `data`."""

    def __init__(self, data: Path) -> None:
        self._data = data.absolute()
        self._folder = self._data / "keys"
        self.users = self._data / "nats" / "users.conf"

    def prepare(self, agents: Sequence[str], prefix: str) -> None:
        """Make the keys of our own parts that are missing, and write down who may do what."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        on_disk.write(self._mesh_file, msgspec.json.encode(Mesh(list(agents), prefix)), 0o644)
        for name in (*OURS, *agents):
            if not self.seed(name).exists():
                self._write_seed(name)
        self.write_users()

    def seed(self, name: str) -> Path:
        """Where the seed of an identity is, there or not."""
        return self._folder / f"{name}{SUFFIX}"

    def identities(self) -> list[Identity]:
        """Who has a key, by name. Raises `KeyRefused` where no keys were made yet."""
        builtin = {**dict.fromkeys(self._mesh.agents, Role.BUILTIN), **OURS}
        names = sorted(path.stem for path in self._folder.glob(f"*{SUFFIX}"))
        return [Identity(name, builtin.get(name, Role.EXTERNAL)) for name in names]

    def public(self, name: str) -> str:
        """The public key of an identity."""
        try:
            pair = nkeys.from_seed(bytearray(self.seed(name).read_bytes().strip()))
        except nkeys.NkeysError as e:
            raise KeyRefused(f"{self.seed(name)} holds no key: put it back from a backup, or remove it and {name} gets another") from e
        public: str = pair.public_key.decode()
        pair.wipe()
        return public

    def add(self, name: str) -> None:
        """Make a key for an external agent. Raises `KeyRefused` for a name that cannot be one, or has one."""
        if not is_token(name) or name != name.lower():
            raise KeyRefused(f"{name!r} is no name for an agent: 1 to 63 of a-z 0-9 - _")
        if name in {*RESERVED, *OURS, *self._mesh.agents}:
            raise KeyRefused(f"{name} is one of the mesh's own names; choose another")
        if self.seed(name).exists():
            raise KeyRefused(f"{name} has a key already: {self.seed(name)}; `cerebro agent rotate {name}` gives it another")
        self._write_seed(name)
        self.write_users()

    def rotate(self, name: str) -> None:
        """Give an identity another key; the old one is worth nothing once the server knows. Raises `KeyRefused` where it has none."""
        self._require(name)
        self._write_seed(name)
        self.write_users()

    def revoke(self, name: str) -> None:
        """Take an external agent's key away. Raises `KeyRefused` where it has none, and for parts of our own."""
        if self._require(name).role is not Role.EXTERNAL:
            raise KeyRefused(f"{name} is a part of the mesh: `cerebro agent rotate {name}` makes its old key worthless")
        on_disk.remove(self.seed(name))
        self._context(name).unlink(missing_ok=True)
        self.write_users()

    def write_users(self) -> None:
        """What the server is to know: every public key and its permissions."""
        mesh, everyone = self._mesh, self.identities()
        settings = BusSettings(prefix=mesh.prefix)
        users = [user(self.public(i.name), permissions(i, everyone, settings)) for i in everyone]
        lines = ",\n    ".join(msgspec.json.encode(u).decode() for u in users)
        self.users.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = f"{HEAD}authorization {{\n  timeout: {AUTHENTICATE_S}\n  users: [\n    {lines}\n  ]\n}}\n"
        on_disk.write(self.users, told.encode(), 0o644)

    def write_contexts(self, url: str, ca: str = "") -> None:
        """A context of the `nats` command for the operator, which is chosen, and for each external agent."""
        for who in self.identities():
            if who.role in {Role.OPERATOR, Role.EXTERNAL}:
                self.write_context(who.name, url, ca)
        (self._data / "nats" / "context.txt").write_text(OPERATOR)

    def write_context(self, name: str, url: str, ca: str = "") -> None:
        """Leave the `nats` command's context of this identity in the data folder; it names the file of its key."""
        context = {
            "description": f"Cerebro, as {name}",
            "url": url,
            "nkey": str(self.seed(name)),
            "inbox_prefix": BusSettings(prefix=self._mesh.prefix).inbox(name),
            "ca": str(Path(ca).absolute()) if ca else "",
        }
        path = self._context(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        on_disk.write(path, msgspec.json.format(msgspec.json.encode(context)) + b"\n", 0o644)

    @property
    def _mesh_file(self) -> Path:
        return self._folder / "builtin.json"

    @property
    def _mesh(self) -> Mesh:
        try:
            return msgspec.json.decode(self._mesh_file.read_bytes(), type=Mesh)
        except (FileNotFoundError, msgspec.MsgspecError) as e:
            raise KeyRefused(f"{self._data} has no keys: `cerebro up` makes them at its first start, or `cerebro keys`") from e

    def _context(self, name: str) -> Path:
        return self._data / "nats" / "context" / f"{name}.json"

    def _require(self, name: str) -> Identity:
        for who in self.identities():
            if who.name == name:
                return who
        raise KeyRefused(f"{name} has no key here; there are {', '.join(i.name for i in self.identities())}")

    def _write_seed(self, name: str) -> None:
        on_disk.write(self.seed(name), nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER))


def user(public: str, may: Permissions) -> dict[str, object]:
    """One user as the server's configuration has it."""
    publish = {"allow": may.publish} | ({"deny": may.publish_denied} if may.publish_denied else {})
    subscribe = {"allow": may.subscribe} | ({"deny": may.subscribe_denied} if may.subscribe_denied else {})
    return {"nkey": public, "permissions": {"publish": publish, "subscribe": subscribe}}
