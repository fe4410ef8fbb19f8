-- One request to the node for a whole class, and everyone answered the moment it is.
--
-- nginx's own `proxy_cache_lock` makes one request of many too, but those who wait look only every
-- 500 ms whether it is there: later than two parts of 200 ms, and hls.js among a crowd stands still.
-- Here they are woken. `enter` runs before each request for media of a lesson (deploy/nginx.conf):
--
-- 1. Whether the asker may see the lesson is asked of the node, and believed for as long as it says.
-- 2. The first in a worker who asks for what the cache does not have yet (a playlist or a part that
--    is to come) fetches it into the cache, by a subrequest to the same place; the others sleep.
--    Of several workers, one fetches, and each of the others has one request that looks every 5 ms.
-- 3. All are then served by nginx from its cache. Who comes here without luck (a node that hangs, a
--    cache that has thrown it out) still finds `proxy_cache_lock` there.

local lrucache = require "resty.lrucache"
local semaphore = require "ngx.semaphore"

local PATIENCE = 20 -- seconds; the node lets nobody wait for longer than 18
local LOOK = 0.005 -- seconds between looks at what another worker fetches
local KEPT = 30 -- seconds in which what was fetched is believed to be in the cache
local SEEN = 5 -- seconds more in which a worker believes so without a look
local SHARED = { [400] = true, [404] = true, [502] = true, [503] = true, [504] = true }

local permits = ngx.shared.permits -- lesson and token -> true
local fetched = ngx.shared.fetched -- key in the cache -> 0 (somebody is at it) or 1 (it is there)
local permitted = assert(lrucache.new(16384)) -- of this worker: what it need not look up there
local present = assert(lrucache.new(16384))
local flights = {} -- of this worker: key -> who is at it

local M = {}

-- What `work` returns; whoever asks for the same meanwhile gets the same. Nil where that takes
-- too long, or fails.
local function once(key, work)
    local flight = flights[key]
    if flight and ngx.now() - flight.began < PATIENCE then
        flight.waiting = flight.waiting + 1
        flight.landed:wait(PATIENCE)
        return flight.outcome
    end
    flight = { landed = semaphore.new(), waiting = 0, began = ngx.now() }
    flights[key] = flight
    local well, outcome = pcall(work)
    if well then
        flight.outcome = outcome
    else
        ngx.log(ngx.ERR, outcome)
    end
    if flights[key] == flight then
        flights[key] = nil
    end
    if flight.waiting > 0 then
        flight.landed:post(flight.waiting)
    end
    return flight.outcome
end

local function ask_permission(key)
    local answer = ngx.location.capture("/_permit")
    local seconds = tonumber(answer.header["X-Accel-Expires"])
    if answer.status == 204 and seconds and seconds > 0 then
        permits:set(key, true, seconds)
    end
    return answer
end

-- Returns for those who may see the lesson only.
local function permit(var)
    local asker = var.asker
    if permitted:get(asker) then
        return
    end
    if permits:get(asker) then
        local left = permits:ttl(asker)
        if left and left > 0 then
            permitted:set(asker, true, left)
        end
        return
    end
    if var.lesson == "" then
        ngx.exit(404)
    end
    local answer = once("permit " .. asker, function()
        return ask_permission(asker)
    end)
    local status = answer and answer.status or 504
    if status == 204 then
        return
    end
    if status == 401 then
        ngx.header["WWW-Authenticate"] = answer.header["WWW-Authenticate"]
    end
    ngx.exit((status == 401 or status == 403) and status or 502)
end

local function fetch(key, uri, arguments)
    local deadline = ngx.now() + PATIENCE
    while not fetched:add(key, 0, PATIENCE) do
        if fetched:get(key) == 1 then
            return { status = 200 }
        elseif ngx.now() > deadline then
            return nil
        end
        ngx.sleep(LOOK)
    end
    local well, answer = pcall(ngx.location.capture, uri, { args = arguments })
    if well and answer.status == 200 then
        fetched:set(key, 1, KEPT)
        answer.body = nil
    else
        fetched:delete(key)
    end
    return well and answer or nil
end

-- Returns when the cache has it, or when nginx may try as best it can.
local function arrive(var)
    local key = var.wanted
    if present:get(key) then
        return
    end
    if fetched:get(key) == 1 then
        present:set(key, true, SEEN)
        return
    end
    local uri = var.uri
    if ngx.req.get_method() ~= "GET" or not (var.arg__hls_msn or uri:find("/%d[%d.]*%.m4s$")) then
        return
    end
    local arguments = var.args
    local answer = once(key, function()
        return fetch(key, uri, arguments)
    end)
    if answer and SHARED[answer.status] then
        ngx.status = answer.status
        ngx.header["Content-Type"] = answer.header["Content-Type"]
        ngx.header["Content-Length"] = #answer.body
        ngx.print(answer.body)
        ngx.exit(ngx.OK)
    end
end

function M.enter()
    local var = ngx.var
    permit(var)
    arrive(var)
end

return M
