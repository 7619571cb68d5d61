"""Settings of the NATS server that `cerebro up` starts."""

from typing import Annotated

import msgspec
from msgspec import Meta


class NatsServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The NATS server that `cerebro up` starts: its memory, and whether and how it speaks TLS. What clients need is `CEREBRO_NATS_CA`; the
    host in the server's address must stand in its certificate.
    """

    memory_bytes_max: Annotated[int, Meta(ge=64 * 2**20)] = 512 * 2**20
    """Bytes of memory that it keeps below by collecting garbage more often (Go's `GOMEMLIMIT`); what it needs is not refused."""
    tls_cert: str = ""
    """File with the server's certificate (PEM) and those up to the root's. Empty: no TLS."""
    tls_key: str = ""
    """File with the private key (PEM) of `tls_cert`."""
    tls_client_ca: str = ""
    """File with the certificates (PEM) that a client's must be signed by; each client must have one then. Empty: none is asked for."""
