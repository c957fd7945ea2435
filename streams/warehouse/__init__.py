"""Who can ask: deliveries become rows of ClickHouse, each once, and views that answer the usual questions.

migrations (the tables) · rows (bytes to columns) · writer (blocks, each once) · query (an analyst's statement).
"""
