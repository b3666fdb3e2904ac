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

-- Where a person is paid, one per method (1 WeChat, 2 Alipay).
CREATE TABLE payee (
    user_id    INTEGER NOT NULL REFERENCES holder (user_id),
    method     INTEGER NOT NULL,
    payee_id   TEXT    NOT NULL,
    real_name  TEXT    NOT NULL,
    mp_openid  TEXT    NOT NULL,
    dev_openid TEXT    NOT NULL,
    min_openid TEXT    NOT NULL,
    nickname   TEXT    NOT NULL,
    sex        INTEGER NOT NULL,
    bound_at   INTEGER NOT NULL,
    PRIMARY KEY (user_id, method)
) STRICT;
