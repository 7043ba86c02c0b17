-- The tables of the main job, in the words SQLite and PostgreSQL share.
-- Money is integer fen, times are milliseconds since 1970 UTC, business dates and months are text in Asia/Shanghai.
-- Every tenant table begins its key with merchant_id, so that Citus can shard by it (docs/scaling.md).

CREATE TABLE merchants (
    merchant_id    BIGINT PRIMARY KEY CHECK (merchant_id BETWEEN 0 AND 268435455),
    taxpayer_id    TEXT NOT NULL UNIQUE,
    name           TEXT NOT NULL,
    taxpayer_kind  TEXT NOT NULL,
    shop_name      TEXT NOT NULL,
    address        TEXT NOT NULL DEFAULT '',
    phone          TEXT NOT NULL DEFAULT '',
    bank           TEXT NOT NULL DEFAULT '',
    account        TEXT NOT NULL DEFAULT '',
    drawer         TEXT NOT NULL DEFAULT '',
    contact        TEXT NOT NULL DEFAULT '',
    state          TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
    verified_at_ms BIGINT,
    created_at_ms  BIGINT NOT NULL
);

CREATE TABLE users (
    user_id       BIGINT PRIMARY KEY,
    login         TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
);

CREATE TABLE memberships (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    user_id     BIGINT NOT NULL REFERENCES users (user_id),
    role        TEXT NOT NULL,
    PRIMARY KEY (merchant_id, user_id)
);

CREATE TABLE sessions (
    secret_hash   TEXT PRIMARY KEY,
    user_id       BIGINT NOT NULL REFERENCES users (user_id),
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);

CREATE TABLE goods (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    goods_id    BIGINT NOT NULL,
    name        TEXT NOT NULL,
    code        TEXT NOT NULL,
    rate        TEXT NOT NULL,
    price       TEXT,
    unit        TEXT NOT NULL DEFAULT '',
    spec        TEXT NOT NULL DEFAULT '',
    zero        TEXT NOT NULL DEFAULT '',
    preference  TEXT NOT NULL DEFAULT '',
    used_at_ms  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, goods_id)
);

-- A dynamic code (动态码). The token is not here: it is the sealed form of (merchant_id, code_id).
CREATE TABLE codes (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    code_id       BIGINT NOT NULL CHECK (code_id BETWEEN 0 AND 1099511627775),
    mint_key      TEXT NOT NULL,
    mint_digest   TEXT NOT NULL,
    state         TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'submitted', 'unknown', 'issued', 'revoked')),
    offer         TEXT NOT NULL,
    kind          TEXT NOT NULL,
    total_fen     BIGINT NOT NULL CHECK (total_fen > 0),
    summary       TEXT NOT NULL,
    created_by    TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    viewed_at_ms  BIGINT,
    changed_at_ms BIGINT NOT NULL,
    holder        TEXT,
    issue_key     TEXT,
    refusal       TEXT,
    proof         TEXT NOT NULL,
    PRIMARY KEY (merchant_id, code_id),
    UNIQUE (merchant_id, mint_key),
    CHECK (state IN ('open', 'revoked') OR issue_key IS NOT NULL),
    CHECK ((issue_key IS NULL) = (holder IS NULL))
);
CREATE INDEX codes_by_time ON codes (merchant_id, created_at_ms);

-- One row for each request to issue that was taken: the idempotency record and the intent in one.
CREATE TABLE issues (
    merchant_id      BIGINT NOT NULL REFERENCES merchants (merchant_id),
    issue_key        TEXT NOT NULL,
    request_digest   TEXT NOT NULL,
    code_id          BIGINT,
    state            TEXT NOT NULL CHECK (state IN ('submitted', 'issued', 'refused', 'unknown')),
    number           TEXT,
    month            TEXT NOT NULL,
    amount_fen       BIGINT NOT NULL,
    request          TEXT,
    refusal          TEXT,
    submitted_at_ms  BIGINT NOT NULL,
    settled_at_ms    BIGINT,
    next_query_at_ms BIGINT,
    attempts         BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, issue_key),
    CHECK ((state = 'issued') = (number IS NOT NULL)),
    CHECK ((state IN ('issued', 'refused')) = (settled_at_ms IS NOT NULL))
);
CREATE INDEX issues_open ON issues (next_query_at_ms) WHERE state IN ('submitted', 'unknown');
CREATE INDEX issues_pending ON issues (merchant_id) WHERE state IN ('submitted', 'unknown');

CREATE TABLE invoices (
    merchant_id  BIGINT NOT NULL REFERENCES merchants (merchant_id),
    number       TEXT NOT NULL,
    issue_key    TEXT NOT NULL,
    code_id      BIGINT,
    kind         TEXT NOT NULL,
    buyer_name   TEXT NOT NULL,
    buyer_id     TEXT NOT NULL,
    amount_fen   BIGINT NOT NULL,
    tax_fen      BIGINT NOT NULL,
    total_fen    BIGINT NOT NULL CHECK (total_fen = amount_fen + tax_fen),
    summary      TEXT NOT NULL,
    remark       TEXT NOT NULL,
    month        TEXT NOT NULL,
    issued_on    TEXT NOT NULL,
    issued_at_ms BIGINT NOT NULL,
    digest       TEXT NOT NULL,
    original     BYTEA NOT NULL,
    PRIMARY KEY (merchant_id, number)
);
CREATE INDEX invoices_by_time ON invoices (merchant_id, issued_at_ms);

-- A block of numbers (号段) that the channel gave to a merchant. Numbers are prefix + 15 digits of sequence.
CREATE TABLE number_blocks (
    merchant_id    BIGINT NOT NULL REFERENCES merchants (merchant_id),
    prefix         TEXT NOT NULL CHECK (length(prefix) = 5),
    first_sequence BIGINT NOT NULL,
    last_sequence  BIGINT NOT NULL,
    next_sequence  BIGINT NOT NULL,
    taken_at_ms    BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, prefix, first_sequence),
    CHECK (first_sequence <= next_sequence AND next_sequence <= last_sequence + 1)
);

CREATE INDEX number_blocks_left ON number_blocks (merchant_id, prefix, first_sequence)
    WHERE next_sequence <= last_sequence;

-- Numbers that were taken and carry no invoice, each with its reason.
CREATE TABLE unused_numbers (
    merchant_id    BIGINT NOT NULL,
    number         TEXT NOT NULL,
    reason         TEXT NOT NULL,
    recorded_at_ms BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, number)
);

-- The quota (发票总额度) of a calendar month in Asia/Shanghai, tax-exclusive.
CREATE TABLE quotas (
    merchant_id  BIGINT NOT NULL REFERENCES merchants (merchant_id),
    month        TEXT NOT NULL,
    limit_fen    BIGINT NOT NULL,
    issued_fen   BIGINT NOT NULL DEFAULT 0,
    reserved_fen BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, month),
    CHECK (reserved_fen >= 0 AND issued_fen + reserved_fen <= limit_fen)
);

-- The outbox (待办): what must happen after an invoice is issued, at least once, under a stable id.
-- A job_id begins with the number of its invoice, so that one range of the key holds all jobs of an invoice.
CREATE TABLE jobs (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    job_id        TEXT NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('report', 'mail')),
    number        TEXT NOT NULL,
    target        TEXT NOT NULL DEFAULT '',
    state         TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'dead')),
    attempts      BIGINT NOT NULL DEFAULT 0,
    next_at_ms    BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    last_error    TEXT NOT NULL DEFAULT '',
    created_at_ms BIGINT NOT NULL,
    done_at_ms    BIGINT,
    PRIMARY KEY (merchant_id, job_id),
    CHECK ((state = 'done') = (done_at_ms IS NOT NULL)),
    CHECK (state <> 'dead' OR last_error <> '')
);
CREATE INDEX jobs_waiting ON jobs (kind, next_at_ms) WHERE state = 'waiting';
CREATE INDEX jobs_dead ON jobs (merchant_id) WHERE state = 'dead';
