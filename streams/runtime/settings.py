"""Settings: one tree, read from `evenpost.toml` and overridden by `EVENPOST_…` variables.

`EVENPOST_KAFKA__BOOTSTRAP` sets `kafka.bootstrap`.  No worker listens beyond loopback unless
`worker.http_host` says so.
Secrets are files below `data_dir/keys` by default (made at first use) or given as values, and are masked when shown.
"""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

CONFIG_ENV = "EVENPOST_CONFIG"
DEFAULT_CONFIG = "evenpost.toml"

MAX_PORT = 65_535
Port = Annotated[int, Field(ge=0, le=MAX_PORT)]
_URL = r"^https?://[!-;=?-~]+$"  # no blank, control character or angle bracket: it stands in a header field
# Seconds, a year at most: neither NaN nor what no calendar holds, or each mail would fail on it.
_YEAR_S = 366 * 86_400
Timeout = Annotated[float, Field(gt=0, le=_YEAR_S)]
Span = Annotated[float, Field(ge=0, le=_YEAR_S)]


class Section(BaseModel):
    """A part of the settings; an unknown name is an error, so that a typo does not pass in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(Section):
    """The cluster: `bootstrap` unset = the embedded broker in `data_dir/kafka`.

    Certificates are PEM files: `ssl_ca_file` whom to trust (unset: the system's), `ssl_cert_file` and `ssl_key_file`
    who we are, where the cluster asks; the key may lie in the certificate's file.
    """

    bootstrap: str | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,100}$")] = "evenpost."  # as Kafka takes topics' names
    gate_partitions: Annotated[int, Field(ge=1, le=1000)] = 12
    slots: Annotated[int, Field(ge=1, le=1000)] = 64
    replication: Annotated[int, Field(ge=1, le=10)] = 1
    session_timeout_s: Annotated[float, Field(ge=6, le=300)] = 12.0
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_file: Path | None = None
    ssl_cert_file: Path | None = None
    ssl_key_file: Path | None = None


class ClickHouseSettings(Section):
    """The warehouse: `dsn` unset = the embedded engine in `data_dir/clickhouse`, with read-only SQL on `sql_port`."""

    dsn: Annotated[str, Field(pattern=r"^(https?|chdb)://[!-~]+$")] | None = None
    database: str = "evenpost"
    sql_port: Port = 8123


class SmtpSettings(Section):
    """How mail leaves: by MX or one smarthost.  Times in seconds, after RFC 5321 4.5.3.2.

    `command_timeout_s` is for the greeting and each command but DATA, `data_timeout_s` for DATA's 354,
    `block_timeout_s` for each part of the message that waits to leave, `final_timeout_s` for the reply to the dot.

    `addresses`, comma-separated addresses or networks, are what this host's senders can bind; empty = those of its
    interfaces.

    `shaping` names a TOML file of limits by provider, over those that are shipped (streams/delivery/shaping.toml).
    `hold_s` is how long a mail that they hold back waits in the sender before it goes back to the gate.
    """

    route: str = "mx"
    port: Port = 25
    starttls: Literal["opportunistic", "require", "never"] = "opportunistic"
    connections_per_host: Annotated[int, Field(ge=1, le=100)] = 4
    connections_per_slot: Annotated[int, Field(ge=1, le=1000)] = 16
    messages_per_connection: Annotated[int, Field(ge=1, le=100_000)] = 100
    addresses: str = ""
    shaping: Path | None = None
    hold_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    idle_s: Span = 10.0
    connect_timeout_s: Timeout = 30.0
    command_timeout_s: Timeout = 300.0
    data_timeout_s: Timeout = 120.0
    block_timeout_s: Timeout = 180.0
    final_timeout_s: Timeout = 600.0

    @field_validator("route")
    @classmethod
    def _route(cls, value: str) -> str:
        if value == "mx":
            return value
        kind, _, rest = value.partition(":")
        host, _, port = rest.rpartition(":")
        if kind != "smarthost" or not host or not port.isdecimal() or not 0 < int(port) <= MAX_PORT:
            raise ValueError("must be 'mx' or 'smarthost:HOST:PORT'")
        return value

    @field_validator("addresses")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for text in filter(None, (part.strip() for part in value.split(","))):
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError as error:
                raise ValueError(f"must be addresses or networks, comma-separated; {text!r} is neither") from error
        return value


class DnsSettings(Section):
    """Resolvers as `ADDRESS` or `ADDRESS:PORT`, comma-separated; empty = the system's."""

    servers: str = ""
    timeout_s: Timeout = 5.0


class MailSettings(Section):
    """What every message carries: the unsubscribe address and how long a mail is worth sending."""

    unsubscribe_url: Annotated[str, Field(pattern=_URL)] = "https://unsubscribe.evenpost.example/u"
    feedback_id: str = "evenpost"
    marketing_expire_s: Timeout = 24 * 3600.0
    transactional_expire_s: Timeout = 4 * 3600.0
    unknown_campaign_wait_s: Span = 600.0
    retry_scale: Annotated[float, Field(gt=0, le=1000)] = 1.0


class WorkerSettings(Section):
    """How a worker is watched and how it ends.

    `http_port` 0 takes a free one (it is in `run/<member>.health.json`); `static_membership` lets a worker that
    restarts within `kafka.session_timeout_s` come back to what it had; `sigterm` names which of the two ends SIGTERM
    asks for.
    `tries` is how often an event whose handling raises is tried; when of the latest events more than `fuse_share` end
    in dead-letters that way, the worker stops.  `stalled_s`: where lag grows and the position doesn't for so long, it
    exits (unset: the role's own figure).
    """

    http_host: str = "127.0.0.1"
    http_port: Port = 0
    static_membership: bool = True
    sigterm: Literal["restart", "scale-in"] = "restart"
    tries: Annotated[int, Field(ge=1, le=100)] = 3
    fuse_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    stalled_s: Annotated[float, Field(ge=1)] | None = None


class ControlSettings(Section):
    """`automation` names a TOML file of rules that stands over streams/control/automation.toml."""

    automation: Path | None = None


class WarmupSettings(Section):
    """When a warming IP stands still or steps back at a provider; unset = the figure in streams/spread/warmup.toml.

    `…_deferrals` and `…_complaints` are shares of attempts and of accepted mail, `least_used` of the day's allowance.
    """

    stall_deferrals: Annotated[float, Field(gt=0, le=1)] | None = None
    back_deferrals: Annotated[float, Field(gt=0, le=1)] | None = None
    stall_complaints: Annotated[float, Field(gt=0, le=1)] | None = None
    back_complaints: Annotated[float, Field(gt=0, le=1)] | None = None
    least_deferrals: Annotated[int, Field(ge=1)] | None = None
    least_complaints: Annotated[int, Field(ge=1)] | None = None
    least_used: Annotated[float, Field(ge=0, le=1)] | None = None


class SecretSettings(Section):
    """Keys; unset = a file below `data_dir/keys`, made at first use.  Back up `address_id`: it names every address.

    A new key has a higher version, and the one before is kept: in `former` under `token-1`, or as the file
    `token-1.key` (`address-id-1` likewise).  Campaigns that were compiled with it use it until they are edited.
    """

    address_id: SecretStr | None = None
    address_id_version: Annotated[int, Field(ge=1)] = 1
    token: SecretStr | None = None
    token_version: Annotated[int, Field(ge=1)] = 1
    former: dict[str, SecretStr] = Field(default_factory=dict)


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        env_prefix="EVENPOST_",
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Path("evenpost-data")
    dkim_dir: Path | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    providers: dict[str, str] = Field(default_factory=dict)
    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    smtp: SmtpSettings = SmtpSettings()
    dns: DnsSettings = DnsSettings()
    mail: MailSettings = MailSettings()
    worker: WorkerSettings = WorkerSettings()
    control: ControlSettings = ControlSettings()
    warmup: WarmupSettings = WarmupSettings()
    secrets: SecretSettings = SecretSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order: arguments, environment, file."""
        del dotenv_settings, file_secret_settings
        file = Path(os.environ.get(CONFIG_ENV, DEFAULT_CONFIG))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

    @property
    def key_root(self) -> Path:
        """Where tenants' DKIM key files are looked up; only senders read it."""
        return self.dkim_dir or self.data_dir

    def topic(self, name: str) -> str:
        """A topic's full name in this deployment."""
        return f"{self.kafka.prefix}{name}"
