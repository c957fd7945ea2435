"""`evenpost demo`: three tenants, six campaigns, a simulated receiver, and a report that proves itself.

- `scene`: who sends what to which domains   `plan`: each event and the outcome that it must come to, from a seed
- `stage`: folder, keys, settings, the simulator   `upstream`: the events, as upstream systems would write them
- `run`: the demo from start to stop   `watch`: how far it is   `screen`: that, as a picture or as lines
- `evidence`: what Kafka, ClickHouse and the simulator say afterwards   `signatures`: DKIM verified by others
- `checks`: the evidence against the plan and against itself   `figures`: rate, latency   `report`: all of it to read
"""
