"""`evenpost bench sender`: what a sender does a second, and what its journal costs of that.

`mailing` is what is sent, made from numbers · `scene` puts it into Kafka · `sink` is the receiver ·
`sides` says what is compared, `side` is the process of the one that is no product · `clock` takes the time, `page`
reads what the sender tells of itself · `audit` reads the results aside · `run` goes through the rounds · `verdict`
judges · `report` shows.
"""
