"""A world in a box: all roles as processes, receivers beside them, and upstream's ways in and out.

1. `Box` makes a data directory with a DKIM key, starts the simulator (SMTP, DNS, a log of all it took) and a `Fleet`.
2. `tenant`, `egress`, `campaign`, `recipients`, `suppress` produce plain JSON to Kafka, as any upstream would.
3. `balanced` waits until each recipient event has its end (audit.py); `accepted` is what receivers say they took.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from confluent_kafka import KafkaError, Message, Producer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from streams.operate.settings_tree import environment
from streams.operate.simulator.log import Entry, read_log
from streams.operate.up import Fleet
from streams.runtime.children import Child, spawn
from streams.runtime.settings import (
    ClickHouseSettings,
    ControlSettings,
    DnsSettings,
    KafkaSettings,
    MailSettings,
    Settings,
    SmtpSettings,
)
from tests.support.audit import Audit, Balance, Coordinates

# Seconds that a condition may take on a machine with other work; nothing waits that long when all is well.
LIMIT_S: Final = 240.0
# Seconds more for each event that is waited for: a tenth of the speed seen on two shared cores.
EVENT_S: Final = 0.05
POLL_S: Final = 0.2
SLOTS: Final = 4
GATE_PARTITIONS: Final = 4
FIRST_HOST: Final = 20
HTML: Final = "<html><body><p>{{ name }}さん、こんにちは。</p></body></html>"


def until(fact: Callable[[], Any], what: Callable[[], object] | str, *, limit_s: float = LIMIT_S) -> None:
    """Poll for a fact; `what` says what was waited for."""
    deadline = time.monotonic() + limit_s
    while not fact():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s:.0f} s: {what() if callable(what) else what}")
        time.sleep(POLL_S)


@dataclass(kw_only=True)
class Box:
    """A deployment; a context manager."""

    settings: Settings
    fleet: Fleet
    simulator_log: Path
    _audit: Audit | None = None
    _producer: Producer | None = None
    _simulator: Child | None = None
    said: list[str] = field(default_factory=list)

    # ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def produce(
        self, topic: str, records: Iterable[tuple[str | None, bytes | Mapping[str, Any] | None]], **more: Any
    ) -> list[Coordinates]:
        """Write (key, value) pairs with Java's placement, and wait until all are there; their coordinates in order."""
        producer = self._upstream()
        placed: dict[int, Coordinates] = {}
        failed: list[str] = []
        count = 0
        for key, value in records:
            body = json.dumps(value, ensure_ascii=False).encode() if isinstance(value, Mapping) else value

            def report(error: KafkaError | None, message: Message, number: int = count) -> None:
                if error is not None:
                    failed.append(error.str())
                    return
                placed[number] = Coordinates(topic, int(message.partition() or 0), int(message.offset() or 0))

            while True:
                try:
                    producer.produce(
                        self.settings.topic(topic), body, key=key and key.encode(), on_delivery=report, **more
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
            count += 1
        assert producer.flush(60) == 0
        assert not failed, failed[:3]
        return [placed[number] for number in range(count)]

    def _upstream(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                {
                    "bootstrap.servers": self.settings.kafka.bootstrap,
                    "partitioner": "murmur2_random",
                    "enable.idempotence": True,
                    "linger.ms": 5,
                    "message.max.bytes": 8 * 1024 * 1024,
                    "log_level": 0,
                }
            )
        return self._producer

    def tenant(self, name: str, *, caps: Iterable[Mapping[str, Any]] = ()) -> None:
        """A tenant that sends from `<name>.example`."""
        domain = {
            "domain": f"{name}.example",
            "return_path_domain": f"bounce.{name}.example",
            "dkim": [{"selector": "s1", "key_file": "keys/s1.pem"}],
        }
        self.produce(
            "tenants", [(name, {"tenant": name, "name": name.title(), "domains": [domain], "caps": list(caps)})]
        )

    def egress(self, *, via: Mapping[str, Any] | None = None) -> None:
        """All slots active, each on a loopback address of its own unless `via` says otherwise."""
        self.produce(
            "egress",
            (
                (
                    str(slot),
                    {
                        "slot": slot,
                        "via": via or {"kind": "bind", "address": f"127.0.0.{FIRST_HOST + slot}"},
                        "ehlo": f"m{slot}.mail.example",
                    },
                )
                for slot in range(self.settings.kafka.slots)
            ),
        )

    def campaign(self, key: str, *, kind: str = "marketing", **fields: Any) -> str:
        """Submit a campaign (`tenant:campaign`), or submit it again with other fields; gives the key back."""
        tenant, _, name = key.partition(":")
        event = {
            "tenant": tenant,
            "campaign_id": name,
            "kind": kind,
            "from": {"name": "お店", "address": f"news@{tenant}.example"},
            "subject": "{{ name }}さんへ",
            "html": HTML,
            "on_uncertain": "resend",
        }
        self.produce("campaigns", [(key, event | fields)])
        return key

    def recipients(self, campaign: str, people: Iterable[tuple[str, str]], **fields: Any) -> list[Coordinates]:
        """One marketing event a person (id, address)."""
        tenant, _, name = campaign.partition(":")
        return self.produce(
            "recipients.marketing",
            (
                (
                    f"{tenant}:{person}",
                    {
                        "tenant": tenant,
                        "campaign_id": name,
                        "recipient_id": person,
                        "to": {"channel": "mail", "address": address},
                        "variables": {"name": person},
                    }
                    | fields,
                )
                for person, address in people
            ),
        )

    def suppress(self, tenant: str, addresses: Iterable[str]) -> None:
        """Upstream's word that these people unsubscribed."""
        scope = f"tenant:{tenant}"
        self.produce(
            "suppression-requests",
            (
                (
                    scope,
                    {
                        "action": "add",
                        "scope": scope,
                        "reason": "unsubscribe",
                        "channel": "mail",
                        "address": address,
                        "source": "test",
                        "at": "2026-11-24T00:00:00Z",
                    },
                )
                for address in addresses
            ),
        )

    def evenpost(self, *arguments: str | Path, expect: int = 0) -> str:
        """A command line as a user gives it; its standard output."""
        command = [str(Path(sys.executable).with_name("evenpost")), *map(str, arguments)]
        done = subprocess.run(
            command, check=False, env=environment(self.settings), capture_output=True, text=True, timeout=LIMIT_S
        )
        assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    # ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def balance(self, *campaigns: str) -> Balance:
        """Events in against final outcomes, as of now."""
        return self.audit.balance(*campaigns)

    @property
    def audit(self) -> Audit:
        """All that the topics said."""
        if self._audit is None:
            self._audit = Audit.on(str(self.settings.kafka.bootstrap), self.settings.kafka.prefix)
        return self._audit

    def balanced(self, *campaigns: str, events: int) -> Balance:
        """Wait until all `events` of these campaigns have one final outcome each, and the warehouse knows all."""
        limit_s = LIMIT_S + events * EVENT_S
        last: list[Balance] = []

        def settled() -> bool:
            last[:] = [self.balance(*campaigns)]
            assert not last[0].doubled and not last[0].unasked, last[0]
            return len(last[0].sources) == events and last[0].exact

        until(settled, lambda: f"{last[0]}; expected {events} events\n{self.trouble()}", limit_s=limit_s)
        wanted = {key: len(self.audit.event_ids[key]) for key in campaigns}
        until(
            lambda: self.rows(*campaigns) == wanted,
            lambda: f"rows {self.rows(*campaigns)}, events in Kafka {wanted}",
            limit_s=limit_s,
        )
        balance = self.balance(*campaigns)  # once more: what was said meanwhile must not be a second end
        assert balance.exact, balance
        return balance

    def rows(self, *campaigns: str) -> dict[str, int]:
        """Delivery events in ClickHouse, by campaign."""
        names = ", ".join(f"'{key}'" for key in campaigns)
        found = self.sql(
            f"SELECT concat(tenant, ':', campaign_id) AS key, count() FROM deliveries FINAL "
            f"WHERE key IN ({names}) GROUP BY key"
        )
        return {key: int(count) for key, count in found}

    def sql(self, statement: str) -> list[list[Any]]:
        """Ask the SQL port as curl would; empty while the warehouse starts again."""
        try:
            place = json.loads((self.settings.data_dir / "run" / "sql.json").read_bytes())
            query = urllib.parse.urlencode({"default_format": "JSONCompact", "database": "evenpost"})
            request = urllib.request.Request(
                f"http://{place['host']}:{place['port']}/?{query}", data=statement.encode(), method="POST"
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                rows: list[list[Any]] = json.loads(answer.read())["data"]
                return rows
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error
        except OSError:
            return []

    def taken(self, *, domain: str) -> list[Entry]:
        """The simulator's messages to a domain, whatever became of them."""
        return [entry for entry in read_log(self.simulator_log) if entry.rcpt_to[0].endswith(f"@{domain}")]

    def accepted(self, *, domain: str) -> Counter[str]:
        """How many messages the receiver took, by recipient's address."""
        return Counter(entry.rcpt_to[0] for entry in self.taken(domain=domain) if entry.accepted)

    def restarts(self) -> dict[str, int]:
        """How often each member was started again unasked."""
        return {one.member: one.restarts for one in self.fleet.status()}

    def logs(self) -> dict[str, str]:
        """What each member wrote to its log file."""
        folder = self.settings.data_dir / "logs"
        return {file.name: file.read_text("utf-8", "replace") for file in sorted(folder.iterdir())}

    def trouble(self) -> str:
        """For a failure's words: what the fleet said, and each log's last errors."""
        lines = [f"fleet: {line}" for line in self.said[-5:]]
        for name, text in self.logs().items():
            bad = [line for line in text.splitlines() if "level=error" in line or "Error" in line]
            lines += [f"{name}: {line[:300]}" for line in bad[-3:]]
        return "\n".join(lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._audit is not None:
            self._audit.tail.close()
        self.fleet.stop()
        if self._simulator is not None:
            self._simulator.stop()


@contextlib.contextmanager
def box(
    data_dir: Path,
    *,
    bootstrap: str | None = None,
    prefix: str = "evenpost.",
    roles: Mapping[str, int] | None = None,
    route: str = "mx",
    slots: int = SLOTS,
    shaping: str | None = None,
    automation: str | None = None,
    providers: Mapping[str, str] | None = None,
    simulated: Sequence[str | Path] = (),
    **mail: Any,
) -> Iterator[Box]:
    """Start everything and wait until it is ready; `bootstrap` None = an embedded broker of its own.

    `shaping` and `automation` are the text of the files that stand over the shipped ones, `simulated` more options of
    the simulator.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    ports = data_dir / "simulator.json"
    log = data_dir / "simulator.jsonl"
    arguments: list[str | Path] = [
        "--port",
        "0",
        "--dns-port",
        "0",
        "--log",
        log,
        "--ready-file",
        ports,
        "--slow-s",
        "1",
        *simulated,
    ]
    simulator = spawn(
        [sys.executable, "-m", "streams.operate.simulator", *arguments], log_file=data_dir / "simulator.log"
    )
    try:
        until(ports.exists, "the simulator")
        told = json.loads(ports.read_bytes())
        settings = Settings(
            data_dir=data_dir,
            providers=dict(providers or {}),
            kafka=KafkaSettings(
                bootstrap=bootstrap, prefix=prefix, gate_partitions=GATE_PARTITIONS, slots=slots, session_timeout_s=6.0
            ),
            clickhouse=ClickHouseSettings(sql_port=0),
            smtp=SmtpSettings(
                route=route,
                port=told["smtp_port"],
                starttls="never",
                shaping=_written(data_dir / "shaping.toml", shaping),
            ),
            control=ControlSettings(automation=_written(data_dir / "automation.toml", automation)),
            dns=DnsSettings(servers=f"127.0.0.1:{told['dns_port']}"),
            mail=MailSettings(retry_scale=0.005, **mail),
        )
        _write_key(data_dir / "keys" / "s1.pem")
        said: list[str] = []
        fleet = Fleet(settings, roles=roles, say=said.append)
        fleet.start()
    except BaseException:
        simulator.stop()
        raise
    with Box(settings=fleet.settings, fleet=fleet, simulator_log=log, _simulator=simulator, said=said) as made:
        fleet.wait_ready(LIMIT_S)
        yield made


def _written(file: Path, text: str | None) -> Path | None:
    if text is None:
        return None
    file.write_text(text, "utf-8")
    return file


def _write_key(file: Path) -> None:
    """A DKIM key that all tenants share."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
