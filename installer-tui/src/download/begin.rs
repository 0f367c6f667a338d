//! Has a server begin to send what is missing of a file.

use ureq::BodyReader;

use super::{
    plan::{DownloadPlan, Wishes},
    problem::Fault,
    web::{Answer, Ask, Web},
};

/// What is fetched, and how.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) plan: &'a DownloadPlan,
    pub(super) wishes: &'a Wishes,
    pub(super) web: &'a Web,
}

/// The strong tag that each server gave the file.
pub(super) type Tags = Vec<Option<String>>;

/// A body, and the byte of the file that it begins with: the one that was asked for, or the first one.
pub(super) struct Begun {
    pub(super) from: u64,
    pub(super) body: BodyReader<'static>,
}

impl Job<'_> {
    /// Asks a server for everything from a byte on.
    pub(super) fn begin(self, tags: &mut Tags, server: usize, from: u64) -> Result<Begun, Fault> {
        // Ours name a file by its digest. Without a range manifest nothing else proves that a part belongs to what is there.
        let own = format!("\"{}\"", self.plan.sha256);
        let known = tags[server].clone().filter(|_| self.plan.chunks);
        let answer = self.get(server, from, known.as_deref().unwrap_or(&own))?;
        if answer.partial || from == 0 {
            return self.accept(tags, server, from, answer);
        }
        match &answer.tag {
            // Another tag than the digest: the part is asked for again by the server's own.
            Some(tag) if known.is_none() && self.plan.chunks && *tag != own => {
                let again = self.get(server, from, tag)?;
                tags[server] = answer.tag;
                let from = if again.partial { from } else { 0 };
                self.accept(tags, server, from, again)
            }
            Some(tag) if known.as_ref().is_some_and(|known| known != tag) => Err(Fault::Changed),
            // It gives no parts.
            _ => self.accept(tags, server, 0, answer),
        }
    }

    fn get(self, server: usize, from: u64, tag: &str) -> Result<Answer, Fault> {
        let token = self.wishes.token.as_ref();
        self.web.get(Ask { url: &self.plan.urls[server], from, tag: Some(tag), token })
    }

    /// Takes an answer that begins where it has to.
    fn accept(self, tags: &mut Tags, server: usize, from: u64, answer: Answer) -> Result<Begun, Fault> {
        let size = self.plan.size;
        match (answer.partial, answer.range) {
            (true, Some((.., whole))) if whole != size => return Err(Fault::Changed),
            (true, Some((first, last, _))) if (first, last) != (from, size - 1) => {
                return Err(Fault::Malformed("sends another part than was asked for"));
            }
            (true, _) if from == 0 => return Err(Fault::Malformed("sends a part that was not asked for")),
            _ => {}
        }
        if answer.length.is_some_and(|length| length != size - from) {
            return Err(Fault::Changed);
        }
        if let (Some(known), Some(tag)) = (&tags[server], &answer.tag)
            && known != tag
        {
            return Err(Fault::Changed);
        }
        tags[server] = answer.tag.or(tags[server].take());
        Ok(Begun { from, body: answer.body })
    }
}
