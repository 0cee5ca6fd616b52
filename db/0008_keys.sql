-- Keys of the admin door: who holds one may do what its scopes say, for its tenant. Only the hash of the secret half is kept.

CREATE TABLE keys (
    id         TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 31),
    tenant     TEXT    NOT NULL CHECK (length(tenant) BETWEEN 1 AND 128),
    scopes     TEXT    NOT NULL CHECK (length(scopes) > 0),
    hash       BLOB    NOT NULL CHECK (length(hash) = 32),
    name       TEXT    NOT NULL DEFAULT '',
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_tenant ON keys (tenant, id);
