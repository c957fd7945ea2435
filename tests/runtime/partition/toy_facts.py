"""A worker that is stopped (SIGSTOP) with a fact in hand: run as a program by test_facts."""

import asyncio
import os
import signal
import sys
import time

from streams.runtime.errors import TransactionAbortedError
from streams.runtime.partition.facts import Facts, producer_of_facts
from streams.runtime.partition.transactions import Record
from streams.runtime.settings import KafkaSettings


async def main(bootstrap: str, topic: str, session_s: float) -> int:
    """Hand a fact over and stop; 0 where it was given up after that."""
    producer = producer_of_facts(KafkaSettings(bootstrap=bootstrap, session_timeout_s=session_s), client_id="toy")
    facts = Facts(producer, topics=frozenset({topic}), session_timeout_s=session_s)
    # When `write` waits for the first time the fact is in librdkafka's hands, which has no connection yet.
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGSTOP)
    try:
        await facts.write([Record(topic=topic, key=b"k", value=b"old")], asked=time.monotonic())
    except TransactionAbortedError:
        return 0
    finally:
        producer.close()
    return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]))))
