-- What the annotations say, by class, for the specs that compare them with
-- what there is.

-- Neither is a module of lode's: the generator of the reference has them.
local luacats = dofile ".ci/doc/luacats.lua"
local doc = dofile ".ci/doc/chapters.lua"

local reference = {
  chapters = doc.chapters,
  names_in = luacats.names_in,
  is_optional = luacats.is_optional,
  classes = {}, -- by name; a class that several files describe is one
  aliases = {}, -- by name
  functions = {}, -- by class and name
  values = {}, -- by class and name
  items = {}, -- all, each with its path
}

local function add_class (item)
  local known = reference.classes[item.name]
  if not known then
    reference.classes[item.name] = item
    return
  end
  if known.text == "" then known.text = item.text end
  for _, field in ipairs(item.fields) do
    known.fields[#known.fields + 1] = field
  end
end

local function add_member (all, item)
  all[item.class] = all[item.class] or {}
  all[item.class][item.name] = item
end

local function add (item)
  if item.kind == "class" then
    add_class(item)
  elseif item.kind == "alias" then
    reference.aliases[item.name] = item
  elseif item.kind == "function" then
    add_member(reference.functions, item)
  elseif item.kind == "value" then
    add_member(reference.values, item)
  end
end

for _, chapter in ipairs(reference.chapters) do
  for _, path in ipairs(chapter.files) do
    for _, item in ipairs(luacats.read(path).items) do
      item.path, item.chapter = path, chapter
      reference.items[#reference.items + 1] = item
      add(item)
    end
  end
end

-- The fields of a class by name, with those of its parents.
function reference.fields (name)
  local class, found = assert(reference.classes[name], name), {}
  for _, parent in ipairs(class.parents) do
    for field, said in pairs(reference.fields(parent)) do
      found[field] = said
    end
  end
  for _, field in ipairs(class.fields) do found[field.name] = field end
  return found
end

-- What a function or value is called: "dict.get".
function reference.called (item)
  return doc.names[item.class] .. item.name
end

-- "lua/lode/meta.lua:12, open"
function reference.place (item)
  return ("%s:%d, %s"):format(item.path, item.line, item.name)
end

return reference
