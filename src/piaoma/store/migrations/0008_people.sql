-- People (人员) are apart from merchants: one person may work for several, in a role for each.
-- Accounts that exist keep their login and password; everybody logs in again once.

ALTER TABLE users RENAME TO people;
ALTER TABLE people RENAME COLUMN user_id TO person_id;
ALTER TABLE people ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE people ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE people ADD COLUMN email_proved_at_ms BIGINT;
ALTER TABLE people ADD COLUMN operator BIGINT NOT NULL DEFAULT 0;
UPDATE people SET name = login;
UPDATE people SET email = login WHERE login LIKE '%_@_%._%';
-- A proved address belongs to one person and is as good as his login; an unproved one says nothing.
CREATE UNIQUE INDEX people_by_email ON people (email) WHERE email_proved_at_ms IS NOT NULL;

ALTER TABLE memberships RENAME COLUMN user_id TO person_id;
ALTER TABLE memberships ADD COLUMN shop_id BIGINT;
ALTER TABLE memberships ADD COLUMN active BIGINT NOT NULL DEFAULT 1;
ALTER TABLE memberships ADD COLUMN pin_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE memberships ADD COLUMN joined_at_ms BIGINT NOT NULL DEFAULT 0;
CREATE INDEX memberships_by_person ON memberships (person_id);

-- What the owner demands a second factor (第二验证) for: words with a blank between. Who confirmed the merchant.
ALTER TABLE merchants ADD COLUMN factor_policy TEXT NOT NULL DEFAULT '';
ALTER TABLE merchants ADD COLUMN verified_by TEXT NOT NULL DEFAULT '';
CREATE INDEX merchants_waiting ON merchants (created_at_ms) WHERE verified_at_ms IS NULL;

-- merchant_id is NULL while an operator of the platform looks after all of them.
DROP TABLE sessions;
CREATE TABLE sessions (
    secret_hash   TEXT PRIMARY KEY,
    session_id    BIGINT NOT NULL,
    person_id     BIGINT NOT NULL REFERENCES people (person_id),
    merchant_id   BIGINT REFERENCES merchants (merchant_id),
    till_id       BIGINT,
    by_pin        BIGINT NOT NULL DEFAULT 0,
    device        TEXT NOT NULL DEFAULT '',
    address       TEXT NOT NULL DEFAULT '',
    factor_at_ms  BIGINT,
    created_at_ms BIGINT NOT NULL,
    seen_at_ms    BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);
CREATE INDEX sessions_by_person ON sessions (person_id);

-- Browsers that a person has logged in from (设备): a new one is told to him.
CREATE TABLE devices (
    person_id    BIGINT NOT NULL REFERENCES people (person_id),
    device_hash  TEXT NOT NULL,
    device       TEXT NOT NULL,
    first_at_ms  BIGINT NOT NULL,
    last_at_ms   BIGINT NOT NULL,
    PRIMARY KEY (person_id, device_hash)
);

CREATE TABLE shops (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    shop_id       BIGINT NOT NULL,
    name          TEXT NOT NULL,
    address       TEXT NOT NULL DEFAULT '',
    active        BIGINT NOT NULL DEFAULT 1,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, shop_id)
);

-- device_hash is the digest of the cookie of the shared device that stands there, empty when none does.
CREATE TABLE tills (
    merchant_id   BIGINT NOT NULL REFERENCES merchants (merchant_id),
    till_id       BIGINT NOT NULL,
    shop_id       BIGINT NOT NULL,
    name          TEXT NOT NULL,
    active        BIGINT NOT NULL DEFAULT 1,
    device_hash   TEXT NOT NULL DEFAULT '',
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, till_id)
);
CREATE INDEX tills_by_device ON tills (device_hash) WHERE device_hash <> '';

-- Links and codes that are good once, for a time (一次性链接): only their digest is here.
CREATE TABLE challenges (
    digest        TEXT PRIMARY KEY,
    kind          TEXT NOT NULL CHECK (kind IN ('invite', 'recover', 'email')),
    person_id     BIGINT REFERENCES people (person_id),
    merchant_id   BIGINT REFERENCES merchants (merchant_id),
    target        TEXT NOT NULL,
    role          TEXT NOT NULL DEFAULT '',
    shop_id       BIGINT,
    made_by       TEXT NOT NULL DEFAULT '',
    tries         BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    used_at_ms    BIGINT
);
CREATE INDEX challenges_by_person ON challenges (person_id, kind);
CREATE INDEX challenges_by_merchant ON challenges (merchant_id, kind);

-- Second factors: the secret of a TOTP is sealed under a key of the data folder, a passkey is its public key.
CREATE TABLE factors (
    person_id     BIGINT NOT NULL REFERENCES people (person_id),
    factor_id     BIGINT NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('totp', 'passkey')),
    name          TEXT NOT NULL,
    credential    TEXT NOT NULL DEFAULT '',
    secret        BYTEA NOT NULL,
    counter       BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL,
    used_at_ms    BIGINT,
    PRIMARY KEY (person_id, factor_id)
);
CREATE UNIQUE INDEX factors_by_credential ON factors (credential) WHERE credential <> '';

CREATE TABLE recovery_codes (
    person_id  BIGINT NOT NULL REFERENCES people (person_id),
    code_hash  TEXT NOT NULL,
    used_at_ms BIGINT,
    PRIMARY KEY (person_id, code_hash)
);

-- The audit trail (操作记录): rows are added, never changed or removed. event_id grows with the time.
CREATE TABLE events (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    event_id    BIGINT NOT NULL,
    at_ms       BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    person_id   BIGINT,
    person_name TEXT NOT NULL,
    subject     TEXT NOT NULL DEFAULT '',
    details     TEXT NOT NULL DEFAULT '{}',
    address     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (merchant_id, event_id)
);

-- Mails to people (通知): the same columns as jobs, so that the same worker carries them. The content goes once sent.
CREATE TABLE notices (
    merchant_id    BIGINT NOT NULL,
    job_id         TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('notice')),
    number         TEXT NOT NULL DEFAULT '',
    target         TEXT NOT NULL,
    content        TEXT NOT NULL,
    state          TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'dead')),
    attempts       BIGINT NOT NULL DEFAULT 0,
    next_at_ms     BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    last_error     TEXT NOT NULL DEFAULT '',
    created_at_ms  BIGINT NOT NULL,
    done_at_ms     BIGINT,
    PRIMARY KEY (merchant_id, job_id)
);
CREATE INDEX notices_waiting ON notices (kind, next_at_ms) WHERE state = 'waiting';

-- Where and by whom a code was made; an invoice takes it over when it is issued.
ALTER TABLE codes ADD COLUMN shop_id BIGINT;
ALTER TABLE codes ADD COLUMN till_id BIGINT;
ALTER TABLE codes ADD COLUMN person_id BIGINT;
ALTER TABLE invoices ADD COLUMN shop_id BIGINT;
ALTER TABLE invoices ADD COLUMN till_id BIGINT;
ALTER TABLE invoices ADD COLUMN person_id BIGINT;
ALTER TABLE invoices ADD COLUMN person_name TEXT NOT NULL DEFAULT '';
