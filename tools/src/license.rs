//! `aegis-license`: the license of this machine.

pub mod cli;
mod report;

use std::{fs::File, io::Read, path::Path};

use aegis_core::{
    crypto::Ring,
    edition::Edition,
    key::PublicKey,
    license::{
        armour,
        document::{self, License},
        machine::Binding,
        revocation::Revocations,
        verdict::{Reason, Verdict},
    },
    time::UnixTime,
};
use aegis_editions::licensing::Licensing;
use aegis_hw::license::{self as files, Files, Here, Judged, State};
use ring::rand::{SecureRandom, SystemRandom};

use crate::{
    Error,
    system::{self, Boot, System},
};

pub use report::Report;

/// Where the boot's records are, for other programs.
const REPORT: &str = "entitlements.json";

/// The licensing of a system, with everything that it needs read once.
pub struct Desk {
    system: System,
    boot: Boot,
    keys: Vec<PublicKey>,
    files: Files,
    licensing: Licensing,
    now: UnixTime,
}

impl Desk {
    /// Opens the licensing of a system at a time.
    ///
    /// # Errors
    /// When the records of the boot are missing.
    pub fn open(system: System, now: UnixTime) -> Result<Self, Error> {
        let (boot, keys) = (system.boot()?, system.keys()?);
        let files = Files::below(system.root());
        let licensing = Licensing::load().map_err(Error::Spec)?;
        Ok(Self { system, boot, keys, files, licensing, now })
    }

    /// The edition that runs.
    pub fn edition(&self) -> Edition {
        self.boot.edition
    }

    /// Where the license is.
    pub fn path(&self) -> &Path {
        &self.files.document
    }

    /// Judges what is installed.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn judge(&self) -> Result<Judged, Error> {
        let (text, state) = (self.files.text(), self.files.state());
        self.judge_text(text.map_err(Error::Hardware)?.as_deref(), state.map_err(Error::Hardware)?)
    }

    fn judge_text(&self, text: Option<&[u8]>, state: State) -> Result<Judged, Error> {
        let identity = self.system.identity(&self.boot);
        let here =
            Here { ring: &self.keys, edition: self.edition(), machine: identity.machine(), now: self.now };
        self.files.judge::<Ring>(text, state, &here).map_err(Error::Hardware)
    }

    /// What the license means. Only root may read what names the machine, so that others get what was found last.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn report(&self) -> Result<Report, Error> {
        if self.system.is_restricted() {
            self.system.record(REPORT)
        } else {
            Ok(self.report_on(&self.judge()?))
        }
    }

    fn report_on(&self, judged: &Judged) -> Report {
        let Judged { verdict, license, list, list_refused, state } = judged;
        let free = self.edition() == Edition::Freemium;
        Report {
            edition: self.edition(),
            granted: free || verdict.grant().is_some(),
            verdict: verdict.code(),
            text: if free { "none is needed".into() } else { verdict.to_string() },
            hint: verdict.hint().filter(|_hint| !free).map(String::from),
            serial: license.as_ref().map(|license| license.claims().serial),
            revocation_list: *list,
            revocation_list_refused: list_refused.as_ref().map(ToString::to_string),
            seen: state.seen,
            entitlements: self.licensing.entitlements(self.edition(), verdict.grant()),
            upgrades: self.licensing.upgrades(self.edition()).to_vec(),
        }
    }

    /// Verifies a license and puts it in place of the installed one. A license that would open nothing here is refused,
    /// but one that only begins later is not.
    ///
    /// # Errors
    /// When the document is not accepted; then the installed one stays.
    pub fn install(&self, file: &Path) -> Result<Judged, Error> {
        if self.edition() == Edition::Freemium {
            return Err(Error::Free(self.edition()));
        }
        let text = tidy(file, document::LICENSE_TEXT)?;
        let license = License::verify::<Ring>(text.as_bytes(), &self.keys)
            .map_err(|source| Error::Document { path: file.into(), source })?;
        let state = self.state_with(&license)?;
        match self.judge_text(Some(text.as_bytes()), state)?.verdict {
            Verdict::Valid(_) | Verdict::Grace(..) | Verdict::Trial(..) | Verdict::NotYetValid(_) => {}
            verdict => return Err(Error::NotHere { path: file.into(), verdict: Box::new(verdict) }),
        }
        files::write(&self.files.document, text.as_bytes()).map_err(Error::Hardware)?;
        self.files.remember(state).map_err(Error::Hardware)?;
        self.refresh()
    }

    /// What would be remembered with a license. One that was signed later than the installed one proves that the time is
    /// at least that, and that a higher time was a mistake of the clock.
    fn state_with(&self, license: &License) -> Result<State, Error> {
        let judged = self.judge()?;
        let issued = license.claims().issued;
        let newer = judged.license.as_ref().is_some_and(|old| issued > old.claims().issued);
        let seen = if newer { Some(issued) } else { judged.state.seen };
        Ok(State { seen, ..judged.state })
    }

    /// Verifies a revocation list and takes it, when it is newer than the one in use.
    ///
    /// # Errors
    /// When it is not accepted or older; then the one in use stays.
    pub fn install_list(&self, file: &Path) -> Result<u64, Error> {
        let text = tidy(file, 1 << 20)?;
        let state = self.files.state().map_err(Error::Hardware)?;
        let mut buffer = vec![0; text.len().max(document::LICENSE_ROOM)];
        let list = Revocations::verify::<Ring>(text.as_bytes(), &self.keys, state.list, &mut buffer)
            .map_err(|source| Error::Document { path: file.into(), source })?;
        files::write(&self.files.revocations, text.as_bytes()).map_err(Error::Hardware)?;
        self.files.remember(State { list: list.number(), ..state }).map_err(Error::Hardware)?;
        Ok(list.number())
    }

    /// Removes the license with this serial number.
    ///
    /// # Errors
    /// When there is none, or it has another number.
    pub fn remove(&self, serial: u64) -> Result<(), Error> {
        let judged = self.judge()?;
        if matches!(judged.verdict, Verdict::Unknown(Reason::NoLicense)) {
            return Err(Error::NoLicense(self.files.document.clone()));
        }
        // A document that is not genuine has no number, and nobody misses it.
        match judged.license.map(|license| license.claims().serial) {
            Some(found) if found != serial => return Err(Error::Serial { typed: serial, found }),
            _ => {}
        }
        system::remove(&self.files.document)?;
        self.refresh().map(drop)
    }

    /// Remembers the time and writes what this machine may use for other programs.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn refresh(&self) -> Result<Judged, Error> {
        let judged = self.judge()?;
        let seen = judged.state.seen.map_or(self.now, |seen| seen.max(self.now));
        self.files.remember(State { seen: Some(seen), ..judged.state }).map_err(Error::Hardware)?;
        let text = serde_json::to_string(&self.report_on(&judged)).unwrap_or_default() + "\n";
        files::write(&self.system.record_path(REPORT), text.as_bytes()).map_err(Error::Hardware)?;
        Ok(judged)
    }

    /// The digests that bind a license to this machine, under a new salt.
    ///
    /// # Errors
    /// When fewer than four parts can be read.
    pub fn request(&self) -> Result<Binding, Error> {
        let identity = self.system.identity(&self.boot);
        let machine = identity.machine();
        let mut salt = [0; 8];
        SystemRandom::new().fill(&mut salt).map_err(|_unspecified| Error::Random)?;
        machine.bind::<Ring>(salt).ok_or(Error::TooFewParts(machine.known()))
    }
}

/// Reads a document as a mail program left it, bounded.
fn tidy(path: &Path, limit: usize) -> Result<String, Error> {
    let failed = |error| Error::io("reading", path)(error);
    let file = File::open(path).map_err(failed)?;
    let mut text = Vec::new();
    // Twice the room for carriage returns and spaces at the ends of lines.
    file.take(2 * limit as u64 + 1).read_to_end(&mut text).map_err(Error::io("reading", path))?;
    Ok(armour::tidy(&String::from_utf8_lossy(&text)))
}
