-- The books of the simulated providers: an independent witness of what was asked and what was paid.
-- Times are virtual microseconds since 1970, amounts are minor units.
CREATE TABLE payouts (
    provider      TEXT    NOT NULL,
    number        TEXT    NOT NULL,
    third_no      TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    amount_minor  INTEGER NOT NULL CHECK (amount_minor > 0),
    payee         TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    terms         TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    fail_reason   TEXT    NOT NULL,
    pending_us    INTEGER NOT NULL,
    confirm_us    INTEGER,
    paying_us     INTEGER NOT NULL,
    fails         TEXT    NOT NULL,
    due_at_us     INTEGER,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL,
    paid_at_us    INTEGER,
    -- Counted, and not forbidden: a witness that could not see a second payment would be none.
    times_paid    INTEGER NOT NULL,
    PRIMARY KEY (provider, number)
) STRICT;
CREATE UNIQUE INDEX payouts_third_no ON payouts (provider, third_no);
CREATE INDEX payouts_due ON payouts (due_at_us) WHERE due_at_us IS NOT NULL;

-- Every change of state of every payout.
CREATE TABLE changes (
    id         INTEGER PRIMARY KEY,
    provider   TEXT    NOT NULL,
    number     TEXT    NOT NULL,
    at_us      INTEGER NOT NULL,
    from_state TEXT    NOT NULL,
    to_state   TEXT    NOT NULL
) STRICT;
CREATE INDEX changes_number ON changes (provider, number);

-- Every request that was heard, also those that were then lost on purpose.
CREATE TABLE requests (
    id          INTEGER PRIMARY KEY,
    at_us       INTEGER NOT NULL,
    provider    TEXT    NOT NULL,
    operation   TEXT    NOT NULL,
    number      TEXT    NOT NULL,
    -- SHA-256 of what was sent, exactly as it was sent.
    body_digest TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    -- What went wrong on purpose.
    faults      TEXT    NOT NULL
) STRICT;
CREATE INDEX requests_number ON requests (provider, number);

-- What a merchant has there: free, and set aside for payouts under way.
CREATE TABLE funds (
    provider        TEXT    PRIMARY KEY,
    available_minor INTEGER NOT NULL,
    locked_minor    INTEGER NOT NULL CHECK (locked_minor >= 0)
) STRICT;

-- Money that really came or went: what bills are made of.
CREATE TABLE flows (
    id            INTEGER PRIMARY KEY,
    provider      TEXT    NOT NULL,
    at_us         INTEGER NOT NULL,
    number        TEXT    NOT NULL,
    third_no      TEXT    NOT NULL,
    amount_minor  INTEGER NOT NULL,
    balance_minor INTEGER NOT NULL,
    note          TEXT    NOT NULL
) STRICT;
CREATE INDEX flows_day ON flows (provider, at_us);

-- Notifications, and how often each was sent.
CREATE TABLE notifications (
    id            TEXT    PRIMARY KEY,
    provider      TEXT    NOT NULL,
    number        TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    created_at_us INTEGER NOT NULL,
    -- Nothing once it was heard, or given up.
    due_at_us     INTEGER,
    tries         INTEGER NOT NULL,
    outcome       TEXT    NOT NULL
) STRICT;
CREATE INDEX notifications_due ON notifications (due_at_us) WHERE due_at_us IS NOT NULL;

-- What was set over HTTP and outlives a restart.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
