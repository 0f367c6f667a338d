//! An image that is written while it comes.

use std::{
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
    thread,
};

use aegis_core::ranges::SUFFIX;

use super::{
    begin::{Job, Tags},
    mirrors::Mirrors,
    plan::{DownloadPlan, Wishes},
    problem::{Fault, Problem},
    web::{Web, reading},
};
use crate::{
    error::Error,
    flash::{
        format::Format,
        image::{Expected, ImageFile, Stream},
        ranges::map_of,
    },
};

/// The image of a release as `flash` takes it. What is signed of it is verified before; its bytes are compared as they pass.
///
/// # Errors
/// As [`DownloadPlan::new`].
pub fn image(wishes: Wishes, web: Web) -> Result<ImageFile, Error> {
    let plan = DownloadPlan::find(&wishes, &web, &|| false)?;
    let path = PathBuf::from(plan.urls[0].to_string());
    let beside = PathBuf::from(format!("{}{SUFFIX}", path.display()));
    let signer = (plan.key, plan.development);
    let map = plan.ranges.as_deref().map(|ranges| map_of(ranges, &beside, signer));
    let by = format!("the manifest signed by key {}", plan.key);
    let expected = Some(Expected { digest: plan.sha256.to_string(), by, of_content: true });
    let size = plan.size;
    let remote = Arc::new(Remote { plan, wishes, web });
    let open = move || Ok(Box::new(Body::new(remote.clone())) as Box<dyn Read + Send>);
    let stream = Some(Stream(Arc::new(open)));
    Ok(ImageFile { path, format: Format::Raw, size, expected, head: Vec::new(), stream, map })
}

struct Remote {
    plan: DownloadPlan,
    wishes: Wishes,
    web: Web,
}

/// The image from its start, from whichever server gives it.
struct Body {
    remote: Arc<Remote>,
    mirrors: Mirrors,
    tags: Tags,
    /// The next byte.
    at: u64,
    /// A server that sends, and what comes from it.
    sending: Option<(usize, ureq::BodyReader<'static>)>,
}

impl Body {
    fn new(remote: Arc<Remote>) -> Self {
        let mirrors = Mirrors::new(&remote.plan.from, remote.wishes.patience);
        let tags = vec![None; remote.plan.from.len()];
        Self { remote, mirrors, tags, at: 0, sending: None }
    }

    /// Has the next server go on.
    fn ask(&mut self) -> io::Result<()> {
        let Some(server) = self.mirrors.choose() else {
            let none = Mirrors::new(&[], self.remote.wishes.patience);
            let faults = std::mem::replace(&mut self.mirrors, none).into_faults();
            return Err(io::Error::other(Problem::Servers(faults)));
        };
        thread::sleep(self.mirrors.pause(server));
        let Remote { plan, wishes, web } = &*self.remote;
        let begun = Job { plan, wishes, web }.begin(&mut self.tags, server, self.at);
        let passed = begun.and_then(|mut begun| {
            // A server that gives no parts sends again what passed before.
            let before = self.at - begun.from;
            match io::copy(&mut (&mut begun.body).take(before), &mut io::sink()).map_err(reading)? {
                passed if passed == before => Ok(begun.body),
                found => Err(Fault::Truncated { found, expected: plan.size }),
            }
        });
        match passed {
            Ok(body) => self.sending = Some((server, body)),
            Err(fault) => self.mirrors.failed(server, fault),
        }
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.remote.plan.size;
        while self.at < size && !buffer.is_empty() {
            let Some((server, body)) = &mut self.sending else {
                self.ask()?;
                continue;
            };
            let server = *server;
            let fault = match body.read(buffer) {
                Ok(0) => Fault::Truncated { found: self.at, expected: size },
                Ok(read) if read as u64 > size - self.at => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "more came than the image has"));
                }
                Ok(read) => {
                    self.mirrors.gave(server);
                    self.at += read as u64;
                    return Ok(read);
                }
                Err(error) => reading(error),
            };
            self.sending = None;
            self.mirrors.failed(server, fault);
        }
        Ok(0)
    }
}
