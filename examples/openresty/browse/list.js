"use strict";
// The list: collections, a search, and one page of entries. Where it stands
// is in the address, after the #, so that a reload and the way back work. What
// comes from the store is text, and is only ever set as text.

const $ = id => document.getElementById(id);
const api = location.pathname.replace(/\/$/, "") + "/api";
const searched = ["prefix", "from", "to", "reverse"];

let place;   // where we are: the fields of the address
let shown;   // the page of entries that is seen
let loads = 0;

function say(text, wrong) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", Boolean(wrong));
}

// Words may have a name in them that is no UTF-8; then they come as bytes.
function readable(field, value) {
  return value?.$b ? `(in base64) ${value.$b}` : value;
}

// Raises what the other side says against it.
async function ask(op, fields) {
  const response = await fetch(api, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ op, collection: place.collection, ...fields }),
  });
  if (!response.ok) {
    throw new Error(`${response.status}: ${await response.text()}`);
  }
  const answer = JSON.parse(await response.text(), readable);
  if (answer.problem) throw new Error(answer.problem);
  return answer;
}

// ---- Words -------------------------------------------------------------

function units(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 2 ** 20) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function span(seconds) {
  const s = Math.ceil(seconds), m = Math.floor(s / 60);
  if (s < 60) return `${s} s`;
  if (m < 60) return `${m} min ${s % 60} s`;
  if (m < 1440) return `${Math.floor(m / 60)} h ${m % 60} min`;
  return `${Math.floor(m / 1440)} d ${Math.floor(m / 60) % 24} h`;
}

// Text of JSON, where what can't be seen or turns the writing around is
// written as \u202e.
function visible(text) {
  return text.replace(/(?![ \n])[\p{Z}\p{C}]/gu, part =>
    part.split("").map(unit =>
      "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0")).join(""));
}

// A name: what the quotes hold, unless it is bytes.
function named(text) {
  return visible(text.startsWith('"') ? JSON.parse(text) : text);
}

// Breaks a long text of JSON into lines; nothing else of it changes.
function lines(text) {
  if (text.length < 60 || !/^[[{]/.test(text)) return text;
  let depth = 0;
  const fresh = () => "\n" + "  ".repeat(depth);
  return text.replace(/"(?:[^"\\]|\\.)*"|[[\]{},:]/g, (part, at) => {
    if (part === ",") return part + fresh();
    if (part === ":") return part + " ";
    if (part === "{" || part === "[") {
      depth++;
      return /[}\]]/.test(text[at + 1]) ? part : part + fresh();
    }
    if (part === "}" || part === "]") {
      depth--;
      return /[{[]/.test(text[at - 1]) ? part : fresh() + part;
    }
    return part;
  });
}

// ---- The list ----------------------------------------------------------

function element(tag, text, fields) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  return Object.assign(made, fields);
}

function linkOf(one) {
  const link = element("a", undefined, {
    href: "#" + new URLSearchParams({ collection: one.name }) });
  if (one.name === place.collection) link.ariaCurrent = "page";
  link.append(element("span", named(one.name)),
    element("small", `${one.kind} ${one.entries ?? one.problem}`));
  const item = element("li");
  item.append(link);
  return item;
}

function rowOf(entry) {
  const row = element("tr"), key = element("td");
  const value = element("td", entry.problem ?? visible(entry.value ?? ""));
  if (entry.problem) value.className = "wrong";
  else if (entry.value === undefined && shown.kind !== "set") {
    value.textContent = `(${units(entry.size)})`;
  }
  key.append(element("button", visible(entry.key), { type: "button" }));
  row.append(key, value, element("td", "–"));
  row.addEventListener("click", () => edit(entry.key));
  return row;
}

function showStore(store) {
  $("path").textContent = store.path;
  $("collections").replaceChildren(...store.collections.map(linkOf));
  document.querySelector("[aria-current]")
    ?.scrollIntoView({ block: "nearest", inline: "nearest" });
  $("title").textContent = place.collection ? named(place.collection)
    : "No collections yet";
  document.title = "lode: " + $("title").textContent;
}

function showPage(page) {
  shown = page;
  for (const entry of shown.rows) {
    if (entry.ttl !== undefined) entry.end = Date.now() + entry.ttl * 1000;
  }
  document.querySelector("table").className = shown.kind;
  document.querySelector("th").textContent =
    shown.kind === "set" ? "Member" : "Key";
  $("rows").replaceChildren(...shown.rows.map(rowOf));
  $("note").hidden = !shown.note;
  $("note").textContent = shown.note;
  $("previous").disabled = !shown.previous;
  $("next").disabled = !shown.next;
  tick();
}

function showSearch() {
  for (const name of searched) {
    const field = $("search").elements[name];
    if (name === "reverse") field.checked = Boolean(place.reverse);
    else field.value = place[name] ?? "";
  }
}

function count() {
  const n = shown.rows.length;
  const [one, many] = shown.kind === "set" ? ["member", "members"]
    : ["entry", "entries"];
  if (n === 0) return "Nothing here.";
  return `${n} ${n === 1 ? one : many}`
    + (shown.next || shown.previous ? " on this page" : "");
}

async function load(message) {
  const mine = ++loads;
  place = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  showSearch();
  try {
    const store = await ask("collections");
    if (mine !== loads) return;
    const first = store.collections[0];
    if (!place.collection && first) {
      return go({ collection: first.name }, true);
    }
    showStore(store);
    const page = place.collection && await ask("page", {
      ...place, reverse: Boolean(place.reverse) });
    if (mine !== loads) return;
    if (page) showPage(page);
    say(message ?? (page ? count() : ""));
  } catch (error) {
    if (mine !== loads) return;
    shown = undefined;
    $("rows").replaceChildren();
    say(error.message, true);
  }
}

// Once a second: what is left, and a look when something has ended.
function tick() {
  let over = false;
  (shown?.rows ?? []).forEach((entry, i) => {
    if (entry.end === undefined) return;
    const left = (entry.end - Date.now()) / 1000;
    const row = $("rows").children[i];
    row.classList.toggle("over", left <= 0);
    row.lastChild.textContent = left > 0 ? span(left) : "ended";
    over ||= left <= 0;
  });
  if (over && !$("editor").open) load();
}
setInterval(tick, 1000);

function go(fields, instead) {
  const hash = "#" + new URLSearchParams(fields);
  if (hash !== location.hash && !instead) location.hash = hash;
  else {
    history.replaceState(null, "", hash);
    load();
  }
}

// The search of the address, from a cursor on.
function leaf(cursor) {
  const { after, before, ...search } = place;
  go({ ...search, ...cursor });
}

$("search").addEventListener("submit", event => {
  event.preventDefault();
  const fields = { collection: place.collection };
  for (const [name, value] of new FormData($("search"))) {
    if (value !== "") fields[name] = value;
  }
  go(fields);
});
$("all").addEventListener("click",
  () => go({ collection: place.collection }));
$("next").addEventListener("click",
  () => leaf({ after: shown.rows.at(-1).key }));
$("previous").addEventListener("click",
  () => leaf({ before: shown.rows[0].key }));
$("refresh").addEventListener("click", () => load());
$("add").addEventListener("click", () => shown && fill({}));
addEventListener("hashchange", () => load());
