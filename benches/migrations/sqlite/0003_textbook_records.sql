-- What the careful textbook cash-out service writes down besides: enough to pay to the right place, never
-- more than a person may take in a day, and to say afterwards what was done. Without foreign keys, like the
-- service it is compared with.

-- Where a person is paid.
CREATE TABLE payee (
    user_id  INTEGER PRIMARY KEY,
    payee_id TEXT    NOT NULL
) STRICT;
CREATE INDEX cash_out_of_user ON cash_out (user_id, created_at);

-- Approvals of exactly this content.
CREATE TABLE review (
    cash_out_id    INTEGER NOT NULL,
    content_digest BLOB    NOT NULL,
    reviewer       INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    PRIMARY KEY (cash_out_id, content_digest, reviewer)
) STRICT, WITHOUT ROWID;

-- Written before the provider is called: the number and the exact request. One at a time is live.
CREATE TABLE attempt (
    number      TEXT    PRIMARY KEY,
    cash_out_id INTEGER NOT NULL,
    payee_id    TEXT    NOT NULL,
    amount      INTEGER NOT NULL CHECK (amount > 0),
    body        BLOB    NOT NULL,
    digest      BLOB    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('live', 'paid', 'failed')),
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX attempt_one_live ON attempt (cash_out_id) WHERE state = 'live';

-- Written before each call to the provider, completed with its answer.
CREATE TABLE provider_call (
    id        INTEGER PRIMARY KEY,
    number    TEXT    NOT NULL,
    operation TEXT    NOT NULL,
    outcome   TEXT    NOT NULL,
    at        INTEGER NOT NULL
) STRICT;
