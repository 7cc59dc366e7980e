-- Asks for one URL after the other, as many as the argument says. The connections share the turn, so none of them asks for
-- what it has just asked for. `cargo xtask bench compare` gives it to wrk.
local requests, at = {}, 0

function init(args)
    for n = 1, tonumber(args[1]) do
        requests[n] = wrk.format("GET", "/repos/octocat/turn-" .. n .. "/issues")
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end
