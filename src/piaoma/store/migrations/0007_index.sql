-- The index of issued invoices (索引): how a merchant's invoices are found and summed up. All of it is derived from
-- invoices, in the order of the log, after they were issued, and may be built again (`piaoma reindex`).
-- An invoice has a place in its merchant's list: 0, 1, 2, … in the order of the log. 16,384 places are a block.

CREATE TABLE index_cursor (
    id   BIGINT PRIMARY KEY CHECK (id = 0),
    leaf BIGINT NOT NULL -- of the log: every invoice below it is in the index
);
INSERT INTO index_cursor (id, leaf) VALUES (0, 0);

CREATE TABLE index_entries (
    merchant_id BIGINT NOT NULL,
    place       BIGINT NOT NULL,
    number      TEXT NOT NULL,
    items       TEXT NOT NULL, -- names of its lines, one a line of text
    rates       TEXT NOT NULL, -- JSON: [[rate, amount in fen, tax in fen], …]
    clerk       TEXT NOT NULL,
    shop        TEXT NOT NULL,
    PRIMARY KEY (merchant_id, place)
);
CREATE UNIQUE INDEX index_entries_by_number ON index_entries (merchant_id, number);

-- Which places of a block hold a term (a gram of text, a clerk, a kind …). See index/bits.py for the form.
CREATE TABLE index_terms (
    merchant_id BIGINT NOT NULL,
    term        TEXT NOT NULL,
    block       BIGINT NOT NULL,
    places      BYTEA NOT NULL,
    PRIMARY KEY (merchant_id, term, block)
);

-- Days and totals of a block's invoices, bit by bit, with their bounds.
CREATE TABLE index_blocks (
    merchant_id BIGINT NOT NULL,
    block       BIGINT NOT NULL,
    size        BIGINT NOT NULL,
    day_min     BIGINT NOT NULL,
    day_max     BIGINT NOT NULL,
    total_min   BIGINT NOT NULL,
    total_max   BIGINT NOT NULL,
    total_sum   BIGINT NOT NULL,
    days        BYTEA NOT NULL,
    totals      BYTEA NOT NULL,
    PRIMARY KEY (merchant_id, block)
);

CREATE TABLE index_days (
    merchant_id BIGINT NOT NULL,
    day         TEXT NOT NULL,
    kind        TEXT NOT NULL,
    colour      TEXT NOT NULL,
    clerk       TEXT NOT NULL,
    shop        TEXT NOT NULL,
    invoices    BIGINT NOT NULL,
    amount_fen  BIGINT NOT NULL,
    tax_fen     BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, day, kind, colour, clerk, shop)
);

-- Output tax by lines: what a month's return asks for.
CREATE TABLE index_taxes (
    merchant_id BIGINT NOT NULL,
    month       TEXT NOT NULL,
    kind        TEXT NOT NULL,
    colour      TEXT NOT NULL,
    rate        TEXT NOT NULL,
    lines       BIGINT NOT NULL,
    amount_fen  BIGINT NOT NULL,
    tax_fen     BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, month, kind, colour, rate)
);

-- An item's invoices of a month: how many hold it, and their totals, so that the list of them has the same sum.
CREATE TABLE index_items (
    merchant_id BIGINT NOT NULL,
    month       TEXT NOT NULL,
    item        TEXT NOT NULL,
    invoices    BIGINT NOT NULL,
    total_fen   BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, month, item)
);

-- How long customers took from code to invoice: counts by the bounds of index/figures.py.
CREATE TABLE index_waits (
    merchant_id BIGINT NOT NULL,
    day         TEXT NOT NULL,
    bound_s     BIGINT NOT NULL,
    invoices    BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, day, bound_s)
);

-- How often an invoice was opened or fetched by its customer: counts and times only, nobody's address or browser.
CREATE TABLE invoice_opens (
    merchant_id BIGINT NOT NULL,
    number      TEXT NOT NULL,
    what        TEXT NOT NULL CHECK (what IN ('open', 'download')),
    times       BIGINT NOT NULL,
    first_at_ms BIGINT NOT NULL,
    last_at_ms  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, number, what)
);

-- Searches that a merchant keeps under a name; one of them may be what the list opens with.
CREATE TABLE saved_searches (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    name        TEXT NOT NULL,
    search      TEXT NOT NULL,
    opens       BIGINT NOT NULL DEFAULT 0 CHECK (opens IN (0, 1)),
    PRIMARY KEY (merchant_id, name)
);

-- Files made from a search: tables of it and its print. The files themselves lie in the data folder for a day.
CREATE TABLE exports (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    export_id     TEXT NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('xlsx', 'csv', 'print')),
    layout        TEXT NOT NULL,
    search        TEXT NOT NULL,
    made_by       TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
    done          BIGINT NOT NULL DEFAULT 0,
    invoices      BIGINT NOT NULL DEFAULT 0,
    total_fen     BIGINT NOT NULL DEFAULT 0,
    size_bytes    BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, export_id)
);
CREATE UNIQUE INDEX exports_running ON exports (merchant_id) WHERE state = 'running';

CREATE INDEX issues_refused ON issues (merchant_id, submitted_at_ms) WHERE state = 'refused';
