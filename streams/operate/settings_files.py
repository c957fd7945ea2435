"""What the settings name, read once before anything starts: a mistake is one line here, and not in a log.

Each role reads its own again when it starts, and ends with the same words.
"""

from collections.abc import Iterable

from streams.control import loading
from streams.control.errors import RuleFault
from streams.delivery import shaping
from streams.delivery.errors import ShapingFileError
from streams.delivery.routes import nameservers
from streams.operate.errors import UsageFault
from streams.runtime.settings import Settings


def check(settings: Settings, roles: Iterable[str]) -> None:
    """Read what workers of these roles will read.  Raises UsageFault."""
    try:
        if "control" in roles:
            loading.load(settings.control.automation)
        if "sender" in roles:
            shaping.load(settings.smtp.shaping)
            nameservers(settings.dns.servers)
    except (RuleFault, ShapingFileError, ValueError) as error:
        raise UsageFault(str(error)) from error
