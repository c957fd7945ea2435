"""Records that confluent-kafka can't even be given: a value that is no bytes, a number that is no partition.

It says so by an ordinary exception, which reads like a defect of the caller's.  Who produces turns it into librdkafka's
own word for it, _INVALID_ARG: refused, now and whenever it is tried.  One thing it does not say: given a header's name
that is not UTF-8, it ends the process (2.16).  So names are looked at before.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaError

Headers = Mapping[str, bytes] | Sequence[tuple[str, bytes]]

# UnicodeEncodeError is a ValueError.
UNFIT: Final = (TypeError, ValueError, OverflowError)


def pairs(headers: Headers) -> list[tuple[str, str | bytes | None]]:
    """Headers as confluent-kafka takes them.  Raises one of UNFIT where a name is none."""
    found = list(headers.items() if isinstance(headers, Mapping) else headers)
    for name, _ in found:
        str.encode(name)
    return [*found]


def refusal(topic: str, error: Exception) -> KafkaError:
    """What librdkafka would say of such a record, had it been asked."""
    code = KafkaError._INVALID_ARG  # noqa: SLF001  # librdkafka's name for it
    return KafkaError(code, f"a record for {topic} can't be produced: {type(error).__name__}: {error}")
