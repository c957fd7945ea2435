"""What can go wrong with the warehouse; the words are meant for the user.

WarehouseError
├── BadDatabaseNameError    a database's name that is no plain identifier
├── MigrationChangedError   a migration was edited after it was applied
├── SqlUnreachableError     nothing answers on the SQL port
└── StatementRefusedError   ClickHouse refused the statement: carries its code and words
"""

__all__ = [
    "BadDatabaseNameError",
    "MigrationChangedError",
    "SqlUnreachableError",
    "StatementRefusedError",
    "WarehouseError",
]


class WarehouseError(Exception):
    """Base of this package's errors."""


class BadDatabaseNameError(WarehouseError, ValueError):
    """The name can't stand in a statement as it is."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"clickhouse.database {name!r} is no database name: take letters, digits and '_', not a digit first"
        )


class MigrationChangedError(WarehouseError):
    """What the database has and what the file says are no longer the same."""

    def __init__(self, name: str, database: str) -> None:
        self.name = name
        super().__init__(
            f"Migration {name} was edited after it was applied to {database}. Restore it, and put the change into a "
            "migration of its own with the next number."
        )


class SqlUnreachableError(WarehouseError, ConnectionError):
    """Nobody answers SQL there."""

    def __init__(self, address: str, reason: str) -> None:
        self.address = address
        super().__init__(
            f"Nothing answers SQL on {address} ({reason}). Start `evenpost up` or `evenpost worker warehouse`, or name "
            "another server by EVENPOST_CLICKHOUSE__DSN."
        )


class StatementRefusedError(WarehouseError):
    """ClickHouse's own words, without the stack of its exceptions."""

    def __init__(self, reason: str, *, code: int | None) -> None:
        self.code = code
        super().__init__(reason)
