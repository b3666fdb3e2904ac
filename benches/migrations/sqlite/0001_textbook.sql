-- The textbook ledger of the comparison: as few tables, columns and indexes as its answers need.

-- A key that was used, and by which request. `id` is the transfer's.
CREATE TABLE request (
    id         INTEGER PRIMARY KEY,
    key        TEXT    NOT NULL UNIQUE,
    digest     BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE account (
    id         INTEGER PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    currency   TEXT    NOT NULL,
    available  INTEGER NOT NULL CHECK (available >= 0),
    frozen     INTEGER NOT NULL CHECK (frozen >= 0),
    last_seq   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (user_id, currency)
) STRICT;

-- Money set aside. State 1 open, 2 settled, 3 released.
CREATE TABLE hold (
    id         INTEGER PRIMARY KEY,
    key        TEXT    NOT NULL UNIQUE,
    account_id INTEGER NOT NULL,
    amount     INTEGER NOT NULL CHECK (amount > 0),
    kind       INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    settled    INTEGER NOT NULL,
    released   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL
) STRICT;

-- `id` is the transfer's times 16 and the entry's place in it.
CREATE TABLE entry (
    id              INTEGER PRIMARY KEY,
    account_id      INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    kind            INTEGER NOT NULL,
    available_delta INTEGER NOT NULL,
    frozen_delta    INTEGER NOT NULL,
    available_after INTEGER NOT NULL,
    frozen_after    INTEGER NOT NULL,
    counter         TEXT    NOT NULL,
    counter_user_id INTEGER NOT NULL,
    hold_key        TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    UNIQUE (account_id, seq)
) STRICT;
