"""`evenpost chaos edge`: senders, warehouse and broker are killed in the middle of mail; the receiver says what came.

`scene` is the world and `people` who is in it, with the only ends that each event may have · `plan` draws the blows ·
`stage` starts the receiver and says what runs a member · `upstream` keeps mail coming, suppresses, pauses and drains ·
`victims` does the blows · `following` counts ends while they come · `witnesses` reads Kafka, ClickHouse and the
receiver's logs afterwards · `causes` finds which blow ended a connection, and what each duplicate and each doubt came
from · `checks` judges (R1 to R7), with `known` for what the journal knew · `report` shows it · `run` puts all together.
"""
