//! Whether somebody speaks, by the level that each packet of sound tells (RFC 6464).
//!
//! Levels are smoothed: quickly upwards, for a speaker should be seen with the first word, slowly
//! downwards, for there are pauses between words. Who speaks must become clearly quieter, and stay
//! so, to have ended.

use crate::clock::{MILLISECOND, Micros};

/// The low seven bits: -dBov. The bit above tells of voice, which not all senders know.
const LEVEL: u8 = 0x7f;
/// Nothing is to be heard.
const SILENCE: f32 = 127.0;
/// Louder than this (-dBov) is speech; quieter than that is none.
const BEGINS: f32 = 40.0;
const ENDS: f32 = 46.0;
/// Within this a level that stays has become the smoothed one, but for a third.
const RISE: Micros = 60 * MILLISECOND;
const FALL: Micros = 250 * MILLISECOND;
/// A speaker ends with a pause of this length.
const PAUSE: Micros = 500 * MILLISECOND;
/// No packet for so long is silence: whoever sends none (DTX, a muted microphone) is not heard.
const GAP: Micros = 400 * MILLISECOND;
/// A speaker is told of this often.
const INTERVAL: Micros = 300 * MILLISECOND;

/// What is told of a track of sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speech {
    /// Amplitude, 0 to 1.
    pub level: f32,
    /// Whether somebody speaks.
    pub active: bool,
}

/// Follows the levels of one track.
#[derive(Debug)]
pub struct SpeechMeter {
    /// -dBov.
    smoothed: f32,
    heard: Option<Micros>,
    /// When it was loud enough last, while somebody speaks.
    speaking: Option<Micros>,
    /// When it was told last that somebody speaks, until it was told that it has ended.
    told: Option<Micros>,
}

impl Default for SpeechMeter {
    fn default() -> Self {
        Self {
            smoothed: SILENCE,
            heard: None,
            speaking: None,
            told: None,
        }
    }
}

impl SpeechMeter {
    /// A packet told its level.
    pub fn handle_level(&mut self, level: u8, now: Micros) {
        let level = f32::from(level & LEVEL);
        let elapsed = now.saturating_sub(self.heard.replace(now).unwrap_or(0));
        if elapsed >= GAP {
            self.smoothed = SILENCE;
        }
        let time = if level < self.smoothed { RISE } else { FALL };
        let elapsed = elapsed.min(RISE) as f32;
        self.smoothed += (level - self.smoothed) * elapsed / (elapsed + time as f32);
        let least = if self.speaking.is_some() {
            ENDS
        } else {
            BEGINS
        };
        if self.smoothed < least {
            self.speaking = Some(now);
        }
    }

    /// What is news; to be asked every few milliseconds.
    pub fn poll(&mut self, now: Micros) -> Option<Speech> {
        let loud = self.speaking?;
        if now >= loud + PAUSE {
            self.speaking = None;
            let ended = Speech {
                level: 0.0,
                active: false,
            };
            return self.told.take().map(|_| ended);
        }
        if self.told.is_some_and(|told| now < told + INTERVAL) {
            return None;
        }
        self.told = Some(now);
        Some(Speech {
            level: 10f32.powf(-self.smoothed / 20.0),
            active: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    const PACKET: Micros = 20 * MILLISECOND;

    /// Packets of these levels, looked at every 10 ms; what was told, and when.
    fn feed(meter: &mut SpeechMeter, from: Micros, levels: &[Option<u8>]) -> Vec<(Micros, Speech)> {
        let mut told = Vec::new();
        for (packet, level) in (0..).zip(levels) {
            let now = from + packet * PACKET;
            level.iter().for_each(|l| meter.handle_level(*l, now));
            for now in [now, now + PACKET / 2] {
                told.extend(meter.poll(now).map(|speech| (now, speech)));
            }
        }
        told
    }

    #[test]
    fn a_word_is_told_at_once_and_its_end_once() {
        let mut meter = SpeechMeter::default();
        let mut levels = vec![Some(25 | 0x80); 100];
        levels.extend([Some(90); 200]);
        let told = feed(&mut meter, SECOND, &levels);
        assert!(told[0].0 - SECOND <= 300 * MILLISECOND, "{:?}", told[0]);
        type Told = Vec<(Micros, Speech)>;
        let (ended, spoke): (Told, Told) = told.iter().partition(|(_, s)| !s.active);
        assert_eq!(ended.len(), 1);
        assert!(spoke.len() <= 11, "{} in 3 s at most", spoke.len());
        let apart = spoke.windows(2).map(|w| w[1].0 - w[0].0);
        assert!(apart.into_iter().all(|a| a >= INTERVAL));
        let end = ended[0].0 - SECOND - 2 * SECOND;
        assert!(
            (400 * MILLISECOND..1_200 * MILLISECOND).contains(&end),
            "{end} us"
        );
        let level = spoke[5].1.level;
        assert!((level - 10f32.powf(-25.0 / 20.0)).abs() < 0.01, "{level}");
    }

    #[test]
    fn pauses_between_words_do_not_end_it_and_a_knock_does_not_begin_it() {
        let mut meter = SpeechMeter::default();
        let mut levels = Vec::new();
        for _ in 0..10 {
            levels.extend([Some(30); 20]);
            levels.extend([Some(70); 12]);
        }
        let told = feed(&mut meter, SECOND, &levels);
        assert!(told.iter().all(|(_, s)| s.active));
        let mut meter = SpeechMeter::default();
        let mut levels = vec![Some(80); 200];
        for level in levels.iter_mut().step_by(50) {
            *level = Some(20);
        }
        assert_eq!(feed(&mut meter, SECOND, &levels), []);
    }

    #[test]
    fn noise_at_the_threshold_does_not_flicker() {
        let mut meter = SpeechMeter::default();
        let noise = (0..1_000).map(|i| Some(38 + (i * 7 % 8) as u8));
        let levels: Vec<_> = std::iter::repeat_n(Some(30), 50).chain(noise).collect();
        let told = feed(&mut meter, SECOND, &levels);
        assert!(told.len() > 60 && told.iter().all(|(_, s)| s.active));
    }

    #[test]
    fn who_falls_silent_without_a_packet_has_ended() {
        let mut meter = SpeechMeter::default();
        let mut levels = vec![Some(20); 50];
        levels.extend([None; 100]);
        let told = feed(&mut meter, SECOND, &levels);
        let ends: Vec<_> = told.iter().filter(|(_, s)| !s.active).collect();
        assert_eq!(ends.len(), 1);
        assert_eq!(told.last().map(|t| t.1.active), Some(false));
        // What was loud before does not make the first quiet packet loud.
        assert_eq!(feed(&mut meter, 60 * SECOND, &[Some(60); 3]), []);
    }
}
