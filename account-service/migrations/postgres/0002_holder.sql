-- The person behind accounts.
CREATE TABLE holder (
    user_id     BIGINT  PRIMARY KEY,
    username    TEXT    NOT NULL,
    mobile      TEXT    NOT NULL,
    is_member   BIGINT  NOT NULL,
    saved_minor BIGINT  NOT NULL,
    privileges  TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL
);
CREATE INDEX holder_by_username ON holder (username);

-- Where a person is paid, one per method (1 WeChat, 2 Alipay). Every BYTEA is a text sealed for its
-- place (src/sealing.rs) with the key that key_id names; the key itself is never here.
CREATE TABLE payee (
    user_id    BIGINT  NOT NULL REFERENCES holder (user_id),
    method     BIGINT  NOT NULL,
    payee_id   BYTEA   NOT NULL,
    real_name  BYTEA   NOT NULL,
    mp_openid  BYTEA   NOT NULL,
    dev_openid BYTEA   NOT NULL,
    min_openid BYTEA   NOT NULL,
    nickname   BYTEA   NOT NULL,
    sex        BIGINT  NOT NULL,
    bound_at   BIGINT  NOT NULL,
    key_id     TEXT    NOT NULL,
    PRIMARY KEY (user_id, method)
);
-- Which keys are in use, and what an old one still seals.
CREATE INDEX payee_by_key ON payee (key_id, user_id, method);
