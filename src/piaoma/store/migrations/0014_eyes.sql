-- What an owner and his accountant look at: attempts that failed, findings, month's confirmation, quota, payments.

-- Attempts to issue that were refused, by the rules or by the channel: why and when, of which code; nobody's title.
-- Kept for a month.
CREATE TABLE failures (
    merchant_id BIGINT NOT NULL,
    failure_id  TEXT NOT NULL,
    at_ms       BIGINT NOT NULL,
    cause       TEXT NOT NULL,
    code_id     BIGINT,
    total_fen   BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, failure_id)
);
CREATE INDEX failures_by_time ON failures (merchant_id, at_ms);
CREATE INDEX failures_old ON failures (at_ms);

-- Which invoices of a day one browser confirmed: a keyed digest that is another for each merchant and day, kept for two
-- days. A code's holder cannot be linked to another code's, so nothing else tells that a phone collects titles.
CREATE TABLE device_days (
    merchant_id BIGINT NOT NULL,
    number      TEXT NOT NULL,
    device      TEXT NOT NULL,
    at_ms       BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, number)
);
CREATE INDEX device_days_old ON device_days (at_ms);

-- Findings (异常) of the rules in anomalies/: one row however often it is found. told_at_ms is when it was mailed.
CREATE TABLE findings (
    merchant_id  BIGINT NOT NULL REFERENCES merchants (merchant_id),
    finding_id   TEXT NOT NULL,
    rule         TEXT NOT NULL,
    figures      TEXT NOT NULL,
    numbers      TEXT NOT NULL,
    invoices     BIGINT NOT NULL,
    state        TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'seen', 'explained')),
    note         TEXT NOT NULL DEFAULT '',
    marked_by    TEXT NOT NULL DEFAULT '',
    marked_at_ms BIGINT,
    found_at_ms  BIGINT NOT NULL,
    told_at_ms   BIGINT,
    PRIMARY KEY (merchant_id, finding_id),
    CHECK ((state = 'open') = (marked_at_ms IS NULL)),
    CHECK (state <> 'explained' OR note <> '')
);
CREATE INDEX findings_by_time ON findings (merchant_id, found_at_ms);
CREATE INDEX findings_open ON findings (merchant_id) WHERE state = 'open';
CREATE INDEX findings_untold ON findings (merchant_id) WHERE told_at_ms IS NULL;

-- A merchant's thresholds, and how he wants to be told; who never changed them has no row.
CREATE TABLE watching (
    merchant_id BIGINT PRIMARY KEY REFERENCES merchants (merchant_id),
    thresholds  TEXT NOT NULL,
    alerts      TEXT NOT NULL CHECK (alerts IN ('off', 'daily', 'at_once')),
    told_on     TEXT NOT NULL DEFAULT ''
);

-- 汇总确认: the sums of a month as they were confirmed towards the authority. A month whose invoices changed afterwards
-- is confirmed again, and the trail keeps both.
CREATE TABLE month_confirmations (
    merchant_id     BIGINT NOT NULL REFERENCES merchants (merchant_id),
    month           TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('submitted', 'confirmed')),
    sums            TEXT NOT NULL,
    confirmed_by    TEXT NOT NULL,
    confirmed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, month)
);

-- Requests for more quota (额度调整申请): submitted and unknown until the authority has answered.
CREATE TABLE quota_requests (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    serial        TEXT NOT NULL,
    month         TEXT NOT NULL,
    extra_fen     BIGINT NOT NULL CHECK (extra_fen > 0),
    reason        TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('submitted', 'unknown', 'pending', 'granted', 'refused')),
    granted_fen   BIGINT NOT NULL DEFAULT 0,
    answer        TEXT NOT NULL DEFAULT '',
    made_by       TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, serial)
);
CREATE UNIQUE INDEX quota_requests_open ON quota_requests (merchant_id)
    WHERE state IN ('submitted', 'unknown', 'pending');

-- Till and payment files (流水). content is there only until its columns are known; digest keeps a file from coming twice.
CREATE TABLE payment_files (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    file_id       TEXT NOT NULL,
    name          TEXT NOT NULL,
    digest        TEXT NOT NULL,
    head          TEXT NOT NULL,
    content       BYTEA,
    payments      BIGINT NOT NULL DEFAULT 0,
    known         BIGINT NOT NULL DEFAULT 0,
    skipped       BIGINT NOT NULL DEFAULT 0,
    made_by       TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    matched_at_ms BIGINT,
    PRIMARY KEY (merchant_id, file_id),
    UNIQUE (merchant_id, digest)
);

-- One payment: payment_id is its order number with its sign, or what it says when it has none, so none comes twice.
CREATE TABLE payments (
    merchant_id  BIGINT NOT NULL,
    payment_id   TEXT NOT NULL,
    file_id      TEXT NOT NULL,
    place        BIGINT NOT NULL,
    order_number TEXT NOT NULL,
    paid_at_ms   BIGINT NOT NULL,
    amount_fen   BIGINT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('matched', 'waiting', 'missing', 'double', 'differing')),
    number       TEXT,
    others       TEXT NOT NULL DEFAULT '',
    code_id      BIGINT,
    PRIMARY KEY (merchant_id, payment_id)
);
CREATE INDEX payments_of_file ON payments (merchant_id, file_id, place);
CREATE INDEX payments_of_invoice ON payments (merchant_id, number) WHERE number IS NOT NULL;

-- Which column of a file with such a head is what, as somebody said once.
CREATE TABLE payment_columns (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    head        TEXT NOT NULL,
    columns     TEXT NOT NULL,
    PRIMARY KEY (merchant_id, head)
);

-- An auditor's access ends by itself.
ALTER TABLE memberships ADD COLUMN until_ms BIGINT;
ALTER TABLE challenges ADD COLUMN access_days BIGINT;

-- The board counts mails by their state; with all that it asks for in the index no job is read.
DROP INDEX jobs_mails;
CREATE INDEX jobs_mails ON jobs (merchant_id, created_at_ms, number, state) WHERE kind = 'mail';
