use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{GENERATOR_HEADERS, SERVER_CORE, account, origin::in_thread};
use crate::run;

/// A server under test, on a core of its own. Ends with this value.
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    pub(super) socket: Option<PathBuf>,
    child: Child,
}

const PATIENCE: Duration = Duration::from_secs(20);

impl Server {
    pub(super) fn nginx(folder: &Path, origin: SocketAddr) -> Result<Self, String> {
        let (port, socket) = (free_port()?, folder.join("nginx.sock"));
        // Its workers become another user where they can.
        let user = if is_root() { "user root;" } else { "" };
        let conf = filled(
            "nginx.conf",
            &[
                ("user", user),
                ("folder", &folder.display().to_string()),
                ("port", &port.to_string()),
                ("socket", &socket.display().to_string()),
                ("origin", &format!("http://{origin}")),
            ],
        )?;
        let file = folder.join("nginx.conf");
        fs::write(&file, conf).map_err(|cause| format!("{}: {cause}", file.display()))?;
        let mut command = pinned(Path::new("nginx"));
        command.arg("-e").arg(folder.join("nginx.log")).arg("-p").arg(folder).arg("-c").arg(file);
        Self::start("nginx", command, port, Some(socket))
    }

    pub(super) fn varnish(folder: &Path, origin: SocketAddr) -> Result<Self, String> {
        let port = free_port()?;
        let (host, origin_port) = (origin.ip().to_string(), origin.port().to_string());
        let vcl = filled("varnish.vcl", &[("host", &host), ("port", &origin_port)])?;
        let file = folder.join("varnish.vcl");
        fs::write(&file, vcl).map_err(|cause| format!("{}: {cause}", file.display()))?;
        let mut command = pinned(Path::new("varnishd"));
        // One pool for one core, threads ready for every connection, and nothing written to its log.
        command.args(["-F", "-j", "none", "-s", "malloc,256m", "-a", &format!("127.0.0.1:{port}")]);
        for parameter in VARNISH_PARAMETERS {
            command.args(["-p", parameter]);
        }
        // It tells what it does.
        command.arg("-n").arg(folder.join("varnish")).arg("-f").arg(file).stderr(Stdio::null());
        Self::start("varnish", command, port, None)
    }

    pub(super) fn ghoard(name: &'static str, binary: &Path, folder: &Path, origin: SocketAddr) -> Result<Self, String> {
        let (port, socket) = (free_port()?, folder.join("ghoard.sock"));
        let mut command = pinned(binary);
        // As shipped; only that an answer holds longer than the run, as it does with the others.
        command.args(["run", "--default-ttl=86400", "--log=warn", "--admin-address=127.0.0.1:0"]);
        command.arg(format!("--door-address=127.0.0.1:{port}")).arg(format!("--origin=http://{origin}"));
        command.arg(format!("--door-socket={}", socket.display()));
        command.env_clear().env("HOME", folder);
        Self::start(name, command, port, Some(socket))
    }

    fn start(name: &'static str, mut command: Command, port: u16, socket: Option<PathBuf>) -> Result<Self, String> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.map_err(|cause| format!("could not run {name}: {cause}"))?;
        let server = Self { name, address: SocketAddr::from(([127, 0, 0, 1], port)), socket, child };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(server.address).is_err() {
            if Instant::now() > until {
                return Err(format!("{name} does not listen on {}", server.address));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// What its processes have used, in seconds of a core.
    pub(super) fn cpu_secs(&self) -> f64 {
        account::cpu_secs(self.child.id())
    }

    /// The most memory that its processes have had, in KB, each by itself.
    pub(super) fn peak_kb(&self) -> u64 {
        account::peak_kb(self.child.id())
    }

    /// Gets `path` as the generator will, and returns head and body.
    pub(super) fn get(&self, path: &str, gzip: bool, by_socket: bool) -> Result<(String, Vec<u8>), String> {
        let why = |cause| format!("{} does not answer {path}: {cause}", self.name);
        let coding = if gzip { "Accept-Encoding: gzip\r\n" } else { "" };
        let host = if by_socket { "api.github.com" } else { "127.0.0.1" };
        let headers: String = GENERATOR_HEADERS.iter().map(|header| format!("{header}\r\n")).collect();
        let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}{coding}Connection: close\r\n\r\n");
        let mut answer = Vec::new();
        match self.socket.as_ref().filter(|_| by_socket) {
            Some(socket) => {
                let mut stream = UnixStream::connect(socket).map_err(why)?;
                stream.write_all(text.as_bytes()).and_then(|()| stream.read_to_end(&mut answer)).map_err(why)?;
            }
            None => {
                let mut stream = TcpStream::connect(self.address).map_err(why)?;
                stream.write_all(text.as_bytes()).and_then(|()| stream.read_to_end(&mut answer)).map_err(why)?;
            }
        }
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or(format!("{}: no head", self.name))?;
        let body = answer.split_off(end + 4);
        Ok((String::from_utf8_lossy(&answer).to_ascii_lowercase(), body))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked to end, so that its children end, too.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let until = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const VARNISH_PARAMETERS: [&str; 7] = [
    "thread_pools=1",
    "thread_pool_min=100",
    "thread_pool_max=1000",
    "timeout_idle=600",
    "vsl_mask=-ReqMethod,-ReqURL,-ReqProtocol,-ReqHeader,-ReqUnset,-ReqStart,-ReqAcct,-RespProtocol,-RespStatus,-RespReason,\
     -RespHeader,-RespUnset,-Begin,-End,-Link,-SessOpen,-SessClose,-Hit,-Timestamp,-Length,-Filters,-VCL_call,-VCL_return,-VCL_use,\
     -Gzip",
    "default_grace=86400",
    // Both forms are kept, and none is unpacked for each client.
    "http_gzip_support=off",
];

/// What is needed beside cargo, and the package that has it.
const TOOLS: [(&str, &str, &str); 5] = [
    ("nginx", "-v", "nginx-light"),
    ("varnishd", "-V", "varnish"),
    ("wrk", "-v", "wrk"),
    ("taskset", "-V", "util-linux"),
    ("gzip", "-V", "gzip"),
];

/// Says how to install what is missing.
pub(super) fn check_tools() -> Result<(), String> {
    let is_missing = |name: &str, version: &str| Command::new(name).arg(version).output().is_err();
    let missing: Vec<_> = TOOLS.iter().filter(|(name, version, _)| is_missing(name, version)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(name, ..)| *name).collect();
    let packages: Vec<&str> = missing.iter().map(|(.., package)| *package).collect();
    Err(format!("{} cannot be run; on Debian: apt-get install {}", names.join(", "), packages.join(" ")))
}

/// The first line of what each rival says of its version.
pub(super) fn versions() -> Vec<String> {
    let version = |name: &str, flag: &str| {
        let said = Command::new(name).arg(flag).output().map(|output| [output.stderr, output.stdout].concat());
        let mut lines = BufReader::new(&*said.unwrap_or_default()).lines().map_while(Result::ok).collect::<Vec<_>>();
        lines.truncate(1);
        lines.concat()
    };
    TOOLS.iter().take(3).map(|(name, flag, _)| version(name, flag)).collect()
}

/// A configuration of `bench/rivals` with its braces filled in.
fn filled(name: &str, values: &[(&str, &str)]) -> Result<String, String> {
    let file = run::root().join("bench/rivals").join(name);
    let text = fs::read_to_string(&file).map_err(|cause| format!("{}: {cause}", file.display()))?;
    Ok(values.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value)))
}

fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|cause| format!("no free port: {cause}"))
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// Unpacks gzip, to compare.
pub(super) fn unpacked(gzip: &[u8]) -> Result<Vec<u8>, String> {
    let why = |cause| format!("could not run gzip: {cause}");
    let child = Command::new("gzip").args(["-d", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(why)?;
    let (mut to, gzip) = (child.stdin.take().expect("it is piped"), gzip.to_vec());
    in_thread(move || drop(to.write_all(&gzip)));
    let mut plain = Vec::new();
    child.stdout.take().expect("it is piped").read_to_end(&mut plain).map_err(why)?;
    child.wait().map_err(why)?;
    Ok(plain)
}
