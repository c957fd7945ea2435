"""What a worker keeps: replicated views of compacted topics, and the tables of its partitions, on RocksDB."""
