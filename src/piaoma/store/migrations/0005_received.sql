-- What a merchant checked as a receiver (收票): the same number a second time is told with when it was first seen.
-- A number before 数电票 stands with its code in front. Nothing of what the file says is kept.

CREATE TABLE received (
    merchant_id BIGINT NOT NULL,
    number      TEXT NOT NULL,
    first_at_ms BIGINT NOT NULL,
    last_at_ms  BIGINT NOT NULL,
    times       BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, number)
);

-- Whose block a number belongs to: asked for every file that is checked, and never while an invoice is issued.
CREATE INDEX number_blocks_by_number ON number_blocks (prefix, first_sequence);
