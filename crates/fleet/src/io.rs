use std::time::Duration;

use crypto::TagKey;
use wire::{
    Announcement, Digest, FamilyId, Holding, KeyId, LeaseEnd, LimitNotice, Message, Millis, Peer, PullRequest, Record,
    ScopeId, Tag, Tombstone, Version,
};

/// Names one question of a local client while the fleet works on it. Chosen by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Input {
    /// A connection stands. `near` is whether its address is of this machine or network.
    PeerConnected {
        peer: Peer,
        near: bool,
    },
    /// The peer listens to announces from now on; what was announced before it missed.
    PeerReady {
        peer: Peer,
    },
    PeerGone {
        peer: Peer,
    },
    RoundTrip {
        peer: Peer,
        millis: u32,
    },
    /// The origin gave or confirmed an answer, it is kept, and it may be shared. The body is handed
    /// along where it is small enough to be pushed. `ask` is the question that it answers: who waits
    /// for its lease is told.
    Filled {
        announcement: Announcement,
        ask: Option<AskId>,
    },
    /// The origin was asked for this question, and nothing came of it that is shared as an answer.
    /// `None`: nobody asks any more.
    Ended {
        ask: AskId,
        end: Option<LeaseEnd>,
    },
    /// What the store held when this node started. Not announced; told to new neighbours.
    Remembered {
        key: KeyId,
        scope: ScopeId,
        holding: Holding,
        body_held: bool,
    },
    /// A member says something, to all or to this node.
    Heard {
        from: Peer,
        message: Message,
    },
    /// A local client asks, and this node has nothing fresh of its own.
    Asked {
        ask: AskId,
        key: KeyId,
        scope: ScopeId,
        /// Checks what the credential "was told"; `None` for an anonymous question.
        tag_key: Option<TagKey>,
        want: Want,
        across: Across,
        /// What this credential was told last, as far as this node knows.
        known: Option<Version>,
        /// Whether to claim the question before the origin is asked, and how long the origin takes. Who
        /// claims says how it ended: [`Input::Filled`] or [`Input::Ended`].
        claim: Option<OriginTime>,
    },
    /// A pull that was asked for has ended. On success the body is verified and kept.
    Pulled {
        ask: AskId,
        from: Peer,
        result: Result<(), PullFailure>,
    },
    /// The first part of a body of more than one segment is here. What others send of it is not taken.
    PullBegan {
        ask: AskId,
        from: Peer,
    },
    /// No part has come for a while; the pull goes on until it is cancelled.
    PullStalled {
        ask: AskId,
        from: Peer,
    },
    /// An [`Effect::Fetch`] has ended. On success the body is verified and kept.
    Fetched {
        from: Peer,
        announcement: Announcement,
        result: Result<(), PullFailure>,
    },
    /// The origin has corrected this offer: what was told to another credential is not what this one is
    /// told.
    Refuted {
        key: KeyId,
        digest: Digest,
    },
    /// The origin said something of a budget that the others should know. The tag is made.
    Limited {
        notice: LimitNotice,
    },
    /// The client has gone.
    Cancelled {
        ask: AskId,
    },
    /// A write was sent or answered: older versions of these are doubtful.
    Invalidated {
        touched: Touched,
        date_secs: u64,
    },
    /// The origin refused this credential, at all (`key` is `None`) or for one key.
    Denied {
        scope: ScopeId,
        key: Option<KeyId>,
        date_secs: u64,
    },
    /// What this node has done since its start: requests to the origin that were charged, free proofs,
    /// and answers that cost nothing.
    Counted {
        charged: u64,
        proofs: u64,
        hits: u64,
    },
    /// This node is about to stop; [`Effect::HandedOver`] says when the fleet does not need it any more.
    Leaving,
    /// What this machine has buried, each with when it heard of that: in earlier runs, or while its
    /// words did not get through.
    Buried {
        tombstones: Vec<(Tombstone, Millis)>,
    },
    /// This machine alone doubts whatever peers told up to then.
    Doubted {
        date_secs: u64,
    },
    /// Of what was to be handed over, these were not sent: too large, or not there any more.
    LeftOut(Vec<(KeyId, ScopeId)>),
    /// The store no longer holds this body.
    BodyLost {
        digest: Digest,
    },
}

/// How long the origin takes to answer such a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OriginTime {
    /// Mostly. More than that spent waiting for another's answer comes out of the peer budget.
    pub usual: Duration,
    /// At most, as a rule: for so long, and the peer budget, it pays to wait for another's answer.
    pub longest: Duration,
}

/// What will do as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Fresh,
    /// A stale answer, too: the origin cannot answer.
    Stale,
    /// None: the client insists that the origin is asked. An offer may still make that free.
    Offer,
}

/// What may be done for this credential with what other credentials were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Across {
    Nothing,
    /// Offer it to the origin, which confirms or corrects it for this credential.
    Offers,
    /// Serve it while it is fresh: the operator trusts all members with everything.
    Trusted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    Families(Vec<FamilyId>),
    Everything,
}

/// Why a pull brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullFailure {
    /// The peer no longer holds it, or the connection broke, or it took too long.
    Unavailable,
    /// The bytes are not what the record says: this peer sent something else.
    Wrong,
    /// The same, but the bytes are of several peers: any of them may have sent something else, or have
    /// packed the body in another way.
    Mixed,
}

/// What a node wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tell all members.
    Publish(Message),
    /// Tell one peer.
    Send { to: Peer, message: Message },
    /// Serve nothing so old of these, and remember that across a restart.
    Bury(Vec<Tombstone>),
    /// Remember this in the store. A body that came along is verified first, and reported as
    /// [`Input::BodyLost`] where it is wrong.
    Keep { from: Peer, announcement: Announcement },
    /// Remove this from the store.
    Forget { key: KeyId, scope: ScopeId },
    /// Fetch a body; answer with [`Input::Pulled`], and before with [`Input::PullBegan`] and
    /// [`Input::PullStalled`]. With `resume`, what another peer sent for this question is gone on with.
    Pull { ask: AskId, from: Peer, request: PullRequest, record: Record, tag: Option<Tag>, resume: bool },
    /// End this pull. What came of it stays until the question is resolved.
    CancelPull { ask: AskId, from: Peer },
    /// Fetch a body for which nobody waits; answer with [`Input::Fetched`].
    Fetch { from: Peer, announcement: Announcement },
    /// The question's answer.
    Resolve { ask: AskId, outcome: Outcome },
    /// A member says this of budgets; who shows the credential can check it.
    Limits { from: Peer, notices: Vec<LimitNotice> },
    /// A record without a valid tag was announced for a credential that was just presented.
    NameForgery { holders: Vec<Peer>, key: KeyId },
    /// A member would bury more than it may: so many of its tombstones do not count. It is named once.
    Excess { peer: Peer, dropped: usize, is_first: bool },
    /// This peer sent wrong bytes: close its connections.
    DropPeer { peer: Peer, why: &'static str },
    /// Send these to one peer, each with its body; say which are too large with [`Input::LeftOut`].
    HandOver { to: Peer, announcements: Vec<Announcement> },
    /// This node may go: what it alone held is held elsewhere, or nobody is there to take it.
    HandedOver,
}

/// What the fleet knows about a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// This credential was told this, and the body is in the store.
    Found { record: Record, tag: Option<Tag> },
    /// Worth asking the origin to confirm; the body is in the store. With `own`, this credential was
    /// told it once; without, another one was, and nobody has checked its tag.
    Offer { record: Record, own: bool },
    /// The same, and it may be served: [`Across::Trusted`].
    Trusted { record: Record },
    /// Ask the origin.
    Nothing,
    /// Another machine has just asked the origin, which is in trouble: its status.
    Failed { status: u16 },
    /// Another machine has just asked with this very credential, and was told this, which is no answer
    /// to keep. The tag was checked.
    Told { told: Box<Announcement> },
}
