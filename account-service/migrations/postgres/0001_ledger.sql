-- The ledger. Amounts are integers in minor units, times UTC microseconds, 0 = not set.

-- One row: the version every batch is guarded by, and the counters that give dense ids in commit order.
CREATE TABLE ledger_head (
    id              BIGINT  PRIMARY KEY CHECK (id = 1),
    version         BIGINT  NOT NULL,
    last_entry_id   BIGINT  NOT NULL,
    last_account_id BIGINT  NOT NULL,
    last_hold_id    BIGINT  NOT NULL,
    last_time_us    BIGINT  NOT NULL
);
INSERT INTO ledger_head VALUES (1, 0, 0, 0, 0, 0);

-- A person's account (user_id) or a counter-account (counter). A cache of its last entry.
CREATE TABLE account (
    id              BIGINT  PRIMARY KEY,
    user_id         BIGINT,
    counter         TEXT,
    currency        TEXT    NOT NULL CHECK (length(currency) = 3),
    available       BIGINT  NOT NULL,
    frozen          BIGINT  NOT NULL,
    overdraft_limit BIGINT  NOT NULL CHECK (overdraft_limit >= 0),
    overdraft_peak  BIGINT  NOT NULL,
    locked_at       BIGINT  NOT NULL,
    income_total    BIGINT  NOT NULL,
    spend_total     BIGINT  NOT NULL,
    withdrawn_total BIGINT  NOT NULL,
    last_income_at  BIGINT  NOT NULL,
    last_seq        BIGINT  NOT NULL,
    last_hash       BYTEA   NOT NULL,
    created_at      BIGINT  NOT NULL,
    updated_at      BIGINT  NOT NULL,
    UNIQUE (user_id, currency),
    UNIQUE (counter, currency),
    CHECK ((user_id IS NULL) <> (counter IS NULL)),
    CHECK (counter IS NOT NULL OR (available >= -overdraft_limit AND frozen >= 0))
) WITH (fillfactor = 60);

-- Money set aside. State 1 open, 2 settled, 3 released.
CREATE TABLE hold (
    id         BIGINT  PRIMARY KEY,
    key        TEXT COLLATE "C" NOT NULL UNIQUE,
    account_id BIGINT  NOT NULL REFERENCES account (id),
    amount     BIGINT  NOT NULL CHECK (amount > 0),
    kind       BIGINT  NOT NULL,
    state      BIGINT  NOT NULL CHECK (state IN (1, 2, 3)),
    settled    BIGINT  NOT NULL CHECK (settled >= 0),
    released   BIGINT  NOT NULL CHECK (released >= 0),
    release_at BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    ended_at   BIGINT  NOT NULL,
    CHECK (CASE state WHEN 1 THEN settled + released = 0 WHEN 2 THEN settled > 0 AND settled + released = amount
           ELSE settled = 0 AND released = amount END)
);
CREATE INDEX hold_by_account ON hold (account_id, id);
CREATE INDEX hold_due ON hold (release_at) WHERE state = 1 AND release_at > 0;

-- The history. Rows are never changed. `key` stands on the first entry of a command.
CREATE TABLE entry (
    id              BIGINT  PRIMARY KEY,
    account_id      BIGINT  NOT NULL,
    seq             BIGINT  NOT NULL,
    transfer_id     BIGINT  NOT NULL,
    key             TEXT COLLATE "C" UNIQUE,
    digest          BYTEA,
    kind            BIGINT  NOT NULL,
    available_delta BIGINT  NOT NULL,
    frozen_delta    BIGINT  NOT NULL,
    available_after BIGINT  NOT NULL,
    frozen_after    BIGINT  NOT NULL,
    counter_id      BIGINT,
    hold_id         BIGINT,
    facts           TEXT,
    created_at      BIGINT  NOT NULL,
    hash            BYTEA   NOT NULL,
    UNIQUE (account_id, seq)
);
CREATE FUNCTION entry_is_final() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'entries are never changed or deleted'; END $$;
CREATE TRIGGER entry_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
FOR EACH STATEMENT EXECUTE FUNCTION entry_is_final();

-- Answers that entries alone do not tell (an operator's adjustment): the account as it was answered.
CREATE TABLE receipt (
    key        TEXT COLLATE "C" PRIMARY KEY,
    digest     BYTEA   NOT NULL,
    reply      TEXT    NOT NULL,
    created_at BIGINT  NOT NULL
);
