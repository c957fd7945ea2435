"""A worker of no role: says that it is ready as agents do, tells what it was given, ends as its member's name says.

It lives until SIGTERM, or leaves its group at SIGUSR1.  A file `fail-<member>` beside the logs makes it end with 3 at
its start.
"""

import json
import os
import signal
import sys
from pathlib import Path

role, member = sys.argv[1], sys.argv[3]
data_dir = Path(os.environ["EVENPOST_DATA_DIR"])
if (data_dir / f"fail-{member}").exists():
    sys.stderr.write("the disk is on fire\n")
    sys.exit(3)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
health = {"pid": os.getpid(), "role": role, "health": "http://127.0.0.1:" + os.environ["EVENPOST_WORKER__HTTP_PORT"]}
(data_dir / "run" / f"{member}.health.json").write_text(json.dumps(health), encoding="utf-8")
told = {"pid": os.getpid(), "role": role, "ready": True, "bootstrap": os.environ["EVENPOST_KAFKA__BOOTSTRAP"]}
fresh = data_dir / "run" / f".{member}"
fresh.write_text(json.dumps(told), encoding="utf-8")
fresh.replace(data_dir / "run" / f"{member}.json")
if signal.sigwait({signal.SIGTERM, signal.SIGUSR1}) == signal.SIGUSR1:
    (data_dir / "run" / f"{member}.left").write_text(str(os.getpid()), encoding="ascii")
with (data_dir / "ended").open("a", encoding="utf-8") as ended:
    ended.write(f"{role}\n")
