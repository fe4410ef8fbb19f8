//! What the teacher sends: one second of lesson, repeated.
//!
//! Frames have the sizes of a real encoder's: they vary around the bitrate's share by a fixed
//! sequence, a keyframe is several times as large, and each is cut into near-equal packets.

/// Largest payload of a packet.
const MAX_PAYLOAD: usize = 1_180;
/// Frames a second.
const FRAME_RATE: u64 = 30;
/// A frame's size in percent of the mean; one period is a second.
const SIZES: [u64; 30] = [
    88, 104, 96, 121, 79, 98, 107, 92, 113, 85, 101, 97, 128, 90, 94, 110, 83, 99, 105, 93, 117,
    87, 102, 95, 124, 81, 100, 106, 91, 109,
];
/// Opus packets: every 20 ms, about 64 kbit/s.
const AUDIO_INTERVAL_US: u64 = 20_000;
const AUDIO_PAYLOAD: usize = 160;
/// Seconds between keyframes, and how many mean frames one weighs.
const KEYFRAME_EVERY: u64 = 10;
const KEYFRAME_WEIGHT: u64 = 6;

/// How a trace is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TraceConfig {
    /// Video bits a second; 0 for none.
    pub video_bps: u64,
    /// Opus beside it.
    pub audio: bool,
    /// A mean frame's packets are spread over this, in microseconds, and others by their size, one
    /// frame after the other, as a browser's pacer does; 0 sends a frame at once.
    pub spread_us: u64,
}

/// One packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// When, after the start, in microseconds.
    pub at_us: u64,
    pub video: bool,
    pub payload: usize,
    /// First and last packet of a frame.
    pub first: bool,
    pub last: bool,
    pub keyframe: bool,
    /// RTP timestamp.
    pub timestamp: u32,
}

/// All packets of one second of the lesson, in order of time.
pub(crate) fn second(config: TraceConfig, second: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    if config.video_bps > 0 {
        let mut free_at = 0;
        for frame in 0..FRAME_RATE {
            free_at = append_frame(&mut steps, config, second, frame, free_at);
        }
    }
    if config.audio {
        steps.extend((0..1_000_000 / AUDIO_INTERVAL_US).map(|i| audio(second, i)));
    }
    steps.sort_by_key(|s| s.at_us);
    steps
}

/// The frame's packets, the first not before `free_at`; returns when the last has left.
fn append_frame(
    steps: &mut Vec<Step>,
    config: TraceConfig,
    second: u64,
    frame: u64,
    free_at: u64,
) -> u64 {
    let keyframe = second.is_multiple_of(KEYFRAME_EVERY) && frame == 0;
    let mean = config.video_bps / 8 / FRAME_RATE;
    let weight = if keyframe {
        KEYFRAME_WEIGHT * 100
    } else {
        SIZES[frame as usize]
    };
    let bytes = (mean * weight / 100).max(60) as usize;
    let packets = bytes.div_ceil(MAX_PAYLOAD);
    let made_at = second * 1_000_000 + frame * 1_000_000 / FRAME_RATE;
    let at_us = made_at.max(free_at);
    let spread_us = config.spread_us * weight / 100;
    let timestamp = ((second * FRAME_RATE + frame) * 90_000 / FRAME_RATE) as u32;
    for i in 0..packets {
        // Near-equal pieces, as encoders cut: some are one byte longer.
        let payload = bytes / packets + usize::from(i < bytes % packets);
        steps.push(Step {
            at_us: at_us + spread_us * i as u64 / packets as u64,
            video: true,
            payload,
            first: i == 0,
            last: i + 1 == packets,
            keyframe,
            timestamp,
        });
    }
    at_us + spread_us
}

fn audio(second: u64, index: u64) -> Step {
    Step {
        at_us: second * 1_000_000 + index * AUDIO_INTERVAL_US,
        video: false,
        payload: AUDIO_PAYLOAD,
        first: true,
        last: true,
        keyframe: false,
        timestamp: ((second * 50 + index) * 960) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_the_bitrate_asked_for() {
        let config = TraceConfig {
            video_bps: 2_000_000,
            audio: true,
            spread_us: 0,
        };
        let bytes: usize = second(config, 1)
            .iter()
            .filter(|s| s.video)
            .map(|s| s.payload)
            .sum();
        let bps = bytes as f64 * 8.0;
        assert!((bps / 2_000_000.0 - 1.0).abs() < 0.02, "{bps} bit/s");
        assert_eq!(second(config, 1).iter().filter(|s| !s.video).count(), 50);
    }

    #[test]
    fn a_paced_keyframe_takes_as_much_longer_as_it_is_larger() {
        let config = TraceConfig {
            video_bps: 2_000_000,
            audio: false,
            spread_us: 10_000,
        };
        let steps = second(config, 0);
        let (keyframe, rest) = steps.split_at(steps.iter().filter(|s| s.keyframe).count());
        let length = keyframe.last().map_or(0, |s| s.at_us);
        assert!((50_000..60_000).contains(&length), "{length} us");
        assert!(rest.iter().all(|s| s.at_us > length));
        assert!(steps.iter().all(|s| s.at_us < 1_000_000));
    }

    #[test]
    fn frames_are_cut_into_near_equal_packets() {
        let config = TraceConfig {
            video_bps: 2_000_000,
            audio: false,
            spread_us: 0,
        };
        for frame in second(config, 1).chunk_by(|a, b| a.timestamp == b.timestamp) {
            let sizes: Vec<usize> = frame.iter().map(|s| s.payload).collect();
            let (least, most) = (sizes.iter().min(), sizes.iter().max());
            assert!(
                most.zip(least).is_some_and(|(m, l)| m - l <= 1),
                "{sizes:?}"
            );
        }
    }
}
