-- Corrections (更正): red forms, red invoices and what they take back, 换开 and the merchant's rules for it.

-- A red invoice names the blue one that it corrects; the new invoice of a 换开 names the old one that it replaces.
-- taken_fen is what red invoices took back of a blue one, tax-inclusive. quota_fen is what an invoice takes of its
-- month's quota: its amount, and of a red one nothing, or less when the installation gives quota back.
ALTER TABLE invoices ADD COLUMN corrects TEXT;
ALTER TABLE invoices ADD COLUMN replaces TEXT;
ALTER TABLE invoices ADD COLUMN taken_fen BIGINT NOT NULL DEFAULT 0;
ALTER TABLE invoices ADD COLUMN quota_fen BIGINT NOT NULL DEFAULT 0;
UPDATE invoices SET quota_fen = amount_fen;
CREATE INDEX invoices_correcting ON invoices (merchant_id, corrects) WHERE corrects IS NOT NULL;
CREATE UNIQUE INDEX invoices_replacing ON invoices (merchant_id, replaces) WHERE replaces IS NOT NULL;

-- What each red invoice takes back of each item of its blue one; written with its issue, also while the outcome of that
-- is open, and gone when it is refused. Amounts are negative.
CREATE TABLE red_lines (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    blue_number TEXT NOT NULL,
    issue_key   TEXT NOT NULL,
    place       BIGINT NOT NULL,
    amount_fen  BIGINT NOT NULL CHECK (amount_fen <= 0),
    tax_fen     BIGINT NOT NULL CHECK (tax_fen <= 0),
    PRIMARY KEY (merchant_id, blue_number, issue_key, place)
);

-- A red form (红字信息确认单) belongs to the seller's merchant; the buyer finds it by his taxpayer id. Its state is the
-- platform's number, or: submitted, unknown (the platform's answer is open), refused (it never came to be).
CREATE TABLE red_forms (
    merchant_id      BIGINT NOT NULL REFERENCES merchants (merchant_id),
    form_id          TEXT NOT NULL,
    blue_number      TEXT NOT NULL,
    buyer_id         TEXT NOT NULL,
    raised_by        TEXT NOT NULL CHECK (raised_by IN ('seller', 'buyer')),
    made_by          TEXT NOT NULL,
    state            TEXT NOT NULL CHECK (state IN ('submitted', 'unknown', 'refused', '01', '02', '03', '04', '05',
                                                    '06', '07', '08', '09', '10', '11', '12', '13')),
    form_number      TEXT NOT NULL DEFAULT '',
    reason           TEXT NOT NULL,
    used             BIGINT NOT NULL,
    lines            TEXT NOT NULL,
    total_fen        BIGINT NOT NULL CHECK (total_fen < 0),
    then_issue       BIGINT NOT NULL,
    issue_key        TEXT,
    refusal          TEXT,
    created_at_ms    BIGINT NOT NULL,
    confirm_until_ms BIGINT,
    changed_at_ms    BIGINT NOT NULL,
    next_query_at_ms BIGINT,
    attempts         BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, form_id),
    CHECK (state IN ('submitted', 'unknown', 'refused') OR form_number <> ''),
    CHECK (state NOT IN ('submitted', 'unknown', '02', '03') OR next_query_at_ms IS NOT NULL),
    CHECK (issue_key IS NULL OR state IN ('01', '04'))
);
CREATE INDEX red_forms_of_invoice ON red_forms (merchant_id, blue_number);
CREATE INDEX red_forms_by_time ON red_forms (merchant_id, created_at_ms);
CREATE INDEX red_forms_by_buyer ON red_forms (buyer_id, created_at_ms) WHERE buyer_id <> '';
CREATE INDEX red_forms_due ON red_forms (next_query_at_ms) WHERE next_query_at_ms IS NOT NULL;

-- 换开: the old invoice taken back as a whole and issued anew with another title, as one thing that goes on by itself.
-- buyer and email are the new title and where it is sent; email is emptied when the matter is closed.
CREATE TABLE reissues (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    reissue_id    TEXT NOT NULL,
    blue_number   TEXT NOT NULL,
    code_id       BIGINT,
    started_by    TEXT NOT NULL CHECK (started_by IN ('customer', 'merchant')),
    made_by       TEXT NOT NULL,
    buyer         TEXT NOT NULL,
    email         TEXT NOT NULL DEFAULT '',
    state         TEXT NOT NULL CHECK (state IN ('asked', 'working', 'confirming', 'red', 'done', 'declined', 'failed')),
    red_number    TEXT,
    new_number    TEXT,
    refusal       TEXT,
    attempts      BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    next_at_ms    BIGINT,
    PRIMARY KEY (merchant_id, reissue_id),
    CHECK (state NOT IN ('working', 'confirming', 'red') OR next_at_ms IS NOT NULL),
    CHECK ((state = 'done') = (new_number IS NOT NULL)),
    CHECK (state NOT IN ('red', 'done') OR red_number IS NOT NULL)
);
CREATE UNIQUE INDEX reissues_of_invoice ON reissues (merchant_id, blue_number) WHERE state NOT IN ('declined', 'failed');
CREATE INDEX reissues_by_time ON reissues (merchant_id, created_at_ms);
CREATE INDEX reissues_of_code ON reissues (merchant_id, code_id) WHERE code_id IS NOT NULL;
CREATE INDEX reissues_due ON reissues (next_at_ms) WHERE next_at_ms IS NOT NULL;

CREATE TABLE reissue_rules (
    merchant_id BIGINT PRIMARY KEY REFERENCES merchants (merchant_id),
    mode        TEXT NOT NULL CHECK (mode IN ('auto', 'approve', 'off')),
    days        BIGINT NOT NULL CHECK (days BETWEEN 1 AND 365),
    times       BIGINT NOT NULL CHECK (times BETWEEN 1 AND 9)
);
