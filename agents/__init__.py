"""The roles: thin loops that decode, ask `streams` what to do, and emit.  No decision lives here.

`python -m agents ROLE` runs one; `evenpost worker ROLE` is the same.
"""
