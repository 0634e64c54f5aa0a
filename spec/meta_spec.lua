-- The annotations, which language servers and the reference go by, against
-- what there is: functions and their parameters, options, fields, codes.

local core = require "lode.core"
local helper = require "support.helper"
local lfs = require "lfs"
local lode = require "lode"
local reference = require "support.reference"
local resty = require "resty.lode"
local serializer = require "lode.serializer"

local function sorted (set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- The names of the values of one type in a table.
local function names_of (t, wanted)
  local found = {}
  for name, value in next, t do
    if type(value) == wanted then found[name] = true end
  end
  return found
end

local function names (members)
  local found = {}
  for name in pairs(members or {}) do found[name] = true end
  return found
end

-- The names that are in one of two sets only, each with what it lacks.
local function differences (there, described)
  local found = {}
  for name in pairs(there) do
    if not described[name] then found[name .. " has no text"] = true end
  end
  for name in pairs(described) do
    if not there[name] then found[name .. " isn't there"] = true end
  end
  return sorted(found)
end

-- An upvalue of a function, by its name.
local function upvalue (fn, wanted)
  for i = 1, 255 do
    local name, value = debug.getupvalue(fn, i)
    if name == wanted then return value end
    if not name then break end
  end
  error("no upvalue " .. wanted)
end

describe("the functions that have a text", function ()
  helper.watch()

  local function check (class, t)
    assert.are.same({}, differences(names_of(t, "function"),
      names(reference.functions[class])), class)
  end

  it("are those of the module", function ()
    check("lode", lode)
    check("lode.dict_functions", lode.dict)
    check("lode.set_functions", lode.set)
    check("lode.policies", lode.policy)
    check("lode.serializers", serializer)
    local found, described = names_of(core, "function"),
      names(reference.functions["lode.core"])
    for name in pairs(reference.functions.lode) do described[name] = true end
    for name in pairs(described) do
      if name:find "^test_" then found[name] = true end -- of a test build
    end
    assert.are.same({}, differences(found, described))
  end)

  it("are the methods of stores", function ()
    local methods = debug.getmetatable(helper.open()).__index
    check("lode.store", methods)
  end)

  it("are those of resty.lode, and the methods of its dicts", function ()
    check("resty.lode", resty)
    local shared = resty.open(helper.path())
    check("resty.lode.shared",
      upvalue(debug.getmetatable(shared).__index, "functions"))
    check("resty.lode.dict", debug.getmetatable(shared.dogs).__index)
    shared:close()
  end)

  it("are beside values that have one", function ()
    assert.are.same({}, differences(names_of(serializer, "table"),
      names(reference.values["lode.serializers"])))
    local all = names_of(lode, "table")
    all.version = true
    assert.are.same({}, differences(all, names(reference.fields "lode")))
    assert.are.same({}, differences(names_of(resty, "string"),
      names(reference.fields "resty.lode")))
  end)
end)

describe("a text", function ()
  -- What each item is asked: a complaint, or nil.
  local function complaints (about)
    local found = {}
    for _, item in ipairs(reference.items) do
      if item.kind ~= "section" and not item.hidden then
        local what = about(item)
        if what then
          found[#found + 1] = reference.place(item) .. ": " .. what
        end
      end
    end
    return found
  end

  it("is of everything that anybody may use", function ()
    assert.are.same({}, complaints(function (item)
      local said = item.kind == "class" and reference.classes[item.name].text
        or item.text
      if said == "" then return "no text" end
      for _, field in ipairs(item.fields or {}) do
        if field.text == "" then return field.name .. " has no text" end
        if field.tail ~= "" then
          return ("the text of %s is not above it"):format(field.name)
        end
      end
      for _, value in ipairs(item.values or {}) do
        if value.text == "" and item.name ~= "lode.type"
            and not value.value:find "^fun" then
          return value.value .. " has no text"
        end
      end
    end))
  end)

  it("has a sample where it is of a function", function ()
    assert.are.same({}, complaints(function (item)
      if item.kind ~= "function" then return end
      for _, sample in ipairs(item.samples) do
        if sample.source:find("%f[%w_]" .. item.name .. "%f[^%w_]") then
          return
        end
      end
      return "no sample uses it"
    end))
  end)

  it("names the parameters that there are, each with a type", function ()
    assert.are.same({}, complaints(function (item)
      if item.kind ~= "function" then return end
      local said = {}
      for i, param in ipairs(item.documented) do
        if not param.type then return param.name .. " has no type" end
        said[i] = param.name
      end
      local wanted = table.concat(item.params, ", ")
      if table.concat(said, ", ") ~= wanted then
        return ("it takes %s, and says %s"):format(wanted,
          table.concat(said, ", "))
      end
      for _, result in ipairs(item.returns) do
        if not result.type then return "a result has no type" end
      end
    end))
  end)

  it("speaks of types that there are", function ()
    local known = { fun = true }
    for name in ([[any nil string number integer boolean table true false
                   userdata function]]):gmatch "%a+" do
      known[name] = true
    end
    local function unknown (type_text)
      -- the parameters of a function have names
      local types = type_text:gsub("[%w_]+%s*:", "")
      for _, name in ipairs(reference.names_in(types)) do
        if not known[name] and not reference.classes[name]
            and not reference.aliases[name] and name ~= "..." then
          return "there is no type " .. name
        end
      end
    end
    assert.are.same({}, complaints(function (item)
      local types = { item.type }
      for _, list in ipairs { item.fields or {}, item.documented or {},
                              item.returns or {} } do
        for _, part in ipairs(list) do types[#types + 1] = part.type end
      end
      for _, parent in ipairs(item.parents or {}) do
        types[#types + 1] = parent
      end
      for _, type_text in ipairs(types) do
        local what = unknown(type_text)
        if what then return what end
      end
    end))
  end)

  it("names codes that errors have", function ()
    local codes = {}
    for _, value in ipairs(reference.aliases["lode.code"].values) do
      codes[value.value:match '"(.*)"'] = true
    end
    local other = { LMDB = true, OPENSSL = true, NFC = true, NFKC = true }
    assert.are.same({}, complaints(function (item)
      for word in item.text:gmatch "%f[%w_]%u[%u_]+%f[^%w_]" do
        local is_code = word:find "_" or item.text:find("aises " .. word)
        if is_code and not codes[word] and not other[word] then
          return word .. " is no code"
        end
      end
    end))
  end)
end)

describe("the parameters of a C function", function ()
  -- "d, key [, default]" as the sources of the binding have it above each.
  local function marks ()
    local found = {}
    for name in lfs.dir "csrc/lua" do
      if name:find "%.[ch]$" then
        local text = assert(io.open("csrc/lua/" .. name)):read "*a"
        for what, list in text:gmatch
            "%[%-[^%]]*%][^\n]-%f[%w_](%l+[.:][%w_]+)(%b())" do
          found[what] = found[what] or list:sub(2, -2)
        end
      end
    end
    return found
  end

  -- How many there are, and how many of them may be left out.
  local function count (list)
    local most = list == "" and 0 or 1
    local flat = list:gsub("[%[%]]", ""):gsub("%b{}", "")
    for _ in flat:gmatch "," do most = most + 1 end
    local optional = 0
    for _ in list:gmatch "%[" do optional = optional + 1 end
    return most, optional
  end

  local classes = {
    ["lode.dict_functions"] = "dict.", ["lode.set_functions"] = "set.",
    ["lode.store"] = "store:", ["lode"] = "lode.",
  }

  it("are those that its text names", function ()
    local source, wrong = marks(), {}
    for class, prefix in pairs(classes) do
      for name, item in pairs(reference.functions[class]) do
        local list = source[prefix .. name]
        if not list then
          wrong[#wrong + 1] = prefix .. name .. " has no mark in csrc/lua"
        else
          local most, optional = count(list)
          local said = 0
          for _, param in ipairs(item.documented) do
            if reference.is_optional(param.type) then said = said + 1 end
          end
          if most ~= #item.params or optional > said then
            wrong[#wrong + 1] = ("%s%s: %s in csrc/lua"):format(prefix, name,
              list)
          end
        end
      end
    end
    table.sort(wrong)
    assert.are.same({}, wrong)
  end)
end)

describe("the options that have a text", function ()
  helper.watch()

  -- All words in quotes in the sources of the binding: each option that it
  -- takes is among them.
  local function words ()
    local found = {}
    for _, directory in ipairs { "csrc/lua", "lua/lode", "lua/resty" } do
      for name in lfs.dir(directory) do
        if name:find "%.[ch]$" or name:find "%.lua$" then
          local text = assert(io.open(directory .. "/" .. name)):read "*a"
          for word in text:gmatch '"(%l[%l_]*)"' do found[word] = true end
          for word in text:gmatch "%f[%w_](%l[%l_]*) =" do
            found[word] = true
          end
        end
      end
    end
    return found
  end

  -- None takes a thread as its value. So whatever is taken raises, and says
  -- something else than that it isn't known.
  local odd = coroutine.create(function () end)

  local function is_taken (call, name)
    local ok, e = pcall(call, { [name] = odd })
    assert.is_false(ok, name)
    local text = tostring(e)
    return not (text:find "unknown option" or text:find "unknown field"
      or text:find "has no field" or text:find "has no option")
  end

  local function check (class, call)
    local taken = {}
    assert.is_false(is_taken(call, "surely_not"), class)
    for word in pairs(words()) do
      if is_taken(call, word) then taken[word] = true end
    end
    assert.are.same({}, differences(taken, names(reference.fields(class))),
      class)
  end

  it("are those that stores are opened with", function ()
    check("lode.open_options", function (options)
      return lode.open(helper.path(), options)
    end)
    check("resty.lode.options", function (options)
      return resty.open(helper.path(), options)
    end)
  end)

  it("are those of dicts and sets", function ()
    local store = helper.open()
    check("lode.dict_options", function (options)
      return store:dict("d", options)
    end)
    check("lode.set_options", function (options)
      return store:set("s", options)
    end)
  end)

  it("are those of calls", function ()
    local store = helper.open()
    local d = store:dict "d"
    check("lode.fetch_options", function (options)
      return lode.dict.fetch(d, "k", print, options)
    end)
    check("lode.range", function (range) return lode.dict.pairs(d, range) end)
    check("lode.budget", function (budget) return store:maintain(budget) end)
    check("lode.flush_options", function (options)
      return store:flush(options)
    end)
    check("lode.backup_options", function (options)
      return store:backup(helper.path(), options)
    end)
    check("lode.check_options", function (options)
      return store:check(options)
    end)
    check("lode.check_path_options", function (options)
      return lode.check(helper.path(), options)
    end)
    check("lode.check_path_options", function (options)
      return lode.repair(helper.path(), helper.path(), options)
    end)
    check("lode.zlib_options", function (options)
      return serializer.zlib("msgpack", options)
    end)
  end)
end)

describe("the codes that have a text", function ()
  helper.watch()

  it("are those of csrc/lode.h, and those of README.md", function ()
    local there, raised, page, described = {}, {}, {}, {}
    local header = assert(io.open "csrc/lode.h"):read "*a"
    local enum = header:match "the first failure.-}"
    for name in ("LODE_BAD_ARGUMENT " .. enum):gmatch "LODE_([%u_]+)" do
      if name ~= "CALLBACK" then there[name] = true end -- never Lua's
    end
    for _, value in ipairs(reference.aliases["lode.code"].values) do
      described[value.value:match '"(.*)"'] = true
    end
    assert.are.same({}, differences(there, described))
    for code in pairs(described) do
      local e = select(2, pcall(core.raise, code, "text"))
      raised[e.code or e] = true
    end
    assert.are.same({}, differences(raised, described))
    for line in io.lines "README.md" do
      local code = line:match "^| `([%u_]+)` |"
      if code then page[code] = true end
    end
    assert.are.same({}, differences(page, described))
  end)
end)
