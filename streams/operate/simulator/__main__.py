"""`python -m streams.operate.simulator`: the simulator without the rest of Evenpost's commands."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from streams.operate.simulator import SimulatorError, SimulatorSettings, outcomes, run

_EXAMPLE = """\
example:
  python -m streams.operate.simulator --port 2525 --dns-port 5353 --log sim.jsonl --keep-every 100 --keep-dir kept
  swaks --server 127.0.0.1:2525 --to greylist-1@example.org      # 450 4.7.1, the next time 250

which address gets which answer:
"""


def _dns_port(text: str) -> int | None:
    if text != "none" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a port nor 'none'")
    return None if text == "none" else int(text)


def _parser() -> argparse.ArgumentParser:
    table = "\n".join(line for line in (outcomes.__doc__ or "").splitlines() if line.startswith("|"))
    parser = argparse.ArgumentParser(
        prog="simulate-smtp",
        description="An SMTP server whose answers the recipient's address chooses; DNS beside it; a log of everything.",
        epilog=_EXAMPLE + table,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = {field.name: field.default for field in fields(SimulatorSettings)}
    default |= {"pace": [], "block": []}
    add = parser.add_argument
    add("--host", help="address to listen on (%(default)s)")
    add("--port", type=int, help="SMTP port, 0 = a free one (%(default)s)")
    add("--dns-port", type=_dns_port, metavar="PORT", help="DNS port, UDP and TCP; 'none' = no DNS (%(default)s)")
    add("--mx-address", metavar="IPV4", help="address of every MX host in its DNS (%(default)s)")
    add("--log", type=Path, metavar="FILE", help="log of what was accepted and refused, appended to (%(default)s)")
    add("--connections", type=Path, metavar="FILE", help="log of connections, each at its end; none unless named")
    add("--stall-s", type=float, metavar="SECONDS", help="delay of `stall` addresses' replies (%(default)s)")
    add("--slow-s", type=float, metavar="SECONDS", help="delay of `slow` addresses (%(default)s)")
    add("--pace", action="append", metavar="DOMAIN=RATE", help="451 above so many recipients a second; or LOW..HIGH")
    add("--block", action="append", metavar="DOMAIN=CLIENT", help="450 for this address or EHLO name")
    add("--seed", type=int, help="draws the rates (%(default)s)")
    add("--keep-every", type=int, metavar="K", help="keep each K-th accepted message whole; 0 = none (%(default)s)")
    add("--keep-dir", type=Path, metavar="DIR", help="where, as <sha256>.eml (%(default)s)")
    add("--txt", type=Path, metavar="FILE", help="JSON of TXT records by name, for DKIM keys")
    add("--ready-file", type=Path, metavar="FILE", help="written when listening: smtp_port, dns_port, paces, pid")
    add("--tls-cert", type=Path, metavar="PEM", help="offer STARTTLS with this certificate")
    add("--tls-key", type=Path, metavar="PEM", help="its key, when not in the same file")
    parser.set_defaults(**default)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Parse, serve, and give the exit code."""
    parser = _parser()
    try:
        given = vars(parser.parse_args(arguments))
        settings = SimulatorSettings(**given | {"pace": tuple(given["pace"]), "block": tuple(given["block"])})
    except SimulatorError as error:
        parser.error(str(error))
    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
