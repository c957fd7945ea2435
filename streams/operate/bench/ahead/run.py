"""The bench from its first process to its last: a sink, Kafka, ClickHouse and every role, as the pipeline's bench."""

from pathlib import Path
from typing import Final

import msgspec

from schemas import ids
from schemas.topics import CAMPAIGNS, EGRESS, TENANTS
from streams.operate.bench import mailing, sink
from streams.operate.bench.ahead import scene
from streams.operate.bench.ahead.work import Plan, Worked, work
from streams.operate.bench.pipeline import stage
from streams.operate.bench.pipeline.scene import SLOTS
from streams.operate.chaos.watching import Watcher
from streams.operate.proof.receiving import make_key
from streams.operate.up import Fleet
from streams.runtime.cluster import Publisher

READY_S: Final = 120.0


class Benched(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured."""

    planned: Plan
    sink: sink.Kind
    worked: Worked
    restarts: int


def bench(folder: Path, watcher: Watcher, planned: Plan) -> Benched:
    """Run it in this folder.  Raises FleetError, RuntimeFault or EmbeddedError, with nothing left running."""
    make_key(folder / mailing.KEY_FILE)
    with sink.receiving(folder) as receiver:
        watcher.phase("starting")
        with Fleet(stage.settings(folder, sink_port=receiver.port), say=watcher.note) as fleet:
            fleet.wait_ready(READY_S)
            watcher.phase("declaring tenant, IPs, campaigns")
            campaigns = list(scene.campaigns())
            with Publisher(fleet.settings, client_id="evenpost-bench") as publisher:
                for slot in mailing.egress(SLOTS):
                    publisher.send(EGRESS, str(slot.slot), slot)
                publisher.send(TENANTS, mailing.TENANT, mailing.tenant())
                for one in campaigns:
                    publisher.send(CAMPAIGNS, ids.campaign_key(one.tenant, one.campaign_id), one)
            stage.wait_taken_in(fleet.settings, campaigns=len(campaigns), requests=0)
            worked = work(fleet.settings, receiver, watcher, planned)
            restarts = sum(member.restarts for member in fleet.status())
            watcher.phase("stopping")
    return Benched(planned=planned, sink=sink.kind(), worked=worked, restarts=restarts)
