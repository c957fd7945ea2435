"""Who sends next: even dealing over the sending IPs, providers, pace and the leases it rests on.

`dealing` gives each IP its weighted share within a bound that holds in any window, `check` proves it from outside.
`weights` says what share that is from all that is said of an IP, `warmup` what a new one may send, `warmup_ledger`
which days are to be said.  `providers` names the mailbox provider of a domain, `pace` spends a leased rate, `leases`
grants it.
"""
