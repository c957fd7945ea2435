"""What an operator holds in hand: the CLI and what it starts."""
