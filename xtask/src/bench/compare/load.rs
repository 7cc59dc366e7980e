use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{Case, GENERATOR_CORE, GENERATOR_HEADERS, ROTATING_URLS, origin, server::Server};
use crate::run::{self, Outcome};

/// What one server did for one generator in one stretch of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) per_sec: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// Seconds of a core for 100,000 requests.
    pub(super) cpu_secs: f64,
    /// How much of its core the server used, and the generator of its own.
    pub(super) busy: f64,
    pub(super) generator_busy: f64,
}

/// What a generator saw.
struct Seen {
    requests: u64,
    per_sec: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Drives `server` for `time` and accounts for both sides.
pub(super) fn sample(server: &Server, case: Case, time: Duration) -> Result<Sample, String> {
    let (cpu, own, began) = (server.cpu_secs(), children_cpu_secs(), Instant::now());
    let seen = if case.by_socket { by_socket(server, case, time)? } else { wrk(server, case, time)? };
    let took = began.elapsed().as_secs_f64();
    let (cpu, own) = (server.cpu_secs() - cpu, children_cpu_secs() - own);
    if seen.requests == 0 {
        return Err(format!("{} answered nothing", server.name));
    }
    let cpu_secs = cpu / seen.requests as f64 * 100_000.0;
    Ok(Sample {
        per_sec: seen.per_sec,
        p50_us: seen.p50_us,
        p99_us: seen.p99_us,
        cpu_secs,
        busy: cpu / took,
        generator_busy: own / took,
    })
}

fn wrk(server: &Server, case: Case, time: Duration) -> Result<Seen, String> {
    let mut command = generator("wrk");
    command.args(["-t1", "--latency", &format!("-c{}", case.connections)]);
    command.arg(format!("-d{}s", time.as_secs().max(1)));
    for header in GENERATOR_HEADERS {
        command.args(["-H", header]);
    }
    if case.gzip {
        command.args(["-H", "Accept-Encoding: gzip"]);
    }
    if case.rotates {
        command.arg("-s").arg(run::root().join("bench/rivals/rotate.lua"));
    }
    command.arg(format!("http://{}{}", server.address, origin::path(case.size)));
    if case.rotates {
        command.arg("--").arg(ROTATING_URLS.to_string());
    }
    let text = run::output(&mut command)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    read_wrk(&text).ok_or_else(|| format!("{}: {text}", server.name))
}

/// `None` if an answer was none, or anything was not as expected.
fn read_wrk(text: &str) -> Option<Seen> {
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return None;
    }
    let after = |mark: &str| text.split_once(mark).and_then(|(_, rest)| rest.split_whitespace().next());
    let requests = text.lines().find(|line| line.contains("requests in"))?.split_whitespace().next()?.parse().ok()?;
    Some(Seen {
        requests,
        per_sec: after("Requests/sec:")?.parse().ok()?,
        p50_us: micros(after(" 50%")?)?,
        p99_us: micros(after(" 99%")?)?,
    })
}

fn micros(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    units.iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

/// wrk has no unix sockets; what drives those is this program itself, in a process of its own.
fn by_socket(server: &Server, case: Case, time: Duration) -> Result<Seen, String> {
    let me = std::env::current_exe().map_err(|cause| cause.to_string())?;
    let socket = server.socket.as_ref().expect("the case is for servers that have one");
    let mut command = generator(&me.display().to_string());
    command.args(["bench", "compare", "--drive"]).arg(socket);
    command.arg(case.connections.to_string()).arg(time.as_millis().to_string());
    let text = run::output(&mut command)?;
    let figures: Vec<f64> =
        String::from_utf8_lossy(&text).split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match figures[..] {
        [requests, per_sec, p50_us, p99_us] => Ok(Seen { requests: requests as u64, per_sec, p50_us, p99_us }),
        _ => Err("the generator said nothing".to_owned()),
    }
}

/// Asks over new connections for as long as it is told, some at once, and prints what came of it.
pub(super) fn drive(arguments: &[String]) -> Outcome {
    let [socket, connections, millis] = arguments else { return Err("--drive takes three".to_owned()) };
    let number = |text: &str| text.parse::<u64>().map_err(|cause| format!("{text}: {cause}"));
    let (connections, time) = (number(connections)?, Duration::from_millis(number(millis)?));
    let headers = GENERATOR_HEADERS.join("\r\n");
    let request = format!("GET {} HTTP/1.1\r\nHost: api.github.com\r\n{headers}\r\n\r\n", origin::path(0));
    let (took, failed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
    let began = Instant::now();
    let (socket, request) = (socket.as_str(), request.as_bytes());
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let (mut times, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
                while began.elapsed() < time {
                    let start = Instant::now();
                    if let Err(cause) = ask(socket, request, &mut buffer) {
                        *failed.lock().expect("no panic while held") = Some(cause.to_string());
                        break;
                    }
                    times.push(start.elapsed().as_secs_f64() * 1e6);
                }
                took.lock().expect("no panic while held").append(&mut times);
            });
        }
    });
    if let Some(cause) = failed.lock().expect("no panic while held").take() {
        return Err(format!("{socket}: {cause}"));
    }
    let mut took = took.lock().expect("no panic while held");
    took.sort_by(f64::total_cmp);
    let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
    let per_sec = took.len() as f64 / began.elapsed().as_secs_f64();
    run::print(&format!("{} {per_sec} {} {}", took.len(), at(50), at(99)));
    Ok(())
}

/// One question over a connection of its own, up to the last byte that `Content-Length` announces.
fn ask(socket: &str, request: &[u8], buffer: &mut [u8]) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(request)?;
    let (mut filled, mut whole) = (0, None);
    while whole.is_none_or(|whole| filled < whole) {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        whole = whole.or_else(|| length(&buffer[..filled]));
    }
    Ok(())
}

/// Head and body together, once the head is there.
fn length(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).ok()?.strip_prefix("HTTP/1.1 200")?;
    let of = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    };
    Some(head + text.lines().find_map(of)?)
}

fn generator(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", GENERATOR_CORE, program]);
    command
}

/// Seconds of a core of all that this process has run and waited for.
fn children_cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let words: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
    (ticks(13) + ticks(14)) as f64 / super::account::TICKS_PER_SEC
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRK: &str = "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n  Thread Stats   Avg      Stdev\n  \
        Latency Distribution\n     50%  620.00us\n     75%  700.00us\n     90%    1.02ms\n     99%    2.50ms\n  \
        101010 requests in 1.00s, 13.00MB read\nRequests/sec: 100990.12\nTransfer/sec:     13.00MB\n";

    #[test]
    fn what_wrk_says_is_read() {
        let seen = read_wrk(WRK).unwrap();
        assert_eq!((seen.requests, seen.per_sec, seen.p50_us, seen.p99_us), (101_010, 100_990.12, 620.0, 2500.0));
        assert!(read_wrk(&format!("{WRK}  Non-2xx or 3xx responses: 1\n")).is_none());
    }

    #[test]
    fn an_answer_is_whole_when_its_length_is_there() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel";
        assert_eq!(length(answer), Some(answer.len() + 2));
        assert_eq!(length(&answer[..30]), None);
    }
}
