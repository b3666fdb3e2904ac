-- The textbook cash-out service of the comparison, in a database of its own beside the textbook ledger.

-- One cash-out. Status as in the contract: 3 in review, 4 approved, 9 paying, 13 paid; of the careful service
-- also 1 requested, 2 declined, 12 settling, and where it is paid (empty otherwise).
CREATE TABLE cash_out (
    id             INTEGER PRIMARY KEY,
    request_key    TEXT    NOT NULL UNIQUE,
    digest         BLOB    NOT NULL,
    cash_sn        TEXT    NOT NULL UNIQUE,
    user_id        INTEGER NOT NULL,
    apply          INTEGER NOT NULL CHECK (apply > 0),
    method         INTEGER NOT NULL,
    payee_id       TEXT    NOT NULL,
    status         INTEGER NOT NULL,
    trade_no       TEXT    NOT NULL,
    third_trade_no TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    paid_at        INTEGER NOT NULL
) STRICT;

-- Every change of status.
CREATE TABLE history (
    id          INTEGER PRIMARY KEY,
    cash_out_id INTEGER NOT NULL,
    from_status INTEGER NOT NULL,
    to_status   INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    at          INTEGER NOT NULL
) STRICT;

-- The sandbox provider's own books, as the real service's sandbox keeps them.
CREATE TABLE payout (
    number         TEXT    PRIMARY KEY,
    amount         INTEGER NOT NULL,
    third_trade_no TEXT    NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT;
