// Prints the number of every issue, in the order of the pages.
import { Octokit } from "@octokit/rest";

const octokit = new Octokit({ baseUrl: process.env.BASE_URL, auth: process.env.TOKEN });
const issues = await octokit.paginate(octokit.rest.issues.listForRepo, {
  owner: "octo-org",
  repo: "empty",
  sort: "created",
  direction: "asc",
  per_page: 100,
});
for (const issue of issues) console.log(issue.number);
