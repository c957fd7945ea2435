"""What comes back: bounces, complaints, unsubscribes, and the suppressions that they cause."""
