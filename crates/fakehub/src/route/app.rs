use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::{
    Hub,
    answer::Answer,
    ask::{API, Ask},
    auth::{Access, App, Caller, Installation, Permissions, Role, Token, TokenKind},
    page::listing,
    world::iso,
};

/// How long an installation's token is good, in seconds; documented.
const TOKEN_SECS: u64 = 3_600;

impl Hub {
    /// Answers what belongs to Apps: with a JWT, and with the tokens that it was traded for.
    ///
    /// `None` if the path is another's. The answers to a JWT are `public`, the token in the body of
    /// `access_tokens` included: that is GitHub's, observed.
    pub(crate) fn app_route(&mut self, ask: &Ask<'_>) -> Option<Answer> {
        let segments: Vec<&str> = ask.path.trim_matches('/').split('/').collect();
        let words = match (segments.as_slice(), ask.caller) {
            (["installation", rest @ ..], Caller::User(token)) if token.kind == TokenKind::Installation => {
                return Some(self.own(ask, token, rest));
            }
            (["app", rest @ ..], Caller::App(app)) => return Some(self.of_app(ask, app, rest)),
            (["repos", owner, name, "installation"], Caller::App(app)) => {
                let full_name = format!("{owner}/{name}");
                let found = app.installations.iter().find(|one| one.covers(&full_name));
                return Some(found.map_or_else(Answer::not_found, |one| ask.ok(&shown(app, one))));
            }
            (_, Caller::BadJwt(words)) => words,
            (["app", ..], _) | (_, Caller::App(_)) => "A JSON web token could not be decoded",
            _ => return None,
        };
        Some(Answer::error(StatusCode::UNAUTHORIZED, words, "https://docs.github.com/rest"))
    }

    fn of_app(&mut self, ask: &Ask<'_>, app: &App, rest: &[&str]) -> Answer {
        let found = rest
            .get(1)
            .and_then(|id| id.parse().ok())
            .and_then(|id: u64| app.installations.iter().find(|one| one.id == id));
        match (ask.method, rest, found) {
            (&Method::GET | &Method::HEAD, [], _) => ask.ok(&json!({
                "id": app.id,
                "slug": app.slug,
                "name": app.slug,
                "html_url": format!("https://github.com/apps/{}", app.slug),
                "installations_count": app.installations.len(),
            })),
            (&Method::GET | &Method::HEAD, ["installations"], _) => {
                let all = app.installations.iter().map(|one| shown(app, one)).collect();
                listing(ask, "/app/installations", all, None)
            }
            (&Method::GET | &Method::HEAD, ["installations", _], Some(one)) => ask.ok(&shown(app, one)),
            (&Method::POST, ["installations", _, "access_tokens"], Some(one)) => match ask.optional_object() {
                Ok(wanted) => self.mint(ask, app, one, &wanted).unwrap_or_else(|refusal| refusal),
                Err(refusal) => refusal,
            },
            _ => Answer::not_found(),
        }
    }

    /// Makes a token: good for an hour, for what the installation has and the request narrows.
    fn mint(
        &mut self,
        ask: &Ask<'_>,
        app: &App,
        one: &Installation,
        wanted: &Map<String, Value>,
    ) -> Result<Answer, Answer> {
        let mut permissions = one.permissions.clone();
        if let Some(narrowed) = wanted.get("permissions") {
            let narrowed: Permissions = serde_json::from_value(narrowed.clone()).map_err(|_| Answer::bad_json())?;
            if narrowed.iter().any(|(name, access)| one.permissions.get(name).is_none_or(|given| given < access)) {
                return Err(Answer::unprocessable("The permissions requested are not granted to this installation."));
            }
            permissions = narrowed;
        }
        permissions.insert("metadata".to_owned(), Access::Read);
        let names: Option<Vec<String>> = wanted.get("repositories").and_then(Value::as_array).map(|names| {
            names.iter().filter_map(Value::as_str).map(|name| format!("{}/{name}", one.account)).collect()
        });
        if let Some(names) = &names
            && names.iter().any(|name| self.world.repo_id(name).is_none() || !one.covers(name))
        {
            return Err(Answer::unprocessable(
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            ));
        }

        let text = format!("ghs_{}", self.minting.hex(36));
        let mut token = Token::new(&text, app.login()).with_limit(one.limit).with_expiry(ask.now + TOKEN_SECS);
        token.kind = TokenKind::Installation;
        token.bucket = Some(one.bucket());
        token.permissions = Some(permissions.clone());
        let role = token.derived_role().max(Role::Read);
        let selected = names.or_else(|| one.repos.clone());
        match &selected {
            Some(names) => token.repos = names.iter().map(|name| (name.clone(), role)).collect(),
            None => token.account = Some(one.account.clone()),
        }
        let selection = if selected.is_some() { "selected" } else { "all" };
        let mut answer = ask.ok(&json!({
            "token": text,
            "expires_at": iso(ask.now + TOKEN_SECS),
            "permissions": permissions,
            "repository_selection": selection,
        }));
        answer.status = StatusCode::CREATED;
        answer.mutation = true;
        self.add_token(token);
        Ok(answer)
    }

    /// What an installation's token may ask about itself.
    fn own(&mut self, ask: &Ask<'_>, token: &Token, rest: &[&str]) -> Answer {
        match (ask.method, rest) {
            (&Method::GET | &Method::HEAD, ["repositories"]) => {
                let within = |full_name: &str, owner: &str| {
                    token.repos.contains_key(&full_name.to_ascii_lowercase())
                        || token.account.as_ref().is_some_and(|account| account.eq_ignore_ascii_case(owner))
                };
                let repos = self.world.repos.values().filter(|repo| within(&repo.full_name(), &repo.owner));
                let items = repos.map(|repo| repo.minimal(&self.world, ask.caller)).collect();
                listing(ask, "/installation/repositories", items, Some("repositories"))
            }
            (&Method::DELETE, ["token"]) => {
                self.revoke(&token.text);
                Answer::empty(StatusCode::NO_CONTENT)
            }
            _ => Answer::not_found(),
        }
    }
}

impl Installation {
    fn covers(&self, full_name: &str) -> bool {
        match &self.repos {
            Some(names) => names.iter().any(|name| name.eq_ignore_ascii_case(full_name)),
            None => full_name.split_once('/').is_some_and(|(owner, _)| owner.eq_ignore_ascii_case(&self.account)),
        }
    }
}

fn shown(app: &App, one: &Installation) -> Value {
    let selection = if one.repos.is_some() { "selected" } else { "all" };
    json!({
        "id": one.id,
        "account": { "login": one.account },
        "app_id": app.id,
        "app_slug": app.slug,
        "repository_selection": selection,
        "access_tokens_url": format!("{API}/app/installations/{}/access_tokens", one.id),
        "repositories_url": format!("{API}/installation/repositories"),
        "permissions": one.permissions,
        "events": [],
    })
}
