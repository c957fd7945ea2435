"""How to reach the cluster: one place that turns settings into each client's configuration."""

import ssl
from typing import Any

from streams.runtime.client_logs import CLIENT_LOG
from streams.runtime.settings import KafkaSettings

# The one property that librdkafka spells with an underscore.
_UNDERSCORED = {"log_level": "log_level"}


def librdkafka(kafka: KafkaSettings, **more: Any) -> dict[str, Any]:
    """Configuration for confluent-kafka: bootstrap, security, and what the caller adds (`a_b` means `a.b`)."""
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap,
        "security.protocol": kafka.security_protocol,
        "log.connection.close": False,
        "logger": CLIENT_LOG,
    }
    if kafka.sasl_mechanism is not None and kafka.sasl_password is not None:
        config |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.sasl_username,
            "sasl.password": kafka.sasl_password.get_secret_value(),
        }
    if kafka.ssl_ca_file is not None:
        config["ssl.ca.location"] = str(kafka.ssl_ca_file)
    if kafka.ssl_cert_file is not None:
        config["ssl.certificate.location"] = str(kafka.ssl_cert_file)
        config["ssl.key.location"] = str(kafka.ssl_key_file or kafka.ssl_cert_file)
    return config | {_UNDERSCORED.get(name, name.replace("_", ".")): value for name, value in more.items()}


def aiokafka_security(kafka: KafkaSettings) -> dict[str, Any]:
    """The same security for aiokafka, which Faust consumes with."""
    config: dict[str, Any] = {"security_protocol": kafka.security_protocol}
    if kafka.sasl_mechanism is not None and kafka.sasl_password is not None:
        config |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": kafka.sasl_password.get_secret_value(),
        }
    if kafka.security_protocol.endswith("SSL"):
        cafile = str(kafka.ssl_ca_file) if kafka.ssl_ca_file else None
        config["ssl_context"] = context = ssl.create_default_context(cafile=cafile)
        if kafka.ssl_cert_file is not None:
            context.load_cert_chain(kafka.ssl_cert_file, kafka.ssl_key_file)
    return config
