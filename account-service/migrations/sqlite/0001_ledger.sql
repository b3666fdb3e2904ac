-- The ledger. Amounts are integers in minor units, times UTC microseconds, 0 = not set.

-- One row: the version every batch is guarded by, the counters that give dense ids in commit order, and
-- the hash over all entries so far, so that the newest entry of an account cannot be edited or lost unseen.
CREATE TABLE ledger_head (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    version         INTEGER NOT NULL,
    last_entry_id   INTEGER NOT NULL,
    last_account_id INTEGER NOT NULL,
    last_hold_id    INTEGER NOT NULL,
    last_time_us    INTEGER NOT NULL,
    hash            BLOB    NOT NULL
) STRICT;
INSERT INTO ledger_head VALUES (1, 0, 0, 0, 0, 0, x'');

-- A person's account (user_id) or a counter-account (counter): who it belongs to and what operators set.
-- No money is in it. A person's balances are what their last entry says, a counter-account's balance what the last
-- entry that tells it does (entry.counter_after); see account_now.
CREATE TABLE account (
    id              INTEGER PRIMARY KEY,
    user_id         INTEGER,
    counter         TEXT,
    currency        TEXT    NOT NULL,
    overdraft_limit INTEGER NOT NULL,
    locked_at       INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    UNIQUE (user_id, currency),
    UNIQUE (counter, currency),
    CHECK (length(currency) = 3 AND overdraft_limit >= 0 AND (user_id IS NULL) <> (counter IS NULL))
) STRICT;

-- Money set aside. State 1 open, 2 settled, 3 released.
-- `due_at` is when it is still to be released by itself, NULL when never or when it has ended.
-- Without a foreign key, as on PostgreSQL: accounts are never deleted, and `verify` looks for holds of nobody.
CREATE TABLE hold (
    id         INTEGER PRIMARY KEY,
    key        TEXT    NOT NULL UNIQUE,
    account_id INTEGER NOT NULL,
    amount     INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    settled    INTEGER NOT NULL,
    released   INTEGER NOT NULL,
    release_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    due_at     INTEGER,
    CONSTRAINT hold_adds_up CHECK (amount > 0 AND settled >= 0 AND released >= 0 AND CASE state
           WHEN 1 THEN settled + released = 0 AND COALESCE(due_at, 0) = release_at
           WHEN 2 THEN settled > 0 AND settled + released = amount AND due_at IS NULL
           WHEN 3 THEN settled = 0 AND released = amount AND due_at IS NULL
           ELSE FALSE END)
) STRICT;
CREATE INDEX hold_by_account ON hold (account_id, id);
CREATE INDEX hold_due ON hold (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX hold_scheduled ON hold (account_id, due_at) WHERE due_at IS NOT NULL;

-- The history. Rows are never changed. `key` stands on the first entry of a command. The columns from
-- available_after to overdraft_limit are the whole state of the account after it (no limit: NULL).
-- `counter_after` is the balance of the counter-account after it, told once for each in a batch: by the last entry against it.
CREATE TABLE entry (
    id              INTEGER PRIMARY KEY,
    account_id      INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    transfer_id     INTEGER NOT NULL,
    key             TEXT UNIQUE,
    digest          BLOB,
    kind            INTEGER NOT NULL,
    available_delta INTEGER NOT NULL,
    frozen_delta    INTEGER NOT NULL,
    available_after INTEGER NOT NULL,
    frozen_after    INTEGER NOT NULL,
    income_total    INTEGER NOT NULL,
    withdrawn_total INTEGER NOT NULL,
    last_income_at  INTEGER NOT NULL,
    overdraft_limit INTEGER,
    counter_id      INTEGER,
    counter_after   INTEGER,
    hold_id         INTEGER,
    facts           TEXT,
    created_at      INTEGER NOT NULL,
    hash            BLOB    NOT NULL,
    UNIQUE (account_id, seq),
    CONSTRAINT entry_keeps_to_the_limit
        CHECK (available_after >= -COALESCE(overdraft_limit, 0) AND frozen_after >= 0)
) STRICT;
-- In the order of transfers, which is that of ids too: no other index has it, so none is read backwards through all of the
-- history for an account that few entries are against.
CREATE INDEX entry_of_counter ON entry (counter_id, transfer_id) WHERE counter_after IS NOT NULL;
CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;

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
    COALESCE(e.hash, x'') AS last_hash,
    a.created_at,
    MAX(a.updated_at, COALESCE(e.created_at, 0), COALESCE(c.created_at, 0)) AS updated_at
FROM account a LEFT JOIN entry e ON e.account_id = a.id
    AND e.seq = (SELECT MAX(last.seq) FROM entry last WHERE last.account_id = a.id)
LEFT JOIN entry c ON a.counter IS NOT NULL AND c.id = (SELECT last.id FROM entry last
    WHERE last.counter_id = a.id AND last.counter_after IS NOT NULL ORDER BY last.transfer_id DESC LIMIT 1);

-- Answers that entries alone do not tell (an operator's adjustment): the account as it was answered.
CREATE TABLE receipt (
    key        TEXT PRIMARY KEY,
    digest     BLOB    NOT NULL,
    reply      TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
