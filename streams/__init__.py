"""What happens to a message, in the order of its way, one room a concern.

runtime (what everything stands on) · views (what the world looks like) · gate (may it go?) · spread (by which IP?)
· compose (what are its bytes?) · delivery (how does it get there?) · feedback (what came back?) · control (what follows
from it?) · warehouse (who can ask?) · operate (who runs it?).
"""
