"""`evenpost bench warmup`: two new IPs join sixteen warm ones, and thirty days pass on a virtual clock.

`plan` says what the days bring, `days` lets them pass: the gate's dealers and quotas, the ledger and the weights are
the ones that run in production, on tables in memory.  `audit` judges what was dealt from a list of its own, `picture`
draws it.
"""
