"""`evenpost chaos runtime`: the runtime's workers and broker are tormented, and no event's effect may change.

`plan` says what is done · `events` is the input and what a worker makes of it · `worker` and `plain` are the processes
tormented, started by `member` · `rounds` does what the plan says · `upstream` keeps events coming · `evidence` reads
everything aside afterwards · `checks` and `figures` judge · `run` puts them together, `report` shows it.
"""
