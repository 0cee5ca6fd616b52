-- Whoever keeps what a table says sees by one number whether it says something else now, whoever changed it. db/README.md.

CREATE TABLE versions (
    what   TEXT    NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO versions (what, number) VALUES ('tenants', 1);

CREATE TRIGGER tenants_added AFTER INSERT ON tenants BEGIN UPDATE versions SET number = number + 1 WHERE what = 'tenants'; END;
CREATE TRIGGER tenants_changed AFTER UPDATE ON tenants BEGIN UPDATE versions SET number = number + 1 WHERE what = 'tenants'; END;
CREATE TRIGGER tenants_removed AFTER DELETE ON tenants BEGIN UPDATE versions SET number = number + 1 WHERE what = 'tenants'; END;
