-- RFC 8489: users are found by USERHASH, and have a SHA-256 key and keys for older clients beside the MD5 key. db/README.md.

ALTER TABLE users ADD COLUMN key_sha256 BLOB CHECK (length(key_sha256) = 32);
ALTER TABLE users ADD COLUMN other_keys BLOB CHECK (length(other_keys) IN (16, 32));
ALTER TABLE users ADD COLUMN userhash BLOB CHECK (length(userhash) = 32);

UPDATE users SET userhash = relay_userhash(name, realm);

CREATE INDEX users_userhash ON users (userhash);
