---@meta relay

-- Printed by `relay stubs`: what a policy may use, for lua-language-server. lua/README.md says more.

---What a policy returns.
---@class relay.Policy
---@field name? string for the reader
---@field init? fun(ctx: relay.Ctx) each worker, when it has loaded the files; what it raises ends the start, or the reload
---@field route? fun(req: relay.Request): relay.Deny|relay.Fail|relay.Tenant|relay.Redirect|nil no opinion: the default realm. The answer is kept for (listener, SNI, ALPN, ORIGIN), a failure is not
---@field authenticate? fun(req: relay.Request): relay.Deny|relay.Fail|relay.Key|relay.Lookup|nil no opinion: the users of the server, else 401
---@field authorize? fun(req: relay.Request): relay.Deny|relay.Fail|relay.Allow|relay.Redirect|nil of an Allocate whose password is right
---@field permission? fun(alloc: relay.Allocation, peer: relay.Address, kind: "permission"|"channel"|"connect"): relay.Deny|relay.Fail|nil `kind`: `"permission"`, `"channel"` or `"connect"` (of a TCP allocation), the request that asks
---@field channel? fun(alloc: relay.Allocation, peer: relay.Address, number: integer): relay.Deny|relay.Fail|nil `number`: 0x4000 to 0x7FFF, with `strict-channel-numbers` to 0x4FFF
---@field refresh? fun(alloc: relay.Allocation, req: relay.Request): relay.Deny|relay.Fail|relay.Allow|relay.Reauth|nil `allow` with `max_lifetime` only; failed: granted for 600 s, as clients give up on any error but 438
---@field usage? fun(alloc: relay.Allocation, used: relay.Usage): relay.Fail|relay.Allow|relay.Close|nil `allow` with `max_bps` only: it replaces the one that held, but gives no more than `authorize` granted
---@field log? fun(ev: relay.Event) what it returns is ignored
---@field save? fun(): any before a reload: plain data for `ctx.saved` of the next `init` of the same file; what it raises ends the reload
---@field shutdown? fun() what it returns is ignored

---What a hook may answer; a script can only return it.
---@class relay.Decision
---@class relay.Deny: relay.Decision
---@class relay.Allow: relay.Decision
---@class relay.Key: relay.Decision
---@class relay.Lookup: relay.Decision
---@class relay.Tenant: relay.Decision
---@class relay.Redirect: relay.Decision
---@class relay.Reauth: relay.Decision
---@class relay.Close: relay.Decision
---@class relay.Fail: relay.Decision

---@alias relay.Code 401|403|440|442|443|486|508

---@class relay.Ctx
---@field worker integer this worker, from 1
---@field workers integer how many there are
---@field reload boolean at a reload; `false` at the start
---@field saved any what `save` returned: booleans, numbers, strings and tables of them without metatables, copied, together at most 64 KiB (8 bytes for each value beside a string's own); nil at the start and without `save`

---@class relay.Request
---@field id integer of this decision, as in the log
---@field method? string `"allocate"` `"refresh"` `"permission"` `"channel"` `"connect"` `"bind"`
---@field now integer unix seconds
---@field transport string `"udp"` `"tcp"` `"tls"` `"dtls"`
---@field src relay.Address the client
---@field dst relay.Address the server's own end
---@field listener string `"tls:192.0.2.1:5349"`
---@field sni? string server name of the handshake
---@field alpn? string protocol of the handshake
---@field origin? string ORIGIN, as sent
---@field username? string USERNAME as sent, or the name that USERHASH stands for; nobody has vouched for it before `authorize`
---@field userhash? string USERHASH, 64 hexadecimal digits. Where `offer-userhash` is on, `authenticate` is also asked about hashes that no user of the server has: then `username` is nil, and `user` of `relay.key` must be the name itself
---@field realm? string what `route` chose; until then the default realm
---@field tenant? string what `route` chose; until then nil
---@field user? string whom quotas count, within the tenant; known from `authorize` on
---@field software? string SOFTWARE, as sent
---@field lifetime? integer seconds asked for
---@field requested_transport? string|integer `"udp"`, `"tcp"`, or the protocol's number
---@field requested_family? integer 4 or 6
---@field even_port boolean EVEN-PORT is there
---@field reservation boolean RESERVATION-TOKEN is there
---@field minted boolean from `authorize` on: the server itself verified the credential, which was minted: what its name says is true
---@field tag? string of a minted credential: the player; as is the tag of that name
---@field room? string of a minted credential: the match; as is the tag of that name
---@field credential? string of a minted credential: its id; as is the tag of that name
---@field key? string of a minted credential: the id of the key that minted it; as is the tag of that name
---@field access_token? string the bytes of ACCESS-TOKEN, where `oauth` is on; the client signs with a key that its issuer put in there, and `username` says which of the issuer's keys sealed it
local Request = {}

---the bytes of the first attribute of that number
---@param type integer
---@return string?
function Request:attr(type) end

---live allocations of the `"user"`, the `"realm"` (its tenant) or in `"total"`: advice; quotas are reserved after `authorize`
---@param kind "user"|"realm"|"total"
---@return integer
function Request:count(kind) end

---@class relay.Allocation
---@field id integer as in the log and the table `sessions`
---@field user? string whom quotas count
---@field tenant? string whose user that is
---@field realm? string with which the client signs
---@field src relay.Address the client
---@field relay relay.Address the relayed address, as clients see it
---@field transport string `"udp"` `"tcp"` `"tls"` `"dtls"`
---@field relay_transport string `"udp"`, or `"tcp"` for a TCP allocation
---@field created integer unix seconds
---@field expires integer unix seconds
---@field bytes_in integer from the client, since it began
---@field bytes_out integer to the client, since it began
---@field packets_in integer from the client, since it began
---@field packets_out integer to the client, since it began
---@field permissions integer live now
---@field channels integer live now
---@field connections integer with peers of a TCP allocation, live now
---@field group? string of `relay.allow`: it has no peers but those in it
---@field tags relay.Tags of `relay.allow`

---@class relay.Usage
---@field bytes_in integer from the client, since `usage` was last asked
---@field bytes_out integer to the client, since then
---@field packets_in integer from the client, since then
---@field packets_out integer to the client, since then
---@field closing boolean the allocation has ended; the answer changes nothing

---@class relay.Event
---@field type string `"allocated"` `"denied"` `"refreshed"` `"permission"` `"closed"` `"auth_failed"` `"policy_error"`
---@field code integer the error that was answered; 0: none
---@field reason? string `"user_quota"`, `"released"`, or what a policy said
---@field by string who decided: `"core"`, or file and line of the policy
---@field decision_id integer as `req.id`
---@field policy_rev string 12 digits that change with the files of the policies, and what they require while they load
---@field method? string as in `req`
---@field user? string whom quotas count
---@field tenant? string whose user that is
---@field realm? string with which the client signs
---@field username? string as sent
---@field src relay.Address the client
---@field transport string `"udp"` `"tcp"` `"tls"` `"dtls"`
---@field peer? relay.Address of a permission, channel or connection
---@field allocation? integer its id; without one what follows is nil
---@field bytes? integer in both directions, since it began
---@field bytes_in? integer from the client
---@field bytes_out? integer to the client
---@field packets_in? integer from the client
---@field packets_out? integer to the client
---@field seconds? integer its age
---@field group? string as in `alloc`
---@field tags? relay.Tags as in `alloc`

---`tostring` gives `"198.51.100.7:5000"`, `"[2001:db8::1]:5000"`; two addresses compare with `==`. Ranges judge IPv6 forms that embed an IPv4 address (mapped, NAT64, 6to4, Teredo) by that address.
---@class relay.Address
---@field ip string without the port
---@field port integer 0: there is none
---@field family integer 4 or 6
local Address = {}

---`range`: a `relay.cidr`, or the text of one range
---@param range relay.Cidr|string
---@return boolean
function Address:within(range) end

---`"198.51.100.0/24"`: a key for a rate limit
---@param bits integer
---@return string
function Address:mask(bits) end

---@class relay.Tags
---@field [string] string? `tags.plan`: a string or nil, for any name; `tostring`: `"k=v,k=v"`

---Decisions: values that a script can only return. What is wrong with them raises where they are built; build constants at load. Names of users and tenants have at most 128 bytes (`relay.lookup`: 763).
---@class relay.Library
relay = {}

---`reason`: at most 95 bytes, else `"policy"`; the log shows it, the client does not
---@param code relay.Code
---@param reason? string
---@return relay.Deny
function relay.deny(code, reason) end

---granted, within these limits
---@param limits? relay.AllowFields
---@return relay.Allow
function relay.allow(limits) end

---what the client has to sign with
---@param key relay.KeyFields
---@return relay.Key
function relay.key(key) end

---the key of that user in the users database; nobody there: 401
---@param user string
---@param options? relay.LookupFields
---@return relay.Lookup
function relay.lookup(user, options) end

---whose client it is
---@param id string
---@param options? relay.TenantFields
---@return relay.Tenant
function relay.tenant(id, options) end

---300 to that server, of the client's family; if it has none of that it has failed
---@param to relay.RedirectFields
---@return relay.Redirect
function relay.redirect(to) end

---438: the client has to show its password again
---@return relay.Reauth
function relay.reauth() end

---ends the allocation with this reason
---@param why string
---@return relay.Close
function relay.close(why) end

---the hook has failed: 500, but see `refresh`
---@param why string
---@return relay.Fail
function relay.fail(why) end

---Numbers are from 1. A limit that is left out is not set here; the configuration's and the tenant's hold in any case. The strictest of several policies counts.
---@class relay.AllowFields
---@field total_quota? integer allocations at a time in all; over it 486
---@field realm_quota? integer of the tenant; over it 486
---@field user_quota? integer of the tenant's user; over it 486
---@field max_lifetime? integer seconds that an Allocate or Refresh may ask for
---@field max_permissions? integer of this allocation; over it 508
---@field max_channels? integer of this allocation; over it 508
---@field max_bps? integer bits a second, in each direction
---@field max_pps? integer packets a second, in each direction
---@field max_user_bps? integer bits a second, in each direction, of all allocations of the tenant's user together; the last one says how many
---@field max_new_peers? integer peer addresses a second that it has no permission for, of a TCP allocation connections a second; over it 508
---@field permission_acl? relay.Cidr peers in it are granted without asking `permission`; others are asked, or refused if no policy has that hook
---@field meter? relay.AllowMeterFields counts what is relayed, about twice a second. One policy alone may name a meter
---@field tags? table<string, string|number|boolean> values without `,`, names without `,` and `=`; 32, together at most 127 bytes as `k=v,k=v`
---@field group? string it exchanges packets only with relayed addresses of this server that allocations of the same group of the same tenant hold at that moment; every other peer is 403 `not_in_group`, and no option opens it. At most 128 bytes; several policies must name the same
---@field pool? string it relays from an address of this relay-pool of the configuration, and from no other; without it from those of no pool. One that there is not is 500 `unknown_pool`; several policies must name the same

---@class relay.AllowMeterFields
---@field [1] relay.Meter which
---@field [2] string its key
---@field cap? integer bytes of the period, both ways, from 1
---@field on_cap "refuse"|"throttle"|"close"|nil at the cap: `"refuse"` (the default), 486 `meter_cap` to who comes; `"close"`, also ends allocations that still relay; `"throttle"`, 64,000 bits a second each way for these until they end, and for who comes

---@class relay.KeyFields
---@field user string whom quotas count
---@field tenant? string else that of `route`
---@field password? string at most 763 bytes
---@field passwords? string[] in place of `password`: up to eight, tried in order
---@field ha1? string in place of passwords: MD5 of `username:realm:password`, 32 hexadecimal digits
---@field ha1_sha256? string SHA-256 of the same, 64 hexadecimal digits; beside `ha1` or alone; counts where `offer-sha256` is on
---@field mac_key? string the key that comes with an access token, 40 hexadecimal digits for clients with MESSAGE-INTEGRITY, 64 for MESSAGE-INTEGRITY-SHA256; in place of the above. The allocation ends at `expires` unless a Refresh shows a new token
---@field expires? integer unix seconds; then the key opens no new allocation
---@field on_expiry "keep"|"reauth"|"strict"|nil `"keep"` (the default): an allocation may outlive its key; `"reauth"`: it is asked anew; `"strict"`: it ends then

---@class relay.LookupFields
---@field tenant? string else that of `route`

---@class relay.TenantFields
---@field realm? string with which clients are challenged, at most 127 bytes; else the default realm

---@class relay.RedirectFields
---@field server string|string[] `"ip:port"`, or `{"ip4:port", "[ip6]:port"}`
---@field domain? string whose certificate that server has, told to clients over TLS and DTLS; at most 255 bytes

---values that `--set namespace.name=value` fills. `--set` of what no policy declares ends the start
---Only while the policy loads.
---@param namespace string
---@param rules table<string, relay.ParamsFields>
---@return table<string, any>
function relay.params(namespace, rules) end

---a table of all workers and policies
---Only while the policy loads.
---@param name string
---@param options relay.SharedFields
---@return relay.Shared
function relay.shared(name, options) end

---how often something may happen, by key
---Only while the policy loads.
---@param name string
---@param options relay.RatelimitFields
---@return relay.Ratelimit
function relay.ratelimit(name, options) end

---sums of the day or month, of up to 65,536 keys
---Only while the policy loads.
---@param name string
---@param options relay.MeterFields
---@return relay.Meter
function relay.meter(name, options) end

---how many may be in at a time, by key
---Only while the policy loads.
---@param name string
---@param options relay.GateFields
---@return relay.Gate
function relay.gate(name, options) end

---`"10.0.0.0/8"`, `"10.0.0.1-10.0.0.9"`, `"2001:db8::/32"`, `"192.0.2.1"`
---Only while the policy loads.
---@param ranges string|string[]|relay.Data
---@return relay.Cidr
function relay.cidr(ranges) end

---the file of `--secret name=FILE`: one to eight lines, newest first
---Only while the policy loads.
---@param name string
---@return relay.Secret
function relay.secret(name) end

---a JSON file of the policy directory, one copy in C
---Only while the policy loads.
---@param file string
---@return relay.Data
function relay.data(file) end

---a MaxMind DB, as of GeoIP
---Only while the policy loads.
---@param file string
---@return relay.Mmdb
function relay.mmdb(file) end

---0 to 3,600, at least a millisecond
---It waits: only in authenticate, authorize, usage, log, init and timers.
---@param seconds number
function relay.sleep(seconds) end

---runs up to 16 functions side by side, which may wait. The first value of each, in order; what one raises, at once, and the others are closed
---It waits: only in authenticate, authorize, usage, log, init and timers.
---@param functions (fun(): any)[]
---@return any ...
function relay.all(functions) end

---a read-only table: member = true
---@param list string[]|relay.Data
---@return table<any, true?>
function relay.set(list) end

---a row of the audit table (without a database: of the log) of `row.type`, else `"policy"`; up to 32 fields, 4,096 bytes as JSON, else it raises
---@param row table<string, any>
function relay.audit(row) end

---raw bytes
---@param algorithm "md5"|"sha1"|"sha256"
---@param text string
---@return string
function relay.hash(algorithm, text) end

---raw bytes
---@param algorithm "sha1"|"sha256"
---@param key string
---@param text string
---@return string
function relay.hmac(algorithm, key, text) end

---lower-case hexadecimal digits
---@param bytes string
---@return string
function relay.hex(bytes) end

---unpredictable bytes, 1 to 1,024
---@param count integer
---@return string
function relay.random(count) end

---what `req.userhash` is for that name in that realm, both prepared as clients do it; for a table made while loading
---@param name string
---@param realm string
---@return string
function relay.userhash(name, realm) end

---before and behind the first separator; or `text`, nil
---@param text string
---@param separator string
---@return string
---@return string?
function relay.split(text, separator) end

---whether `text` begins so
---@param text string
---@param start string
---@return boolean
function relay.prefix(text, start) end

---@class relay.ParamsFields
---@field default string|number|boolean|string[]|nil gives the type: integer, number, boolean, string, list of strings (`a,b`)
---@field min? number the least; without a default it is a number
---@field max? number the most
---@field required? boolean no default: without `--set` the policy does not load

---@class relay.SharedFields
---@field max_entries integer 1 to 10,000,000
---@field evict? "lru" forget what was used longest ago rather than refuse

---@class relay.RatelimitFields
---@field rate number a second, above 0 and up to 100,000
---@field burst integer at once, from 1; `burst / rate` up to 10,000,000 s

---@class relay.MeterFields
---@field period "day"|"month" in UTC
---@field persist? boolean `true`: kept in the database, twice a second and at the end, and read at the start; without a database the log says so. Keys that are kept hold no zero byte

---@class relay.GateFields
---@field max integer places for each key, 1 to 1,000,000

---@class relay.Base64
relay.base64 = {}

---`"standard"` (the default), with padding, or `"url"`, without
---@param bytes string
---@param alphabet? "standard"|"url"
---@return string
function relay.base64.encode(bytes, alphabet) end

---nil for what `encode` does not write
---@param text string
---@param alphabet? "standard"|"url"
---@return string?
function relay.base64.decode(text, alphabet) end

---What may be asked is in the configuration (`policy-http`); another URL raises. Redirects are answers like others; certificates are checked; connections are kept.
---@class relay.Http
relay.http = {}

---the answer, whatever its status; or nil, `"timeout"`, `"connect"`, `"resolve"`, `"tls"`, `"too large"`, `"busy"` or `"failed"`
---It waits: only in authenticate, authorize, usage, log, init and timers.
---@param url string
---@param options? relay.HttpGetFields
---@return relay.Answer?
---@return string?
function relay.http.get(url, options) end

---as `get`
---It waits: only in authenticate, authorize, usage, log, init and timers.
---@param url string
---@param options? relay.HttpPostFields
---@return relay.Answer?
---@return string?
function relay.http.post(url, options) end

---@class relay.HttpGetFields
---@field timeout? number seconds, 2 if not said, and never more than the hook has left
---@field headers? table<string, string> up to 16
---@field single_flight? string waits with the same `single_flight`, method and URL share one exchange

---@class relay.HttpPostFields
---@field timeout? number seconds, 2 if not said, and never more than the hook has left
---@field headers? table<string, string> up to 16
---@field single_flight? string waits with the same `single_flight`, method and URL share one exchange
---@field json any a value, as of `relay.json.encode`, which is sent
---@field body? string or a text; 16,384 bytes

---Of `relay.http`.
---@class relay.Answer
---@field status integer 200
---@field body string at most 1 MiB
---@field headers table<string, string> by name in lower case
local Answer = {}

---the body as tables, strings, numbers and booleans; or nil and why
---@return any
---@return string?
function Answer:json() end

---@class relay.Json
relay.json = {}

---null is nil; or nil and why
---@param text string
---@return any
---@return string?
function relay.json.decode(text) end

---names in order; keys 1 to n are a list, addresses are texts; at most 16,384 bytes, else it raises
---@param value any
---@return string
function relay.json.encode(value) end

---Compact tokens of at most 8,192 bytes, signed with HS256, RS256, ES256 or EdDSA (Ed25519). The type of a key decides what it verifies, so that no header can choose otherwise; `alg` and `kid` of the header choose among the keys (one without `kid` fits every name), and a header with `crit` is refused. `exp` must be there, and lie ahead; `nbf` must not. A key that is tried costs 5,000 instructions.
---@class relay.Jwt
relay.jwt = {}

---a JWK Set (RFC 7517), or public keys in PEM: up to 64, RSA from 2,048 to 8,192 bits, P-256, Ed25519, secrets from 32 bytes
---Only while the policy loads.
---@param file string
---@return relay.Keys
function relay.jwt.keys(file) end

---the claims; or nil and why not: `"malformed token"` `"token too long"` `"algorithm not allowed"` `"unknown key"` `"bad signature"` `"malformed claims"` `"expired"` `"not yet valid"` `"wrong audience"` `"wrong issuer"`
---@param token string
---@param keys relay.Keys
---@param options? relay.JwtVerifyFields
---@return table<string, any>?
---@return string?
function relay.jwt.verify(token, keys, options) end

---@class relay.JwtVerifyFields
---@field aud? string what `aud` must name; absent if none is given
---@field iss? string what `iss` must be; any if none is given
---@field leeway? number up to 3,600 s of patience with `exp` and `nbf`
---@field now? number unix seconds; else the time of the event

---@class relay.Log
relay.log = {}

---up to 32 `name = value`; a line has 1,024 bytes; 20 lines in 10 s from one line of the script, the rest is counted
---@param message any
---@param fields? table<string, any>
function relay.log.debug(message, fields) end

---as `debug`
---@param message any
---@param fields? table<string, any>
function relay.log.info(message, fields) end

---as `debug`
---@param message any
---@param fields? table<string, any>
function relay.log.warn(message, fields) end

---as `debug`
---@param message any
---@param fields? table<string, any>
function relay.log.error(message, fields) end

---@class relay.Metric
relay.metric = {}

---lower-case letters, digits, `_`; up to 8 labels, 200 bytes in all. A name has 256 series; further ones are one, whose labels say `other`; the log says so once. GET /metrics tells it as `relay_script_NAME`; Prometheus wants names that end with `_total`
---Only while the policy loads.
---@param name string
---@param labels? table<string, string|number|boolean>
---@return relay.Counter
function relay.metric.counter(name, labels) end

---@class relay.Timer
relay.timer = {}

---calls `run` with the budget of a hook, about to the second; a missed call is not made up for
---Only while the policy loads.
---@param seconds number
---@param run fun()
---@param options? relay.TimerEveryFields
function relay.timer.every(seconds, run, options) end

---@class relay.TimerEveryFields
---@field on "one"|"all"|nil `"one"` worker (the default) or `"all"`

---The users database (`userdb`), read only, by threads of its own. One SELECT, with up to 32 parameters for its `?`; statement and parameters have 16,384 bytes, an answer has 1,000 rows and 1 MiB. Whatever would write, ATTACH and PRAGMA are refused, and so are the columns that hold keys and secrets (db/README.md). A boolean is 1 or 0 there, an address its text; to compare with bytes, `CAST(? AS BLOB)`.
---@class relay.Db
relay.db = {}

---a list of rows, each a table by the names of its columns, in which NULL is nil; or nil, `"timeout"` (after 2 s), `"too large"`, `"busy"` or `"failed"`. A statement that is wrong raises, with what SQLite says
---It waits: only in authenticate, authorize, usage, log, init and timers.
---@param statement string
---@param ... string|number|boolean|relay.Address|nil
---@return table<string, any>[]?
---@return string?
function relay.db:query(statement, ...) end

---@class relay.Users
relay.users = {}

---of the users database, or nil; raises if it cannot be read. Users of the configuration are not there
---It waits: only in authenticate, authorize, usage, log, init and timers.
---@param tenant string?
---@param user string
---@return relay.User?
function relay.users:get(tenant, user) end

---Of `relay.users:get`.
---@class relay.User
---@field tenant string "": of none
---@field user string the name

---Any name may be asked for, of the servers of `policy-dns`, or else those of /etc/resolv.conf. It is the whole name: no search domain is put behind it, and /etc/hosts is not read. Answers are kept for as long as their TTL says, at most 300 s, that there is none for 5 s; 256 lookups are under way on a worker.
---@class relay.Dns
relay.dns = {}

---of A and AAAA addresses, of TXT texts, of SRV services by priority; or nil, `"not found"`, `"timeout"`, `"busy"` or `"failed"`
---It waits: only in authenticate, authorize, usage, log, init and timers.
---@param name string
---@param options? relay.DnsLookupFields
---@return (string|relay.Service)[]?
---@return string?
function relay.dns.lookup(name, options) end

---@class relay.DnsLookupFields
---@field type "A"|"AAAA"|"SRV"|"TXT"|nil "A" if not said
---@field timeout? number seconds, 2 if not said, and never more than the hook has left

---Of `relay.dns.lookup` for SRV (RFC 2782).
---@class relay.Service
---@field target string a name; "": the service is not offered
---@field port integer at the target
---@field priority integer the lowest is to be tried first
---@field weight integer of those of one priority

---A key is a string or an integer (`7` and `"7"` are the same) of at most 1,024 bytes, here and in what follows; a value a string of at most 4,096 bytes, a number or a boolean; a ttl seconds, or `false` for ever: it may not be left out.
---@class relay.Shared
local Shared = {}

---string, number or boolean; nil: there is none
---@param key string|integer
---@return any
function Shared:get(key) end

---true; or nil, `"full"`
---@param key string|integer
---@param value string|number|boolean
---@param ttl number|false
---@return true?
---@return string?
function Shared:set(key, value, ttl) end

---only if there is none: true; or nil, `"exists"` or `"full"`
---@param key string|integer
---@param value string|number|boolean
---@param ttl number|false
---@return true?
---@return string?
function Shared:add(key, value, ttl) end

---atomic; `n` is 1 if nil. The sum; or nil, `"full"` or `"not an integer"`
---@param key string|integer
---@param n integer?
---@param options relay.SharedIncrFields
---@return integer?
---@return string?
function Shared:incr(key, n, options) end

---only if the value is `old` (nil: there is none): true; false; or nil, `"full"`
---@param key string|integer
---@param old string|number|boolean|nil
---@param value string|number|boolean
---@param ttl number|false
---@return boolean?
---@return string?
function Shared:cas(key, old, value, ttl) end

---whether it was there
---@param key string|integer
---@return boolean
function Shared:delete(key) end

---@class relay.SharedIncrFields
---@field init? integer what a new entry begins with: 0
---@field ttl number|false of a new entry

---@class relay.Ratelimit
local Ratelimit = {}

---`n` is 1; more than `burst` never passes. true, 0; or false and the seconds to wait
---@param key string|integer
---@param n? number
---@return boolean
---@return number
function Ratelimit:take(key, n) end

---@class relay.Meter
local Meter = {}

---the sum of the period; 0 at first
---@param key string|integer
---@return integer
function Meter:get(key) end

---`n`: from 0. The sum; or nil, `"full"`
---@param key string|integer
---@param n integer
---@return integer?
---@return string?
function Meter:add(key, n) end

---@class relay.Gate
local Gate = {}

---a place, for `local place <close> = gate:hold(key)`: it is given back at the end of the block, however that comes; or nil, `"busy"` or, where there are 65,536 keys, `"full"`
---@param key string|integer
---@return relay.Hold?
---@return string?
function Gate:hold(key) end

---A place of a `gate`. It has no members.
---@class relay.Hold

---@class relay.Counter
local Counter = {}

---`n`: from 0, else 1
---@param n? integer
function Counter:add(n) end

---@class relay.Cidr
local Cidr = {}

---an address, or its text
---@param address relay.Address|string
---@return boolean
function Cidr:contains(address) end

---A part of a tree: index, `#`, `pairs`, `ipairs`; read-only.
---@class relay.Data
---@field [any] any string, number, boolean, a part of the tree; what is missing is nil

---The secret itself cannot be read; `tostring` hides it.
---@class relay.Secret
local Secret = {}

---in Base64, of the newest secret first: `passwords` of `relay.key`
---@param algorithm "sha1"|"sha256"
---@param text string
---@return string[]
function Secret:hmac_b64(algorithm, text) end

---Of `relay.jwt.keys`, for `relay.jwt.verify`; they cannot be read.
---@class relay.Keys

---@class relay.Mmdb
local Mmdb = {}

---two letters; nil: not known
---@param address relay.Address|string
---@return string?
function Mmdb:country(address) end

---up to 8 names, or numbers of items: what stands there; nil: nothing, or a part of the tree
---@param address relay.Address|string
---@param ... string|integer
---@return string|number|boolean|nil
function Mmdb:get(address, ...) end
