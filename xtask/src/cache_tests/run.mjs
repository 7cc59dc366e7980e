// Runs suites of the package http-cache-tests against a cache, and prints each test with its result as JSON.
// node run.mjs <folder of the package> <base URL of the cache> [id …]; without ids all tests are run.
import { createRequire } from 'node:module'

const [folder, base, ...ids] = process.argv.slice(2)
const load = async file => await import(`file://${folder}/${file}`)
const fetch = createRequire(`${folder}/cli.mjs`)('node-fetch')
const { runTests, getResults } = await load('client/runner.mjs')
// cli.mjs of the package runs these two sets.
const suites = [...(await load('tests/index.mjs')).default, (await load('tests/surrogate-control.mjs')).default]

const wanted = test => ids.length === 0 || ids.includes(test.id)
const chosen = suites.map(suite => ({ ...suite, tests: suite.tests.filter(wanted) }))
await runTests(chosen, fetch, false, base)
const results = getResults()
const told = test => ({
  id: test.id,
  name: test.name,
  kind: test.kind ?? 'required',
  depends_on: test.depends_on ?? [],
  browser_only: test.browser_only === true,
  result: results[test.id] ?? null
})
const json = JSON.stringify(chosen.flatMap(suite => suite.tests.map(told)))
// Connections that are kept alive would keep the process, too.
process.stdout.write(json, () => process.exit(0))
