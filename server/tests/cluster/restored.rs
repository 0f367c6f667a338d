//! A copy of PostgreSQL that is put back by the program.

use std::{fs, path::PathBuf, process::Output};

use nix::sys::signal::Signal;

use crate::{PASSWORD, acts, client::Client, count, program::Place, server, texts};

const ADDRESSES: &str = "SELECT address FROM accounts ORDER BY address";

struct Bench {
    place: Place,
    url: String,
}

impl Bench {
    fn run(&self, verb: &str, file: &str) -> Output {
        self.place.run(&[verb, self.place.path(file).to_str().unwrap()])
    }

    /// Restores, which must go well; returns where the former database is.
    fn restore(&self, file: &str) -> PathBuf {
        let output = self.run("restore", file);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        said.lines().next().unwrap().strip_prefix("the former database is kept as ").unwrap().into()
    }

    /// Refuses a copy, and changes nothing.
    fn refuses(&self, file: &str, code: i32) {
        let before = texts(&self.url, ADDRESSES);
        let output = self.run("restore", file);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && said.contains("next:"), "{said}");
        assert!(!said.contains("pass word") && !said.contains('@'), "{said}");
        assert_eq!(texts(&self.url, ADDRESSES), before);
    }
}

#[test]
fn a_copy_of_postgres_is_put_back_whole_or_not_at_all() {
    let server = server::shared();
    let url = server.database();
    let directory = tempfile::tempdir().unwrap();
    let mail = format!("folder = \"{}/mail\"", directory.path().display());
    let bench = Bench { place: Place::with(directory, &url, &mail), url };
    let served = bench.place.serve();
    let mut client = Client::new(served.public, "192.0.2.1");
    let letters = bench.place.path("mail");
    client.make_account(&letters, "ann@example.org", PASSWORD);
    assert!(bench.run("backup", "copy").status.success());
    client.make_account(&letters, "bob@example.org", PASSWORD);
    bench.refuses("copy", 3);
    served.signal(Signal::SIGTERM);
    assert_eq!(served.wait(), Some(0));

    bench.refuses("missing", 1);
    let mut bytes = fs::read(bench.place.path("copy")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x55);
    fs::write(bench.place.path("damaged"), bytes).unwrap();
    bench.refuses("damaged", 1);
    let database = bench.url.rsplit_once('/').unwrap().1;
    assert!(server.psql(database, "UPDATE migrations SET digest = 'x' || digest WHERE position = 1"));
    let mut copy = server.client("pg_dump");
    copy.args(["--format=custom", "--dbname", database, "--file"]);
    assert!(copy.arg(bench.place.path("foreign")).status().unwrap().success());
    assert!(server.psql(database, "UPDATE migrations SET digest = substr(digest, 2) WHERE position = 1"));
    bench.refuses("foreign", 3);

    let former = bench.restore("copy");
    assert_eq!(texts(&bench.url, ADDRESSES), ["ann@example.org"]);
    let told = acts(&bench.place, &bench.url);
    assert_eq!((count(&told, "account.create"), count(&told, "database.restore")), (1, 1), "{told:?}");
    // What was there before can be had again, and it is served.
    fs::rename(former, bench.place.path("former")).unwrap();
    bench.restore("former");
    assert_eq!(texts(&bench.url, ADDRESSES), ["ann@example.org", "bob@example.org"]);
    let served = bench.place.serve();
    let body = serde_json::json!({"email": "bob@example.org", "password": PASSWORD});
    assert_eq!(Client::new(served.public, "192.0.2.2").json("/api/v1/auth/login", &body).status, 200);
}
