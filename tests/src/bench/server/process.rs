//! The servers, and what the kernel says of them.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{loopback, wrong};
use crate::{bench::Bench, error::Error};

/// The other server of files, and its version; `cargo install`ed by the first run.
pub(super) const OTHER: &str = "static-web-server";
const OTHER_VERSION: &str = "2.44.1";

/// The path of the file at our server; nginx has it under the same.
pub(super) const DOWNLOAD: &str = "/download/freemium/1.0.0/image.iso";

/// A server that runs.
pub(super) struct Process {
    pub(super) name: &'static str,
    /// Where it speaks plainly; a server that does not has its only address here.
    pub(super) plain: SocketAddr,
    /// Where it speaks TLS.
    pub(super) secure: SocketAddr,
    child: Child,
    /// Requests whose path is another one there.
    paths: Vec<(&'static str, &'static str)>,
}

impl Drop for Process {
    fn drop(&mut self) {
        for pid in self.family() {
            // By number, and only our own child and its children.
            let _ = Command::new("kill").arg(pid.to_string()).status();
        }
        let _ = self.child.wait();
    }
}

impl Process {
    /// The path under which this server has what ours has under `path`.
    pub(super) fn path(&self, path: &str) -> String {
        let other = self.paths.iter().find(|(ours, _)| *ours == path);
        other.map_or(path, |(_, theirs)| theirs).to_owned()
    }

    /// Our child and its children: nginx has a worker.
    fn family(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).chain([own]).collect()
    }

    /// Seconds of processor time, of user and system.
    pub(super) fn seconds(&self) -> Result<f64, Error> {
        let mut ticks = 0;
        for pid in self.family() {
            let path = format!("/proc/{pid}/stat");
            let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
            // After the name, which may hold anything, come state and numbers; the 14th and 15th field are times (proc(5)).
            let fields: Vec<_> =
                text.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
            let number = |place: usize| fields.get(place).and_then(|field| field.parse::<u64>().ok());
            let (Some(user), Some(system)) = (number(11), number(12)) else { return Err(wrong(path)) };
            ticks += user + system;
        }
        // USER_HZ is 100 on every architecture that this runs on.
        Ok(ticks as f64 / 100.0)
    }

    /// Bytes of memory now.
    pub(super) fn resident(&self) -> Result<u64, Error> {
        self.status("VmRSS:")
    }

    /// Most bytes of memory so far.
    pub(super) fn peak(&self) -> Result<u64, Error> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<u64, Error> {
        let mut sum = 0;
        for pid in self.family() {
            let path = format!("/proc/{pid}/status");
            let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
            sum += kilobytes.ok_or_else(|| wrong(&path))? * 1024;
        }
        Ok(sum)
    }
}

/// Starts our server with the release published, by TLS alone or without it.
pub(super) fn ours(bench: &Bench, work: &Path, keys: &Path, secure: bool) -> Result<Process, Error> {
    let address = free()?;
    let program = bench.binaries.join("release/aegis-server");
    let data = work.join(if secure { "data-secure" } else { "data" });
    fs::create_dir_all(&data).map_err(Error::io("create", &data))?;
    let text = format!(
        "[listen]\npublic = [\"{address}\"]\nwatch = \"\"\n\
         trusted_proxies = [\"127.0.0.0/8\"]\n{tls}[storage]\ndatabase = \"sqlite:{data}/db\"\n\
         blobs = \"{data}/blobs\"\nsecret = \"{data}/secret\"\n[mail]\nfolder = \"{data}/mail\"\n[limits]\n\
         connections_per_address = 20000\nheader_seconds = 600\nidle_seconds = 600\ndownloads_per_address = 100\n\
         api_per_hour = 100000000\n",
        data = data.display(),
        tls = if secure {
            format!(
                "[tls]\ncertificate = \"{0}/localhost.pem\"\nkey = \"{0}/localhost.key\"\n",
                work.display()
            )
        } else {
            String::new()
        },
    );
    let config = data.join("config.toml");
    fs::write(&config, text).map_err(Error::io("write", &config))?;
    let command = |verb: &str| {
        let mut command = Command::new(&program);
        command.arg("--config").arg(&config).arg(verb).stdout(Stdio::null()).stdin(Stdio::null());
        // As nginx here, which keeps no log of requests either.
        command.env("RUST_LOG", "warn");
        command
    };
    super::run("aegis-server", command("secret").arg(data.join("secret")))?;
    super::run("aegis-server", command("publish").arg(work.join("release")).arg("--keys").arg(keys))?;
    start("aegis-server", command("serve"), address, address, Vec::new())
}

/// Starts nginx with the same bytes, as its own documentation advises for files.
pub(super) fn nginx(work: &Path, content: &Path, page: &[u8], answer: &[u8]) -> Result<Process, Error> {
    let (plain, secure) = (free()?, free()?);
    let root = work.join("nginx");
    for (name, bytes) in [("page.html", page), ("answer.json", answer)] {
        let path = root.join(name);
        fs::create_dir_all(&root)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(Error::io("write", &path))?;
    }
    let place = root.join(DOWNLOAD.trim_start_matches('/'));
    fs::create_dir_all(place.parent().unwrap_or(&root)).map_err(Error::io("create", &root))?;
    fs::hard_link(content, &place).map_err(Error::io("link", &place))?;
    let text = format!(
        "daemon off; worker_processes 1; pid {work}/nginx.pid; error_log {work}/nginx.log; user root;\n\
         worker_rlimit_nofile 65536;\n\
         events {{ worker_connections 20000; }}\n\
         http {{\n  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; keepalive_timeout 600;\n  \
         client_header_timeout 600;\n  open_file_cache max=100;\n  types {{ text/html html; application/json json; }}\n  \
         server {{ listen {plain} backlog=4096; listen {secure} ssl; root {root};\n    ssl_certificate {work}/localhost.pem; \
         ssl_certificate_key {work}/localhost.key; ssl_protocols TLSv1.3;\n  }}\n}}\n",
        work = work.display(),
        root = root.display(),
    );
    let path = work.join("nginx.conf");
    fs::write(&path, text).map_err(Error::io("write", &path))?;
    let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| Path::new(path).exists());
    let program = program.ok_or_else(|| Error::Missing { what: "nginx".into(), package: "nginx-light" })?;
    let mut serve = Command::new(program);
    serve
        .arg("-c")
        .arg(&path)
        .arg("-e")
        .arg(work.join("nginx.log"))
        .stdout(Stdio::null())
        .stdin(Stdio::null());
    start(
        "nginx",
        serve,
        plain,
        secure,
        vec![("/", "/page.html"), ("/api/v1/editions/gamer", "/answer.json")],
    )
}

/// Builds static-web-server, unless an earlier run did.
pub(super) fn static_web_server(bench: &Bench) -> Result<PathBuf, Error> {
    let root = bench.work.join(format!("static-web-server-{OTHER_VERSION}"));
    let program = root.join("bin").join(OTHER);
    if !program.exists() {
        let mut cargo = Command::new("cargo");
        cargo.args(["install", "--quiet", "--locked", OTHER, "--version", OTHER_VERSION, "--root"]);
        cargo.arg(&root).arg("--target-dir").arg(bench.work.join("static-web-server-build"));
        super::run("cargo", &mut cargo)?;
    }
    Ok(program)
}

/// Starts it over nginx's folder, with one thread and as its own documentation advises; it speaks TLS or does not.
pub(super) fn other(program: &Path, work: &Path, secure: bool) -> Result<Process, Error> {
    let address = free()?;
    let mut serve = Command::new(program);
    serve.args(["--host", "127.0.0.1", "--log-level", "error", "--threads-multiplier", "1"]);
    serve.args(["--port", &address.port().to_string(), "--root"]).arg(work.join("nginx"));
    if secure {
        serve.args(["--http2", "true", "--http2-tls-cert"]).arg(work.join("localhost.pem"));
        serve.arg("--http2-tls-key").arg(work.join("localhost.key"));
    }
    serve.stdout(Stdio::null()).stdin(Stdio::null());
    start(OTHER, serve, address, address, vec![("/", "/page.html")])
}

/// A port that nobody has; between this and its use somebody may take it, which is then told.
fn free() -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind(loopback(0)).map_err(Error::io("listen on", "127.0.0.1"))?;
    listener.local_addr().map_err(Error::io("listen on", "127.0.0.1"))
}

fn start(
    name: &'static str,
    mut command: Command,
    plain: SocketAddr,
    secure: SocketAddr,
    paths: Vec<(&'static str, &'static str)>,
) -> Result<Process, Error> {
    let child = command.spawn().map_err(Error::io("start", command.get_program()))?;
    let mut process = Process { name, plain, secure, child, paths };
    let begun = Instant::now();
    while TcpStream::connect(plain).is_err() {
        if let Ok(Some(status)) = process.child.try_wait() {
            return Err(wrong(format!("{name} ended at once: {status}")));
        }
        if begun.elapsed() > Duration::from_secs(20) {
            return Err(wrong(format!("{name} does not listen")));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(process)
}
