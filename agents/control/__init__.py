"""CONTROL: one owner (the member that holds `campaigns`' only partition) that tells the dealers what holds.

role.py      the worker: reads upstream's word, runs the duties while it is the active one
unreadable.py  what upstream wrote and no view can read: a dead letter, once
duty.py      what a duty looks like, and its rounds
word.py      how a duty publishes
contents.py  duty: each campaign's content, compiled or refused
leasing.py   duty: what each gate partition may spend
automation.py  duty: what follows from deliveries: incidents, controls that end by themselves, volumes
  counting.py    what it has while it is active: its reader, its counts, what it has yet to say
  told_before.py what it told before, read back by whoever takes over

What fences it is its group: `campaigns` has one partition, so one member is active.  One that did not run for its
session's time (SIGSTOP, a hung host) does nothing before it has heard the group again.  What is left is a turn that was
under way when it stopped: each duty must bear that one such turn ends late, beside its successor's.
"""

from agents.control.role import run

__all__ = ["run"]
