//! A client of QEMU's machine protocol (QMP), one command at a time.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{error::Error, screen::Picture};

/// A connection to QEMU's monitor.
#[derive(Debug)]
pub struct Qmp {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
    events: VecDeque<Value>,
    /// Drives that this connection has made.
    drives: u32,
}

impl Qmp {
    /// Connects and negotiates; an answer that takes longer than `limit` is an error.
    pub fn connect(socket: &Path, limit: Duration) -> Result<Self, Error> {
        let stream = connect(socket, Instant::now() + limit)?;
        stream.set_read_timeout(Some(limit)).map_err(Error::io("set up", socket))?;
        let writer = stream.try_clone().map_err(Error::io("set up", socket))?;
        let mut qmp = Self { writer, reader: BufReader::new(stream), events: VecDeque::new(), drives: 0 };
        qmp.read("the greeting")?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs a command and returns what it returned; events that come in between are kept.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, Error> {
        let refused = |reason: String| Error::Qmp { command: command.to_owned(), reason };
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        self.writer.write_all(line.as_bytes()).map_err(|error| refused(error.to_string()))?;
        loop {
            let mut answer = self.read(command)?;
            if let Some(error) = answer.get("error") {
                return Err(refused(error["desc"].as_str().unwrap_or("no reason given").to_owned()));
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            self.events.push_back(answer);
        }
    }

    /// Waits for an event of this name that is `wanted`; events before it are dropped.
    fn wait_event(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value, Error> {
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => self.read(name)?,
            };
            if event["event"] == name && wanted(&event["data"]) {
                return Ok(event);
            }
        }
    }

    /// Writes the machine's whole state but its disks into a file, and leaves it stopped.
    ///
    /// A machine of the same description, whose disks have the same content, goes on from there.
    pub fn save_state(&mut self, file: &Path) -> Result<(), Error> {
        let events = json!({ "capabilities": [{ "capability": "events", "state": true }] });
        self.execute("migrate-set-capabilities", events)?;
        self.execute("migrate-set-parameters", json!({ "max-bandwidth": 4_000_000_000_u64 }))?;
        let target = format!("exec:cat > '{}'", file.display());
        self.execute("migrate", json!({ "uri": target }))?;
        let end = |data: &Value| matches!(data["status"].as_str(), Some("completed" | "failed"));
        let event = self.wait_event("MIGRATION", end)?;
        match event["data"]["status"].as_str() {
            Some("completed") => Ok(()),
            _ => Err(Error::Qmp { command: "migrate".to_owned(), reason: "it failed".to_owned() }),
        }
    }

    /// Waits until a machine that was started from a saved state runs.
    pub fn wait_running(&mut self) -> Result<(), Error> {
        match self.execute("query-status", json!({}))?["running"].as_bool() {
            Some(true) => Ok(()),
            _ => self.wait_event("RESUME", |_| true).map(|_event| ()),
        }
    }

    /// Types text on the keyboard, with the keys of an American layout.
    pub fn type_text(&mut self, text: &str) -> Result<(), Error> {
        text.chars().try_for_each(|character| {
            let unknown = || Error::Qmp {
                command: "send-key".to_owned(),
                reason: format!("no key is known for {character:?}"),
            };
            let (shift, key) = key_of(character).ok_or_else(unknown)?;
            if shift { self.press(&["shift", &key]) } else { self.press(&[&key]) }
        })
    }

    /// Presses the power button.
    pub fn press_power_button(&mut self) -> Result<(), Error> {
        self.execute("system_powerdown", json!({})).map(|_nothing| ())
    }

    /// Ends QEMU.
    pub fn quit(mut self) -> Result<(), Error> {
        self.execute("quit", json!({})).map(|_nothing| ())
    }

    /// Plugs a drive of zeros in. `device` has the properties of QEMU's device, an `id` among them, without the drive.
    pub fn plug(&mut self, mut device: Value, bytes: u64) -> Result<(), Error> {
        // A drive outlives its device, so each needs a name of its own.
        self.drives += 1;
        let drive = format!("zeros{}", self.drives);
        let zeros = json!({ "driver": "null-co", "node-name": drive, "size": bytes, "read-zeroes": true });
        self.execute("blockdev-add", zeros)?;
        device["drive"] = drive.into();
        self.execute("device_add", device).map(|_nothing| ())
    }

    /// Plugs a drive in that is made of block nodes, in QEMU's own form; the topmost has a name.
    pub fn plug_nodes(&mut self, mut device: Value, nodes: Value) -> Result<(), Error> {
        device["drive"] = nodes["node-name"].clone();
        self.execute("blockdev-add", nodes)?;
        self.execute("device_add", device).map(|_nothing| ())
    }

    /// Makes a group of drives that share so many bytes a second, in each direction.
    pub fn limit_group(&mut self, id: &str, read: u64, write: u64) -> Result<(), Error> {
        let limits = json!({ "bps-read": read, "bps-write": write });
        let group = json!({ "qom-type": "throttle-group", "id": id, "limits": limits });
        self.execute("object-add", group).map(|_nothing| ())
    }

    /// Unplugs a device that has an id.
    pub fn unplug(&mut self, id: &str) -> Result<(), Error> {
        self.execute("device_del", json!({ "id": id })).map(|_nothing| ())
    }

    /// Unplugs a device and waits until it is gone, for which some need the guest.
    pub fn unplug_and_wait(&mut self, id: &str) -> Result<(), Error> {
        self.unplug(id)?;
        self.wait_event("DEVICE_DELETED", |data| data["device"] == id).map(|_event| ())
    }

    /// Ids of the devices that are plugged in.
    pub fn plugged(&mut self) -> Result<Vec<String>, Error> {
        let list = self.execute("qom-list", json!({ "path": "/machine/peripheral" }))?;
        let devices = list.as_array().into_iter().flatten();
        let devices = devices.filter(|entry| entry["type"].as_str().is_some_and(|t| t.starts_with("child<")));
        Ok(devices.filter_map(|entry| entry["name"].as_str().map(str::to_owned)).collect())
    }

    /// Presses keys of the keyboard together, by their names in QEMU such as `ctrl`, `alt`, `f1`, `ret`.
    pub fn press(&mut self, keys: &[&str]) -> Result<(), Error> {
        let keys: Vec<_> = keys.iter().map(|key| json!({ "type": "qcode", "data": key })).collect();
        self.execute("send-key", json!({ "keys": keys })).map(|_nothing| ())
    }

    /// What the graphics card shows.
    pub fn picture(&mut self) -> Result<Picture, Error> {
        let file = tempfile::Builder::new()
            .prefix("aegis-screen-")
            .suffix(".ppm")
            .tempfile()
            .map_err(Error::io("create", std::env::temp_dir()))?;
        self.execute("screendump", json!({ "filename": file.path() }))?;
        Picture::from_ppm(&fs::read(file.path()).map_err(Error::io("read", file.path()))?)
    }

    fn read(&mut self, command: &str) -> Result<Value, Error> {
        let refused = |reason: String| Error::Qmp { command: command.to_owned(), reason };
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Err(refused("QEMU closed the connection".to_owned())),
            Ok(_) => serde_json::from_str(&line).map_err(|error| refused(error.to_string())),
            Err(error) => Err(refused(error.to_string())),
        }
    }
}

/// QEMU makes the socket a moment after it was started, and serves one client at a time.
fn connect(socket: &Path, deadline: Instant) -> Result<UnixStream, Error> {
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(source) if Instant::now() > deadline => {
                return Err(Error::Io { operation: "connect to", path: socket.to_path_buf(), source });
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The key of a character and whether it needs Shift.
fn key_of(character: char) -> Option<(bool, String)> {
    let plain = |name: &str| Some((false, name.to_owned()));
    let shifted = |name: &str| Some((true, name.to_owned()));
    match character {
        'a'..='z' | '0'..='9' => plain(&character.to_string()),
        'A'..='Z' => shifted(&character.to_ascii_lowercase().to_string()),
        ' ' => plain("spc"),
        '\n' => plain("ret"),
        '-' => plain("minus"),
        '=' => plain("equal"),
        '/' => plain("slash"),
        '.' => plain("dot"),
        ',' => plain("comma"),
        ';' => plain("semicolon"),
        '\'' => plain("apostrophe"),
        '|' => shifted("backslash"),
        '>' => shifted("dot"),
        '&' => shifted("7"),
        '(' => shifted("9"),
        ')' => shifted("0"),
        '"' => shifted("apostrophe"),
        '$' => shifted("4"),
        '_' => shifted("minus"),
        ':' => shifted("semicolon"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_characters() {
        assert_eq!(key_of('a'), Some((false, "a".to_owned())));
        assert_eq!(key_of('Z'), Some((true, "z".to_owned())));
        assert_eq!(key_of('>'), Some((true, "dot".to_owned())));
        assert_eq!(key_of('ä'), None);
    }
}
