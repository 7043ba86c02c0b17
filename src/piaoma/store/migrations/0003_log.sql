-- The transparency log (透明日志). An invoice's leaf waits in log_pending, written with the invoice, until the
-- sequencer gives it a place. A leaf's data is SHA-256(salt || digest); the salt goes to the holder alone.
-- These tables belong to the whole installation, not to a merchant, so they are not sharded.

CREATE TABLE log_pending (
    merchant_id BIGINT NOT NULL,
    number      TEXT NOT NULL,
    salt        BYTEA NOT NULL,
    commitment  BYTEA NOT NULL,
    PRIMARY KEY (merchant_id, number)
);

CREATE TABLE log_leaves (
    leaf        BIGINT PRIMARY KEY,
    merchant_id BIGINT NOT NULL,
    number      TEXT NOT NULL,
    salt        BYTEA NOT NULL,
    commitment  BYTEA NOT NULL,
    UNIQUE (merchant_id, number)
);

-- Tiles of the tree: up to 256 hashes one after the other. The last of a level grows until it is full.
CREATE TABLE log_tiles (
    level  BIGINT NOT NULL,
    tile   BIGINT NOT NULL,
    hashes BYTEA NOT NULL,
    PRIMARY KEY (level, tile)
);

CREATE TABLE log_checkpoints (
    size         BIGINT PRIMARY KEY,
    root         BYTEA NOT NULL,
    note         TEXT NOT NULL,
    signed_at_ms BIGINT NOT NULL
);
