-- Who may relay no more although his credential is good: db/README.md.

CREATE TABLE revocations (
    id       INTEGER PRIMARY KEY AUTOINCREMENT, -- a row that is written again has a new one
    kind     TEXT    NOT NULL CHECK (kind IN ('credential', 'tag', 'key', 'user', 'tenant')),
    tenant   TEXT    NOT NULL CHECK (length(tenant) BETWEEN 1 AND 128),
    name     TEXT    NOT NULL CHECK (length(name) <= 763 AND (length(name) = 0) = (kind = 'tenant')),
    at_ms    INTEGER NOT NULL,
    until_ms INTEGER NOT NULL, -- 0: for good
    UNIQUE (kind, tenant, name)
) STRICT;

CREATE INDEX revocations_until ON revocations (until_ms);

INSERT INTO versions (what, number) VALUES ('revocations', 1);

CREATE TRIGGER revocations_added AFTER INSERT ON revocations BEGIN UPDATE versions SET number = number + 1 WHERE what = 'revocations'; END;
CREATE TRIGGER revocations_changed AFTER UPDATE ON revocations BEGIN UPDATE versions SET number = number + 1 WHERE what = 'revocations'; END;
CREATE TRIGGER revocations_removed AFTER DELETE ON revocations BEGIN UPDATE versions SET number = number + 1 WHERE what = 'revocations'; END;
