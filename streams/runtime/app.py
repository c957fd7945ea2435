"""The Faust app of a role, set up so that what FAUST.md warns of can't happen.

Topics are raw bytes and `acks=False`: offsets are the ledger's.  No web server, no topic declared by Faust, no table
of Faust's: state lives in `streams.runtime.state.tables`.
"""

from collections.abc import Callable
from typing import Any

import faust
from yarl import URL

from streams.runtime.settings import Settings
from streams.runtime.state.local_state import held_on_disk
from streams.runtime.transport import EvenpostTransport, Ledger
from streams.runtime.transport.assignor import CoPartitionedAssignor
from streams.runtime.transport.raw import RawSchema
from streams.runtime.transport.resuming import EvenpostTables

# How many records one poll hands over; bounds what a rebalance throws away (FAUST.md 21).  A poll takes some turns of
# the event loop, a busy sender's turn 0.2 s, and aiokafka asks for no partition's news before it is rid of what it has:
# a poll takes all of one fetch (8 slots of 500), or transactional sends wait unseen behind marketing's.
MAX_POLL_RECORDS = 4_000
# Records pass through Faust's streams into the owners' inboxes, which have limits of their own: no poll may fill them.
STREAM_BUFFER = 4 * MAX_POLL_RECORDS
COMMIT_INTERVAL_S = 1.0
# A member learns of a rebalance by the answer to its next heartbeat: others wait for the slowest.  Costs nothing, and
# the shortest session (6 s) has six of them, where the group protocol advises three.
HEARTBEAT_S = 1.0


class EvenpostApp(faust.App):
    """A Faust app that knows our settings and its ledger."""

    settings: Settings
    member: str
    ledger: Ledger
    # Told, in aiokafka's thread, that another process joined the group under this member's name.
    on_member_taken: Callable[[], None]
    # Who gets which partition (aiokafka's group protocol).
    group_assignor: CoPartitionedAssignor

    def _new_transport(self) -> EvenpostTransport:
        return EvenpostTransport(self.conf.broker_consumer, self, loop=self.loop)

    def source(self, name: str) -> Any:
        """A declared topic as a source of raw records."""
        return self.topic(self.settings.topic(name), schema=RawSchema(), acks=False)


def make_app(role: str, settings: Settings, *, member: str) -> EvenpostApp:
    """An app whose consumer group is the role's, and in which this worker is the member of that name."""
    kafka = settings.kafka
    datadir = settings.data_dir / "faust" / role
    datadir.mkdir(parents=True, exist_ok=True)  # Faust makes the last folder only (FAUST.md 11)
    app = EvenpostApp(
        f"{kafka.prefix}{role}",
        broker=[URL(f"aiokafka://{server}") for server in str(kafka.bootstrap).split(",")],
        store="memory://",
        TableManager=EvenpostTables,
        datadir=str(datadir),
        value_serializer="raw",
        key_serializer="raw",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=STREAM_BUFFER,
        broker_commit_interval=COMMIT_INTERVAL_S,
        broker_session_timeout=kafka.session_timeout_s,
        broker_rebalance_timeout=kafka.session_timeout_s * 2,
        broker_heartbeat_interval=HEARTBEAT_S,
        broker_max_poll_records=MAX_POLL_RECORDS,
        broker_credentials=None,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=member if settings.worker.static_membership else None,
    )
    app.settings = settings
    app.member = member
    app.on_member_taken = lambda: None
    app.ledger = Ledger()
    app.group_assignor = CoPartitionedAssignor(member=member, held=held_on_disk(settings, member))
    return app
