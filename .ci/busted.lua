-- Runs busted under the Lua that runs this: the installed command is a
-- script for one Lua, or a shell script around one.
require "busted.runner" { standalone = false }
