-- Position of the last history line. On PostgreSQL its row is the write lock, and every commit of a writer
-- moves the version: what was read at a version is still so while it stands (docs/decisions/0020).
CREATE TABLE stream_head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    last_sequence BIGINT NOT NULL,
    version BIGINT NOT NULL
);
INSERT INTO stream_head (id, last_sequence, version) VALUES (1, 0, 1);

-- What was asked for: never changed, but that a key is free again when its request was declined.
CREATE TABLE withdrawal (
    id BIGINT PRIMARY KEY,
    cash_sn TEXT NOT NULL UNIQUE,
    user_id BIGINT NOT NULL,
    currency TEXT NOT NULL,
    apply_minor BIGINT NOT NULL,
    fee_minor BIGINT NOT NULL CHECK (fee_minor >= 0),
    actual_minor BIGINT NOT NULL CHECK (actual_minor > 0),
    method BIGINT NOT NULL,
    provider TEXT NOT NULL,
    mobile TEXT NOT NULL,
    payee_id TEXT NOT NULL,
    payee_name TEXT NOT NULL,
    remark TEXT NOT NULL,
    reviewers_required BIGINT NOT NULL CHECK (reviewers_required >= 1),
    created_at_us BIGINT NOT NULL,
    payable_from_us BIGINT NOT NULL,
    request_key TEXT,
    request_digest BYTEA NOT NULL,
    CHECK (apply_minor = actual_minor + fee_minor)
);
CREATE INDEX withdrawal_of_user ON withdrawal (user_id, created_at_us);
CREATE INDEX withdrawal_by_created ON withdrawal (created_at_us, id);
CREATE UNIQUE INDEX withdrawal_by_key ON withdrawal (user_id, request_key)
    WHERE request_key IS NOT NULL;

-- How it stands. A table of its own with few indexes: it changes with every step (docs/decisions/0021).
CREATE TABLE withdrawal_state (
    id BIGINT PRIMARY KEY,
    status BIGINT NOT NULL,
    version BIGINT NOT NULL,
    review_remark TEXT NOT NULL,
    content_digest TEXT NOT NULL,
    trade_no TEXT NOT NULL,
    third_trade_no TEXT NOT NULL,
    pay_requested_at_us BIGINT NOT NULL,
    paid_at_us BIGINT NOT NULL,
    updated_at_us BIGINT NOT NULL,
    decided_by TEXT NOT NULL,
    unknown_since_us BIGINT NOT NULL,
    -- What the payee's app needs to ask for the confirmation; empty when there is nothing to confirm.
    confirm_mch_id TEXT NOT NULL,
    confirm_app_id TEXT NOT NULL,
    confirm_package TEXT NOT NULL,
    effect TEXT,
    -- Who can keep the effect waiting; NULL when nothing is due.
    lane BIGINT,
    next_run_at_us BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    lease_owner TEXT NOT NULL,
    lease_until_us BIGINT NOT NULL,
    CHECK ((effect IS NULL) = (lane IS NULL))
);
CREATE INDEX withdrawal_due ON withdrawal_state (lane, next_run_at_us) WHERE lane IS NOT NULL;

-- Both together, for readers.
CREATE VIEW withdrawal_now AS SELECT w.*, s.status, s.version, s.review_remark, s.content_digest,
    s.trade_no, s.third_trade_no, s.pay_requested_at_us, s.paid_at_us, s.updated_at_us, s.decided_by,
    s.unknown_since_us, s.confirm_mch_id, s.confirm_app_id, s.confirm_package, s.effect, s.lane,
    s.next_run_at_us, s.tries, s.lease_owner, s.lease_until_us
    FROM withdrawal w JOIN withdrawal_state s ON s.id = w.id;

-- Every change of status. The id is the stream's sequence: dense, in commit order.
--
-- Tables that every cash-out writes have no foreign keys: what they would refer to is never deleted, each
-- check is one more look and lock, and `verify` looks for rows that belong to nothing.
CREATE TABLE history (
    id BIGINT PRIMARY KEY,
    withdrawal_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    from_status BIGINT NOT NULL,
    to_status BIGINT NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    at_us BIGINT NOT NULL
);
CREATE INDEX history_of_withdrawal ON history (withdrawal_id, id);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'what % recorded is never changed', TG_TABLE_NAME; END $$;
CREATE TRIGGER withdrawal_no_delete BEFORE DELETE OR TRUNCATE ON withdrawal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER withdrawal_no_update BEFORE UPDATE OF id, cash_sn, user_id, currency, apply_minor, fee_minor, actual_minor, method, provider,
    mobile, payee_id, payee_name, remark, reviewers_required, created_at_us, payable_from_us, request_digest
    ON withdrawal FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER withdrawal_key_is_freed_only BEFORE UPDATE OF request_key ON withdrawal
    FOR EACH ROW WHEN (NEW.request_key IS NOT NULL) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER withdrawal_state_no_delete BEFORE DELETE OR TRUNCATE ON withdrawal_state
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER history_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Approvals of exactly this content. Another content needs new ones.
CREATE TABLE review (
    withdrawal_id BIGINT NOT NULL,
    content_digest TEXT NOT NULL,
    reviewer BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    PRIMARY KEY (withdrawal_id, content_digest, reviewer)
);

-- Written before the provider is called; never changed but for its state.
CREATE TABLE attempt (
    number TEXT PRIMARY KEY,
    withdrawal_id BIGINT NOT NULL,
    provider TEXT NOT NULL,
    payee_id TEXT NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    body BYTEA NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'paid', 'failed')),
    created_at_us BIGINT NOT NULL
);
CREATE UNIQUE INDEX attempt_one_live ON attempt (withdrawal_id) WHERE state = 'live';
CREATE INDEX attempt_of_withdrawal ON attempt (withdrawal_id, created_at_us);
-- It ends once. Ending one names no other column, so the first trigger costs nothing then.
CREATE TRIGGER attempt_no_update BEFORE UPDATE OF number, withdrawal_id, provider, payee_id, amount_minor,
    body, digest, created_at_us ON attempt FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER attempt_ends_once BEFORE UPDATE OF state ON attempt
    FOR EACH ROW WHEN (OLD.state <> 'live') EXECUTE FUNCTION refuse_change();
CREATE TRIGGER attempt_no_delete BEFORE DELETE OR TRUNCATE ON attempt
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Written before each call, completed with its answer, for which there is room on its page: no index is touched again.
CREATE TABLE provider_call (
    id BIGINT PRIMARY KEY,
    number TEXT NOT NULL,
    operation TEXT NOT NULL CHECK (operation IN ('send', 'query', 'cancel')),
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    at_us BIGINT NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX provider_call_of_attempt ON provider_call (number, id);
-- It is answered once.
CREATE TRIGGER provider_call_no_update BEFORE UPDATE OF id, number, operation, at_us ON provider_call
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provider_call_answered_once BEFORE UPDATE OF outcome, detail ON provider_call
    FOR EACH ROW WHEN (OLD.outcome <> '') EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provider_call_no_delete BEFORE DELETE OR TRUNCATE ON provider_call
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE open_case (
    id BIGINT PRIMARY KEY,
    withdrawal_id BIGINT NOT NULL REFERENCES withdrawal (id),
    kind TEXT NOT NULL,
    evidence TEXT NOT NULL,
    opened_at_us BIGINT NOT NULL,
    resolution TEXT NOT NULL,
    resolved_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    resolved_at_us BIGINT NOT NULL
);
CREATE UNIQUE INDEX open_case_one_open ON open_case (withdrawal_id) WHERE resolution = '';
CREATE INDEX open_case_of_withdrawal ON open_case (withdrawal_id);

-- Whether payouts of a provider may be begun. A provider without a row was never paused.
CREATE TABLE channel (
    provider TEXT PRIMARY KEY,
    paused BIGINT NOT NULL CHECK (paused IN (0, 1)),
    cause TEXT NOT NULL CHECK (cause IN ('', 'operator', 'balance', 'provider')),
    reason TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at_us BIGINT NOT NULL,
    balance_minor BIGINT NOT NULL,
    balance_at_us BIGINT NOT NULL,
    CHECK ((paused = 0) = (cause = ''))
);

-- Every pause and every resumption.
CREATE TABLE channel_change (
    id BIGINT PRIMARY KEY,
    provider TEXT NOT NULL,
    paused BIGINT NOT NULL,
    cause TEXT NOT NULL,
    reason TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    at_us BIGINT NOT NULL
);
CREATE TRIGGER channel_change_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON channel_change
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What providers told by themselves, verified: hints, each kept once. Nothing of them is an outcome.
CREATE TABLE notification (
    provider TEXT NOT NULL,
    id TEXT NOT NULL,
    number TEXT NOT NULL,
    state TEXT NOT NULL,
    -- What it told of amount and payee: NULL and '' when it told nothing. The payee as a digest.
    amount_minor BIGINT,
    payee_digest TEXT NOT NULL,
    digest TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN
        ('asked', 'noted', 'late', 'contradiction', 'mismatch', 'unknown_number')),
    received_at_us BIGINT NOT NULL,
    PRIMARY KEY (provider, id)
);
CREATE INDEX notification_of_attempt ON notification (number);
CREATE TRIGGER notification_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON notification
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Answers under callers' keys, kept for ever.
CREATE TABLE answer (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BYTEA NOT NULL,
    reply BYTEA NOT NULL,
    at_us BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);

-- The sandbox provider's own books: an independent witness, as a real provider's would be.
CREATE TABLE sandbox_payout (
    number TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    payee_id TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('paid', 'refused', 'pending', 'lost', 'silent')),
    third_trade_no TEXT NOT NULL,
    due_at_us BIGINT NOT NULL,
    created_at_us BIGINT NOT NULL
);
