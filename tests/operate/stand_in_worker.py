"""A worker of no role: says that it is ready as agents do, tells what it was given, ends as its member's name says.

`steady` lives until SIGTERM.  A file `fail-<member>` beside the logs makes it end with 3 at its start.
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
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
told = {"pid": os.getpid(), "role": role, "ready": True, "bootstrap": os.environ["EVENPOST_KAFKA__BOOTSTRAP"]}
fresh = data_dir / "run" / f".{member}"
fresh.write_text(json.dumps(told), encoding="utf-8")
fresh.replace(data_dir / "run" / f"{member}.json")
signal.sigwait({signal.SIGTERM})
with (data_dir / "ended").open("a", encoding="utf-8") as ended:
    ended.write(f"{role}\n")
