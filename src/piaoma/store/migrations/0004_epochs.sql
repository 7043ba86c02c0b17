-- The store's lives: a row for each restore from a backup, which burnt what the time between may have used.

CREATE TABLE epochs (
    epoch         BIGINT PRIMARY KEY,
    begun_at_ms   BIGINT NOT NULL,
    backup_at_ms  BIGINT NOT NULL,
    numbers_burnt BIGINT NOT NULL,
    codes_revoked BIGINT NOT NULL
);
