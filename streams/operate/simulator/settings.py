"""What a simulator is told at its start."""

import ipaddress
import math
from dataclasses import dataclass
from pathlib import Path

from streams.operate.simulator.doors import Doors
from streams.operate.simulator.errors import BadSettingError

_MAX_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class SimulatorSettings:
    """Where to listen, what to record, how to behave.  Port 0 = a free one, told in the ready file.

    `dns_port` None = no DNS server; `mx_address` is what it says every MX host's address is.  `slow_s` and `stall_s`
    in seconds, `max_size` in octets.  `connections` is where ended connections are written down, if anywhere.
    `pace` and `block` are receivers' own limits (doors.py), `seed` what is drawn of them.
    With `keep_every` K, each K-th accepted message goes to `keep_dir/<sha256>.eml`.
    Raises BadSettingError.
    """

    host: str = "127.0.0.1"
    port: int = 0
    dns_port: int | None = 0
    mx_address: str = "127.0.0.1"
    log: Path = Path("simulator.jsonl")
    connections: Path | None = None
    slow_s: float = 0.3
    stall_s: float = 3.0
    pace: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    seed: int = 0
    keep_every: int = 0
    keep_dir: Path = Path("simulator-kept")
    txt: Path | None = None
    ready_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    hostname: str = "simulator.example"
    max_size: int = 25 * 1024 * 1024

    def __post_init__(self) -> None:
        for name, port in (("port", self.port), ("dns_port", self.dns_port or 0)):
            if not 0 <= port <= _MAX_PORT:
                raise BadSettingError(name, port, f"0 (a free one) to {_MAX_PORT}")
        for name, number in (("slow_s", self.slow_s), ("stall_s", self.stall_s), ("keep_every", self.keep_every)):
            if not (math.isfinite(number) and number >= 0):
                raise BadSettingError(name, number, "0 or more")
        try:
            ipaddress.IPv4Address(self.mx_address)
        except ValueError as error:
            raise BadSettingError("mx_address", self.mx_address, "an IPv4 address") from error
        Doors.read(self.pace, self.block, seed=self.seed)
