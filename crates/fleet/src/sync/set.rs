use std::collections::BTreeMap;

use negentropy::{Id, Negentropy, NegentropyStorageVector};
use wire::{Millis, Place};

use super::Element;
use crate::index::{At, Index};

const NEGENTROPY_VERSION: u8 = 0x61;

/// What a node knows that is of use beyond a cutoff, ready to be compared with another's.
///
/// The elements are ordered by when they were validated: what is missing is mostly recent, and only
/// differences that lie together are cheap. An element never changes; a later validation of the same
/// (key, scope) is another one.
pub struct Set {
    engine: Negentropy<'static, NegentropyStorageVector>,
    places: Vec<(Place, At)>,
}

/// What a comparison has found, as elements' ids.
#[derive(Default)]
pub struct Difference {
    /// Known here, and not there.
    here: Vec<Id>,
    there: Vec<Id>,
}

/// What to do about a difference. Of two records of one (key, scope), only the newer one moves.
#[derive(Default)]
pub struct Todo {
    pub tell: Vec<At>,
    /// The one validated last comes first.
    pub want: Vec<Place>,
}

impl Difference {
    pub fn is_empty(&self) -> bool {
        self.here.is_empty() && self.there.is_empty()
    }
}

impl Set {
    /// Takes time in proportion to the index: 50,000 entries some 80 ms (`sync-cost` measures it).
    pub fn new(index: &Index, cutoff: Millis) -> Self {
        let mut elements = NegentropyStorageVector::with_capacity(index.len());
        let mut places = Vec::with_capacity(index.len());
        for (at, candidate) in index.newest() {
            if candidate.record.stale_until > cutoff {
                let Element(id) = candidate.element;
                let id_in_set = Id::from_byte_array(id);
                elements.insert(candidate.record.validated_at.as_secs(), id_in_set).expect("it is not sealed yet");
                places.push((candidate.element.place(), at));
            }
        }
        places.sort_unstable();
        elements.seal().expect("it is sealed once");
        let frame_bytes_max = wire::limits::SYNC_FRAME_BYTES_MAX as u64;
        let engine = Negentropy::owned(elements, frame_bytes_max).expect("the limit is over 4 KiB");
        Self { engine, places }
    }

    pub fn entries(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    /// The first frame, of who begins.
    pub fn first_frame(&mut self) -> Vec<u8> {
        self.engine.initiate().expect("a set begins once")
    }

    /// The answer to a frame of who began; `None` if it makes no sense.
    pub fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        // To another version the engine answers with its own, which looks like "all is the same".
        self.engine.reconcile(frame).ok().filter(|_| frame.first() == Some(&NEGENTROPY_VERSION))
    }

    /// Reads an answer. Returns the next frame, or `Some(None)` at the end; `None` if it makes no sense.
    pub fn read(&mut self, frame: &[u8], found: &mut Difference) -> Option<Option<Vec<u8>>> {
        self.engine.reconcile_with_ids(frame, &mut found.here, &mut found.there).ok()
    }

    pub fn at(&self, place: Place) -> impl Iterator<Item = At> {
        let first = self.places.partition_point(|(other, _)| *other < place);
        self.places[first..].iter().take_while(move |(other, _)| *other == place).map(|(_, at)| *at)
    }

    pub fn settle(&self, found: &Difference) -> Todo {
        let dates = |ids: &[Id]| {
            let elements = ids.iter().map(|id| Element(id.to_bytes()));
            elements.map(|element| (element.place(), element.date())).collect::<BTreeMap<_, _>>()
        };
        let (here, there) = (dates(&found.here), dates(&found.there));
        let newer = |ids: &[Id], others: &BTreeMap<Place, [u8; 6]>| {
            let is_newer = |e: &Element| others.get(&e.place()).is_none_or(|other| *other <= e.date());
            let elements = ids.iter().rev().map(|id| Element(id.to_bytes()));
            elements.filter(is_newer).map(Element::place).collect::<Vec<_>>()
        };
        let tell = newer(&found.here, &there).into_iter().flat_map(|place| self.at(place)).collect();
        Todo { tell, want: newer(&found.there, &here) }
    }
}
