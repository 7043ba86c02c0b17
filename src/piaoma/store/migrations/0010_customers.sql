-- What customers come back for: their list, links by mail, links to hand on, questions to the shop, proof of delivery.

-- The shelf (我的发票). shelf is a digest of a browser's secret and a month, so that a row can be found by that browser
-- alone, and two months of one browser cannot be told to belong together. Sharded by shelf, not by merchant: a list is
-- then found without asking any merchant.
CREATE TABLE shelves (
    shelf       TEXT NOT NULL,
    merchant_id BIGINT NOT NULL,
    number      TEXT NOT NULL,
    PRIMARY KEY (shelf, merchant_id, number)
);

-- Which invoices were mailed to an address, by a keyed digest of it: the address itself is purged. Sharded by address.
CREATE TABLE mailed (
    address     TEXT NOT NULL,
    merchant_id BIGINT NOT NULL,
    number      TEXT NOT NULL,
    sent_at_ms  BIGINT NOT NULL,
    PRIMARY KEY (address, merchant_id, number)
);

-- A link that brings the list of an address to another device. The secret is not here.
CREATE TABLE list_links (
    secret_hash   TEXT PRIMARY KEY,
    address       TEXT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);
CREATE INDEX list_links_of_address ON list_links (address, expires_at_ms);

-- That a mail's link was opened, and a file taken by it. No picture is counted: only our own pages know.
CREATE TABLE receipts (
    merchant_id      BIGINT NOT NULL,
    job_id           TEXT NOT NULL,
    opened_at_ms     BIGINT NOT NULL,
    downloaded_at_ms BIGINT,
    PRIMARY KEY (merchant_id, job_id)
);

-- A link to hand on (分享链接). The token is the sealed form of (merchant_id, share_id).
CREATE TABLE shares (
    merchant_id      BIGINT NOT NULL REFERENCES merchants (merchant_id),
    share_id         BIGINT NOT NULL CHECK (share_id BETWEEN 0 AND 1099511627775),
    number           TEXT NOT NULL,
    created_at_ms    BIGINT NOT NULL,
    expires_at_ms    BIGINT NOT NULL,
    revoked_at_ms    BIGINT,
    opened_at_ms     BIGINT,
    downloaded_at_ms BIGINT,
    PRIMARY KEY (merchant_id, share_id)
);
CREATE INDEX shares_of_invoice ON shares (merchant_id, number);

-- A customer's question about an invoice, and the shop's answer. contact is an e-mail address, purged like others.
CREATE TABLE questions (
    merchant_id    BIGINT NOT NULL REFERENCES merchants (merchant_id),
    question_id    BIGINT NOT NULL,
    number         TEXT NOT NULL,
    reason         TEXT NOT NULL,
    line           TEXT NOT NULL,
    contact        TEXT NOT NULL DEFAULT '',
    state          TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'answered')),
    answer         TEXT NOT NULL DEFAULT '',
    answered_by    TEXT NOT NULL DEFAULT '',
    asked_at_ms    BIGINT NOT NULL,
    answered_at_ms BIGINT,
    PRIMARY KEY (merchant_id, question_id),
    CHECK ((state = 'answered') = (answered_at_ms IS NOT NULL))
);
CREATE INDEX questions_of_invoice ON questions (merchant_id, number);
CREATE INDEX questions_open ON questions (merchant_id, asked_at_ms) WHERE state = 'open';
CREATE INDEX questions_contacts ON questions (asked_at_ms) WHERE contact <> '';

CREATE INDEX jobs_mails ON jobs (merchant_id, created_at_ms) WHERE kind = 'mail';
CREATE INDEX jobs_contacts ON jobs (created_at_ms) WHERE target <> '' AND state <> 'waiting';
