use aegis_core::{
    crypto::{Ring, key_id},
    hex::Hex,
    key::{KeyRole, PublicKey, RsaKey, VerifyError},
};
use aegis_hw::Bytes;
use rsa::{
    RsaPrivateKey,
    pkcs1::EncodeRsaPublicKey,
    pkcs8::{EncodePrivateKey, LineEnding},
};

use super::*;
use crate::{
    flash::{Failure, format::Format},
    plan::{Hardware, TargetDisk},
};

fn to(directory: impl Into<PathBuf>, key: Option<&Path>) -> Destination {
    Destination { directory: directory.into(), key: key.map(Into::into) }
}

fn image(name: &str) -> ImageFile {
    ImageFile {
        path: Path::new("/images").join(name),
        format: Format::Raw,
        size: 7,
        expected: None,
        head: Vec::new(),
        stream: None,
        map: None,
    }
}

fn end(outcome: Outcome) -> Ended {
    let mut target = TargetDisk::of_file("/dev/sdb".into(), Bytes(1 << 30), 512);
    target.identity.diskseq = Some(7);
    target.hardware = Some(Box::new(Hardware {
        name: "sdb".into(),
        model: Some("SanDisk\u{202e} Ultra".into()),
        serial: Some("4C530001230420111152".into()),
        shares_serial: false,
        port: Some("2-1.4".into()),
    }));
    Ended { target, plan: 0, taken: false, outcome }
}

fn complete() -> Outcome {
    Outcome::Complete { length: 7, skipped: 2, sha256: Hex([0x5f; 32]), written: 7, ms: 1 }
}

fn receipt(name: &str, outcome: Outcome) -> Receipt {
    Receipt::new(&image(name), &end(outcome), &Timing::begin(), UnixTime(1_795_000_000))
}

#[test]
fn labels_say_what_is_on_a_stick_and_fit_a_line() {
    let label = receipt("aegis-server-0.1.0.iso.zst", complete()).label;
    assert_eq!(label, "aegis-server-0.1.0 | 5f5f5f5f5f5f | 2026-11-18 | SN ..20111152 | port 2-1.4");
    let failed = receipt("aegis-server-0.1.0.iso", Outcome::NotBootable(Failure::Cancelled));
    assert!(failed.label.starts_with("aegis-server-0.1.0 | NOT BOOTABLE | 2026-"), "{}", failed.label);
    assert_eq!(failed.error.as_deref(), Some("error: stopped on request"));
    assert_eq!((failed.verified, failed.written, failed.image.sha256), (None, None, None));
    assert!(receipt("a", Outcome::Untouched(Failure::Cancelled)).label.contains("NOT WRITTEN"));
    for name in ["ä\u{1b}[2J.img", &"x".repeat(300), ""] {
        let label = receipt(name, complete()).label;
        assert!(label.len() <= LABEL && label.bytes().all(|b| (0x20..0x7f).contains(&b)), "{label:?}");
    }
}

#[test]
fn phases_add_up_over_a_return() {
    let mut timing = Timing::begin();
    timing.phase = Some((Phase::Write, Instant::now() - std::time::Duration::from_millis(40)));
    timing.enter(None);
    timing.phase = Some((Phase::Write, Instant::now() - std::time::Duration::from_millis(40)));
    timing.enter(Some(Phase::Verify));
    assert!(timing.phases["write"] >= 80, "{timing:?}");
    assert_eq!(timing.phases.len(), 1);
}

/// A pair of keys as `aegis keys generate` writes them.
fn keys(directory: &Path, name: &str, role: KeyRole, not_after: u64) -> (PathBuf, PublicKey) {
    let private = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let der = private.to_public_key().to_pkcs1_der().unwrap();
    let public = PublicKey {
        id: key_id::<Ring>(der.as_bytes()),
        role,
        development: false,
        not_before: 0,
        not_after,
        rsa: RsaKey::from_der(der.as_bytes()).unwrap(),
    };
    let path = directory.join(format!("{name}.key.pem"));
    fs::write(&path, private.to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes()).unwrap();
    fs::write(directory.join(format!("{name}.der")), private.to_pkcs8_der().unwrap().as_bytes()).unwrap();
    fs::write(directory.join(format!("{name}.pub.json")), serde_json::to_string(&public).unwrap()).unwrap();
    (path, public)
}

#[test]
fn receipts_are_signed_and_a_changed_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let (key, public) = keys(at, "receipt", KeyRole::Receipt, u64::MAX);
    let (_, other) = keys(at, "license", KeyRole::License, u64::MAX);
    for key in [key, at.join("receipt.der")] {
        let mut receipts = Receipts::open(&to(at.join("out"), Some(&key))).unwrap();
        let (path, label) = receipts.write(&image("x.img"), 0, &end(complete())).unwrap();
        let read = verify(&path, std::slice::from_ref(&public)).unwrap();
        assert_eq!((read.outcome, &read.label), (Kind::Complete, &label));
        assert_eq!(read.device.model.as_deref(), Some("SanDisk\u{202e} Ultra"));
        let unknown = verify(&path, std::slice::from_ref(&other)).unwrap_err();
        assert!(
            matches!(unknown, Error::Signature { source: VerifyError::UnknownKey(_), .. }),
            "{unknown:?}"
        );
        assert_eq!(aegis_core::report::Hint::exit_code(&unknown), 3);
        let wrong = PublicKey { role: KeyRole::License, ..public.clone() };
        let refused = verify(&path, &[wrong]).unwrap_err();
        assert!(matches!(refused, Error::Signature { source: VerifyError::WrongRole { .. }, .. }));
        let expired = PublicKey { not_after: 5, ..public.clone() };
        let refused = verify(&path, &[expired]).unwrap_err();
        assert!(matches!(refused, Error::Signature { source: VerifyError::KeyExpired { .. }, .. }));
        let text =
            fs::read_to_string(&path).unwrap().replace("not-bootable", "complete").replace("4C53", "4C54");
        fs::write(&path, text).unwrap();
        let refused = verify(&path, std::slice::from_ref(&public)).unwrap_err();
        assert!(matches!(refused, Error::Signature { source: VerifyError::Mismatch(_), .. }));
    }
    // Two sticks of the same second have two receipts, each with its signature.
    assert_eq!(fs::read_dir(at.join("out")).unwrap().count(), 4);
}

#[test]
fn only_keys_for_receipts_sign_them() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let problem = |path: &Path| match Signer::open(path).unwrap_err() {
        Error::Key { problem, .. } => problem,
        other => panic!("{other:?}"),
    };
    let (license, _) = keys(at, "license", KeyRole::License, u64::MAX);
    assert_eq!(problem(&license), "is for something else than receipts");
    let (one, _) = keys(at, "one", KeyRole::Receipt, u64::MAX);
    fs::copy(at.join("license.pub.json"), at.join("one.pub.json")).unwrap();
    assert_eq!(problem(&one), "does not belong to the public key beside it");
    for (text, said) in [
        ("", "is no RSA key of 2048 bits or more in the form PKCS#8"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n", "is no PEM"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
            "has no private key of the form PKCS#8",
        ),
    ] {
        fs::write(at.join("bad.pem"), text).unwrap();
        assert_eq!(problem(&at.join("bad.pem")), said);
    }
}

#[test]
fn no_receipt_is_begun_where_none_can_be_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(Receipts::open(&to(&file, None)).is_err());
    assert!(Receipts::open(&to("/proc/receipts", None)).is_err());
    // What became impossible later is an error of the receipt alone.
    let mut receipts = Receipts::open(&to(directory.path().join("out"), None)).unwrap();
    fs::remove_dir(directory.path().join("out")).unwrap();
    let error = receipts.write(&image("x"), 0, &end(complete())).unwrap_err();
    assert!(matches!(error, Error::Io { operation: "write", .. }), "{error:?}");
}
