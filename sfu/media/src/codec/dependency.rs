//! The dependency descriptor (AV1 RTP specification 1.0, appendix A): which layer a frame is of, and
//! who needs it, told beside the payload, whatever the codec.
//!
//! The first frame of a coded video sequence carries a structure: up to 64 templates, each a layer and
//! what a frame of it means to each decode target. Every packet names a template. A `Structure`
//! keeps, per template, only what forwarding asks for; it is replaced whole or not at all.
//!
//! Descriptors are forwarded as they came, but for the frame number where a viewer changes to another
//! stream. The mask of active decode targets (A.8.2) is left alone where layers are left out for one
//! viewer: it says what the sender makes, tells a receiver nothing that frames refer to, and browsers
//! show the lower layers all the same, seen with AV1 in L3T3 and L3T3_KEY. What they do need is the
//! marker at the end of what is left ([`Layering::marker`]).

use super::bits::Bits;
use super::layers::{Layer, Layering};

/// Limits of the format: ids of templates have 6 bits, the count of decode targets 5, and spatial
/// layers are those of AV1 (appendix A.8.3, A.8.4).
const MAX_TEMPLATES: usize = 64;
const MAX_DECODE_TARGETS: usize = 32;
const MAX_SPATIAL: u8 = 3;
const MAX_TEMPORAL: u8 = 7;

/// Octets of the fields that every descriptor has (A.8.2).
const MANDATORY_LEN: usize = 3;

/// What a frame means to each decode target, 2 bits each, the first target lowest (table A.1).
type Indications = u64;
const NOT_PRESENT: u64 = 0;
const SWITCH: u64 = 2;

fn indication(indications: Indications, target: usize) -> u64 {
    indications >> (2 * target) & 3
}

/// One descriptor as far as forwarding asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Number of the frame in its stream, modulo 2^16.
    pub frame_number: u16,
    /// Layer, borders and switching points of the packet.
    pub layering: Layering,
    /// A structure came with it: a coded video sequence begins, or its layers change.
    pub structure: bool,
}

/// Reads the descriptors of one stream; memory is constant.
///
/// The structure before the last is kept, for packets that arrive late: senders give each structure
/// other template ids than the one before it (A.4).
#[derive(Debug, Default)]
pub struct DependencyReader {
    current: Option<Structure>,
    previous: Option<Structure>,
}

impl DependencyReader {
    /// Takes the extension of the next packet. `None` when it breaks the format, or names a template
    /// that no structure has told of: its layer is unknown.
    pub fn handle_descriptor(&mut self, descriptor: &[u8]) -> Option<Descriptor> {
        let mut bits = Bits::new(descriptor);
        let [begins, ends] = [bits.flag()?, bits.flag()?];
        let template = bits.bits(6)?;
        let frame_number = bits.bits(16)?;
        let extended = match descriptor.len() > MANDATORY_LEN {
            true => Extended::read(&mut bits)?,
            false => Extended::default(),
        };
        let mut fresh = false;
        if extended.structure {
            fresh = self.handle_structure(Structure::read(&mut bits)?);
        }
        let (structure, newest) = self.structure_of(template)?;
        if extended.active {
            let active = bits.bits(structure.targets.len as u32)?;
            // Of a late packet it would be old news.
            if newest {
                structure.activate(active);
            }
        }
        let index = structure.index(template)?;
        let mut seen = *structure.templates.items().get(index)?;
        if extended.custom_indications {
            let indications = read_indications(&mut bits, structure.targets.len)?;
            seen = structure.template(seen.layer, indications);
        }
        Some(Descriptor {
            frame_number: frame_number as u16,
            layering: Layering::new(seen.layer)
                .opening(seen.opens)
                .alone_if(seen.alone)
                .bordering(begins, ends)
                .below(structure.top),
            structure: fresh,
        })
    }

    /// Keeps a structure; false if it only repeats the newest.
    fn handle_structure(&mut self, structure: Structure) -> bool {
        let repeats = |current: &Structure| current.is_same(&structure);
        let repeated = self.current.as_ref().is_some_and(repeats);
        // Also a repeated one counts anew: every target is active (A.8.2).
        let before = self.current.replace(structure);
        if !repeated {
            self.previous = before;
        }
        !repeated
    }

    /// The structure that has a template of this id, and whether it is the newest.
    fn structure_of(&mut self, template: u32) -> Option<(&mut Structure, bool)> {
        let has = |structure: &Structure| structure.index(template).is_some();
        match (&mut self.current, &mut self.previous) {
            (Some(current), _) if has(current) => Some((current, true)),
            (_, Some(previous)) if has(previous) => Some((previous, false)),
            _ => None,
        }
    }
}

/// The flags behind the mandatory fields (A.8.2).
#[derive(Default)]
struct Extended {
    structure: bool,
    active: bool,
    custom_indications: bool,
}

impl Extended {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let read = Self {
            structure: bits.flag()?,
            active: bits.flag()?,
            custom_indications: bits.flag()?,
        };
        // Own frame differences and own chain differences lie behind all that is read here.
        bits.skip(2)?;
        Some(read)
    }
}

/// What a template says of its frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Template {
    layer: Layer,
    /// The highest layers that can be decoded from such a frame on.
    opens: Layer,
    /// No decode target of a higher spatial layer needs it.
    alone: bool,
}

/// The layers of a coded video sequence (A.8.3).
#[derive(Clone, Copy, Debug)]
struct Structure {
    offset: u32,
    templates: Bounded<Template, MAX_TEMPLATES>,
    /// The layer that each decode target shows: the highest of its templates (A.8.3,
    /// `decode_target_layers`).
    targets: Bounded<Layer, MAX_DECODE_TARGETS>,
    /// The highest spatial layer that is being sent.
    top: u8,
}

/// The first `len` of an array.
#[derive(Clone, Copy, Debug)]
struct Bounded<T, const N: usize> {
    array: [T; N],
    len: usize,
}

impl<T: Copy + Default, const N: usize> Bounded<T, N> {
    fn new() -> Self {
        Self {
            array: [T::default(); N],
            len: 0,
        }
    }

    /// `None` when it is full.
    fn push(&mut self, item: T) -> Option<()> {
        *self.array.get_mut(self.len)? = item;
        self.len += 1;
        Some(())
    }

    fn items(&self) -> &[T] {
        &self.array[..self.len]
    }
}

impl Structure {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let offset = bits.bits(6)?;
        let targets = bits.bits(5)? as usize + 1;
        let layers = read_layers(bits)?;
        let mut indications = [0; MAX_TEMPLATES];
        for indications in &mut indications[..layers.len] {
            *indications = read_indications(bits, targets)?;
        }
        skip_frame_differences(bits, layers.len)?;
        skip_chains(bits, layers.len, targets as u32)?;
        skip_resolutions(bits, layers.items())?;
        Self::new(offset, layers.items(), &indications, targets)
    }

    fn new(
        offset: u32,
        layers: &[Layer],
        indications: &[Indications],
        targets: usize,
    ) -> Option<Self> {
        let mut structure = Self {
            offset,
            templates: Bounded::new(),
            targets: Bounded::new(),
            top: 0,
        };
        for target in 0..targets {
            let shown = layers
                .iter()
                .zip(indications)
                .filter(|(_, indications)| indication(**indications, target) != NOT_PRESENT)
                .fold(Layer::default(), |shown, (layer, _)| shown.max(*layer));
            structure.targets.push(shown)?;
        }
        for (&layer, &indications) in layers.iter().zip(indications) {
            let template = structure.template(layer, indications);
            structure.templates.push(template)?;
        }
        structure.activate(u32::MAX);
        Some(structure)
    }

    /// What these indications say of a frame of this layer.
    fn template(&self, layer: Layer, indications: Indications) -> Template {
        let mut template = Template {
            layer,
            opens: layer,
            alone: true,
        };
        for (index, target) in self.targets.items().iter().enumerate() {
            let indication = indication(indications, index);
            template.alone &= indication == NOT_PRESENT || target.spatial <= layer.spatial;
            if indication != SWITCH {
                continue;
            }
            if target.spatial == layer.spatial {
                template.opens.temporal = template.opens.temporal.max(target.temporal);
            }
            if target.temporal >= layer.temporal {
                template.opens.spatial = template.opens.spatial.max(target.spatial);
            }
        }
        template
    }

    /// These decode targets can be decoded, the first of them lowest.
    fn activate(&mut self, mask: u32) {
        let targets = self.targets.items().iter().enumerate();
        self.top = targets
            .filter(|(index, _)| mask >> index & 1 == 1)
            .map(|(_, target)| target.spatial)
            .fold(0, u8::max);
    }

    fn index(&self, template: u32) -> Option<usize> {
        let index = (template + MAX_TEMPLATES as u32 - self.offset) as usize % MAX_TEMPLATES;
        (index < self.templates.len).then_some(index)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.offset == other.offset
            && self.templates.items() == other.templates.items()
            && self.targets.items() == other.targets.items()
    }
}

/// `template_layers` (A.8.3): each template is of the layer before, or of the next.
fn read_layers(bits: &mut Bits<'_>) -> Option<Bounded<Layer, MAX_TEMPLATES>> {
    let mut layers = Bounded::new();
    let mut layer = Layer::default();
    loop {
        layers.push(layer)?;
        match bits.bits(2)? {
            0 => {}
            1 => layer.temporal += 1,
            2 => (layer.spatial, layer.temporal) = (layer.spatial + 1, 0),
            _ => return Some(layers),
        }
        if layer.temporal > MAX_TEMPORAL || layer.spatial > MAX_SPATIAL {
            return None;
        }
    }
}

fn read_indications(bits: &mut Bits<'_>, targets: usize) -> Option<Indications> {
    let mut indications = 0;
    for target in 0..targets {
        indications |= u64::from(bits.bits(2)?) << (2 * target);
    }
    Some(indications)
}

/// `template_fdiffs`: 4 bits each, a flag before each and a last one that says no.
fn skip_frame_differences(bits: &mut Bits<'_>, templates: usize) -> Option<()> {
    for _ in 0..templates {
        while bits.flag()? {
            bits.skip(4)?;
        }
    }
    Some(())
}

/// `template_chains`: by which chain each target is protected, then 4 bits a template and chain.
fn skip_chains(bits: &mut Bits<'_>, templates: usize, targets: u32) -> Option<()> {
    let chains = non_symmetric(bits, targets + 1)?;
    if chains > 0 {
        for _ in 0..targets {
            non_symmetric(bits, chains)?;
        }
        bits.skip(4 * chains * templates as u32)?;
    }
    Some(())
}

/// `render_resolutions`: width and height of each spatial layer, 16 bits each.
fn skip_resolutions(bits: &mut Bits<'_>, layers: &[Layer]) -> Option<()> {
    if bits.flag()? {
        let highest = layers.iter().map(|layer| layer.spatial).max()?;
        bits.skip(32 * (u32::from(highest) + 1))?;
    }
    Some(())
}

/// `ns(n)`: a number below `n` in as few bits as it takes (A.8.1).
fn non_symmetric(bits: &mut Bits<'_>, n: u32) -> Option<u32> {
    let width = u32::BITS - n.leading_zeros();
    let short = (1 << width) - n;
    let value = bits.bits(width - 1)?;
    if value < short {
        return Some(value);
    }
    Some((value << 1) - short + bits.bits(1)?)
}

/// The frame number of a descriptor.
pub(super) fn frame_number(descriptor: &[u8]) -> Option<u16> {
    match *descriptor {
        [_, high, low, ..] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

/// Writes another frame number: frames refer to others by differences, so that a stretch of frames
/// shifted as a whole keeps its meaning.
pub fn renumber(descriptor: &mut [u8], frame_number: u16) {
    if let Some(number) = descriptor.get_mut(1..MANDATORY_LEN) {
        number.copy_from_slice(&frame_number.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
