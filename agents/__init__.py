"""Thin loops: decode, call streams/, emit. No decision lives here."""
