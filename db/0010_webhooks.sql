-- Whom events are told by HTTP, and what is still to be told. db/README.md.

CREATE TABLE webhooks (
    id         TEXT    NOT NULL PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    url        TEXT    NOT NULL CHECK (length(url) BETWEEN 1 AND 1023),
    secret     BLOB    NOT NULL CHECK (length(secret) = 32),
    types      TEXT    NOT NULL DEFAULT '',
    enabled    INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    reason     TEXT    NOT NULL DEFAULT '',
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX webhooks_tenant ON webhooks (tenant);

CREATE TABLE outbox (
    event      TEXT    NOT NULL,
    webhook    TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    state      TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'dead')),
    attempts   INTEGER NOT NULL DEFAULT 0,
    next_ms    INTEGER NOT NULL,
    error      TEXT    NOT NULL DEFAULT '',
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (event, webhook)
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_webhook ON outbox (webhook);
CREATE INDEX outbox_due ON outbox (next_ms) WHERE state = 'waiting';
CREATE INDEX outbox_dead ON outbox (created_ms) WHERE state = 'dead';
