-- Writes lode's Lua files as C (csrc/lua/lfiles.h), for programs that have
-- none of them on disk:
--
--   lua .ci/embed.lua lua/lode/init.lua ... >lfiles.c
--
-- The files of annotations (lode/meta*.lua) and those of the command
-- (lode/cli) are no part of it.

local escapes = { ["\n"] = "\\n", ['"'] = '\\"', ["\\"] = "\\\\" }

-- A line as a string of C. Bytes past ASCII are written in octal, which has
-- three digits at most, so that whatever follows isn't taken for a fourth.
local function quoted (line)
  return '"' .. line:gsub('[%c"\\\128-\255?]', function (c)
    return escapes[c] or ("\\%03o"):format(c:byte())
  end) .. '"'
end

local function read (path)
  local file = assert(io.open(path, "rb"))
  local source = file:read "*a"
  file:close()
  return source
end

-- "lua/lode/init.lua" -> "lode"
local function module_of (path)
  return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", "")
    :gsub("/", "."))
end

-- The C text, without the include of its header.
local function embed (paths)
  local out, list = {}, {}
  local function put (...) out[#out + 1] = table.concat { ... } end
  for _, path in ipairs(paths) do
    if not path:find "meta[%w_]*%.lua$" and not path:find "lode/cli" then
      local module = module_of(path)
      local name = "file_" .. module:gsub("%.", "_")
      put("static const char *const ", name, "[] = {\n")
      for line in read(path):gmatch "[^\n]*\n?" do
        if line ~= "" then put("  ", quoted(line), ",\n") end
      end
      put "  NULL\n};\n\n"
      list[#list + 1] = ('  { "%s", "@%s", %s },\n'):format(module,
        path:gsub("^lua/", ""), name)
    end
  end
  put("const lfile lfiles[] = {\n", table.concat(list),
    "  { NULL, NULL, NULL }\n};\n")
  return table.concat(out)
end

if arg and arg[0]:find "embed%.lua$" then
  io.write('#include <stddef.h>\n\n#include "lua/lfiles.h"\n\n', embed(arg))
end

return embed
