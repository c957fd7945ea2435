"""One partition's owner: who it is, what it decides, and how that becomes visible whole or not at all.

`ownership` makes owners · `partition_loop` is one that decides in transactions · `acks` one for a plain agent.
"""
