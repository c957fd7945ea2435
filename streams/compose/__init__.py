"""From a campaign and a send to the bytes on the wire.

1. `compile`: a campaign becomes immutable `Content`, or is refused with a reason (once, by CONTROL, at activation).
2. `message`: a `Composer` per content version fills in one person's variables and builds the MIME message.
3. `dkim`: signs it.  `tokens`: the return path and unsubscribe link that tell us later whom it was for.
"""
