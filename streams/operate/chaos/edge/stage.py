"""What a run stands on: a folder of its own, the receiver as a process, settings, and what runs each member.

No setting of yours counts: a run must never kill, or mail through, what is not its own.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from streams.operate.chaos.edge import scene
from streams.operate.proof import receiving
from streams.operate.up import WORKER
from streams.runtime.points import KILL_ENV
from streams.runtime.settings import (
    ClickHouseSettings,
    ControlSettings,
    DnsSettings,
    KafkaSettings,
    MailSettings,
    SecretSettings,
    Settings,
    SmtpSettings,
    WorkerSettings,
)

# 5 minutes become 0.6 s (delivery/retry.toml): a retry falls into the same run, and often into the next blow.
RETRY_SCALE: Final = 1 / 500
# Seconds that a stalling receiver holds its 250 back, and that the sender waits for it: RFC 5321's 10 min, scaled.
STALL_S: Final = 2.0
FINAL_TIMEOUT_S: Final = 20.0
SLOW_S: Final = 0.3
# A worker whose broker is away for a minute on a busy machine is no worker that hangs.
STALLED_S: Final = 240.0
GATE_PARTITIONS: Final = 2


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """The simulator: where it listens, and the two logs that it leaves."""

    smtp_port: int
    dns_port: int
    log: Path
    connections: Path


def make_folder() -> Path:
    """A new folder for all data of a run."""
    return Path(tempfile.mkdtemp(prefix="evenpost-chaos-"))


@contextmanager
def receiver(folder: Path) -> Iterator[Receiver]:
    """The simulated receiver.  Raises FleetError."""
    connections = folder / "connections.jsonl"
    slow = ("--slow-s", str(SLOW_S), "--stall-s", str(STALL_S))
    with receiving.simulator(folder, "--dns-port", "0", "--connections", connections, *slow) as told:
        yield Receiver(smtp_port=told.smtp_port, dns_port=told.dns_port or 0, log=told.log, connections=connections)


def settings(folder: Path, receiver: Receiver, *, session_timeout_s: float) -> Settings:
    """The run's own."""
    return Settings(
        data_dir=folder.absolute(),
        dkim_dir=None,
        providers={},
        secrets=SecretSettings(),
        kafka=KafkaSettings(gate_partitions=GATE_PARTITIONS, slots=scene.SLOTS, session_timeout_s=session_timeout_s),
        clickhouse=ClickHouseSettings(sql_port=0),
        smtp=SmtpSettings(
            port=receiver.smtp_port,
            starttls="never",
            connections_per_host=scene.CONNECTIONS,
            connections_per_slot=scene.CONNECTIONS,
            final_timeout_s=FINAL_TIMEOUT_S,
        ),
        dns=DnsSettings(servers=f"127.0.0.1:{receiver.dns_port}"),
        mail=MailSettings(retry_scale=RETRY_SCALE),
        worker=WorkerSettings(stalled_s=STALLED_S),
        control=ControlSettings(automation=Path(__file__).with_name("automation.toml")),
    )


def program(folder: Path, name: str, armed: Mapping[str, str]) -> tuple[str, ...]:
    """What runs a member: the product's own worker, with the point at which it dies, if any, in its environment.

    Its temporary files are the run's: what a killed one leaves goes with them.
    """
    worker = (*WORKER, name.rpartition("-")[0], "--member", name)
    point = (f"{KILL_ENV}={armed[name]}",) if name in armed else ()
    return ("env", f"TMPDIR={folder.absolute() / 'tmp'}", *point, *worker)
