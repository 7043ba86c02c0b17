-- Which channel (开票渠道) the store issues through: a row for each that came into force, the last being the present one.
-- ``nonce`` is drawn anew for each, and after a restore: blocks of numbers are asked for under it, so that no other store,
-- and no other life of this one, is ever given the same block.

CREATE TABLE channels (
    turn     BIGINT PRIMARY KEY,
    channel  TEXT NOT NULL,
    live     BIGINT NOT NULL,
    nonce    TEXT NOT NULL,
    since_ms BIGINT NOT NULL
);

-- What a channel said last of an outcome that is open, in its own words and codes: for whoever must find out.
ALTER TABLE issues ADD COLUMN said TEXT NOT NULL DEFAULT '';
ALTER TABLE red_forms ADD COLUMN said TEXT NOT NULL DEFAULT '';

-- When a red form was last sent: some channels know no serial of ours, and list a form only when it is worked through.
ALTER TABLE red_forms ADD COLUMN sent_at_ms BIGINT;
