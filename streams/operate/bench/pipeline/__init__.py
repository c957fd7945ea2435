"""`evenpost bench pipeline`: what one message costs from its event to ClickHouse, as a share of its RSA signature.

`scene` is what is sent, made from numbers · `stage` the settings and what must be declared · `signing` is the measure:
what OpenSSL can sign on this machine, just before and just after · `unsigned` the workers of a run without DKIM ·
`work` takes the time and the CPU while the events become mail · `profile` looks into the processes meanwhile · `audit`
reads the results aside · `run` goes through it · `verdict` judges · `report` shows.
"""
