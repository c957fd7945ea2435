"""A warehouse writer in a process of its own: `python -m tests.warehouse.victim PATH insert|recover`.

`insert` says `inserting`, then inserts one large block that falls into many parts, and says `inserted`.  `recover` does
what the next owner does, and says rows, distinct rows, rows expected, and rows there before.
"""

import sys
from datetime import timedelta

from streams.runtime.points import Points
from streams.warehouse.writer import Writer
from tests.warehouse.builders import START, answer, block, delivery, migrated

# 60 parts (months) of a hundred rows each: long enough to be met in the middle, quick enough to test.
MONTHS = 60
ROWS = 6_000
DATABASE = "killed"


def main(path: str, mode: str) -> None:
    """Run one life of the writer."""
    month = timedelta(days=31)
    planned = block(delivery(source, at=START + month * (source % MONTHS)) for source in range(ROWS))
    client = migrated(f"chdb://{path}", DATABASE)
    (before,) = answer(client, "SELECT count() AS n FROM deliveries")
    if mode == "insert":
        sys.stdout.write("inserting\n")
        sys.stdout.flush()
        Writer(client, DATABASE, points=Points.from_environment()).insert(planned)
        sys.stdout.write("inserted\n")
        return
    Writer(client, DATABASE).recover(planned)
    (after,) = answer(client, "SELECT count() AS n, uniqExact(kafka_offset) AS u FROM deliveries")
    sys.stdout.write(f"{after['n']} {after['u']} {ROWS} {before['n']}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
