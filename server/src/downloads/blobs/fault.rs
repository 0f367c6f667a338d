//! What object storage answers when it does not do what it should, in words that may be logged.
//!
//! Its own errors hold addresses and whole answers, and an answer about a wrong signature repeats the name of the key. So only
//! kinds and codes pass.

use std::error::Error as _;

use object_store::client::{HttpError, HttpErrorKind};

use crate::Error;

/// Characters of a code such as `NoSuchBucket`.
const CODE: usize = 64;

/// The error of this program for one of the store.
pub(super) fn told(doing: &'static str, error: &object_store::Error) -> Error {
    use object_store::Error as Of;
    let text = error.to_string();
    let code = code(&text);
    let problem = match (error, code) {
        (Of::NotFound { .. }, _) | (_, Some("NoSuchBucket")) => "the bucket is not there",
        (Of::PermissionDenied { .. } | Of::Unauthenticated { .. }, _)
        | (_, Some("AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch")) => {
            "it refuses the credentials"
        }
        _ => transport(error).unwrap_or("it answers with an error"),
    };
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    Error::Blobs { doing, problem: format!("{problem}{code}") }
}

fn transport(error: &object_store::Error) -> Option<&'static str> {
    let mut source = error.source();
    while let Some(found) = source {
        if let Some(http) = found.downcast_ref::<HttpError>() {
            return Some(match http.kind() {
                HttpErrorKind::Connect => "it cannot be reached",
                HttpErrorKind::Timeout => "it does not answer in time",
                _ => "the connection to it ended",
            });
        }
        source = found.source();
    }
    None
}

/// The code of an answer, as S3 writes it into XML.
fn code(text: &str) -> Option<&str> {
    let (code, _) = text.split_once("<Code>")?.1.split_once("</Code>")?;
    (code.len() <= CODE && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(code)
}

#[cfg(test)]
mod tests {
    use aegis_core::report::{Hint, render};

    use super::*;

    #[test]
    fn only_the_code_of_an_answer_is_told() {
        let body =
            "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId></Error>";
        let error = object_store::Error::PermissionDenied { path: "sha256/ab".into(), source: body.into() };
        let error = told("asking", &error);
        let text = render(&error);
        assert!(text.contains("refuses the credentials (SignatureDoesNotMatch)"), "{text}");
        assert!(!text.contains("AKIA") && error.hint().is_some(), "{text}");
        for strange in
            ["<Code></Code", "<Code>a b</Code>", &format!("<Code>{}</Code>", "x".repeat(65)), "none"]
        {
            assert_eq!(code(strange), None, "{strange}");
        }
    }
}
