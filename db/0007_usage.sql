-- Usage by room and tag, with openings, ends and time; what a tenant held; what was refused. Columns: db/README.md.

ALTER TABLE sessions ADD COLUMN room TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN tag TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN lived_ms INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET tag = user, lived_ms = coalesce(seconds * 1000, max(0, seen_ms - opened_ms));

ALTER TABLE usage RENAME TO usage_before;

CREATE TABLE usage (
    tenant         TEXT    NOT NULL,
    span           INTEGER NOT NULL, -- minutes of the row: 1, 60 or 1440
    minute         INTEGER NOT NULL, -- since 1970: where they begin
    room           TEXT    NOT NULL,
    tag            TEXT    NOT NULL,
    user           TEXT    NOT NULL,
    transport      TEXT    NOT NULL,
    bytes_in       INTEGER NOT NULL DEFAULT 0,
    bytes_out      INTEGER NOT NULL DEFAULT 0,
    packets_in     INTEGER NOT NULL DEFAULT 0,
    packets_out    INTEGER NOT NULL DEFAULT 0,
    lived_ms       INTEGER NOT NULL DEFAULT 0,
    opened         INTEGER NOT NULL DEFAULT 0,
    closed         INTEGER NOT NULL DEFAULT 0,
    active_minutes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, span, minute, room, tag, user, transport)
) STRICT, WITHOUT ROWID;

INSERT INTO usage (tenant, span, minute, room, tag, user, transport, bytes_in, bytes_out, packets_in, packets_out)
    SELECT tenant, 1, minute, '', user, user, transport, bytes_in, bytes_out, packets_in, packets_out FROM usage_before;
DROP TABLE usage_before;

-- What is known of the sessions of before: their time is in the minute of their end, or when they were seen last.
INSERT INTO usage (tenant, span, minute, room, tag, user, transport, opened)
    SELECT tenant, 1, opened_ms / 60000, '', user, user, transport, count(*) AS more FROM sessions WHERE true GROUP BY 1, 3, 6, 7
    ON CONFLICT DO UPDATE SET opened = opened + excluded.opened;
INSERT INTO usage (tenant, span, minute, room, tag, user, transport, lived_ms, closed)
    SELECT tenant, 1, coalesce(closed_ms, seen_ms) / 60000, '', user, user, transport, sum(lived_ms), count(closed_ms)
    FROM sessions WHERE true GROUP BY 1, 3, 6, 7
    ON CONFLICT DO UPDATE SET lived_ms = lived_ms + excluded.lived_ms, closed = closed + excluded.closed;

CREATE TABLE peaks (
    tenant TEXT    NOT NULL,
    span   INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    held   INTEGER NOT NULL DEFAULT 0,
    active INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, span, minute)
) STRICT, WITHOUT ROWID;

CREATE TABLE refusals (
    tenant TEXT    NOT NULL,
    span   INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    count  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, span, minute, reason)
) STRICT, WITHOUT ROWID;
