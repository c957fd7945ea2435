-- The questions that everybody asks. Views read deliveries FINAL, so that nothing counts twice; filter them by
-- tenant and campaign_id to read only that campaign.

CREATE OR REPLACE VIEW {database}.campaign_funnel
(
    tenant      LowCardinality(String) COMMENT 'Client of the pool',
    campaign_id LowCardinality(String) COMMENT 'Campaign',
    kind        LowCardinality(String) COMMENT 'marketing or transactional',
    events      UInt64 COMMENT 'Recipient events that the warehouse has heard of',
    accepted    UInt64 COMMENT 'Final: the receiver took responsibility',
    bounced     UInt64 COMMENT 'Final: the receiver refused for good',
    expired     UInt64 COMMENT 'Final: not delivered in time',
    suppressed  UInt64 COMMENT 'Final: on a suppression list',
    capped      UInt64 COMMENT 'Final: the person had enough mail of this class',
    duplicate   UInt64 COMMENT 'Final: asked for before',
    invalid     UInt64 COMMENT 'Final: the event or address can''t be sent',
    rejected    UInt64 COMMENT 'Final: refused by us',
    cancelled   UInt64 COMMENT 'Final: the campaign was cancelled',
    uncertain   UInt64 COMMENT 'Final: nobody knows',
    waiting     UInt64 COMMENT 'Without a final outcome; last heard of in the waiting room',
    deferred    UInt64 COMMENT 'Without a final outcome; last heard of deferred by the receiver',
    accept_rate Nullable(Float64) COMMENT 'accepted / (accepted + bounced + expired + uncertain)',
    bounce_rate Nullable(Float64) COMMENT 'bounced / (accepted + bounced + expired + uncertain)',
    first_at    DateTime64(3, 'UTC') COMMENT 'First event, UTC',
    last_at     DateTime64(3, 'UTC') COMMENT 'Last event, UTC'
)
AS
WITH sources AS
(
    SELECT
        tenant,
        campaign_id,
        any(kind) AS kind,
        -- One each; should there be two (conservation would say so), the first counts here.
        argMinIf(type, at, final) AS outcome,
        -- What came after a final outcome (an open, a complaint) is no state of the recipient event.
        argMaxIf(type, (at, deal, attempt), type IN ('waiting', 'deferred')) AS state,
        min(at) AS first_at,
        max(at) AS last_at
    FROM {database}.deliveries FINAL
    GROUP BY tenant, campaign_id, source_topic, source_partition, source_offset
)
SELECT
    tenant,
    campaign_id,
    any(s.kind) AS kind,
    count() AS events,
    countIf(outcome = 'accepted') AS accepted,
    countIf(outcome = 'bounced') AS bounced,
    countIf(outcome = 'expired') AS expired,
    countIf(outcome = 'suppressed') AS suppressed,
    countIf(outcome = 'capped') AS capped,
    countIf(outcome = 'duplicate') AS duplicate,
    countIf(outcome = 'invalid') AS invalid,
    countIf(outcome = 'rejected') AS rejected,
    countIf(outcome = 'cancelled') AS cancelled,
    countIf(outcome = 'uncertain') AS uncertain,
    countIf(outcome = '' AND state = 'waiting') AS waiting,
    countIf(outcome = '' AND state = 'deferred') AS deferred,
    accepted / nullIf(accepted + bounced + expired + uncertain, 0) AS accept_rate,
    bounced / nullIf(accepted + bounced + expired + uncertain, 0) AS bounce_rate,
    min(s.first_at) AS first_at,
    max(s.last_at) AS last_at
FROM sources AS s
GROUP BY tenant, campaign_id
COMMENT 'Per campaign: how its recipient events ended, and what is still under way';

CREATE OR REPLACE VIEW {database}.spread
(
    pool           LowCardinality(String) COMMENT 'Pool of sending IPs',
    provider       LowCardinality(String) COMMENT 'Mailbox provider',
    slot           UInt16 COMMENT 'Sending IP, by its number in egress',
    dealt          UInt64 COMMENT 'Dealings (send_id, deal) that its sender has reported on',
    accepted       UInt64 COMMENT 'Of them accepted',
    bounced        UInt64 COMMENT 'Of them bounced',
    deferred       UInt64 COMMENT 'Of them deferred',
    share          Nullable(Float64) COMMENT 'Part of the provider''s dealings in the pool that this IP had',
    expected_share Float64 COMMENT 'The same under equal weights: 1 / IPs of the pool that were ever used',
    deviation      Float64 COMMENT 'dealt minus the expected number of dealings'
)
AS
WITH
    sends AS
    (
        SELECT pool, provider, assumeNotNull(slot) AS slot, send_id, deal, type
        FROM {database}.deliveries FINAL
        WHERE slot IS NOT NULL AND deal > 0
    ),
    slots AS (SELECT DISTINCT pool, slot FROM sends),
    providers AS (SELECT DISTINCT pool, provider FROM sends),
    counted AS
    (
        SELECT
            pool,
            provider,
            slot,
            uniqExact(send_id, deal) AS dealt,
            -- One event of a type a dealing: its event_id is made of them.
            countIf(type = 'accepted') AS accepted,
            countIf(type = 'bounced') AS bounced,
            countIf(type = 'deferred') AS deferred
        FROM sends
        GROUP BY pool, provider, slot
    )
SELECT
    p.pool AS pool,
    p.provider AS provider,
    s.slot AS slot,
    -- An IP that had none of a provider is a row too: it is what this view is asked for.
    c.dealt AS dealt,
    c.accepted AS accepted,
    c.bounced AS bounced,
    c.deferred AS deferred,
    dealt / nullIf(sum(c.dealt) OVER (PARTITION BY p.pool, p.provider), 0) AS share,
    1 / count() OVER (PARTITION BY p.pool, p.provider) AS expected_share,
    dealt - sum(c.dealt) OVER (PARTITION BY p.pool, p.provider) * expected_share AS deviation
FROM providers AS p
INNER JOIN slots AS s ON s.pool = p.pool
LEFT JOIN counted AS c ON c.pool = p.pool AND c.provider = p.provider AND c.slot = s.slot
SETTINGS join_use_nulls = 0
COMMENT 'Per pool, provider and sending IP: how evenly mail was dealt';

CREATE OR REPLACE VIEW {database}.conservation
(
    tenant               LowCardinality(String) COMMENT 'Client of the pool',
    campaign_id          LowCardinality(String) COMMENT 'Campaign',
    sources              UInt64 COMMENT 'Recipient events that the warehouse has heard of, by their original coordinates',
    finals               UInt64 COMMENT 'Final outcomes',
    more_than_one_final  UInt64 COMMENT 'Recipient events with more than one final outcome: always 0, or something is wrong',
    without_final        UInt64 COMMENT 'Recipient events without a final outcome: in flight or waiting',
    exact                Bool COMMENT 'Each recipient event heard of has exactly one final outcome'
)
AS
WITH per_source AS
(
    SELECT tenant, campaign_id, countIf(final) AS outcomes
    FROM {database}.deliveries FINAL
    GROUP BY tenant, campaign_id, source_topic, source_partition, source_offset
)
SELECT
    tenant,
    campaign_id,
    count() AS sources,
    sum(outcomes) AS finals,
    countIf(outcomes > 1) AS more_than_one_final,
    countIf(outcomes = 0) AS without_final,
    more_than_one_final = 0 AND without_final = 0 AS exact
FROM per_source
GROUP BY tenant, campaign_id
COMMENT 'Per campaign: does each recipient event have exactly one final outcome? Compare sources with Kafka''s own count';

CREATE OR REPLACE VIEW {database}.reply_classes
(
    provider      LowCardinality(String) COMMENT 'Mailbox provider',
    type          LowCardinality(String) COMMENT 'What the reply meant: accepted, bounced, deferred, …',
    class         LowCardinality(String) COMMENT 'Finer reason',
    smtp_code     Nullable(UInt16) COMMENT 'Reply code (RFC 5321)',
    enhanced_code LowCardinality(String) COMMENT 'Enhanced status code (RFC 3463), or empty',
    events        UInt64 COMMENT 'Replies of this kind',
    slots         UInt64 COMMENT 'Sending IPs that met it',
    last_at       DateTime64(3, 'UTC') COMMENT 'Last time, UTC',
    last_reply    String COMMENT 'The receiver''s words, the last time'
)
AS
SELECT
    provider,
    type,
    class,
    smtp_code,
    enhanced_code,
    count() AS events,
    uniqExact(slot) AS slots,
    max(at) AS last_at,
    argMax(reply, at) AS last_reply
FROM {database}.deliveries FINAL
WHERE attempt > 0
GROUP BY provider, type, class, smtp_code, enhanced_code
COMMENT 'Per provider: what receivers answered, by how we classified it';
