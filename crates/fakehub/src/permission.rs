//! What a fine-grained token or an installation needs for a route, and how GitHub says that it lacks it.

use crate::{
    answer::Answer,
    ask::Ask,
    auth::{Access, Caller, TokenKind},
    world::Repo,
};

/// The 403 of a token whose permissions do not cover `rest` of `repo`; classic tokens never get it.
///
/// What is public can be read with any token.
pub(crate) fn refuse(ask: &Ask<'_>, repo: &Repo, rest: &[&str]) -> Option<Answer> {
    let Caller::User(token) = ask.caller else { return None };
    let access = if ask.is_read() { Access::Read } else { Access::Write };
    let name = needed(rest, access);
    let open = !repo.private && access == Access::Read && name != "administration";
    (!open && !token.allows(name, access)).then(|| {
        denial(token.kind).with_header(
            "x-accepted-github-permissions",
            format!("{name}={}", if access == Access::Write { "write" } else { "read" }),
        )
    })
}

/// The 403 of an installation that asks for what only people have.
pub(crate) fn refuse_person(ask: &Ask<'_>) -> Option<Answer> {
    let installation = ask.caller.token().is_some_and(|token| token.kind == TokenKind::Installation);
    installation.then(|| denial(TokenKind::Installation))
}

fn denial(kind: TokenKind) -> Answer {
    Answer::forbidden(match kind {
        TokenKind::Installation => "Resource not accessible by integration",
        _ => "Resource not accessible by personal access token",
    })
}

/// Source: GitHub's "Permissions required for GitHub Apps", as far as the hub has routes.
fn needed(rest: &[&str], access: Access) -> &'static str {
    match rest {
        ["issues" | "labels", ..] => "issues",
        ["pulls", ..] => "pull_requests",
        ["actions", "runners", ..] => "administration",
        ["actions", "secrets", ..] => "secrets",
        ["actions", "variables", ..] => "actions_variables",
        ["actions", ..] => "actions",
        ["check-runs", ..] | ["commits", _, "check-runs"] => "checks",
        ["commits", _, "status"] => "statuses",
        ["code-scanning", ..] => "security_events",
        ["dependabot", ..] => "vulnerability_alerts",
        ["secret-scanning", ..] => "secret_scanning_alerts",
        ["contents" | "readme" | "git" | "commits" | "branches" | "tags" | "releases" | "tarball" | "zipball", ..] => {
            "contents"
        }
        _ if access == Access::Write => "administration",
        _ => "metadata",
    }
}
