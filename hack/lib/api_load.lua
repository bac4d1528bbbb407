-- What wrk sends for hack/bench api. Arguments: operation, group, version, plural, kind, namespace, prefix of names, and a file
-- with a line "NAME RESOURCEVERSION" for each document that exists.
local threads, sent = 0, 0
function setup(thread) thread:set("id", threads); threads = threads + 1 end

local function parts()
  local found = {}
  for number = 1, 16 do
    found[number] = string.format(
      '{"name":"part-%d","size":%d,"labels":{"app":"bench","tier":"t%d"},"note":"the quick brown fox jumps over it"}',
      number, number, number)
  end
  return "[" .. table.concat(found, ",") .. "]"
end

function init(args)
  operation, prefix = args[1], args[7]
  local group, version, plural, kind, namespace = args[2], args[3], args[4], args[5], args[6]
  path = "/apis/" .. group .. "/" .. version .. "/namespaces/" .. namespace .. "/" .. plural
  head = '{"apiVersion":"' .. group .. "/" .. version .. '","kind":"' .. kind .. '","metadata":{"namespace":"' .. namespace .. '"'
  all = parts()
  names, versions, free = {}, {}, {}
  if args[8] then
    for line in io.lines(args[8]) do
      local name, revision = line:match("(%S+) (%S+)")
      names[#names + 1], versions[name] = name, revision
    end
    for number = 1, #names do free[number] = names[number] end
  end
  first = 1
end

-- A document as its owner applies it; `replicas` says whether that is a change.
local function document(name, replicas)
  return head .. ',"name":"' .. name .. '","labels":{"app":"bench"}},"spec":{"replicas":' .. replicas .. ',"parts":' .. all .. '}}'
end

function request()
  sent = sent + 1
  local name = names[(sent - 1) % math.max(1, #names) + 1]
  if operation == "create" then
    return wrk.format("POST", path, nil, document(prefix .. "-" .. id .. "-" .. sent, 3))
  elseif operation == "get" then
    return wrk.format("GET", path .. "/" .. name)
  elseif operation == "merge" then
    return wrk.format("PATCH", path .. "/" .. name, nil, '{"spec":{"replicas":' .. sent % 100 .. "}}")
  elseif operation == "apply" then
    return wrk.format("PATCH", path .. "/" .. name .. "?fieldManager=bench&force=true", nil, document(name, math.floor(sent / #names) % 100))
  elseif operation == "same" then
    return wrk.format("PATCH", path .. "/" .. name .. "?fieldManager=bench&force=true", nil, document(name, 3))
  end
  -- A status is replaced at the version it was read at: one that is on its way is not taken again before its answer.
  name, first = free[first], first + 1
  if not name then return wrk.format("GET", path .. "?limit=1") end
  return wrk.format("PUT", path .. "/" .. name .. "/status", nil,
    head .. ',"name":"' .. name .. '","resourceVersion":"' .. versions[name] .. '"},"status":{"phase":"Ready","count":' .. sent .. "}}")
end

function answered(status, headers, body)
  local name, revision = body:match('"name":"(bench%-[^"]*)"'), body:match('"resourceVersion":"(%d+)"')
  if name and revision and status < 300 and versions[name] then
    versions[name], free[#free + 1] = revision, name
  end
end
