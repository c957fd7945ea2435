"""`evenpost chaos runtime`: workers and broker are killed, stopped, added and removed, and nothing may come of it.

`plan` draws what is done · `events` is the input and what a worker makes of it · `worker` is the process tormented ·
`crew` starts and ends processes · `rounds` does what the plan says · `upstream` keeps events coming · `sampler` asks
the broker for offsets all the while · `evidence` reads everything aside afterwards · `checks` and `figures` judge ·
`run` puts them together, `screen` and `report` show it.
"""
