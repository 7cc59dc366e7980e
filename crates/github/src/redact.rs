use crate::Target;

/// Parts of a parameter's name that tell of a secret.
const SECRET_PARTS: [&str; 6] = ["token", "secret", "password", "signature", "credential", "api_key"];

/// The same, for names that are too short to be looked for within others.
const SECRET_NAMES: [&str; 3] = ["sig", "code", "key"];

/// The text of a target for people and logs: values of parameters that may be secrets are left out.
pub fn redacted(target: &Target) -> String {
    let Some(query) = target.query() else { return target.path().to_owned() };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=***"),
        _ => pair.to_owned(),
    });
    format!("{}?{}", target.path(), pairs.collect::<Vec<_>>().join("&"))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.contains(&name.as_str()) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_left_out() {
        for (query, shown) in [
            ("access_token=ghp_x&page=2", "/x?access_token=***&page=2"),
            ("Client_Secret=y", "/x?Client_Secret=***"),
            ("%74oken=z", "/x?token=***"),
            ("X-Amz-Signature=z&sig=a&per_page=100&q=token", "/x?X-Amz-Signature=***&sig=***&per_page=100&q=token"),
            ("token", "/x?token"),
        ] {
            assert_eq!(redacted(&Target::parse("/x", Some(query)).unwrap()), shown);
        }
        assert_eq!(redacted(&Target::parse("/x", None).unwrap()), "/x");
    }
}
