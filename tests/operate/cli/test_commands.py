"""The commands on a real broker: what they write is what upstream would write, and every no is one line."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from schemas import ids, topics
from schemas.events import (
    Egress,
    Recipient,
    Suppression,
    SuppressionRequest,
    Tenant,
)
from streams.operate.cli import app
from streams.runtime import cluster
from streams.runtime.clickhouse import chdb_path
from streams.runtime.cluster import Publisher, read_all
from streams.runtime.embedded.clickhouse import SqlServer
from streams.runtime.keys import load_key
from streams.runtime.settings import KafkaSettings, Settings
from tests.operate.cli.commanding import NOW, done, records, refused, run, submitted

pytestmark = pytest.mark.integration


def test_topics_apply_makes_each_topic_once(settings: Settings) -> None:
    """Applied twice, nothing is made and all are present."""
    applied = json.loads(done(settings, "topics", "apply", "--json"))
    assert {one["topic"] for one in applied} == {settings.topic(topic.name) for topic in topics.TOPICS}
    assert not any(one["created"] for one in applied)


def test_recipients_are_loaded_where_their_campaign_wants_them(settings: Settings, tmp_path: Path) -> None:
    """Each good row is an event under tenant:recipient, placed as Java would; bad ones are listed with their lines."""
    name = submitted(settings, tmp_path, "loaded")
    people, bad = tmp_path / "people.csv", tmp_path / "bad.csv"
    people.write_text("客,email,name\nu1,a@b.example,太郎\n,c@d.example,x\nu3,nowhere,x\n", encoding="cp932")
    result = run(settings, "recipients", "load", name, people, "--map", "客=recipient_id", "--bad", bad, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["rows"], told["loaded"], told["bad"], told["encoding"]) == (3, 1, 2, "cp932")
    assert [row["line"] for row in told["bad_rows"]] == [3, 4]
    assert bad.read_text(encoding="utf-8-sig").splitlines()[1].startswith("3,recipient_id is empty,")
    assert told["missing_variables"] == []
    renamed = ["--map", "客=recipient_id", "--map", "name=nom", "--dry-run"]
    assert "no column gives name" in run(settings, "recipients", "load", name, people, *renamed).stderr
    (record,) = [one for one in read_all(settings, topics.RECIPIENTS_MARKETING) if one.key == "acme:u1"]
    assert record.partition == ids.partition_for(b"acme:u1", 2)
    event = msgspec.json.decode(record.value or b"", type=Recipient)
    assert (event.campaign_id, event.to.address, event.variables) == ("loaded", "a@b.example", {"name": "太郎"})


def test_transactional_recipients_go_to_their_own_topic(settings: Settings, tmp_path: Path) -> None:
    """The campaign's kind chooses the lane; --dry-run sends nothing."""
    name = submitted(settings, tmp_path, "reset", kind="transactional")
    people = tmp_path / "people.csv"
    people.write_text("id,email,dedup_key\nu9,a@b.example,k1\n", encoding="utf-8")
    done(settings, "recipients", "load", name, people, "--dry-run")
    assert records(settings, topics.RECIPIENTS_TRANSACTIONAL, "acme:u9") == []
    done(settings, "recipients", "load", name, people)
    assert len(records(settings, topics.RECIPIENTS_TRANSACTIONAL, "acme:u9")) == 1
    assert records(settings, topics.RECIPIENTS_MARKETING, "acme:u9") == []


def test_suppressions_are_asked_for_with_the_raw_address(settings: Settings, tmp_path: Path) -> None:
    """Add, lift and import write upstream's requests under their scope; a bad row is told."""
    scope = ["--scope", "tenant:acme", "--reason", "unsubscribe"]
    done(settings, "suppressions", "add", "taro@docomo.example", *scope)
    done(settings, "suppressions", "lift", "taro@docomo.example", *scope)
    rows = tmp_path / "rows.csv"
    rows.write_text("email,reason\nhana@docomo.example,complaint\nnobody,\nken@docomo.example,\n", encoding="utf-8")
    assert "1 bad rows" in refused(settings, 1, "suppressions", "import", rows, *scope)
    found = [
        msgspec.json.decode(value or b"", type=SuppressionRequest)
        for value in records(settings, topics.SUPPRESSION_REQUESTS, "tenant:acme")
    ]
    assert [(one.action, one.reason, one.address.partition("@")[0]) for one in found] == [
        ("add", "unsubscribe", "taro"),
        ("lift", "unsubscribe", "taro"),
        ("add", "complaint", "hana"),
        ("add", "unsubscribe", "ken"),
    ]
    assert "scope = 'acme'" in refused(settings, 2, "suppressions", "add", "a@b.example", "--scope", "acme")
    assert "address" in refused(settings, 2, "suppressions", "add", "nobody")


def test_a_check_finds_what_stands_and_not_what_was_lifted(settings: Settings) -> None:
    """Entries are found by the address's keyed hash; a tombstone ends one."""
    address = ids.address_id("Jiro@docomo.example", load_key(settings, "address_id"))
    entry = Suppression(
        scope="global", channel="mail", reason="complaint", address_id=address, source="fbl", at=NOW, until=None
    )
    lifted = ids.suppression_key("tenant:acme", "mail", "manual", address)
    with Publisher(settings) as publisher:
        publisher.send(topics.SUPPRESSIONS, ids.suppression_key("global", "mail", "complaint", address), entry)
        publisher.send(topics.SUPPRESSIONS, lifted, entry)
        publisher.send(topics.SUPPRESSIONS, lifted, None)
    told = json.loads(done(settings, "suppressions", "check", "jiro@DOCOMO.example", "--json"))
    assert told["address_id"] == address and [one["reason"] for one in told["entries"]] == ["complaint"]
    assert json.loads(done(settings, "suppressions", "check", "other@docomo.example", "--json"))["suppressed"] is False


def test_slots_are_set_by_file_and_by_options(settings: Settings, tmp_path: Path) -> None:
    """Options change only what they name; what can't be is refused by name."""
    file = tmp_path / "egress.toml"
    file.write_text('[[egress]]\nslot=1\nehlo="m1.mail.example"\nvia={kind="bind",address="127.0.0.3"}\n', "utf-8")
    done(settings, "egress", "set", file)
    done(settings, "egress", "set", "--slot", "1", "--state", "drained")
    done(settings, "egress", "set", "--slot", "2", "--smarthost", "mx.example:2525", "--ehlo", "m2.mail.example")
    slots = msgspec.json.decode(done(settings, "egress", "list", "--json"), type=list[Egress])
    assert [(one.slot, one.state, one.via.address, one.via.port) for one in slots] == [
        (1, "drained", "127.0.0.3", None),
        (2, "active", None, 2525),
    ]
    assert "ehlo is missing" in refused(settings, 2, "egress", "set", "--slot", "3", "--address", "127.0.0.4")
    assert "--address 300" in refused(settings, 2, "egress", "set", "--slot", "3", "--address", "300")
    wide = refused(settings, 2, "egress", "set", "--slot", "4", "--address", "127.0.0.9", "--ehlo", "m.example")
    assert "kafka.slots = 4" in wide
    assert "either FILE.toml or --slot" in refused(settings, 2, "egress", "set")


def test_a_tenant_is_upstreams_event(settings: Settings, tmp_path: Path) -> None:
    """The file's tables are the event's."""
    file = tmp_path / "globex.toml"
    file.write_text(
        'tenant="globex"\nname="Globex"\n[[domains]]\ndomain="globex.example"\n'
        'return_path_domain="bounce.globex.example"\ndkim=[{selector="s1",key_file="keys/globex.pem"}]\n',
        encoding="utf-8",
    )
    done(settings, "tenant", "submit", file)
    (value,) = records(settings, topics.TENANTS, "globex")
    assert msgspec.json.decode(value or b"", type=Tenant).domains[0].domain == "globex.example"


def test_dead_letters_are_listed_newest_first(settings: Settings) -> None:
    """Reason, coordinates and masked first bytes; never more than asked for."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap})
    for at in range(5):
        producer.produce(
            settings.topic("dead-letters"), f'{{"to":"taro{at}@docomo.example"', partition=at % 2, timestamp=1_000 + at,
            headers=[("reason", b"truncated"), ("source-offset", str(at).encode())],
        )  # fmt: skip
    producer.flush()
    found = json.loads(done(settings, "dead-letters", "list", "--limit", "3", "--json"))
    assert [one["offset"] for one in found] == [4, 3, 2]
    assert found[0]["reason"] == "truncated" and "taro" not in found[0]["start"]
    assert "truncated" in done(settings, "dead-letters", "list")


def test_sql_is_answered_as_table_json_and_csv(settings: Settings, clickhouse_dsn: str) -> None:
    """Over the warehouse's own port, found by its file; ClickHouse's no is one line."""
    assert "no warehouse" in refused(settings, 1, "sql", "SELECT 1")
    with SqlServer(str(chdb_path(clickhouse_dsn)), data_dir=settings.data_dir):
        statement = "SELECT number AS n, concat('a,', toString(number)) AS t FROM system.numbers LIMIT 2"
        as_json, as_csv, as_table = (
            sql(settings, statement, *([option] if option else [])) for option in ("--json", "--csv", "")
        )
        assert [row["t"] for row in json.loads(as_json)] == ["a,0", "a,1"]
        assert as_csv.splitlines() == ["n,t", '0,"a,0"', '1,"a,1"']
        assert as_table.split()[:2] == ["n", "t"]
        assert "UNKNOWN_DATABASE" in refused(settings, 1, "sql", "SELECT 1")  # `evenpost`: no writer made it here


def sql(settings: Settings, statement: str, *options: str) -> str:
    """A statement in the engine's default database."""
    environment = {"EVENPOST_DATA_DIR": str(settings.data_dir), "EVENPOST_CLICKHOUSE__DATABASE": "default"}
    result = CliRunner().invoke(app, ["sql", statement, *options], env=environment)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_without_a_broker_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is set does not answer; or none is set and none runs."""
    monkeypatch.setattr(cluster, "REACH_S", 0.5)
    nowhere = Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1"))
    assert "kafka.bootstrap = '127.0.0.1:1'" in refused(nowhere, 1, "egress", "list")
    result = CliRunner().invoke(app, ["egress", "list"], env={"EVENPOST_DATA_DIR": str(tmp_path)})
    assert result.exit_code == 1 and "run `evenpost up` or set EVENPOST_KAFKA__BOOTSTRAP" in result.stderr


def test_topics_that_were_never_made_are_named(settings: Settings) -> None:
    """Another prefix is another deployment."""
    kafka = settings.kafka.model_copy(update={"prefix": "nobody."})
    other = settings.model_copy(update={"kafka": kafka})
    assert "'nobody.egress' does not exist; run `evenpost topics apply`" in refused(other, 1, "egress", "list")


def test_config_show_and_wrong_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Effective values with their origin; a wrong one is exit code 2."""
    told = {one["name"]: one for one in json.loads(done(settings, "config", "show", "--json"))}
    assert told["kafka.slots"] == {
        "name": "kafka.slots", "value": 4, "from": "environment", "variable": "EVENPOST_KAFKA__SLOTS",
    }  # fmt: skip
    result = CliRunner().invoke(app, ["config", "show"], env={"EVENPOST_SMTP__PORT": "x"})
    assert result.exit_code == 2 and "smtp.port = 'x'" in result.stderr
    monkeypatch.setenv("EVENPOST_CONFIG", "")  # --config sets it for the process: it must not outlive this test
    missing = CliRunner().invoke(app, ["--config", "/nowhere.toml", "config", "show"])
    assert missing.exit_code == 2 and "no such file" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("worker", "postman"), "no role 'postman'"),
        (("worker", "gate", "--member", "../x"), "--member '../x'"),
        (("sql", "SELECT 1", "--json", "--csv"), "choose one"),
        (("simulate-smtp", "--slow", "-1"), "slow_s = -1.0"),
        (("recipients", "load", "acme:x", "/nowhere.csv"), "/nowhere.csv"),
    ],
)
def test_what_can_not_be_meant_is_exit_code_2(settings: Settings, arguments: tuple[str, ...], words: str) -> None:
    """An option or a file that can't be meant is told before anything is done."""
    assert words in refused(settings, 2, *arguments)
