"""The one dealer: what becomes of each recipient event, one gate partition at a time.

A recipient event goes through these rooms in order:

1. `decode`: the event, or what of it can be named; `address`: syntax; `origin`: one that sits at the wrong partition.
2. `verdict`: known? address? cancelled? expired? duplicate? suppressed? capped?  All that failed is named.  Pure.
3. `waiting`: what may not go yet (unknown campaign, pause, start, pace, no slot, retry), until `Desk.release`.
4. `slots`: which sending IP, by `streams.spread`, within the `quotas` of those that warm up; `outcomes`: the events
   that say so.
5. `sweep`: who was last written to so long ago that nothing of it counts any more is forgotten.

`desk.Desk` is the way in.  `person` and `waiting` are the tables, behind `state.State`.  Nothing here does I/O, reads a
clock or knows Kafka: the caller commits what a batch wrote and emitted in one transaction.
"""
