use http::Method;

use crate::{Family, Pattern, Target, Touches};

/// What has to be dropped so that nothing is left of what a pattern names.
///
/// Never less than what is named; more where families cannot tell. What is kept is known by keyed
/// hashes of families, so a family must be named to be dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is in these families, whoever has seen them.
    Families(Vec<Family>),
    /// It is in these, and in every other one of which [`Pattern::reaches`] says so.
    Open(Vec<Family>),
    Everything,
}

impl Pattern {
    /// What to drop at `host`. A repository goes as by a write to it, with the lists that may show it.
    pub fn reach(&self, host: &str) -> Reach {
        let segments: Vec<&str> = self.segments().collect();
        let is_exact = !self.is_open() && !segments.contains(&"*");
        match segments.as_slice() {
            // Both may be in the family of any repository.
            ["graphql" | "repositories" | "*", ..] | [] => Reach::Everything,
            ["repos", owner, name, ..] if !is_exact && *owner != "*" && *name != "*" => {
                shown_with(host, owner, name).map_or(Reach::Everything, Reach::Families)
            }
            ["repos", owner, ..] if !is_exact && *owner != "*" => {
                shown_with(host, owner, "-").map_or(Reach::Everything, Reach::Open)
            }
            ["repos", ..] if !is_exact => shown_with(host, "-", "-").map_or(Reach::Everything, Reach::Open),
            _ if !is_exact => Reach::Open(Vec::new()),
            _ => match Target::parse(&format!("/{}", segments.join("/")), None) {
                Ok(target) => Reach::Families(vec![Family::of(host, &target)]),
                Err(_) => Reach::Everything,
            },
        }
    }

    /// Whether something in `family` of `host` may be what this pattern names.
    pub fn reaches(&self, host: &str, family: &Family) -> bool {
        let Some(path) = family.as_str().strip_prefix(host).and_then(|path| path.strip_prefix('/')) else {
            return false;
        };
        let mut segments = self.segments().peekable();
        if segments.peek() != Some(&"repos") {
            return !path.starts_with("repos/");
        }
        // What is read in a family may be longer than its name.
        segments.zip(path.split('/')).all(|(expected, segment)| expected == "*" || expected == segment)
    }
}

/// What a write to a repository makes doubtful: itself, and whatever else may show it.
fn shown_with(host: &str, owner: &str, name: &str) -> Option<Vec<Family>> {
    let target = Target::parse(&format!("/repos/{owner}/{name}/issues/0"), None).ok()?;
    match Family::touched_by(host, &Method::PATCH, &target) {
        Touches::Families(families) => Some(families),
        Touches::Everything => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "api.github.com";

    fn family(path: &str) -> Family {
        Family::of(HOST, &Target::parse(path, None).unwrap())
    }

    /// Whether dropping `pattern` drops what was read at `path`, if its family has been seen.
    fn drops(pattern: &str, path: &str) -> bool {
        let (pattern, family) = (Pattern::parse(pattern).unwrap(), family(path));
        match pattern.reach(HOST) {
            Reach::Everything => true,
            Reach::Families(families) => families.contains(&family),
            Reach::Open(families) => families.contains(&family) || pattern.reaches(HOST, &family),
        }
    }

    const PATHS: [&str; 16] = [
        "/repos/acme/secret",
        "/repos/Acme/Secret/issues/7",
        "/repos/acme/other/pulls",
        "/repos/acme/other/notifications",
        "/repos/zoo/secret",
        "/repositories/7/issues",
        "/orgs/acme",
        "/orgs/acme/repos",
        "/orgs/acme/members",
        "/orgs/zoo/members",
        "/user",
        "/user/repos",
        "/issues",
        "/notifications",
        "/graphql",
        "/",
    ];

    #[test]
    fn nothing_is_left_of_what_a_pattern_names() {
        for pattern in [
            "acme/secret",
            "acme/*",
            "*/secret",
            "/repos/*/*/notifications",
            "/repos/acme/**",
            "/repos/**",
            "/repos/acme/secret",
            "/orgs/acme/**",
            "/orgs/*/members",
            "/user",
            "/repositories/7/**",
            "/graphql",
            "/*/acme",
            "/**",
        ] {
            for path in PATHS {
                let target = Target::parse(path, None).unwrap();
                let is_named = Pattern::parse(pattern).unwrap().covers_path(&target);
                assert!(!is_named || drops(pattern, path), "{pattern} leaves {path}");
            }
        }
    }

    #[test]
    fn what_has_nothing_to_do_with_a_pattern_stays() {
        for (pattern, path) in [
            ("acme/secret", "/repos/acme/other/pulls"),
            ("acme/secret", "/orgs/acme/members"),
            ("acme/*", "/repos/zoo/secret"),
            ("*/secret", "/repos/acme/other/pulls"),
            ("/repos/acme/secret", "/issues"),
            ("/orgs/acme/**", "/repos/acme/secret"),
            ("/user", "/orgs/acme"),
        ] {
            assert!(!drops(pattern, path), "{pattern} drops {path}");
        }
    }

    #[test]
    fn a_family_of_another_host_is_out_of_reach() {
        let pattern = Pattern::parse("acme/*").unwrap();
        assert!(!pattern.reaches("ghes.example", &family("/repos/acme/secret")));
        assert!(!pattern.reaches("api.github", &family("/repos/acme/secret")));
    }
}
