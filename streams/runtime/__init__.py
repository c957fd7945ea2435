"""What the rooms run on: settings, Kafka, ClickHouse, processes, clock."""
