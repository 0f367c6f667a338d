//! Where files for download are kept, as one text.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

const SCHEME: &str = "s3://";

/// A folder or a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A bucket, and what the names of its blobs begin with.
    Bucket {
        /// Its name.
        name: String,
        /// The beginning; may be empty.
        prefix: String,
    },
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix(SCHEME) else {
            let other = text.contains("://") || text.is_empty();
            return if other { Err(no_place(&text)) } else { Ok(Self::Folder(text.into())) };
        };
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        // The names that every store takes.
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let part = |part: &str| !part.is_empty() && part.bytes().all(plain) && part != "." && part != "..";
        let good = (3..=63).contains(&name.len()) && name.bytes().all(named);
        if !good || !(prefix.is_empty() || prefix.split('/').all(part)) {
            return Err(no_place(&text));
        }
        Ok(Self::Bucket { name: name.to_owned(), prefix: prefix.to_owned() })
    }
}

fn no_place(text: &str) -> String {
    format!("`{text}` is neither a folder nor s3://BUCKET/PREFIX")
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        match place {
            Place::Folder(path) => path.display().to_string(),
            Place::Bucket { name, prefix } if prefix.is_empty() => format!("{SCHEME}{name}"),
            Place::Bucket { name, prefix } => format!("{SCHEME}{name}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Result<Place, String> {
        Place::try_from(text.to_owned())
    }

    #[test]
    fn a_place_is_a_folder_or_a_bucket_and_is_written_as_it_was_read() {
        for text in ["/var/blobs", "blobs", "s3://aegis", "s3://aegis/a/b.c", "s3://a.b-c/x"] {
            assert_eq!(String::from(place(text).unwrap()), text);
        }
        assert_eq!(place("s3://aegis/").unwrap(), place("s3://aegis").unwrap());
        for text in [
            "",
            "s3://",
            "s3://ab",
            "s3://A_b",
            "s3://aegis//a",
            "s3://aegis/../a",
            "s3://aegis/a b",
            "gs://a",
        ] {
            assert!(place(text).unwrap_err().contains("BUCKET"), "{text}");
        }
    }
}
