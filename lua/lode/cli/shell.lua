--- What plain Lua can't ask the system, asked through the shell.

local shell = {}

---A word of the shell that is this text.
---@param text string
---@return string
function shell.quoted (text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

---Whether a command ends well: 5.1 gives its status.
---@param command string
---@return boolean
function shell.succeeds (command)
  local result = os.execute(command)
  return result == true or result == 0
end

---The lines that a command prints.
---@param command string
---@return string[]
function shell.lines (command)
  local pipe = assert(io.popen(command .. " 2>/dev/null"))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

---A path from the root, without symbolic links among its directories; as it
---was given where there is no such directory.
---@param path string
---@return string
function shell.absolute (path)
  local found = shell.lines(([[unset CDPATH; path=%s
    { [ -d "$path" ] && cd "$path" && pwd -P; } ||
    { name=$(basename "$path"); cd "$(dirname "$path")" &&
      printf '%%s/%%s\n' "$(pwd -P)" "$name"; } ]]):format(
    shell.quoted(path)))[1]
  return found and found:gsub("^//", "/") or path
end

return shell
