//! What each SSRC of a peer is: a stream of one of its tracks, or loose.
//!
//! Loose are those of tracks that were removed, and those that no track claims (yet). What is known
//! of them must outlive the track: packets on their way must not be taken for another's, and a
//! section that is used again goes on under the SSRC it had, without naming itself once more.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::track::UptrackConfig;

/// Streams one peer may have: three simulcast layers and their RTX for a dozen tracks.
const MAX_STREAMS: usize = 64;
/// Loose SSRCs remembered, the newest; together with the streams fewer than
/// [`crate::crypto::MAX_STREAMS`].
const MAX_LOOSE: usize = 32;

/// What an SSRC of the peer is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    pub(super) uptrack: usize,
    pub(super) layer: usize,
    pub(super) repair: bool,
}

/// What an SSRC was of a track that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Former {
    pub(super) mid: String,
    pub(super) rid: Option<String>,
}

/// An SSRC without a track.
#[derive(Debug)]
struct Loose {
    ssrc: u32,
    was: Option<Former>,
}

/// The SSRCs of one peer.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    bound: FxHashMap<u32, Binding>,
    /// The one heard of last is the last.
    loose: VecDeque<Loose>,
}

impl Bindings {
    /// The stream that an SSRC is.
    #[inline]
    pub(super) fn get(&self, ssrc: u32) -> Option<Binding> {
        self.bound.get(&ssrc).copied()
    }

    /// What an SSRC was of a track that was removed.
    pub(super) fn former(&self, ssrc: u32) -> Option<&Former> {
        self.loose.iter().find(|l| l.ssrc == ssrc)?.was.as_ref()
    }

    /// Whether there is no room for one more stream.
    pub(super) fn is_full(&self) -> bool {
        self.bound.len() >= MAX_STREAMS
    }

    /// From now on the SSRC is this stream.
    pub(super) fn bind(&mut self, ssrc: u32, binding: Binding) {
        self.loose.retain(|l| l.ssrc != ssrc);
        self.bound.insert(ssrc, binding);
    }

    /// The SSRC was heard; if it is no stream's it is remembered, and another may be forgotten for
    /// it: that one is returned.
    pub(super) fn note(&mut self, ssrc: u32) -> Option<u32> {
        if self.bound.contains_key(&ssrc) {
            return None;
        }
        let known = self.loose.iter().position(|l| l.ssrc == ssrc);
        let known = known.and_then(|index| self.loose.remove(index));
        self.remember(known.unwrap_or(Loose { ssrc, was: None }))
    }

    /// A track is gone, and the track `moved` has its index now. Returns the SSRCs that are
    /// forgotten for those that became loose.
    pub(super) fn remove_track(
        &mut self,
        index: usize,
        moved: usize,
        config: &UptrackConfig,
    ) -> Vec<u32> {
        let mut loose = Vec::new();
        self.bound.retain(|&ssrc, binding| {
            if binding.uptrack == index {
                loose.push((ssrc, binding.layer));
                return false;
            }
            if binding.uptrack == moved {
                binding.uptrack = index;
            }
            true
        });
        let forgotten = loose.into_iter().filter_map(|(ssrc, layer)| {
            let was = Former {
                mid: config.mid.clone(),
                rid: config.rids.get(layer).cloned(),
            };
            self.remember(Loose {
                ssrc,
                was: Some(was),
            })
        });
        forgotten.collect()
    }

    fn remember(&mut self, loose: Loose) -> Option<u32> {
        self.loose.push_back(loose);
        let excess = self.loose.len() > MAX_LOOSE;
        let oldest = excess.then(|| self.loose.pop_front()).flatten();
        oldest.map(|l| l.ssrc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::packet::extension::ExtensionMap;

    fn config(mid: &str) -> UptrackConfig {
        UptrackConfig {
            mid: mid.into(),
            codec: Codec::Vp8,
            payload_type: 96,
            rtx_payload_type: None,
            clock_rate: 90_000,
            nack: true,
            extensions: ExtensionMap::default(),
            rids: vec!["q".into(), "f".into()],
            ssrcs: Vec::new(),
        }
    }

    fn binding(uptrack: usize, layer: usize) -> Binding {
        Binding {
            uptrack,
            layer,
            repair: false,
        }
    }

    #[test]
    fn the_track_that_moves_keeps_its_streams() {
        let mut bindings = Bindings::default();
        bindings.bind(10, binding(0, 1));
        bindings.bind(20, binding(1, 0));
        bindings.bind(30, binding(2, 0));
        assert!(bindings.remove_track(0, 2, &config("a")).is_empty());
        assert!(bindings.get(10).is_none());
        assert_eq!(bindings.get(20).map(|b| b.uptrack), Some(1));
        assert_eq!(bindings.get(30).map(|b| b.uptrack), Some(0));
        let was = bindings.former(10).expect("remembered");
        assert_eq!((was.mid.as_str(), was.rid.as_deref()), ("a", Some("f")));
        bindings.bind(10, binding(3, 0));
        assert_eq!(bindings.former(10), None);
    }

    #[test]
    fn what_is_loose_is_bounded_and_who_still_speaks_is_kept() {
        let mut bindings = Bindings::default();
        bindings.bind(7, binding(0, 0));
        assert_eq!(bindings.note(7), None, "it is a stream");
        let mut forgotten = Vec::new();
        for ssrc in 100..100 + 2 * MAX_LOOSE as u32 {
            forgotten.extend(bindings.note(ssrc));
            forgotten.extend(bindings.note(100));
        }
        let all_but_the_first: Vec<u32> = (101..).take(MAX_LOOSE).collect();
        assert_eq!(forgotten, all_but_the_first);
        assert_eq!(bindings.loose.len(), MAX_LOOSE);
    }
}
