-- What each invoice came to, so that the authority can answer its own sums of a month (汇总), months as they were
-- confirmed to it, and requests for more quota.

ALTER TABLE authority_reports ADD COLUMN month TEXT NOT NULL DEFAULT '';
ALTER TABLE authority_reports ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE authority_reports ADD COLUMN amount_fen BIGINT NOT NULL DEFAULT 0;
ALTER TABLE authority_reports ADD COLUMN tax_fen BIGINT NOT NULL DEFAULT 0;
CREATE INDEX authority_reports_by_month ON authority_reports (taxpayer_id, month, number);

CREATE TABLE authority_months (
    taxpayer_id     TEXT NOT NULL,
    month           TEXT NOT NULL,
    sums            TEXT NOT NULL,
    confirmed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (taxpayer_id, month)
);

CREATE TABLE authority_quota_requests (
    serial       TEXT PRIMARY KEY,
    taxpayer_id  TEXT NOT NULL,
    month        TEXT NOT NULL,
    extra_fen    BIGINT NOT NULL,
    granted_fen  BIGINT NOT NULL,
    decide_at_ms BIGINT NOT NULL
);
CREATE INDEX authority_quota_by_month ON authority_quota_requests (taxpayer_id, month);
