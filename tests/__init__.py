"""Tests mirror the tree; support/ has the servers and builders they share."""
