"""Prints the number of every issue, in the order of the pages."""

import os

from github import Auth, Github

# Lazy, for a base URL without /api/v3: what is said there names GitHub itself, and PyGithub refuses
# to go on by that.
hub = Github(
    base_url=os.environ["BASE_URL"],
    auth=Auth.Token(os.environ["TOKEN"]),
    per_page=100,
    lazy=True,
    seconds_between_requests=None,
)
for issue in hub.get_repo("octo-org/empty").get_issues(sort="created", direction="asc"):
    print(issue.number)
