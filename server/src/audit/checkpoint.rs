//! Checkpoints of C2SP (c2sp.org/tlog-checkpoint): origin, size and root, in three lines of a signed note.

use data_encoding::BASE64;

use super::{
    note::{Signer, Verifier},
    tree::Hash,
};

/// What a log was at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log; the name of its key.
    pub origin: String,
    /// Entries in it.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The signed note.
    pub fn sign(&self, signer: &Signer) -> String {
        signer.sign(&format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root)))
    }

    /// The checkpoint of a note, when `verifier` signed it and it is of the log of that name. Further lines are allowed
    /// by the format and mean nothing here.
    pub fn open(note: &str, verifier: &Verifier) -> Option<Self> {
        Self::parse(verifier.open(note)?).filter(|checkpoint| checkpoint.origin == verifier.name())
    }

    /// What a note says, whoever signed it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let decimal =
            size == "0" || (!size.starts_with('0') && size.bytes().all(|byte| byte.is_ascii_digit()));
        let size = decimal.then(|| size.parse().ok())??;
        let root = BASE64.decode(root.as_bytes()).ok()?.try_into().ok()?;
        (!origin.is_empty()).then(|| Self { origin: origin.to_owned(), size, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_and_one_of_another_log_does_not() {
        let signer = Signer::new("a.example/log", &Signer::generate().unwrap()).unwrap();
        let checkpoint = Checkpoint { origin: "a.example/log".into(), size: 7, root: [9; 32] };
        let note = checkpoint.sign(&signer);
        assert!(note.starts_with("a.example/log\n7\nCQkJ"));
        assert_eq!(Checkpoint::open(&note, signer.verifier()), Some(checkpoint.clone()));
        let foreign = Checkpoint { origin: "a.example/other".into(), ..checkpoint }.sign(&signer);
        assert_eq!(Checkpoint::open(&foreign, signer.verifier()), None);
    }

    #[test]
    fn sizes_and_roots_are_written_in_one_way() {
        let root = BASE64.encode(&[9; 32]);
        assert!(Checkpoint::parse(&format!("a\n0\n{root}\nextension\n")).is_some());
        for (size, root) in [
            ("07", root.as_str()),
            ("+7", &root),
            ("-7", &root),
            ("", &root),
            ("7 ", &root),
            ("18446744073709551616", &root),
            ("7", ""),
            ("7", "AAAA"),
            ("7", &root[..root.len() - 1]),
        ] {
            assert_eq!(Checkpoint::parse(&format!("a\n{size}\n{root}\n")), None, "{size} {root}");
        }
        assert_eq!(Checkpoint::parse(&format!("\n7\n{root}\n")), None);
    }
}
