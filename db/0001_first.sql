-- The first schema: who may relay, what was relayed, what was changed. Columns, units, writers and readers: db/README.md.

CREATE TABLE starts (
    id         INTEGER PRIMARY KEY,
    started_ms INTEGER NOT NULL,
    stopped_ms INTEGER,
    reason     TEXT,
    pid        INTEGER NOT NULL,
    version    TEXT    NOT NULL,
    batch      INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE tenants (
    name                 TEXT    NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 128),
    realm                TEXT    NOT NULL DEFAULT '' CHECK (length(realm) <= 128),
    status               TEXT    NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    max_allocations      INTEGER NOT NULL DEFAULT 0 CHECK (max_allocations >= 0),
    max_user_allocations INTEGER NOT NULL DEFAULT 0 CHECK (max_user_allocations >= 0),
    max_bps              INTEGER NOT NULL DEFAULT 0 CHECK (max_bps >= 0),
    max_lifetime_s       INTEGER NOT NULL DEFAULT 0 CHECK (max_lifetime_s >= 0),
    created_ms           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    realm      TEXT    NOT NULL,
    name       TEXT    NOT NULL CHECK (length(name) > 0),
    key        BLOB    NOT NULL CHECK (length(key) = 16),
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (realm, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    id         INTEGER PRIMARY KEY,
    realm      TEXT    NOT NULL,
    secret     TEXT    NOT NULL CHECK (length(secret) > 0),
    created_ms INTEGER NOT NULL,
    UNIQUE (realm, secret)
) STRICT;

-- The tables below are written in batches by a running server. A row that they refused would hold up its whole batch, so they check nothing.

CREATE TABLE sessions (
    id          INTEGER PRIMARY KEY,
    start       INTEGER NOT NULL REFERENCES starts (id),
    tenant      TEXT    NOT NULL,
    realm       TEXT    NOT NULL DEFAULT '',
    user        TEXT    NOT NULL,
    username    TEXT    NOT NULL DEFAULT '',
    transport   TEXT    NOT NULL,
    client      TEXT    NOT NULL DEFAULT '',
    relayed     TEXT    NOT NULL DEFAULT '',
    tags        TEXT    NOT NULL DEFAULT '',
    opened_ms   INTEGER NOT NULL,
    seen_ms     INTEGER NOT NULL,
    closed_ms   INTEGER,
    seconds     INTEGER,
    reason      TEXT,
    bytes_in    INTEGER NOT NULL DEFAULT 0,
    bytes_out   INTEGER NOT NULL DEFAULT 0,
    packets_in  INTEGER NOT NULL DEFAULT 0,
    packets_out INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX sessions_open ON sessions (start) WHERE closed_ms IS NULL;
CREATE INDEX sessions_tenant ON sessions (tenant, opened_ms);

CREATE TABLE usage (
    tenant      TEXT    NOT NULL,
    minute      INTEGER NOT NULL,
    user        TEXT    NOT NULL,
    transport   TEXT    NOT NULL,
    bytes_in    INTEGER NOT NULL,
    bytes_out   INTEGER NOT NULL,
    packets_in  INTEGER NOT NULL,
    packets_out INTEGER NOT NULL,
    PRIMARY KEY (tenant, minute, user, transport)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms  INTEGER NOT NULL,
    who    TEXT    NOT NULL,
    type   TEXT    NOT NULL,
    detail TEXT    NOT NULL
) STRICT;

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
