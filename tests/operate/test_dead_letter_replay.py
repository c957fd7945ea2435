"""Dead letters written back to a real broker: the same bytes, each once, whatever happens meanwhile."""

from __future__ import annotations

import json
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from typer.testing import CliRunner

from schemas import ids, topics
from streams.operate.cli import app
from streams.operate.dead_letter_list import newest, newest_of_all
from streams.operate.dead_letter_policy import Policy
from streams.operate.dead_letter_replay import WRITER, choose, replay
from streams.operate.errors import RefusedError
from streams.runtime import cluster
from streams.runtime.cluster import read_all
from streams.runtime.dead_letters import DeadLetter
from streams.runtime.errors import OpenTransactionError
from streams.runtime.exclusive import ExclusiveWriter
from streams.runtime.settings import KafkaSettings, Settings
from tests.runtime.builders import read, until

pytestmark = pytest.mark.integration

ANY = Policy()


@pytest.fixture(scope="module")
def broker(kafka_bootstrap: str) -> str:
    """The session's broker."""
    return kafka_bootstrap


@pytest.fixture
def settings(broker: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment of its own, with just the topics that are looked at."""
    kafka = KafkaSettings(bootstrap=broker, prefix=topic_prefix, gate_partitions=4)
    settings = Settings(data_dir=tmp_path, kafka=kafka)
    admin = AdminClient({"bootstrap.servers": broker})
    made = [
        NewTopic(settings.topic(topic.name), topic.partitions(gate=4, slots=1))
        for topic in (topics.DEAD_LETTERS, topics.RECIPIENTS_MARKETING)
    ]
    for done in admin.create_topics(made).values():
        done.result(30)
    return settings


def letter(offset: int, *, key: bytes | None = b"acme:u1", value: bytes = b"{", **fields: Any) -> DeadLetter:
    """A letter about an event of recipients.marketing."""
    given: dict[str, Any] = {"role": "gate", "topic": "recipients.marketing", "partition": 3, "reason": "malformed"}
    return DeadLetter(**given | fields, offset=offset, key=key, value=value)


def bury(settings: Settings, *letters: DeadLetter, partition: int = -1) -> None:
    """Write letters as a role does."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap, "partitioner": "murmur2_random"})
    for one in letters:
        producer.produce(
            settings.topic("dead-letters"), one.kept_value(), one.kept_key(), headers=one.headers(), partition=partition
        )
    assert producer.flush(30) == 0


def records(settings: Settings) -> list[tuple[int, bytes | None, bytes | None]]:
    """What a reader of committed records finds: partition, key, value."""
    return sorted((one.partition() or 0, one.key(), one.value()) for one in read(settings, "recipients.marketing"))


def arrived(settings: Settings, count: int) -> list[tuple[int, bytes | None, bytes | None]]:
    """The records, once there are so many: a broker marks a transaction's partitions after it answered."""
    until(lambda: len(records(settings)) >= count, f"{count} record(s)")
    return records(settings)


def listed(settings: Settings, *offsets: int) -> None:
    """Wait until the list shows letters of just these events."""
    until(lambda: {one["offset"] for one in newest(settings, 10)} == set(offsets), f"{offsets} listed")


def test_a_letter_goes_back_as_it_was_and_once(settings: Settings) -> None:
    """Same bytes and key, placed by key, with where it stood; a second run sends nothing, and the list hides it."""
    bury(settings, letter(12, value=b'\xff{"a":1}'), letter(13, key=None, value=b"unkeyed"))
    chosen, result = replay(settings, ANY)
    assert (len(chosen.letters), result.written) == (2, 2)
    home = ids.partition_for(b"acme:u1", 4)
    expected = [(home, b"acme:u1", b'\xff{"a":1}'), (3, None, b"unkeyed")]
    assert arrived(settings, 2) == sorted(expected, key=lambda one: one[0])
    headers = {key: value for one in read(settings, "recipients.marketing") for key, value in one.headers() or ()}
    assert headers["evenpost-replayed"] in {b"recipients.marketing/3/12", b"recipients.marketing/3/13"}
    listed(settings)
    assert {one["offset"] for one in newest_of_all(settings, 10) if one["replayed"]} == {12, 13}
    chosen, result = replay(settings, ANY)
    assert (len(chosen.letters), chosen.done, result.written) == (0, 2, 0)
    assert len(records(settings)) == 2


def test_oldest_first_and_no_more_than_asked_for(settings: Settings) -> None:
    """A limit takes the oldest; the next run goes on behind them."""
    for offset in range(5):
        bury(settings, letter(offset, value=b"%d" % offset))
    replay(settings, ANY, limit=2)
    assert [value for _, _, value in arrived(settings, 2)] == [b"0", b"1"]
    replay(settings, ANY, limit=2)
    assert [value for _, _, value in arrived(settings, 4)] == [b"0", b"1", b"2", b"3"]


def test_what_may_not_go_stays_and_is_told(settings: Settings) -> None:
    """Sends and campaigns have their reason; the rest flows on."""
    bury(settings, letter(1), letter(2, topic="sends.marketing"), letter(3, topic="campaigns"), letter(4, topic="odd"))
    chosen, result = replay(settings, ANY)
    assert result.written == 1
    told = {group["topic"]: group["obstacle"] for group in chosen.groups()}
    assert told["recipients.marketing"] is None
    assert "final outcome" in told["sends.marketing"]
    assert "last word" in told["campaigns"]
    assert "no topic" in told["odd"]
    listed(settings, 2, 3, 4)


def test_a_replay_that_was_shut_out_writes_nothing(settings: Settings) -> None:
    """Two at once: the later one shuts the earlier out, whose batch leaves no trace; each letter still goes once."""
    bury(settings, letter(1))

    def another_begins(_: object) -> bool:
        assert replay(settings, ANY)[1].written == 1
        return True

    with pytest.raises(RefusedError, match="another `dead-letters replay`"):
        replay(settings, ANY, agreed=another_begins)
    assert len(arrived(settings, 1)) == 1


def test_a_replay_that_died_half_way_leaves_nothing(settings: Settings) -> None:
    """What it wrote without its commit is neither there nor marked: the next run sends it."""
    bury(settings, letter(1))
    dead = ExclusiveWriter(settings, WRITER).__enter__()
    dead._producer._producer.begin_transaction()
    dead._producer._producer.produce(settings.topic("recipients.marketing"), b"half")
    dead._producer._producer.flush(10)
    assert replay(settings, ANY)[1].written == 1
    assert [value for _, _, value in arrived(settings, 1)] == [b"{"]


def test_an_open_transaction_hides_no_letter_and_no_marker(settings: Settings) -> None:
    """A gate's open transaction on dead-letters: the replay waits for its end, and then knows all there is."""
    bury(settings, letter(1, value=b"old"), partition=0)
    gate = Producer({"bootstrap.servers": settings.kafka.bootstrap, "transactional.id": f"gate-{uuid.uuid4().hex}"})
    gate.init_transactions(30)
    gate.begin_transaction()
    late = letter(2, value=b"late")
    gate.produce(settings.topic("dead-letters"), late.kept_value(), headers=late.headers(), partition=0)
    gate.flush(10)
    bury(settings, letter(3, value=b"behind"), partition=0)
    ending = threading.Timer(1.0, gate.commit_transaction)
    ending.start()
    _, result = replay(settings, ANY)
    ending.join()
    assert result.written == 3
    assert sorted(value for _, _, value in arrived(settings, 3)) == [b"behind", b"late", b"old"]


def test_a_transaction_that_stays_open_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands behind it is not known, so nothing is sent: a letter may have its mark there."""
    monkeypatch.setattr(cluster, "_SILENCE_S", 1.0)
    bury(settings, letter(1), partition=0)
    role = Producer({"bootstrap.servers": settings.kafka.bootstrap, "transactional.id": f"role-{uuid.uuid4().hex}"})
    role.init_transactions(30)
    role.begin_transaction()
    role.produce(settings.topic("dead-letters"), b"open", partition=0)
    role.flush(10)
    with pytest.raises(OpenTransactionError, match=r"partition\(s\) 0: .*find-hanging"):
        replay(settings, ANY)
    role.abort_transaction(10)
    assert replay(settings, ANY)[1].written == 1


def test_one_letter_that_the_broker_refuses_holds_up_no_other(settings: Settings) -> None:
    """It stood in a partition that is no more: it stays a letter, and is counted."""
    bury(settings, letter(1), letter(2, key=None, partition=99), letter(3, value=b"third"))
    _, result = replay(settings, ANY)
    assert result.written == 2
    assert [one.source_offset for one in result.not_taken] == [2]
    listed(settings, 2)


def test_replayed_letters_do_not_crowd_out_the_list(settings: Settings) -> None:
    """The newest that were not replayed are found behind any number of replayed ones."""
    bury(settings, letter(0, topic="campaigns"), partition=0)
    bury(settings, *(letter(offset) for offset in range(1, 30)), partition=0)
    replay(settings, ANY)
    until(lambda: [one["topic"] for one in newest(settings, 1)] == ["campaigns"], "the one that is left")


def command(settings: Settings, *arguments: str, answer: str | None = None) -> Any:
    """`evenpost dead-letters` in this deployment."""
    environment = {
        "EVENPOST_DATA_DIR": str(settings.data_dir),
        "EVENPOST_KAFKA__BOOTSTRAP": str(settings.kafka.bootstrap),
        "EVENPOST_KAFKA__PREFIX": settings.kafka.prefix,
    }
    return CliRunner().invoke(app, ["dead-letters", *arguments], env=environment, input=answer)


def test_the_command_shows_asks_and_reports(settings: Settings) -> None:
    """A dry run sends nothing; no is no; --yes and --json are for machines."""
    bury(settings, letter(1), letter(2, reason="internal error"), letter(3, topic="sends.marketing"))
    shown = command(settings, "replay", "--dry-run", "--json")
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["letters"] == 2
    refused = command(settings, "replay", answer="n\n")
    assert refused.exit_code == 1
    assert "Replay 2 dead letter(s)?" in refused.stderr
    assert records(settings) == []
    done = command(settings, "replay", "--reason", "internal", "--topic", "recipients.marketing", "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) | {"groups": None} == {
        "letters": 1, "replayed_before": 0, "replayed": 1, "not_taken": 0, "groups": None,
    }  # fmt: skip
    assert len(arrived(settings, 1)) == 1
    listed(settings, 1, 3)
    told = json.loads(command(settings, "list", "--all", "--json").stdout)
    assert {one["offset"] for one in told if one["replayed"]} == {2}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--topic", "recipients"), "no such topic"), (("--since", "yesterday"), "--since 'yesterday'")],
)
def test_what_can_not_be_meant_is_told(settings: Settings, arguments: tuple[str, ...], words: str) -> None:
    """With exit code 2, and before anything is read."""
    result = command(settings, "replay", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_markers_are_records_of_the_letters_own_partition(settings: Settings) -> None:
    """Behind their letter in one log: retention deletes no marker before its letter."""
    bury(settings, *(letter(offset, key=b"k%d" % offset) for offset in range(8)))
    replay(settings, ANY)
    records = list(read_all(settings, topics.DEAD_LETTERS))
    markers = {
        (one.partition, int(one.headers["replayed"])): one.offset for one in records if "replayed" in one.headers
    }
    letters = {(one.partition, one.offset) for one in records if "replayed" not in one.headers}
    assert markers.keys() == letters
    assert all(behind > offset for (_, offset), behind in markers.items())
    assert choose(settings, ANY).done == 8
