//! Messages about devices: as the kernel's, as udev's, and as the properties behind a header of udev that is right.

use aegis_core::uevent::{Action, LONGEST, Origin, Uevent, UeventError};

/// Length of udev's header.
const HEADER: usize = 40;

/// Tries one input.
pub fn run(bytes: &[u8]) {
    check(Uevent::of_kernel(bytes), bytes, Origin::Kernel);
    check(Uevent::of_udev(bytes), bytes, Origin::Udev);
    let message = udev(bytes);
    let event = check(Uevent::of_udev(&message), &message, Origin::Udev);
    // The same properties behind the kernel's header say the same.
    if let Some(event) = event.filter(|event| !event.path.contains('\0')) {
        let action = event.property("ACTION").unwrap_or_default();
        let message = [action.as_bytes(), b"@", event.path.as_bytes(), b"\0", bytes].concat();
        if !action.contains('@') && message.len() <= LONGEST {
            let same = Uevent::of_kernel(&message).expect("its header was put together");
            assert_eq!((same.action, same.path, same.subsystem), (event.action, event.path, event.subsystem));
            assert_eq!((same.sequence, same.whole_disk()), (event.sequence, event.whole_disk()));
        }
    }
}

/// Properties with the header that udev 252 writes.
fn udev(properties: &[u8]) -> Vec<u8> {
    let length = u32::try_from(properties.len()).expect("libFuzzer's inputs are short");
    let mut message = b"libudev\0\xfe\xed\xca\xfe".to_vec();
    [40, 40, length, 0, 0, 0, 0].iter().for_each(|word: &u32| message.extend(word.to_ne_bytes()));
    message.extend(properties);
    message
}

fn check<'a>(read: Result<Uevent<'a>, UeventError>, message: &[u8], origin: Origin) -> Option<Uevent<'a>> {
    let event = match read {
        Ok(event) => event,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    assert!(message.len() <= LONGEST && event.origin == origin && event.path.starts_with('/'));
    assert!(origin == Origin::Kernel || message.len() >= HEADER);
    assert!(!event.name().contains('/'));
    let disk = event.block_device();
    assert!(disk.is_none_or(|name| !name.is_empty() && event.action != Action::Other));
    assert!(event.whole_disk().is_none_or(|whole| !whole.is_empty() && !whole.contains('/')));
    assert!(event.whole_disk().is_none() || disk.is_some());
    for name in ["SUBSYSTEM", "DEVTYPE", "SEQNUM", "MODALIAS", "", "="] {
        assert!(event.property(name).is_none_or(|value| !value.contains('\0')));
    }
    Some(event)
}
