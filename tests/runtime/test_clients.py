"""One place for the cluster's security: both clients through SASL and TLS with certificates, at a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr

from streams.runtime.clients import librdkafka
from streams.runtime.embedded import EmbeddedKafka, state
from streams.runtime.embedded.properties import Listener
from streams.runtime.settings import KafkaSettings
from tests.runtime.builders import deployed
from tests.runtime.transport.members import TOPIC, member, until_true

USER, PASSWORD = "evenpost", "right"
# A broker that has nothing else to do answers in milliseconds; a refused handshake is not answered at all.
REFUSED_S = 5


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """An authority, the broker's certificate, and ours."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = authority.issue_cert("127.0.0.1")
    # Kafka reads PKCS#8 alone.
    key = serialization.load_pem_private_key(server.private_key_pem.bytes(), None)
    pkcs8 = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_bytes(pkcs8 + b"".join(pem.bytes() for pem in server.cert_chain_pems))
    ours = authority.issue_cert("worker@evenpost.test")
    ours.private_key_and_cert_chain_pem.write_to_path(tmp_path / "ours.pem")
    return tmp_path


@pytest.fixture
def secured(certificates: Path) -> Iterator[str]:
    """The address of a broker's listener that wants a certificate and a password."""
    login = "org.apache.kafka.common.security.plain.PlainLoginModule"
    listener = Listener(
        port=state.free_port(None),
        protocol="SASL_SSL",
        properties={
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": certificates / "server.pem",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": certificates / "ca.pem",
            "ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN",
            "plain.sasl.jaas.config": f'{login} required user_{USER}="{PASSWORD}";',
        },
    )
    with EmbeddedKafka(certificates / "broker", listener=listener):
        yield f"127.0.0.1:{listener.port}"


async def test_both_clients_pass_sasl_and_tls_set_in_one_place(
    secured: str, certificates: Path, topic_prefix: str
) -> None:
    """A plain agent's sends arrive, and are consumed; a wrong password or no certificate is turned away."""
    security: dict[str, Any] = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_username": USER,
        "sasl_password": SecretStr(PASSWORD),
        "ssl_ca_file": certificates / "ca.pem",
        "ssl_cert_file": certificates / "ours.pem",
    }
    settings = deployed(secured, topic_prefix, certificates, **security)
    taken: list[bytes] = []
    async with member(settings, "one", take=lambda message: taken.append(message.value)) as app:
        await (await app.source(TOPIC).send(key=b"k", value=b"through"))
        await until_true(lambda: taken == [b"through"], "our record")
    for wrong in ({"sasl_password": SecretStr("wrong")}, {"ssl_cert_file": None}):
        turned_away = KafkaSettings(bootstrap=secured, **(security | wrong))
        assert await asyncio.to_thread(refused, turned_away)


def refused(kafka: KafkaSettings) -> bool:
    """Whether the broker does not let us in."""
    admin = AdminClient(librdkafka(kafka, log_level=0))
    try:
        admin.list_topics(timeout=REFUSED_S)
    except KafkaException:
        return True
    return False
