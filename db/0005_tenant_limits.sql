-- Limits of a tenant, of its users and of each of its allocations; 0: none. Words, units, readers: db/README.md.

ALTER TABLE tenants ADD COLUMN max_active      INTEGER NOT NULL DEFAULT 0 CHECK (max_active >= 0);
ALTER TABLE tenants ADD COLUMN tenant_bps      INTEGER NOT NULL DEFAULT 0 CHECK (tenant_bps >= 0);
ALTER TABLE tenants ADD COLUMN tenant_pps      INTEGER NOT NULL DEFAULT 0 CHECK (tenant_pps >= 0);
ALTER TABLE tenants ADD COLUMN max_user_bps    INTEGER NOT NULL DEFAULT 0 CHECK (max_user_bps >= 0);
ALTER TABLE tenants ADD COLUMN max_pps         INTEGER NOT NULL DEFAULT 0 CHECK (max_pps >= 0);
ALTER TABLE tenants ADD COLUMN max_new_peers   INTEGER NOT NULL DEFAULT 0 CHECK (max_new_peers >= 0);
ALTER TABLE tenants ADD COLUMN max_permissions INTEGER NOT NULL DEFAULT 0 CHECK (max_permissions >= 0);
ALTER TABLE tenants ADD COLUMN max_channels    INTEGER NOT NULL DEFAULT 0 CHECK (max_channels >= 0);
ALTER TABLE tenants ADD COLUMN month_bytes     INTEGER NOT NULL DEFAULT 0 CHECK (month_bytes >= 0);
ALTER TABLE tenants ADD COLUMN month_action    TEXT    NOT NULL DEFAULT 'notify' CHECK (month_action IN ('notify', 'throttle', 'disable'));
ALTER TABLE tenants ADD COLUMN max_mints       INTEGER NOT NULL DEFAULT 0 CHECK (max_mints >= 0);
ALTER TABLE tenants ADD COLUMN expiry          TEXT    NOT NULL DEFAULT 'keep' CHECK (expiry IN ('keep', 'strict'));
