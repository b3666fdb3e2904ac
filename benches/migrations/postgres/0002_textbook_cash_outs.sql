-- The textbook cash-out service of the comparison, in a database of its own beside the textbook ledger.

-- One cash-out. Status as in the contract: 3 in review, 4 approved, 9 paying, 13 paid; of the careful service
-- also 1 requested, 2 declined, 12 settling, and where it is paid (empty otherwise).
CREATE TABLE cash_out (
    id             BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_key    TEXT COLLATE "C" NOT NULL UNIQUE,
    digest         BYTEA   NOT NULL,
    cash_sn        TEXT COLLATE "C" NOT NULL UNIQUE,
    user_id        BIGINT  NOT NULL,
    apply          BIGINT  NOT NULL CHECK (apply > 0),
    method         BIGINT  NOT NULL,
    payee_id       TEXT    NOT NULL,
    status         BIGINT  NOT NULL,
    trade_no       TEXT    NOT NULL,
    third_trade_no TEXT    NOT NULL,
    created_at     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL,
    paid_at        BIGINT  NOT NULL
) WITH (fillfactor = 60);

-- Every change of status.
CREATE TABLE history (
    id          BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cash_out_id BIGINT  NOT NULL,
    from_status BIGINT  NOT NULL,
    to_status   BIGINT  NOT NULL,
    actor       TEXT    NOT NULL,
    at          BIGINT  NOT NULL
);

-- The sandbox provider's own books, as the real service's sandbox keeps them.
CREATE TABLE payout (
    number         TEXT COLLATE "C" PRIMARY KEY,
    amount         BIGINT  NOT NULL,
    third_trade_no TEXT    NOT NULL,
    created_at     BIGINT  NOT NULL
);
