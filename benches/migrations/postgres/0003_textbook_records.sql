-- What the careful textbook cash-out service writes down besides: enough to pay to the right place, never
-- more than a person may take in a day, and to say afterwards what was done. Without foreign keys, like the
-- service it is compared with.

-- Where a person is paid. Locked by who asks for a cash-out, so that the sum of a day is one after the other.
CREATE TABLE payee (
    user_id  BIGINT PRIMARY KEY,
    payee_id TEXT   NOT NULL
);
CREATE INDEX cash_out_of_user ON cash_out (user_id, created_at);

-- Approvals of exactly this content.
CREATE TABLE review (
    cash_out_id    BIGINT NOT NULL,
    content_digest BYTEA  NOT NULL,
    reviewer       BIGINT NOT NULL,
    at             BIGINT NOT NULL,
    PRIMARY KEY (cash_out_id, content_digest, reviewer)
);

-- Written before the provider is called: the number and the exact request. One at a time is live.
CREATE TABLE attempt (
    number      TEXT COLLATE "C" PRIMARY KEY,
    cash_out_id BIGINT NOT NULL,
    payee_id    TEXT   NOT NULL,
    amount      BIGINT NOT NULL CHECK (amount > 0),
    body        BYTEA  NOT NULL,
    digest      BYTEA  NOT NULL,
    state       TEXT   NOT NULL CHECK (state IN ('live', 'paid', 'failed')),
    created_at  BIGINT NOT NULL
);
CREATE UNIQUE INDEX attempt_one_live ON attempt (cash_out_id) WHERE state = 'live';

-- Written before each call to the provider, completed with its answer.
CREATE TABLE provider_call (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number    TEXT   NOT NULL,
    operation TEXT   NOT NULL,
    outcome   TEXT   NOT NULL,
    at        BIGINT NOT NULL
) WITH (fillfactor = 60);
