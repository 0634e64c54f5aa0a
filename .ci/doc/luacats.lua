-- Reads the LuaCATS annotations of lode's Lua files, as far as these use
-- them: for the reference (main.lua) and for the specs that compare them
-- with what there is.
--
--   local file = luacats.read "lua/lode/meta_dict.lua"
--
-- gives { path, head, items }: the comment at the head of the file, and in
-- their order
--
--   { kind = "section", title }
--   { kind = "class", name, parents, fields, operators }
--   { kind = "alias", name, type, values }
--   { kind = "function", class, owner, separator, name, params, returns }
--   { kind = "value", class, owner, separator, name, type }
--
-- each with the line it stands at, its text (Markdown, without its samples),
-- its samples ({ line, source }), and `hidden` where it is no one's business
-- but lode's: so are a class with its functions, and a field, whose text begins
-- with "lode's own". A field, a parameter, or what is returned, has name, type
-- and text.

local luacats = {}

-- {==================================================================
-- Types
-- ====================================================================

local closing = { ["("] = "%b()", ["{"] = "%b{}", ["<"] = "%b<>" }

-- The end of one type, without its union, that begins at `at`.
local function one_type (text, at)
  local stop = select(2, text:find('^"[^"]*"', at))
    or select(2, text:find("^%.%.%.", at))
    or select(2, text:find("^[%w_.]+", at))
    or at - 1
  while closing[text:sub(stop + 1, stop + 1)] do
    stop = select(2, text:find("^" .. closing[text:sub(stop + 1, stop + 1)],
      stop + 1))
    if not stop then return nil end
  end
  while text:find("^%[%]", stop + 1) do stop = stop + 2 end
  return stop >= at and stop or nil
end

local type_end

-- Past a function's `: results`, if it has some.
local function past_results (text, stop)
  local colon = select(2, text:find("^%s*:%s*", stop + 1))
  if not colon then return stop end
  local at = colon
  repeat
    at = select(2, text:find("^%s*[%w_]+:%s*", at + 1)) or at
    stop = type_end(text, at + 1)
    if not stop then return nil end
    at = select(2, text:find("^,%s*", stop + 1))
  until not at
  return stop
end

-- The end of the type that begins at `at`, or nil where there is none.
function type_end (text, at)
  while true do
    local stop = one_type(text, at)
    if not stop then return nil end
    if text:find("^fun%(", at) then
      stop = past_results(text, stop)
      if not stop then return nil end
    end
    if text:sub(stop + 1, stop + 1) == "?" then stop = stop + 1 end
    local bar = select(2, text:find("^%s*|%s*", stop + 1))
    if not bar then return stop end
    at = bar + 1
  end
end

-- "string? of bytes" -> "string?", "of bytes"
local function split_type (text)
  local stop = type_end(text, 1)
  if not stop then return nil, text end
  return text:sub(1, stop), (text:sub(stop + 1):gsub("^%s+", ""))
end

-- The names of the classes and aliases that a type speaks of.
function luacats.names_in (type_text)
  local found = {}
  for name in type_text:gsub('"[^"]*"', ""):gmatch "[%a_][%w_.]*" do
    found[#found + 1] = name
  end
  return found
end

-- Whether nil may stand for it: a field may be left out.
function luacats.is_optional (type_text)
  return type_text:find "%?$" ~= nil or type_text:find "|%s*nil$" ~= nil
    or type_text == "any"
end

-- Whether a text says that what it is about is lode's own business.
function luacats.is_own (text)
  return text:find "^lode's own" ~= nil
end

-- }==================================================================

-- {==================================================================
-- A run of lines that begin with ---
-- ====================================================================

-- Separates text from the samples in it, whose first line is `line`.
local function text_of (lines)
  local text, samples, sample = {}, {}, nil
  for _, entry in ipairs(lines) do
    local line = entry.text
    if sample and line == "```" then
      sample.source = table.concat(sample, "\n")
      samples[#samples + 1], sample = sample, nil
    elseif sample then
      sample[#sample + 1] = line
    elseif line == "```lua" then
      sample = { line = entry.line + 1 }
    else
      text[#text + 1] = line
    end
  end
  assert(not sample, "a sample without an end")
  return table.concat(text, "\n"):gsub("^%s+", ""):gsub("%s+$", ""), samples
end

local tags = {}

-- "name: parent, parent"
function tags.class (doc, rest)
  local name, parents = rest:match "^([%w_.]+)%s*:?%s*(.*)$"
  doc.class = { kind = "class", name = name, fields = {}, operators = {},
    parents = {} }
  for parent in parents:gsub("%b{}", ""):gmatch "[%w_.]+" do
    table.insert(doc.class.parents, parent)
  end
end

function tags.alias (doc, rest)
  local name, type_text = rest:match "^([%w_.]+)%s*(.*)$"
  doc.alias = { kind = "alias", name = name, type = split_type(type_text),
    values = {} }
end

function tags.field (doc, rest, text)
  local name, type_text = rest:match "^(%b[])%s+(.*)$"
  if not name then name, type_text = rest:match "^([%w_]+)%s+(.*)$" end
  local field = { name = name, text = text_of(text) }
  field.type, field.tail = split_type(type_text)
  field.hidden = luacats.is_own(field.text)
  table.insert(doc.class.fields, field)
end

function tags.operator (doc, rest)
  table.insert(doc.class.operators, rest:match "^%a+")
end

function tags.param (doc, rest)
  local name, optional, type_text = rest:match "^([%w_.]+)(%??)%s+(.*)$"
  local param = { name = name }
  param.type, param.text = split_type(type_text)
  if optional ~= "" then param.type = param.type .. "?" end
  table.insert(doc.params, param)
end

tags["return"] = function (doc, rest)
  local result = {}
  result.type, result.text = split_type(rest)
  local name, text = result.text:match "^([%a_][%w_]*)%s*(.*)$"
  if name then result.name, result.text = name, text end
  table.insert(doc.returns, result)
end

function tags.type (doc, rest) doc.type = split_type(rest) end
function tags.package (doc) doc.hidden = true end
tags.private = tags.package
function tags.meta () end

-- What a run of lines says; `text` gathers what stands above a tag.
local function read_doc (lines)
  local doc = { params = {}, returns = {}, lines = {} }
  local text = {}
  for _, entry in ipairs(lines) do
    local tag, rest = entry.text:match "^@(%a+)%s*(.*)$"
    local value, note = entry.text:match "^|%s*(.-)%s*#%s*(.*)$"
    value = value or entry.text:match "^|%s*(.*)$"
    if value then
      table.insert(doc.alias.values, { value = value, text = note or "" })
    elseif tag then
      assert(tags[tag], ("line %d: @%s isn't known"):format(entry.line, tag))
      if tag == "class" or tag == "alias" then doc.lines, text = text, {} end
      tags[tag](doc, rest, text)
      if tag == "field" then text = {} end
    else
      text[#text + 1] = entry
    end
  end
  if not doc.class and not doc.alias then doc.lines = text end
  doc.text, doc.samples = text_of(doc.lines)
  return doc
end

-- }==================================================================

-- {==================================================================
-- Files
-- ====================================================================

local function params_of (list)
  local params = {}
  for name in list:gmatch "[%w_.]+" do params[#params + 1] = name end
  return params
end

-- What a line of code declares, of what annotations can be about.
local function declared (code)
  local owner, separator, name, params =
    code:match "^function ([%a_][%w_]*)([.:])([%w_]+) ?%((.-)%)"
  if not owner then
    owner, separator, name, params =
      code:match "^([%a_][%w_]*)(%.)([%w_]+) = function %((.-)%)"
  end
  if owner then
    return { kind = "function", owner = owner, separator = separator,
      name = name, params = params_of(params) }
  end
  owner, separator, name = code:match "^([%a_][%w_]*)(%.)([%w_]+) ="
  if owner then
    return { kind = "value", owner = owner, separator = separator,
      name = name }
  end
end

-- Gives an item what its text says of each parameter.
local function describe (item, doc)
  item.text, item.samples = doc.text, doc.samples
  item.hidden, item.type = doc.hidden, doc.type
  item.documented, item.returns = doc.params, doc.returns
end

-- A run of lines with --- has ended, before `code` (which may be ""). What it
-- is about becomes an item of the file.
local function settle (file, code, line)
  local doc = read_doc(file.pending)
  file.pending = {}
  local item = doc.class or doc.alias
  if item then
    item.text, item.samples = doc.text, doc.samples
    item.hidden = luacats.is_own(doc.text)
    local variable = doc.class and code:match "^local ([%a_][%w_]*) ="
    if variable then file.classes[variable] = item end
  else
    item = declared(code)
    local class = item and file.classes[item.owner]
    if not class then return end
    describe(item, doc)
    item.class, item.hidden = class.name, item.hidden or class.hidden
  end
  item.line = line
  file.items[#file.items + 1] = item
end

-- The title of the section that a bar begins: the line between two bars.
local function title_at (lines, number)
  if not lines[number]:find "^%-%- [{]?=====" then return nil end
  local below = lines[number + 2]
  return below and below:find "^%-%- ====="
    and lines[number + 1]:match "^%-%- (.*[^=])$"
end

-- The comment that a file begins with, whose lines have two hyphens.
local function head_of (lines)
  local head = {}
  for number, text in ipairs(lines) do
    local note = not text:find "^%-%-%-" and text:match "^%-%- ?(.*)$"
    if note then
      head[#head + 1] = note
    elseif number > 1 then -- the first may be ---@meta
      break
    end
  end
  return table.concat(head, "\n")
end

local function read_lines (lines)
  local file = { items = {}, classes = {}, pending = {} }
  for number, text in ipairs(lines) do
    local doc = text:match "^%-%-%-(.*)$"
    -- a line of hyphens is no text, but a sample may have one
    if doc and (not doc:find "^%-" or #file.pending > 0) then
      table.insert(file.pending, { text = doc, line = number })
    elseif #file.pending > 0 or declared(text) then
      settle(file, text, number)
    end
    local title = title_at(lines, number)
    if title then
      table.insert(file.items, { kind = "section", title = title,
        line = number + 1 })
    end
  end
  return { items = file.items, head = head_of(lines) }
end

-- What the Lua file at `path` says.
function luacats.read (path)
  local lines = {}
  for line in assert(io.open(path)):lines() do lines[#lines + 1] = line end
  lines[#lines + 1] = ""
  local file = read_lines(lines)
  file.path = path
  return file
end

-- }==================================================================

return luacats
