"""Reads and writes as scripts do: each object goes on by the URL that it was told of itself."""

import os

from github import Auth, Github

hub = Github(
    base_url=os.environ["BASE_URL"],
    auth=Auth.Token(os.environ["TOKEN"]),
    seconds_between_requests=None,
    seconds_between_writes=None,
)
repo = hub.get_repo("octocat/Hello-World")
print(repo.url)
issue = next(iter(repo.get_issues()))
list(issue.get_comments())
created = repo.create_issue(title="By PyGithub")
created.edit(title="Renamed by PyGithub")
print(repo.get_issue(created.number).title)
