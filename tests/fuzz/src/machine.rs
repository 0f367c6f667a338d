//! Recorded machines: the text, and everything that reads such a machine.

use aegis_hw::{
    Bytes, Tree,
    inventory::{self, Inventory, Machine},
    tree::Recording,
};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let recording = match Recording::parse(bytes) {
        Ok(recording) => recording,
        Err(line) => {
            assert!(line.number > 0 && !line.to_string().is_empty());
            return;
        }
    };
    let text = recording.to_text("");
    let again = Recording::parse(text.as_bytes()).expect("what is written reads back");
    assert_eq!(again.to_text(""), text);
    assert_eq!(again.paths(), recording.paths());
    let tree = Tree::recorded(recording);
    Machine::read(&tree);
    inventory::usb_devices(&tree);
    let Ok(inventory) = Inventory::read(&tree) else { return };
    for disk in &inventory.disks {
        assert!(!disk.summary().chars().any(char::is_control));
        let refusals = disk.refusals([""; 0], Bytes(1 << 30));
        assert!(!refusals.iter().any(|refusal| refusal.to_string().is_empty()));
    }
}
