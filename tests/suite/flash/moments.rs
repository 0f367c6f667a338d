//! The two moments that sticks cannot be asked to fail at: between the choice and its confirmation, and a power cut.

use std::path::Path;

use aegis_tests::{TestResult, disk};

use super::{
    faults::{STICK, command as flash},
    guest::{self, Guest, IMAGES, Stick},
};

const KIB: u64 = 1 << 10;

/// Another stick with the same serial number and size comes into the place of the chosen one before it is confirmed.
pub(super) fn swapped(guest: &mut Guest<'_>) -> TestResult {
    let twins = ["TWIN-A", "TWIN-B"];
    let stick = Stick { serial: "TWIN".into(), port: 1, limit: None, errors: Vec::new() };
    for twin in twins {
        guest.make(twin, STICK)?;
    }
    let before = [guest::digest(&guest.file(twins[0]))?, guest::digest(&guest.file(twins[1]))?];
    guest.plug(&stick, twins[0])?;
    let node = guest.wait_for(&["TWIN"])?.remove(0);
    let sequence = format!("/sys/block/{}/diskseq", node.trim_start_matches("/dev/"));
    let chosen = guest.shell.run(&format!("cat {sequence}"))?;
    // It asks on a terminal only; what is typed there comes through a pipe that stays open.
    guest.shell.run(&format!(
        "cd /run && mkfifo typed && {{ (script -qefc 'aegis-installer flash {IMAGES}/stick.img --to {node}' /dev/null \
         <typed >said 2>&1; echo $? >status) & }} && exec 9>typed"
    ))?;
    guest.shell.run("until grep -q 'Type `TWIN` to' said; do sleep 0.2; done")?;
    guest.qmp.unplug_and_wait(twins[0])?;
    guest.plug(&stick, twins[1])?;
    guest.shell.run(&format!(
        "until seq=$(cat {sequence} 2>/dev/null) && test \"$seq\" != {chosen}; do sleep 0.2; done; udevadm settle"
    ))?;
    guest.shell.run("echo TWIN >&9; exec 9>&-; until test -s status; do sleep 0.2; done")?;
    let said = guest.shell.run("cat said status")?;
    println!("{said}");
    assert!(said.contains("is no longer the chosen disk: its sequence number was"), "{said}");
    assert!(said.ends_with("\n3"), "{said}");
    for (twin, before) in twins.iter().zip(before) {
        assert_eq!(guest::digest(&guest.file(twin))?, before, "{twin}");
    }
    Ok(guest.qmp.unplug_and_wait(twins[1])?)
}

/// A stick that is fast, one that reads slowly and one that writes slowly, so that each is in another phase.
const CUT: [(&str, Option<(u64, u64)>); 3] =
    [("CUT-COMPLETE", None), ("CUT-VERIFY", Some((256 * KIB, 0))), ("CUT-WRITE", Some((0, 256 * KIB)))];

/// Begins to write sticks, and returns when one is complete, one is read back and one is written.
pub(super) fn begin(guest: &mut Guest<'_>) -> TestResult {
    for (number, (serial, limit)) in CUT.into_iter().enumerate() {
        guest.make(serial, STICK)?;
        let stick = Stick { serial: serial.into(), port: number + 1, limit, errors: Vec::new() };
        guest.plug(&stick, serial)?;
    }
    let serials = CUT.map(|(serial, _)| serial);
    let nodes = guest.wait_for(&serials)?;
    guest.shell.run(&format!("{} >/run/events & disown", flash(&nodes, &serials)))?;
    let last = |node: &str, what: &str| {
        format!("grep '\"device\":\"{node}\"' events | tail -n 1 | grep -q '\"{what}\"'")
    };
    let each = [last(&nodes[0], "complete"), last(&nodes[1], "verify"), last(&nodes[2], "write")];
    guest.shell.run(&format!("cd /run; until {}; do sleep 0.2; done", each.join(" && ")))?;
    Ok(())
}

/// What the sticks are after the power was cut.
pub(super) fn after_the_cut(directory: &Path, image: &Path) -> TestResult {
    let [complete, unfinished @ ..] = CUT.map(|(serial, _)| directory.join(serial));
    assert!(guest::holds(&complete, image)?);
    for file in unfinished {
        assert!(!disk::boot_signs(&file)?.any(), "{}: {}", file.display(), disk::boot_signs(&file)?);
        assert!(guest::start_of(&file, 1 << 20)?.iter().all(|byte| *byte == 0), "{}", file.display());
        assert!(!guest::holds(&file, image)?);
    }
    Ok(())
}
