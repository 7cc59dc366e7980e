"""Prints the number of every issue, in the order of the pages."""

import os

from github import Auth, Github

# Lazy: else PyGithub goes on by the URLs in bodies, which name GitHub itself, and it refuses them.
hub = Github(
    base_url=os.environ["BASE_URL"],
    auth=Auth.Token(os.environ["TOKEN"]),
    per_page=100,
    lazy=True,
    seconds_between_requests=None,
)
for issue in hub.get_repo("octo-org/empty").get_issues(sort="created", direction="asc"):
    print(issue.number)
