-- The signed value of an OFD's seal (签章值). SM2 signatures are random, so it is made once, at the first rendering, and
-- kept: every later rendering then gives the same bytes. Another version of the drawing needs a value of its own.

CREATE TABLE seals (
    merchant_id  BIGINT NOT NULL REFERENCES merchants (merchant_id),
    number       TEXT NOT NULL,
    view_version TEXT NOT NULL,
    signed_value BYTEA NOT NULL,
    made_at_ms   BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, number, view_version)
);
