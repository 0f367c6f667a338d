//! The running medium as the image of `aegis-installer flash --live`.

use aegis_hw::Bytes;
use serde_json::json;

use super::{PathArgs, lines};
use crate::{
    error::Error,
    flash::image::ImageFile,
    medium::{self, Phase},
    reports::Report,
};

/// Checks the medium that this system runs from, and tells how far that is.
pub(super) fn image(paths: &PathArgs, as_json: bool) -> Result<ImageFile, Error> {
    let mut told = (Phase::Files, 0);
    medium::as_image(&paths.medium, &paths.state, &mut |report: Report<Phase>| {
        let Report { phase, bytes, total, rate, eta, .. } = report;
        let tenth = bytes.saturating_mul(10) / total.max(1);
        if as_json {
            let mut value = json!(report);
            value["event"] = json!("check");
            lines::out(&format!("{value}\n"));
        } else if told != (phase, tenth) {
            told = (phase, tenth);
            let what = match phase {
                Phase::Files => "checking its files",
                Phase::Image => "reading it",
            };
            let left = eta.map(|s| format!(", {s} s left")).unwrap_or_default();
            lines::out(&format!("the medium: {what} {tenth}0 %, {}/s{left}\n", Bytes(rate)));
        }
        true
    })
}
