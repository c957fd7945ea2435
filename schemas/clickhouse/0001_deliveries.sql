-- What became of each recipient event, one row a delivery event.
--
-- Once, in two ways: a block that is inserted again with its token is dropped (deduplication window), and a sender that
-- says an event again after a crash repeats its event_id, which the engine collapses: read with FINAL.
CREATE TABLE IF NOT EXISTS {database}.deliveries
(
    event_id         String CODEC(ZSTD(1)) COMMENT 'The event: the same id is the same fact, however often it was said',
    send_id          String CODEC(ZSTD(1)) COMMENT 'The mail asked for: hash of tenant, campaign, recipient and dedup_key; empty if the event was too broken',
    tenant           LowCardinality(String) COMMENT 'Client of the pool',
    campaign_id      LowCardinality(String) COMMENT 'Campaign, unique within its tenant',
    recipient_id     String CODEC(ZSTD(1)) COMMENT 'The tenant''s own id of the person',
    kind             LowCardinality(String) COMMENT 'marketing or transactional',
    channel          LowCardinality(String) COMMENT 'mail, push or line',
    address_id       String CODEC(ZSTD(1)) COMMENT 'Keyed hash of the address, <key version>-<hex>; empty if there is no valid address',
    domain           LowCardinality(String) COMMENT 'Domain of the address, A-labels, lower case',
    provider         LowCardinality(String) COMMENT 'Mailbox provider that the domain belongs to, or other',
    pool             LowCardinality(String) COMMENT 'Pool of sending IPs; empty if not dealt',
    slot             Nullable(UInt16) COMMENT 'Sending IP, by its number in egress; NULL if not dealt',
    via              LowCardinality(String) COMMENT 'How the slot reaches the world (bind, smarthost); empty if not dealt',
    type             LowCardinality(String) COMMENT 'What happened: see docs/deliveries.md',
    final            Bool COMMENT 'Whether this is the outcome of the recipient event: exactly one is',
    class            LowCardinality(String) COMMENT 'Finer reason within type, such as unknown_user or greylisted',
    deal             UInt32 COMMENT 'How often this send had been dealt to an IP; 0 = never',
    attempt          UInt32 COMMENT 'SMTP transactions of this send so far',
    smtp_code        Nullable(UInt16) COMMENT 'Reply code (RFC 5321), NULL without a reply',
    enhanced_code    LowCardinality(String) COMMENT 'Enhanced status code (RFC 3463) of the reply, or empty',
    reply            String CODEC(ZSTD(1)) COMMENT 'The receiver''s words',
    rules            Array(Tuple(rule LowCardinality(String), value String, limit String, next_eligible Nullable(DateTime64(3, 'UTC')))) COMMENT 'Every rule that failed: value met, limit, and when the person is next eligible',
    at               DateTime64(3, 'UTC') COMMENT 'When it happened, UTC',
    queued_at        Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was dealt, UTC; NULL if not dealt',
    latency_ms       Nullable(Int64) COMMENT 'Milliseconds from queued_at to at',
    source_topic     LowCardinality(String) COMMENT 'Topic of the recipient event as upstream wrote it',
    source_partition UInt32 COMMENT 'Partition of the recipient event',
    source_offset    Int64 COMMENT 'Offset of the recipient event',
    kafka_topic      LowCardinality(String) COMMENT 'Topic this row was read from',
    kafka_partition  UInt32 COMMENT 'Partition this row was read from',
    kafka_offset     Int64 COMMENT 'Offset this row was read from'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
-- All of it follows from event_id, so equal ids meet; campaign first, as questions are asked by campaign.
ORDER BY (tenant, campaign_id, send_id, event_id)
-- Blocks a late writer may lag behind and still be recognised (DESIGN.md, G7).
SETTINGS non_replicated_deduplication_window = 100000
COMMENT 'Delivery events; SELECT … FROM deliveries FINAL counts each once';
