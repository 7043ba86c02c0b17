-- What the sandbox authority knows: a store of its own, which a backup or restore of the shop's store never touches.

CREATE TABLE authority_sequence (
    prefix        TEXT PRIMARY KEY,
    next_sequence BIGINT NOT NULL
);

CREATE TABLE authority_blocks (
    prefix         TEXT NOT NULL,
    first_sequence BIGINT NOT NULL,
    last_sequence  BIGINT NOT NULL,
    taxpayer_id    TEXT NOT NULL,
    PRIMARY KEY (prefix, first_sequence)
);

CREATE TABLE authority_issued (
    serial      TEXT PRIMARY KEY,
    taxpayer_id TEXT NOT NULL,
    number      TEXT NOT NULL UNIQUE,
    original    BYTEA NOT NULL,
    ready_at_ms BIGINT NOT NULL
);

CREATE TABLE authority_reports (
    number      TEXT PRIMARY KEY,
    taxpayer_id TEXT NOT NULL,
    digest      TEXT NOT NULL
);

CREATE TABLE authority_switches (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
