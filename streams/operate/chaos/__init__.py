"""`evenpost chaos …`: processes are killed, stopped, added and removed, and nothing may come of it.

What any run needs: `blows` draws what is done and in which order · `crew` starts and ends processes · `sampler` asks
the broker for offsets all the while · `tally` keeps numbers through a kill · `commits` and `checks` judge what holds
of any run · `watching` and `screen` show it while it goes on.

`runtime/` torments the runtime.  A sibling of it says its own kinds of blows, input, evidence and checks.
"""
