"""`evenpost bench spread`: is what the gates deal even, by a count aside, while workers die and IPs come and go?

`scene` is the world: IPs, tenants, campaigns; `people` whom they write to; `plan` what is done to the gates, and when ·
`stage` the settings and what must be declared; CONTROL's part is played here, since the spread is measured, not the
credit · `run` goes through it with real gates on a real Kafka · `evidence` reads the sends topics · `audit` holds them
against the weights that were declared · `beside` deals the same mail at random, and by a dealer that forgets: the audit
must refuse both · `speed` times the dealer alone · `verdict` judges · `report` shows.
"""
