use std::time::Duration;

use super::Hub;
use crate::{
    App, Counts, Delivery, Failure, Permissions, Role, Token, budget::Resource, counts::Ledger, fault::Faults,
    secondary::Secondary,
};

/// Who may come in.
impl Hub {
    /// Accepts `token` from now on, and creates its user if there is none.
    pub fn add_token(&mut self, token: Token) {
        self.world.ensure_user(&token.login);
        self.keyring.add(token);
    }

    /// Answers 401 to this token from now on; `false` if it was not accepted before.
    pub fn revoke(&mut self, text: &str) -> bool {
        self.keyring.revoke(text)
    }

    /// Gives a token a role in a repository, or takes it away; `false` if there is no such token.
    pub fn set_role(&mut self, text: &str, full_name: &str, role: Option<Role>) -> bool {
        self.keyring.set_role(text, full_name, role)
    }

    /// Replaces a token's permissions, `None` for all; `false` if there is no such token.
    pub fn set_permissions(&mut self, text: &str, permissions: Option<Permissions>) -> bool {
        self.keyring.set_permissions(text, permissions)
    }

    /// Accepts the JWTs of `app`, whatever key signed them, and mints tokens for its installations.
    pub fn add_app(&mut self, app: App) {
        self.keyring.add_app(app);
    }

    /// Empties the budget of a login, or of `anonymous`, for REST, until it resets.
    pub fn exhaust(&mut self, label: &str, now: u64) {
        self.spend(label, "core", u64::MAX, now);
    }

    /// Spends `points` of a budget by its resource (`core`, `graphql`, `search`, `code_search`).
    ///
    /// `false` if there is no such resource.
    pub fn spend(&mut self, label: &str, resource: &str, points: u64, now: u64) -> bool {
        let Some(resource) = Resource::named(resource) else { return false };
        let anonymous = label == "anonymous";
        let hourly = if anonymous { crate::budget::ANONYMOUS_LIMIT } else { self.keyring.limit(label) };
        let bucket = self.budgets.bucket(label, resource, hourly, now);
        bucket.used = bucket.used.saturating_add(points).min(bucket.limit);
        true
    }

    /// The logins and installations that have, or had, a token.
    pub fn logins(&self) -> Vec<String> {
        self.keyring.logins().into_iter().map(str::to_owned).collect()
    }
}

/// What goes wrong. The empty prefix means every path; the longest that fits decides.
impl Hub {
    pub fn set_latency(&mut self, prefix: &str, latency: Duration) {
        self.faults.set_latency(prefix, latency);
    }

    /// Fails requests instead of answering them; they change nothing and are not charged.
    pub fn fail_with(&mut self, prefix: &str, failure: Failure) {
        self.faults.set_failure(prefix, failure);
    }

    /// Takes requests and never answers.
    pub fn silence(&mut self, prefix: &str) {
        self.faults.set_silence(prefix);
    }

    /// Spoils answers on their way: cut short, hanging, of another length, or no gzip at all.
    pub fn deliver(&mut self, prefix: &str, delivery: Delivery) {
        self.faults.set_delivery(prefix, delivery);
    }

    /// Puts the `Date` of the API's answers so many seconds ahead of the truth, or behind it.
    pub fn set_date_skew(&mut self, secs: i64) {
        self.faults.date_skew = secs;
    }

    /// Ends everything in this list, and the secondary limits.
    pub fn recover(&mut self) {
        self.faults = Faults::default();
        self.secondary = Secondary::default();
    }
}

/// What it cost.
impl Hub {
    pub fn counts(&self) -> Counts {
        Counts { in_flight_max: self.pressure.in_flight_max().clone(), ..self.ledger.counts() }
    }

    /// Forgets the counts, not the budgets.
    pub fn reset_counts(&mut self) {
        self.ledger = Ledger::default();
        self.pressure.reset();
    }
}
