//! Invariant: whatever a stream of dependency descriptors says, a packet's layer is one of those the
//! format has, it opens nothing below its own layer, and its viewer at the top takes it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tongbu_media::codec::dependency::DependencyReader;
use tongbu_media::codec::layers::Layer;

fuzz_target!(|descriptors: Vec<Vec<u8>>| {
    let mut reader = DependencyReader::default();
    for descriptor in &descriptors {
        let Some(told) = reader.handle_descriptor(descriptor) else {
            continue;
        };
        let layering = told.layering;
        assert!(layering.layer.spatial <= 3 && layering.layer.temporal <= 7);
        assert_eq!(layering.opens.max(layering.layer), layering.opens);
        assert!(layering.top >= layering.layer.spatial);
        assert!(layering.is_within(Layer {
            spatial: layering.layer.spatial,
            ..Layer::HIGHEST
        }));
    }
});
