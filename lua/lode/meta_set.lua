---@meta _
-- The functions of `lode.set`. Each takes a set first; those that only read
-- take an expression as well. A member is what a key is.

---A set on disk: `s[x]` is true or nil; `s[x] = true` adds and `s[x] = nil`
---removes; `#s`, `pairs(s)`, `tostring(s)`. A handle of a set that was dropped
---raises NOT_FOUND.
---
---`a + b` is the union, `a * b` the intersection, `a - b` the difference,
---`a ^ b` what is in just one; on Lua 5.3 and later also `a | b`, `a & b` and
---`a ~ b`. `a <= b` asks for a subset, `a < b` for a proper one, `a == b` for
---the same members.
---```lua
---local staff, admins = store:set "staff", store:set "admins"
---set.add_many(staff, { "ada", "bob" })
---admins.ada = true
---print(staff.ada, staff.eve, #(staff - admins))            --> true nil 1
---print(admins < staff, admins == staff)                    --> true false
---```
---@class lode.set: { [lode.key]: true? }
---@operator add(lode.set): lode.expression
---@operator mul(lode.set): lode.expression
---@operator sub(lode.set): lode.expression
---@operator pow(lode.set): lode.expression
---@operator bor(lode.set): lode.expression
---@operator band(lode.set): lode.expression
---@operator bxor(lode.set): lode.expression

---What an operator of sets makes. It costs nothing until it is walked,
---counted, asked (`expr[x]`) or compared; then it is computed anew, in one
---ordered pass over its sets and in constant memory. Its sets may be of two
---stores; INCOMPATIBLE where they have different key serializers, BAD_ARGUMENT
---past 128 of them or for an assignment. Functions that only read take one in
---the place of a set.
---```lua
---local tea, coffee = store:set "tea", store:set "coffee"
---tea.ada, tea.bob, coffee.bob = true, true, true
---local both = tea * coffee
---coffee.ada = true                       -- after it was made
---print(#both, both.ada)                                    --> 2 true
---```
---@class lode.expression: lode.set, { [lode.key]: true? }

---What can be done with a set besides.
---@class lode.set_functions
local set = {}

-- {==================================================================
-- Members
-- ====================================================================

---Adds a member. One that is there lives on as if it were written anew.
---Raises BAD_KEY, READONLY, BUSY, FULL, DISK_FULL.
---```lua
---local s = store:set "s"
---print(set.add(s, "a"), set.add(s, "a"))                   --> true false
---```
---@param s lode.set
---@param x lode.key
---@param ttl lode.ttl?
---@return boolean new whether it was no member
function set.add (s, x, ttl) end

---Removes a member.
---```lua
---local s = store:set "s"
---s.a = true
---print(set.remove(s, "a"), set.remove(s, "a"))             --> true false
---```
---@param s lode.set
---@param x lode.key
---@return boolean there whether it was a member
function set.remove (s, x) end

---Whether it is a member; counts as no read.
---```lua
---local s = store:set "s"
---s.a = true
---print(set.has(s, "a"), set.has(s, "b"))                   --> true false
---```
---@param s lode.set
---@param x lode.key?
---@return boolean there
function set.has (s, x) end

---Takes the first member out. Of all who try at once each gets another one.
---```lua
---local s = store:set "s"
---s.a = true
---print(set.pop(s), set.pop(s))                             --> a nil
---```
---@param s lode.set
---@return lode.key? x nil when the set is empty
function set.pop (s) end

---Adds many members, all or none: an array's, a set's, or those that an
---iterator function gives until it gives nil. Raises what `set.add` does.
---```lua
---local s = store:set "s"
---print(set.add_many(s, { "a", "b" }), set.add_many(s, { "b", "c" }))
-----> 2 1
---```
---@param s lode.set
---@param members lode.key[]|lode.set|fun(): member: lode.key?
---@param ttl lode.ttl?
---@return integer n the number that is new
function set.add_many (s, members, ttl) end

---Removes many members, all or none: given as for `set.add_many`.
---```lua
---local s, gone = store:set "s", store:set "gone"
---set.add_many(s, { "a", "b", "c" })
---set.add_many(gone, { "b", "x" })
---print(set.remove_many(s, gone), #s)                       --> 1 2
---```
---@param s lode.set
---@param members lode.key[]|lode.set|fun(): member: lode.key?
---@return integer n the number that were members
function set.remove_many (s, members) end

---Removes every member; the set stays.
---```lua
---local s = store:set "s"
---set.add_many(s, { "a", "b" })
---print(set.clear(s), #s)                                   --> 2 0
---```
---@param s lode.set
---@return integer n the number removed
function set.clear (s) end

-- }==================================================================

-- {==================================================================
-- Looking
-- ====================================================================

---Walks the members of a range in order, as `dict.keys` does those of a dict.
---```lua
---local s = store:set "s"
---set.add_many(s, { 3, 1, 2 })
---for x in set.each(s, { from = 2 }) do print(x) end
-----> 2
-----> 3
---```
---@param s lode.set
---@param range lode.range?
---@return fun(): member: lode.key?
function set.each (s, range) end

---The number of members that are alive, as `#s`. Of an expression all are
---walked.
---```lua
---local s = store:set "s"
---s.a = true
---print(set.len(s), #s)                                     --> 1 1
---```
---@param s lode.set
---@return integer n
function set.len (s) end

---The number of members in a range.
---```lua
---local s = store:set "s"
---set.add_many(s, { "apple", "apricot", "pear" })
---print(set.count(s), set.count(s, { prefix = "ap" }))      --> 3 2
---```
---@param s lode.set
---@param range lode.range?
---@return integer n
function set.count (s, range) end

---The first member.
---```lua
---local s = store:set "s"
---set.add_many(s, { 3, 1, 2 })
---print(set.first(s), set.last(s))                          --> 1 3
---```
---@param s lode.set
---@return lode.key? x nil when there is none
function set.first (s) end

---The last member.
---```lua
---print(set.last(store:set "empty"))                        --> nil
---```
---@param s lode.set
---@return lode.key? x nil when there is none
function set.last (s) end

---All members, of one moment where they are of one store, as the keys of a
---plain table, each with the value true.
---```lua
---local s = store:set "s"
---s.a = true
---print(set.totable(s).a)                                   --> true
---```
---@param s lode.set
---@return table<lode.key, true>
function set.totable (s) end

---A new set of the same store, with the same options and members, and what is
---kept of their time. Raises INCOMPATIBLE where the name is taken.
---```lua
---local s = store:set "s"
---s.a = true
---print(set.copy(s, "copy").a)                              --> true
---```
---@param s lode.set
---@param name string of 1 to 200 bytes
---@return lode.set
function set.copy (s, name) end

---The present name; `store:rename` changes it.
---```lua
---print(set.name(store:set "tags"))                         --> tags
---```
---@param s lode.set
---@return string
function set.name (s) end

---Sizes of a set.
---```lua
---local s = store:set "s"
---s.a = true
---print(set.stats(s).entries)                               --> 1
---```
---@param s lode.set
---@return lode.collection_stats
function set.stats (s) end

-- }==================================================================

-- {==================================================================
-- Algebra
-- ====================================================================

---The members of any of them, as `a + b`.
---```lua
---local a, b = store:set "a", store:set "b"
---a.x, b.y = true, true
---print(#set.union(a, b))                                   --> 2
---```
---@param a lode.set
---@param ... lode.set
---@return lode.expression
function set.union (a, ...) end

---The members of all of them, as `a * b`.
---```lua
---local a, b = store:set "a", store:set "b"
---a.x, a.y, b.y = true, true, true
---print(set.first(set.intersection(a, b)))                  --> y
---```
---@param a lode.set
---@param ... lode.set
---@return lode.expression
function set.intersection (a, ...) end

---The members of the first that none of the others has, as `a - b`.
---```lua
---local a, b = store:set "a", store:set "b"
---a.x, a.y, b.y = true, true, true
---print(set.first(set.difference(a, b)))                    --> x
---```
---@param a lode.set
---@param ... lode.set
---@return lode.expression
function set.difference (a, ...) end

---The members of an odd number of them, as `a ^ b`.
---```lua
---local a, b = store:set "a", store:set "b"
---a.x, a.y, b.y, b.z = true, true, true, true
---print(set.count(set.symmetric_difference(a, b)))          --> 2
---```
---@param a lode.set
---@param ... lode.set
---@return lode.expression
function set.symmetric_difference (a, ...) end

---Whether they have no member in common; stops at the first that they have.
---```lua
---local a, b = store:set "a", store:set "b"
---a.x, b.y = true, true
---print(set.disjoint(a, b))                                 --> true
---```
---@param a lode.set
---@param b lode.set
---@return boolean
function set.disjoint (a, b) end

---Makes the set of this name hold just the members of an expression, in one
---transaction; it may be one of the operands. The set is made when absent.
---```lua
---local a, b = store:set "a", store:set "b"
---a.x, b.y = true, true
---local both = set.save(a + b, store, "both")
---a.z = true
---print(#both, #(a + b))                                    --> 2 3
---```
---@param expr lode.set
---@param store lode.store
---@param name string of 1 to 200 bytes
---@return lode.set
function set.save (expr, store, name) end

---Adds the members of an expression to a set, in one transaction; the set may
---be one of its operands.
---```lua
---local a, b = store:set "a", store:set "b"
---a.x, b.y = true, true
---set.update(a, b)
---print(#a, a.y)                                            --> 2 true
---```
---@param s lode.set
---@param expr lode.set
function set.update (s, expr) end

-- }==================================================================

return set
