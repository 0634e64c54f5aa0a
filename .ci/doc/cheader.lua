-- Reads lode's public C headers, as far as they are written like each other:
-- a contract in a comment, and below it the declarations that it is about, up
-- to an empty line or the next comment.
--
--   local header = cheader.read "csrc/lode.h"
--
-- gives { path, head, items }: the comment at its head, and in their order
--
--   { kind = "section", title }
--   { kind = "c", text, code, names, functions }
--
-- `code` being the declarations as they stand there, `names` what they
-- declare, `functions` which of these can be called.

local cheader = {}

-- A comment without its marks.
local function stripped (comment)
  local text = comment:gsub("^/%*+", ""):gsub("%s*%*/%s*$", "")
  text = text:gsub("\n%s*%*%* ?", "\n"):gsub("\n   ", "\n")
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- The title of a section, where the comment is its bar; "" at its end.
local function section_of (comment)
  if not comment:find "=====" then return nil end
  return comment:match "\n%*%* ([^\n=]+)\n" or ""
end

-- The declaration of a code without its bodies and comments.
local function plain (code)
  return (code:gsub("/%*.-%*/", " "):gsub("%b{}", "{}"))
end

-- What it declares, but for what it says is defined below.
local function names_of (code)
  local names, functions = {}, {}
  code = code:gsub("[^\n]*/%* below %*/", "")
  local function add (list, name)
    if name then list[#list + 1] = name end
  end
  for declaration in (plain(code) .. "\n"):gmatch "(.-[;}\n])" do
    local constant = declaration:match "^%s*#define ([%w_]+)"
    local fn = declaration:match "([%a_][%w_]*) %("
    if constant then
      add(names, constant)
    elseif not declaration:find "typedef" then
      add(functions, fn)
      add(names, fn)
    end
  end
  for name in plain(code):gmatch "typedef[^;{]*[%s{}]+([%a_][%w_]*);" do
    add(names, name)
  end
  for name in code:gmatch "%f[^%z\n]struct ([%w_]+) {" do add(names, name) end
  for body in code:gmatch "enum%s*[%w_]*%s*(%b{})" do
    for name in plain(body:sub(2, -2)):gmatch "%f[%w_](LODE_[%u%d_]+)" do
      add(names, name)
    end
  end
  return names, functions
end

-- Where a declaration that begins at `at` ends.
local function declaration_end (text, at)
  if text:find("^#", at) then
    local stop = text:find("\n", at, true)
    local comment = text:sub(at, stop):match "()/%*[^\n]-\n"
    if not comment then return stop end
    stop = select(2, text:find("%*/", at + comment))
    return text:find("\n", stop, true)
  end
  local stop = at
  while true do
    local mark = text:match("^[^;{/]*([;{/])", stop)
    stop = text:find("[;{/]", stop)
    if not stop then return #text end
    if mark == ";" then return text:find("\n", stop, true) end
    if mark == "/" then
      stop = select(2, text:find("^/%*.-%*/", stop)) or stop
    else
      stop = select(2, text:find("^%b{}", stop))
      -- a function's body ends it, a type has a name behind it
      if text:find("^%s*\n", stop + 1) then return stop + 1 end
    end
    stop = stop + 1
  end
end

-- What is no one's business in a reference.
local function is_noise (line)
  return line:find "^#%a" and not line:find "^#define %S+ "
    or line:find '^extern "C"' or line:find "^}"
    or line:find "^struct [%w_]+;$"
end

-- Adds a declaration to the item that is open, or begins one.
local function add_code (items, code, state)
  local item = state.open
  if not item then
    item = { kind = "c", text = state.text, code = "" }
    items[#items + 1] = item
    state.open = item
  end
  item.code = item.code .. code
end

function cheader.read (path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  local from = text:find "\n#ifdef LODE_TEST"
  if from then text = text:sub(1, from) end
  local header = { path = path, items = {} }
  local state, at = { text = "" }, 1
  while at <= #text do
    local stop
    if text:find("^\n", at) then
      stop, state.open, state.text = at, nil, ""
    elseif text:find("^/%*", at) then
      stop = select(2, text:find("%*/[ ]*\n", at))
      local comment = text:sub(at, stop)
      local title = section_of(comment)
      state.open = nil
      state.text = title and "" or stripped(comment)
      if not header.head then
        header.head, state.text = state.text, ""
      elseif title and title ~= "" then
        header.items[#header.items + 1] = { kind = "section", title = title }
      end
    else
      local first = text:match("^[^\n]*", at)
      if is_noise(first) then
        stop = text:find("\n", at, true) or #text
      else
        stop = declaration_end(text, at)
        add_code(header.items, text:sub(at, stop), state)
      end
    end
    at = stop + 1
  end
  for _, item in ipairs(header.items) do
    if item.kind == "c" then
      item.code = item.code:gsub("%s+$", "")
      item.names, item.functions = names_of(item.code)
    end
  end
  return header
end

return cheader
