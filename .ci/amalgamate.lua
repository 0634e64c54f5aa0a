-- Makes two files of lode, for programs that compile it themselves:
--
--   lua .ci/amalgamate.lua DIRECTORY lua/lode/init.lua ...
--
-- writes DIRECTORY/lode.h, the public headers in one, and DIRECTORY/lode.c:
-- the core, the binding, and the Lua files named.
--
-- In one file all is in sight that the linker keeps apart otherwise. So:
--
-- - What lode's own headers declare becomes static: of lode.c a program sees
--   what is in lode.h, and nothing more.
-- - What a file has for itself (functions, types, constants) gets the file's
--   name where another has it, too, or the system may have it, which is so
--   for any single word: `look` of evict.c is `look_of_evict`.
-- - A file's macros end with it.
--
-- It relies on how the sources are written: what stands at file scope begins
-- a line, and a function's name has a space before its parenthesis. What it
-- misreads, the compiler refuses.

local embed = dofile ".ci/embed.lua"

-- {==================================================================
-- C as text
-- ===================================================================

local function read (path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function write (path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local function lines_of (text)
  return text:gmatch "([^\n]*)\n"
end

-- The end of the comment or quoted text that begins at `i`; nil: none does.
local function end_of_opaque (text, i)
  local c = text:sub(i, i)
  if c == "/" then
    if text:find("^/%*", i) then return select(2, text:find("%*/", i)) end
    if text:find("^//", i) then return text:find("\n", i) - 1 end
  elseif c == '"' or c == "'" then
    local j = i + 1
    while text:sub(j, j) ~= c do
      j = j + (text:sub(j, j) == "\\" and 2 or 1)
    end
    return j
  end
end

-- The pieces of C, one after the other: { kind =, text = }, where the kind
-- is "opaque" (a comment, a string), "name", "space", or "sign".
local function pieces_of (text)
  local pieces, i = {}, 1
  while i <= #text do
    local kind, j = "opaque", end_of_opaque(text, i)
    if not j then
      kind, j = "name", select(2, text:find("^[%a_][%w_]*", i))
    end
    if not j then
      kind, j = "space", select(2, text:find("^%s+", i))
    end
    if not j then
      kind = "sign"
      j = select(2, text:find("^%d[%w_.]*", i))
        or select(2, text:find("^%->", i)) or i
    end
    pieces[#pieces + 1] = { kind = kind, text = text:sub(i, j) }
    i = j + 1
  end
  return pieces
end

-- The same text without comments and the content of strings.
local function bare (text)
  local out = {}
  for i, piece in ipairs(pieces_of(text)) do
    out[i] = piece.kind ~= "opaque" and piece.text
      or piece.text:find "^/" and "" or '""'
  end
  return table.concat(out)
end

-- }==================================================================

-- {==================================================================
-- What a file has at file scope
-- ===================================================================

-- Without directives, those of several lines among them.
local function without_directives (text)
  return ((("\n" .. text):gsub("\\\n", " ")):gsub("\n%s*#[^\n]*", "\n"))
end

-- Calls fn(head, bodies) for each declaration of bare C: its text, with what
-- is in braces in `bodies` instead.
local function each_declaration (text, fn)
  local head, bodies, depth, from = "", {}, 0, nil
  local i = 1
  while true do
    local at, _, c = text:find("([{};])", i)
    if not at then return end
    if depth == 0 then head = head .. text:sub(i, at - 1) end
    if c == "{" then
      if depth == 0 then from = at + 1 end
      depth = depth + 1
    elseif c == "}" then
      depth = depth - 1
      if depth == 0 then
        bodies[#bodies + 1] = text:sub(from, at - 1)
        head = head .. "{}"
      end
    end
    if depth == 0 and (c == ";" or head:find "%)%s*{}$") then
      fn((head:gsub("%s+", " "):gsub("^ ", "")), bodies)
      head, bodies = "", {}
    end
    i = at + 1
  end
end

local function add_constants (names, body)
  for item in (body .. ","):gmatch "%s*([^,]*)," do
    local name = item:match "^[%a_][%w_]*"
    if name then names[name] = true end
  end
end

local function add_variables (names, head)
  for part in (head .. ","):gmatch "([^,]*)," do
    local name = part:gsub("=.*", ""):gsub("%[.*", ""):match "([%w_]+)%s*$"
    if name then names[name] = true end
  end
end

-- The names of one declaration; of functions and variables only those that
-- are static, unless `all`.
local function add_declared (names, head, bodies, all)
  for word, tag in head:gmatch "%f[%w_](%l+) ([%w_]+) {}" do
    local is_tag = word == "struct" or word == "enum" or word == "union"
    if is_tag and names[tag] == nil then names[tag] = "tag" end
  end
  if head:find "%f[%w_]enum%f[^%w_]" and bodies[1] then
    add_constants(names, bodies[1])
  end
  if head:find "^typedef " then
    local name = head:match "%(%*([%w_]+)%)" or head:match "([%w_]+) %("
      or head:match "([%w_]+) ?$"
    names[name] = true
  elseif head:find "^static " or all then
    local name = head:match "([%w_]+) %("
    if name then names[name] = true
    elseif not head:find "^[%l ]* ?[%w_]* ?{}$" then
      add_variables(names, (head:gsub("{}", "")))
    end
  end
end

-- The names at file scope: true, or "tag" for one that is a struct's only.
local function names_of (text, all)
  local names = {}
  each_declaration(without_directives(text), function (head, bodies)
    add_declared(names, head, bodies, all)
  end)
  return names
end

-- The macros of a file; `rooms` are those without a value by which it asks a
-- header for what several files of one room share (KV_ROOM).
local function macros_of (text)
  local list, rooms = {}, {}
  for name, value in ("\n" .. text):gmatch
      "\n%s*#%s*define ([%w_]+)([^\n]*)" do
    if name:find "_ROOM$" and not value:find "%S" then rooms[name] = true
    else list[#list + 1] = name
    end
  end
  return list, rooms
end

-- }==================================================================

-- {==================================================================
-- Renaming
-- ===================================================================

local function is_record (head)
  return head:find "struct%s+[%w_]*%s*$" or head:find "struct%s*$"
    or head:find "union%s+[%w_]*%s*$" or head:find "union%s*$"
end

-- Renames names of C by the table `renamed`; but no fields, which come after
-- a dot or an arrow, or last of what a struct declares.
local function rename (text, renamed)
  local pieces, out = pieces_of(text), {}
  local records = {} -- for each brace that is open: is it a struct's?
  local head, last = "", ""
  local function next_sign (i)
    repeat i = i + 1
    until not pieces[i]
      or pieces[i].kind ~= "opaque" and pieces[i].kind ~= "space"
    return pieces[i] and pieces[i].text or ""
  end
  for i, piece in ipairs(pieces) do
    local word = piece.text
    local new = piece.kind == "name" and renamed[word]
    if new and last ~= "." and last ~= "->" and last ~= "#"
        and not (records[#records] and next_sign(i):find "^[;,%[:)]") then
      word = new
    end
    out[i] = word
    if word == "{" then records[#records + 1] = is_record(head) ~= nil
    elseif word == "}" then records[#records] = nil
    end
    if word == "{" or word == "}" or word == ";" then head = ""
    elseif piece.kind ~= "opaque" then head = head .. word
    end
    if piece.kind == "name" or piece.kind == "sign" then last = word end
  end
  return table.concat(out)
end

-- }==================================================================

-- {==================================================================
-- The sources
-- ===================================================================

local function paths (pattern)
  local pipe = assert(io.popen("ls " .. pattern))
  local list = {}
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

local function load_file (path)
  local text = read(path)
  local plain = bare(text)
  return { name = path:match "([%w_]+)%.[ch]$", text = text, bare = plain,
           names = names_of(plain, path:find "%.h$") }
end

local headers = {} -- lode's own, by name: "kv.h"
for _, path in ipairs(paths "csrc/core/*.h csrc/lua/*.h") do
  headers[path:match "[%w_.]+$"] = load_file(path)
end

-- Which order is all the same, as headers declare what others need; except
-- for arrays without a size, of which lmodule.c and lhost.c make use.
local units = {}
do
  local last = { lmodule = 1, lhost = 2 }
  for _, path in ipairs(paths "csrc/core/*.c csrc/lua/*.c") do
    local unit = load_file(path)
    unit.place = last[unit.name] and 1000 + last[unit.name] or #units
    units[#units + 1] = unit
  end
  table.sort(units, function (a, b) return a.place < b.place end)
end

-- The text of a public header, with the others that it includes.
local function public_text (name, seen)
  local out = {}
  seen[name] = true
  for line in lines_of(read("csrc/" .. name)) do
    local other = line:match '^#include "([%w_.]+)"'
    if not other then out[#out + 1] = line .. "\n"
    elseif not seen[other] then out[#out + 1] = public_text(other, seen)
    end
  end
  return table.concat(out)
end

local seen = {}
local lode_h = public_text("lode.h", seen) .. "\n"
  .. public_text("lode_lua.h", seen)

local is_public = { luaopen_lode_core = true } -- static elsewhere, too
for name in bare(lode_h):gmatch "([%w_]+) %(" do is_public[name] = true end

local in_headers = { public = names_of(bare(lode_h), true) }
for name, header in pairs(headers) do in_headers[name] = header.names end

-- What a unit's own names have to be called.
local function new_names (unit)
  local renamed = {}
  for name, what in pairs(unit.names) do
    local clash = not name:find "_" -- as the system's names are: `write`
    for _, names in pairs(in_headers) do
      if names[name] then clash = what ~= "tag" end
    end
    for _, other in ipairs(units) do
      clash = clash or other ~= unit and other.names[name]
    end
    if clash then renamed[name] = name .. "_of_" .. unit.name end
  end
  return renamed
end

-- }==================================================================

-- {==================================================================
-- lode.c
-- ===================================================================

local out = {
  "/*\n** lode.c - lode in one file, made of its sources: the engine, the\n",
  "** binding to Lua, and lode's Lua files. To be compiled as C11 and linked\n",
  "** with LMDB, Lua, the mathematical library and threads.\n*/\n",
  "#if !defined(_GNU_SOURCE)\n#define _GNU_SOURCE\n#endif\n\n",
  '#include "lode.h"\n\n',
}
local function put (...) out[#out + 1] = table.concat { ... } end

local hidden = {} -- variables that are static now
local has = {}    -- headers that stand in it

-- A line of one of lode's headers, what it declares made static; nothing
-- for an array without a size, which can't be declared so.
local function hide_in_header (line)
  local variable = line:match "^extern .-([%w_]+)[%[;]"
  if variable then
    hidden[variable] = true
    return line:find("[]", 1, true) and "" or line:gsub("^extern", "static")
  end
  local name = line:find "^[%a_]" and line:match "([%w_]+) %("
  if not name or is_public[name] or line:find "^static "
      or line:find "^typedef " then
    return line
  end
  return "static " .. line
end

local function hide_in_unit (line)
  local variable = line:match "^const .-([%w_]+)%[?[%w_]*%]? ="
  return variable and hidden[variable] and "static " .. line or line
end

-- Adds lines, with headers in the place of what first includes them.
local function put_lines (text, hide)
  for line in lines_of(text) do
    local name = line:match '^%s*#%s*include "[./]*([%w_.]+)"'
    if not name then put(hide(line), "\n")
    elseif headers[name] and not has[name] then
      has[name] = true
      put("\n/* ", name, " */\n")
      put_lines(headers[name].text, hide_in_header)
    end
  end
end

-- All rooms are one here.
local function put_rooms ()
  local done = {}
  for _, unit in ipairs(units) do
    local _, rooms = macros_of(unit.bare)
    for name in pairs(rooms) do
      if not done[name] then put("#define ", name, "\n") end
      done[name] = true
    end
  end
end

local function put_unit (unit)
  put("\n/* ", unit.name, ".c */\n")
  put_lines(rename(unit.text, new_names(unit)), hide_in_unit)
  for _, name in ipairs(macros_of(unit.bare)) do put("#undef ", name, "\n") end
end

local directory = table.remove(arg, 1)
put_rooms()
for _, unit in ipairs(units) do
  if unit.name == "lhost" then
    put_lines('#include "lfiles.h"\n', hide_in_header)
    put_lines(embed(arg), hide_in_unit)
  end
  put_unit(unit)
end
write(directory .. "/lode.h", lode_h)
write(directory .. "/lode.c", table.concat(out))

-- }==================================================================
