-- Received invoices (收到的发票): what others issued to a merchant, each number once, with the judgement it got when it
-- came, what became of it (booked, returned) and the files themselves. Nothing is deleted: they are accounting records.

-- number: before 数电票 the code stands in front. report: the judgement, JSON; doubt: why somebody must look, JSON, empty
-- when nothing is in doubt. issuer_id: the merchant of this site that issued it, whose record is the original.
-- reversal: what its issuer took back since; alarm: that happened after it was booked, and nobody has seen to it.
CREATE TABLE received_invoices (
    merchant_id    BIGINT NOT NULL REFERENCES merchants (merchant_id),
    number         TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'doubtful', 'booked', 'returned')),
    way            TEXT NOT NULL CHECK (way IN ('upload', 'mail', 'site')),
    brought_by     TEXT NOT NULL,
    received_at_ms BIGINT NOT NULL,
    issued_on      TEXT NOT NULL DEFAULT '',
    amount_fen     BIGINT,
    tax_fen        BIGINT,
    total_fen      BIGINT,
    seller_name    TEXT NOT NULL DEFAULT '',
    seller_id      TEXT NOT NULL DEFAULT '',
    buyer_name     TEXT NOT NULL DEFAULT '',
    buyer_id       TEXT NOT NULL DEFAULT '',
    items          TEXT NOT NULL DEFAULT '',
    verdict        TEXT NOT NULL CHECK (verdict IN ('valid', 'invalid', 'unknown')),
    report         TEXT NOT NULL DEFAULT '',
    doubt          TEXT NOT NULL DEFAULT '',
    judged_at_ms   BIGINT NOT NULL,
    issuer_id      BIGINT,
    corrects       TEXT NOT NULL DEFAULT '',
    replaces       TEXT NOT NULL DEFAULT '',
    reversal       TEXT NOT NULL DEFAULT '' CHECK (reversal IN ('', 'partly', 'wholly')),
    reversed_at_ms BIGINT,
    alarm          BIGINT NOT NULL DEFAULT 0 CHECK (alarm IN (0, 1)),
    voucher        TEXT NOT NULL DEFAULT '',
    claimant       TEXT NOT NULL DEFAULT '',
    reason         TEXT NOT NULL DEFAULT '',
    decided_by     TEXT NOT NULL DEFAULT '',
    decided_at_ms  BIGINT,
    PRIMARY KEY (merchant_id, number),
    CHECK ((state = 'booked') = (voucher <> '')),
    CHECK (state <> 'returned' OR reason <> ''),
    CHECK (alarm = 0 OR state = 'booked')
);
CREATE INDEX received_by_time ON received_invoices (merchant_id, received_at_ms);
CREATE INDEX received_by_state ON received_invoices (merchant_id, state, received_at_ms);
-- Asked by whoever follows the log, for each red invoice.
CREATE INDEX received_by_issuer ON received_invoices (issuer_id, number) WHERE issuer_id IS NOT NULL;

-- An invoice of this site is not here: its original and views are its issuer's record.
CREATE TABLE received_files (
    merchant_id BIGINT NOT NULL,
    number      TEXT NOT NULL,
    digest      TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('xml', 'pdf', 'ofd', 'picture', 'zip')),
    name        TEXT NOT NULL,
    data        BYTEA NOT NULL,
    added_at_ms BIGINT NOT NULL,
    added_by    TEXT NOT NULL,
    PRIMARY KEY (merchant_id, number, digest),
    FOREIGN KEY (merchant_id, number) REFERENCES received_invoices (merchant_id, number)
);

-- How far in the log invoices were handed to their buyers here.
CREATE TABLE receiving_cursor (
    id   BIGINT PRIMARY KEY CHECK (id = 0),
    leaf BIGINT NOT NULL
);
INSERT INTO receiving_cursor (id, leaf) VALUES (0, 0);

-- The address to which invoices are mailed in follows from the merchant, this turn and a key: renewed, the old one ends.
CREATE TABLE mailboxes (
    merchant_id   BIGINT PRIMARY KEY REFERENCES merchants (merchant_id),
    turn          BIGINT NOT NULL,
    open          BIGINT NOT NULL CHECK (open IN (0, 1)),
    changed_at_ms BIGINT NOT NULL
);

-- Whether customers without a code at hand find this one by the shop's name.
ALTER TABLE static_codes ADD COLUMN listed BIGINT NOT NULL DEFAULT 0 CHECK (listed IN (0, 1));
CREATE INDEX static_codes_listed ON static_codes (merchant_id) WHERE listed = 1;
