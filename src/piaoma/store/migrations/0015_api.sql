-- What programs of a merchant use: keys, what they asked before, what is announced to them, where it is sent.

-- A key (接口密钥). The key itself is shown once and is not here: its digest is. scopes: words with a blank between.
CREATE TABLE api_keys (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    key_id        BIGINT NOT NULL CHECK (key_id BETWEEN 0 AND 1099511627775),
    name          TEXT NOT NULL,
    mode          TEXT NOT NULL CHECK (mode IN ('test', 'live')),
    scopes        TEXT NOT NULL,
    secret_hash   TEXT NOT NULL,
    hint          TEXT NOT NULL,
    made_by       TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    revoked_at_ms BIGINT,
    used_at_ms    BIGINT,
    replaced_by   BIGINT,
    PRIMARY KEY (merchant_id, key_id)
);

-- Requests with an Idempotency-Key. status and answer are there once the request has had its effect; a request that was
-- refused leaves no row. A running one whose lease ran out died, and may be done again: what it does has the same key.
CREATE TABLE api_requests (
    merchant_id    BIGINT NOT NULL REFERENCES merchants (merchant_id),
    request_key    TEXT NOT NULL,
    digest         TEXT NOT NULL,
    lease_until_ms BIGINT NOT NULL,
    expires_at_ms  BIGINT NOT NULL,
    status         BIGINT,
    answer         TEXT,
    PRIMARY KEY (merchant_id, request_key),
    CHECK ((status IS NULL) = (answer IS NULL))
);
CREATE INDEX api_requests_old ON api_requests (expires_at_ms);

-- Whether what happens is announced: only merchants that have a key or an endpoint pay for it.
ALTER TABLE merchants ADD COLUMN announces BIGINT NOT NULL DEFAULT 0;

-- What happened (事件), written with it; the same columns as jobs, for one worker hands all of them on. number is what
-- keeps its order: the invoice that started it, or the code. place grows with the time. content is made when it is
-- handed on, and is the same bytes to everybody and for ever.
CREATE TABLE happenings (
    merchant_id    BIGINT NOT NULL REFERENCES merchants (merchant_id),
    job_id         TEXT NOT NULL,
    kind           TEXT NOT NULL DEFAULT 'announce' CHECK (kind = 'announce'),
    number         TEXT NOT NULL,
    target         TEXT NOT NULL,
    type           TEXT NOT NULL,
    place          BIGINT NOT NULL,
    content        TEXT NOT NULL DEFAULT '',
    state          TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'dead')),
    attempts       BIGINT NOT NULL DEFAULT 0,
    next_at_ms     BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    last_error     TEXT NOT NULL DEFAULT '',
    created_at_ms  BIGINT NOT NULL,
    done_at_ms     BIGINT,
    PRIMARY KEY (merchant_id, job_id)
);
CREATE INDEX happenings_waiting ON happenings (kind, next_at_ms) WHERE state = 'waiting';
CREATE INDEX happenings_by_place ON happenings (merchant_id, place);
CREATE INDEX happenings_old ON happenings (created_at_ms);

-- An endpoint (推送地址). Secrets are sealed under a key of the data folder. rests_until_ms keeps one that does not
-- answer from taking the time of the others.
CREATE TABLE webhooks (
    merchant_id         BIGINT NOT NULL REFERENCES merchants (merchant_id),
    webhook_id          BIGINT NOT NULL CHECK (webhook_id BETWEEN 0 AND 1099511627775),
    url                 TEXT NOT NULL,
    types               TEXT NOT NULL,
    state               TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'removed')),
    secret              BYTEA NOT NULL,
    old_secret          BYTEA,
    old_until_ms        BIGINT,
    failures            BIGINT NOT NULL DEFAULT 0,
    failing_since_ms    BIGINT,
    rests_until_ms      BIGINT NOT NULL DEFAULT 0,
    created_by          TEXT NOT NULL,
    created_at_ms       BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, webhook_id)
);

-- One announcement to one endpoint; the same columns as jobs. number keeps the order, place is the announcement's.
CREATE TABLE webhook_jobs (
    merchant_id    BIGINT NOT NULL REFERENCES merchants (merchant_id),
    job_id         TEXT NOT NULL,
    kind           TEXT NOT NULL DEFAULT 'webhook' CHECK (kind = 'webhook'),
    number         TEXT NOT NULL,
    target         TEXT NOT NULL,
    webhook_id     BIGINT NOT NULL,
    event_id       TEXT NOT NULL,
    place          BIGINT NOT NULL,
    state          TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'dead')),
    attempts       BIGINT NOT NULL DEFAULT 0,
    next_at_ms     BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    last_error     TEXT NOT NULL DEFAULT '',
    created_at_ms  BIGINT NOT NULL,
    done_at_ms     BIGINT,
    PRIMARY KEY (merchant_id, job_id)
);
CREATE INDEX webhook_jobs_waiting ON webhook_jobs (kind, next_at_ms) WHERE state = 'waiting';
CREATE INDEX webhook_jobs_order ON webhook_jobs (merchant_id, webhook_id, number, place) WHERE state = 'waiting';
CREATE INDEX webhook_jobs_by_endpoint ON webhook_jobs (merchant_id, webhook_id, place);
CREATE INDEX webhook_jobs_old ON webhook_jobs (created_at_ms);

-- Each try (推送记录): what the receiver answered, and how long it took.
CREATE TABLE webhook_tries (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    job_id      TEXT NOT NULL,
    try_id      BIGINT NOT NULL,
    at_ms       BIGINT NOT NULL,
    status      BIGINT NOT NULL,
    took_ms     BIGINT NOT NULL,
    error       TEXT NOT NULL,
    answer      TEXT NOT NULL,
    PRIMARY KEY (merchant_id, job_id, try_id)
);
CREATE INDEX webhook_tries_old ON webhook_tries (at_ms);
