"""The names that mail is dealt and shaped under: the list's, the roll-up's, the deployment's own, and `mx:HOST`."""

import difflib

from streams.delivery.rollup import BY_HOST, is_named
from streams.operate.errors import UnknownThingError
from streams.runtime.settings import Settings
from streams.spread.providers import PROVIDERS


def check_provider(settings: Settings, name: str) -> None:
    """Raise UnknownThingError for a name that no mail is dealt under."""
    known = PROVIDERS | set(settings.providers.values())
    if name not in known and not name.startswith(BY_HOST) and not is_named(name):
        near = difflib.get_close_matches(name, known, n=1)
        words = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
        raise UnknownThingError(f"no provider {name!r}; {words}")
