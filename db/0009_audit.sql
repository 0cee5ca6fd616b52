-- Audit: whose it is, and what the thing was before and after. Found by time, of all tenants and of one.

ALTER TABLE audit ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN before TEXT;
ALTER TABLE audit ADD COLUMN after TEXT;

CREATE INDEX audit_time ON audit (at_ms);
CREATE INDEX audit_tenant ON audit (tenant, at_ms);

-- Users and secrets are those of the tenant whose realm it is.
CREATE INDEX tenants_realm ON tenants (realm);
