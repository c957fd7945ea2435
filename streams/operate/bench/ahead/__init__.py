"""`evenpost bench latency`: how soon a transactional mail is accepted while 100,000 marketing mails wait.

`scene` says what is asked for, `work` asks and times, `run` has it all from its first process to its last, `verdict`
judges, `report` shows.
"""
