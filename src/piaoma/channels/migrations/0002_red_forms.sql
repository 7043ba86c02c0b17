-- Red forms that the sandbox authority holds, and what it knows of the use of invoices (用途确认, 入账).

CREATE TABLE authority_red_forms (
    serial           TEXT PRIMARY KEY,
    form_number      TEXT NOT NULL UNIQUE,
    blue_number      TEXT NOT NULL,
    seller_id        TEXT NOT NULL,
    buyer_id         TEXT NOT NULL,
    raised_by        TEXT NOT NULL,
    state            TEXT NOT NULL,
    total_fen        BIGINT NOT NULL,
    confirm_until_ms BIGINT NOT NULL,
    ready_at_ms      BIGINT NOT NULL,
    used_up          BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE authority_usage (
    number     TEXT PRIMARY KEY,
    used_at_ms BIGINT NOT NULL
);
