--- The page that `lode report` writes, of the figures of a store.
--
-- It stands alone: style and pictures are in it, and there is no script. Its
-- policy (Content-Security-Policy) forbids to load or to run anything, so
-- that a name could do nothing even if it got through as markup. Each
-- picture is beside the figures that it is drawn from, in words.

local form = require "lode.text"
local lode = require "lode"
local look = require "lode.cli.look"
local terminal = require "lode.cli.terminal"

local bytes, grouped = terminal.bytes, terminal.grouped

local page = {}

-- ==================================================================
-- Text
-- ==================================================================

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;",
  ['"'] = "&quot;", ["'"] = "&#39;" }

local function hex (c)
  return ("\\x%02x"):format(c:byte())
end

---Any bytes as text of HTML; what isn't UTF-8, and controls, as \xNN.
---@param text string
---@return string
function page.escape (text)
  text = text:gsub("%c", hex)
  if not form.is_utf8(text) then text = text:gsub("[\128-\255]", hex) end
  return (text:gsub("[&<>\"']", entities))
end

-- A name, kept apart from the direction of writing around it.
local function name_of (text)
  return "<bdi>" .. page.escape(text) .. "</bdi>"
end

-- A template with each {name} filled in.
local function fill (template, values)
  return (template:gsub("{(%l+)}", values))
end

local function each (list, fn)
  local out = {}
  for i, item in ipairs(list) do out[i] = fn(item, i) end
  return table.concat(out)
end

local function when (time)
  return os.date("!%Y-%m-%d %H:%M", time)
end

local function plural (count, one, many)
  return grouped(count) .. " " .. (count == 1 and one or many)
end

-- A share of a whole: "12.3 %".
local function percent (part, whole)
  if part <= 0 or whole <= 0 then return "0 %" end
  local share = 100 * part / whole
  if share < 0.1 then return "&lt; 0.1 %" end
  return (share < 99.95 and "%.1f %%" or "%.0f %%"):format(share)
end

-- ==================================================================
-- Pictures
-- ==================================================================

-- The part of 100 that is drawn; what is there at all can be seen.
local function drawn (part, whole)
  if part <= 0 or whole <= 0 then return 0 end
  return math.max(0.8, 100 * part / whole)
end

local function bar (part, whole)
  return ('<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" '
    .. 'aria-hidden="true"><rect class="track" width="100" height="1"/>'
    .. '<rect class="live" width="%.2f" height="1"/></svg>'):format(
    drawn(part, whole))
end

-- The parts of a whole in one bar: { { class, size }, ... }.
local function stacked (parts)
  local whole = 0
  for _, part in ipairs(parts) do
    whole = whole + drawn(part.size, parts.all)
  end
  local x = 0
  return '<svg class="stack" viewBox="0 0 100 1" preserveAspectRatio="none" '
    .. 'aria-hidden="true">' .. each(parts, function (part)
      local width = drawn(part.size, parts.all) * 100 / math.max(whole, 1)
      x = x + width
      return ('<rect class="%s" x="%.2f" width="%.2f" height="1"/>'):format(
        part.class, x - width, width)
    end) .. "</svg>"
end

-- The points of a line: along by time, or by number where all are of one
-- moment; up to `top`.
local function points_of (runs, field, top)
  local first, last = runs[1].time, runs[#runs].time
  local points = {}
  for i, run in ipairs(runs) do
    local along = last > first and (run.time - first) / (last - first)
      or (i - 1) / (#runs - 1)
    points[i] = ("%.2f %.2f"):format(100 * math.max(0, math.min(1, along)),
      38 - 36 * run[field] / top)
  end
  return points
end

-- Lines over the runs, each filled to the ground.
local function lines (runs, fields, label)
  local top = 1
  for _, run in ipairs(runs) do
    for _, field in ipairs(fields) do top = math.max(top, run[field]) end
  end
  return ('<svg class="line" viewBox="0 0 100 40" preserveAspectRatio="none"'
    .. ' role="img" aria-label="%s">'):format(label)
    .. '<path class="ground" d="M0 38H100"/>'
    .. each(fields, function (field)
      local points = points_of(runs, field, top)
      local path = "M" .. table.concat(points, "L")
      return ('<path class="area %s" d="%sV38H%sZ"/><path class="%s" '
        .. 'd="%s"/><path class="dots %s" d="%s"/>'):format(field, path,
        points[1]:match "^%S+", field, path, field, each(points,
        function (point) return "M" .. point .. "h0" end))
    end) .. "</svg>"
end

-- ==================================================================
-- Parts of the page
-- ==================================================================

local function tile (label, figure, note)
  return ("<div><dt>%s</dt><dd>%s%s</dd></div>\n"):format(label, figure,
    note and "<small>" .. note .. "</small>" or "")
end

local function tiles (found)
  local stats = found.stats
  return '<dl class="tiles">\n'
    .. tile("Entries", grouped(found.entries), found.expired > 0
      and grouped(found.expired) .. " expired, not removed yet")
    .. tile("Collections", grouped(#found.collections))
    .. tile("In use", bytes(stats.used_size),
      percent(stats.used_size, stats.file_size) .. " of the file")
    .. tile("Free", bytes(stats.free_size), "filled first")
    .. tile("File", bytes(stats.file_size), stats.max_size
      and "quota " .. bytes(stats.max_size))
    .. tile("Commits", grouped(stats.version))
    .. "</dl>\n"
end

-- What asks for somebody's attention, in sentences.
local function remarks (found)
  local stats, list = found.stats, {}
  local function remark (format, ...)
    list[#list + 1] = format:format(...)
  end
  local oldest = stats.oldest_reader
  if oldest then
    remark("Process %d reads a moment %s ago: the file grows for as long as "
      .. "it does.", oldest.pid, plural(oldest.commits, "commit", "commits"))
  end
  if found.waiting > 0 then
    remark("%s for a program that has the policy or the <code>on_expire"
      .. "</code> of the collection.", plural(found.waiting,
      "entry whose time has come waits", "entries whose time has come wait"))
  end
  local due = found.expired - found.waiting
  if due > 100 and due > found.entries / 20 then
    remark("%s not removed yet: <code>lode sweep</code> does it.",
      plural(due, "expired entry is", "expired entries are"))
  end
  if stats.max_size and stats.used_size > 0.8 * stats.max_size then
    remark("%s of the quota of %s are in use.", percent(stats.used_size,
      stats.max_size), bytes(stats.max_size))
  end
  if stats.free_size > 1048576 and stats.free_size > stats.file_size / 2 then
    remark("%s of the file are free and will be filled first; <code>lode "
      .. "compact</code> gives them back.", bytes(stats.free_size))
  end
  if #list == 0 then return "" end
  return '<ul class="remarks">\n' .. each(list, function (text)
    return "<li>" .. text .. "</li>\n"
  end) .. "</ul>\n"
end

local shown_most = 100 -- collections in the table

local function collection_row (one, whole, largest)
  local about = { one.kind }
  local options = look.options_text(one.options)
  if options ~= "" then about[2] = page.escape(options) end
  if one.largest_value > 0 then
    about[#about + 1] = "values up to "
      .. bytes(one.largest_value):gsub(" ", "&nbsp;")
  end
  return fill([[
<tr><th scope="row">{name}<small>{about}</small>{bar}</th>
<td>{entries}<small>{due}</small></td>
<td>{size}<small>{share}</small></td></tr>
]], { name = name_of(one.name), about = table.concat(about, " · "),
    bar = bar(one.size, largest), entries = grouped(one.entries),
    due = one.expired > 0 and grouped(one.expired) .. " due" or "",
    size = bytes(one.size), share = percent(one.size, whole) })
end

local function rest_row (rest, whole)
  local entries, size = 0, 0
  for _, one in ipairs(rest) do
    entries, size = entries + one.entries, size + one.size
  end
  return ('<tr><th scope="row">%s</th><td>%s</td><td>%s<small>%s</small>'
    .. "</td></tr>\n"):format(plural(#rest, "smaller one", "smaller ones"),
    grouped(entries), bytes(size), percent(size, whole))
end

local function collections (found)
  local list, rest, whole = {}, {}, 0
  for i, one in ipairs(found.collections) do
    whole = whole + one.size
    local into = i <= shown_most and list or rest
    into[#into + 1] = one
  end
  if #list == 0 then return "<p>There are none yet.</p>\n" end
  return [[
<table class="wide"><caption>Largest first; the share is of all collections
together.</caption>
<thead><tr><th scope="col">Name</th><th scope="col">Entries</th>
<th scope="col">Size</th></tr></thead>
<tbody id="collections">
]] .. each(list, function (one)
    return collection_row(one, whole, list[1].size)
  end) .. (#rest > 0 and rest_row(rest, whole) or "") .. "</tbody></table>\n"
end

-- A table of rows { label, count }, each with a bar.
local function histogram (id, caption, head, rows)
  local whole, largest = 0, 0
  for _, row in ipairs(rows) do
    whole, largest = whole + row[2], math.max(largest, row[2])
  end
  return fill([[
<table class="steps"><caption>{caption}</caption>
<thead><tr><th scope="col">{head}</th><td></td>
<th scope="col">Entries</th><th scope="col">Share</th></tr></thead>
<tbody id="{id}">
]], { caption = caption, head = head, id = id }) .. each(rows, function (row)
    return ('<tr%s><th scope="row">%s</th><td>%s</td><td>%s</td>'
      .. "<td>%s</td></tr>\n"):format(row[2] == 0 and ' class="none"' or "",
      row[1], bar(row[2], largest), grouped(row[2]), percent(row[2], whole))
  end) .. "</tbody></table>\n"
end

local span_names = { "1 minute", "1 hour", "1 day", "7 days", "30 days",
  "1 year" }

local function span_rows (scale)
  local rows = {}
  for i, name in ipairs(span_names) do
    rows[i] = { "under " .. name, scale.counts[i] }
  end
  rows[#rows + 1] = { "1 year or more", scale.counts[#scale.counts] }
  return rows
end

-- A sentence on entries whose figure nobody can tell; empty for none.
local function unknown_text (scale)
  return scale.unknown == 0 and "" or (" Of %s it is unknown: the keys are "
    .. "long, and the hash function isn't here."):format(plural(
    scale.unknown, "entry", "entries"))
end

local function lives (found)
  local rows = span_rows(found.lives)
  table.insert(rows, 1, { "forever", found.lives.none })
  return histogram("lives", "How long entries have left."
    .. unknown_text(found.lives), "Left", rows)
end

local function ages (found)
  local scale = found.ages
  local known = found.entries - scale.none - scale.unknown
  if known == 0 then
    return '<p id="ages">No entry has its times kept. A collection made with '
      .. "the option <code>times</code>, or with a policy that asks for "
      .. "them, keeps them.</p>\n"
  end
  return histogram("ages", "Since entries were first written."
    .. (scale.none == 0 and "" or (" %s no times kept."):format(plural(
    scale.none, "entry has", "entries have"))) .. unknown_text(scale),
    "Age", span_rows(scale))
end

local function values (found)
  local scale, rows, all, largest = found.values, {}, 0, 0
  for i, limit in ipairs(scale.limits) do
    rows[i] = { "up to " .. bytes(limit):gsub("%.0", ""), scale.counts[i] }
  end
  rows[#rows + 1] = { "larger", scale.counts[#scale.counts] }
  for _, one in ipairs(found.collections) do
    all = all + one.value_bytes
    largest = math.max(largest, one.largest_value)
  end
  return histogram("values", ("As stored, %s in all; the largest has %s. "
    .. "Members of sets have none."):format(bytes(all), bytes(largest))
    .. unknown_text(scale), "Size", rows)
end

local function space (found)
  local part = found.space
  local parts = { all = found.stats.file_size,
    { class = "live", size = part.live, name = "Entries, in trees" },
    { class = "overflow", size = part.overflow, name = "Overflow: values "
      .. "too large for a page" },
    { class = "other", size = part.other, name = "Indexes of times and "
      .. "caps, names, lists" },
    { class = "free", size = part.free, name = "Free, to be filled first" },
  }
  if part.unused > 0 then
    parts[5] = { class = "unused", size = part.unused,
      name = "Not used yet" }
  end
  return stacked(parts) .. [[
<table class="space"><caption>The parts of the file.</caption>
<thead><tr><th scope="col">Part</th><th scope="col">Size</th>
<th scope="col">Share</th></tr></thead>
<tbody id="space">
]] .. each(parts, function (one)
    return ('<tr><th scope="row"><svg class="key" viewBox="0 0 1 1" '
      .. 'aria-hidden="true"><rect class="%s" width="1" height="1"/></svg>'
      .. "%s</th><td>%s</td><td>%s</td></tr>\n"):format(one.class, one.name,
      bytes(one.size), percent(one.size, parts.all))
  end) .. ([[
</tbody><tfoot><tr><th scope="row">File</th><td>%s</td><td></td></tr></tfoot>
</table>
]]):format(bytes(parts.all))
end

-- ==================================================================
-- Growth
-- ==================================================================

local function change (from, to, unit)
  if to == from then return "unchanged" end
  return (to > from and "+" or "−") .. unit(math.abs(to - from))
end

local function growth_picture (title, runs, fields, unit, text)
  local first, last = runs[1], runs[#runs]
  local field = fields[1]
  local label = ("%s: from %s to %s in %d runs"):format(title,
    unit(first[field]), unit(last[field]), #runs)
  return fill([[
<figure><figcaption><b>{title}</b> {now}<small>{change}</small></figcaption>
{lines}
<div class="ends"><span>{from}</span><span>{to}</span></div>{text}</figure>
]], { title = title, now = unit(last[field]), text = text or "",
    change = ("%s in %d runs"):format(change(first[field], last[field],
      unit), #runs),
    lines = lines(runs, fields, label), from = when(first.time),
    to = when(last.time) })
end

local function growth (runs)
  local pictures = ""
  if #runs > 1 then
    pictures = '<div class="pair">\n'
      .. growth_picture("Entries", runs, { "entries" }, grouped)
      .. growth_picture("File", runs, { "file", "used" }, bytes,
        '<p class="legend">Below, what is in use; above it, what is free.</p>')
      .. "</div>\n"
  end
  local rows = {}
  for i = #runs, 1, -1 do rows[#rows + 1] = runs[i] end
  return pictures .. fill([[
<details{open}><summary>{count}</summary>
<table class="runs"><caption>Latest first; times in UTC.</caption>
<thead><tr><th scope="col">When</th><th scope="col">Entries</th>
<th scope="col">In use</th><th scope="col">File</th></tr></thead>
<tbody id="runs">
]], { count = plural(#runs, "run", "runs"),
    open = #runs == 1 and " open" or "" }) .. each(rows, function (run)
    return ('<tr><th scope="row">%s</th><td>%s</td><td>%s</td><td>%s</td>'
      .. "</tr>\n"):format(when(run.time), grouped(run.entries),
      bytes(run.used), bytes(run.file))
  end) .. "</tbody></table></details>\n"
end

-- ==================================================================
-- The whole
-- ==================================================================

local style = [[
:root {
  color-scheme: light dark;
  --ground: #f4f5f7; --card: #fff; --text: #18212b; --soft: #55606e;
  --rule: #dde1e6; --track: #eaedf1; --live: #0f766e; --overflow: #b4570a;
  --other: #64748b; --free: #c3ccd8; --remark: #fff6e3; --edge: #d99a2b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10151a; --card: #182027; --text: #e7ecf1; --soft: #9dabb9;
    --rule: #2b353f; --track: #263039; --live: #35b5a6;
    --overflow: #e39a4c; --other: #8797aa; --free: #465362;
    --remark: #2b2518; --edge: #b98a35;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
    "Helvetica Neue", "DejaVu Sans", sans-serif;
  -webkit-text-size-adjust: 100%;
}
header, main, footer { max-width: 66rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 2rem; padding-bottom: 1.25rem; }
h1 {
  margin: 0; font-size: 1.75rem; line-height: 1.2; font-weight: 650;
  letter-spacing: -.01em; overflow-wrap: anywhere;
}
h2 { margin: 0 0 .25rem; font-size: 1.0625rem; font-weight: 650; }
header p, footer, caption, small, .legend, .ends, section > p {
  color: var(--soft); font-size: .8125rem;
}
header p { margin: .375rem 0 0; overflow-wrap: anywhere; }
footer { padding-top: 1rem; padding-bottom: 2rem; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace;
  font-size: .93em; }
small { display: block; font-weight: 400; line-height: 1.35; }
dl, dd, figure { margin: 0; }
.tiles, section {
  background: var(--card); border: 1px solid var(--rule);
  border-radius: .625rem;
}
.tiles {
  display: grid; gap: 1px; overflow: hidden; background: var(--rule);
  grid-template-columns: repeat(6, minmax(0, 1fr));
}
.tiles div { background: var(--card); padding: .875rem 1rem; }
dt { color: var(--soft); font-size: .8125rem; }
dd { font-size: 1.375rem; font-weight: 600; line-height: 1.3;
  overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
.remarks {
  margin: 1rem 0 0; padding: .75rem 1rem .75rem 1.125rem; list-style: none;
  background: var(--remark); border-left: .25rem solid var(--edge);
  border-radius: .25rem .625rem .625rem .25rem; font-size: .9375rem;
}
.remarks li + li { margin-top: .375rem; }
section { margin-top: 1rem; padding: 1rem; min-width: 0; }
.grid { display: grid; column-gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); }
.pair { display: grid; gap: 1.5rem; margin: .75rem 0 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
table { width: 100%; border-collapse: collapse; font-size: .9375rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .5rem; }
th { text-align: left; font-weight: 500; overflow-wrap: anywhere; }
td, th { padding: .3125rem 0 .3125rem .75rem; vertical-align: top; }
td:first-child, th:first-child { padding-left: 0; }
td, th[scope=col] { text-align: right; white-space: nowrap; }
thead th[scope=col] { color: var(--soft); font-size: .8125rem;
  font-weight: 500; border-bottom: 1px solid var(--rule); }
thead td { border-bottom: 1px solid var(--rule); }
th[scope=col]:first-child { text-align: left; }
.wide tbody tr + tr > *, .space tr + tr > *, .runs tr + tr > *,
tfoot > tr > * {
  border-top: 1px solid var(--rule);
}
.wide tbody > tr > * { padding-top: .625rem; padding-bottom: .625rem; }
.wide tbody bdi { font-weight: 600; }
.steps tbody th { white-space: nowrap; width: 1%; }
.steps td { width: 1%; }
.steps td:nth-child(2) { width: auto; vertical-align: middle; }
.steps .none { color: var(--soft); }
.runs th { white-space: nowrap; }
svg { display: block; }
.bar { width: 100%; height: .5rem; border-radius: .25rem; min-width: 2rem; }
.wide .bar { margin-top: .375rem; height: .375rem; }
.stack { width: 100%; height: 1.75rem; border-radius: .375rem;
  margin: .75rem 0; background: var(--track); }
.key { display: inline-block; width: .75rem; height: .75rem;
  border-radius: .1875rem; margin-right: .5rem; vertical-align: -.0625rem; }
.line { width: 100%; height: 9rem; overflow: visible; }
rect.track { fill: var(--track); }
rect.live { fill: var(--live); }
rect.overflow { fill: var(--overflow); }
rect.other { fill: var(--other); }
rect.free { fill: var(--free); }
rect.unused { fill: var(--track); }
path { fill: none; stroke: var(--live); stroke-width: 2;
  stroke-linejoin: round; stroke-linecap: round;
  vector-effect: non-scaling-stroke; }
path.file { stroke: var(--other); }
path.area { stroke: none; fill: var(--live); opacity: .16; }
path.area.file { fill: var(--other); }
path.area.used { opacity: .4; }
path.dots { stroke-width: 6; }
path.ground { stroke: var(--rule); stroke-width: 1; }
figcaption { display: flex; flex-wrap: wrap; gap: .125rem .5rem;
  align-items: baseline; margin-bottom: .5rem;
  font-variant-numeric: tabular-nums; }
figcaption b { font-weight: 600; }
figcaption small { display: inline; }
.ends { display: flex; justify-content: space-between;
  font-variant-numeric: tabular-nums; }
.legend { margin: .25rem 0 0; }
summary { cursor: pointer; color: var(--soft); font-size: .9375rem; }
details table { margin-top: .5rem; }
@media (max-width: 56rem) {
  .tiles { grid-template-columns: repeat(3, minmax(0, 1fr)); }
}
@media (max-width: 30rem) {
  header { padding-top: 1.25rem; }
  h1 { font-size: 1.5rem; }
  header, main, footer { padding-left: .75rem; padding-right: .75rem; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .tiles div { padding: .75rem; }
  dd { font-size: 1.25rem; }
  section { padding: .875rem .75rem; }
  table { font-size: .875rem; }
  td, th { padding-left: .5rem; }
  .runs { font-size: .8125rem; }
  .runs th { white-space: normal; }
}
@media print {
  body { background: none; }
  section, .tiles { break-inside: avoid; }
}
]]

local whole = [[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="lode report">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{name} · lode report</title>
<link rel="icon" href="data:,">
<script type="application/json" id="history">{history}</script>
<style>
{style}</style>
</head>
<body>
<header>
<h1><bdi>{name}</bdi></h1>
<p>{path}</p>
<p>{when} UTC, as of commit {version} · lode {lode}</p>
</header>
<main>
{tiles}{remarks}<section>
<h2>Collections</h2>
{collections}</section>
<div class="grid">
<section>
<h2>Time to live</h2>
{lives}</section>
<section>
<h2>Age</h2>
{ages}</section>
<section>
<h2>Sizes of values</h2>
{values}</section>
<section>
<h2>The file</h2>
{space}</section>
</div>
<section>
<h2>Growth</h2>
{growth}</section>
</main>
<footer>Figures of one moment. The names of collections are in this page; no
key and no value is.</footer>
</body>
</html>
]]

---The page.
---@param found table the figures, as figures.of gives them
---@param history string what goes along for the next run: JSON
---@param runs table[] the runs that are shown, the latest last
---@return string html
function page.of (found, history, runs)
  return fill(whole, {
    name = page.escape(found.path:match "[^/]+$" or found.path),
    path = name_of(found.path), when = when(found.time),
    version = grouped(found.stats.version), lode = lode.version,
    history = history:gsub("<", "\\u003c"), style = style,
    tiles = tiles(found), remarks = remarks(found),
    collections = collections(found), lives = lives(found),
    ages = ages(found), values = values(found), space = space(found),
    growth = growth(runs),
  })
end

return page
