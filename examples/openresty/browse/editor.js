// The editor: one entry, or a new one. What is done to an entry is refused
// where somebody else has changed it since it was shown.

let open;   // the entry in it; without a version: a new one

function complain(text) {
  $("problem").textContent = text || "";
  $("problem").hidden = !text;
}

function fillNew(isSet) {
  $("what").textContent = isSet ? "New member" : "New entry";
  $("has-value").hidden = isSet;
  $("save").hidden = false;
  $("save").textContent = "Add";
  $("key").value = $("life").value = "";
}

function fillOld(entry, isSet) {
  $("what").textContent = `${isSet ? "Member" : "Entry"}, `
    + units(entry.size);
  $("shown-key").textContent = visible(entry.key);
  $("has-value").hidden = entry.value === undefined;
  $("save").hidden = $("has-value").hidden || entry.rounded;
  $("save").textContent = "Save value";
  $("ends").textContent = entry.ttl === undefined ? "It has no end."
    : `It ends in ${span(entry.ttl)}, at `
      + new Date(Date.now() + entry.ttl * 1000).toLocaleString();
  $("ttl").value = "";
  if (entry.rounded) complain("This value has a number that nginx's Lua has "
    + "not exactly. The command lode can change it.");
  else if (entry.value === undefined && !isSet) {
    complain("The value is too large for this page.");
  }
}

function fill(entry) {
  const isNew = entry.version === undefined, isSet = shown.kind === "set";
  open = entry;
  complain();
  calm();
  $("has-key").hidden = $("has-life").hidden = !isNew;
  $("shown-key").hidden = $("time").hidden = $("last").hidden = isNew;
  $("has-life").hidden ||= shown.kind === "raw";
  $("time").hidden ||= shown.kind === "raw";
  $("key").disabled = !isNew; // a field that is hidden isn't required
  $("value").value = visible(lines(entry.value ?? ""));
  $("value").readOnly = Boolean(entry.rounded);
  $("value").rows = Math.min(16, 2 + $("value").value.split("\n").length);
  if (isNew) fillNew(isSet);
  else fillOld(entry, isSet);
  if (!$("editor").open) $("editor").showModal();
  $("editor").scrollTop = 0;
  (isNew ? $("key") : $("close")).focus();
}

async function edit(key) {
  try {
    fill(await ask("entry", { key }));
  } catch (error) {
    if ($("editor").open) complain(error.message);
    else say(error.message, true);
  }
}

// Does something to the entry as it was seen; then the editor has done.
async function act(op, fields, message) {
  try {
    await ask(op, { key: open.key, version: open.version, ...fields });
    $("editor").close();
    load(message);
  } catch (error) {
    complain(error.message);
    $("editor").scrollTop = 0;
  }
}

function seconds(input) {
  return input.value === "" ? undefined : Number(input.value);
}

// What can't be undone is clicked twice.
const risky = {
  expire: ["Expire now",
    () => act("expire", { ttl: 0.001 }, "It has ended.")],
  delete: ["Delete", () => act("delete", {}, "Deleted.")],
};

function calm() {
  for (const id in risky) {
    $(id).classList.remove("sure");
    $(id).textContent = risky[id][0];
  }
}

for (const id in risky) {
  $(id).addEventListener("click", () => {
    if ($(id).classList.contains("sure")) return risky[id][1]();
    calm();
    $(id).classList.add("sure");
    $(id).textContent = risky[id][0] + "?";
  });
}

$("entry").addEventListener("submit", event => {
  event.preventDefault();
  const value = $("value").value;
  if (open.version !== undefined) act("edit", { value }, "Saved.");
  else {
    const ttl = seconds($("life"));
    act("add", { key: $("key").value, value, ttl }, "Added.");
  }
});
$("time").addEventListener("submit", event => {
  event.preventDefault();
  act("expire", { ttl: seconds($("ttl")) }, "The end is set.");
});
$("no-end").addEventListener("click",
  () => act("expire", {}, "It has no end any more."));
$("reload").addEventListener("click", () => edit(open.key));
$("close").addEventListener("click", () => $("editor").close());

load();
