"""The workers of a run without DKIM: `python -m streams.operate.bench.pipeline.unsigned ROLE --member NAME`.

The product itself refuses to send unsigned mail, so a sender's keys are exchanged here for one that signs nothing.
Nothing but this bench may run it.  All else, and every other role, is as agents/__main__.py has it.
"""

import sys
from collections.abc import Sequence
from typing import Final

from agents.__main__ import main
from schemas.events import DkimKey
from streams.compose.dkim import Field, KeyRing, Signer

PROGRAM: Final = (sys.executable, "-P", "-m", "streams.operate.bench.pipeline.unsigned")


class _Nothing(Signer):
    """Signs nothing."""

    def sign(self, fields: Sequence[Field], body: bytes, *, at: int) -> bytes:  # noqa: ARG002  # as the signer's
        return b""


def _signers(_: KeyRing, domain: str, keys: Sequence[DkimKey]) -> tuple[Signer, ...]:
    return tuple(_Nothing(domain, key.selector, None) for key in keys)  # type: ignore[arg-type]  # no key is used


if __name__ == "__main__":
    KeyRing.signers = _signers  # type: ignore[method-assign,assignment]  # see above
    main()
