-- The issuing page: goods found by what people type, the buyer book, drafts, codes that change before they are issued,
-- what customers ask to have changed, and sheets of sales.

ALTER TABLE goods ADD COLUMN initials TEXT NOT NULL DEFAULT '';
ALTER TABLE goods ADD COLUMN own_code TEXT NOT NULL DEFAULT '';
CREATE INDEX goods_by_use ON goods (merchant_id, used_at_ms);
CREATE INDEX goods_by_own_code ON goods (merchant_id, own_code) WHERE own_code <> '';
CREATE INDEX goods_by_name ON goods (merchant_id, name);

-- no_special: the tax authority opened no 专票 to this merchant. special_requests: customers may ask for one.
ALTER TABLE merchants ADD COLUMN no_special BIGINT NOT NULL DEFAULT 0;
ALTER TABLE merchants ADD COLUMN special_requests BIGINT NOT NULL DEFAULT 0;

-- own_number is the merchant's order number (自有单号). A code is changed until somebody claims it; each change is a
-- version, and only the newest can be confirmed.
ALTER TABLE codes ADD COLUMN own_number TEXT NOT NULL DEFAULT '';
ALTER TABLE codes ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE codes ADD COLUMN former_offer TEXT;
CREATE INDEX codes_by_own_number ON codes (merchant_id, own_number) WHERE own_number <> '';
ALTER TABLE invoices ADD COLUMN own_number TEXT NOT NULL DEFAULT '';

-- The buyer book (客户资料): companies alone, from issued invoices and by hand. Persons are not kept.
CREATE TABLE buyers (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    buyer_id    BIGINT NOT NULL,
    name        TEXT NOT NULL,
    taxpayer_id TEXT NOT NULL DEFAULT '',
    address     TEXT NOT NULL DEFAULT '',
    phone       TEXT NOT NULL DEFAULT '',
    bank        TEXT NOT NULL DEFAULT '',
    account     TEXT NOT NULL DEFAULT '',
    email       TEXT NOT NULL DEFAULT '',
    initials    TEXT NOT NULL DEFAULT '',
    by_hand     BIGINT NOT NULL DEFAULT 0,
    used_at_ms  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, buyer_id),
    UNIQUE (merchant_id, name, taxpayer_id)
);
CREATE INDEX buyers_by_use ON buyers (merchant_id, used_at_ms);
CREATE TABLE buyers_cursor (leaf BIGINT NOT NULL);
INSERT INTO buyers_cursor (leaf) VALUES (0);

-- What somebody has typed and not issued yet (草稿). It is his own, and goes when it is used.
CREATE TABLE drafts (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    draft_id      TEXT NOT NULL,
    person_id     BIGINT NOT NULL,
    version       BIGINT NOT NULL,
    device        TEXT NOT NULL DEFAULT '',
    summary       TEXT NOT NULL DEFAULT '',
    form          TEXT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, draft_id)
);
CREATE INDEX drafts_of_person ON drafts (merchant_id, person_id, changed_at_ms);

-- What a customer asks to have changed of a code before it is issued: another title, a 专票 in place of a 普票.
CREATE TABLE code_requests (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    code_id       BIGINT NOT NULL,
    request_id    BIGINT NOT NULL,
    version       BIGINT NOT NULL,
    kind          TEXT NOT NULL,
    buyer         TEXT NOT NULL,
    line          TEXT NOT NULL DEFAULT '',
    device        TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('waiting', 'accepted', 'refused')),
    reason        TEXT NOT NULL DEFAULT '',
    asked_at_ms   BIGINT NOT NULL,
    decided_at_ms BIGINT,
    PRIMARY KEY (merchant_id, code_id, request_id),
    CHECK ((state = 'waiting') = (decided_at_ms IS NULL))
);
CREATE INDEX code_requests_waiting ON code_requests (merchant_id, asked_at_ms) WHERE state = 'waiting';

-- A customer of a static code may ask for a 专票 (01), where the shop takes such wishes.
ALTER TABLE applications ADD COLUMN kind TEXT NOT NULL DEFAULT '02';

-- A sheet of sales (批量开票). Each of its sales has a key of its own, so that none is issued twice, however often the
-- sheet or a mended copy of it comes.
CREATE TABLE batches (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    batch_id      TEXT NOT NULL,
    file_name     TEXT NOT NULL,
    mode          TEXT NOT NULL CHECK (mode IN ('code', 'issue')),
    state         TEXT NOT NULL CHECK (state IN ('checked', 'running', 'done', 'stopped')),
    made_by       TEXT NOT NULL,
    person_id     BIGINT,
    shop_id       BIGINT,
    till_id       BIGINT,
    head          TEXT NOT NULL,
    beat_at_ms    BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, batch_id)
);
CREATE INDEX batches_by_time ON batches (merchant_id, created_at_ms);
CREATE INDEX batches_running ON batches (beat_at_ms) WHERE state = 'running';
CREATE TABLE batch_rows (
    merchant_id BIGINT NOT NULL,
    batch_id    TEXT NOT NULL,
    place       BIGINT NOT NULL,
    row_key     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('bad', 'waiting', 'done', 'twice', 'refused', 'open')),
    cells       TEXT NOT NULL,
    sale        TEXT NOT NULL DEFAULT '',
    buyer_name  TEXT NOT NULL DEFAULT '',
    total_fen   BIGINT NOT NULL DEFAULT 0,
    email       TEXT NOT NULL DEFAULT '',
    refusal     TEXT,
    code_id     BIGINT,
    number      TEXT,
    PRIMARY KEY (merchant_id, batch_id, place)
);
CREATE INDEX batch_rows_by_key ON batch_rows (merchant_id, row_key) WHERE state IN ('done', 'open');
CREATE INDEX batch_rows_waiting ON batch_rows (merchant_id, batch_id, place) WHERE state = 'waiting';
