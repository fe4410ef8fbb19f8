//! Which layers of a stream one viewer takes, picture by picture.
//!
//! A change of the wish is followed where the stream allows it:
//!
//! | towards | where |
//! |---|---|
//! | a lower frame rate | at the next picture |
//! | a higher frame rate | at a switching point ([`Layering::reach`]) |
//! | a larger picture | at a key frame; at once if the layer was not there before |
//! | a smaller picture | at the next picture if all below were taken too, else at a key frame |
//!
//! The last line is the difference between full SVC, where every layer builds on the one below, and
//! K-SVC (L3T3_KEY), where after the key frame each builds on itself only: there the layers below are
//! left out, and coming back to one of them takes a key frame.

use super::layers::{Layer, Layering};

/// What becomes of a packet that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The marker bit it goes out with.
    pub marker: bool,
}

/// The layers that one viewer takes of one stream.
#[derive(Clone, Copy, Debug)]
pub struct Selection {
    wanted: Layer,
    taken: Layer,
    /// What was taken before `since`.
    before: Layer,
    /// RTP timestamp of the picture that `taken` holds from.
    since: u32,
    newest: Option<u32>,
    top: u8,
    /// Spatial layers below were left out since the last packet that opened them.
    apart: bool,
    /// Nothing of the spatial layers above was left out since they were opened: one that the sender
    /// adds now has no past that is missing here.
    whole: bool,
}

impl Selection {
    /// For a stream that begins with a key frame, which opens every layer.
    pub fn new(wanted: Layer) -> Self {
        Self {
            wanted,
            taken: Layer::default(),
            before: Layer::default(),
            since: 0,
            newest: None,
            top: 0,
            apart: false,
            whole: true,
        }
    }

    /// Take up to these layers from the next opportunity on.
    pub fn want(&mut self, wanted: Layer) {
        self.wanted = wanted;
    }

    /// What is taken at present.
    pub fn taken(&self) -> Layer {
        self.taken
    }

    /// Whether only a key frame brings the picture size that is wanted and there.
    pub fn waits_for_keyframe(&self) -> bool {
        let reachable = self.wanted.spatial.min(self.top);
        match self.taken.spatial.cmp(&reachable) {
            std::cmp::Ordering::Equal => false,
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => self.apart,
        }
    }

    /// Decide about a packet of the stream, in the order of arrival: `None` leaves it out. A packet of
    /// an earlier picture is judged by what was taken then.
    pub fn handle_packet(
        &mut self,
        layering: Layering,
        marker: bool,
        timestamp: u32,
    ) -> Option<Kept> {
        let since = |then: u32| timestamp.wrapping_sub(then) as i32;
        if self.newest.is_none_or(|newest| since(newest) > 0) {
            self.newest = Some(timestamp);
            self.begin_picture(layering, timestamp);
        }
        let limit = match since(self.since) {
            ..0 => self.before,
            _ => self.taken,
        };
        let kept = layering.is_within(limit) && !self.is_orphaned();
        let lower = layering.layer.spatial < limit.spatial;
        self.apart |= lower && layering.is_alone();
        self.whole &= layering.layer.spatial <= limit.spatial;
        kept.then(|| Kept {
            marker: layering.marker(marker, limit),
        })
    }

    /// What was taken has ended, and what is left builds on frames that were not.
    fn is_orphaned(&self) -> bool {
        self.apart && self.top < self.taken.spatial
    }

    fn begin_picture(&mut self, layering: Layering, timestamp: u32) {
        let before = self.taken;
        self.top = layering.top;
        let possible = Layer {
            spatial: self.wanted.spatial.min(self.top),
            temporal: self.wanted.temporal,
        };
        if layering.layer.spatial == 0 && layering.opens.spatial >= self.top.max(1) {
            (self.apart, self.whole) = (false, true); // a key frame: every layer begins with it
        }
        if !self.apart {
            self.taken.spatial = self.taken.spatial.min(possible.spatial);
        }
        if self.whole {
            self.taken.spatial = self.taken.spatial.max(possible.spatial);
        }
        self.taken.temporal = self.taken.temporal.min(possible.temporal);
        let reach = layering.reach(self.taken);
        self.taken = self.taken.max(reach.min(possible));
        if self.taken != before {
            (self.before, self.since) = (before, timestamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u32 = 3_000;

    fn layer(spatial: u8, temporal: u8) -> Layer {
        Layer { spatial, temporal }
    }

    /// Which spatial layers of a picture refer to the one below.
    #[derive(Clone, Copy, PartialEq)]
    enum Mode {
        Full,
        KeyOnly,
    }

    /// Three spatial layers, temporal ones in the order 0 2 1 2, as L3T3 and L3T3_KEY send them.
    struct Stream {
        mode: Mode,
        layers: u8,
        picture: u32,
    }

    impl Stream {
        fn new(mode: Mode) -> Self {
            let picture = u32::MAX / FRAME - 5; // timestamps wrap soon
            Self {
                mode,
                layers: 3,
                picture,
            }
        }

        /// The packets of the next picture, one per layer: (packet, marker, timestamp).
        fn picture(&mut self, key: bool) -> Vec<(Layering, bool, u32)> {
            let temporal = [0, 2, 1, 2][self.picture as usize % 4];
            let temporal = if key { 0 } else { temporal };
            let timestamp = self.picture.wrapping_mul(FRAME);
            self.picture += if key { 4 - self.picture % 4 + 1 } else { 1 };
            let (layers, mode) = (self.layers, self.mode);
            let one = move |spatial| {
                let opens = match (key, temporal) {
                    (true, _) if spatial == 0 => Layer::HIGHEST,
                    (_, 0) => layer(spatial, 7),
                    _ => layer(spatial, temporal),
                };
                let layering = Layering::new(layer(spatial, temporal))
                    .opening(opens)
                    .alone_if(mode == Mode::KeyOnly && !key || spatial + 1 == layers)
                    .bordering(true, true)
                    .below(layers - 1);
                (layering, spatial + 1 == layers, timestamp)
            };
            (0..layers).map(one).collect()
        }
    }

    /// The spatial layers that are kept of the next picture; its last one has the marker, no other.
    fn taken(selection: &mut Selection, stream: &mut Stream, key: bool) -> Vec<u8> {
        let kept: Vec<_> = stream
            .picture(key)
            .into_iter()
            .filter_map(|(layering, marker, timestamp)| {
                let kept = selection.handle_packet(layering, marker, timestamp)?;
                Some((layering.layer.spatial, kept.marker))
            })
            .collect();
        if let Some(((_, last), others)) = kept.split_last() {
            assert!(
                *last && others.iter().all(|(_, marker)| !marker),
                "{kept:?}"
            );
        }
        kept.into_iter().map(|(spatial, _)| spatial).collect()
    }

    fn started(mode: Mode, wanted: Layer) -> (Selection, Stream) {
        let (mut selection, mut stream) = (Selection::new(wanted), Stream::new(mode));
        let all: Vec<u8> = (0..=wanted.spatial).collect();
        assert_eq!(taken(&mut selection, &mut stream, true), all);
        (selection, stream)
    }

    #[test]
    fn full_svc_is_thinned_at_once_and_thickened_at_a_key_frame() {
        let (mut selection, mut stream) = started(Mode::Full, layer(2, 2));
        assert_eq!(taken(&mut selection, &mut stream, false), [0, 1, 2]);
        selection.want(layer(1, 2));
        assert!(!selection.waits_for_keyframe());
        assert_eq!(taken(&mut selection, &mut stream, false), [0, 1]);
        selection.want(layer(2, 2));
        assert!(selection.waits_for_keyframe());
        for _ in 0..8 {
            assert_eq!(taken(&mut selection, &mut stream, false), [0, 1]);
        }
        assert_eq!(taken(&mut selection, &mut stream, true), [0, 1, 2]);
        assert!(!selection.waits_for_keyframe());
    }

    #[test]
    fn k_svc_sends_one_layer_and_changes_it_at_key_frames_only() {
        let (mut selection, mut stream) = started(Mode::KeyOnly, layer(2, 2));
        assert_eq!(taken(&mut selection, &mut stream, false), [2]);
        selection.want(layer(0, 2));
        assert!(selection.waits_for_keyframe());
        assert_eq!(taken(&mut selection, &mut stream, false), [2]);
        assert_eq!(taken(&mut selection, &mut stream, true), [0]);
        assert!(!selection.waits_for_keyframe());
        assert_eq!(taken(&mut selection, &mut stream, false), [0]);
        selection.want(layer(1, 2));
        assert_eq!(taken(&mut selection, &mut stream, false), [0]);
        assert_eq!(taken(&mut selection, &mut stream, true), [0, 1]);
        assert_eq!(taken(&mut selection, &mut stream, false), [1]);
    }

    #[test]
    fn a_layer_that_ends_is_left_at_once_or_waits_for_a_key_frame() {
        let (mut full, mut stream) = started(Mode::Full, layer(2, 2));
        stream.layers = 2;
        assert_eq!(taken(&mut full, &mut stream, false), [0, 1]);
        assert!(!full.waits_for_keyframe());

        let (mut key_only, mut stream) = started(Mode::KeyOnly, layer(2, 2));
        taken(&mut key_only, &mut stream, false);
        stream.layers = 2;
        assert_eq!(taken(&mut key_only, &mut stream, false), [0; 0]);
        assert!(key_only.waits_for_keyframe());
        assert_eq!(taken(&mut key_only, &mut stream, true), [0, 1]);
        assert!(!key_only.waits_for_keyframe());
    }

    #[test]
    fn a_layer_that_is_added_is_taken_at_once_by_who_took_all_there_was() {
        let (mut all, mut stream) = started(Mode::Full, layer(2, 2));
        stream.layers = 1;
        assert_eq!(taken(&mut all, &mut stream, false), [0]);
        stream.layers = 3;
        assert_eq!(taken(&mut all, &mut stream, false), [0, 1, 2]);

        all.want(layer(1, 2));
        assert_eq!(taken(&mut all, &mut stream, false), [0, 1]);
        stream.layers = 2;
        assert_eq!(taken(&mut all, &mut stream, false), [0, 1]);
        (stream.layers, all.wanted) = (3, layer(2, 2));
        assert_eq!(taken(&mut all, &mut stream, false), [0, 1]); // it may build on what was left out
        assert!(all.waits_for_keyframe());
    }

    #[test]
    fn the_frame_rate_falls_at_once_and_rises_at_a_switching_point() {
        let (mut selection, mut stream) = started(Mode::Full, layer(0, 2));
        let mut rates = |selection: &mut Selection, count| -> Vec<bool> {
            let each = (0..count).map(|_| !taken(selection, &mut stream, false).is_empty());
            each.collect()
        };
        assert_eq!(rates(&mut selection, 7), [true; 7]);
        selection.want(layer(0, 0)); // the next picture is of T0
        let thin = [true, false, false, false, true, false];
        assert_eq!(rates(&mut selection, 6), thin);
        selection.want(layer(0, 2)); // T1, T2, then T0, which opens
        assert!(!selection.waits_for_keyframe());
        assert_eq!(rates(&mut selection, 5), [false, false, true, true, true]);
    }

    #[test]
    fn a_vp8_viewer_goes_up_one_layer_at_a_time_where_a_frame_joins() {
        let frame = |temporal, joins| {
            Layering::new(layer(0, temporal))
                .joining_if(joins)
                .bordering(true, true)
        };
        let key = frame(0, false).opening(Layer::HIGHEST);
        let mut selection = Selection::new(layer(0, 0));
        let mut keeps = |layering, wanted, timestamp| {
            selection.want(layer(0, wanted));
            selection.handle_packet(layering, true, timestamp).is_some()
        };
        assert!(keeps(key, 0, 0));
        assert!(!keeps(frame(2, true), 2, 1)); // T1 may still build on its past
        assert!(!keeps(frame(1, false), 2, 2));
        assert!(!keeps(frame(2, false), 2, 3));
        assert!(keeps(frame(0, false), 2, 4));
        assert!(!keeps(frame(2, true), 2, 5));
        assert!(keeps(frame(1, true), 2, 6));
        assert!(!keeps(frame(2, false), 2, 7));
        assert!(keeps(frame(2, true), 2, 8));
    }

    #[test]
    fn late_packets_are_judged_by_what_was_taken_then() {
        let (mut selection, mut stream) = started(Mode::Full, layer(1, 2));
        let late = stream.picture(false);
        taken(&mut selection, &mut stream, false);
        selection.want(layer(0, 0));
        while !taken(&mut selection, &mut stream, false).is_empty() {}
        let (upper, marker, timestamp) = late[1];
        assert_eq!(upper.layer, layer(1, 2));
        let kept = selection.handle_packet(upper, marker, timestamp);
        assert_eq!(kept, Some(Kept { marker: true }));
        let (top, marker, timestamp) = late[2];
        assert_eq!(selection.handle_packet(top, marker, timestamp), None);
    }

    #[test]
    fn a_stream_without_layers_passes_whatever_is_wanted() {
        let mut selection = Selection::new(Layer::HIGHEST);
        for timestamp in 0..50 {
            let packet = Layering::default();
            let kept = selection.handle_packet(packet, true, timestamp);
            assert_eq!(kept, Some(Kept { marker: true }));
            assert!(!selection.waits_for_keyframe());
        }
    }
}
