-- The ledger. Amounts are integers in minor units, times UTC microseconds, 0 = not set.

-- One row: the version every batch is guarded by, the counters that give dense ids in commit order, and
-- the hash over all entries so far, so that the newest entry of an account cannot be edited or lost unseen.
CREATE TABLE ledger_head (
    id              BIGINT  PRIMARY KEY CHECK (id = 1),
    version         BIGINT  NOT NULL,
    last_entry_id   BIGINT  NOT NULL,
    last_account_id BIGINT  NOT NULL,
    last_hold_id    BIGINT  NOT NULL,
    last_time_us    BIGINT  NOT NULL,
    hash            BYTEA   NOT NULL
);
INSERT INTO ledger_head VALUES (1, 0, 0, 0, 0, 0, ''::bytea);

-- A person's account (user_id) or a counter-account (counter): who it belongs to and what operators set.
-- No money is in it. A person's balances are what their last entry says, a counter-account's balance what the last
-- entry that tells it does (entry.counter_after); see account_now.
CREATE TABLE account (
    id              BIGINT  PRIMARY KEY,
    user_id         BIGINT,
    counter         TEXT,
    currency        TEXT    NOT NULL,
    overdraft_limit BIGINT  NOT NULL,
    locked_at       BIGINT  NOT NULL,
    created_at      BIGINT  NOT NULL,
    updated_at      BIGINT  NOT NULL,
    UNIQUE (user_id, currency),
    UNIQUE (counter, currency),
    CHECK (length(currency) = 3 AND overdraft_limit >= 0 AND (user_id IS NULL) <> (counter IS NULL))
);

-- Money set aside. State 1 open, 2 settled, 3 released.
-- `due_at` is when it is still to be released by itself, NULL when never or when it has ended. A hold that was never
-- scheduled ends without a change of anything that an index is over, and there is room for it on its page: it is entered
-- into no index again.
-- Without a foreign key: accounts are never deleted, each check locks the account's row, and `verify` looks for
-- holds of nobody. One CHECK, because each is read anew for every statement.
CREATE TABLE hold (
    id         BIGINT  PRIMARY KEY,
    key        TEXT COLLATE "C" NOT NULL UNIQUE,
    account_id BIGINT  NOT NULL,
    amount     BIGINT  NOT NULL,
    kind       BIGINT  NOT NULL,
    state      BIGINT  NOT NULL,
    settled    BIGINT  NOT NULL,
    released   BIGINT  NOT NULL,
    release_at BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    ended_at   BIGINT  NOT NULL,
    due_at     BIGINT,
    CONSTRAINT hold_adds_up CHECK (amount > 0 AND settled >= 0 AND released >= 0 AND CASE state
           WHEN 1 THEN settled + released = 0 AND COALESCE(due_at, 0) = release_at
           WHEN 2 THEN settled > 0 AND settled + released = amount AND due_at IS NULL
           WHEN 3 THEN settled = 0 AND released = amount AND due_at IS NULL
           ELSE FALSE END)
) WITH (fillfactor = 50);
CREATE INDEX hold_by_account ON hold (account_id, id);
CREATE INDEX hold_due ON hold (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX hold_scheduled ON hold (account_id, due_at) WHERE due_at IS NOT NULL;

-- The history. Rows are never changed. `key` stands on the first entry of a command. The columns from
-- available_after to overdraft_limit are the whole state of the account after it (no limit: NULL).
-- `counter_after` is the balance of the counter-account after it, told once for each in a batch: by the last entry against it.
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
    income_total    BIGINT  NOT NULL,
    withdrawn_total BIGINT  NOT NULL,
    last_income_at  BIGINT  NOT NULL,
    overdraft_limit BIGINT,
    counter_id      BIGINT,
    counter_after   BIGINT,
    hold_id         BIGINT,
    facts           TEXT,
    created_at      BIGINT  NOT NULL,
    hash            BYTEA   NOT NULL,
    UNIQUE (account_id, seq),
    CONSTRAINT entry_keeps_to_the_limit
        CHECK (available_after >= -COALESCE(overdraft_limit, 0) AND frozen_after >= 0)
);
-- In the order of transfers, which is that of ids too: no other index has it, so none is read backwards through all of the
-- history for an account that few entries are against.
CREATE INDEX entry_of_counter ON entry (counter_id, transfer_id) WHERE counter_after IS NOT NULL;
CREATE FUNCTION entry_is_final() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'entries are never changed or deleted'; END $$;
CREATE TRIGGER entry_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
FOR EACH STATEMENT EXECUTE FUNCTION entry_is_final();

-- Every account as it is: what its row says and what its last entry left.
CREATE VIEW account_now AS
SELECT a.id, a.user_id, a.counter, a.currency,
    COALESCE(e.available_after, c.counter_after, 0) AS available,
    COALESCE(e.frozen_after, 0) AS frozen,
    a.overdraft_limit, a.locked_at,
    COALESCE(e.income_total, 0) AS income_total,
    COALESCE(e.income_total - e.withdrawn_total - e.available_after - e.frozen_after, 0) AS spend_total,
    COALESCE(e.withdrawn_total, 0) AS withdrawn_total,
    COALESCE(e.last_income_at, 0) AS last_income_at,
    COALESCE(e.seq, 0) AS last_seq,
    COALESCE(e.hash, ''::bytea) AS last_hash,
    a.created_at,
    GREATEST(a.updated_at, e.created_at, c.created_at) AS updated_at
FROM account a LEFT JOIN LATERAL
    (SELECT * FROM entry WHERE entry.account_id = a.id ORDER BY entry.seq DESC LIMIT 1) e ON true
LEFT JOIN LATERAL
    (SELECT counter_after, created_at FROM entry WHERE a.counter IS NOT NULL AND entry.counter_id = a.id
     AND entry.counter_after IS NOT NULL ORDER BY entry.transfer_id DESC LIMIT 1) c ON true;

-- Answers that entries alone do not tell (an operator's adjustment): the account as it was answered.
CREATE TABLE receipt (
    key        TEXT COLLATE "C" PRIMARY KEY,
    digest     BYTEA   NOT NULL,
    reply      TEXT    NOT NULL,
    created_at BIGINT  NOT NULL
);
