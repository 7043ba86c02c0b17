-- Blocks are given once for a serial; and what the authority's process (piaoma authority serve) knows beside that.

ALTER TABLE authority_blocks ADD COLUMN serial TEXT NOT NULL DEFAULT '';
CREATE INDEX authority_blocks_serial ON authority_blocks (serial);

-- What a form said beside that, for whoever lists it.
ALTER TABLE authority_red_forms ADD COLUMN details TEXT NOT NULL DEFAULT '';

-- Sellers that a provider's simulator issues for: their names are known there, no order carries them.
CREATE TABLE authority_taxpayers (
    taxpayer_id TEXT PRIMARY KEY,
    name        TEXT NOT NULL
);

-- Invoices that were uploaded (QDFPSC), each once; ``digest`` is over the fields that were sent.
CREATE TABLE authority_uploads (
    number      TEXT PRIMARY KEY,
    taxpayer_id TEXT NOT NULL,
    digest      TEXT NOT NULL,
    month       TEXT NOT NULL,
    red         BIGINT NOT NULL,
    amount_fen  BIGINT NOT NULL,
    tax_fen     BIGINT NOT NULL
);

-- What became of a batch, under its receipt (受理流水号): JSON, told from a moment on.
CREATE TABLE authority_receipts (
    receipt     TEXT PRIMARY KEY,
    results     TEXT NOT NULL,
    ready_at_ms BIGINT NOT NULL
);

-- Quota that was taken or, below zero, given back; once for a serial.
CREATE TABLE authority_quota (
    serial      TEXT PRIMARY KEY,
    taxpayer_id TEXT NOT NULL,
    month       TEXT NOT NULL,
    amount_fen  BIGINT NOT NULL
);

-- Months as they were confirmed in the words of 乐企 (SCFPHZQRXX).
CREATE TABLE authority_leqi_months (
    taxpayer_id TEXT NOT NULL,
    month       TEXT NOT NULL,
    figures     TEXT NOT NULL,
    PRIMARY KEY (taxpayer_id, month)
);
