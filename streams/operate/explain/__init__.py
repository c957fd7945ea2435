"""`evenpost explain`: why something is as it is, put together from what is written down.

`send_rows` and `send_records` fetch what ClickHouse and Kafka hold of one send; `send_story` puts it in the order of
time.  `egress_limits` says what holds for one sending IP at one provider.
"""
