// test.js: does a TURN server work from this browser? Each address by itself, step by step; with the server's own words where it has some.
"use strict";

const GATHER_MS = 3000; // Chromium itself tells of a silent server only after 40 s
const CONNECT_MS = 10000, GAME_RATE = 60, GAME_BYTES = 100, LATE_MS = 1000, BULK_BYTES = 16384, BUFFERED_MAX = 1 << 20, LOSS_MAX = .02;

const $ = (id) => document.getElementById(id);
let words = WORDS.en, report = null, gameMs = 5000, bulkMs = 3000;

const say = (name, values = {}) => words[name].replace(/\{(\w+)\}/g, (all, key) => values[key] ?? all);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// within: what a promise becomes, or undefined when the time is over
function within(promise, ms) {
  return Promise.race([promise, pause(ms)]);
}

// ---- one address ----

class Try {
  constructor(url, user, credential) {
    this.url = url;
    this.servers = [{urls: url, username: user, credential}];
    this.user = user;
    this.isUdp = !/^turns:/.test(url) && !/transport=tcp/.test(url);
    this.errors = [];
    this.steps = {};
    this.list = el("ol", {class: "steps"});
    this.box = el("section", {class: "result", "data-url": url}, el("h2", {}, url), this.list);
    $("results").append(this.box);
  }

  step(name) {
    const step = this.steps[name] = {state: "runs", text: "", begun: performance.now(), node: el("li", {"data-step": name})};
    this.list.append(step.node);
    this.draw(name);
    return step;
  }

  draw(name) {
    const step = this.steps[name];
    step.node.dataset.state = step.state;
    const what = el("div", {class: "what"}, el("p", {}, step.text));
    if (step.record) what.append(el("div", {class: "server"}, el("p", {}, el("b", {}, say("server")), `: ${step.record.code ? `${step.record.code}: ` : ""}${step.record.why} (${step.record.rule})`, step.record.advice ? el("span", {class: "soft"}, ` ${step.record.advice}`) : "")));
    if (step.picture) what.append(step.picture);
    step.node.replaceChildren(el("span", {class: "name"}, say(name)), el("span", {class: "state"}, say(step.state)), what);
  }

  async end(name, state, text, more = {}) {
    const step = this.steps[name];
    Object.assign(step, {state, text}, more);
    if (state === "fails") step.record = await recordOf(this.user, Math.ceil((performance.now() - step.begun) / 1000) + 1);
    this.draw(name);
    return state !== "fails";
  }

  // open: a connection that may use nothing but the relay; told: its first relay candidate, and errors
  open() {
    const pc = new RTCPeerConnection({iceServers: this.servers, iceTransportPolicy: "relay"});
    pc.gathered = new Promise((resolve) => {
      pc.addEventListener("icecandidate", ({candidate}) => { if (candidate && candidate.type === "relay") resolve(candidate); });
      pc.addEventListener("icegatheringstatechange", () => { if (pc.iceGatheringState === "complete") setTimeout(() => resolve(null), 50); });
    });
    pc.addEventListener("icecandidateerror", (event) => this.errors.push({code: event.errorCode, text: event.errorText || ""}));
    return pc;
  }

  async run() {
    try {
      const good = await this.gather() && await this.connect() && await this.play() && await this.pour();
      return good;
    } finally {
      for (const pc of [this.a, this.b]) if (pc) pc.close();
    }
  }

  async gather() {
    this.step("gather");
    const begun = performance.now();
    try {
      this.a = this.open();
      this.b = this.open();
    } catch (error) {
      return this.end("gather", "fails", String(error.message));
    }
    this.game = this.a.createDataChannel("game", {ordered: false, maxRetransmits: 0});
    this.bulk = this.a.createDataChannel("bulk");
    this.others = new Promise((resolve) => {
      const others = {};
      this.b.addEventListener("datachannel", ({channel}) => { others[channel.label] = channel; if (others.game && others.bulk) resolve(others); });
    });
    for (const [from, to] of [[this.a, this.b], [this.b, this.a]])
      from.addEventListener("icecandidate", ({candidate}) => { if (candidate) to.addIceCandidate(candidate).catch(() => {}); });
    await this.a.setLocalDescription();
    await this.b.setRemoteDescription(this.a.localDescription);
    await this.b.setLocalDescription();
    await this.a.setRemoteDescription(this.b.localDescription);
    const found = await within(Promise.all([this.a.gathered, this.b.gathered]), GATHER_MS);
    if (found && found[0] && found[1])
      return this.end("gather", "works", say("got_relay", {address: `${found[0].address}:${found[0].port}`, ms: Math.round(performance.now() - begun)}));
    return this.end("gather", "fails", this.why(), {errors: this.errors});
  }

  // why: what the errors of gathering mean
  why() {
    const answered = this.errors.find((error) => error.code >= 300 && error.code < 700), error = answered || this.errors[0];
    if (!error) return say(this.isUdp ? "no_answer_udp" : /^turns:/.test(this.url) ? "no_answer_tls" : "no_answer");
    if (error.code === 401) {
      const late = Math.floor(Date.now() / 1000) - parseInt(this.user, 10);
      return /^\d{9,}(:|$)/.test(this.user) && late > 0 ? say("expired", {seconds: late}) : say("wrong");
    }
    const names = {300: "redirected", 403: "forbidden", 486: "quota", 508: "capacity", 701: "unreachable"};
    return names[error.code] ? say(names[error.code], error) : say("other_error", error);
  }

  async connect() {
    this.step("connect");
    const begun = performance.now();
    const opened = (channel) => new Promise((resolve) => { if (channel.readyState === "open") resolve(true); channel.addEventListener("open", () => resolve(true)); });
    const others = await within(Promise.all([this.others, opened(this.game), opened(this.bulk)]), CONNECT_MS);
    if (!others) return this.end("connect", "fails", say("not_connected"));
    [this.mates] = others;
    const ms = Math.round(performance.now() - begun), pair = await pairOf(this.a);
    return this.end("connect", "works", say("connected", {local: pair.local, protocol: pair.protocol, ms}), {pair});
  }

  // play: packets of a game, each sent back by the other end
  async play() {
    this.step("game");
    const sent = new Map(), trips = [], mate = this.mates.game;
    mate.binaryType = this.game.binaryType = "arraybuffer";
    mate.onmessage = ({data}) => { if (mate.readyState === "open") mate.send(data); };
    this.game.onmessage = ({data}) => {
      const number = new DataView(data).getUint32(0), at = sent.get(number);
      if (at === undefined) return;
      sent.delete(number);
      const took = performance.now() - at;
      if (took < LATE_MS) trips.push({at, took});
    };
    const begun = performance.now(), packet = new ArrayBuffer(GAME_BYTES);
    let count = 0;
    for (; performance.now() - begun < gameMs && this.game.readyState === "open"; await pause(4)) {
      const due = Math.floor((performance.now() - begun) / 1000 * GAME_RATE) + 1;
      for (; count < due; count++) {
        new DataView(packet).setUint32(0, count);
        sent.set(count, performance.now());
        this.game.send(packet);
      }
    }
    for (const end = performance.now() + LATE_MS; sent.size && performance.now() < end;) await pause(20);
    if (!trips.length) return this.end("game", "fails", say("broken"));
    const numbers = gameOf(trips, count), state = numbers.loss > LOSS_MAX * 100 ? "doubtful" : "works";
    return this.end("game", state, say("game_said", numbers) + (state === "works" ? "" : ` ${say("game_loss")}`), {numbers, picture: picture(trips)});
  }

  async pour() {
    this.step("bulk");
    const mate = this.mates.bulk, piece = new ArrayBuffer(BULK_BYTES);
    let came = 0;
    mate.binaryType = "arraybuffer";
    mate.onmessage = ({data}) => { came += data.byteLength; };
    const begun = performance.now();
    while (performance.now() - begun < bulkMs && this.bulk.readyState === "open") {
      while (this.bulk.bufferedAmount < BUFFERED_MAX) this.bulk.send(piece);
      await pause(4);
    }
    const mbit = Math.round(came * 8 / (performance.now() - begun) / 100) / 10;
    return came ? this.end("bulk", "works", say("bulk_said", {mbit}), {numbers: {mbit}}) : this.end("bulk", "fails", say("broken"));
  }
}

async function pairOf(pc) {
  const stats = await pc.getStats();
  let pair = null;
  stats.forEach((row) => { if (row.type === "candidate-pair" && row.nominated && row.state === "succeeded") pair = row; });
  const local = pair && stats.get(pair.localCandidateId), remote = pair && stats.get(pair.remoteCandidateId);
  const name = (row) => row ? `${row.candidateType} ${row.address || ""}:${row.port || ""}` : "?";
  return {local: `${name(local)} – ${name(remote)}`, protocol: ((local && (local.relayProtocol || local.protocol)) || "?").toUpperCase(),
    types: [local && local.candidateType, remote && remote.candidateType]};
}

function gameOf(trips, sent) {
  const sorted = trips.map((trip) => trip.took).sort((a, b) => a - b), at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);
  let jitter = 0;
  for (let i = 1; i < trips.length; i++) jitter += (Math.abs(trips[i].took - trips[i - 1].took) - jitter) / 16; // RFC 3550 section 6.4.1
  return {sent, came: trips.length, loss: Math.max(0, (1 - trips.length / sent) * 100).toFixed(1), p50: at(.5), p95: at(.95), p99: at(.99), jitter: jitter.toFixed(1)};
}

function picture(trips) {
  const width = 600, height = 70, first = trips[0].at, last = Math.max(trips.at(-1).at, first + 1), most = Math.max(...trips.map((trip) => trip.took), 1);
  const make = (name, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text || "";
    return node;
  };
  const svg = make("svg", {class: "trips", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": say("trips")});
  const path = trips.map((trip, i) => `${i ? "L" : "M"}${((trip.at - first) / (last - first) * width).toFixed(1)} ${(height - 4 - trip.took / most * (height - 18)).toFixed(1)}`).join("");
  svg.append(make("line", {x1: 0, x2: width, y1: height - 4, y2: height - 4}), make("path", {d: path}), make("text", {x: 2, y: 10}, `${most.toFixed(1)} ms`));
  return svg;
}

// ---- what the server says: of refusals of this user from this address, if it is asked from its own page ----

async function recordOf(user, within) {
  if (!location.protocol.startsWith("http") || !user) return null;
  await pause(100); // the record is made after the answer
  try {
    const response = await fetch(`/v1/test-record?user=${encodeURIComponent(user)}&within=${within}`, {cache: "no-store"});
    return response.ok ? (await response.json()).refusals[0] || null : null;
  } catch { return null; }
}

// ---- the page ----

function setLanguage(name) {
  words = WORDS[name];
  document.documentElement.lang = name;
  $("language").value = name;
  localStorage.setItem("relay.language", name);
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = say(node.dataset.word);
}

function resultOf(one, good) {
  const steps = {};
  for (const [name, step] of Object.entries(one.steps))
    steps[name] = {state: step.state, text: step.text, ...step.numbers, ...(step.pair ? {pair: step.pair} : {}), ...(step.errors ? {errors: step.errors} : {}), ...(step.record ? {server: step.record} : {})};
  return {url: one.url, works: good, steps};
}

async function runAll(event) {
  if (event) event.preventDefault();
  const urls = $("urls").value.split(/\s+/).filter(Boolean), user = $("user").value, credential = $("credential").value;
  $("run").disabled = true;
  $("results").replaceChildren();
  $("copy").hidden = $("report-box").hidden = true;
  report = {time: new Date().toISOString(), agent: navigator.userAgent, user, results: []};
  for (const url of urls) {
    $("verdict").dataset.state = "runs";
    $("verdict").textContent = say("running", {url});
    const one = new Try(url, user, credential);
    report.results.push(resultOf(one, await one.run()));
  }
  const good = report.results.filter((result) => result.works).length, all = urls.length;
  $("verdict").dataset.state = good === all ? "works" : good ? "doubtful" : "fails";
  $("verdict").textContent = say(good === all ? "verdict_works" : good ? "verdict_some" : "verdict_fails", {good, all});
  $("report").textContent = JSON.stringify(report, null, 2);
  $("copy").hidden = $("report-box").hidden = false;
  $("run").disabled = false;
}

async function redeem(token) {
  history.replaceState(null, "", location.pathname);
  try {
    const response = await fetch("/v1/test-link", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({token})});
    if (!response.ok) throw new Error();
    const {iceServers: [server]} = await response.json();
    $("urls").value = [server.urls].flat().join("\n");
    $("user").value = server.username;
    $("credential").value = server.credential;
    $("link-said").textContent = say("link_good");
    await runAll();
  } catch {
    $("link-said").textContent = say("link_used");
  }
}

// of the fragment, as it never reaches a server: a link's token, or urls=…&user=…&credential=…[&lang=…][&seconds=…][&run]
async function begin() {
  const preferred = localStorage.getItem("relay.language") || navigator.language.slice(0, 2);
  setLanguage(WORDS[preferred] ? preferred : "en");
  const fragment = location.hash.slice(1), given = new URLSearchParams(fragment);
  if (given.has("lang") && WORDS[given.get("lang")]) setLanguage(given.get("lang"));
  for (const [name, id] of [["urls", "urls"], ["user", "user"], ["credential", "credential"]]) if (given.has(name)) $(id).value = given.getAll(name).join("\n");
  if (given.has("seconds")) gameMs = bulkMs = 1000 * Math.min(60, Math.max(1, Number(given.get("seconds")) || 1));
  if (given.has("link")) await redeem(given.get("link"));
  else if (fragment && !fragment.includes("=")) await redeem(fragment);
  else if (given.has("run")) await runAll();
}

$("form").addEventListener("submit", runAll);
$("language").addEventListener("change", () => setLanguage($("language").value));
$("copy").addEventListener("click", async () => { await navigator.clipboard.writeText($("report").textContent); $("copy").textContent = say("copied"); });
begin();
