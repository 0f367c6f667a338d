//! The program as a person meets it: lines, JSON, secrets, certificates.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;

use crate::{
    MIB, Place, made,
    server::{Reply, Server, good},
};

impl Place {
    fn program(&self, servers: &[&Server], arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        command.args(["download", "server", "--version", "1.0.0", "--keys"]).arg(&self.keys);
        command.arg("--to").arg(self.dir.path()).args(arguments).stdin(Stdio::null());
        for server in servers {
            command.arg("--from").arg(server.origin());
        }
        command.env_remove("AEGIS_TOKEN");
        command
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn lines_of_json_tell_everything_up_to_the_end() {
    let (place, (made, files)) = (Place::new(), made());
    let server = Server::good(&files);
    let plan = place.program(&[&server], &["--plan", "--json"]).output().unwrap();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(
        (&plan["edition"], &plan["development"], &plan["chunks"]),
        (&"server".into(), &true.into(), &true.into())
    );
    assert!(place.names().is_empty() && server.images().is_empty());

    let output = place.program(&[&server], &["--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!((events[0], *events.last().unwrap()), ("asked", "complete"), "{events:?}");
    let last = lines.iter().rfind(|line| line["event"] == "progress").unwrap();
    assert_eq!((&last["phase"], &last["bytes"]), (&"download".into(), &made.content.len().into()));
    assert!(["seq", "total", "rate", "eta", "file"].iter().all(|name| last.get(name).is_some()), "{last}");

    // A failure is an event too, and names what is kept.
    fs::rename(place.file(made.name), place.part()).unwrap();
    fs::OpenOptions::new().write(true).open(place.part()).unwrap().set_len(1 << 20).unwrap();
    let gone = Server::new(&files, |files, asked| match asked.is_image() {
        true => Reply::status("410 Gone"),
        false => good(files, asked),
    });
    let output = place.program(&[&gone], &["--json"]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(lines.contains("\"event\":\"kept\"") && lines.contains("\"bytes\":1048576"), "{lines}");
    assert!(lines.lines().last().unwrap().contains("\"event\":\"failed\""), "{lines}");
}

#[test]
fn a_token_goes_to_the_named_server_alone_and_is_never_shown() {
    const TOKEN: &str = "aegis-secret-0123456789";
    let (place, (_, files)) = (Place::new(), made());
    let elsewhere = Server::good(&files);
    let to = elsewhere.origin();
    let server = Server::new(&files, move |files, asked| match asked.is_image() {
        true => Reply::redirect(&format!("{to}{}", asked.target)),
        false => good(files, asked),
    });
    let file = place.keys.with_file_name("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let output = place.program(&[&server], &["--token-file", file.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success() && !text(&output).contains(TOKEN), "{}", text(&output));
    let bearer = format!("Bearer {TOKEN}");
    assert!(server.asked().iter().all(|asked| asked.header("authorization") == Some(&bearer)));
    assert!(elsewhere.images().iter().all(|asked| asked.header("authorization").is_none()));
    assert_eq!(elsewhere.images().len(), 1);

    // Nobody may read it on the way, whatever the server says.
    let mut open = place.program(&[], &["--from", "http://mirror.example"]);
    let output = open.env("AEGIS_TOKEN", TOKEN).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("is not encrypted") && !text(&output).contains(TOKEN));
    let output = place.program(&[&server], &[]).env("AEGIS_TOKEN", "two\nlines").output().unwrap();
    assert!(output.status.code() == Some(2) && !text(&output).contains("two"), "{}", text(&output));
    let output = place.program(&[], &["--link", "htp://x/?signature=abcdef"]).output().unwrap();
    assert!(output.status.code() == Some(2) && !text(&output).contains("abcdef"), "{}", text(&output));
}

#[test]
fn an_image_is_written_while_it_comes_over_cuts_and_never_with_a_wrong_byte() {
    let (place, (made, files)) = (Place::new(), made());
    for directory in ["sys/block", "proc/self", "run"] {
        fs::create_dir_all(place.file(directory)).unwrap();
    }
    fs::write(place.file("proc/self/mountinfo"), "1 0 0:1 / / rw - tmpfs tmpfs rw\n").unwrap();
    let flash = |server: &Server| {
        let stick = fs::File::create(place.file("stick")).unwrap();
        stick.set_len(16 << 20).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        command
            .arg("flash")
            .arg(format!("{}{}", server.origin(), made.image_path()))
            .arg("--keys")
            .arg(&place.keys);
        command.arg("--to").arg(place.file("stick")).args(["--serial", "stick", "--edition", "server"]);
        command.arg("--sysfs-root").arg(place.file("sys")).arg("--proc-root").arg(place.file("proc"));
        command.arg("--state").arg(place.file("run")).arg("--lock").arg(place.file("lock"));
        command.stdin(Stdio::null()).env_remove("AEGIS_TOKEN").output().unwrap()
    };
    // What is signed of it, a look at its start, and then all of it.
    let server = Server::new(&files, |files, asked| match (asked.is_image(), asked.from) {
        (true, None) => good(files, asked).cut(2 * MIB + 99),
        _ => good(files, asked),
    });
    let output = flash(&server);
    assert!(output.status.success() && text(&output).contains("complete and read back"), "{}", text(&output));
    assert!(fs::read(place.file("stick")).unwrap()[..made.content.len()] == made.content);
    assert!(server.images().iter().any(|asked| asked.from == Some(2 * (1 << 20) + 99)));

    let wrong = Server::new(&files, |files, asked| {
        let mut reply = good(files, asked);
        if asked.is_image() {
            let at = reply.body.len() - 5;
            reply.body[at] ^= 1;
        }
        reply
    });
    let output = flash(&wrong);
    assert!(
        output.status.code() == Some(1) && text(&output).contains("was not written"),
        "{}",
        text(&output)
    );
    assert!(fs::read(place.file("stick")).unwrap()[..MIB].iter().all(|byte| *byte == 0));
}

/// A certificate for `localhost` that is its own authority.
fn certificate(directory: &Path) -> Arc<ServerConfig> {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(directory)
        .output()
        .expect("openssl is missing: install Debian's package openssl");
    assert!(made.status.success(), "{}", text(&made));
    let chain = CertificateDer::from_pem_file(directory.join("certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(directory.join("key.pem")).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![chain], key).unwrap())
}

#[test]
fn encrypted_servers_are_known_by_their_certificates_and_lead_to_encrypted_ones_only() {
    let (place, (made, files)) = (Place::new(), made());
    let keys = place.keys.parent().unwrap();
    let tls = certificate(keys);
    let authority = keys.join("certificate.pem");
    let server = Server::secure(&files, tls.clone(), good);
    let fetch = |servers: &[&Server], authority: &Path| {
        place
            .program(servers, &[])
            .env("SSL_CERT_FILE", authority)
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap()
    };
    let other = tempfile::tempdir().unwrap();
    certificate(other.path());
    let refused = fetch(&[&server], &other.path().join("certificate.pem"));
    assert!(refused.status.code() == Some(1) && server.asked().is_empty(), "{}", text(&refused));
    assert!(text(&refused).contains("certificate"), "{}", text(&refused));

    let open = Server::good(&files);
    let to = open.origin();
    let leads = Server::secure(&files, tls, move |files, asked| match asked.is_image() {
        true => Reply::redirect(&format!("{to}{}", asked.target)),
        false => good(files, asked),
    });
    let refused = fetch(&[&leads], &authority);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused));
    assert!(text(&refused).contains("an address that is not encrypted") && open.asked().is_empty());

    let output = fetch(&[&server], &authority);
    assert!(output.status.success() && place.image() == made.content, "{}", text(&output));
}
