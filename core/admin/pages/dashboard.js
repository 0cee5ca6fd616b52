// dashboard.js: the relay's dashboard: what the admin API says, live, and what can be done about it. No library, nothing from elsewhere.
"use strict";

const LIVE_POINTS = 600, NEWS_MAX = 60, REFUSALS_MAX = 20, ROWS_MAX = 200;
const LIMITS = [ // columns of a tenant: what they are called here, and in what they count
  ["max_allocations", "Allocations held"], ["max_active", "Allocations active"], ["max_user_allocations", "… held by a user"],
  ["tenant_bps", "Bit/s in all"], ["tenant_pps", "Packets/s in all"], ["max_user_bps", "Bit/s of a user"],
  ["max_bps", "Bit/s of an allocation"], ["max_pps", "Packets/s of an allocation"], ["max_new_peers", "New peers/s of an allocation"],
  ["max_permissions", "Permissions of an allocation"], ["max_channels", "Channels of an allocation"], ["max_lifetime_s", "Lifetime, s"],
  ["month_bytes", "Bytes a month"], ["max_mints", "Credentials/s"],
];
const CHOICES = [["month_action", "When the month is used up", ["notify", "throttle", "disable"]],
  ["expiry", "When a credential expires", ["keep", "strict"]], ["status", "Status", ["active", "disabled"]]];

const $ = (id) => document.getElementById(id);
const state = {key: sessionStorage.getItem("relay.key") || "", tenants: new Map(), chosen: null, live: new Map(), month: new Map(), refused: new Map(),
  lastEvent: "", stream: null, explained: null};

// ---- small things ----

// el("td", {class: "number"}, "text", node, ...): what is text stays text
function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") node.style.cssText = value; // the attribute is forbidden by our own Content-Security-Policy
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function scaled(value, units) {
  let at = 0;
  while (value >= 1000 && at < units.length - 1) { value /= 1000; at++; }
  return `${value >= 100 || at === 0 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

const bits = (value) => scaled(value, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]);
const bytes = (value) => scaled(value, ["B", "kB", "MB", "GB", "TB", "PB"]);
const count = (value) => Number(value).toLocaleString("en");
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");

function say(text) {
  $("said").textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { $("said").textContent = ""; }, 6000);
}

// ---- the API ----

class Refused extends Error {
  constructor(status, body) {
    super((body && body.error) || `the server answered ${status}`);
    this.status = status;
    this.field = body && body.field;
  }
}

async function ask(method, path, body) {
  const headers = {Authorization: `Bearer ${state.key}`};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, {method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store"});
  const text = await response.text();
  let said = null;
  try { said = text ? JSON.parse(text) : null; } catch { said = {error: text.slice(0, 200)}; }
  if (response.status === 401) signOut("The key is not known, or is revoked.");
  if (!response.ok) throw new Refused(response.status, said);
  return said;
}

function query(path, parameters) {
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== null && value !== undefined && value !== "") said.set(name, value);
  const text = said.toString();
  return text ? `${path}?${text}` : path;
}

const part = encodeURIComponent;

// attempt: runs what a control asks for, and says what became of it
async function attempt(what, done) {
  try {
    const answer = await what();
    if (done) say(typeof done === "function" ? done(answer) : done);
    return answer;
  } catch (error) {
    say(error.message);
    return null;
  }
}

// ---- signing in ----

function signOut(why) {
  state.key = "";
  sessionStorage.removeItem("relay.key");
  if (state.stream) state.stream.abort();
  state.stream = null;
  $("board").hidden = true;
  $("leave").hidden = true;
  $("door").hidden = false;
  $("refused").textContent = why || "";
  $("state").textContent = "";
  $("key").focus();
}

async function signIn(key) {
  state.key = key;
  try {
    await loadTenants();
  } catch (error) {
    if (error.status !== 401) signOut(error.message);
    return;
  }
  sessionStorage.setItem("relay.key", key);
  $("door").hidden = true;
  $("board").hidden = false;
  $("leave").hidden = false;
  $("refused").textContent = "";
  follow();
  await Promise.allSettled([loadMonth(), explain({}), drawChart()]);
  if (state.tenants.size === 1) choose([...state.tenants.keys()][0]);
}

// ---- tenants ----

async function loadTenants() {
  const found = new Map();
  let after = null;
  do {
    const page = await ask("GET", query("/v1/tenants", {limit: ROWS_MAX, after}));
    for (const tenant of page.tenants) found.set(tenant.name, tenant);
    after = page.next;
  } while (after);
  state.tenants = found;
  drawTenants();
  drawChartTenants();
}

async function loadMonth() {
  const first = new Date(), from = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth(), 1)).toISOString();
  const said = await ask("GET", query("/v1/usage", {from, group_by: "tenant"}));
  state.month = new Map(said.rows.map((row) => [row.tenant, row]));
  state.refused = new Map(said.rows.map((row) => [row.tenant, row.refused || 0]));
  drawTenants();
}

const liveOf = (name) => (state.live.get(name) || []).at(-1) || {held: 0, active: 0, bps_in: 0, bps_out: 0, refused: 0};

// bar: how full a limit is; without a limit nothing
function bar(used, most) {
  if (!most) return null;
  const share = Math.min(1, used / most);
  return el("span", {class: "bar", "data-full": share >= 1 ? "full" : share >= .8 ? "near" : "", role: "meter", "aria-valuemin": 0, "aria-valuemax": most,
    "aria-valuenow": used, "aria-label": "of the limit"}, el("i", {style: `width:${share * 100}%`}));
}

function cell(text, used, most) {
  return el("td", {}, most ? `${text} of ${count(most)}` : text, bar(used, most));
}

function tenantRow(tenant) {
  const live = liveOf(tenant.name), month = state.month.get(tenant.name) || {bytes_in: 0, bytes_out: 0};
  const rate = live.bps_in + live.bps_out, used = month.bytes_in + month.bytes_out;
  return el("tr", {"aria-selected": state.chosen === tenant.name ? "true" : "false", "data-tenant": tenant.name},
    el("td", {}, el("button", {class: "link", type: "button", onclick: () => choose(tenant.name)}, tenant.name)),
    el("td", {class: tenant.status === "active" ? "good" : "bad"}, tenant.status),
    cell(count(live.held), live.held, tenant.max_allocations),
    el("td", {}, tenant.tenant_bps ? `${bits(rate)} of ${bits(tenant.tenant_bps)}` : bits(rate), bar(rate, tenant.tenant_bps)),
    el("td", {}, tenant.month_bytes ? `${bytes(used)} of ${bytes(tenant.month_bytes)}` : bytes(used), bar(used, tenant.month_bytes)),
    el("td", {class: state.refused.get(tenant.name) ? "warn" : ""}, count(state.refused.get(tenant.name) || 0)));
}

// strangers: who relays without a row of tenants, as the users of a configuration
function strangers() {
  return [...state.live.keys()].filter((name) => name && name !== "*" && !state.tenants.has(name))
    .map((name) => ({name, status: "active", unlisted: true}));
}

function drawTenants() {
  const focused = document.activeElement && document.activeElement.closest("tr[data-tenant]");
  const rows = [...state.tenants.values(), ...strangers()].map(tenantRow);
  $("tenants").replaceChildren(
    el("thead", {}, el("tr", {}, ["Tenant", "Status", "Allocations", "Now", "This month", "Refused this month"].map((name) => el("th", {scope: "col"}, name)))),
    el("tbody", {}, rows.length ? rows : el("tr", {}, el("td", {colspan: 6, class: "soft"}, "No tenant yet."))));
  if (focused) {
    const again = $("tenants").querySelector(`tr[data-tenant="${CSS.escape(focused.dataset.tenant)}"] button`);
    if (again) again.focus();
  }
  drawCards();
}

function drawCards() {
  const all = [...state.live.keys()].map(liveOf), sum = (name) => all.reduce((total, one) => total + (one[name] || 0), 0);
  const refused = [...state.refused.values()].reduce((total, one) => total + one, 0);
  const cards = [["Allocations", count(sum("held"))], ["From clients", bits(sum("bps_in"))], ["To clients", bits(sum("bps_out"))],
    ["Refused this month", count(refused)], ["Tenants", count(state.tenants.size)]];
  $("cards").replaceChildren(...cards.map(([name, value]) => el("div", {class: "card"}, el("b", {}, value), el("span", {}, name))));
}

// ---- one tenant ----

async function choose(name) {
  state.chosen = name;
  drawTenants();
  $("chart-tenant").value = name;
  drawChart();
  await drawTenant();
  explain({tenant: name});
}

async function optional(promise, otherwise) {
  try { return await promise; } catch { return otherwise; }
}

async function drawTenant() {
  const name = state.chosen, panel = $("tenant");
  if (!name) { panel.hidden = true; return; }
  const tenant = state.tenants.get(name);
  const [allocations, keys, rooms] = await Promise.all([
    optional(ask("GET", query("/v1/allocations", {tenant: name, limit: ROWS_MAX})), {allocations: []}),
    optional(ask("GET", query("/v1/keys", {tenant: name, limit: ROWS_MAX})), {keys: []}),
    optional(ask("GET", query(`/v1/tenants/${part(name)}/usage`, {group_by: "room", sort: "bytes_out", limit: 10})), {rows: []})]);
  if (state.chosen !== name) return;
  panel.hidden = false;
  panel.replaceChildren(
    el("div", {class: "head"}, el("h2", {id: "tenant-title"}, name), el("button", {type: "button", onclick: drawTenant}, "Refresh"),
      tenant ? el("button", {type: "button", class: "danger", onclick: () => revokeTenant(name)}, "Revoke all credentials") : null),
    tenant ? limitsOf(tenant) : el("p", {class: "soft"}, "It has no row of its own: its users and limits are those of the configuration and the policies."),
    el("div", {class: "columns"},
      el("div", {}, el("h3", {}, "Top rooms this month"), roomsOf(rooms.rows), el("h3", {}, "API keys"), keysOf(name, keys.keys)),
      el("div", {}, el("h3", {}, `Live allocations (${allocations.allocations.length}${allocations.truncated ? " of more" : ""})`),
        allocationsOf(allocations.allocations))));
}

function limitsOf(tenant) {
  const form = el("form", {class: "limits", "aria-label": `Limits of ${tenant.name}`, onsubmit: (event) => { event.preventDefault(); saveLimits(tenant, form); }},
    LIMITS.map(([name, label]) => el("label", {}, label, el("input", {name, type: "number", min: 0, step: 1, value: tenant[name] ?? 0}))),
    CHOICES.map(([name, label, words]) => el("label", {}, label,
      el("select", {name}, words.map((word) => el("option", {value: word, selected: tenant[name] === word}, word))))));
  form.append(el("div", {class: "buttons"}, el("button", {}, "Save limits"), el("span", {class: "soft"}, "0: no limit. Live allocations feel it within a second.")));
  return form;
}

async function saveLimits(tenant, form) {
  const changed = {};
  for (const [name] of LIMITS) if (form[name].value !== "" && Number(form[name].value) !== (tenant[name] ?? 0)) changed[name] = Number(form[name].value);
  for (const [name] of CHOICES) if (form[name].value !== tenant[name]) changed[name] = form[name].value;
  if (!Object.keys(changed).length) { say("Nothing is changed."); return; }
  const saved = await attempt(() => ask("PATCH", `/v1/tenants/${part(tenant.name)}`, changed), `${tenant.name}: ${Object.keys(changed).join(", ")} saved.`);
  if (saved) { await loadTenants(); drawTenant(); }
}

function roomsOf(rows) {
  if (!rows.length) return el("p", {class: "soft"}, "Nothing was relayed.");
  return el("div", {class: "table"}, el("table", {}, el("tbody", {}, rows.map((row) => el("tr", {},
    el("td", {}, row.room || el("span", {class: "soft"}, "no room")), el("td", {class: "number"}, bytes(row.bytes_in + row.bytes_out)))))));
}

function keysOf(tenant, keys) {
  const rows = keys.map((key) => el("tr", {},
    el("td", {}, el("code", {}, key.id), " ", key.name || ""), el("td", {}, (key.scopes || []).join(", ")),
    el("td", {}, key.revoked ? el("span", {class: "soft"}, "revoked") :
      el("button", {class: "danger", type: "button", onclick: () => revokeKey(key)}, "Revoke"))));
  return el("div", {},
    rows.length ? el("div", {class: "table"}, el("table", {}, el("tbody", {}, rows))) : el("p", {class: "soft"}, "None."),
    el("p", {class: "buttons"}, el("button", {type: "button", onclick: () => newKey(tenant)}, "New key")));
}

function allocationsOf(rows) {
  if (!rows.length) return el("p", {class: "soft"}, "None.");
  return el("div", {class: "table"}, el("table", {}, el("thead", {}, el("tr", {},
    ["User", "Room", "Client", "Relayed", "Bytes", ""].map((name) => el("th", {scope: "col"}, name)))),
    el("tbody", {}, rows.map((row) => el("tr", {},
      el("td", {}, (row.tags && row.tags.tag) || row.user), el("td", {}, (row.tags && row.tags.room) || row.group || "–"),
      el("td", {}, el("code", {}, `${row.transport} ${row.src}`)), el("td", {}, el("code", {}, row.relay)),
      el("td", {}, `${bytes(row.bytes_in)} / ${bytes(row.bytes_out)}`),
      el("td", {}, el("div", {class: "buttons", style: "margin:0"},
        el("button", {type: "button", class: "danger", onclick: () => kick(row)}, "Kick"),
        row.tags && row.tags.tag ? el("button", {type: "button", class: "danger", onclick: () => revokeTag(row)}, "Revoke") : null)))))));
}

// ---- what can be done ----

// confirm: a dialog; resolves to its form, or null
function confirm(title, body, yes) {
  const dialog = $("ask");
  $("ask-title").textContent = title;
  $("ask-body").replaceChildren(...[body].flat());
  $("ask-refused").textContent = "";
  $("ask-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? dialog.querySelector("form") : null), {once: true});
  });
}

async function kick(row) {
  if (!await confirm("Kick", el("p", {}, `The allocation of ${row.user} at ${row.src} ends now. He may make another.`), "Kick")) return;
  await attempt(() => ask("DELETE", `/v1/allocations/${part(row.id)}`), "It has ended.");
  drawTenant();
}

async function revokeTag(row) {
  const tag = row.tags.tag;
  if (!await confirm("Revoke", el("p", {}, `All credentials of ${tag} end now: his allocations too, and he gets no more until they would have expired.`), "Revoke")) return;
  await attempt(() => ask("DELETE", `/v1/tenants/${part(row.tenant)}/tags/${part(tag)}`), (said) => `${tag} is revoked: ${said.ended ?? 0} allocations ended.`);
  drawTenant();
}

async function revokeTenant(name) {
  if (!await confirm("Revoke", el("p", {}, `All credentials of ${name} that were minted until now end, with their allocations.`), "Revoke")) return;
  await attempt(() => ask("DELETE", `/v1/tenants/${part(name)}/credentials`), (said) => `Revoked: ${said.ended ?? 0} allocations ended.`);
  drawTenant();
}

async function revokeKey(key) {
  if (!await confirm("Revoke the key", el("p", {}, `${key.id} opens nothing from now on, and credentials that were minted with it end.`), "Revoke")) return;
  await attempt(() => ask("DELETE", `/v1/keys/${part(key.id)}`), "The key is revoked.");
  drawTenant();
}

async function newKey(tenant) {
  const scopes = ["mint", "usage:read", "admin"];
  const form = await confirm("New key", [el("p", {}, `For ${tenant}. Two may live at a time: make the new one, use it everywhere, then revoke the old one.`),
    el("label", {}, "Name", el("input", {name: "name", maxlength: 128})),
    el("fieldset", {}, el("legend", {}, "May"), scopes.map((scope) =>
      el("label", {}, el("input", {type: "checkbox", name: "scope", value: scope, checked: scope === "mint", style: "display:inline;width:auto"}), ` ${scope}`)))], "Make");
  if (!form) return;
  const chosen = [...form.querySelectorAll("input[name=scope]:checked")].map((box) => box.value);
  const made = await attempt(() => ask("POST", "/v1/keys", {tenant, scopes: chosen, name: form.elements.name.value}));
  if (!made) return;
  await confirm("The key", [el("p", {}, "It is shown once. Keep it where the program finds it, and nowhere else."), el("p", {}, el("code", {id: "made-key"}, made.token))], "I have it");
  drawTenant();
}

async function newTenant() {
  const form = await confirm("New tenant", [el("label", {}, "Name", el("input", {name: "name", required: true, maxlength: 128})),
    el("label", {}, "Allocations held at most (0: no limit)", el("input", {name: "most", type: "number", min: 0, value: 100}))], "Make");
  if (!form) return;
  const name = form.elements.name.value;
  const made = await attempt(() => ask("POST", "/v1/tenants", {name, max_allocations: Number(form.elements.most.value)}), `${name} is made.`);
  if (!made) return;
  await loadTenants();
  choose(name);
}

// ---- why was he refused? ----

function refusalOf(row) {
  return el("div", {class: "refusal"},
    el("p", {class: "what"}, el("span", {class: "code"}, row.code || "–"), el("b", {}, row.username || row.user || row.client), el("span", {class: "soft"}, `${clock(row.time)} ${row.transport} ${row.client}`)),
    el("p", {}, row.why || row.reason, row.limit ? ` (${count(row.held)} of ${count(row.limit)})` : ""),
    row.advice ? el("p", {class: "soft"}, row.advice) : null,
    el("p", {class: "soft"}, el("code", {}, `${row.rule} · ${row.by}`)));
}

async function explain(wanted) {
  state.explained = wanted;
  const said = await optional(ask("GET", query("/v1/explain", {...wanted, limit: REFUSALS_MAX})), null);
  if (!said) return;
  $("refusals-of").textContent = Object.entries(wanted).map(([name, value]) => `${name} ${value}`).join(", ");
  $("refusals").replaceChildren(...(said.refusals.length ? said.refusals.map(refusalOf) : [el("p", {class: "soft"}, "Nothing, as far as is remembered.")]));
}

async function search(text) {
  const isAddress = /^[0-9.]+(:\d+)?$|^\[?[0-9a-f:]+:[0-9a-f:]*\]?(:\d+)?$/i.test(text);
  await explain(isAddress ? {client: text} : {user: text});
  const live = await optional(ask("GET", query("/v1/allocations", {user: isAddress ? null : text, limit: ROWS_MAX})), {allocations: []});
  const his = live.allocations.filter((row) => !isAddress || row.src.startsWith(text));
  $("refusals").prepend(el("h3", {}, `Live allocations of ${text}: ${his.length}`), his.length ? allocationsOf(his) : el("span"), el("h3", {}, "Refusals"));
  $("refusals").parentElement.scrollIntoView({block: "nearest"});
}

// ---- what happens: one stream, read by hand, as EventSource carries no key ----

async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    rest += value;
    for (let end; (end = rest.indexOf("\n\n")) >= 0; rest = rest.slice(end + 2)) {
      const event = {};
      for (const line of rest.slice(0, end).split("\n")) {
        const colon = line.indexOf(":");
        if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
      }
      if (event.data) yield event;
    }
  }
}

async function follow() {
  if (state.stream) state.stream.abort();
  const stream = state.stream = new AbortController();
  for (let wait = 1000; !stream.signal.aborted; wait = Math.min(wait * 2, 15000)) {
    try {
      const headers = {Authorization: `Bearer ${state.key}`};
      if (state.lastEvent) headers["Last-Event-ID"] = state.lastEvent;
      const types = "stats,allocation.opened,allocation.closed,allocation.refused,quota.warning,quota.full,credential.revoked,key.revoked,tenant.disabled,node.draining,certificate.expiring,policy.reloaded,webhook.dead,gap";
      const response = await fetch(query("/v1/events", {type: types}), {headers, signal: stream.signal, cache: "no-store"});
      if (response.status === 401) return signOut("The key is not known, or is revoked.");
      if (!response.ok) throw new Error(`events: ${response.status}`);
      $("state").textContent = "live";
      wait = 1000;
      for await (const event of eventsOf(response)) take(event);
    } catch (error) {
      if (stream.signal.aborted) return;
    }
    $("state").textContent = "not connected, trying again …";
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

function take(event) {
  if (event.id) state.lastEvent = event.id;
  const said = JSON.parse(event.data);
  if (said.type === "stats") return takeStats(said);
  if (said.type === "allocation.refused" && state.explained) soon(() => explain(state.explained));
  if (["allocation.opened", "allocation.closed"].includes(said.type) && said.tenant === state.chosen) soon(drawTenant);
  const detail = Object.entries(said.data || {}).filter(([, value]) => value !== "" && value !== null).map(([name, value]) => `${name} ${value}`).join(", ");
  $("news").prepend(el("li", {}, el("time", {datetime: said.timestamp}, new Date(said.timestamp).toLocaleTimeString("en-GB")),
    el("b", {}, said.type), ` ${said.tenant === "*" ? "" : said.tenant} ${detail}`));
  while ($("news").children.length > NEWS_MAX) $("news").lastChild.remove();
}

// soon: once, however often it is asked for within half a second
function soon(what) {
  const key = what.toString();
  soon.waiting = soon.waiting || new Set();
  if (soon.waiting.has(key)) return;
  soon.waiting.add(key);
  setTimeout(() => { soon.waiting.delete(key); if (!document.activeElement.closest("#tenant form, dialog")) what(); }, 500);
}

function takeStats(said) {
  const at = Date.parse(said.timestamp), seen = new Set();
  for (const one of said.data.tenants) {
    if (!one.tenant) continue;
    seen.add(one.tenant);
    const points = state.live.get(one.tenant) || [];
    points.push({at, ...one});
    if (points.length > LIVE_POINTS) points.shift();
    state.live.set(one.tenant, points);
  }
  for (const [name, points] of state.live) if (!seen.has(name)) points.push({at, held: 0, bps_in: 0, bps_out: 0, refused: 0});
  drawTenants();
  drawChartTenants();
  if ($("chart-span").value === "live") drawChart();
}

// ---- the chart ----

function drawChartTenants() {
  const names = ["", ...new Set([...state.tenants.keys(), ...strangers().map((one) => one.name)])], select = $("chart-tenant");
  if ([...select.options].map((one) => one.value).join("\n") === names.join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(...names.map((name) => el("option", {value: name}, name || "all tenants")));
  select.value = names.includes(chosen) ? chosen : "";
}

function livePoints(name) {
  const sums = new Map();
  for (const [tenant, points] of state.live) {
    if (name && tenant !== name) continue;
    for (const point of points) {
      const sum = sums.get(point.at) || {at: point.at, in: 0, out: 0};
      sum.in += point.bps_in;
      sum.out += point.bps_out;
      sums.set(point.at, sum);
    }
  }
  return [...sums.values()].sort((a, b) => a.at - b.at);
}

async function pastPoints(name, span) {
  const hours = span === "hour" ? 24 : 24 * 30, step = span === "hour" ? 3600 : 86400;
  const from = new Date(Date.now() - hours * 3600e3).toISOString();
  const said = await ask("GET", query(name ? `/v1/tenants/${part(name)}/usage` : "/v1/usage", {from, group_by: span}));
  return said.rows.map((row) => ({at: Date.parse(row[span]), in: row.bytes_in * 8 / step, out: row.bytes_out * 8 / step}));
}

async function drawChart() {
  const name = $("chart-tenant").value, span = $("chart-span").value;
  const points = span === "live" ? livePoints(name) : await optional(pastPoints(name, span), []);
  const now = Date.now(), from = now - {live: 600e3, hour: 86400e3, day: 30 * 86400e3}[span];
  plot($("chart"), points.filter((point) => point.at >= from), from, now, span);
}

function niceTop(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1000)));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= most);
}

function plot(box, points, from, to, span) {
  const width = Math.max(box.clientWidth, 200), height = box.clientHeight || 190, left = 70, bottom = 20, top = niceTop(Math.max(...points.map((p) => Math.max(p.in, p.out)), 0));
  const x = (at) => left + (at - from) / (to - from) * (width - left - 8), y = (value) => (height - bottom) - value / top * (height - bottom - 8);
  const label = (at) => span === "day" ? new Date(at).toLocaleDateString("en-GB", {day: "numeric", month: "short"}) : new Date(at).toLocaleTimeString("en-GB", {hour: "2-digit", minute: "2-digit"});
  const line = (name) => svg("path", {class: name, d: points.map((p, i) => `${i ? "L" : "M"}${x(p.at).toFixed(1)} ${y(p[name]).toFixed(1)}`).join("")});
  const picture = svg("svg", {viewBox: `0 0 ${width} ${height}`});
  for (const share of [0, .5, 1]) {
    picture.append(svg("line", {class: "grid", x1: left, x2: width - 8, y1: y(top * share), y2: y(top * share)}),
      svg("text", {x: left - 8, y: y(top * share) + 4, "text-anchor": "end"}, bits(top * share)));
  }
  const ticks = width < 500 ? 2 : span === "live" ? 5 : 6;
  for (let i = 0; i <= ticks; i++) {
    const at = from + (to - from) * i / ticks;
    picture.append(svg("text", {x: x(at), y: height - 4, "text-anchor": i === 0 ? "start" : i === ticks ? "end" : "middle"}, label(at)));
  }
  picture.append(line("in"), line("out"));
  if (!points.length) picture.append(svg("text", {x: width / 2, y: height / 2, "text-anchor": "middle"}, "nothing yet"));
  const last = points.at(-1);
  box.setAttribute("aria-label", last ? `Traffic: ${bits(last.in)} from clients, ${bits(last.out)} to clients` : "Traffic: nothing yet");
  const tip = el("div", {class: "tip", hidden: true});
  box.onpointermove = (event) => point(box, tip, points, x, event, label);
  box.onpointerleave = () => { tip.hidden = true; };
  box.replaceChildren(picture, tip);
}

function point(box, tip, points, x, event, label) {
  if (!points.length) return;
  const at = event.clientX - box.getBoundingClientRect().left;
  const near = points.reduce((best, p) => Math.abs(x(p.at) - at) < Math.abs(x(best.at) - at) ? p : best);
  tip.textContent = `${label(near.at)}\nfrom clients ${bits(near.in)}\nto clients ${bits(near.out)}`;
  tip.hidden = false;
  tip.style.left = `${Math.min(x(near.at) + 8, box.clientWidth - 170)}px`;
}

// ---- themes, and the beginning ----

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  localStorage.setItem("relay.theme", theme);
  $("theme").textContent = {"": "Theme: system", dark: "Theme: dark", light: "Theme: light"}[theme];
}

function nextTheme() {
  const themes = ["", "dark", "light"];
  setTheme(themes[(themes.indexOf(localStorage.getItem("relay.theme") || "") + 1) % themes.length]);
}

$("theme").addEventListener("click", nextTheme);
$("leave").addEventListener("click", () => signOut(""));
$("new-tenant").addEventListener("click", newTenant);
$("sign-in").addEventListener("submit", (event) => { event.preventDefault(); signIn($("key").value.trim()); $("key").value = ""; });
$("search").addEventListener("submit", (event) => { event.preventDefault(); if ($("who").value.trim() && state.key) search($("who").value.trim()); });
$("chart-tenant").addEventListener("change", drawChart);
$("chart-span").addEventListener("change", drawChart);
addEventListener("resize", () => soon(drawChart));
setInterval(() => { if (state.key && !document.hidden) { optional(loadMonth(), null); if ($("chart-span").value !== "live") drawChart(); } }, 10000);
setTheme(localStorage.getItem("relay.theme") || "");
if (location.hash.startsWith("#key=")) { // from `make run`: it does not stay in the address
  const key = decodeURIComponent(location.hash.slice(5));
  history.replaceState(null, "", location.pathname);
  signIn(key);
} else if (state.key) signIn(state.key);
else signOut("");
