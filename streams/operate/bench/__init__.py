"""`evenpost bench`: what the runtime costs, measured beside stock Faust in the same run, and checked for being right.

`workloads` says what is measured · `events` is the input and what a right run makes of it ·
`stage` is the broker and its topics · `side` is one measured process: `stock_faust` or `hardened`, counted by `meter` ·
`audit` reads the results from Kafka aside · `run` goes through the rounds · `latency` measures the way of one event ·
`verdict` judges · `report` shows.  `state…` are the bench of views and tables with millions of entries.
"""
