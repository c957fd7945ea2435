"""The simulator's memory on disk: what it accepted and what it refused, one JSON line each.

It is the independent oracle of demos and tests, so: an accepted message's line is in the file before its 250 leaves,
and kill -9 of either side changes nothing.  It holds recipients' addresses: that is its purpose.  Never aim real
campaigns at it.

1. `record` puts a line into the batch; `flush` writes the batch with one system call, before the replies are sent.
2. Each K-th accepted message is kept whole as `<sha256>.eml`, byte for byte as it came, for checks of its signature.
3. `read_log` reads the file back, also while it grows: a last line without its newline is not there yet.
"""

import os
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from streams.operate.simulator.errors import BadFileError, LogLostError
from streams.operate.simulator.lines import entries, opened

ACCEPTED: Final = 250
DROPPED: Final = 0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One message; without size and digests one refused recipient, or a message that was not read whole.

    `peer` and `port` are where the connection came from: the sending slot's IP, and the sender's local port.
    `unsigned_sha256` is the digest of the message without its DKIM-Signature fields: of a message that is sent twice it
    is the same.  `code` is the reply's; 250 also where the reply was withheld (`dropafter`, a `stall` that nobody
    waited for), 0 for a connection dropped before the dot.  `subject` is as it came, RFC 2047 encoded.
    """

    at: datetime
    peer: str
    port: int = 0
    helo: str
    mail_from: str
    rcpt_to: tuple[str, ...]
    message_id: str | None = None
    subject: str | None = None
    size: int = 0
    sha256: str | None = None
    unsigned_sha256: str | None = None
    code: int
    outcome: str

    @property
    def accepted(self) -> bool:
        """Whether the simulator took the message."""
        return self.code == ACCEPTED


class MessageLog:
    """Appends to `path`; counts what it wrote: `accepted` and `octets` of messages, `refused` by outcome."""

    def __init__(self, path: Path, *, keep_every: int = 0, keep_dir: Path | None = None) -> None:
        self.accepted = 0
        self.octets = 0
        self.refused: Counter[str] = Counter()
        self._path = path
        self._batch: list[bytes] = []
        self._encode = msgspec.json.Encoder().encode
        self._keep_every = keep_every if keep_dir else 0
        self._keep_dir = keep_dir or path.parent
        self._file = opened(path, "log")
        if self._keep_every:
            try:
                self._keep_dir.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BadFileError("log", self._keep_dir, error.strerror or str(error)) from error

    def record(self, entry: Entry, data: bytes = b"") -> None:
        """Put the line into the batch, and keep the message whole when its turn is.  Raises LogLostError."""
        if not entry.accepted:
            self.refused[entry.outcome] += 1
        else:
            self.accepted += 1
            self.octets += entry.size
            if self._keep_every and self.accepted % self._keep_every == 0:
                self._keep(f"{entry.sha256}.eml", data)
        self._batch.append(self._encode(entry))

    def _keep(self, name: str, data: bytes) -> None:
        try:
            (self._keep_dir / name).write_bytes(data)
        except OSError as error:
            raise LogLostError(self._keep_dir, error.strerror or str(error)) from error

    def flush(self) -> None:
        """Write the batch.  Raises LogLostError: nothing of the batch may be acknowledged then."""
        if not self._batch:
            return
        left = memoryview(b"\n".join((*self._batch, b"")))
        self._batch.clear()
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            raise LogLostError(self._path, error.strerror or str(error)) from error

    def close(self) -> None:
        """Let go of the file; the batch is empty whenever the event loop is idle."""
        os.close(self._file)


def read_log(path: Path) -> Iterator[Entry]:
    """Each entry in the order written.  Raises LogBrokenError on a whole line that is none."""
    return entries(path, Entry)
