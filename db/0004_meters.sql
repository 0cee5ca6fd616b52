-- Sums that policies keep over a period (relay.meter with persist): the newest sum of each key in each period.

CREATE TABLE meters (
    name    TEXT    NOT NULL, -- of the meter
    key     TEXT    NOT NULL,
    ends_ms INTEGER NOT NULL, -- when the period ends, Unix milliseconds
    sum     INTEGER NOT NULL,
    PRIMARY KEY (name, key, ends_ms)
) WITHOUT ROWID;
