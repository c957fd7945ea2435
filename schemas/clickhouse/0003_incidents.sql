-- What automation, surge detection and the tenants' fuse fired, one row an incident.
--
-- Once, as deliveries are: by block, and by incident_id where CONTROL wrote one again after a crash: read with FINAL.
CREATE TABLE IF NOT EXISTS {database}.incidents
(
    incident_id     String CODEC(ZSTD(1)) COMMENT 'The incident: the same id is the same firing',
    rule            LowCardinality(String) COMMENT 'What fired: a rule of automation.toml, surge, surge-coming, tenant-bounces or tenant-complaints',
    scope           LowCardinality(String) COMMENT 'What key names: slot, slot/provider, tenant, tenant/provider, campaign or provider',
    key             String CODEC(ZSTD(1)) COMMENT 'Whom it is about, such as 3/gmail or acme:autumn',
    action          LowCardinality(String) COMMENT 'What was done: slow_down, suspend, deal_elsewhere, pause_campaign, pause_tenant, or flag for nothing',
    value           String CODEC(ZSTD(1)) COMMENT 'What was seen',
    limit           String CODEC(ZSTD(1)) COMMENT 'What it was compared with',
    evidence        Array(String) CODEC(ZSTD(1)) COMMENT 'The last replies, without addresses, or the figures',
    coming          Bool COMMENT 'Whether it was seen before the mail went',
    at              DateTime64(3, 'UTC') COMMENT 'When it fired, UTC',
    until           Nullable(DateTime64(3, 'UTC')) COMMENT 'When what was done ends by itself, UTC; NULL if nothing was',
    kafka_topic     LowCardinality(String) COMMENT 'Topic this row was read from',
    kafka_partition UInt32 COMMENT 'Partition this row was read from',
    kafka_offset    Int64 COMMENT 'Offset this row was read from'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (scope, key, rule, incident_id)
-- As of deliveries (DESIGN.md, G7).
SETTINGS non_replicated_deduplication_window = 100000
COMMENT 'Incidents; SELECT … FROM incidents FINAL counts each once';
