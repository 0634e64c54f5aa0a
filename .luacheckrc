-- The same sources run on Lua 5.1 to 5.4 and LuaJIT: the names of all of
-- them are known, and the code asks for what not each of them has.
std = "max"
max_line_length = 80
cache = false
ignore = { "581" } -- not (x < y) is no x >= y where NaN may come

files["spec"] = { std = "max+busted" }
files["spec/resty"] = { std = "max+busted+ngx_lua" }
files["examples/openresty"] = { std = "max+ngx_lua",
  read_globals = { "shared" } }
files["examples/neovim"] = { std = "max", read_globals = { "vim" } }
files["examples/haproxy"] = { read_globals = { "core" } }
files["examples/prosody"] = { globals = { "module" },
  read_globals = { "prosody" } }
files["examples/love"] = { globals = { "love" } }
files["spec/engines/haproxy"] = { read_globals = { "core" } }
files["spec/engines/prosody"] = { globals = { "module" },
  read_globals = { "prosody" } }
files["spec/engines/love"] = { globals = { "love" } }
files["lua/lode/meta*.lua"] = { ignore = { "131", "21." } } -- only annotations
files["examples/host/mod.lua"] = { std = "none", globals = { "world", "frame", "os" } }
