//! The guest of the hotplug test: it runs the watcher and hands out what it wrote.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use aegis_tests::{Error, Failure, TestResult, host::patience, shell::Shell};
use serde_json::Value;

use super::storm::Storm;

/// Between two looks at what is not there yet.
const PAUSE: Duration = Duration::from_millis(300);

/// A running watcher, by the name of its files in the guest's /run.
pub(super) struct Watcher(String);

/// Disks by their names.
type Picture = BTreeMap<String, Value>;

pub(super) struct Guest<'a> {
    shell: Shell<'a>,
    report: PathBuf,
    /// The disk that is the file `report`.
    node: String,
    watchers: u32,
}

impl<'a> Guest<'a> {
    pub(super) fn new(mut shell: Shell<'a>, report: PathBuf) -> Result<Self, Error> {
        let node = shell.run("readlink -f /dev/disk/by-id/virtio-REPORT")?;
        Ok(Self { shell, report, node, watchers: 0 })
    }

    /// Starts a watcher and waits until it has told what there is.
    pub(super) fn watch(&mut self, source: &str, options: &[&str]) -> Result<Watcher, Failure> {
        self.watchers += 1;
        let name = format!("watch{}", self.watchers);
        // The inner shell becomes the watcher, so that its number is the watcher's.
        self.shell.run(&format!(
            "(sh -c 'echo $$ >/run/{name}.pid; exec aegis-installer devices --watch --json {}' \
             >/run/{name} 2>/run/{name}.err </dev/null; echo $? >/run/{name}.status) & disown",
            options.join(" ")
        ))?;
        self.until(&format!("grep -qs '\"event\":\"ready\"' /run/{name}"))?;
        let watcher = Watcher(name);
        let events = self.events(&watcher)?;
        let ready = events.iter().find(|event| event["event"] == "ready");
        assert_eq!(ready.and_then(|event| event["source"].as_str()), Some(source), "{events:#?}");
        Ok(watcher)
    }

    /// Ends a watcher as Ctrl-C does, which is success.
    pub(super) fn stop(&mut self, watcher: Watcher) -> TestResult {
        let Watcher(name) = watcher;
        self.shell.run(&format!("kill -INT $(cat /run/{name}.pid)"))?;
        self.until(&format!("test -s /run/{name}.status"))?;
        let output = self.shell.run(&format!("cat /run/{name}.status /run/{name}.err"))?;
        assert_eq!(output, "0", "the watcher ended so");
        Ok(())
    }

    /// Keeps a watcher from reading.
    pub(super) fn pause(&mut self, Watcher(name): &Watcher) -> Result<(), Error> {
        self.shell.run(&format!("kill -STOP $(cat /run/{name}.pid)"))?;
        self.until(&format!("grep -q '^State:.T' /proc/$(cat /run/{name}.pid)/status"))
    }

    /// Lets it go on.
    pub(super) fn resume(&mut self, Watcher(name): &Watcher) -> Result<(), Error> {
        self.shell.run(&format!("kill -CONT $(cat /run/{name}.pid)")).map(drop)
    }

    /// Takes udev away.
    pub(super) fn without_udev(&mut self) -> Result<(), Error> {
        let units = "systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd.service";
        self.shell.run(&format!("systemctl stop {units} && rm -f /run/udev/control")).map(drop)
    }

    /// Waits until a fresh look finds exactly the disks that QEMU says are plugged in.
    pub(super) fn settle(&mut self, storm: &mut Storm) -> TestResult {
        let plugged = storm.plugged()?;
        let mut seen = Vec::new();
        self.wait(|guest| {
            seen = guest.serials()?;
            Ok(seen == plugged)
        })?;
        assert_eq!(seen, plugged, "what the guest sees, and what is plugged in");
        Ok(())
    }

    /// Checks that the picture by events becomes what a fresh look gives, which is what is plugged in.
    pub(super) fn agree(&mut self, watcher: &Watcher, storm: &mut Storm) -> TestResult {
        self.settle(storm)?;
        let (mut told, mut fresh) = (Picture::new(), Picture::new());
        self.wait(|guest| {
            fresh = guest.fresh()?;
            told = picture(&guest.events(watcher)?);
            Ok(told == fresh)
        })?;
        let names = |picture: &Picture| picture.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&told), names(&fresh), "disks by events, and by a fresh look");
        for (name, disk) in &fresh {
            assert_eq!(told.get(name), Some(disk), "{name} by events, and by a fresh look");
        }
        Ok(())
    }

    /// What a watcher has told, line by line.
    pub(super) fn events(&mut self, Watcher(name): &Watcher) -> Result<Vec<Value>, Failure> {
        let text = self.file(&format!("/run/{name}"))?;
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(json).collect()
    }

    fn fresh(&mut self) -> Result<Picture, Failure> {
        self.shell.run("aegis-installer devices --json >/run/fresh")?;
        let text = self.file("/run/fresh")?;
        let inventory = json(&text)?;
        let entries =
            inventory["disks"].as_array().ok_or_else(|| Failure::new(format!("no list: {text}")))?;
        Ok(entries.iter().filter_map(|entry| Some((name(entry)?, without_counters(entry)))).collect())
    }

    /// Serial numbers of the disks that came by hotplug, in order.
    fn serials(&mut self) -> Result<Vec<String>, Failure> {
        let fresh = self.fresh()?;
        let serials = fresh.values().filter_map(|entry| entry["disk"]["serial"].as_str());
        let mut serials: Vec<_> =
            serials.filter(|serial| serial.starts_with("disk")).map(str::to_owned).collect();
        serials.sort();
        Ok(serials)
    }

    /// The content of a file, which is text without zero bytes. A serial line would take minutes.
    fn file(&mut self, path: &str) -> Result<String, Failure> {
        self.shell.run(&format!("dd if={path} of={} bs=1M conv=sync,fsync status=none", self.node))?;
        let mut bytes = Vec::new();
        let mut file = File::open(&self.report).map_err(Error::io("open", &self.report))?;
        file.read_to_end(&mut bytes).map_err(Error::io("read", &self.report))?;
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        String::from_utf8(bytes).map_err(|error| Failure::new(format!("{path}: {error}")))
    }

    /// Waits in the guest until a command succeeds.
    fn until(&mut self, command: &str) -> Result<(), Error> {
        self.shell.run_within(&format!("until {command}; do sleep 0.1; done"), patience(120)).map(drop)
    }

    /// Waits until something is so, or for as long as patience lasts.
    fn wait(&mut self, mut is_so: impl FnMut(&mut Self) -> Result<bool, Failure>) -> TestResult {
        let deadline = Instant::now() + patience(180);
        while !is_so(self)? && Instant::now() < deadline {
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

/// The disks after all events.
fn picture(events: &[Value]) -> Picture {
    let mut disks = Picture::new();
    for event in events {
        let Some(name) = name(event) else { continue };
        let mut entry = without_counters(event);
        if let Some(fields) = entry.as_object_mut() {
            fields.remove("event");
            fields.remove("what");
        }
        match event["event"].as_str() {
            Some("removed") => disks.remove(&name),
            _ => disks.insert(name, entry),
        };
    }
    disks
}

/// The entry of a disk without the number of its failed commands, which grows without an event.
fn without_counters(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Some(disk) = entry["disk"].as_object_mut() {
        disk.remove("io_errors");
    }
    entry
}

fn name(entry: &Value) -> Option<String> {
    entry["disk"]["name"].as_str().map(str::to_owned)
}

fn json(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::new(format!("{error} in {text}")))
}
