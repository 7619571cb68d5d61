"""TLS to the NATS server by settings, with a real chain of certificates: root, intermediate, server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bus.connection import Bus
from bus.errors import Misconfigured, NotAdmitted
from bus.settings import BusSettings
from cerebro.embedded.nats import NatsServer
from cerebro.embedded.settings import NatsServerSettings
from tests.integration.launched import Up

NOW = datetime.now(UTC)
PATIENCE_S = 10.0


class Signed:
    """A certificate with its key, signed by `issuer`, or by itself. `host` is whom it is for; without one it signs others."""

    def __init__(self, name: str, issuer: "Signed | None" = None, host: str | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.issuer = issuer
        signer = issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(signer.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(minutes=5))
            .not_valid_after(NOW + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
        )
        if host is not None:
            named = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
            builder = builder.add_extension(x509.SubjectAlternativeName([named]), critical=False)
        else:
            builder = builder.add_extension(
                x509.KeyUsage(False, False, False, False, False, True, True, False, False),  # signs certificates and lists of revoked ones
                critical=True,
            )
        self.certificate = builder.sign(signer.key, hashes.SHA256())

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def chain(self) -> bytes:
        """This certificate and those above it, but for the root's."""
        above = self.issuer.chain() if self.issuer and self.issuer.issuer else b""
        return self.pem() + above

    def private(self) -> bytes:
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Files:
    """The chains of two authorities, as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        root = Signed("root")
        between = Signed("between", root)
        self.ca = self.write("root.pem", root.pem())
        self.other_ca = self.write("other.pem", Signed("other root").pem())
        self.server = self.certified("server", Signed("nats", between, "127.0.0.1"))
        self.elsewhere = self.certified("elsewhere", Signed("nats", between, "nats.example"))
        self.client = self.certified("client", Signed("nexus", between, "nexus.example"))
        self.stranger = self.certified("stranger", Signed("nexus", Signed("other root"), "nexus.example"))

    def write(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return str(self.folder / name)

    def certified(self, name: str, signed: Signed) -> tuple[str, str]:
        return self.write(f"{name}.pem", signed.chain()), self.write(f"{name}.key", signed.private())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def serving(folder: Path, certificate: tuple[str, str], client_ca: str = "") -> AsyncIterator[BusSettings]:
    tls = NatsServerSettings(tls_cert=certificate[0], tls_key=certificate[1], tls_client_ca=client_ca)
    server = NatsServer(folder / "nats", folder / "nats.log", own=tls)
    await server.start()
    assert server.url.startswith("tls://")
    yield BusSettings(nats_url=server.url)
    await server.stop()


async def reaches(settings: BusSettings, **files: str) -> bool:
    bus = await Bus.connect(msgspec.structs.replace(settings, **files), "nexus", wait_s=PATIENCE_S)
    connected = bus.connected
    await bus.close()
    return connected


class TestServer:
    async def test_a_server_whose_chain_ends_at_the_root_is_believed_and_any_other_is_not(self, files: Files, tmp_path: Path) -> None:
        async with serving(tmp_path, files.server) as settings:
            assert await reaches(settings, nats_ca=files.ca)
            for ca in (files.other_ca, ""):
                with pytest.raises(Misconfigured, match=r"certificate is not believed: .*issuer"):
                    await reaches(settings, nats_ca=ca)

    async def test_a_server_with_anothers_name_is_not_believed(self, files: Files, tmp_path: Path) -> None:
        async with serving(tmp_path, files.elsewhere) as settings:
            with pytest.raises(Misconfigured, match="IP address mismatch"):
                await reaches(settings, nats_ca=files.ca)


class TestClient:
    async def test_where_the_server_asks_for_a_certificate_only_a_signed_one_will_do(self, files: Files, tmp_path: Path) -> None:
        async with serving(tmp_path, files.server, client_ca=files.ca) as settings:
            cert, key = files.client
            assert await reaches(settings, nats_ca=files.ca, nats_cert=cert, nats_cert_key=key)
            with pytest.raises(NotAdmitted, match="CERTIFICATE_REQUIRED"):
                await reaches(settings, nats_ca=files.ca)
            cert, key = files.stranger
            with pytest.raises(NotAdmitted, match="refuses the certificate"):
                await reaches(settings, nats_ca=files.ca, nats_cert=cert, nats_cert_key=key)

    async def test_files_that_cannot_be_used_are_named(self, files: Files, tmp_path: Path) -> None:
        for bad in ({"nats_ca": str(tmp_path / "none.pem")}, {"nats_cert": files.client[0], "nats_cert_key": files.server[1]}):
            with pytest.raises(Misconfigured, match="credentials for NATS"):
                await reaches(BusSettings(), **bad)
        seed = tmp_path / "nexus.nk"
        seed.write_text("no seed")
        with pytest.raises(Misconfigured, match=r"nexus\.nk"):
            await reaches(BusSettings(), nats_nkey=str(seed))


def test_a_whole_mesh_speaks_it_by_settings(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = files.server
    for name, value in {"NATS_TLS_CERT": cert, "NATS_TLS_KEY": key, "NATS_CA": files.ca, "MEMORY_EMBEDDING": "none"}.items():
        monkeypatch.setenv(f"CEREBRO_{name}", value)
    up = Up(tmp_path / "data")
    try:
        up.wait_until_ready()
        assert up.run.nats.startswith("tls://")
        assert httpx.get(f"{up.run.http}/health", timeout=10).json()["components"]["nats"]["status"] == "healthy"
        context = msgspec.json.decode((up.data / "nats" / "context" / "operator.json").read_bytes())
        assert context["ca"] == files.ca
    finally:
        up.stop()
