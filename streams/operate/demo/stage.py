"""What the demo stands on: a folder of its own, keys, settings that owe nothing to yours, and the simulated receiver.

The settings' file and variables count for nothing here (a demo must never reach the cluster that they name): embedded
Kafka and ClickHouse, free ports, routes by MX through the simulator's DNS.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from streams.compose.dkim import public_record
from streams.operate.demo import scene
from streams.operate.errors import UsageFault
from streams.operate.proof import receiving
from streams.operate.proof.receiving import make_key
from streams.runtime.settings import (
    ClickHouseSettings,
    DnsSettings,
    KafkaSettings,
    MailSettings,
    SecretSettings,
    Settings,
    SmtpSettings,
)

# Hours in seconds: a greylist's 5 minutes become 0.2 s, a full mailbox's 6 hours 15 s (delivery/retry.toml), which is
# how long the demo's last mail waits for its end.
RETRY_SCALE: Final = 1 / 1440
# Partitions of the topics that follow the slots: two spare ones, as a deployment would have.
SLOT_PARTITIONS: Final = scene.SLOTS + 2
# Of the accepted messages so many are kept whole, to be verified; at 1 ms each.
SAMPLES: Final = 200


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """The simulator: where it listens, and what it leaves behind."""

    pid: int
    smtp_port: int
    dns_port: int
    log: Path
    kept: Path
    keys: Path  # the TXT records by name, JSON


def make_folder(data_dir: Path | None) -> Path:
    """The demo's folder: the one named, else a new one in the temporary place.  Raises UsageFault."""
    if data_dir is None:
        return Path(tempfile.mkdtemp(prefix="evenpost-demo-"))
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        occupied = any(data_dir.iterdir())
    except OSError as error:
        raise UsageFault(f"--data-dir {data_dir}: {error.strerror}") from None
    if occupied:
        raise UsageFault(f"--data-dir {data_dir} is not empty: the demo counts from nothing; name a new folder")
    return data_dir.absolute()


def make_keys(data_dir: Path) -> Path:
    """A DKIM key for each tenant; returns the file of the TXT records that publish them."""
    records: dict[str, str] = {}
    for sender in scene.SENDERS:
        key = make_key(data_dir / scene.key_file(sender.tenant))
        records[f"{scene.SELECTOR}._domainkey.{sender.domain}"] = public_record(key)
    published = data_dir / "dkim-records.json"
    published.write_text(json.dumps(records), encoding="utf-8")
    return published


@contextmanager
def simulator(data_dir: Path, keys: Path, *, recipients: int) -> Iterator[Receiver]:
    """The simulated receiver, as a process.  Raises FleetError."""
    kept = data_dir / "simulator-kept"
    keep = ("--keep-every", str(max(1, recipients // SAMPLES)), "--keep-dir", kept)
    with receiving.simulator(data_dir, "--dns-port", "0", *keep, "--txt", keys) as told:
        yield Receiver(
            pid=told.pid, smtp_port=told.smtp_port, dns_port=told.dns_port or 0, log=told.log, kept=kept, keys=keys
        )


def settings(base: Settings, data_dir: Path, receiver: Receiver) -> Settings:
    """The demo's settings; of `base` only what is no section remains."""
    return base.model_copy(
        update={
            "data_dir": data_dir,
            "dkim_dir": None,
            "providers": dict(scene.PROVIDERS),
            "kafka": KafkaSettings(slots=SLOT_PARTITIONS),
            "clickhouse": ClickHouseSettings(sql_port=0),
            "smtp": SmtpSettings(port=receiver.smtp_port, shaping=Path(__file__).with_name("shaping.toml")),
            "dns": DnsSettings(servers=f"127.0.0.1:{receiver.dns_port}"),
            "mail": MailSettings(retry_scale=RETRY_SCALE),
            "secrets": SecretSettings(),
        }
    )
