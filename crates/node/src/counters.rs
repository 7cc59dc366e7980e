use std::sync::atomic::{AtomicU64, Ordering};

use fleet::Input;

use crate::savings::Families;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What this node has done since its start. Read without a lock, by name.
        #[derive(Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
            /// The same by family, for the operator alone.
            pub families: Families,
        }

        impl Counters {
            /// Name and value of each, in a fixed order.
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get()),)*]
            }
        }
    };
}

counters! {
    /// Cacheable requests of clients.
    requests,
    /// Answered from what this node had been told by the origin.
    local_hits,
    /// Answered from what a peer brought.
    peer_hits,
    /// Answered stale, marked, because the origin could not answer.
    stale,
    /// Cacheable requests that had to go to the origin.
    misses,
    /// Requests that joined another that was on its way.
    collapsed,
    /// Refusals that were told again because another machine had just been told them.
    told_again,
    /// All requests to the API, whatever for.
    origin_requests,
    /// Of these, what GitHub charges: all but a 304 to a credential.
    origin_charged,
    /// Free 304s.
    origin_proofs,
    /// Answers that said: rate limit.
    origin_limits,
    /// Requests that were not made, because the budget was used up or nearly so.
    origin_spared,
    /// ETags that were not as computed by the observed rule.
    etag_mismatches,
    /// Requests without an answer.
    origin_failures,
    /// Of all requests to the API, those for GraphQL.
    graphql_requests,
    /// GraphQL queries that were answered from what was kept.
    graphql_hits,
    /// Writes that were passed on.
    writes,
    /// Answers that could not be kept: the disk failed or was too slow.
    keep_failures,
    /// Records announced to peers, and heard from them.
    entries_sent,
    entries_received,
    /// Times that something was buried on a member's word, and its tombstones over the limit.
    tombstones_buried,
    tombstones_dropped,
    /// Messages from members that made no sense.
    messages_bad,
    /// Notices of limits told to other machines, and heard from them; of these, the stops that a credential
    /// of a client here was found to share.
    limits_sent,
    limits_heard,
    limits_obeyed,
    /// Records and notices whose tag a credential did not confirm.
    forgeries,
    /// Bodies fetched from peers, sent to them, and fetches that failed.
    pulls,
    pulls_served,
    pulls_failed,
    /// All pulls: each brings the answer (`pulls`), fails or is lost, since another was faster or nobody
    /// waits any more. Of them those beside another one that was late, and those that went on where
    /// another one had stopped.
    pulls_started,
    pulls_hedged,
    pulls_lost,
    pulls_resumed,
    /// Bodies fetched for which nobody waited.
    copies,
    /// In shadow mode: requests that would have been answered without asking, those that a free 304
    /// would have answered, and what both would have saved of charged requests.
    shadow_would_hit,
    shadow_would_prove,
    shadow_would_save,
    /// In shadow mode: of the first, those for which the origin had another answer.
    shadow_mismatches,
}

impl Counters {
    /// What the other members are told.
    pub(crate) fn for_the_fleet(&self) -> Input {
        Input::Counted {
            charged: self.origin_charged.get(),
            proofs: self.origin_proofs.get(),
            hits: self.hits_of_all_kinds(),
        }
    }

    /// Answered without asking the origin: also stale, or together with another.
    pub(crate) fn hits_of_all_kinds(&self) -> u64 {
        self.local_hits.get() + self.peer_hits.get() + self.stale.get() + self.collapsed.get()
    }
}

#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn one(&self) {
        self.many(1);
    }

    pub fn many(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }
}
