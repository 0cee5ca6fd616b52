-- Keys shared with authorization servers (RFC 7635). The table and its columns are coturn's: in a file of coturn's it is there already.

CREATE TABLE IF NOT EXISTS oauth_key (
    kid       VARCHAR(128) PRIMARY KEY,
    ikm_key   VARCHAR(256),
    timestamp BIGINT       DEFAULT 0,
    lifetime  INTEGER      DEFAULT 0,
    as_rs_alg VARCHAR(64)  DEFAULT '',
    realm     VARCHAR(127)
);
