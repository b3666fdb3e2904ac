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

-- Where a person is paid, one per method (1 WeChat, 2 Alipay).
CREATE TABLE payee (
    user_id    BIGINT  NOT NULL REFERENCES holder (user_id),
    method     BIGINT  NOT NULL,
    payee_id   TEXT    NOT NULL,
    real_name  TEXT    NOT NULL,
    mp_openid  TEXT    NOT NULL,
    dev_openid TEXT    NOT NULL,
    min_openid TEXT    NOT NULL,
    nickname   TEXT    NOT NULL,
    sex        BIGINT  NOT NULL,
    bound_at   BIGINT  NOT NULL,
    PRIMARY KEY (user_id, method)
);
