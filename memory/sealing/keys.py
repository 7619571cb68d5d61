"""The keys that sign the chain's heads: Ed25519 (RFC 8032), and ML-DSA-65 (FIPS 204) for the day when quantum computers break the first.

A folder holds `seal-ed25519.pem` and `seal-ml-dsa-65.pem` (PKCS #8, only for their owner to read) and, beside each, `….pub.pem`,
which is all that verifying needs.
"""

import base64
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from bus import on_disk
from bus.errors import Misconfigured
from memory.sealing.chain import said
from schemas.sealing import Seal

OWNER_ONLY: Final = 0o600
READABLE: Final = 0o644
ED25519: Final = "seal-ed25519"
ML_DSA_65: Final = "seal-ml-dsa-65"


class PublicKeys(msgspec.Struct, frozen=True):
    """What verifies a seal."""

    ed25519: Ed25519PublicKey
    ml_dsa_65: MLDSA65PublicKey

    def signed(self, stream: str, seal: Seal) -> bool:
        """Whether both signatures are of this seal, by these keys."""
        statement = said(stream, seal.last_seq, seal.head)
        try:
            self.ed25519.verify(base64.b64decode(seal.ed25519, validate=True), statement)
            self.ml_dsa_65.verify(base64.b64decode(seal.ml_dsa_65, validate=True), statement)
        except (InvalidSignature, ValueError):
            return False
        return True


class SealKeys(msgspec.Struct, frozen=True):
    """What signs a seal."""

    ed25519: Ed25519PrivateKey
    ml_dsa_65: MLDSA65PrivateKey

    def seal(self, stream: str, last_seq: int, head: str) -> Seal:
        """The head of the chain of `stream` at `last_seq`, signed by both."""
        statement = said(stream, last_seq, head)
        signatures = [base64.b64encode(key.sign(statement)).decode() for key in (self.ed25519, self.ml_dsa_65)]
        return Seal(last_seq=last_seq, head=head, ed25519=signatures[0], ml_dsa_65=signatures[1])


def kept(folder: Path) -> SealKeys:
    """The keys of this folder, made at the first call. Raises `Misconfigured` where they cannot be read or made."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SealKeys(
            _private(folder, ED25519, Ed25519PrivateKey, Ed25519PrivateKey.generate),
            _private(folder, ML_DSA_65, MLDSA65PrivateKey, MLDSA65PrivateKey.generate),
        )
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise Misconfigured(f"the keys that seal history, in {folder}: {e}") from e


def public(folder: Path) -> PublicKeys:
    """The public keys of this folder. Raises `Misconfigured` where they cannot be read."""
    try:
        return PublicKeys(_public(folder, ED25519, Ed25519PublicKey), _public(folder, ML_DSA_65, MLDSA65PublicKey))
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise Misconfigured(f"the public keys of the seals, in {folder}: {e}") from e


def _private(folder: Path, name: str, kind: type[Any], generate: Any) -> Any:
    path = folder / f"{name}.pem"
    if not path.exists():
        _write(folder, name, generate())
    return _of_kind(serialization.load_pem_private_key(path.read_bytes(), None), kind, path)


def _public(folder: Path, name: str, kind: type[Any]) -> Any:
    path = folder / f"{name}.pub.pem"
    return _of_kind(serialization.load_pem_public_key(path.read_bytes()), kind, path)


def _of_kind(key: Any, kind: type[Any], path: Path) -> Any:
    if not isinstance(key, kind):
        raise TypeError(f"{path.name} holds another kind of key")
    return key


def _write(folder: Path, name: str, key: Any) -> None:
    """The public key first: a private one that is there has its public one beside it."""
    pem = serialization.Encoding.PEM
    told = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    on_disk.write(folder / f"{name}.pub.pem", told, READABLE)
    hidden = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    on_disk.write(folder / f"{name}.pem", hidden, OWNER_ONLY, replace=False)
