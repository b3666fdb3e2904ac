-- The person behind accounts.
CREATE TABLE holder (
    user_id     INTEGER PRIMARY KEY,
    username    TEXT    NOT NULL,
    mobile      TEXT    NOT NULL,
    is_member   INTEGER NOT NULL,
    saved_minor INTEGER NOT NULL,
    privileges  TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX holder_by_username ON holder (username);

-- Where a person is paid, one per method (1 WeChat, 2 Alipay). Every BLOB is a text sealed for its
-- place (src/sealing.rs) with the key that key_id names; the key itself is never here.
CREATE TABLE payee (
    user_id    INTEGER NOT NULL REFERENCES holder (user_id),
    method     INTEGER NOT NULL,
    payee_id   BLOB    NOT NULL,
    real_name  BLOB    NOT NULL,
    mp_openid  BLOB    NOT NULL,
    dev_openid BLOB    NOT NULL,
    min_openid BLOB    NOT NULL,
    nickname   BLOB    NOT NULL,
    sex        INTEGER NOT NULL,
    bound_at   INTEGER NOT NULL,
    key_id     TEXT    NOT NULL,
    PRIMARY KEY (user_id, method)
) STRICT;
-- Which keys are in use, and what an old one still seals.
CREATE INDEX payee_by_key ON payee (key_id, user_id, method);
