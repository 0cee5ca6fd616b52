-- What each tenant relayed in a month (UTC), both ways: kept with the rows of usage, in the same transactions, and read when a tenant comes.

CREATE TABLE months (
    tenant TEXT    NOT NULL,
    month  INTEGER NOT NULL, -- since January 1970
    bytes  INTEGER NOT NULL,
    PRIMARY KEY (tenant, month)
) STRICT, WITHOUT ROWID;

INSERT INTO months (tenant, month, bytes)
    SELECT tenant, (strftime('%Y', minute * 60, 'unixepoch') - 1970) * 12 + strftime('%m', minute * 60, 'unixepoch') - 1, sum(bytes_in + bytes_out)
    FROM usage GROUP BY 1, 2;
