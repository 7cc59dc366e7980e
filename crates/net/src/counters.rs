use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::Refusal;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What has happened since the start. Only ever grows.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
            /// Dials that failed, by [`Refusal::label`].
            pub dial_failures: BTreeMap<&'static str, u64>,
            /// Inbound connections that did not get in, by [`Refusal::label`].
            pub refusals: BTreeMap<&'static str, u64>,
        }

        #[derive(Default)]
        pub(crate) struct Meters {
            $(pub(crate) $name: Meter,)*
            dial_failures: Mutex<BTreeMap<&'static str, u64>>,
            refusals: Mutex<BTreeMap<&'static str, u64>>,
        }

        impl Meters {
            pub(crate) fn read(&self) -> Counters {
                Counters {
                    $($name: self.$name.0.load(Ordering::Relaxed),)*
                    dial_failures: self.dial_failures.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                    refusals: self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                }
            }
        }
    };
}

counters! {
    /// First connections of a member.
    connects,
    /// Members whose last connection ended.
    disconnects,
    /// Dials that were begun.
    dials,
    /// Direct connections that were got by dialling at the same moment, from both sides of a NAT.
    punches_succeeded,
    /// Attempts at one that were given up while there was only a circuit.
    punches_failed,
    /// Peers behind a circuit that were dialled back at their own addresses.
    dial_backs,
    /// Reservations that others hold, or held, with us.
    reservations_served,
    /// Circuits of others that ran through us.
    circuits_served,
    /// Reservations and circuits that we refused.
    relay_refusals,
    /// Connections closed because a better one to the same peer stood.
    duplicates_closed,
    /// Gossip handed to the network.
    gossip_published,
    /// Of it, messages that reached no peer at once. Nothing is wrong: catching up covers them.
    gossip_unheard,
    /// Of it, messages that were refused for their size.
    gossip_too_large,
    gossip_received,
    /// Gossip dropped because the node did not keep up. Never forwarded either.
    gossip_dropped,
    gossip_bytes_in,
    gossip_bytes_out,
    messages_sent,
    messages_received,
    /// Messages not sent: no connection, or a full queue.
    messages_dropped,
    message_bytes_in,
    message_bytes_out,
    pulls_asked,
    pulls_served,
    pull_bytes_in,
    pull_bytes_out,
    /// Inbound streams over the limit, or whose request was late or broken.
    streams_refused,
    /// Commands that found the queue full.
    commands_dropped,
    /// Events (of refusals and round trips) that found the queue full.
    events_dropped,
}

#[derive(Default)]
pub(crate) struct Meter(AtomicU64);

impl Meter {
    pub(crate) fn one(&self) {
        self.many(1);
    }

    pub(crate) fn many(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl Meters {
    pub(crate) fn dial_failed(&self, why: &Refusal) {
        count(&self.dial_failures, why);
    }

    pub(crate) fn refused(&self, why: &Refusal) {
        count(&self.refusals, why);
    }
}

fn count(by_label: &Mutex<BTreeMap<&'static str, u64>>, why: &Refusal) {
    *by_label.lock().unwrap_or_else(PoisonError::into_inner).entry(why.label()).or_default() += 1;
}
