//! Any bytes are refused or are groups that are written, merged and read without a panic.
#![no_main]

use calibfast_core::Groups;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    let _ = Groups::from_bytes(content);
    // Behind a sound head and checksum, where mutations reach the content.
    let mut bytes = b"CFSG\x01\x00".to_vec();
    bytes.extend(content);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    if let Ok(mut groups) = Groups::from_bytes(&bytes) {
        let again = groups.to_bytes();
        assert_eq!(Groups::from_bytes(&again).expect("its own bytes").to_bytes(), again);
        let _ = groups.clone().merge(groups.clone()); // refused where the counts would overflow
        let _ = (groups.table(), groups.gap());
    }
});
