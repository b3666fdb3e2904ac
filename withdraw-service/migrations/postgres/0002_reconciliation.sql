-- The days whose bill was compared to the end.
CREATE TABLE bill (
    provider TEXT NOT NULL,
    bill_day TEXT NOT NULL,
    digest TEXT NOT NULL,
    lines BIGINT NOT NULL,
    read_at_us BIGINT NOT NULL,
    PRIMARY KEY (provider, bill_day)
);

-- What bills say of our numbers: a payout near midnight may stand in the neighbouring day's bill, and one
-- that was paid twice or came back in another day's.
CREATE TABLE billed (
    provider TEXT NOT NULL,
    bill_day TEXT NOT NULL,
    number TEXT NOT NULL,
    withdrawal_id BIGINT NOT NULL,
    out_count BIGINT NOT NULL,
    out_minor BIGINT NOT NULL,
    in_minor BIGINT NOT NULL,
    PRIMARY KEY (provider, number, bill_day)
);
CREATE INDEX billed_of_day ON billed (provider, bill_day);
CREATE INDEX billed_of_withdrawal ON billed (withdrawal_id);

-- Where ledger, attempts and bills do not agree. Nothing moves by a row here; a person decides.
CREATE TABLE difference (
    id BIGINT PRIMARY KEY,
    provider TEXT NOT NULL,
    number TEXT NOT NULL,
    kind TEXT NOT NULL,
    bill_day TEXT NOT NULL,
    withdrawal_id BIGINT NOT NULL,
    provider_number TEXT NOT NULL,
    ours_minor BIGINT,
    theirs_minor BIGINT,
    evidence TEXT NOT NULL,
    first_seen_us BIGINT NOT NULL,
    last_seen_us BIGINT NOT NULL,
    resolution TEXT NOT NULL CHECK (resolution IN ('', 'vanished', 'noted')),
    resolved_by TEXT NOT NULL,
    note TEXT NOT NULL,
    resolved_at_us BIGINT NOT NULL,
    UNIQUE (provider, number, kind)
);
CREATE INDEX difference_of_day ON difference (provider, bill_day);
CREATE INDEX difference_open ON difference (id) WHERE resolution = '';
