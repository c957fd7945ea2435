"""One slot of a sender: its owner, and what the owner rests on.

owner.py      takes the slot, works it, gives it up, takes it anew after a fence
inbox.py      the sends that are not committed
recovery.py   what the journal says to who takes the slot
session.py    the slot while it is ours: one send after another to its end, in one open transaction
shaping.py    whose limits hold for a send, and what the slot may do there now
holding.py    what may not go now: held for seconds, or sent back
saying.py     what it says of each: intent, outcome and effects, suppression, dead letter
standing.py   how far it is, for a checkpoint
under_way.py  attempts, which outlive a session
"""
