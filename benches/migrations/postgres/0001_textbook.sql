-- The textbook ledger of the comparison: as few tables, columns and indexes as its answers need.

-- A key that was used, and by which request. `id` is the transfer's.
CREATE TABLE request (
    key        TEXT COLLATE "C" PRIMARY KEY,
    id         BIGINT  GENERATED ALWAYS AS IDENTITY,
    digest     BYTEA   NOT NULL,
    created_at BIGINT  NOT NULL
);

-- Room on each page keeps updates off the indexes, as in the service it is compared with.
CREATE TABLE account (
    id         BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    BIGINT  NOT NULL,
    currency   TEXT    NOT NULL,
    available  BIGINT  NOT NULL CHECK (available >= 0),
    frozen     BIGINT  NOT NULL CHECK (frozen >= 0),
    last_seq   BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL,
    UNIQUE (user_id, currency)
) WITH (fillfactor = 60);

-- Money set aside. State 1 open, 2 settled, 3 released.
CREATE TABLE hold (
    key        TEXT COLLATE "C" PRIMARY KEY,
    id         BIGINT  NOT NULL,
    account_id BIGINT  NOT NULL,
    amount     BIGINT  NOT NULL CHECK (amount > 0),
    kind       BIGINT  NOT NULL,
    state      BIGINT  NOT NULL,
    settled    BIGINT  NOT NULL,
    released   BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    ended_at   BIGINT  NOT NULL
);

-- `id` is the transfer's times 16 and the entry's place in it.
CREATE TABLE entry (
    id              BIGINT  PRIMARY KEY,
    account_id      BIGINT  NOT NULL,
    seq             BIGINT  NOT NULL,
    kind            BIGINT  NOT NULL,
    available_delta BIGINT  NOT NULL,
    frozen_delta    BIGINT  NOT NULL,
    available_after BIGINT  NOT NULL,
    frozen_after    BIGINT  NOT NULL,
    counter         TEXT    NOT NULL,
    counter_user_id BIGINT  NOT NULL,
    hold_key        TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    UNIQUE (account_id, seq)
);
