"""One measured process: `python -m streams.operate.bench.side TASK RESULT`, settings by the environment.

TASK is JSON (`workloads.Task`); what it measured goes to the file RESULT, which is there only when all of it is.
"""

import os
import sys
from pathlib import Path

import msgspec
import structlog
import uvloop

from streams.operate.bench import processes
from streams.operate.bench.meter import Meter
from streams.operate.bench.workloads import Task
from streams.runtime import logs
from streams.runtime.partition.slices import SWITCH_S
from streams.runtime.settings import Settings

log = structlog.get_logger(__name__)


def main() -> None:
    """Measure, write the result, end."""
    task = msgspec.json.decode(sys.argv[1], type=Task)
    logs.configure("WARNING")
    settings = Settings()
    if task.side != "stock":  # as the roles that decide run (agents/gate.py); stock's producer has no thread to wait
        sys.setswitchinterval(SWITCH_S)
    code = 1
    try:
        uvloop.new_event_loop().run_until_complete(_measure(task, settings))
        code = 0
    except Exception:
        log.exception("not measured")
    sys.stderr.flush()
    os._exit(code)  # some of Faust's tasks and threads outlive its stop; all that counts is written


async def _measure(task: Task, settings: Settings) -> None:
    if task.side == "stock":
        from streams.operate.bench.stock_faust import run
    else:
        from streams.operate.bench.hardened import run
    meter = Meter(task)
    await run(task, settings, meter)
    processes.tell(Path(sys.argv[2]), meter.measured())


if __name__ == "__main__":
    main()
