//! The releases that can be had, in pages.
//!
//! A cursor is a place in the order of all releases, whether or not there is one, so that a page stays right when releases
//! are added or removed meanwhile.

use std::sync::Arc;

use aegis_core::{channel::Channel, edition::Edition, time::UnixTime, version::Version};
use axum::extract::State;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api,
    body::Parameters,
    catalogue::{Answer, ChannelId, EditionId, answer},
};
use crate::http::Problem;

/// Releases of a page when nothing is said.
const PAGE: usize = 20;
/// Releases of a page at most.
const PAGE_MAX: usize = 100;
/// Bytes of a place: time, edition, version, channel.
const PLACE: usize = 8 + 1 + 17 + 1;

/// A release that can be downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Release {
    /// Which edition.
    #[schema(value_type = EditionId, inline = false)]
    pub edition: Edition,
    /// Its version, such as `1.4.0` or `1.4.0-rc.2`.
    #[schema(value_type = String, example = "1.4.0")]
    pub version: Version,
    /// The channel that it is on.
    #[schema(value_type = ChannelId, inline = false)]
    pub channel: Channel,
    /// When it was published.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "rfc3339")]
    pub published: UnixTime,
    /// Bytes of the ISO.
    #[schema(minimum = 0)]
    pub size: u64,
    /// SHA-256 of the ISO, in lower case.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: String,
    /// Where it is, a path on this site.
    pub url: String,
}

fn rfc3339<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

impl Release {
    /// Its place among all releases, compared byte by byte: the latest first, then by edition, the highest version first.
    fn place(&self) -> Vec<u8> {
        // With the sign turned, earlier times are smaller numbers; inverted, later ones are.
        let published = !(self.published.0.cast_unsigned() ^ (1 << 63));
        let Version { major, minor, patch, pre } = self.version;
        let (stage, number) = pre.map_or((u8::MAX, 0), |(stage, number)| (stage as u8, number));
        let numbers = [major, minor, patch].map(u32::to_be_bytes).concat();
        let version = [numbers.as_slice(), &[stage], &number.to_be_bytes()].concat();
        let version: Vec<_> = version.iter().map(|byte| !byte).collect();
        [published.to_be_bytes().as_slice(), &[self.edition as u8], &version, &[self.channel as u8]].concat()
    }
}

/// Brings releases into the order of the answer.
pub(super) fn sort(releases: &mut [Release]) {
    releases.sort_by_cached_key(Release::place);
}

/// Which releases.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Question {
    /// Of this edition alone.
    #[param(value_type = Option<EditionId>, required = false, nullable = false)]
    edition: Option<Edition>,
    /// Of this channel alone.
    #[param(value_type = Option<ChannelId>, required = false, nullable = false)]
    channel: Option<Channel>,
    /// The next page, by `next` of the page before.
    #[param(required = false, nullable = false, pattern = "^[0-9a-f]{54}$")]
    cursor: Option<String>,
    /// Releases of a page; 20 when nothing is said.
    #[param(minimum = 1, maximum = 100, required = false, nullable = false)]
    limit: Option<usize>,
}

impl Question {
    fn includes(&self, release: &Release) -> bool {
        self.edition.is_none_or(|edition| edition == release.edition)
            && self.channel.is_none_or(|channel| channel == release.channel)
    }

    /// Behind which place the page begins.
    fn start(&self) -> Result<Option<Vec<u8>>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let place = HEXLOWER.decode(cursor.as_bytes()).ok().filter(|place| place.len() == PLACE);
        place.map(Some).ok_or_else(|| Problem::field("cursor", "is not the `next` of a page"))
    }
}

/// A page of releases.
#[derive(Serialize, ToSchema)]
pub(super) struct Releases<'a> {
    /// The latest first.
    releases: Vec<&'a Release>,
    /// The cursor of the next page; null on the last one.
    next: Option<String>,
}

/// The releases that can be had, the latest first.
#[utoipa::path(get, path = "/api/v1/releases", tag = "releases", params(Question),
    responses((status = 200, description = "A page of releases", body = Releases)))]
pub(super) async fn releases(
    State(api): State<Arc<Api>>,
    Parameters(question): Parameters<Question>,
) -> Result<Answer, Problem> {
    let limit = question.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::field("limit", format!("must be from 1 to {PAGE_MAX}")));
    }
    let (start, all) = (question.start()?, api.releases());
    let begin = start.map_or(0, |start| all.partition_point(|release| release.place() <= start));
    let mut rest = all[begin..].iter().filter(|release| question.includes(release));
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let next = page.last().filter(|_| rest.next().is_some()).map(|last| HEXLOWER.encode(&last.place()));
    answer(&Releases { releases: page, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_comes_first_and_a_release_before_what_preceded_it() {
        let release = |published: i64, edition, version: &str| Release {
            edition,
            version: version.parse().unwrap(),
            channel: Channel::Stable,
            published: UnixTime(published),
            size: 0,
            sha256: String::new(),
            url: String::new(),
        };
        let expected = vec![
            release(i64::MAX, Edition::Server, "1.0.0"),
            release(2, Edition::Server, "1.0.0"),
            release(1, Edition::Basic, "1.10.0"),
            release(1, Edition::Basic, "1.9.0"),
            release(1, Edition::Basic, "1.9.0-rc.10"),
            release(1, Edition::Basic, "1.9.0-rc.9"),
            release(1, Edition::Basic, "1.9.0-beta.11"),
            release(1, Edition::Gamer, "2.0.0"),
            release(0, Edition::Freemium, "1.0.0"),
            release(-1, Edition::Freemium, "1.0.0"),
            release(i64::MIN, Edition::Freemium, "1.0.0"),
        ];
        let mut sorted = expected.clone();
        sorted.reverse();
        sort(&mut sorted);
        assert_eq!(sorted, expected);
        assert!(expected.iter().all(|release| release.place().len() == PLACE));
    }
}
