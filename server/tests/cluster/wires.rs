//! Network namespaces: each process has one of its own, joined by a cable to the one with the balancer (HAProxy), through
//! which it also reaches the database.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use crate::{
    client::Client,
    program::{Place, Served},
    server, until,
};

/// Set to the address of the database in the namespace of the balancer, where a test runs again.
pub(crate) const INSIDE: &str = "AEGIS_TEST_DATABASE";
/// Where the balancer says what it knows.
const STATE: &str = "/balancer";
/// Says that it is there, waits for its cable, and becomes the program.
const JOIN: &str = "echo here && read -r _ && ip link set lo up && ip addr add \"$0\" dev eth0 && \
    ip link set eth0 up && exec \"$@\"";

/// Runs a test in a network namespace of its own, which it may change.
pub(crate) fn inside(test: &str, run: impl FnOnce(&str)) {
    if let Ok(url) = std::env::var(INSIDE) {
        return run(&url);
    }
    let server = server::Server::start();
    let mut command = tool("unshare", "util-linux");
    command.arg("--net");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let output = command.env(INSIDE, server.database()).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// A program that may be where only root looks.
fn tool(name: &str, package: &str) -> Command {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let there = path.split(':').any(|folder| fs::metadata(format!("{folder}/{name}")).is_ok());
    assert!(there, "{name} is missing: install Debian's package {package}, or run tests/setup");
    let mut command = Command::new(name);
    command.env("PATH", path);
    command
}

fn ip(arguments: &str) {
    let done = tool("ip", "iproute2").args(arguments.split(' ')).status().unwrap();
    assert!(done.success(), "ip {arguments}");
}

/// The namespace in the middle, with the balancer in it.
pub(crate) struct Network {
    balancer: Child,
    url: String,
    /// Where clients come to.
    pub(crate) front: SocketAddr,
}

impl Network {
    /// Starts the balancer, which finds nobody yet.
    pub(crate) fn new(place: &Place, url: &str) -> Self {
        ip("link set lo up");
        let socket = url.rsplit_once('@').unwrap().1.rsplit_once('/').unwrap().0.replace("%2F", "/");
        let front = "127.0.0.1:8000";
        let text = format!(
            "global\n  tune.rcvbuf.server 65536\n  tune.sndbuf.client 65536\n\
             defaults\n  mode http\n  timeout connect 1s\n  timeout client 1m\n  timeout server 1m\n  timeout check 1s\n  \
             retries 3\n  option redispatch 1\n\
             frontend site\n  bind {front}\n  stats enable\n  stats uri {STATE}\n  default_backend both\n\
             backend both\n  balance roundrobin\n  option httpchk GET /readyz\n  \
             http-response set-header x-served-by %s\n  \
             default-server check port 9090 inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions\n  \
             server one 10.77.1.2:8080\n  server two 10.77.2.2:8080\n\
             listen database\n  mode tcp\n  timeout client 5m\n  timeout server 5m\n  bind 0.0.0.0:5432\n  \
             server postgres unix@{socket}/.s.PGSQL.5432\n"
        );
        let file = place.path("haproxy.cfg");
        fs::write(&file, text).unwrap();
        let mut command = tool("haproxy", "haproxy");
        command.arg("-f").arg(file).args(["-db", "-q"]).stdout(Stdio::null()).stderr(Stdio::null());
        let balancer = command.spawn().unwrap();
        let network = Self { balancer, url: url.into(), front: front.parse().unwrap() };
        until("the balancer listens", || TcpStream::connect(network.front).is_ok());
        network
    }

    /// Waits until the balancer takes processes for `UP` or `DOWN`, the first one first.
    pub(crate) fn until_known(&self, states: [&str; 2]) {
        let line = |name: &str, state: &str| (format!("both,{name},"), format!(",{state},"));
        let wanted = [line("one", states[0]), line("two", states[1])];
        until(&format!("processes are {states:?}"), || {
            let table = Client::new(self.front, "").send("GET", &format!("{STATE};csv"), &[], "");
            let table = table.map_or(String::new(), |answer| answer.body);
            wanted
                .iter()
                .all(|(name, state)| table.lines().any(|line| line.starts_with(name) && line.contains(state)))
        });
    }

    /// Starts the program at the other end of a cable; the first is number 1.
    pub(crate) fn node(&self, place: &Place, number: u8) -> Served {
        let (near, far) = (format!("10.77.{number}.1"), format!("10.77.{number}.2"));
        let (user, rest) = self.url.rsplit_once('@').unwrap();
        let database = format!("{user}@{near}:5432/{}?sslmode=disable", rest.rsplit_once('/').unwrap().1);
        let mut command = tool("unshare", "util-linux");
        command.args(["--net", "sh", "-c", JOIN, &format!("{far}/24")]);
        command.arg(env!("CARGO_BIN_EXE_aegis-server")).arg("--config").arg(place.path("config.toml"));
        for set in [
            format!("storage.database={database}"),
            format!("listen.public=[\"{far}:8080\"]"),
            format!("listen.watch={far}:9090"),
            // All keys come from one address.
            "limits.api_per_hour=1000000".into(),
            format!("listen.trusted_proxies=[\"{near}/32\"]"),
        ] {
            command.args(["--set", &set]);
        }
        command.arg("serve").env("RUST_LOG", "error").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some("here"));
        let name = cable(number);
        ip(&format!("link add {name} type veth peer name eth0 netns {}", child.id()));
        ip(&format!("addr add {near}/24 dev {name}"));
        ip(&format!("link set {name} up"));
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        Served::told(child, lines)
    }

    /// Cuts the cable of a process, or joins it again.
    pub(crate) fn cut(number: u8, cut: bool) {
        ip(&format!("link set {} {}", cable(number), if cut { "down" } else { "up" }));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.balancer.kill();
        let _ = self.balancer.wait();
    }
}

fn cable(number: u8) -> String {
    format!("cable{number}")
}
