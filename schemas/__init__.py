"""The contract: every event, key, id and topic of Evenpost, declared once.

`events` holds the structs, `topics` the topics that carry them, `ids` the keys and hashes that tie them
together.  `generate` writes JSON Schema and AsyncAPI 3 from them; `compatibility` refuses a change that would
break a reader of yesterday's events.  Nothing here does I/O or knows a client library's consumer.
"""
