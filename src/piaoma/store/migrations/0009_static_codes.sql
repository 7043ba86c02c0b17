-- Static codes (静态码): one symbol for a shop, a till or a table, that serves for years. The token is not here: it is
-- the sealed form of (merchant_id, static_id) under a key of its own, so it never passes for a code of one sale.
CREATE TABLE static_codes (
    merchant_id    BIGINT NOT NULL REFERENCES merchants (merchant_id),
    static_id      BIGINT NOT NULL CHECK (static_id BETWEEN 0 AND 1099511627775),
    make_key       TEXT NOT NULL,
    shop_id        BIGINT,
    place          TEXT NOT NULL,
    mode           TEXT NOT NULL CHECK (mode IN ('approval', 'sale')),
    item           TEXT NOT NULL,
    amount_min_fen BIGINT NOT NULL CHECK (amount_min_fen > 0),
    amount_max_fen BIGINT NOT NULL,
    days_back      BIGINT NOT NULL CHECK (days_back >= 0),
    device_max     BIGINT NOT NULL CHECK (device_max > 0),
    hour_max       BIGINT NOT NULL CHECK (hour_max > 0),
    state          TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'revoked', 'replaced')),
    replaced_by    BIGINT,
    created_by     TEXT NOT NULL,
    created_at_ms  BIGINT NOT NULL,
    changed_at_ms  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, static_id),
    UNIQUE (merchant_id, make_key),
    CHECK (amount_min_fen <= amount_max_fen),
    CHECK ((state = 'replaced') = (replaced_by IS NOT NULL))
);

-- How often the page of a static code was opened, by day in Asia/Shanghai.
CREATE TABLE static_scans (
    merchant_id BIGINT NOT NULL,
    static_id   BIGINT NOT NULL,
    day         TEXT NOT NULL,
    scans       BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, static_id, day)
);

-- An application (开票申请): what a customer of a static code asks for, until the shop says yes or no. When it says yes a
-- code with the same number is made and issued, so one application has at most one invoice, as every code has.
CREATE TABLE applications (
    merchant_id    BIGINT NOT NULL REFERENCES merchants (merchant_id),
    application_id BIGINT NOT NULL CHECK (application_id BETWEEN 0 AND 1099511627775),
    static_id      BIGINT NOT NULL,
    apply_key      TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'issued', 'refused', 'withdrawn')),
    asked_fen      BIGINT NOT NULL CHECK (asked_fen > 0),
    total_fen      BIGINT NOT NULL CHECK (total_fen > 0),
    paid_at_ms     BIGINT NOT NULL,
    buyer          TEXT NOT NULL,
    email          TEXT NOT NULL DEFAULT '',
    holder         TEXT NOT NULL,
    device         TEXT NOT NULL,
    approvals      BIGINT NOT NULL DEFAULT 0,
    reason         TEXT NOT NULL DEFAULT '',
    refusal        TEXT,
    decided_by     TEXT NOT NULL DEFAULT '',
    decided_at_ms  BIGINT,
    settled_at_ms  BIGINT,
    created_at_ms  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, application_id),
    UNIQUE (merchant_id, apply_key),
    CHECK ((state = 'issued') = (settled_at_ms IS NOT NULL)),
    CHECK (state <> 'refused' OR reason <> '')
);
CREATE INDEX applications_waiting ON applications (merchant_id, created_at_ms, application_id) WHERE state = 'waiting';
CREATE INDEX applications_approved ON applications (decided_at_ms) WHERE state = 'approved';
CREATE INDEX applications_by_code ON applications (merchant_id, static_id, created_at_ms);
CREATE INDEX applications_by_device ON applications (merchant_id, device, created_at_ms);
CREATE INDEX applications_contacts ON applications (created_at_ms) WHERE email <> '';
CREATE INDEX applications_by_time ON applications (merchant_id, created_at_ms);

-- A sale number (消费号): six digits that lead from a static code to the open code of one sale. It is used again when
-- its code is done with.
CREATE TABLE sale_numbers (
    merchant_id   BIGINT NOT NULL,
    sale_number   TEXT NOT NULL CHECK (length(sale_number) = 6),
    code_id       BIGINT NOT NULL,
    static_id     BIGINT,
    matched_at_ms BIGINT,
    PRIMARY KEY (merchant_id, sale_number)
);
CREATE INDEX sale_numbers_of_code ON sale_numbers (merchant_id, code_id);
CREATE INDEX sale_numbers_matched ON sale_numbers (merchant_id, static_id) WHERE static_id IS NOT NULL;
