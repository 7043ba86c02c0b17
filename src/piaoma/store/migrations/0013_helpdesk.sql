-- Help and operation: tickets and feedback, what helped, announcements, the platform's own trail, audits that were run,
-- limits of a merchant, training.

-- A ticket (工单) or feedback. merchant_id is -1 when whoever asks works for none; then the digest of the secret in his
-- link is here. context is what came along by itself: page, cause, request, device, state of the system. No secrets.
CREATE TABLE tickets (
    merchant_id   BIGINT NOT NULL,
    ticket_id     BIGINT NOT NULL,
    secret_hash   TEXT NOT NULL DEFAULT '',
    topic         TEXT NOT NULL,
    state         TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'answered', 'closed')),
    line          TEXT NOT NULL,
    context       TEXT NOT NULL,
    contact       TEXT NOT NULL DEFAULT '',
    person_id     BIGINT,
    person_name   TEXT NOT NULL DEFAULT '',
    number        TEXT NOT NULL DEFAULT '',
    look_until_ms BIGINT,
    opened_at_ms  BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, ticket_id)
);
CREATE INDEX tickets_by_state ON tickets (state, changed_at_ms);
CREATE INDEX tickets_contacts ON tickets (changed_at_ms) WHERE contact <> '';

CREATE TABLE ticket_notes (
    merchant_id BIGINT NOT NULL,
    ticket_id   BIGINT NOT NULL,
    note_id     BIGINT NOT NULL,
    by_support  BIGINT NOT NULL,
    person_name TEXT NOT NULL,
    text        TEXT NOT NULL,
    link        TEXT NOT NULL DEFAULT '',
    at_ms       BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, ticket_id, note_id)
);

-- Did a page of the help help? Counts by day, nobody's name.
CREATE TABLE help_votes (
    name TEXT NOT NULL,
    day  TEXT NOT NULL,
    yes  BIGINT NOT NULL DEFAULT 0,
    no   BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (name, day)
);

-- Announcements (公告) and policy notes (政策提醒) of the platform. audience is empty for all merchants, or their taxpayer
-- ids with a blank between.
CREATE TABLE announcements (
    announcement_id BIGINT PRIMARY KEY,
    kind            TEXT NOT NULL CHECK (kind IN ('notice', 'policy')),
    audience        TEXT NOT NULL DEFAULT '',
    title_zh        TEXT NOT NULL,
    title_en        TEXT NOT NULL,
    text_zh         TEXT NOT NULL,
    text_en         TEXT NOT NULL,
    first_day       TEXT NOT NULL,
    last_day        TEXT NOT NULL,
    made_by         TEXT NOT NULL,
    made_at_ms      BIGINT NOT NULL,
    withdrawn_at_ms BIGINT
);
CREATE TABLE dismissals (
    person_id       BIGINT NOT NULL,
    announcement_id BIGINT NOT NULL,
    at_ms           BIGINT NOT NULL,
    PRIMARY KEY (person_id, announcement_id)
);

-- What operators did to the platform as a whole (运营记录): rows are added, never changed or removed.
CREATE TABLE platform_events (
    event_id    BIGINT PRIMARY KEY,
    at_ms       BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    person_id   BIGINT,
    person_name TEXT NOT NULL,
    subject     TEXT NOT NULL DEFAULT '',
    details     TEXT NOT NULL DEFAULT ''
);

CREATE TABLE audit_runs (
    run_id        BIGINT PRIMARY KEY,
    state         TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    started_by    TEXT NOT NULL,
    started_at_ms BIGINT NOT NULL,
    ended_at_ms   BIGINT,
    findings      TEXT NOT NULL DEFAULT '[]'
);

-- What the platform lets a merchant do, where it is less than anybody may (商户限额). 0: no limit of its own.
CREATE TABLE merchant_limits (
    merchant_id   BIGINT PRIMARY KEY REFERENCES merchants (merchant_id),
    codes_day_max BIGINT NOT NULL DEFAULT 0,
    total_max_fen BIGINT NOT NULL DEFAULT 0
);

-- Training (演练): trains names the real merchant that this one is the practice ground of. Its rows are like any other's.
ALTER TABLE merchants ADD COLUMN trains BIGINT;
CREATE UNIQUE INDEX merchants_in_training ON merchants (trains) WHERE trains IS NOT NULL;

-- How far somebody is with an exercise. ended_at_ms is when he ended the fault that was rehearsed.
CREATE TABLE training_steps (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    person_id     BIGINT NOT NULL,
    exercise      TEXT NOT NULL,
    started_at_ms BIGINT NOT NULL,
    ended_at_ms   BIGINT,
    done_at_ms    BIGINT,
    PRIMARY KEY (merchant_id, person_id, exercise)
);
