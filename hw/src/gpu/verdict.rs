//! What is believed of a device's encoder, and why: a probe is worth more than a driver's word, and that more than the table.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::{
    Count, Entry,
    answer::{Answer, Asked, Codec, Failure, Source},
};
use crate::text::Shown;

/// Whether videos can be encoded by a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Encoder {
    /// It has none.
    None,
    /// Its maker disabled it in this product.
    Disabled,
    /// It has one, and the driver that can use it is bound.
    Ready,
    /// It has one, and cannot be used.
    Unusable {
        /// The driver that is bound; `None` when there is none.
        driver: Option<String>,
        /// What can use it: drivers of the kernel, or a library.
        needs: Vec<&'static str>,
    },
    /// It has one, and using it was tried and failed.
    Failed {
        /// Who failed.
        source: Source,
        /// How.
        failure: Failure,
    },
    /// The table does not say, and nobody else did.
    Unknown,
}

impl fmt::Display for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no encoder"),
            Self::Disabled => f.write_str("encoder disabled by the maker"),
            Self::Ready => f.write_str("encoder ready"),
            Self::Unusable { driver: Some(driver), needs } => {
                let driver = Shown(driver);
                write!(f, "encoder present, not usable: {driver} drives it, {} is needed", needs.join(" or "))
            }
            Self::Unusable { driver: None, needs } => {
                write!(f, "encoder present, not usable: no driver, {} is needed", needs.join(" or "))
            }
            Self::Failed { source, failure } => write!(f, "encoder present, not usable: {source}: {failure}"),
            Self::Unknown => f.write_str("encoder unknown"),
        }
    }
}

/// How something is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "by", content = "source")]
pub enum Evidence {
    /// By the device's ids alone.
    Table,
    /// The driver says so.
    Driver(Source),
    /// The encoder was opened, and enumerated what it does.
    Probe(Source),
}

impl Evidence {
    fn of(source: Source) -> Self {
        if source.probes() { Self::Probe(source) } else { Self::Driver(source) }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table => f.write_str("by table"),
            Self::Driver(source) => write!(f, "by driver ({source})"),
            Self::Probe(source) => write!(f, "confirmed by probe ({source})"),
        }
    }
}

/// What the table says and what was found, where they differ. What was found is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    /// What it is about.
    pub about: &'static str,
    /// By the table.
    pub table: String,
    /// By the driver or the probe.
    pub found: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the table says {}, found {}", self.about, self.table, Shown(&self.found))
    }
}

/// What is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether it encodes.
    #[serde(flatten)]
    pub state: Encoder,
    /// How that is known.
    pub evidence: Evidence,
    /// What it encodes.
    pub codecs: Vec<Codec>,
    /// Engines that encode; a range or `?` by the table.
    pub engines: Option<String>,
    /// Where the table is wrong.
    pub disagreements: Vec<Disagreement>,
}

/// What the table alone makes of a device.
fn by_table(chip: Option<&Entry>, driver: Option<&str>) -> Verdict {
    let codecs = chip.map_or(&[][..], |chip| &chip.codecs).iter().map(Codec::named).collect();
    let state = chip.map_or(Encoder::Unknown, |chip| state(chip, driver));
    let engines = chip.map(|chip| chip.encoders.to_string());
    Verdict { state, evidence: Evidence::Table, codecs, engines, disagreements: Vec::new() }
}

fn state(chip: &Entry, driver: Option<&str>) -> Encoder {
    match chip.encoders {
        Count::Known { most: 0, .. } => Encoder::None,
        Count::Disabled => Encoder::Disabled,
        Count::Unknown => Encoder::Unknown,
        Count::Known { .. } => {
            let needs = chip.encoding_drivers();
            match driver {
                Some(driver) if needs.contains(&driver) => Encoder::Ready,
                driver => Encoder::Unusable { driver: driver.map(Into::into), needs },
            }
        }
    }
}

/// Judges a device by everything that is known of it.
pub(super) fn judge(chip: Option<&Entry>, driver: Option<&str>, asked: &[Asked]) -> Verdict {
    let mut verdict = by_table(chip, driver);
    let answers = || asked.iter().filter_map(|asked| Some((asked.source, asked.answer.as_ref()?)));
    let said =
        |probe: bool| answers().find(|(source, answer)| source.probes() == probe && answer.codecs.is_some());
    let claimed = said(false);
    if let Some((source, answer)) = said(true).or(claimed) {
        believe(&mut verdict, source, answer);
        // The kernel knows of encoders, and the library that programs go through offers none of them.
        let offered = claimed.is_some_and(|(_, claim)| !is_empty(claim));
        if verdict.state == Encoder::None && offered && source == Source::VaApi {
            let driver = driver.map(Into::into);
            verdict.state = Encoder::Unusable { driver, needs: vec!["a VA-API driver that encodes"] };
        }
        verdict.disagreements = disagreements(chip, &verdict, answer);
    }
    if verdict.state == Encoder::Ready && !matches!(verdict.evidence, Evidence::Probe(_)) {
        let failures = asked.iter().filter_map(|asked| Some((asked.source, asked.failure.as_ref()?)));
        let mut hard = failures.filter(|(source, failure)| failure.stops(*source));
        if let Some((source, failure)) = hard.next_back() {
            verdict.state = Encoder::Failed { source, failure: failure.clone() };
        }
    }
    verdict
}

fn is_empty(answer: &Answer) -> bool {
    answer.codecs.as_ref().is_none_or(Vec::is_empty)
}

fn believe(verdict: &mut Verdict, source: Source, answer: &Answer) {
    verdict.evidence = Evidence::of(source);
    verdict.codecs = answer.codecs.clone().unwrap_or_default();
    verdict.state = if verdict.codecs.is_empty() { Encoder::None } else { Encoder::Ready };
    match (answer.encoders, &verdict.state) {
        (Some(count), _) => verdict.engines = Some(count.to_string()),
        (None, Encoder::None) => verdict.engines = Some("0".into()),
        (None, _) => {}
    }
}

/// Codecs that both the table and drivers speak of, without their variants.
const FAMILIES: [&str; 4] = ["h264", "hevc", "vp9", "av1"];

fn families<'a>(codecs: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let family = |name: &'a str| name.split('-').next().filter(|family| FAMILIES.contains(family));
    codecs.filter_map(family).collect()
}

fn disagreements(chip: Option<&Entry>, verdict: &Verdict, answer: &Answer) -> Vec<Disagreement> {
    let Some(chip) = chip else { return Vec::new() };
    let found_one = !matches!(verdict.state, Encoder::None);
    let expects_one = match chip.encoders {
        Count::Known { most, .. } => most > 0,
        Count::Disabled => false,
        Count::Unknown => return Vec::new(),
    };
    let differs = |about, table: String, found: String| Disagreement { about, table, found };
    if found_one != expects_one {
        let found = if found_one { "an encoder" } else { "none" };
        return vec![differs("encoder", chip.encoders.to_string(), found.into())];
    }
    let mut list = Vec::new();
    // Of AMD's and Intel's engines, kernels count differently over the years.
    if let (Count::Known { least, most }, Some(found), Evidence::Probe(Source::Nvenc)) =
        (chip.encoders, answer.encoders, verdict.evidence)
        && !(u32::from(least)..=u32::from(most)).contains(&found)
    {
        list.push(differs("engines", chip.encoders.to_string(), found.to_string()));
    }
    let table = families(chip.codecs.iter().map(String::as_str));
    let found = families(verdict.codecs.iter().map(|codec| codec.name.as_str()));
    if table != found && found_one {
        let join = |set: BTreeSet<&str>| set.into_iter().collect::<Vec<_>>().join(", ");
        list.push(differs("codecs", join(table), join(found)));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoadError, gpu::table};

    fn codecs(names: &[&str]) -> Answer {
        let codecs = names.iter().map(|name| Codec::named(*name)).collect();
        Answer { codecs: Some(codecs), ..Answer::default() }
    }

    fn judged(device: u16, driver: Option<&str>, asked: Vec<Asked>) -> Verdict {
        judge(table::find(0x10de, device).as_ref(), driver, &asked)
    }

    const NVML: Source = Source::Nvml;
    const NVENC: Source = Source::Nvenc;
    const RTX_4090: u16 = 0x2684;
    const H200: u16 = 0x2335;

    fn asked(source: Source, outcome: Result<Answer, Failure>) -> Asked {
        Asked::new(source, outcome)
    }

    #[test]
    fn by_table_alone() {
        let state = |device, driver| judged(device, driver, Vec::new()).state;
        assert_eq!(state(RTX_4090, Some("nvidia")), Encoder::Ready);
        assert_eq!(state(H200, Some("nvidia")), Encoder::None);
        assert_eq!(state(0xffff, Some("nvidia")), Encoder::Unknown);
        for (driver, text) in [
            (Some("nouveau"), "encoder present, not usable: nouveau drives it, nvidia is needed"),
            (Some("vfio-pci"), "encoder present, not usable: vfio-pci drives it, nvidia is needed"),
            (None, "encoder present, not usable: no driver, nvidia is needed"),
        ] {
            assert_eq!(state(RTX_4090, driver).to_string(), text);
        }
    }

    #[test]
    fn a_probe_is_worth_more_than_a_driver_and_that_more_than_the_table() {
        let nvml = || asked(NVML, Ok(codecs(&["h264", "hevc", "av1"])));
        let by_driver = judged(RTX_4090, Some("nvidia"), vec![nvml()]);
        assert_eq!((by_driver.state, by_driver.evidence), (Encoder::Ready, Evidence::Driver(NVML)));
        assert_eq!(by_driver.disagreements, []);
        let probe =
            Answer { encoders: Some(2), ..codecs(&["h264", "h264-444", "hevc", "hevc-10", "av1", "av1-10"]) };
        let both = judged(RTX_4090, Some("nvidia"), vec![nvml(), asked(NVENC, Ok(probe))]);
        assert_eq!((both.evidence, both.engines.as_deref()), (Evidence::Probe(NVENC), Some("2")));
        assert_eq!((both.codecs.len(), both.disagreements.len()), (6, 0));
        // NVML has a number for chips without an encoder; opening one decides.
        let none = judged(H200, Some("nvidia"), vec![nvml(), asked(NVENC, Ok(codecs(&[])))]);
        assert_eq!((none.state, none.engines.as_deref()), (Encoder::None, Some("0")));
        assert_eq!(none.disagreements, []);
    }

    #[test]
    fn the_driver_wins_against_the_table_and_the_difference_is_told() {
        let wrong = judged(H200, Some("nvidia"), vec![asked(NVML, Ok(codecs(&["h264"])))]);
        assert_eq!(wrong.state, Encoder::Ready);
        assert_eq!(wrong.disagreements[0].to_string(), "encoder: the table says 0, found an encoder");
        let lost = judged(RTX_4090, Some("nvidia"), vec![asked(NVENC, Ok(codecs(&[])))]);
        assert_eq!((lost.state, lost.disagreements[0].about), (Encoder::None, "encoder"));
        let probe = Answer { encoders: Some(4), ..codecs(&["h264", "hevc"]) };
        let other = judged(RTX_4090, Some("nvidia"), vec![asked(NVENC, Ok(probe))]);
        let told: Vec<String> = other.disagreements.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "engines: the table says 1-3, found 4",
                "codecs: the table says av1, h264, hevc, found h264, hevc"
            ]
        );
    }

    #[test]
    fn failures() {
        let with =
            |failure: Failure| judged(RTX_4090, Some("nvidia"), vec![asked(NVENC, Err(failure))]).state;
        let limit = Failure::Limit { code: 21 };
        assert_eq!(
            with(limit).to_string(),
            "encoder present, not usable: NVENC: limit of sessions reached, or refused (code 21)"
        );
        assert!(matches!(with(Failure::TimedOut { seconds: 15 }), Encoder::Failed { source: NVENC, .. }));
        // A library that is not installed says nothing about the device.
        let absent = Failure::Library(LoadError::Absent { library: "libnvidia-encode.so.1".into() });
        assert_eq!(with(absent), Encoder::Ready);
        // A device without an encoder has none, whatever failed.
        let none = judged(H200, Some("nvidia"), vec![asked(NVENC, Err(Failure::Mismatch))]);
        assert_eq!(none.state, Encoder::None);
    }

    #[test]
    fn libraries_of_another_version_stop_everything() {
        let absent = Failure::Library(LoadError::Absent { library: "libnvidia-encode.so.1".into() });
        let all = vec![asked(NVML, Err(Failure::Mismatch)), asked(NVENC, Err(absent))];
        let verdict = judged(RTX_4090, Some("nvidia"), all);
        assert_eq!(verdict.state, Encoder::Failed { source: NVML, failure: Failure::Mismatch });
        // That it has one is still known by the table alone.
        assert_eq!(verdict.evidence, Evidence::Table);
        let unsure = vec![asked(NVML, Err(Failure::Refused { call: "nvmlInit_v2".into(), code: 999 }))];
        assert_eq!(judged(RTX_4090, Some("nvidia"), unsure).state, Encoder::Ready);
    }

    #[test]
    fn va_api_that_offers_less_than_the_kernel() {
        let chip = table::find(0x1002, 0x744c);
        let kernel = asked(Source::Kernel, Ok(codecs(&["h264", "hevc", "av1"])));
        let va = asked(Source::VaApi, Ok(codecs(&[])));
        let verdict = judge(chip.as_ref(), Some("amdgpu"), &[kernel.clone(), va]);
        let text = "encoder present, not usable: amdgpu drives it, a VA-API driver that encodes is needed";
        assert_eq!(verdict.state.to_string(), text);
        let engines = Answer { video_engines: Some(2), ..Answer::default() };
        let intel = table::find(0x8086, 0x56a0);
        let verdict = judge(intel.as_ref(), Some("i915"), &[asked(Source::Kernel, Ok(engines))]);
        assert_eq!((verdict.state, verdict.evidence), (Encoder::Ready, Evidence::Table));
        let verdict = judge(chip.as_ref(), Some("amdgpu"), &[kernel]);
        assert_eq!(verdict.evidence, Evidence::Driver(Source::Kernel));
    }
}
